"""`Store.sweep` and `Store.uploads`: throw away what the dead have left, and nothing of the living."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from faults.resume_worlds import CTRL_C_AFTER, FULL_KEY, KEY, OURS, PART_BYTES, PARTS, CountingDriver, World
from storage_guard import NotWritten, Store, StoreUnavailable
from storage_guard.driver import Busy, PartSlot, WriteMeta
from storage_guard.model import Upload
from storage_guard.testing import BUSY, GONE, LOST_AFTER, LOST_BEFORE, REFUSED, BytesBody, Fault
from storage_guard.uploads import ownfile as own
from storage_guard.uploads.journal import Journal
from storage_guard_local import LocalDriver

HOUR_S = 3600.0


@pytest.fixture(params=["keeping", "local", "durable"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    world = World(request.param, tmp_path)
    yield world
    world.store.close()


@pytest.fixture
def service(tmp_path: Path) -> World:
    return World("keeping", tmp_path)


def in_an_hour() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1, seconds=1)


def die(world: World, data: Any = OURS) -> Upload:
    """Leave the upload of a create without resume, as kill -9 would: neither the store nor the journal hears of it."""

    def dead(*_: object, **_more: object) -> None:
        raise KeyboardInterrupt

    inner = world.driver.inner
    with patch.object(type(inner), "put_part", dead), patch.object(type(inner), "abort", dead):
        with suppress(KeyboardInterrupt):
            world.store.create(KEY, data)
    (left,) = inner.scan_uploads("")
    world.reopen()
    return left


# Ours


def test_a_container_of_the_same_name_at_another_service_is_another_one(service: World) -> None:
    left = service.leave(OURS)
    here = service.store.driver.location
    elsewhere = replace(here, endpoint="another")
    with patch.object(type(service.store.driver), "location", elsewhere):
        swept = service.store.sweep(older_than_s=0, now=in_an_hour())
    assert (swept.removed, swept.kept, swept.notes) == ((), (), ())
    assert [entry.upload_id for entry in service.entries()] == [left.upload_id]
    assert len(service.store.sweep(older_than_s=0, now=in_an_hour()).removed) == 1


def test_what_a_dead_resumable_create_left_is_swept_when_it_is_old_enough(world: World) -> None:
    left = world.leave(OURS)
    swept = world.store.sweep(older_than_s=HOUR_S)
    assert (swept.removed, swept.kept, swept.notes) == ((), (), ())
    assert world.uploads() == [left.upload_id]
    assert [entry.upload_id for entry in world.entries()] == [left.upload_id]
    swept = world.store.sweep(older_than_s=HOUR_S, now=in_an_hour())
    assert [(upload.key, upload.upload_id) for upload in swept.removed] == [(KEY, left.upload_id)]
    world.check_nothing_left()
    assert world.store.sweep(older_than_s=0).removed == ()


@pytest.mark.parametrize("data", [OURS, "stream"], ids=["bytes", "stream"])
def test_what_a_dead_create_left_in_a_store_that_keeps_it_is_swept(service: World, data: Any) -> None:
    left = die(service, iter([OURS]) if data == "stream" else data)
    assert [(entry.upload_id, entry.source) for entry in service.entries()] == [(left.upload_id, None)]
    assert service.store.sweep(older_than_s=HOUR_S).removed == ()
    swept = service.store.sweep(older_than_s=HOUR_S, now=in_an_hour())
    assert [upload.upload_id for upload in swept.removed] == [left.upload_id]
    service.check_nothing_left()


def test_what_is_only_for_a_sweep_is_not_gone_on_with(service: World) -> None:
    left = die(service)
    receipt = service.store.create(KEY, OURS, resume=True)
    assert receipt.outcome == "created"
    assert service.uploads() == [left.upload_id]


def test_a_create_that_ends_leaves_no_entry(service: World) -> None:
    service.store.create(KEY, OURS)
    service.check_nothing_left()
    with pytest.raises(FileExistsError):
        service.store.create(KEY, OURS)
    service.driver.plan("put_part", [REFUSED])
    with pytest.raises(NotWritten):
        service.store.create("other", OURS)
    service.check_nothing_left()


def test_what_a_living_create_is_at_work_on_is_never_touched(service: World) -> None:
    check_living(service)


def check_living(service: World) -> None:
    swept: list[object] = []

    def sweep(_done: int, _total: int | None) -> None:
        if not swept:
            swept.append(service.open_store().sweep(older_than_s=0, now=in_an_hour()).removed)

    for resume in (False, True):
        swept.clear()
        receipt = service.store.create(f"{KEY}{resume}", OURS, resume=resume, progress=sweep)
        assert swept == [()]
        assert receipt.parts == PARTS
    assert service.uploads() == []


def test_a_sweep_that_ignores_the_lock_is_found_out(service: World) -> None:
    def no_lock(file: io.FileIO) -> None:
        assert not file.closed

    with patch.object(own, "_lock", no_lock), pytest.raises((AssertionError, NotWritten)):
        check_living(service)


def test_an_upload_that_may_be_finished_is_swept_and_no_object_is(world: World) -> None:
    world.driver.plan("finish_new", [CTRL_C_AFTER])
    with pytest.raises(KeyboardInterrupt):
        world.store.create(KEY, OURS, resume=True)
    world.reopen()
    assert world.entries()[0].committing
    swept = world.store.sweep(older_than_s=0, now=in_an_hour())
    assert (swept.removed, swept.kept) == ((), ())
    assert world.at_key() == OURS
    world.check_nothing_left()


def test_an_upload_that_was_about_to_be_finished_is_swept(world: World) -> None:
    left = world.leave(OURS, PARTS, member="finish_new")
    swept = world.store.sweep(older_than_s=0, now=in_an_hour())
    assert [upload.upload_id for upload in swept.removed] == [left.upload_id]
    assert world.at_key() is None
    world.check_nothing_left()


def test_a_sweep_is_of_one_store(service: World) -> None:
    service.leave(OURS)
    elsewhere = Store(service.driver, prefix="other", journal=service.journal)
    assert elsewhere.sweep(older_than_s=0, now=in_an_hour()).removed == ()
    assert len(service.entries()) == 1


def test_stores_of_one_address_and_other_keys_leave_each_others_uploads_alone(tmp_path: Path) -> None:
    """The same folder, once by the prefix and once by the root: the uploads are in different places."""
    world = World("local", tmp_path)
    left = world.leave(OURS)
    below = Store(LocalDriver(world.root / "pre"), prefix="fix", journal=world.journal)
    assert below.url == world.store.url
    assert below.sweep(older_than_s=0, now=in_an_hour()).removed == ()
    assert [entry.upload_id for entry in world.entries()] == [left.upload_id]
    assert len(world.store.sweep(older_than_s=0, now=in_an_hour()).removed) == 1


# Named


def begin(world: World, key: str = FULL_KEY) -> Upload:
    """Somebody else's."""
    upload_id = world.driver.inner.begin(key, WriteMeta("another"))
    (found,) = (each for each in world.driver.inner.scan_uploads(key) if each.upload_id == upload_id)
    return found


