"""What is known of an upload that could not be ended as it should be."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from faults.resume_worlds import KEY, KINDS, OURS, PARTS, SIZE_BYTES, CountingDriver, World, other_data
from storage_guard import NotWritten, ObjectExists
from storage_guard.driver import Part
from storage_guard.testing import REFUSED, TWICE
from storage_guard.uploads.journal import Held


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    world = World(request.param, tmp_path)
    yield world
    world.store.close()


def test_behind_a_receipt_nobody_goes_on(world: World) -> None:
    """The upload could not be aborted; a second create is another write all the same."""
    world.driver.plan("finish_new", [TWICE])
    world.driver.plan("abort", [REFUSED])
    receipt = world.store.create(KEY, OURS, resume=True)
    assert (receipt.outcome, receipt.resolved) == ("created", True)
    assert any("left open" in note for note in receipt.notes)
    world.reopen()
    with pytest.raises(ObjectExists):
        world.store.create(KEY, OURS, resume=True)
    world.check_nothing_left()


def test_what_could_not_be_thrown_away_for_a_rival_is_swept(world: World) -> None:
    left = world.leave(OURS)
    assert world.open_store().create(KEY, b"rival").outcome == "created"
    world.driver.plan("abort", [REFUSED])
    with pytest.raises(ObjectExists) as caught:
        world.store.create(KEY, OURS, resume=True)
    assert any(left.upload_id in note for note in caught.value.__notes__)
    assert [entry.source for entry in world.entries()] == [None]
    assert [upload.upload_id for upload in world.store.sweep(older_than_s=0).removed] == [left.upload_id]
    world.check_nothing_left()


def test_what_was_not_written_down_is_not_promised_even_where_another_is(world: World) -> None:
    world.leave(OURS)
    world.driver.plan("put_part", [None, REFUSED])

    def full(_self: Held, _line: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with patch.object(Held, "_append", full), pytest.raises(NotWritten) as caught:
        world.store.create(KEY, other_data(), resume=True)
    assert not any("resume=True" in note for note in caught.value.__notes__)
    world.check_nothing_left()


def test_parts_that_the_store_has_lost_behind_a_finish_are_sent_in_a_new_upload_of_the_same_write(
    world: World,
) -> None:
    """As a disk may that lost its power."""
    left = world.leave(OURS, PARTS, member="finish_new")
    write_id = world.entries()[0].write_id
    found = CountingDriver.scan_parts

    def lose_one(self: CountingDriver, key: str, upload_id: str, /) -> Iterator[Part]:
        yield from (part for part in found(self, key, upload_id) if part.slot.number != 2)

    with patch.object(CountingDriver, "scan_parts", lose_one):
        receipt = world.store.create(KEY, OURS, resume=True)
    world.check_whole(receipt)
    assert receipt.write_id == write_id
    assert left.upload_id in receipt.notes[0]
    assert world.driver.sent_bytes == SIZE_BYTES
