"""An upload that outlives its process, when any system call fails, and when its writer is killed at any of them."""

from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faults.killing import killed
from faults.lasting_worlds import DATA, KEY, META, check_that_nothing_is_written_late, go_on, put, write
from faults.local_systems import FailingOnce, Quick, Without, files_below, open_descriptors
from storage_guard.driver import Definite, Gone, Signal, Unsynced
from storage_guard.testing import BytesBody
from storage_guard_local import LocalDriver
from storage_guard_local.kept import Kept
from storage_guard_local.lasting import LastingUpload, LastingUploads
from storage_guard_local.syscalls import System
from telling import Tell

if TYPE_CHECKING:
    from typing_extensions import Buffer

CODES = (errno.EIO, errno.ENOSPC, errno.EACCES)
WAYS: dict[str, tuple[str, ...]] = {"link": (), "rename": ("link",)}
ways = pytest.mark.parametrize("lacks", WAYS.values(), ids=WAYS)


def ids_in(root: Path) -> set[str]:
    hidden = root / ".storage-guard" / "uploads"
    return {name.partition(".")[0] for name in os.listdir(hidden)} if hidden.exists() else set()


class FailingOnceWithout(FailingOnce, Quick):
    def __init__(self, at: int, code: int, *lacks: str) -> None:
        FailingOnce.__init__(self, at, code)
        self._lacks = lacks


@pytest.mark.parametrize("code", CODES, ids=lambda code: errno.errorcode[code])
@ways
def test_whichever_call_fails_the_answer_is_true_and_the_upload_can_be_gone_on_with(
    lacks: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    failed: list[str] = []
    for at in range(400):
        root = tmp_path / str(at)
        root.mkdir()
        system = FailingOnceWithout(at, code, *lacks)
        before = open_descriptors()
        signal: Signal | None = None
        try:
            write(str(root), system)
        except Signal as exc:
            signal = exc
        assert open_descriptors() == before, f"{system.failed} at {at} leaks a descriptor"
        if not system.failed:
            assert signal is None
            break
        failed.append(system.failed)
        judge_failed(root, lacks, signal, f"{system.failed} at {at}: {signal!r}")
    else:
        raise AssertionError("an upload has fewer calls than that")
    assert {"open", "fsync", "setxattr", "pwrite", "pread", "preadv", "fstat", "lstat", "flock"} <= set(failed)


def judge_failed(root: Path, lacks: tuple[str, ...], signal: Signal | None, what: str) -> None:
    driver = LocalDriver(root, system=Quick(*lacks))
    is_there = signal is None or isinstance(signal, Unsynced)
    assert (driver.head(KEY) is not None) == is_there, what
    assert is_there or isinstance(signal, Definite) or "link" in what or "rename" in what, what
    check_that_nothing_is_written_late(driver, ids_in(root))
    assert go_on(driver) in (("none",) if is_there else ("none", "finished")), what
    if driver.head(KEY) is None:
        driver.put_new(KEY, BytesBody(DATA), META)
    left = files_below(root)
    assert left == ["a", "a/b", KEY] or "unlink" in what, (what, left)


# Arguments: the folder of the roots, what the disk lacks.
HELPER = """
import sys
from faults.killing import kill_at_each_call
from faults.lasting_worlds import write

folder, *lacks = sys.argv[1:]
kill_at_each_call(folder, lacks, write)
"""


def judge_killed(folder: Path, lacks: tuple[str, ...]) -> list[str]:
    """What was found after each kill, in the order of the calls: "none", "finished" (by us now), "whole"."""
    deaths = killed(HELPER, str(folder), *lacks)
    found: list[str] = []
    for path, name in deaths:
        root = Path(path)
        driver = LocalDriver(root, system=Quick(*lacks))
        was_there = driver.head(KEY) is not None
        check_that_nothing_is_written_late(driver, ids_in(root))
        outcome = go_on(driver)
        assert outcome in (("none",) if was_there else ("none", "finished")), (path, name)
        found.append("whole" if was_there else outcome)
        if driver.head(KEY) is None:
            driver.put_new(KEY, BytesBody(DATA), META)
        driver.abort("next", driver.begin("next", META))  # its sweep finds nothing, or what is nobody's
        assert [left for left in files_below(root) if "tmp/" not in left] == ["a", "a/b", KEY], (path, name)
    return found


@ways
def test_whoever_comes_after_a_killed_writer_goes_on_or_finds_the_object_whole(
    lacks: tuple[str, ...], tmp_path: Path, tell: Tell
) -> None:
    found = judge_killed(tmp_path, lacks)
    assert sorted(set(found)) == ["finished", "none", "whole"]
    assert found == sorted(found, key=["none", "finished", "whole"].index), "an upload was lost that had been begun"
    tell(f"{len(found)} kills: {dict(Counter(found))}")


def test_an_upload_is_not_swept_while_it_is_begun(tmp_path: Path) -> None:
    """Between its two files it looks like what a dead writer left, but for its lock."""
    check_begun_under_the_eyes_of_sweepers(tmp_path)


def check_begun_under_the_eyes_of_sweepers(root: Path) -> None:
    class Watching(Without):
        def open(self, path: str, flags: int, *, dir_fd: int | None = None) -> int:
            if path.endswith((".data", ".parts")) and flags & os.O_CREAT:
                list(LocalDriver(root).scan_uploads(""))
            return super().open(path, flags, dir_fd=dir_fd)

        def pwrite(self, fd: int, data: Buffer, offset_bytes: int) -> int:
            list(LocalDriver(root).scan_uploads(""))
            return super().pwrite(fd, data, offset_bytes)

    driver = LocalDriver(root, durable=False, system=Watching())
    upload_id = driver.begin(KEY, META)
    put(driver, upload_id, 1)
    driver.close()
    (part,) = driver.scan_parts(KEY, upload_id)
    driver.finish_new(KEY, upload_id, [part], META)


def test_a_sweeper_that_is_faster_than_the_lock_costs_a_name_only(tmp_path: Path) -> None:
    class Overtaken(System):
        first = True

        def flock(self, fd: int) -> None:
            if self.first:
                self.first = False
                list(LocalDriver(tmp_path).scan_uploads(""))
            super().flock(fd)

    driver = LocalDriver(tmp_path, durable=False)
    driver.abort(KEY, driver.begin(KEY, META))  # what has to be tried is tried
    driver = LocalDriver(tmp_path, durable=False, system=Overtaken())
    upload_id = driver.begin(KEY, META)
    driver.finish_new(KEY, upload_id, put(driver, upload_id, 1, 2, 3), META)
    assert files_below(tmp_path) == ["a", "a/b", KEY]


# The instruments, proved on planted defects


def whatever_is_there(_self: LastingUploads, name: str, folder_fd: int) -> bool:
    """Believes a file that has been published to be open."""
    try:
        os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def always(_self: LastingUploads, _kept: Kept, _folder_fd: int) -> bool:
    return True


def takes_parts_always(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LastingUploads, "_is_unpublished", whatever_is_there)
    patch.setattr(LastingUpload, "_finishing", property(lambda _self: False, lambda _self, _value: None), raising=False)


def test_a_driver_that_writes_into_a_published_file_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    takes_parts_always(monkeypatch)
    with pytest.raises(AssertionError, match="upload that is out"):
        judge_killed(tmp_path, ())


def test_a_driver_that_sweeps_a_live_upload_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LastingUploads, "_locks", always)
    with pytest.raises((Gone, AssertionError)):
        check_begun_under_the_eyes_of_sweepers(tmp_path)