def put(world: World, upload: Upload, number: int = 1) -> None:
    slot = PartSlot(number, (number - 1) * PART_BYTES, PART_BYTES)
    world.driver.inner.put_part(upload.key, upload.upload_id, slot, BytesBody(b"x" * PART_BYTES))


def test_others_are_swept_when_they_are_named_only(service: World) -> None:
    one, other = begin(service), begin(service, "pre/fix/other")
    assert service.store.sweep(older_than_s=0, now=in_an_hour()).removed == ()
    named = list(service.store.uploads("a/"))
    assert [upload.upload_id for upload in named] == [one.upload_id]
    assert service.store.sweep(older_than_s=0, uploads=named, now=in_an_hour()).removed == tuple(named)
    assert service.uploads() == [other.upload_id]


def test_a_named_upload_is_as_old_as_its_newest_part(service: World) -> None:
    upload = begin(service)
    put(service, upload)
    named = [Upload(KEY, upload.upload_id, upload.started - timedelta(days=1))]
    swept = service.store.sweep(older_than_s=HOUR_S, uploads=named)
    assert swept.removed == ()
    ((kept, why),) = swept.kept
    assert kept == named[0]
    assert why.startswith("it got a part at ")
    assert service.store.sweep(older_than_s=HOUR_S, uploads=named, now=in_an_hour()).removed == tuple(named)
    assert service.uploads() == []


def test_a_named_upload_without_parts_is_as_old_as_its_beginning(service: World) -> None:
    begin(service)
    named = list(service.store.uploads())
    assert service.store.sweep(older_than_s=HOUR_S, uploads=named).removed == ()
    assert service.store.sweep(older_than_s=HOUR_S, uploads=named, now=in_an_hour()).removed == tuple(named)


def test_a_named_upload_that_is_gone_is_neither_removed_nor_kept(service: World) -> None:
    swept = service.store.sweep(older_than_s=0, uploads=[Upload(KEY, "gone", datetime.now(UTC))], now=in_an_hour())
    assert (swept.removed, swept.kept) == ((), ())


def test_keys_that_we_would_not_write_can_be_swept(service: World) -> None:
    upload = begin(service, "pre/fix//../odd\n")
    named = list(service.store.uploads())
    assert [each.key for each in named] == ["/../odd\n"]
    swept = service.store.sweep(older_than_s=0, uploads=named, now=in_an_hour())
    assert [each.upload_id for each in swept.removed] == [upload.upload_id]


def test_an_upload_on_disk_that_somebody_works_on_is_kept(tmp_path: Path) -> None:
    world = World("local", tmp_path)
    upload_id = world.driver.inner.begin(FULL_KEY, WriteMeta("another", lasting=True))
    living = world.driver.inner  # holds it
    other = World("local", tmp_path)
    named = list(other.store.uploads())
    assert [each.upload_id for each in named] == [upload_id]
    swept = other.store.sweep(older_than_s=0, uploads=named, now=in_an_hour())
    assert swept.removed == ()
    assert "another" in swept.kept[0][1]
    living.abort(FULL_KEY, upload_id)


