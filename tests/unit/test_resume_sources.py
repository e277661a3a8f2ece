"""A source that is not what it was when its upload was left: never a mix of two, and told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from faults.resume_worlds import KEY, KINDS, OURS, PART_BYTES, PARTS, SIZE_BYTES, WITH_CHECKSUMS, World, other_data
from storage_guard import SourceChanged
from storage_guard.body import Body
from storage_guard.engine.resuming import Resumable
from storage_guard.engine.source import FileSource
from storage_guard.testing import REFUSED


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    world = World(request.param, tmp_path)
    yield world
    world.store.close()


only_with_checksums = pytest.mark.parametrize("world", WITH_CHECKSUMS, indirect=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.bin"
    path.write_bytes(OURS)
    return path


def replaced(path: Path) -> bytes:
    data = other_data()
    path.unlink()
    path.write_bytes(data)
    return data


def renamed_over(path: Path) -> bytes:
    data = other_data()
    found = path.stat()
    new = path.with_suffix(".new")
    new.write_bytes(data)
    os.utime(new, ns=(found.st_atime_ns, found.st_mtime_ns))
    new.replace(path)
    return data


def grown(path: Path) -> bytes:
    with path.open("ab") as file:
        file.write(b"more")
    return OURS + b"more"


def shrunk(path: Path) -> bytes:
    os.truncate(path, SIZE_BYTES - 5)
    return OURS[:-5]


def touched(path: Path) -> bytes:
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    return OURS


def written_in_place(path: Path) -> bytes:
    data = b"!" + OURS[1:]
    found = path.stat()
    with path.open("r+b") as file:
        file.write(b"!")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    return data


CHANGES = (replaced, renamed_over, grown, shrunk, touched, written_in_place)


@pytest.mark.parametrize("change", CHANGES)
def test_a_source_that_changed_is_written_anew_and_whole(
    world: World, source: Path, change: Callable[[Path], bytes]
) -> None:
    check_changed(world, source, change)


def check_changed(world: World, source: Path, change: Callable[[Path], bytes]) -> None:
    left = world.leave(source)
    data = change(source)
    receipt = world.store.create(KEY, source, resume=True)
    world.check_whole(receipt, data)
    assert world.driver.sent_bytes == len(data)
    (note,) = receipt.notes
    assert left.upload_id in note
    assert "thrown away" in note


def test_other_bytes_of_the_same_size_are_written_anew(world: World) -> None:
    world.leave(OURS)
    receipt = world.store.create(KEY, other_data(), resume=True)
    world.check_whole(receipt, other_data())
    assert world.driver.sent_bytes == SIZE_BYTES


def test_another_file_of_the_same_bytes_is_another_source(world: World, source: Path) -> None:
    world.leave(source)
    copy = source.with_suffix(".copy")
    copy.write_bytes(OURS)
    world.check_whole(world.store.create(KEY, copy, resume=True))
    assert world.driver.sent_bytes == SIZE_BYTES


def forge(path: Path) -> bytes:
    """Other bytes, and nothing about the file tells."""
    data = b"!" + OURS[1 : PART_BYTES * 4] + b"!" + OURS[PART_BYTES * 4 + 1 :]
    found = path.stat()
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    return data


@only_with_checksums
def test_changed_parts_of_a_file_with_a_forged_time_are_sent_again(world: World, source: Path) -> None:
    world.leave(source, 5)
    data = forge(source)
    world.check_whole(world.store.create(KEY, source, resume=True), data)
    assert world.driver.sent_bytes == SIZE_BYTES - 3 * PART_BYTES


@only_with_checksums
def test_a_forged_file_behind_a_finish_is_another_write(world: World, source: Path) -> None:
    left = world.leave(source, PARTS, member="finish_new")
    assert world.entries()[0].committing
    write_id = world.entries()[0].write_id
    data = forge(source)
    receipt = world.store.create(KEY, source, resume=True)
    world.check_whole(receipt, data)
    assert receipt.write_id != write_id
    assert left.upload_id in receipt.notes[0]


@only_with_checksums
def test_a_source_that_changes_while_it_is_compared_ends_it(world: World, source: Path) -> None:
    world.leave(source)
    take = FileSource.take

    def change_first(self: FileSource, offset_bytes: int, size_bytes: int) -> Body:
        touched(source)
        return take(self, offset_bytes, size_bytes)

    with patch.object(FileSource, "take", change_first), pytest.raises(SourceChanged):
        world.store.create(KEY, source, resume=True)
    assert world.at_key() is None
    world.check_nothing_left()
    world.check_whole(world.store.create(KEY, source, resume=True))


def test_a_source_that_changes_while_it_is_sent_leaves_nothing(world: World, source: Path) -> None:
    world.leave(source)

    def change(_done: int, _total: int | None) -> None:
        grown(source)

    with pytest.raises(SourceChanged):
        world.store.create(KEY, source, resume=True, progress=change)
    assert world.at_key() is None
    world.check_nothing_left()


def test_what_cannot_be_thrown_away_is_left_to_a_sweep(world: World, source: Path) -> None:
    left = world.leave(source)
    data = grown(source)
    world.driver.plan("abort", [REFUSED])
    receipt = world.store.create(KEY, source, resume=True)
    (note,) = receipt.notes
    assert left.upload_id in note
    assert "for a sweep" in note
    assert world.at_key() == data
    assert world.uploads() == [left.upload_id]
    swept = world.store.sweep(older_than_s=0)
    assert [upload.upload_id for upload in swept.removed] == [left.upload_id]
    world.check_nothing_left()


# What these laws must find out


def believe(*_: object) -> bool:
    return True


@pytest.mark.parametrize("change", [replaced, renamed_over, written_in_place])
def test_who_does_not_compare_the_source_is_found_out(
    tmp_path: Path, source: Path, change: Callable[[Path], bytes]
) -> None:
    with patch.object(Resumable, "_fits", believe), pytest.raises(AssertionError):
        check_changed(World("silent", tmp_path), source, change)
