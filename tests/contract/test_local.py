"""The disk keeps every promise but those that no tree of folders can keep, on each of the ways it has to write."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from storage_guard.driver import Driver, Exists, Limits, PartSlot, WriteMeta
from storage_guard.model import MiB
from storage_guard.testing import BytesBody, DriverContract, RemoteError, race_processes, winners
from storage_guard_local import LocalDriver, System
from storage_guard_local.syscalls import O_TMPFILE

TREE = {
    "test_a_folder_is_not_an_object": "where a folder is, no file can be",
    "test_an_object_is_not_a_folder": "where a file is, no folder can be",
    "test_a_key_may_be_the_beginning_of_another": "a name is a file or a folder, not both",
}


class NamedFiles(System):
    """A disk without files that have no name."""

    def open(self, path: str, flags: int, *, dir_fd: int | None = None) -> int:
        if O_TMPFILE and flags & O_TMPFILE == O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), path)
        return super().open(path, flags, dir_fd=dir_fd)


class NoHardLinks(NamedFiles):
    """Such a disk, on which a file has one name at most."""

    def link(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:  # noqa: ARG002
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), source, None, name)


class NoAttributes(System):
    """A disk without extended attributes."""

    def setxattr(self, fd: int, name: str, value: bytes) -> None:  # noqa: ARG002
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    def getxattr(self, fd: int, name: str) -> bytes:  # noqa: ARG002
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


class TestLocal(DriverContract):
    departures = TREE

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Callable[[], Driver]:
        return lambda: LocalDriver(tmp_path / "root", durable=False)


class TestLocalDurable(DriverContract):
    departures = TREE
    race_rounds = 20  # each of them syncs

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Callable[[], Driver]:
        limits = Limits(MiB, 1, MiB, max_parts=12, max_object_bytes=8 * MiB)
        return lambda: LocalDriver(tmp_path / "root", limits=limits)


class TestLocalNamedFiles(DriverContract):
    departures = TREE

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Callable[[], Driver]:
        return lambda: LocalDriver(tmp_path / "root", durable=False, system=NamedFiles())


class TestLocalNoHardLinks(DriverContract):
    departures = TREE

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Callable[[], Driver]:
        return lambda: LocalDriver(tmp_path / "root", durable=False, system=NoHardLinks())


class TestLocalNoAttributes(DriverContract):
    departures = TREE
    race_rounds = 20  # it publishes like TestLocal

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Callable[[], Driver]:
        return lambda: LocalDriver(tmp_path / "root", durable=False, system=NoAttributes())


class Lasting(LocalDriver):
    """Whose uploads all outlive their process."""

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        return super().begin(key, replace(meta, lasting=True))


class TestLocalLasting(DriverContract):
    departures = TREE

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Callable[[], Driver]:
        return lambda: Lasting(tmp_path / "root", durable=False)


class TestLocalLastingNoHardLinks(DriverContract):
    departures = TREE
    race_rounds = 20

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Callable[[], Driver]:
        return lambda: Lasting(tmp_path / "root", system=NoHardLinks())


def put(driver: LocalDriver, contender: int, number: int) -> int:
    driver.put_new(f"race/{number}", _body(contender), WriteMeta(f"w-{contender}"))
    return contender


def finish_or_put(driver: LocalDriver, contender: int, number: int) -> int:
    if contender % 2:
        return put(driver, contender, number)
    key, body, meta = f"race/{number}", _body(contender), WriteMeta(f"w-{contender}")
    upload_id = driver.begin(key, meta)
    part = driver.put_part(key, upload_id, PartSlot(1, 0, body.size_bytes), body)
    driver.finish_new(key, upload_id, [part], meta)
    return contender


def _body(contender: int) -> BytesBody:
    return BytesBody(bytes([contender]) * 1000)


@pytest.mark.parametrize("create", [put, finish_or_put])
def test_of_racing_processes_one_wins(tmp_path: Path, create: Callable[[LocalDriver, int, int], int]) -> None:
    driver = LocalDriver(tmp_path / "root", durable=False)
    rounds = race_processes(create, [(driver, contender) for contender in range(8)], rounds=100)
    for number, results in enumerate(rounds):
        (winner,) = winners(results)
        for contender, result in enumerate(results):
            refused = isinstance(result, Exists) or (isinstance(result, RemoteError) and result.kind == "Exists")
            assert refused or contender == winner, f"round {number}: {result!r}"
        assert driver.read(f"race/{number}", 0, 2000, None) == _body(winner).data
        found = driver.head(f"race/{number}")
        assert found is not None
        assert found.write_id in (f"w-{winner}", None)
