# pyright: reportPrivateUsage=false
"""Histories of many clients over real stores; and planted faults, to show that the instrument sees."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from contract import planted
from storage_guard import answers, creation, outcome, ranges, removal, resolve, signals
from storage_guard.access import Access
from storage_guard.driver import Body, Driver, Exists, Limits, ObjectInfo, WriteMeta
from storage_guard.memory import MemoryDriver
from storage_guard.outcome import Answer, Doing, Verdict
from storage_guard.testing import HistoryBrokenError, HistoryContract, Mix, run_histories, run_in_processes
from storage_guard.testing.histories import Played, Ran, Script, Step, check, draw, length, play, show
from storage_guard.testing.histories.operations import Operation, Settle
from storage_guard.testing.histories.script import DRAWN
from storage_guard.testing.histories.writing import Create
from storage_guard_local import LocalDriver

# What has more than one part is copied in parts, too: a fifth of what one request takes is less than that.
LIMITS = Limits(max_put_bytes=320, min_part_bytes=64, max_part_bytes=1 << 20, max_parts=100, max_object_bytes=1 << 30)


@pytest.fixture(autouse=True)
def many_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small object takes several requests to stream and to compare."""
    monkeypatch.setattr(ranges, "PIECE_BYTES", 50)
    monkeypatch.setattr(resolve, "_COMPARE_BYTES", 50)


class TestMemory(HistoryContract):
    histories = 60
    fresh_listings = True

    @pytest.fixture(params=[True, False], ids=["refused-at-begin", "refused-at-finish"])
    def make_driver(self, request: pytest.FixtureRequest) -> Callable[[], Driver]:
        return MemoryDriver(limits=LIMITS, refuse_at_begin=request.param).client


class TestLocal(HistoryContract):
    histories = 60
    fresh_listings = True

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Callable[[], Driver]:
        return lambda: LocalDriver(tmp_path / "root", limits=LIMITS, durable=False)


class Soak(HistoryContract):
    """The same for long, counted."""

    histories = 1000
    free_histories = 500
    tried: ClassVar[list[Ran]] = []

    def has_run(self, ran: Ran) -> None:
        self.tried.append(ran)


@pytest.mark.soak
class TestMemorySoak(Soak, TestMemory):
    first_seed = 10_000


@pytest.mark.soak
class TestLocalSoak(Soak, TestLocal):
    first_seed = 20_000


def test_processes_are_told_the_truth(tmp_path: Path) -> None:
    ran = run_in_processes(f"file://{tmp_path}/root", range(15), fresh_listings=True)
    assert ran.operations > 500
    assert ran.faults > 50


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_processes_are_told_the_truth_for_long(tmp_path: Path) -> None:
    Soak.tried.append(run_in_processes(f"file://{tmp_path}/root", range(1000, 1300), fresh_listings=True))


@pytest.mark.soak
def test_that_was_long_enough(capsys: pytest.CaptureFixture[str]) -> None:
    """Comes behind those that it counts: two stores, one of them with two ways to refuse; and the processes."""
    if len(Soak.tried) < 7:
        pytest.skip("not all of them ran")
    operations = sum(each.operations for each in Soak.tried)
    faults = sum(each.faults for each in Soak.tried)
    with capsys.disabled():
        print(f"\n{operations} operations in {sum(each.histories for each in Soak.tried)} histories, {faults} faults")
    assert operations >= 50_000


# What is found is found again


def memory() -> Callable[[], Driver]:
    return MemoryDriver(limits=LIMITS).client


def essence(played: Played) -> list[object]:
    """What does not depend on names that are made up anew for every play."""
    told = [(call.number, call.began, call.ended, call.told and call.told.what) for call in played.history.calls]
    traces = [call.trace for call in played.history.calls]
    return [told, traces, played.script.faults, played.script.turns, len(played.history.acts)]


@pytest.mark.parametrize("seed", range(8))
def test_a_seed_replays_exactly(seed: int, tmp_path: Path) -> None:
    script = draw(seed, Mix(), 64)
    first = play(script, memory())
    assert essence(play(script, memory())) == essence(first)
    assert essence(play(first.script, memory())) == essence(first)
    on_disk = play(script, lambda: LocalDriver(tmp_path / "a", limits=LIMITS, durable=False))
    assert essence(play(script, lambda: LocalDriver(tmp_path / "b", limits=LIMITS, durable=False))) == essence(on_disk)


