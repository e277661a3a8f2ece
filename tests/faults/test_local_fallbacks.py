"""Disks that lack O_TMPFILE, links, renameat2 or attributes, network disks that lose answers, folders that vanish."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.local_systems import Failing, Without, files_below, open_descriptors
from storage_guard.body import BytesBody
from storage_guard.driver import (
    Body,
    Exists,
    Lost,
    ObjectOptions,
    PartSlot,
    Refused,
    Unguarded,
    Unsupported,
    WriteMeta,
)
from storage_guard_local import LocalDriver
from storage_guard_local.publish import Step, after
from storage_guard_local.staging import Way
from storage_guard_local.syscalls import O_TMPFILE, System

META = WriteMeta("the-write")
FALLBACKS = [("anonymous",), ("anonymous", "link")]


class Unread(BytesBody):
    """A body that must not be read."""

    def windows(self) -> Iterator[memoryview]:
        raise AssertionError("user data was read")


def unread() -> Body:
    return Unread(b"never")


@pytest.mark.parametrize("lacks", FALLBACKS, ids=["link", "rename"])
def test_a_fallback_creates_whole_refuses_the_second_and_leaves_no_temporary_file(
    lacks: tuple[str, ...], tmp_path: Path
) -> None:
    before = open_descriptors()
    driver = LocalDriver(tmp_path, system=Without(*lacks))
    driver.put_new("a/b", BytesBody(b"first"), META)
    with pytest.raises(Exists):
        driver.put_new("a/b", BytesBody(b"second"), WriteMeta("other"))
    upload_id = driver.begin("m", META)
    parts = [
        driver.put_part("m", upload_id, PartSlot(2, 3, 2), BytesBody(b"de")),
        driver.put_part("m", upload_id, PartSlot(1, 0, 3), BytesBody(b"abc")),
    ]
    driver.finish_new("m", upload_id, parts[::-1], META)
    assert driver.read("a/b", 0, 100, None) == b"first"
    assert driver.read("m", 0, 100, None) == b"abcde"
    assert files_below(tmp_path) == ["a", "a/b", "m"]
    assert [info.key for info in driver.scan("", "", "")] == ["a/b", "m"]
    assert driver.capabilities().put == "documented"
    assert open_descriptors() == before
    assert (tmp_path / "a" / "b").stat().st_nlink == 1


@pytest.mark.parametrize("lacks", FALLBACKS, ids=["link", "rename"])
def test_a_rival_that_wins_between_the_look_and_the_link_is_not_replaced(
    lacks: tuple[str, ...], tmp_path: Path
) -> None:
    class Rival(BytesBody):
        def windows(self) -> Iterator[memoryview]:
            (tmp_path / "k").write_bytes(b"rival")
            return super().windows()

    driver = LocalDriver(tmp_path, system=Without(*lacks))
    with pytest.raises(Exists):
        driver.put_new("k", Rival(b"ours"), META)
    assert (tmp_path / "k").read_bytes() == b"rival"
    assert files_below(tmp_path) == ["k"]


def test_without_any_primitive_it_is_unguarded_before_the_first_byte(tmp_path: Path) -> None:
    driver = LocalDriver(tmp_path, system=Without("anonymous", "link", "rename"))
    with pytest.raises(Unguarded):
        driver.put_new("a/b", unread(), META)
    with pytest.raises(Unguarded):
        driver.begin("a/b", META)
    found = driver.capabilities()
    assert (found.put, found.finish, found.copy) == ("missing", "missing", "missing")
    assert "renameat2" in found.reason
    assert files_below(tmp_path) == []


def test_a_rename_that_ignores_its_condition_is_found_out_before_user_data(tmp_path: Path) -> None:
    class Ignoring(Without):
        def rename_noreplace(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
            os.replace(source, name, src_dir_fd=source_fd, dst_dir_fd=dir_fd)

    driver = LocalDriver(tmp_path, system=Ignoring("anonymous", "link"))
    with pytest.raises(Unguarded):
        driver.put_new("a", unread(), META)
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("lacks", [(), *FALLBACKS], ids=["anonymous", "link", "rename"])
def test_a_network_disk_that_acts_and_loses_the_answer_has_created(lacks: tuple[str, ...], tmp_path: Path) -> None:
    class Forgetful(Without):
        def link(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
            super().link(source, name, source_fd=source_fd, dir_fd=dir_fd)
            raise FileExistsError(errno.EEXIST, "resent")

        def link_fd(self, fd: int, name: str, *, dir_fd: int) -> None:
            super().link_fd(fd, name, dir_fd=dir_fd)
            raise FileExistsError(errno.EEXIST, "resent")

        def rename_noreplace(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
            super().rename_noreplace(source, name, source_fd=source_fd, dir_fd=dir_fd)
            if name == "k":
                raise OSError(errno.EIO, "lost")

    system = Forgetful(*lacks)
    info = LocalDriver(tmp_path, system=system).put_new("k", BytesBody(b"ours"), META)
    assert info == LocalDriver(tmp_path).head("k")
    assert files_below(tmp_path) == ["k"]


def test_a_named_link_that_fails_strangely_is_lost_and_an_unnamed_one_is_not(tmp_path: Path) -> None:
    class Strange(Without):
        def link(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
            if name == "k":
                raise OSError(errno.ETIMEDOUT, "no answer")
            super().link(source, name, source_fd=source_fd, dir_fd=dir_fd)

        def link_fd(self, fd: int, name: str, *, dir_fd: int) -> None:  # noqa: ARG002 - as the base has it
            raise OSError(errno.ETIMEDOUT, "no answer")

    with pytest.raises(Lost):
        LocalDriver(tmp_path, system=Strange("anonymous")).put_new("k", BytesBody(b""), META)
    with pytest.raises(Refused):
        LocalDriver(tmp_path, system=Strange()).put_new("k", BytesBody(b""), META)


@pytest.mark.parametrize("lacks", [(), *FALLBACKS], ids=["anonymous", "link", "rename"])
def test_a_folder_that_vanishes_before_the_link_is_made_again(lacks: tuple[str, ...], tmp_path: Path) -> None:
    class Removing(BytesBody):
        def windows(self) -> Iterator[memoryview]:
            (tmp_path / "a" / "b").rmdir()
            (tmp_path / "a").rmdir()
            return super().windows()

    LocalDriver(tmp_path, system=Without(*lacks)).put_new("a/b/c", Removing(b"data"), META)
    assert (tmp_path / "a" / "b" / "c").read_bytes() == b"data"


@pytest.mark.parametrize("moment", ["before the unnamed file", "before the folder below"])
def test_a_folder_that_vanishes_on_the_way_is_made_again(moment: str, tmp_path: Path) -> None:
    class Vanishing(System):
        """ext4 answers EPERM to O_TMPFILE in a removed folder, others ENOENT."""

        done = False

        def open(self, path: str, flags: int, *, dir_fd: int | None = None) -> int:
            wanted = flags & O_TMPFILE == O_TMPFILE if moment == "before the unnamed file" else path == "b"
            if wanted and not self.done and (tmp_path / "a").exists():
                self.done = True
                for folder in ("a/b", "a"):
                    if (tmp_path / folder).exists():
                        (tmp_path / folder).rmdir()
            return super().open(path, flags, dir_fd=dir_fd)

    system = Vanishing()
    LocalDriver(tmp_path, system=system).put_new("a/b/c", BytesBody(b"data"), META)
    assert system.done
    assert (tmp_path / "a" / "b" / "c").read_bytes() == b"data"


def test_a_folder_that_always_vanishes_ends_in_a_definite_no(tmp_path: Path) -> None:
    driver = LocalDriver(tmp_path, system=Failing(link_fd=errno.ENOENT))
    with pytest.raises(Refused):
        driver.put_new("a/b", BytesBody(b"data"), META)
    assert files_below(tmp_path) == []


def test_where_an_unnamed_file_gets_no_name_its_bytes_move_to_a_named_one(tmp_path: Path) -> None:
    data = os.urandom(600_000)
    info = LocalDriver(tmp_path, system=Failing(link_fd=errno.EOPNOTSUPP)).put_new("k", BytesBody(data), META)
    assert info == LocalDriver(tmp_path).head("k")
    assert (tmp_path / "k").read_bytes() == data
    assert files_below(tmp_path) == ["k"]


def test_without_proc_it_falls_back_before_the_first_byte(tmp_path: Path) -> None:
    class NoProc(System):
        def lstat(self, path: str, *, dir_fd: int | None = None) -> os.stat_result:
            if path.startswith("/proc/"):
                raise FileNotFoundError(errno.ENOENT, path)
            return super().lstat(path, dir_fd=dir_fd)

        def link_fd(self, fd: int, name: str, *, dir_fd: int) -> None:  # noqa: ARG002 - as the base has it
            raise AssertionError("that cannot work")

    driver = LocalDriver(tmp_path, system=NoProc())
    driver.put_new("k", BytesBody(b"data"), META)
    assert "named file and link" in driver.capabilities().reason
    assert files_below(tmp_path) == ["k"]


def test_dead_writers_temporary_files_are_swept_and_living_ones_are_not(tmp_path: Path) -> None:
    folder = tmp_path / ".storage-guard" / "tmp"
    folder.mkdir(parents=True)
    (folder / "dead").write_bytes(b"half")
    with (folder / "living").open("wb") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        LocalDriver(tmp_path, system=Without("anonymous")).put_new("k", BytesBody(b"data"), META)
        assert os.listdir(folder) == ["living"]


def test_without_attributes_a_create_works_but_nothing_is_dropped_in_silence(tmp_path: Path) -> None:
    driver = LocalDriver(tmp_path, system=Without("attributes"))
    info = driver.put_new("k", BytesBody(b"data"), META)
    head = driver.head("k")
    assert head is not None
    assert head == info
    assert head.write_id is None
    assert not driver.capabilities().write_ids
    options = ObjectOptions(metadata={"a": "b"})
    with pytest.raises(Unsupported):
        driver.put_new("l", unread(), WriteMeta("x", options))
    with pytest.raises(Unsupported):
        driver.begin("l", WriteMeta("x", options))
    assert files_below(tmp_path) == ["k"]


def test_metadata_too_large_for_the_disk_is_unsupported_before_the_first_byte(tmp_path: Path) -> None:
    meta = WriteMeta("x", ObjectOptions(metadata={"a": "b"}))
    with pytest.raises(Unsupported, match="too large"):
        LocalDriver(tmp_path, system=Failing(setxattr=errno.ENOSPC)).put_new("k", unread(), meta)
    with pytest.raises(Refused) as caught:
        LocalDriver(tmp_path, system=Failing(setxattr=errno.ENOSPC)).put_new("k", BytesBody(b""), META)
    assert caught.value.why == "space"


@pytest.mark.parametrize(
    ("code", "way", "step"),
    [
        (errno.EEXIST, Way.ANONYMOUS, Step.TAKEN),
        (errno.ENOENT, Way.LINK, Step.FOLDER_AGAIN),
        (errno.EOPNOTSUPP, Way.ANONYMOUS, Step.OTHER_WAY),
        (errno.EPERM, Way.LINK, Step.OTHER_WAY),
        (errno.EMLINK, Way.LINK, Step.OTHER_WAY),
        (errno.EINVAL, Way.RENAME, Step.UNGUARDED),
        (errno.ENOSYS, Way.RENAME, Step.UNGUARDED),
        (errno.EACCES, Way.RENAME, Step.REFUSED),
        (errno.EXDEV, Way.LINK, Step.REFUSED),
        (errno.EIO, Way.ANONYMOUS, Step.REFUSED),
        (errno.EIO, Way.LINK, Step.LOST),
        (errno.ESTALE, Way.RENAME, Step.LOST),
    ],
)
def test_what_follows_a_refused_link(code: int, way: Way, step: Step) -> None:
    assert after(code, way, entered=False, reachable=True) is step
    assert after(code, way, entered=True, reachable=True) is Step.DONE


def test_a_file_whose_own_name_is_gone_does_not_look_for_folders() -> None:
    assert after(errno.ENOENT, Way.ANONYMOUS, entered=False, reachable=False) is Step.OTHER_WAY
    assert after(errno.ENOENT, Way.LINK, entered=False, reachable=False) is Step.REFUSED
