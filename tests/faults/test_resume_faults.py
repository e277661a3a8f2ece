"""Every fault at every call of a `create(resume=True)`: what we are told is true, and the next one goes on."""

from __future__ import annotations

import errno
import itertools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

import pytest

from faults.resume_worlds import (
    CTRL_C_AFTER,
    CTRL_C_BEFORE,
    KEY,
    OURS,
    PART_BYTES,
    PARTS,
    RIVAL,
    RIVAL_FIRST,
    World,
    go_on,
)
from storage_guard import NotWritten, ObjectExists, OutcomeUnknown, Receipt, StorageGuardError, StoreUnavailable
from storage_guard.testing import (
    BUSY,
    CONFLICT,
    CONFLICT_RESTART,
    CUT,
    GONE,
    LATE,
    LOST_AFTER,
    LOST_BEFORE,
    REFUSED,
    TWICE,
    Fault,
    Member,
    race_processes,
    winners,
)
from storage_guard.uploads.journal import Entry, Held

FAULTS: dict[Member, Sequence[Fault]] = {
    "head": (LOST_BEFORE, BUSY, REFUSED, RIVAL_FIRST),
    "scan_parts": (LOST_BEFORE, BUSY, REFUSED, GONE, RIVAL_FIRST),
    "begin": (LOST_AFTER, LOST_BEFORE, BUSY, REFUSED, RIVAL_FIRST),
    "put_part": (LOST_AFTER, LOST_BEFORE, LATE, CUT, BUSY, CONFLICT, GONE, REFUSED, RIVAL_FIRST),
    "finish_new": (
        *(LOST_AFTER, LOST_BEFORE, LATE, CUT, TWICE, BUSY, CONFLICT, CONFLICT_RESTART, REFUSED, GONE, RIVAL_FIRST),
    ),
    "abort": (LOST_AFTER, LOST_BEFORE, LATE, BUSY, REFUSED, GONE),
}


def begin_nothing(_world: World) -> None:
    pass


def leave_some(world: World) -> None:
    world.leave(OURS)


def leave_unfinished(world: World) -> None:
    world.leave(OURS, PARTS, member="finish_new")


def leave_finished(world: World) -> None:
    world.driver.plan("finish_new", [CTRL_C_AFTER])
    with pytest.raises(KeyboardInterrupt):
        world.store.create(KEY, OURS, resume=True)
    world.reopen()


def leave_aborted(world: World) -> None:
    left = world.leave(OURS)
    world.driver.inner.abort(left.key, left.upload_id)


STATES = (begin_nothing, leave_some, leave_unfinished, leave_finished, leave_aborted)
Planned = tuple[tuple[Member, int, Fault], ...]


def singles() -> Iterator[Planned]:
    for member, faults in FAULTS.items():
        for fault, before in itertools.product(faults, range(3)):
            yield ((member, before, fault),)


def pairs() -> Iterator[Planned]:
    alone: list[tuple[Member, int, Fault]] = [(member, 0, fault) for member in FAULTS for fault in FAULTS[member]]
    yield from itertools.product(alone, alone)


def run(world: World, planned: Planned) -> Receipt | StorageGuardError:
    for member, before, fault in planned:
        world.driver.plan(member, [*[None] * before, fault])
    try:
        return world.store.create(KEY, OURS, resume=True)
    except StorageGuardError as exc:
        return exc


def judge(world: World, told: Receipt | StorageGuardError) -> None:
    seen = world.at_key()
    world.driver.deliver()
    finally_there = world.at_key()
    notes = " ".join(told.notes if isinstance(told, Receipt) else getattr(told, "__notes__", ()))
    known = {entry.upload_id for entry in world.entries()}
    for upload_id in world.uploads():
        assert upload_id in notes or "may be left open" in notes, f"upload left and not told: {notes}"
    for upload_id in re.findall(r"upload (\w+) of 'a/b' is left open: create with resume=True", notes):
        assert upload_id in known, "nobody could go on with it"
    match told:
        case Receipt():
            assert seen == finally_there == OURS
        case ObjectExists():
            assert seen == finally_there == RIVAL
        case NotWritten():
            assert seen in (None, RIVAL)
            assert finally_there in (None, RIVAL), "not written, and then it appeared"
        case OutcomeUnknown():
            assert finally_there in (None, OURS, RIVAL)
        case _:
            pytest.fail(f"unexpected: {told!r}")


def judge_the_next(world: World, told: Receipt | StorageGuardError) -> None:
    """Without faults it completes, and takes nothing of ours for another's."""
    notes = " ".join(told.notes if isinstance(told, Receipt) else getattr(told, "__notes__", ()))
    before = world.driver.inner.head("pre/fix/a/b")
    world.reopen()
    again = run(world, ())
    if isinstance(told, Receipt) or world.at_key() == RIVAL:
        assert isinstance(again, ObjectExists)
    else:
        assert isinstance(again, Receipt), f"{again!r}"
        assert world.at_key() == OURS
        after = world.driver.inner.head("pre/fix/a/b")
        assert after is not None
        assert after.write_id == again.write_id
        assert before in (None, after)
    world.reopen()
    world.store.sweep(older_than_s=0)
    assert all(upload_id in notes or "may be left open" in notes for upload_id in world.uploads())
    assert world.entries() == []