# Trouble


@pytest.mark.parametrize("fault", [REFUSED, LOST_BEFORE, BUSY])
def test_what_cannot_be_aborted_is_kept_and_stays_in_the_journal(world: World, fault: Fault) -> None:
    left = world.leave(OURS)
    world.driver.plan("abort", [fault] * 1000)
    swept = world.store.sweep(older_than_s=0, now=in_an_hour())
    assert swept.removed == ()
    ((kept, why),) = swept.kept
    assert kept.upload_id == left.upload_id
    assert "could not be aborted" in why
    assert [entry.upload_id for entry in world.entries()] == [left.upload_id]
    world.reopen()
    receipt = world.store.create(KEY, OURS, resume=True)
    world.check_whole(receipt)
    assert world.driver.sent_bytes == len(OURS) - 3 * PART_BYTES


@pytest.mark.parametrize("faults", [[BUSY], [LOST_BEFORE, BUSY], [LOST_AFTER], [GONE]])
def test_passing_trouble_is_waited_for(world: World, faults: list[Fault]) -> None:
    world.leave(OURS)
    world.driver.plan("abort", faults)
    assert world.store.sweep(older_than_s=0, now=in_an_hour()).kept == ()
    world.check_nothing_left()


def test_one_that_cannot_be_looked_at_does_not_keep_the_others(service: World) -> None:
    one, other = begin(service, FULL_KEY), begin(service, "pre/fix/c")
    service.driver.plan("scan_parts", [REFUSED])
    swept = service.store.sweep(older_than_s=0, uploads=service.store.uploads(), now=in_an_hour())
    assert [(each.upload_id, "could not be listed" in why) for each, why in swept.kept] == [(one.upload_id, True)]
    assert [each.upload_id for each in swept.removed] == [other.upload_id]


def test_a_journal_that_cannot_be_read_is_said(world: World) -> None:
    left = world.leave(OURS)
    (path,) = world.journal.iterdir()
    path.write_bytes(b"storage-guard journal 2\n")
    swept = world.store.sweep(older_than_s=0, now=in_an_hour())
    assert swept.removed == ()
    (note,) = swept.notes
    assert str(path) in note
    assert "not of version 1" in note
    assert world.uploads() == [left.upload_id]
    named = list(world.store.uploads())
    assert world.store.sweep(older_than_s=0, uploads=named, now=in_an_hour()).removed == tuple(named)


def test_a_journal_that_is_no_folder_ends_a_sweep(world: World) -> None:
    world.journal.write_bytes(b"")
    with pytest.raises(NotWritten, match="journal"):
        world.store.sweep(older_than_s=0)


def test_no_negative_age(world: World) -> None:
    with pytest.raises(ValueError, match="older_than_s"):
        world.store.sweep(older_than_s=-1)


# Listing


def test_uploads_are_those_below_the_prefix_with_keys_as_users_know_them(service: World) -> None:
    for key in ("pre/fix/a/b", "pre/fix/a/c", "pre/fix/b", "pre/fixture", "other", "pre/fix/.storage-guard/x"):
        begin(service, key)
    assert [upload.key for upload in service.store.uploads()] == ["a/b", "a/c", "b"]
    assert [upload.key for upload in service.store.uploads("a/")] == ["a/b", "a/c"]
    assert list(service.store.uploads("none")) == []


FAULTS: dict[str, tuple[Callable[[World], None], bool]] = {
    "busy": (lambda world: world.driver.plan("scan_uploads", [BUSY, LOST_BEFORE]), True),
    "always busy": (lambda world: world.driver.plan("scan_uploads", [BUSY] * 1000), False),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_listing_is_repeated_and_then_given_up(service: World, fault: str) -> None:
    plan, in_time = FAULTS[fault]
    begin(service)
    plan(service)
    if in_time:
        assert [upload.key for upload in service.store.uploads()] == [KEY]
    else:
        with pytest.raises(StoreUnavailable, match="could not be listed"):
            list(service.store.uploads())


def test_a_listing_that_breaks_off_goes_on_without_repeating(service: World) -> None:
    ids = [begin(service, f"pre/fix/{each}").upload_id for each in "abc"]

    breaks = [True]

    def break_off(self: CountingDriver, prefix: str, /) -> Iterator[Upload]:
        for number, upload in enumerate(self.inner.scan_uploads(prefix)):
            if number == 2 and breaks and breaks.pop():
                raise Busy("throttled")
            yield upload

    with patch.object(CountingDriver, "scan_uploads", break_off):
        assert [upload.upload_id for upload in service.store.uploads()] == ids
    assert not breaks


def test_the_journal_is_asked_with_the_lock(service: World) -> None:
    """Two sweeps at a time: what the one looks at the other leaves alone."""
    service.leave(OURS)
    for held in Journal(service.journal).dead(service.store.driver.location.url()):
        assert held.entry is not None
        assert service.store.sweep(older_than_s=0, now=in_an_hour()).removed == ()
    assert len(service.store.sweep(older_than_s=0, now=in_an_hour()).removed) == 1
