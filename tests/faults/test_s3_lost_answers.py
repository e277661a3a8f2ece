"""Every request of every way to create, over real sockets, loses its answer in every way: what is told is true."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from faults.s3_world import S3_KINDS, SETTINGS, world
from faults.served_cases import (
    SMALL,
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
from faults.served_world import ACTED, Kind, Plot
from storage_guard import ObjectDamaged, ObjectExists, OutcomeUnknown, Receipt, Store
from storage_guard.testing import FakeClock
from storage_guard.testing.server import Action, Answer, Asked, Hold, altered, held, refused

FINISHING = [name for name, way in WAYS.items() if "finish_new" in way.members]
# Elsewhere a finish that comes again is answered otherwise.
PLACES = [*((name, "aws") for name in WAYS), *((name, each) for name in FINISHING for each in ("judged", "unknown"))]


@pytest.mark.parametrize(("name", "setting"), PLACES)
def test_one_lost_answer_leaves_no_doubt(name: str, setting: str) -> None:
    way = WAYS[name]
    members = way.members if setting == "aws" else ["finish_new"]
    with world(setting) as there:
        cases = [Case(there, f"c{number}", way, plot) for number, plot in enumerate(plots(S3_KINDS, members))]
        told = run(there, cases)
    assert all(case.plot.struck == 1 for case in cases)
    expected = {"Receipt", "ObjectExists"}
    # What cannot be read again is not sent again, where it is known that it did not land.
    assert set(told) == expected if way.rewindable else expected <= set(told) <= {*expected, "StoreUnavailable"}


FINISHES = [("parts", "finish_new", setting) for setting in SETTINGS]
LOOKS = [("small", "put_new", "aws"), ("copy", "copy_new", "aws"), *FINISHES]


@pytest.mark.parametrize(("name", "commit", "setting"), LOOKS)
def test_lost_answers_to_those_who_look_are_no_verdict(name: str, commit: str, setting: str) -> None:
    with world(setting) as there:
        plots = enumerate(two_at_a_time(S3_KINDS, commit))
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
        plots = enumerate(never_answered([kind for kind in S3_KINDS if "conflict" not in kind.words], way.members[-1]))
        cases = [Case(there, f"c{number}", way, plot) for number, plot in plots]
        told = run(there, cases)
    assert set(told) == {"OutcomeUnknown"}


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("member", ["put_new", "head"])
def test_an_answer_that_ends_anywhere_says_nothing_wrong(member: str, reset: bool) -> None:
    before = [("put_new", ACTED, 1)] if member == "head" else []
    with world() as there:
        plots = cut_at_every_byte(*before, member=member, reset=reset)
        told = run(there, [Case(there, f"c{number}", WAYS["small"], plot) for number, plot in enumerate(plots)])
    assert set(told) == {"Receipt"}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", WAYS)
def test_a_commit_that_something_on_the_way_sent_twice_is_ours(name: str, setting: str) -> None:
    way = WAYS[name]
    commit = "copy_new" if way.moves else way.members[-1]
    with world(setting) as there:
        there.ledger.resends = lambda asked: asked.member == commit
        case = Case(there, "c", way, Plot([]))
        case.create()
        assert case.judge() == "Receipt"
        assert len([each for each in there.ledger.landings if each.key == case.key]) == 1


# 409


CONFLICT = Kind("did not act: a conflict", lambda _: refused(409, "ConditionalRequestConflict"))


@pytest.mark.parametrize("name", WAYS)
def test_a_write_that_conflicted_is_sent_again_and_an_upload_from_its_beginning(name: str) -> None:
    way = WAYS[name]
    commit = "copy_new" if way.moves else way.members[-1]
    with world() as there:
        case = Case(there, "c", way, Plot([(commit, CONFLICT, 1)]))
        told = run(there, [case])
        sent = [seen.asked.member for seen in there.server.requests if seen.asked.key == case.key]
        if not way.rewindable:
            assert told == {"StoreUnavailable": 1}
            assert not there.ledger.landings
            return
        assert told == {"Receipt": 1}
        assert isinstance(case.told, Receipt)
        assert case.told.attempts == 2
        once = [member for member in sent if member in way.members]
        assert sent.count(commit) == 2
        if commit == "finish_new":
            assert once[: len(once) // 2] == once[len(once) // 2 :], "all parts again"
            assert sent.count("abort") == 1, "the first upload's parts are paid for else"


def test_a_key_that_was_removed_while_its_upload_was_open_is_created_by_another_upload() -> None:
    """As recorded of AWS: the upload is spoilt for good."""
    with world() as there:

        def come_and_go(asked: Asked) -> Action | None:
            if asked.member == "put_part" and len(there.ledger.begun) == 1:
                there.come(asked.key)
                there.bucket.remove(asked.key)
            return None

        there.server.cues.on_request = come_and_go
        case = Case(there, "c", WAYS["parts"], Plot([]))
        case.create()
        assert case.judge() == "Receipt"
        assert isinstance(case.told, Receipt)
        assert (case.told.attempts, case.told.resolved) == (2, False)
        answers = [seen.status for seen in there.server.requests if seen.asked.member == "finish_new"]
        assert answers == [409, 200]
        assert len(there.ledger.begun) == 2
        assert not there.bucket.uploads


def test_a_key_that_was_removed_while_its_put_was_under_way_is_put_again() -> None:
    with world() as there:
        there.come("k")
        hold, held_up = Hold(), list[Asked]()

        def keep_the_first(asked: Asked) -> Action | None:
            if asked.member == "put_new" and not held_up:
                held_up.append(asked)
                return held(hold)
            if asked.member == "versioning":
                return None
            there.bucket.remove("k")
            hold.release()
            return None

        there.server.cues.on_request = keep_the_first
        store = Store(there.patient, clock=FakeClock())
        receipts = list(store.create_many([("k", SMALL), ("other", b"")], in_flight=2))
        assert all(isinstance(each, Receipt) for each in receipts), receipts
        puts = [seen.status for seen in there.server.requests if seen.asked.key == "k"]
        assert puts == [409, 200]
        assert there.at("k").data == SMALL  # type: ignore[union-attr] # it was created


# Answers that say what must not be


OTHER_CRC = 17
_TOLD = base64.b64encode(OTHER_CRC.to_bytes(8, "big")).decode()


def _of_other_bytes(answer: Answer) -> Answer:
    """In the head, or in the document that tells of it."""
    if answer.status != 200:
        return answer
    name = "x-amz-checksum-crc64nvme"
    headers = {each: _TOLD if each == name else value for each, value in answer.headers.items()}
    body = answer.body
    if isinstance(body, bytes) and b"<ChecksumCRC64NVME>" in body:
        before, rest = body.split(b"<ChecksumCRC64NVME>")
        body = before + f"<ChecksumCRC64NVME>{_TOLD}".encode() + rest[rest.index(b"</") :]
    assert (headers, body) != (dict(answer.headers), answer.body)
    return replace(answer, headers=headers, body=body, body_bytes=answer.body_bytes if body is answer.body else None)


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
        assert isinstance(case.told, ObjectDamaged), case.told
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


# Versions


@pytest.mark.parametrize("name", WAYS)
def test_a_versioned_bucket_keeps_the_condition_and_a_delete_marker_leaves_the_key_free(name: str) -> None:
    way = WAYS[name]
    with world("judged") as there:
        there.come("c/k")
        there.bucket.remove("c/k")
        first, second = (Case(there, "c", way, Plot([])) for _ in range(2))
        first.create()
        assert first.judge() == "Receipt"
        assert isinstance(first.told, Receipt)
        assert first.told.version_id == there.bucket.find(first.key).version_id
        second.create()
        assert isinstance(second.told, ObjectExists)
        assert there.bucket.find(first.key).version_id == first.told.version_id