def check_all(tmp_path: Path, state: Callable[[World], None], plans: Iterator[Planned]) -> Counter[str]:
    told: Counter[str] = Counter()
    for number, planned in enumerate(plans):
        world = World("memory", tmp_path / str(number))
        try:
            state(world)
            result = run(world, planned)
            judge(world, result)
            judge_the_next(world, result)
            told[type(result).__name__] += 1
        except BaseException as exc:
            exc.add_note(f"faults: {planned}")
            raise
    return told


@pytest.mark.parametrize("state", STATES)
def test_whatever_fails_what_is_told_is_true_and_the_next_goes_on(
    tmp_path: Path, state: Callable[[World], None]
) -> None:
    told = check_all(tmp_path, state, singles())
    assert told["Receipt"] > 100
    assert told["ObjectExists"] or state is leave_finished
    assert told["OutcomeUnknown"] <= (4 if state is leave_unfinished else 1), "unknown without need"


@pytest.mark.soak
@pytest.mark.parametrize("state", STATES)
def test_whatever_fails_twice_what_is_told_is_true_and_the_next_goes_on(
    tmp_path: Path, state: Callable[[World], None]
) -> None:
    assert "Receipt" in check_all(tmp_path, state, pairs())


@pytest.mark.parametrize("kind", ["memory", "local"])
@pytest.mark.parametrize(("member", "fault"), [("put_part", BUSY), ("put_part", REFUSED), ("scan_parts", BUSY)])
def test_a_store_in_trouble_keeps_the_upload_and_the_error_says_how_to_go_on(
    tmp_path: Path, kind: str, member: Member, fault: Fault
) -> None:
    world = World(kind, tmp_path)
    left = world.leave(OURS)
    world.driver.plan(member, [fault] * 1000)
    with pytest.raises(StoreUnavailable if fault is BUSY else NotWritten) as caught:
        world.store.create(KEY, OURS, resume=True)
    assert any(left.upload_id in note and "resume=True" in note for note in caught.value.__notes__)
    world.reopen()
    world.check_whole(world.store.create(KEY, OURS, resume=True))
    assert world.driver.sent_bytes == len(OURS) - 3 * PART_BYTES


# Ctrl-C


@pytest.mark.parametrize("kind", ["memory", "local"])
@pytest.mark.parametrize("state", STATES)
def test_ctrl_c_at_every_call_keeps_the_upload_and_the_next_completes(
    tmp_path: Path, kind: str, state: Callable[[World], None]
) -> None:
    unhurried = World(kind, tmp_path / "unhurried")
    state(unhurried)
    unhurried.store.create(KEY, OURS, resume=True)
    counts: dict[Member, int] = dict(unhurried.driver.calls)
    calls: list[tuple[Member, int]] = [(member, number) for member in counts for number in range(counts[member])]
    assert len(calls) > 2
    for (member, number), fault in itertools.product(calls, (CTRL_C_BEFORE, CTRL_C_AFTER)):
        world = World(kind, tmp_path / f"{member}-{number}-{fault is CTRL_C_AFTER}")
        state(world)
        known = [entry.upload_id for entry in world.entries()]
        world.driver.plan(member, [*[None] * number, fault])
        with pytest.raises(KeyboardInterrupt):
            world.store.create(KEY, OURS, resume=True)
        if known and state is not leave_aborted and member != "begin":
            assert [entry.upload_id for entry in world.entries()] == known
        world.reopen()
        open_still = {entry.upload_id for entry in world.entries()} & set(world.uploads())
        receipt = world.store.create(KEY, OURS, resume=True)
        assert (receipt.outcome, world.at_key()) == ("created", OURS)
        assert world.entries() == []
        if member != "begin":
            world.check_whole(receipt)
            if open_still:
                assert world.driver.calls["begin"] == 0
        world.store.close()


@pytest.mark.parametrize("recorded", [False, True])
def test_ctrl_c_while_the_upload_is_written_down_leaves_nothing_or_what_is_known(
    tmp_path: Path, recorded: bool
) -> None:
    record = Held.record

    def interrupted(self: Held, entry: Entry) -> None:
        if recorded:
            record(self, entry)
        raise KeyboardInterrupt

    world = World("memory", tmp_path)
    with patch.object(Held, "record", interrupted), pytest.raises(KeyboardInterrupt) as caught:
        world.store.create(KEY, OURS, resume=True)
    assert world.uploads() == [entry.upload_id for entry in world.entries()]
    assert len(world.uploads()) == recorded
    assert any("resume=True" in note for note in caught.value.__notes__) == recorded
    world.check_whole(world.store.create(KEY, OURS, resume=True))


# The journal


def spoil(world: World) -> str:
    (path,) = world.journal.iterdir()
    path.write_bytes(b"storage-guard journal 2\n")
    return str(path)


def put_a_folder_in_its_place(world: World) -> str:
    (path,) = world.journal.iterdir()
    path.unlink()
    path.mkdir()
    return str(path)