def test_every_operation_and_every_answer_comes_up() -> None:
    kinds: set[tuple[str, str]] = set()
    drawn: set[str] = set()
    for seed in range(60):
        script = draw(seed, Mix(), 64)
        drawn |= {type(step.operation).__name__ for step in script.steps}
        for call in play(script, memory()).history.calls:
            kinds.add((call.asked.kind, call.told.what if call.told else ""))
    assert len(drawn) == len(DRAWN)
    answers = ("created", "same", "present", "exists", "unknown", "not written", "broken", "absent", "discarded")
    assert {("create", answer) for answer in answers} <= kinds
    assert {("settle", answer) for answer in ("created", "exists", "unknown")} <= kinds
    assert {("remove", answer) for answer in ("removed", "absent", "changed", "failed")} <= kinds
    assert {("read", "bytes"), ("read", "absent"), ("head", "found"), ("head", "absent"), ("scan", "listed")} <= kinds
    assert {("read", "changed"), ("sweep", "swept"), ("uploads", "uploads")} <= kinds
    assert not any(what == "wrong" for _, what in kinds)


def test_a_turn_that_never_ends_is_an_error() -> None:
    from storage_guard.testing.histories.turns import Turnstile

    stuck = Turnstile([0], lambda turns: turns[0], list, lambda _: None)
    never = threading.Event()

    def waits() -> None:
        never.wait()

    with pytest.raises(TimeoutError, match="a turn has not ended"):
        stuck.run([waits], stuck_s=0.05)
    never.set()


# Calibration: planted drivers


class _Forgets(planted.Planted):
    """Answers a put that it drops, now and then."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        info = super().put_new(key, body, meta)
        if int(info.etag, 16) % 5 == 0:
            super().remove(key, info.etag)
        return info


class _HalfThere(planted.Planted):
    """Readers may see an object before it has all its bytes."""

    def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
        data = super().read(key, start, stop, etag)
        return data[: len(data) // 2] if start == 0 else data


class _FinishOfTheDead(planted.Planted):
    """An abort that answers, and leaves the upload to a finish that is late."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._dead: set[str] = set()

    def abort(self, key: str, upload_id: str, /) -> None:
        list(super().scan_parts(key, upload_id))
        self._dead.add(upload_id)

    def scan_parts(self, key: str, upload_id: str, /) -> Any:
        if upload_id in self._dead:
            raise signals.Gone("aborted", sole=True)
        return super().scan_parts(key, upload_id)


DRIVERS: Mapping[type[planted.Planted], tuple[int, set[str]]] = {
    planted.ChecksThenWrites: (30, {"a_life_has_one_winner", "a_life_has_one_object", "what_is_there_stays"}),
    planted.TouchesEmptyObjects: (10, {"a_life_has_one_winner", "a_life_has_one_object", "what_is_there_stays"}),
    planted.FinishReplaces: (10, {"a_life_has_one_winner", "a_life_has_one_object", "what_is_there_stays"}),
    planted.HeadRemembers: (10, {"what_is_there_stays", "an_object_is_seen_while_it_can_be_there"}),
    planted.RemovesWithoutLooking: (30, {"what_is_there_stays", "a_removal_is_told_truly"}),
    planted.ShowsOpenUploads: (10, {"an_object_is_a_writers_and_whole", "a_life_has_one_object"}),
    planted.ExistsAfterReplacing: (10, {"what_is_there_stays", "a_life_has_one_object"}),
    _Forgets: (10, {"what_is_there_stays"}),
    _HalfThere: (10, {"a_reader_gets_one_whole_object"}),
    _FinishOfTheDead: (10, {"not_written_is_for_good", "a_left_upload_is_reported"}),
}
"""Each planted driver: how many histories are enough, and the laws one of which must be the first to be broken."""


FAVOURS: Mapping[type[planted.Planted], Mapping[str, float]] = {
    planted.RemovesWithoutLooking: {"create": 4.0, "remove": 4.0, "head": 2.0}
}
"""Of what histories are to have more."""


def breaks(make_driver: Callable[[], Driver], histories: int, laws: set[str], mix: Mix | None = None) -> bool:
    """Whether one of the histories breaks one of the laws."""
    probe = make_driver()
    part_bytes = max(64, probe.limits.min_part_bytes)
    for seed in range(histories):
        played = play(draw(seed, mix or Mix(), part_bytes), make_driver, fresh_listings=True)
        if laws & {violation.law for violation in check(played.history)}:
            return True
    return False


@pytest.mark.parametrize(("driver", "expected"), DRIVERS.items(), ids=[each.__name__ for each in DRIVERS])
def test_a_planted_driver_is_caught(driver: type[planted.Planted], expected: tuple[int, set[str]]) -> None:
    histories, laws = expected
    one = driver()
    limited = lambda: driver(one.location.container)  # noqa: E731
    pauses = driver is not planted.TouchesEmptyObjects  # reads with its lock held
    weights = FAVOURS.get(driver, Mix().weights)
    assert breaks(limited, histories, laws, Mix(pauses=pauses, weights=weights))


