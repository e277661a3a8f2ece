# pyright: reportPrivateUsage=false
"""Histories of many clients over real stores; and planted faults, to show that the instrument sees."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from contract import planted
from properties.planting import LIMITS, breaks, memory
from storage_guard import signals
from storage_guard.driver import Body, Driver, ObjectInfo, WriteMeta
from storage_guard.engine import ranges, resolve
from storage_guard.memory import MemoryDriver
from storage_guard.testing import HistoryContract, Mix, run_histories, run_in_processes
from storage_guard.testing.histories import Played, Ran, Script, Step, check, draw, play, show
from storage_guard.testing.histories.operations import Operation, Settle
from storage_guard.testing.histories.script import DRAWN
from storage_guard.testing.histories.writing import Create, End, Open
from storage_guard_local import LocalDriver
from telling import Tell


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

    histories = 260
    free_histories = 130
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
def test_that_was_long_enough(tell: Tell) -> None:
    """Comes behind those that it counts: two stores, one of them with two ways to refuse; and the processes."""
    if len(Soak.tried) < 7:
        pytest.skip("not all of them ran")
    operations = sum(each.operations for each in Soak.tried)
    faults = sum(each.faults for each in Soak.tried)
    tell(f"{operations} operations in {sum(each.histories for each in Soak.tried)} histories, {faults} faults")
    assert operations >= 50_000


# What is found is found again


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
    run_histories(one.second, range(10), fresh_listings=True)


# What histories have found, by hand


def laws_broken_by(operations: Sequence[Operation], faults: Mapping[tuple[int, int], str]) -> str:
    steps = tuple(Step(number, operation) for number, operation in enumerate(operations))
    one = MemoryDriver(limits=LIMITS, refuse_at_begin=False)
    played = play(Script(0, (steps,), faults=faults), one.client)
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


@pytest.mark.parametrize("end", ["close", "raise", "drop"])
def test_a_file_that_met_a_rival_tells_of_an_upload_that_is_left(end: End) -> None:
    operations = [Create("k", "small-a"), Open("k", "exact-b", end, 2, if_exists="skip")]
    assert not laws_broken_by(operations, {(1, 0): "LOST_BEFORE", (1, 1): "LOST_AFTER"})


@pytest.mark.parametrize("fault", ["INTERRUPT_BEFORE", "INTERRUPT_AFTER"])
@pytest.mark.parametrize("end", ["raise", "discard"])
def test_an_interrupted_discard_tells_of_the_upload_that_is_left(end: End, fault: str) -> None:
    assert not laws_broken_by([Open("k", "parts-a", end, 2, if_exists="skip")], {(0, 4): fault})
