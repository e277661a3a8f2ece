"""Every request of every way to create, over real sockets, loses its answer in every way: what is told is true."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from faults.oss_world import CHECKED_FIRST, CheckedFirst, world
from faults.served_cases import (
    WAYS,
    Case,
    cut_at_every_byte,
    never_answered,
    plots,
    run,
    stays_unknown,
    two_at_a_time,
    words_of,
)
from faults.served_world import ACTED, KINDS, RIVAL_ID, Kind, Plot
from storage_guard import (
    GuaranteeBroken,
    GuaranteeMissing,
    ObjectDamaged,
    OutcomeUnknown,
)
from storage_guard.names import WRITE_ID
from storage_guard.testing.server import Answer, Asked, Cue, Hold, altered, cut_before_acting

FINISHES = [(name, each) for name, way in WAYS.items() for each in CHECKED_FIRST[: 1 + ("finish_new" in way.members)]]


@pytest.mark.parametrize(("name", "checked_first"), FINISHES)
def test_one_lost_answer_leaves_no_doubt(name: str, checked_first: CheckedFirst) -> None:
    way = WAYS[name]
    with world(checked_first=checked_first) as there:
        cases = [Case(there, f"c{number}", way, plot) for number, plot in enumerate(plots(KINDS, way.members))]
        told = run(there, cases)
    assert all(case.plot.struck == 1 for case in cases)
    expected = {"Receipt", "ObjectExists"}
    # What cannot be read again is not sent again, where it is known that it did not land.
    assert set(told) == expected if way.rewindable else expected <= set(told) <= {*expected, "StoreUnavailable"}


@pytest.mark.parametrize(("name", "commit"), [("small", "put_new"), ("parts", "finish_new"), ("copy", "copy_new")])
def test_lost_answers_to_those_who_look_are_no_verdict(name: str, commit: str) -> None:
    with world() as there:
        plots = enumerate(two_at_a_time(KINDS, commit))
        cases = [Case(there, f"c{number}", WAYS[name], plot) for number, plot in plots]
        told = run(there, cases)
        for case in [each for each in cases if isinstance(each.told, OutcomeUnknown)]:
            _, (look, kind, times) = case.plot.strikes
            # An abort that finds nothing may have been late: a finish may have taken the upload, and be at work.
            if times is not None and not (look == "abort" and kind.acts):
                assert not stays_unknown(there, case), f"it can be known: {words_of(case.plot)}"
    assert set(told) == {"Receipt", "ObjectExists", "OutcomeUnknown"}


@pytest.mark.parametrize("name", ["small", "parts", "stream", "copy in parts", "large file"])
def test_a_write_that_is_never_answered_is_settled_later(name: str) -> None:
    way = WAYS[name]
    with world() as there:
        plots = enumerate(never_answered(KINDS, way.members[-1]))
        cases = [Case(there, f"c{number}", way, plot) for number, plot in plots]
        told = run(there, cases)
    assert set(told) == {"OutcomeUnknown"}


# Answers that end before their time


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("member", ["put_new", "head"])
def test_an_answer_that_ends_anywhere_says_nothing_wrong(member: str, reset: bool) -> None:
    before = [("put_new", ACTED, 1)] if member == "head" else []
    with world() as there:
        plots = cut_at_every_byte(*before, member=member, reset=reset)
        told = run(there, [Case(there, f"c{number}", WAYS["small"], plot) for number, plot in enumerate(plots)])
    assert set(told) == {"Receipt"}


# Answers that say what must not be


OTHER_CRC = 17


def _of_other_bytes(answer: Answer) -> Answer:
    crc = "x-oss-hash-crc64ecma"
    if answer.status != 200:
        return answer
    changed = {name: str(OTHER_CRC) if name == crc else value for name, value in answer.headers.items()}
    assert crc in answer.headers
    return replace(answer, headers=changed)


OTHER_BYTES = Kind("acted, and has other bytes", lambda _: altered(_of_other_bytes))
COMMITS = [(name, "copy_new" if way.moves else way.members[-1]) for name, way in WAYS.items()]


# What goes out in one put is not summed by a Store: there it is the driver that compares the answer.
LOOKED_FOR = [(name, commit, True) for name, commit in COMMITS if commit != "put_new"]


@pytest.mark.parametrize(("name", "commit", "lost"), [*((*each, False) for each in COMMITS), *LOOKED_FOR])
def test_another_checksum_behind_the_commit_is_never_created(name: str, commit: str, lost: bool) -> None:
    with world() as there:
        strikes = [(commit, ACTED, 1), ("head", OTHER_BYTES, None)] if lost else [(commit, OTHER_BYTES, 1)]
        case = Case(there, "c", WAYS[name], Plot(strikes))
        case.create()
        assert isinstance(case.told, ObjectDamaged)
        assert f"{OTHER_CRC:016x}" in str(case.told)
        assert case.data() is not None
        if WAYS[name].copies:
            assert case.data(case.source) == WAYS[name].data


@pytest.mark.parametrize("name", ["parts", "stream", "large file"])
@pytest.mark.parametrize(("times", "told"), [(1, "Receipt"), (None, "ChecksumMismatch")])
def test_a_part_of_another_checksum_becomes_no_object(name: str, times: int | None, told: str) -> None:
    with world() as there:
        case = Case(there, "c", WAYS[name], Plot([("put_part", OTHER_BYTES, times)]))
        assert run(there, [case]) == {told: 1}
        assert len(there.ledger.landings) == (told == "Receipt")
        assert not there.bucket.uploads


# Versioning


@pytest.mark.parametrize("state", ["enabled", "suspended"])
@pytest.mark.parametrize("name", WAYS)
def test_a_bucket_that_had_versioning_is_refused_before_the_first_byte(
    name: str, state: Literal["enabled", "suspended"]
) -> None:
    with world() as there:
        there.bucket.versioning = state
        case = Case(there, "c", WAYS[name], Plot([]))
        case.create()
        assert isinstance(case.told, GuaranteeMissing)
        assert state in str(case.told)
        assert case.data() is None
        assert {seen.asked.member for seen in there.server.requests} <= {"versioning", "head"}
        assert not there.ledger.landings


@pytest.mark.parametrize("state", ["enabled", "suspended"])
@pytest.mark.parametrize("name", ["small", "empty", "parts", "file", "copy", "copy in parts"])
def test_versioning_behind_the_look_is_told_by_the_answer(name: str, state: Literal["enabled", "suspended"]) -> None:
    way = WAYS[name]
    with world() as there:
        case = Case(there, "c", way, Plot([]))

        def switch(asked: Asked) -> None:
            if asked.member == way.members[-1]:
                there.come(case.key)
                there.bucket.versioning = state

        there.server.cues.on_request = switch
        case.create()
        error, found = case.told, there.bucket.find(case.key)
        assert isinstance(error, GuaranteeBroken)
        assert case.data() == way.data
        assert error.version_id == found.version_id
        assert error.version_id is not None
        assert error.version_id in str(error)
        assert "may have replaced another's object" in str(error)
        if state == "enabled":
            assert there.bucket.find(case.key, "null").attributes.meta[WRITE_ID] == RIVAL_ID


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.late], ids=lambda kind: kind.words)
def test_a_bucket_that_cannot_be_looked_at_is_asked_again(kind: Kind) -> None:
    with world() as there:
        cue = there.server.cues.add(Cue(kind.action(Hold()), member="versioning"))
        case = Case(there, "c", WAYS["small"], Plot([]))
        case.create()
        assert case.judge() == "Receipt"
        assert [strike.cue for strike in there.server.cues.struck] == [cue]


@pytest.mark.parametrize("name", WAYS)
def test_a_bucket_that_is_never_looked_at_is_not_written_to(name: str) -> None:
    with world() as there:
        there.server.cues.add(Cue(cut_before_acting(), member="versioning", times=None))
        case = Case(there, "c", WAYS[name], Plot([]))
        case.create()
        assert case.judge() == "StoreUnavailable"
        assert {seen.asked.member for seen in there.server.requests} <= {"versioning", "head"}