def test_the_driver_that_the_planted_ones_are_made_of_is_sound() -> None:
    one = planted.Planted()
    run_histories(one.second, range(20), fresh_listings=True)


# Calibration: planted faults of the Store


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

    def equal(self: resolve.Resolver, ours: tuple[int, int]) -> Answer:
        return Answer.EQUAL if self.seen is not None and self.seen.size_bytes == ours[0] else Answer.UNEQUAL

    monkeypatch.setattr(resolve.Resolver, "_equal", equal)


def _leaves_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does not clean up."""

    def clean_up(self: creation.Creation, *, tries: int) -> None:
        del self, tries

    monkeypatch.setattr(creation.Creation, "_clean_up", clean_up)


def _streams_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams each piece of whatever object is there."""
    sound = ranges._Fetching._fetch

    def fetch(self: ranges._Fetching, start: int, stop: int) -> Any:
        monkeypatch.setattr(self._pinned, "etag", None)
        return sound(self, start, stop)

    monkeypatch.setattr(ranges._Fetching, "_fetch", fetch)


def _abort_fences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes an abort that found nothing for one that called the upload back."""
    sound = outcome._aborted

    def aborted(write: outcome.Write, answer: Answer) -> outcome.Write:
        after = sound(write, answer)
        return replace(after, fenced=True) if after.doing is Doing.HEAD else after

    monkeypatch.setitem(outcome._STEPS, Doing.ABORT, aborted)


def _removal_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Says that a removal took place, whatever became of it."""

    def remove(access: Access, key: str, etag: str | None) -> None:
        try:
            access.driver.remove(access.full(key), etag)
        except signals.Signal:
            pass

    monkeypatch.setattr(removal, "remove", remove)


STREAMS = Mix(keys=(1, 2), fault_rates=(0.0,), weights={"create": 4.0, "stream": 4.0, "remove": 2.0})
STORMS = Mix(keys=(20, 30), fault_rates=(0.5,), weights={"create": 4.0, "settle": 1.0})
REMOVALS = Mix(keys=(8, 24), fault_rates=(0.3,), weights={"create": 4.0, "settle": 1.0, "remove": 2.0})
MIXES: Mapping[Callable[[pytest.MonkeyPatch], None], Mix] = {
    _streams_what_is_there: STREAMS,
    _abort_fences: REMOVALS,
    _trusts_sole: STORMS,
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
    _streams_what_is_there: (60, {"a_reader_gets_one_whole_object"}),
    _abort_fences: (60, {"not_written_is_for_good"}),
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


def test_a_history_of_dozens_of_operations_shrinks_to_a_few_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
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
    with capsys.disabled():
        print("", *shown, str(broken), sep="\n")


# What histories have found, by hand


def laws_broken_by(operations: Sequence[Operation], faults: Mapping[tuple[int, int], str]) -> str:
    steps = tuple(Step(number, operation) for number, operation in enumerate(operations))
    played = play(Script(0, (steps,), faults=faults), memory())
    assert dict(faults) == played.script.faults, show(played.history)
    violations = check(played.history)
    return show(played.history, violations) if violations else ""


def test_a_settle_that_may_not_examine_the_store_claims_nothing() -> None:
    faults = {(0, 0): "UNSYNCED", (1, -1): "REFUSED"}
    assert not laws_broken_by([Create("k", "small-a"), Settle(0.0, anew=True)], faults)


@pytest.mark.parametrize("fault", ["INTERRUPT_BEFORE", "INTERRUPT_AFTER"])
def test_what_interrupts_the_cleaning_up_carries_a_ticket(fault: str) -> None:
    assert not laws_broken_by([Create("k", "exact-a")], {(0, 5): "UNSYNCED", (0, 6): fault})


def test_an_interrupted_look_behind_a_resent_request_carries_a_ticket() -> None:
    assert not laws_broken_by([Create("k", "small-a")], {(0, 0): "TWICE", (0, 1): "INTERRUPT_BEFORE"})


@pytest.mark.parametrize("faults", [{(0, 1): "INTERRUPT_AFTER"}, {(0, 3): "INTERRUPT_BEFORE"}], ids=["begin", "abort"])
def test_an_upload_left_by_an_interruption_is_reported(faults: Mapping[tuple[int, int], str]) -> None:
    assert not laws_broken_by([Create("k", "parts-a", form="failing")], faults)
