"""One operation, held against its laws: alone, one write after the other; then many at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol

from storage_guard import signals
from storage_guard.guarantee.bench import Attempt, Bench, Finish, UndecidedError, UnusableError, said
from storage_guard.guarantee.findings import (
    Claim,
    Finding,
    Law,
    Observation,
    Operation,
    Seen,
    find,
    judge,
    laws_of,
)
from storage_guard.guarantee.racing import Crew, Holding
from storage_guard.model import ObjectInfo


@dataclass(frozen=True)
class Effort:
    """How hard it is tried. `rounds` of each race, of `writers` each, and `large_rounds` of `large_writers` with bodies
    that no driver reads beforehand. `hold_s`: for how long nobody comes until a request that is held is let go."""

    rounds: int = 8
    writers: int = 16
    large_rounds: int = 2
    large_writers: int = 8
    hold_s: float = 2.0

    def __post_init__(self) -> None:
        if self.rounds < 0 or self.large_rounds < 0 or min(self.writers, self.large_writers) < 2 or self.hold_s <= 0:
            raise ValueError(f"want rounds, at least two writers, and a time to hold them, got {self}")


class _Fault(Exception):
    """A law does not hold."""


@dataclass
class Link:
    """What was learned of the driver while it was raced: how often it reads a body of some size, and how many requests
    it sends side by side."""

    passes: dict[bool, int] = field(default_factory=dict[bool, int])
    together: int | None = None

    @property
    def serial(self) -> bool:
        return self.together == 1


class Trial:
    """Of one operation. `put_holds`: whether puts may be raced against it."""

    def __init__(
        self, bench: Bench, operation: Operation, effort: Effort, link: Link, crew: Crew, *, put_holds: bool
    ) -> None:
        self._bench = bench
        self._operation: Operation = operation
        self._effort = effort
        self._link = link
        self._crew = crew
        self._put_holds = put_holds
        self._law: Law = "free"
        self._seen: dict[Law, Observation] = {}
        self._rounds = 0
        self.signal: signals.Signal | None = None  # why it could not be told, or had
        self.lasting = True  # what was found stays so, as long as nobody mends anything
        self.unavailable = False

    def run(self) -> list[Observation]:
        """An observation for each law. Whoever calls this cleans up."""
        why = ""
        try:
            self._alone()
            self._together()
        except _Fault as fault:
            self._note(self._law, str(fault), holds=False)
            why = "not tried"
        except UnusableError as exc:
            self.signal = exc.signal
            self._note(self._law, f"the store does not do it: {exc}", holds=False)
            why = "not tried"
        except UndecidedError as exc:
            self.signal = exc.signal
            self.lasting = exc.lasting
            self.unavailable = exc.unavailable
            why = str(exc)
            if self._law in self._seen:  # it was about what comes behind the last law that was told
                untold: list[Law] = [law for law in laws_of(self._operation) if law not in self._seen]
                self._law = untold[0] if untold else self._law
            self._note(self._law, why, holds=None)
        for law in laws_of(self._operation):
            if law not in self._seen:
                self._note(law, why or "not tried", holds=None)
        return [self._seen[law] for law in laws_of(self._operation)]

    def finding(self, at: datetime) -> Finding:
        """What follows from it."""
        seen = [each for law, each in self._seen.items() if not (law == "race with puts" and each.evidence == _NO_PUTS)]
        if self._effort.rounds == 0:
            seen = [each for each in seen if each.law not in ("race", "race with puts")]
        return find(
            self._operation, seen, at, rounds=self._rounds, writers=self._effort.writers, serial=self._link.serial
        )

    def _note(self, law: Law, evidence: str, *, holds: bool | None = True) -> None:
        self._seen[law] = Observation(self._operation, law, holds, evidence)

    # Alone

    def _alone(self) -> None:
        bench = self._bench
        key = bench.key()
        self._law = "free"
        self._expect(bench.look(key) is None, "a key that nobody used is said to be taken")
        first, second = self._attempt(key), self._attempt(key)  # both begun while the key is free
        self._created(first)
        self._note("free", "created")
        self._law = "seen"
        before = self._look_at(first)
        self._note("seen", "as it was sent")
        self._look_at_id(first, before)
        self._refused(second, before)
        if self._operation == "finish":  # whoever comes first may be another kind of write
            other_key = bench.key()
            third = self._attempt(other_key)
            self._law = "free"
            rival = bench.put(other_key)
            self._created(rival)
            self._refused(third, self._look_at(rival))
            self._discard(other_key, third)
        self._discard(key, second)

    def _attempt(self, key: str) -> Attempt:
        bench = self._bench
        match self._operation:
            case "put":
                return bench.put(key)
            case "finish":
                upload = bench.upload(key)
                upload.begin()
                return upload
            case "copy":
                return bench.copy(key, self._source())

    def _source(self) -> Seen:
        """An object to copy."""
        put = self._bench.put(self._bench.key())
        self._created(put)
        return self._look_at(put)

    def _created(self, attempt: Attempt) -> None:
        told = self._bench.told(attempt)
        match told:
            case ObjectInfo() | signals.Unsynced() | signals.Damaged():
                return
            case signals.Broken():
                raise _Fault("the store says that it wrote without the condition")
            case signals.Refused(why="access"):
                raise UndecidedError(said(told), told, lasting=True)
            case signals.Exists():
                raise _Fault("a free key is refused as if it were taken")
            case _:
                raise UnusableError(told)

    def _look_at(self, attempt: Attempt) -> Seen:
        seen = self._bench.look(attempt.key)
        if seen is None:
            raise _Fault("what was just created is not seen (head is stale)")
        self._expect(seen.data == attempt.data, "what is there is not what was just created")
        self._expect(seen.info.size_bytes == len(attempt.data), "the size of what was just created is wrong")
        return seen

    def _look_at_id(self, attempt: Attempt, seen: Seen) -> None:
        self._law = "id"
        if seen.info.write_id is None:
            self._note("id", "the write id is lost: whose an object is cannot be told later", holds=False)
            return
        if seen.info.write_id != attempt.write_id:
            # Worse than none: one's own object would be taken for another's.
            self._note("id", "the write id is that of another write", holds=False)
            self._law = "seen"
            raise _Fault("what was just created carries the id of another write")
        self._note("id", "kept")

    def _refused(self, attempt: Attempt, before: Seen) -> None:
        self._law = "taken"
        told = self._bench.told(attempt)
        after = self._bench.look(attempt.key)
        unchanged = before.same_as(after)
        match told:
            case signals.Exists():
                self._note("taken", "refused")
            case signals.Refused(why="access"):
                raise UndecidedError(said(told), told, lasting=True)
            case signals.Broken():
                raise _Fault("the store says that it wrote without the condition")
            case signals.Definite():
                raise _Fault(f"a taken key is refused for another reason: {said(told)}")
            case _:
                what = "and nothing was written" if unchanged else "and the object was replaced"
                raise _Fault(f"the condition is ignored: a write to a taken key was accepted, {what}")
        self._law = "unchanged"
        self._expect(unchanged, "a write to a taken key was refused, and replaced what is there all the same")
        self._note("unchanged", "same bytes, id and etag")

    def _discard(self, key: str, loser: Attempt) -> None:
        bench = self._bench
        self._law = "removed"
        try:
            bench.patiently(loser.drop, "an upload could not be aborted")
            bench.remove(key)
        except UnusableError as exc:
            raise UndecidedError(f"what was written could not be removed: {exc}", exc.signal, lasting=True) from exc
        self._expect(bench.look(key) is None, "what was removed is still seen (head is stale)")
        bench.forget(key)
        self._note("removed", "gone")

    @staticmethod
    def _expect(holds: bool, otherwise: str) -> None:
        if not holds:
            raise _Fault(otherwise)

    # Together

    def _together(self) -> None:
        if not self._effort.rounds:
            return
        self._law = "race"
        sources = [self._source(), self._source()] if self._operation == "copy" else []
        self._race(partial(self._same, sources))
        if self._operation == "put":
            return
        self._law = "race with puts"
        if self._put_holds:
            self._race(partial(self._mixed, sources))
        else:
            self._note("race with puts", _NO_PUTS, holds=None)

    def _race(self, entrants: Entrants) -> None:
        effort, bench = self._effort, self._bench
        puts_run = self._operation == "put" or self._law == "race with puts"
        large = effort.large_rounds if puts_run and bench.large_bytes > bench.small_bytes else 0
        held = 0
        for number in range(effort.rounds + large):
            is_large = number >= effort.rounds
            writers = min(effort.writers, effort.large_writers) if is_large else effort.writers
            holds, why = self._round(entrants(bench.key(), writers, is_large=is_large), is_large=is_large)
            if holds is False:
                raise _Fault(f"{why} (round {number + 1})")
            held += bool(holds)
        rounds = effort.rounds + large
        if 2 * held < rounds:
            raise UndecidedError(f"only {held} of {rounds} races were decided: answers were lost, or nobody won")
        self._rounds += held
        side_by_side = "one after the other" if self._link.serial else f"{effort.writers} at a time"
        self._note(self._law, f"{held} of {rounds} rounds, {side_by_side}")

    def _same(self, sources: Sequence[Seen], key: str, writers: int, *, is_large: bool) -> list[Attempt]:
        bench = self._bench
        match self._operation:
            case "put":
                size_bytes = bench.large_bytes if is_large else bench.small_bytes
                return [bench.put(key, size_bytes) for _ in range(writers)]
            case "finish":
                return [bench.upload(key) for _ in range(writers)]
            case "copy":
                return [bench.copy(key, sources[number % 2]) for number in range(writers)]

    def _mixed(self, sources: Sequence[Seen], key: str, writers: int, *, is_large: bool) -> list[Attempt]:
        size_bytes = self._bench.large_bytes if is_large else self._bench.small_bytes
        ours = self._same(sources, key, writers // 2, is_large=False)
        puts = [self._bench.put(key, size_bytes) for _ in range(writers - len(ours))]
        return [each for pair in zip(ours, puts, strict=False) for each in pair] + puts[len(ours) :]

    def _round(self, attempts: Sequence[Attempt], *, is_large: bool) -> tuple[bool | None, str]:
        bench, key = self._bench, attempts[0].key
        uploads = [each for each in attempts if isinstance(each, Finish)]
        _raise_first(self._crew.each([upload.begin for upload in uploads]))
        holding = Holding(len(attempts), hold_s=self._effort.hold_s, together=self._link.together)
        for who, attempt in enumerate(attempts):
            attempt.hold(holding, who, self._link.passes.get(is_large, 1))
        outcomes = self._crew.race(holding, [attempt.run for attempt in attempts])
        self._learn(holding, attempts, is_large=is_large)
        claims: list[Claim] = []
        for attempt, outcome in zip(attempts, outcomes, strict=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, signals.Signal):
                raise outcome
            claims.append(Claim(attempt.write_id, attempt.data, outcome))
        verdict = judge(claims, bench.look(key))
        _raise_first(self._crew.each([partial(bench.patiently, each.drop, "an upload stays open") for each in uploads]))
        bench.remove(key)
        if not any(isinstance(claim.told, signals.Lost) for claim in claims):
            bench.forget(key)  # else something may yet come
        return verdict

    def _learn(self, holding: Holding, attempts: Sequence[Attempt], *, is_large: bool) -> None:
        """How the next round is to be held. Only puts have bodies, which tell; large ones may take long."""
        if self._operation != "put" or not holding.stages:
            return
        self._link.passes[is_large] = holding.stages
        if holding.gave_up and not is_large:
            self._link.together = min(holding.most, self._link.together or len(attempts))


class Entrants(Protocol):
    """Who races for a key."""

    def __call__(self, key: str, writers: int, *, is_large: bool) -> Sequence[Attempt]: ...


_NO_PUTS = "puts do not hold by themselves"


def _raise_first(results: Sequence[object]) -> None:
    for each in results:
        if isinstance(each, Exception):
            raise each
