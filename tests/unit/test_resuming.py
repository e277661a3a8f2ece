"""`create(resume=True)`: goes on with what was left of the very same write, and never makes a mix of two."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import pytest

from faults.resume_worlds import (
    CTRL_C_AFTER,
    FULL_KEY,
    KEY,
    KINDS,
    OURS,
    PART_BYTES,
    PARTS,
    SIZE_BYTES,
    World,
)
from storage_guard import NotWritten, ObjectExists, ObjectOptions, Store
from storage_guard.driver import PartSlot, WriteMeta
from storage_guard.engine.creation import Creation
from storage_guard.engine.resuming import Resumable
from storage_guard.testing import GONE, REFUSED, BytesBody
from storage_guard.uploads.journaling import ResumeDiary


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    world = World(request.param, tmp_path)
    yield world
    world.store.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.bin"
    path.write_bytes(OURS)
    return path


# Going on


@pytest.mark.parametrize("parts", range(PARTS))
def test_only_the_missing_parts_are_sent(world: World, source: Path, parts: int) -> None:
    check_going_on(world, source, parts)


def check_going_on(world: World, source: Path, parts: int) -> None:
    left = world.leave(source, parts)
    write_id = world.entries()[0].write_id
    assert world.at_key() is None
    receipt = world.store.create(KEY, source, resume=True)
    world.check_whole(receipt)
    assert world.driver.sent_bytes == SIZE_BYTES - parts * PART_BYTES
    assert (receipt.write_id, receipt.parts, receipt.attempts, receipt.notes) == (write_id, PARTS, 1, ())
    assert left.upload_id not in world.uploads()
    assert world.driver.calls["begin"] == 0


DATA: dict[str, Callable[[Path], Any]] = {
    "bytes": lambda _: OURS,
    "memoryview": lambda _: memoryview(bytearray(OURS)),
    "path": lambda path: path,
    "file": lambda path: path.open("rb"),
    "raw-file": io.FileIO,
}


@pytest.mark.parametrize("kind", DATA)
def test_buffers_and_files_are_gone_on_with(world: World, source: Path, kind: str) -> None:
    first, second = DATA[kind](source), DATA[kind](source)
    world.leave(first)
    receipt = world.store.create(KEY, second, resume=True)
    world.check_whole(receipt)
    assert world.driver.sent_bytes == SIZE_BYTES - 3 * PART_BYTES
    for file in (first, second):
        if isinstance(file, io.BufferedReader | io.FileIO):
            assert file.tell() == (0 if file is first else SIZE_BYTES)
            file.close()


def test_a_file_is_gone_on_with_from_its_position_and_from_no_other(world: World, tmp_path: Path) -> None:
    path = tmp_path / "source.bin"
    path.write_bytes(b"head" + OURS)
    with path.open("rb") as file:
        file.seek(4)
        world.leave(file)
        assert file.tell() == 4
        receipt = world.store.create(KEY, file, resume=True)
        assert file.tell() == SIZE_BYTES + 4
    world.check_whole(receipt)
    assert world.driver.sent_bytes == SIZE_BYTES - 3 * PART_BYTES
    world.store.remove(KEY)
    with path.open("rb") as file:
        world.leave(file)
        file.seek(4)
        receipt = world.store.create(KEY, file, resume=True)
    world.check_whole(receipt)
    assert world.driver.sent_bytes == SIZE_BYTES


def test_a_stream_is_refused_before_anything_is_sent(world: World) -> None:
    for stream in (io.BytesIO(OURS), iter([OURS]), [OURS]):
        with pytest.raises(ValueError, match="file or bytes"):
            world.store.create(KEY, stream, resume=True)
    assert not {member for member, count in world.driver.calls.items() if count} - {"capabilities"}
    world.check_nothing_left()
    world.check_whole(world.store.create(KEY, iter([OURS])))


def test_what_is_small_is_one_request_and_needs_no_journal(world: World) -> None:
    assert world.store.create(KEY, OURS[:PART_BYTES], resume=True).parts == 0
    assert not world.journal.exists()


def test_without_resume_what_was_left_is_not_touched(world: World, source: Path) -> None:
    left = world.leave(source)
    assert world.store.create("other", source).outcome == "created"
    assert world.store.create(KEY, source).outcome == "created"
    assert world.uploads() == [left.upload_id]
    assert [entry.upload_id for entry in world.entries()] == [left.upload_id]
    with pytest.raises(ObjectExists):
        world.store.create(KEY, source, resume=True)
    assert world.uploads() == []
    assert world.entries() == []


def test_progress_begins_with_what_is_there_and_ends_with_all(world: World, source: Path) -> None:
    world.leave(source)
    told: list[tuple[int, int | None]] = []
    world.store.create(KEY, source, resume=True, progress=lambda done, total: told.append((done, total)))
    assert told[0] == (3 * PART_BYTES, SIZE_BYTES)
    assert told[-1] == (SIZE_BYTES, SIZE_BYTES)
    assert told == sorted(set(told))


def test_a_progress_that_raises_leaves_the_upload(world: World, source: Path) -> None:
    left = world.leave(source)

    def fail(_done: int, _total: int | None) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError) as caught:
        world.store.create(KEY, source, resume=True, progress=fail)
    assert any(left.upload_id in note and "resume=True" in note for note in caught.value.__notes__)
    world.check_whole(world.store.create(KEY, source, resume=True))
    assert world.driver.sent_bytes == SIZE_BYTES - 3 * PART_BYTES


# The same write, and no other

OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "options": ({}, {"options": ObjectOptions(content_type="text/plain")}),
    "metadata": (
        {"options": ObjectOptions(metadata={"a": "1"})},
        {"options": ObjectOptions(metadata={"a": "2"})},
    ),
    "write id": ({"write_id": "one"}, {"write_id": "two"}),
    "a write id now": ({}, {"write_id": "one"}),
    "no write id now": ({"write_id": "one"}, {}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_write_begins_anew_and_throws_the_old_away(world: World, source: Path, what: str) -> None:
    first, second = OTHERS[what]
    left = world.leave(source, **first)
    receipt = world.store.create(KEY, source, resume=True, **second)
    world.check_whole(receipt)
    assert world.driver.sent_bytes == SIZE_BYTES
    (note,) = receipt.notes
    assert left.upload_id in note
    assert "thrown away" in note
    info = world.store.head(KEY)
    assert info is not None
    assert info.options == second.get("options", ObjectOptions())
    if "write_id" in second:
        assert info.write_id == second["write_id"]


def test_the_same_write_id_goes_on(world: World, source: Path) -> None:
    world.leave(source, write_id="the-write")
    receipt = world.store.create(KEY, source, resume=True, write_id="the-write")
    world.check_whole(receipt)
    assert receipt.write_id == "the-write"
    assert world.driver.sent_bytes == SIZE_BYTES - 3 * PART_BYTES


@pytest.mark.parametrize("if_exists", ["same", "skip"])
def test_if_exists_may_differ_and_holds(world: World, source: Path, if_exists: Literal["same", "skip"]) -> None:
    world.leave(source)
    put_directly(world, OURS)
    receipt = world.store.create(KEY, source, resume=True, if_exists=if_exists)
    assert receipt.outcome == {"same": "same", "skip": "present"}[if_exists]
    assert receipt.write_id == "rival"
    assert world.driver.sent_bytes == 0
    world.check_nothing_left()


def put_directly(world: World, data: bytes) -> None:
    world.driver.inner.put_new(FULL_KEY, BytesBody(data), WriteMeta("rival"))


def test_a_rival_that_came_meanwhile_has_the_key_and_the_upload_is_thrown_away(world: World, source: Path) -> None:
    world.leave(source)
    put_directly(world, b"rival")
    with pytest.raises(ObjectExists) as caught:
        world.store.create(KEY, source, resume=True)
    assert caught.value.existing is not None
    assert caught.value.existing.write_id == "rival"
    assert world.driver.sent_bytes == 0, "the rest was sent in vain"
    assert world.at_key() == b"rival"
    world.check_nothing_left()


@pytest.mark.parametrize("data", [b"", OURS[:PART_BYTES]], ids=["empty", "small"])
def test_a_file_that_is_one_request_now_is_written_and_the_upload_is_left_to_a_sweep(
    world: World, source: Path, data: bytes
) -> None:
    left = world.leave(source)
    source.write_bytes(data)
    assert world.store.create(KEY, source, resume=True).outcome == "created"
    assert world.at_key() == data
    assert world.uploads() == [left.upload_id], "a sweep removes it"


# The store


def test_an_upload_that_somebody_aborted_is_begun_anew(world: World, source: Path) -> None:
    left = world.leave(source)
    world.driver.inner.abort(left.key, left.upload_id)
    write_id = world.entries()[0].write_id
    receipt = world.store.create(KEY, source, resume=True)
    world.check_whole(receipt)
    assert receipt.write_id == write_id
    assert world.driver.sent_bytes == SIZE_BYTES


def test_an_upload_that_goes_while_parts_are_sent_is_not_said_to_be_left(world: World, source: Path) -> None:
    world.leave(source)
    world.driver.plan("put_part", [GONE])
    with pytest.raises(NotWritten) as caught:
        world.store.create(KEY, source, resume=True)
    assert not any("left open" in note for note in getattr(caught.value, "__notes__", []))
    world.check_nothing_left()
    world.check_whole(world.store.create(KEY, source, resume=True))


def test_parts_of_another_size_and_of_no_place_are_not_trusted(world: World, source: Path) -> None:
    check_odd_parts(world, source)


def check_odd_parts(world: World, source: Path) -> None:
    """As another version of ours, or another program, may have sent."""
    left = world.leave(source, 2)
    odd = (PartSlot(3, 2 * PART_BYTES, PART_BYTES - 100), PartSlot(PARTS + 3, 8 * PART_BYTES, PART_BYTES))
    for slot in odd:
        data = OURS[slot.offset_bytes :][: slot.size_bytes].ljust(slot.size_bytes, b"-")
        world.driver.inner.put_part(FULL_KEY, left.upload_id, slot, BytesBody(data))
    world.check_whole(world.store.create(KEY, source, resume=True))
    assert world.driver.sent_bytes == SIZE_BYTES - 2 * PART_BYTES


def test_the_size_of_parts_is_that_of_the_upload(world: World, source: Path) -> None:
    world.leave(source)
    other = Store(
        world.driver,
        part_bytes=PART_BYTES // 2,
        multipart_from_bytes=PART_BYTES,
        in_flight=1,
        prefix="pre/fix",
        journal=world.journal,
    )
    world.check_whole(other.create(KEY, source, resume=True))
    assert world.driver.sent_bytes == SIZE_BYTES - 3 * PART_BYTES


# Two at a time


def test_whoever_is_second_in_one_process_is_told(world: World, source: Path) -> None:
    world.leave(source)
    told: list[BaseException] = []

    def again(_done: int, _total: int | None) -> None:
        if not told:
            with pytest.raises(NotWritten, match="this process itself") as caught:
                world.open_store().create(KEY, source, resume=True)
            told.append(caught.value)

    world.check_whole(world.store.create(KEY, source, resume=True, progress=again))
    assert "one at a time" in str(told[0])
    assert world.driver.sent_bytes == SIZE_BYTES - 3 * PART_BYTES


def test_two_keys_and_two_prefixes_do_not_meet(world: World, source: Path) -> None:
    told: list[str] = []

    def others(_done: int, _total: int | None) -> None:
        if not told:
            told.append(world.store.create("other", source, resume=True).outcome)
            elsewhere = Store(world.driver, part_bytes=PART_BYTES, multipart_from_bytes=1, journal=world.journal)
            told.append(elsewhere.create(KEY, source, resume=True).outcome)

    assert world.store.create(KEY, source, resume=True, progress=others).outcome == "created"
    assert told == ["created", "created"]


def test_on_disk_a_failed_upload_is_held_until_its_store_is_closed(tmp_path: Path, source: Path) -> None:
    first, second = World("local", tmp_path), World("local", tmp_path)
    first.driver.plan("put_part", [None, None, REFUSED])
    with pytest.raises(NotWritten):
        first.store.create(KEY, source, resume=True)
    with pytest.raises(NotWritten, match="written by another"):
        second.store.create(KEY, source, resume=True)
    first.store.close()
    second.check_whole(second.store.create(KEY, source, resume=True))
    assert second.driver.sent_bytes == SIZE_BYTES - 2 * PART_BYTES


def test_the_journal_is_for_this_user_alone_and_knows_the_options_by_their_digest(world: World, source: Path) -> None:
    world.leave(source, options=ObjectOptions(metadata={"token": "hush-hush"}))
    (path,) = world.journal.iterdir()
    text = path.read_text()
    assert "hush-hush" not in text
    assert str(source) in text
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(world.journal.stat().st_mode)) == (0o600, 0o700)


# What these laws must find out


def believe(*_: object) -> bool:
    return True


def test_who_trusts_parts_of_another_size_is_found_out(tmp_path: Path, source: Path) -> None:
    with patch.object(Resumable, "_is_ours", believe), pytest.raises((AssertionError, NotWritten)):
        check_odd_parts(World("memory", tmp_path), source)


def test_who_takes_a_new_write_id_is_found_out(tmp_path: Path, source: Path) -> None:
    def go_on_as_another(self: Resumable, diary: ResumeDiary) -> Creation:
        return creation(replace(self, wanted=replace(self.wanted, write_id=os.urandom(4).hex())), diary)

    creation = Resumable.creation
    with patch.object(Resumable, "creation", go_on_as_another), pytest.raises((AssertionError, ObjectExists)):
        check_landed(World("memory", tmp_path), source)


# A finish whose answer nobody heard


def test_a_finish_that_landed_is_known_as_our_own(world: World, source: Path) -> None:
    check_landed(world, source)


def check_landed(world: World, source: Path) -> None:
    world.driver.plan("finish_new", [CTRL_C_AFTER])
    with pytest.raises(KeyboardInterrupt):
        world.store.create(KEY, source, resume=True)
    before = world.store.head(KEY)
    assert before is not None
    assert world.entries()[0].committing
    world.reopen()
    receipt = world.store.create(KEY, source, resume=True)
    world.check_whole(receipt)
    assert world.store.head(KEY) == before
    assert receipt.resolved
    assert world.driver.sent_bytes == 0


def test_a_finish_that_did_not_land_is_sent_again(world: World, source: Path) -> None:
    world.leave(source, PARTS, member="finish_new")
    receipt = world.store.create(KEY, source, resume=True)
    world.check_whole(receipt)
    assert world.driver.sent_bytes == 0
