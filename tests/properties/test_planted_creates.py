# pyright: reportPrivateUsage=false
"""Planted faults of `create`, `settle` and `remove`: histories must see and tell them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from properties.planting import breaks, memory
from storage_guard import answers, outcome, signals
from storage_guard.access import Access
from storage_guard.checksum import Crc64
from storage_guard.driver import Exists, WriteMeta
from storage_guard.engine import creation, ranges, removal, resolve
from storage_guard.outcome import Answer, Doing, Verdict
from storage_guard.testing import HistoryBrokenError, Mix, run_histories
from storage_guard.testing.histories import check, length, play
from telling import Tell


@pytest.fixture(autouse=True)
def many_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small object takes several requests to stream and to compare."""
    monkeypatch.setattr(ranges, "PIECE_BYTES", 50)
    monkeypatch.setattr(resolve, "_COMPARE_BYTES", 50)


def _trusts_sole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes every refusal for one of a request that was sent once."""
    sound = answers.answer_for

    def answer_for(signal: signals.Signal) -> Answer:
        return Answer.EXISTS_SOLE if isinstance(signal, Exists) else sound(signal)

    monkeypatch.setattr(answers, "answer_for", answer_for)


def _loss_is_definite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes a lost answer for a refusal."""
    sound = answers.answer_for

    def answer_for(signal: signals.Signal) -> Answer:
        return Answer.REFUSED if isinstance(signal, signals.Lost) else sound(signal)

    monkeypatch.setattr(answers, "answer_for", answer_for)


def _absent_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes a HEAD that sees nothing for the proof that nothing will be there."""

    def unseen(write: outcome.Write) -> outcome.Write:
        return outcome._decide(write, Verdict.NOT_WRITTEN)

    monkeypatch.setattr(outcome, "_unseen", unseen)


def _exists_is_anothers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does not ask whose object it is."""

    def taken(write: outcome.Write, answer: Answer) -> outcome.Write:
        del answer
        return outcome._decide(write, Verdict.EXISTS)

    monkeypatch.setattr(outcome, "_taken", taken)


def _there_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes whatever is there after a loss for its own."""
    sound = resolve.Resolver._look

    def look(self: resolve.Resolver) -> Answer:
        answer = sound(self)
        suspect = self.write is not None and self.write.suspect
        return Answer.OURS if answer is Answer.THEIRS and suspect else answer

    monkeypatch.setattr(resolve.Resolver, "_look", look)


def _new_name_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives every attempt a write id of its own."""
    sound = creation.Creation._put
    numbers = itertools.count()

    def put(self: creation.Creation) -> None:
        if self.attempts > 1:
            self.target = replace(self.target, write_id=f"again-{next(numbers)}-{id(self)}")
            monkeypatch.setattr(self, "_meta", WriteMeta(self.target.write_id))
        sound(self)

    monkeypatch.setattr(creation.Creation, "_put", put)


def _same_is_same_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compares sizes."""

    def equal(self: resolve.Resolver, size_bytes: int, crc: int, algorithm: Crc64) -> Answer:
        del crc, algorithm
        return Answer.EQUAL if self.seen is not None and self.seen.size_bytes == size_bytes else Answer.UNEQUAL

    monkeypatch.setattr(resolve.Resolver, "_equal", equal)


def _leaves_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does not clean up."""

    def clean_up(self: creation.Creation, *, tries: int) -> None:
        del self, tries

    monkeypatch.setattr(creation.Creation, "_clean_up", clean_up)


def _abort_fences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes an abort that found nothing for one that called the upload back."""
    sound = outcome._aborted

    def aborted(write: outcome.Write, answer: Answer) -> outcome.Write:
        after = sound(write, answer)
        return after._replace(fenced=True) if after.doing is Doing.HEAD else after

    monkeypatch.setitem(outcome._STEPS, Doing.ABORT, aborted)


def _removal_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Says that a removal took place, whatever became of it."""

    def remove(access: Access, key: str, etag: str | None, *, deadline_s: float) -> None:
        del deadline_s
        try:
            access.driver.remove(access.full(key), etag)
        except signals.Signal:
            pass

    monkeypatch.setattr(removal, "remove", remove)


STORMS = Mix(keys=(20, 30), fault_rates=(0.5,), weights={"create": 4.0, "settle": 1.0})
REMOVALS = Mix(keys=(8, 24), fault_rates=(0.3,), weights={"create": 4.0, "settle": 1.0, "remove": 2.0})
MIXES: Mapping[Callable[[pytest.MonkeyPatch], None], Mix] = {
    _abort_fences: REMOVALS,
    _trusts_sole: STORMS,
    _loss_is_definite: STORMS,
    _new_name_each_time: STORMS,
    _exists_is_anothers: STORMS,
    _absent_is_not_written: STORMS,
}
"""What is rare in the common mix."""

DEFECTS: Mapping[Callable[[pytest.MonkeyPatch], None], tuple[int, set[str]]] = {
    _trusts_sole: (20, {"ones_own_write_is_no_conflict"}),
    _loss_is_definite: (10, {"not_written_is_for_good"}),
    _absent_is_not_written: (10, {"not_written_is_for_good"}),
    _exists_is_anothers: (20, {"ones_own_write_is_no_conflict"}),
    _there_is_ours: (20, {"a_life_has_one_winner", "an_object_is_seen_while_it_can_be_there"}),
    _new_name_each_time: (20, {"ones_own_write_is_no_conflict"}),
    _same_is_same_size: (20, {"same_means_equal_bytes"}),
    _leaves_uploads: (10, {"a_left_upload_is_reported"}),
    _abort_fences: (100, {"not_written_is_for_good"}),
    _removal_is_believed: (20, {"a_removal_is_told_truly"}),
}
"""Each planted defect: how many histories are enough, and the laws one of which must be broken."""


@pytest.mark.parametrize(("plant", "expected"), DEFECTS.items(), ids=[each.__name__ for each in DEFECTS])
def test_a_planted_defect_of_the_store_is_caught(
    plant: Callable[[pytest.MonkeyPatch], None], expected: tuple[int, set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    histories, laws = expected
    plant(monkeypatch)
    assert breaks(memory(), histories, laws, MIXES.get(plant))


def test_a_history_of_dozens_of_operations_shrinks_to_a_few_lines(monkeypatch: pytest.MonkeyPatch, tell: Tell) -> None:
    shown: list[str] = []
    broken: HistoryBrokenError | None = None
    for plant in (_there_is_ours, _same_is_same_size, _absent_is_not_written):
        with monkeypatch.context() as planting:
            plant(planting)
            with pytest.raises(HistoryBrokenError) as caught:
                run_histories(memory(), range(40), fresh_listings=True)
            broken = caught.value
            before, after = length(broken.found.history), length(broken.shortest.history)
            again = play(broken.shortest.script, memory())
            assert broken.violations[0].law in {violation.law for violation in check(again.history)}
            shown.append(f"{plant.__name__}: {before} lines, {after} when shrunk")
        assert before > 24
        assert after <= 6
    tell("\n".join([*shown, str(broken)]))
