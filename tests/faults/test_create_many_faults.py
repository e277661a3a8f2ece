# pyright: reportPrivateUsage=false
"""Batches among random faults: every result is true; and planted defects of `create_many`, each of which is seen."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from faults.test_store_faults import FAULTS, LIMITS, MULTIPART, SINGLE
from properties.planting import memory
from storage_guard import NotWritten, ObjectExists, OutcomeUnknown, Receipt, StorageGuardError, Store
from storage_guard.driver import WriteMeta
from storage_guard.engine import many, writing
from storage_guard.engine.many import Many
from storage_guard.engine.policy import Policy, Wanted
from storage_guard.memory import MemoryDriver
from storage_guard.testing import BytesBody, FakeClock, Fault, FaultyDriver, Member, Mix
from storage_guard.testing.histories import check, draw, play
from storage_guard.testing.histories.script import Script
from storage_guard.testing.histories.shrink import shrink
from storage_guard.testing.histories.writing import CreateMany
from unit.test_create_many import carried, no_thread_is_left

Result = Receipt | StorageGuardError
__all__ = ["carried", "no_thread_is_left"]  # fixtures
_RIVAL_FAULTS = ("_RivalFirst", "_RivalAndLost")


class BrokenListError(Exception):
    """What the items raise."""


class Batch:
    """Some items, each of bytes of its own, some for keys that others have, or other items of this batch."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(f"batch/{seed}")
        self.inner = MemoryDriver(limits=LIMITS, refuse_at_begin=chance.random() < 0.5)
        self.driver = FaultyDriver(self.inner)
        members: list[Member] = sorted({*SINGLE, *MULTIPART})
        for member in members:
            suited = [fault for fault in FAULTS[member] if type(fault).__name__ not in _RIVAL_FAULTS]
            rate = chance.choice((0.0, 0.1, 0.4))
            self.driver.plan(member, [self._drawn(chance, suited, rate) for _ in range(60)])
        keys = [f"k{number}" for number in range(chance.randint(1, 12))]
        self.items: list[tuple[str, bytes | Iterator[bytes]]] = []
        self.data: dict[int, bytes] = {}
        for number in range(chance.randint(1, 24)):
            data = b"%06d" % number * chance.choice((1, 10, 60))
            self.data[number] = data
            self.items.append((chance.choice(keys), chance.choice((data, iter([data])))))
        for key in chance.sample(keys, len(keys) // 4):
            self.inner.put_new(key, BytesBody(b"rival"), WriteMeta("rival"))
        self.breaks = chance.random() < 0.3
        self.in_flight = chance.choice((1, 1, 2, 5))
        self.ordered = chance.random() < 0.5
        self.taken = self.given = 0
        self.store = Store(
            self.driver, part_bytes=100, multipart_from_bytes=chance.choice((200, 1 << 20)), clock=FakeClock()
        )

    @staticmethod
    def _drawn(chance: random.Random, suited: Sequence[Fault], rate: float) -> Fault | None:
        return chance.choice(suited) if chance.random() < rate else None

    def _offered(self) -> Iterator[tuple[str, Any]]:
        for item in self.items:
            self.taken += 1
            assert self.taken - self.given <= self.in_flight * (4 if self.ordered else 1), "taken too far ahead"
            yield item
        if self.breaks:
            raise BrokenListError

    def play(self) -> list[Result]:
        results: list[Result] = []
        try:
            for each in self.store.create_many(self._offered(), in_flight=self.in_flight, ordered=self.ordered):
                self.given += 1
                results.append(each)
        except BrokenListError:
            assert self.breaks
        else:
            assert not self.breaks, "what the items raised was swallowed"
        return results

    def judge(self, results: list[Result]) -> Counter[str]:
        """Each result is that of an item, and true, also when all that is late has arrived."""
        keys = [key for key, _ in self.items]
        assert Counter(each.key for each in results) == Counter(keys)
        if self.ordered:
            assert [each.key for each in results] == keys
        self.driver.deliver()
        for key in set(keys):
            self._judge(key, [each for each in results if each.key == key])
        return Counter(type(each).__name__ for each in results)

    def _judge(self, key: str, results: list[Result]) -> None:
        info = self.inner.head(key)
        there = None if info is None else self.inner.read(key, 0, 1 << 30, None)
        created = [each for each in results if isinstance(each, Receipt)]
        unknown = [each for each in results if isinstance(each, OutcomeUnknown)]
        for won in created:
            assert info is not None
            assert (won.write_id, won.etag, won.size_bytes) == (info.write_id, info.etag, info.size_bytes)
        assert len(created) <= 1, "two winners"
        settled = 0
        for doubt in unknown:
            assert doubt.ticket is not None
            try:
                settled += Store(self.inner, clock=FakeClock()).settle(doubt.ticket).outcome == "created"
            except (ObjectExists, NotWritten, OutcomeUnknown):
                pass
        if there is None:
            assert not any(isinstance(each, ObjectExists) for each in results), "it was taken, and nothing is there"
        elif there != b"rival":
            assert len(created) + settled == 1, "its writer was told something else"
            number = int(there[:6])
            assert there == self.data[number]
            assert self.items[number][0] == key
        else:
            assert not created
            assert not settled
        for each in results:
            if isinstance(each, ObjectExists) and each.existing is not None and info is not None:
                assert each.existing.write_id == info.write_id
            assert isinstance(each, Receipt | ObjectExists | OutcomeUnknown | NotWritten)


def try_seeds(seeds: Iterable[int]) -> Counter[str]:
    told: Counter[str] = Counter()
    for seed in seeds:
        batch = Batch(seed)
        try:
            told += batch.judge(batch.play())
        except BaseException as exc:
            exc.add_note(f"seed {seed}")
            raise
    return told


def test_what_is_told_of_batches_among_faults_is_true() -> None:
    told = try_seeds(range(400))
    assert min(told[kind] for kind in ("Receipt", "ObjectExists", "OutcomeUnknown", "AccessDenied")) > 20


@pytest.mark.soak
def test_what_is_told_of_very_many_batches_among_faults_is_true() -> None:
    try_seeds(range(1000, 20_000))


# How good is the instrument?

Sound = Callable[[Many, Iterable[Any]], Iterator[Result]]


def _drops_one(sound: Sound) -> Sound:
    def results(self: Many, items: Iterable[Any]) -> Iterator[Result]:
        for number, each in enumerate(sound(self, items)):
            if number != 3:
                yield each

    return results


def _gives_one_twice(sound: Sound) -> Sound:
    def results(self: Many, items: Iterable[Any]) -> Iterator[Result]:
        for number, each in enumerate(sound(self, items)):
            yield from [each] * (2 if number == 3 else 1)

    return results


def _stops_at_the_first_failure(sound: Sound) -> Sound:
    def results(self: Many, items: Iterable[Any]) -> Iterator[Result]:
        for each in sound(self, items):
            yield each
            if not isinstance(each, Receipt):
                return

    return results


def _swallows_what_items_raises(sound: Sound) -> Sound:
    def results(self: Many, items: Iterable[Any]) -> Iterator[Result]:
        try:
            yield from sound(self, items)
        except BrokenListError:
            pass

    return results


def _swallows_failures(sound: Sound) -> Sound:
    return lambda self, items: (each for each in sound(self, items) if isinstance(each, Receipt))


def _takes_all_at_once(sound: Sound) -> Sound:
    def taken(items: Iterable[Any]) -> Iterable[Any]:
        try:
            return list(items)
        except BrokenListError:
            return []

    return lambda self, items: sound(self, taken(items))


RESULTS = (
    _drops_one,
    _gives_one_twice,
    _stops_at_the_first_failure,
    _swallows_what_items_raises,
    _swallows_failures,
    _takes_all_at_once,
)


@pytest.mark.parametrize("plant", RESULTS, ids=lambda plant: plant.__name__)
def test_planted_results_are_caught(plant: Callable[[Sound], Sound], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Many, "results", plant(Many.results))
    with pytest.raises(AssertionError):
        try_seeds(range(100))


def _lost_is_not_written(exc: BaseException, key: str, url: str) -> StorageGuardError:
    del exc
    return NotWritten(f"not written to {url}", key=key)


def _names_another_key(exc: BaseException, key: str, url: str) -> StorageGuardError:
    del exc, key
    return NotWritten(f"not written to {url}", key="another")


def _in_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = writing.create

    def twice(policy: Policy, wanted: Wanted, data: Any, **options: Any) -> Receipt:
        sound(policy, wanted, data, **options)
        again = policy.wanted(wanted.key, if_exists="error", write_id=None, options=None)
        return sound(policy, again, data, **options)

    monkeypatch.setattr(many, "writing", SimpleNamespace(create=twice))


def _in_words(instead: Callable[[BaseException, str, str], StorageGuardError]) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda monkeypatch: monkeypatch.setattr(many, "as_result", instead)


CREATES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "tells a conflict with its own double": _in_writing,
    "calls what is unknown not written": _in_words(_lost_is_not_written),
    "names another key": _in_words(_names_another_key),
}


