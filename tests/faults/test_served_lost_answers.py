"""Every request of every way to create, over real sockets, loses its answer in every way: what is told is true."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

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
from faults.served_places import PLACES, USUAL
from faults.served_world import ACTED, Kind, Plot
from storage_guard import ObjectDamaged, OutcomeUnknown
from storage_guard.testing.server import Answer, altered

COMMITS = {name: "copy_new" if way.moves else way.members[-1] for name, way in WAYS.items()}


def where_answers_are_lost() -> Iterator[tuple[str, str, Sequence[str]]]:
    """Each way, where it is tried, and which of its requests lose their answers there."""
    for name, way in WAYS.items():
        finishes = "finish_new" in way.members
        for where in PLACES:
            if where in USUAL or (finishes and where.startswith("oss")):
                yield name, where, way.members
            elif finishes:
                yield name, where, ["finish_new"]  # one that comes again is answered otherwise there, and nothing else


@pytest.mark.parametrize(("name", "where", "members"), list(where_answers_are_lost()))
def test_one_lost_answer_leaves_no_doubt(name: str, where: str, members: Sequence[str]) -> None:
    way = WAYS[name]
    with PLACES[where]() as there:
        cases = [Case(there, f"c{number}", way, plot) for number, plot in enumerate(plots(there.kinds, members))]
        told = run(there, cases)
    assert all(case.plot.struck == 1 for case in cases)
    expected = {"Receipt", "ObjectExists"}
    # What cannot be read again is not sent again, where it is known that it did not land.
    assert set(told) == expected if way.rewindable else expected <= set(told) <= {*expected, "StoreUnavailable"}


LOOKS = [
    *((name, where) for name in ("small", "parts", "copy") for where in USUAL),
    *(("parts", where) for where in ("s3-judged", "s3-unknown")),
]


@pytest.mark.parametrize(("name", "where"), LOOKS)
def test_lost_answers_to_those_who_look_are_no_verdict(name: str, where: str) -> None:
    with PLACES[where]() as there:
        plots = enumerate(two_at_a_time(there.kinds, COMMITS[name]))
        cases = [Case(there, f"c{number}", WAYS[name], plot) for number, plot in plots]
        told = run(there, cases)
        for case in [each for each in cases if isinstance(each.told, OutcomeUnknown)]:
            _, (look, kind, times) = case.plot.strikes
            # An abort that finds nothing may have been late: a finish may have taken the upload, and be at work.
            if times is not None and not (look == "abort" and kind.acts):
                assert not stays_unknown(there, case), f"it can be known: {words_of(case.plot)}"
    assert set(told) == {"Receipt", "ObjectExists", "OutcomeUnknown"}


@pytest.mark.parametrize("where", USUAL)
@pytest.mark.parametrize("name", ["small", "parts", "stream", "copy in parts", "large file"])
def test_a_write_that_is_never_answered_is_settled_later(name: str, where: str) -> None:
    way = WAYS[name]
    with PLACES[where]() as there:
        kinds = [kind for kind in there.kinds if "conflict" not in kind.words]  # which is an answer
        plots = enumerate(never_answered(kinds, way.members[-1]))
        cases = [Case(there, f"c{number}", way, plot) for number, plot in plots]
        told = run(there, cases)
    assert set(told) == {"OutcomeUnknown"}


@pytest.mark.parametrize("where", USUAL)
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("member", ["put_new", "head"])
def test_an_answer_that_ends_anywhere_says_nothing_wrong(member: str, reset: bool, where: str) -> None:
    before = [("put_new", ACTED, 1)] if member == "head" else []
    with PLACES[where]() as there:
        plots = cut_at_every_byte(*before, member=member, reset=reset)
        told = run(there, [Case(there, f"c{number}", WAYS["small"], plot) for number, plot in enumerate(plots)])
    assert set(told) == {"Receipt"}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("name", WAYS)
def test_a_commit_that_something_on_the_way_sent_twice_is_ours(name: str, where: str) -> None:
    with PLACES[where]() as there:
        there.ledger.resends = lambda asked: asked.member == COMMITS[name]
        case = Case(there, "c", WAYS[name], Plot([]))
        case.create()
        assert case.judge() == "Receipt"
        assert len([each for each in there.ledger.landings if each.key == case.key]) == 1


# Answers that say what must not be


OTHER_CRC = 17
_IN_BASE64 = base64.b64encode(OTHER_CRC.to_bytes(8, "big")).decode()
_TOLD = {"x-oss-hash-crc64ecma": str(OTHER_CRC), "x-amz-checksum-crc64nvme": _IN_BASE64}


def _of_other_bytes(answer: Answer) -> Answer:
    """In the head, or in the document that tells of it."""
    if answer.status != 200:
        return answer
    headers = {name: _TOLD.get(name, value) for name, value in answer.headers.items()}
    body = answer.body
    if isinstance(body, bytes) and b"<ChecksumCRC64NVME>" in body:
        before, rest = body.split(b"<ChecksumCRC64NVME>")
        body = before + f"<ChecksumCRC64NVME>{_IN_BASE64}".encode() + rest[rest.index(b"</") :]
    assert (headers, body) != (dict(answer.headers), answer.body)
    return replace(answer, headers=headers, body=body, body_bytes=answer.body_bytes if body is answer.body else None)


OTHER_BYTES = Kind("acted, and has other bytes", lambda _: altered(_of_other_bytes))
LOOKED_FOR = [(name, True) for name in COMMITS]


@pytest.mark.parametrize("where", USUAL)
@pytest.mark.parametrize(("name", "lost"), [*((each, False) for each in COMMITS), *LOOKED_FOR])
def test_another_checksum_behind_the_commit_is_never_created(name: str, lost: bool, where: str) -> None:
    commit = COMMITS[name]
    with PLACES[where]() as there:
        strikes = [(commit, ACTED, 1), ("head", OTHER_BYTES, None)] if lost else [(commit, OTHER_BYTES, 1)]
        case = Case(there, "c", WAYS[name], Plot(strikes))
        case.create()
        assert isinstance(case.told, ObjectDamaged), case.told
        assert f"{OTHER_CRC:016x}" in str(case.told)
        assert case.data() is not None
        if WAYS[name].copies:
            assert case.data(case.source) == WAYS[name].data


@pytest.mark.parametrize("where", USUAL)
@pytest.mark.parametrize("name", ["parts", "stream", "large file"])
@pytest.mark.parametrize(("times", "told"), [(1, "Receipt"), (None, "ChecksumMismatch")])
def test_a_part_of_another_checksum_becomes_no_object(name: str, times: int | None, told: str, where: str) -> None:
    with PLACES[where]() as there:
        case = Case(there, "c", WAYS[name], Plot([("put_part", OTHER_BYTES, times)]))
        assert run(there, [case]) == {told: 1}
        assert len(there.ledger.landings) == (told == "Receipt")
        assert not there.bucket.uploads
