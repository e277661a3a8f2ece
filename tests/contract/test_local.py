"""The disk keeps every promise but those that no tree of folders can keep, on each of the ways it has to write."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from storage_guard.driver import Driver, Limits
from storage_guard.model import MiB
from storage_guard.testing import DriverContract
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

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Callable[[], Driver]:
        return lambda: LocalDriver(tmp_path / "root", durable=False, system=NoAttributes())