def put_a_link_in_its_place(world: World) -> str:
    (path,) = world.journal.iterdir()
    path.rename(world.folder / "elsewhere")
    path.symlink_to(world.folder / "elsewhere")
    return str(path)


def make_the_journal_a_file(world: World) -> str:
    for path in world.journal.iterdir():
        path.unlink()
    world.journal.rmdir()
    world.journal.write_bytes(b"")
    return str(world.journal)


@pytest.mark.parametrize(
    "trouble", [spoil, put_a_folder_in_its_place, put_a_link_in_its_place, make_the_journal_a_file]
)
def test_without_a_journal_nothing_is_sent_and_the_message_says_what_to_do(
    tmp_path: Path, trouble: Callable[[World], str]
) -> None:
    world = World("keeping", tmp_path)
    left = world.leave(OURS)
    path = trouble(world)
    with pytest.raises(NotWritten, match=r"remove it|STORAGE_GUARD_JOURNAL") as caught:
        world.store.create(KEY, OURS, resume=True)
    assert path in str(caught.value)
    assert not {member for member, count in world.driver.calls.items() if count} - {"capabilities"}
    assert world.uploads() == [left.upload_id]
    receipt = world.store.create(KEY, OURS)
    assert (receipt.outcome, world.at_key()) == ("created", OURS)
    assert len(receipt.notes) == (trouble is make_the_journal_a_file)


def full(_self: Held, _line: bytes) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("resume", [False, True])
def test_a_journal_on_a_full_disk_fails_no_write(tmp_path: Path, resume: bool) -> None:
    world = World("keeping", tmp_path)
    with patch.object(Held, "_append", full):
        receipt = world.store.create(KEY, OURS, resume=resume)
    world.check_whole(receipt)
    assert any("if this process had died" in note and "No space left" in note for note in receipt.notes)


def test_what_was_not_written_down_is_not_left_behind(tmp_path: Path) -> None:
    world = World("keeping", tmp_path)
    world.driver.plan("put_part", [None, REFUSED])
    with patch.object(Held, "_append", full), pytest.raises(NotWritten) as caught:
        world.store.create(KEY, OURS, resume=True)
    assert not any("resume=True" in note for note in caught.value.__notes__)
    world.check_nothing_left()


def test_a_journal_that_fails_midway_fails_no_write(tmp_path: Path) -> None:
    world = World("keeping", tmp_path)
    world.leave(OURS)

    def remove_by_hand(_done: int, _total: int | None) -> None:
        for path in world.journal.iterdir():
            path.unlink()

    receipt = world.store.create(KEY, OURS, resume=True, progress=remove_by_hand)
    world.check_whole(receipt)
    assert any("somebody removed it by hand" in note for note in receipt.notes)


def test_an_entry_that_cannot_be_removed_is_told_and_does_no_harm(tmp_path: Path) -> None:
    world = World("memory", tmp_path)

    def fail(_self: Held) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    with patch.object(Held, "_forget", fail):
        receipt = world.store.create(KEY, OURS, resume=True)
    assert any("could not be removed" in note for note in receipt.notes)
    world.store.remove(KEY)
    world.check_whole(world.store.create(KEY, OURS, resume=True))


@pytest.mark.parametrize("write_id", [None, "the-write"])
def test_without_its_journal_an_object_of_ours_is_known_by_a_callers_write_id_only(
    tmp_path: Path, write_id: str | None
) -> None:
    world = World("memory", tmp_path)
    world.driver.plan("finish_new", [CTRL_C_AFTER])
    with pytest.raises(KeyboardInterrupt):
        world.store.create(KEY, OURS, resume=True, write_id=write_id)
    for path in world.journal.iterdir():
        path.unlink()
    if write_id is None:
        with pytest.raises(ObjectExists):
            world.reopen().create(KEY, OURS, resume=True)
    else:
        world.check_whole(world.reopen().create(KEY, OURS, resume=True, write_id=write_id))


# Many processes


@pytest.mark.parametrize("rounds", [5, pytest.param(50, marks=pytest.mark.soak)])
def test_of_eight_processes_that_go_on_one_does(tmp_path: Path, rounds: int) -> None:
    worlds = [World("local", tmp_path / str(number)) for number in range(rounds)]
    for world in worlds:
        world.folder.mkdir()
        world.source.write_bytes(OURS)
        world.leave(world.source)
    write_ids = [world.entries()[0].write_id for world in worlds]
    results = race_processes(go_on, [(str(tmp_path), contender) for contender in range(8)], rounds=rounds)
    for world, write_id, told in zip(worlds, write_ids, results, strict=True):
        assert winners(told) == [write_id]
        for each in told:
            if isinstance(each, BaseException):
                assert isinstance(each, NotWritten | ObjectExists), repr(each)
                told_who = re.search(r"(process \d+|another process) is at work", str(each))
                assert isinstance(each, ObjectExists) or told_who
        info = world.store.head(KEY)
        assert info is not None
        assert (world.at_key(), info.write_id) == (OURS, write_id)
        world.check_nothing_left()
