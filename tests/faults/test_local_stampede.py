"""Many threads write the parts of one upload while it is finished or aborted: whole parts, and no write afterwards."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faults.local_systems import Watched, Without, files_below
from faults.test_local_lasting import KEY, PART_BYTES, piece
from storage_guard.checksum import as_checksum, crc64xz
from storage_guard.driver import Gone, Refused, Signal, WriteMeta
from storage_guard.testing import BytesBody
from storage_guard_local import LocalDriver
from storage_guard_local.uploads import OpenUpload

if TYPE_CHECKING:
    from typing_extensions import Buffer


class NoLateWrites(Watched, Without):
    """Knows the inodes that have had a key's name, and every call that would change one of them."""

    def __init__(self, *lacks: str) -> None:
        Watched.__init__(self)
        self._lacks = lacks
        self.out: set[int] = set()
        self.late: list[str] = []

    def _publishes(self, inode: int, name: str) -> None:
        if name == "object":
            self.out.add(inode)

    def link_fd(self, fd: int, name: str, *, dir_fd: int) -> None:
        super().link_fd(fd, name, dir_fd=dir_fd)
        self._publishes(os.fstat(fd).st_ino, name)

    def link(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
        super().link(source, name, source_fd=source_fd, dir_fd=dir_fd)
        self._publishes(os.stat(name, dir_fd=dir_fd).st_ino, name)

    def rename_noreplace(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
        super().rename_noreplace(source, name, source_fd=source_fd, dir_fd=dir_fd)
        self._publishes(os.stat(name, dir_fd=dir_fd).st_ino, name)

    def pwrite(self, fd: int, data: Buffer, offset_bytes: int) -> int:
        written = super().pwrite(fd, data, offset_bytes)
        if os.fstat(fd).st_ino in self.out:  # looked at afterwards, so that a write that was overtaken counts
            self.late.append("pwrite")
        return written

    def ftruncate(self, fd: int, size_bytes: int) -> None:
        super().ftruncate(fd, size_bytes)
        if os.fstat(fd).st_ino in self.out:
            self.late.append("ftruncate")


class Windows(BytesBody):
    """A few bytes at a time, so that writers overlap."""

    def windows(self) -> Iterator[memoryview]:
        view = memoryview(self.data)
        for start in range(0, len(view), 128):
            yield view[start : start + 128]


def stampede(driver: LocalDriver, upload_id: str, meta: WriteMeta, seed: int, *, aborts: bool) -> bool:
    """Eight threads write three slots again and again, each with one of two contents; a ninth finishes as soon as all
    are there, and a tenth may abort. Whether it was finished."""
    filled = [threading.Event() for _ in range(3)]

    def write(thread: int) -> None:
        chance = random.Random(seed * 100 + thread)
        numbers = [1, 2, 3] * 4
        chance.shuffle(numbers)
        for number in numbers:
            slot, body = piece(number)
            data = body.data if chance.random() < 0.7 else bytes(PART_BYTES)
            try:
                driver.put_part(KEY, upload_id, slot, Windows(data))
            except Gone:
                break
            filled[number - 1].set()
        for each in filled:
            each.set()

    def finish() -> dict[int, bytes] | None:
        for each in filled:
            assert each.wait(10)
        while True:
            try:
                parts = list(driver.scan_parts(KEY, upload_id))
                info = driver.finish_new(KEY, upload_id, parts, meta)
            except Gone:
                return None
            except Refused:
                continue  # a part was written anew meanwhile
            assert info.checksum is not None
            found = driver.read(KEY, 0, 5000, None)
            assert info.checksum == as_checksum(crc64xz(found))
            return {part.slot.number: found[part.slot.offset_bytes :][:PART_BYTES] for part in parts}

    def abort() -> None:
        assert filled[0].wait(10)
        try:
            driver.abort(KEY, upload_id)
        except Gone:
            pass

    with ThreadPoolExecutor(10) as pool:
        writers = [pool.submit(write, thread) for thread in range(8)]
        finishing = pool.submit(finish)
        if aborts:
            pool.submit(abort).result(60)
        for writer_ in writers:
            writer_.result(60)
        published = finishing.result(60)
    if published is None:
        return False
    for number, found in published.items():
        assert found in (piece(number)[1].data, bytes(PART_BYTES)), "two writers of one slot were mixed"
    return True


@pytest.mark.parametrize("aborts", [False, True], ids=["finished", "finished or aborted"])
@pytest.mark.parametrize(
    ("lasting", "lacks"),
    [(False, ()), (False, ("anonymous",)), (True, ()), (True, ("link",))],
    ids=["unnamed", "named", "lasting", "lasting, renamed"],
)
def test_eight_writers_and_a_finish_publish_whole_parts_and_write_nothing_afterwards(
    lasting: bool, lacks: tuple[str, ...], aborts: bool, tmp_path: Path
) -> None:
    meta = WriteMeta("w", lasting=lasting)
    for seed in range(20):
        system = NoLateWrites(*lacks)
        driver = LocalDriver(tmp_path / str(seed), durable=False, system=system)
        finished = stampede(driver, driver.begin(KEY, meta), meta, seed, aborts=aborts)
        assert finished or aborts
        assert system.late == []
        assert (driver.head(KEY) is not None) == finished
        assert [path for path in files_below(tmp_path / str(seed)) if path.startswith(".")] == []


def test_the_same_stampede_finds_out_who_does_not_wait_for_writers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alone(_self: OpenUpload) -> AbstractContextManager[None]:
        return nullcontext()

    monkeypatch.setattr(OpenUpload, "alone", alone)
    for seed in range(100):
        system = NoLateWrites()
        driver = LocalDriver(tmp_path / str(seed), durable=False, system=system)
        try:
            stampede(driver, driver.begin(KEY, WriteMeta("w")), WriteMeta("w"), seed, aborts=False)
        except (AssertionError, Signal):
            return
        if system.late:
            return
    pytest.fail("a driver that does not wait was not caught in a hundred stampedes: the instrument is blunt")