@pytest.mark.parametrize("what", CREATES)
def test_planted_creates_are_caught(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    CREATES[what](monkeypatch)
    with pytest.raises(AssertionError):
        try_seeds(range(1000))


# In histories

MANY = Mix(keys=(2, 8), fault_rates=(0.0, 0.1, 0.3), weights={"create-many": 6.0, "create": 2.0, "settle": 1.0})


def test_create_many_is_drawn_for_keys_that_others_want_and_each_key_is_judged() -> None:
    met: Counter[str] = Counter()
    for seed in range(40):
        script = draw(seed, Mix(), 64)
        drawn = [step.operation for step in script.steps if isinstance(step.operation, CreateMany)]
        assert all(1 <= len({each.key for each in one.items}) == len(one.items) <= 4 for one in drawn)
        met["drawn"] += len(drawn)
        met["several"] += sum(len(one.items) > 1 for one in drawn)
        history = play(script, memory(), fresh_listings=True).history
        assert check(history) == []
        calls = [call for call in history.calls if "beside" in call.asked.words]
        assert len(calls) == sum(len(one.items) for one in drawn)
        met.update(call.told.what for call in calls if call.told is not None)
    assert met["several"] > 20
    assert all(met[what] for what in ("created", "exists", "same", "present", "unknown", "not written"))


def first_broken(laws: set[str], seeds: Iterable[int]) -> Script | None:
    for seed in seeds:
        played = play(draw(seed, MANY, 64), memory(), fresh_listings=True)
        if laws & {violation.law for violation in check(played.history)}:
            return played.script
    return None


@pytest.mark.parametrize(
    ("what", "laws"),
    [
        ("tells a conflict with its own double", {"without_trouble_somebody_wins", "ones_own_write_is_no_conflict"}),
        ("calls what is unknown not written", {"not_written_is_for_good"}),
    ],
)
def test_histories_see_planted_defects_replay_and_shrink_them(
    what: str, laws: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert first_broken(laws, range(10)) is None
    CREATES[what](monkeypatch)
    script = first_broken(laws, range(30))
    assert script is not None

    def replay(script: Script) -> Any:
        return play(script, memory(), fresh_listings=True)

    played = replay(script)
    (law, *_) = [violation.law for violation in check(played.history) if violation.law in laws]
    shortest = shrink(played, law, replay, most_replays=200)
    assert len(shortest.script.steps) <= 4
    assert any(isinstance(step.operation, CreateMany) for step in shortest.script.steps)
    assert law in {violation.law for violation in check(replay(shortest.script).history)}
