"""What S3 answers when requests met, and what a bucket with versions keeps of them."""

from __future__ import annotations

import pytest

from faults.s3_world import world
from faults.served_cases import SMALL, WAYS, Case, run
from faults.served_world import Kind, Plot
from storage_guard import ObjectExists, Receipt, Store
from storage_guard.testing import FakeClock
from storage_guard.testing.server import Action, Asked, Hold, held, refused

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
