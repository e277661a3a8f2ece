"""Each operation of a store once, before its first use by a Store: what another process found, or an examination."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from storage_guard import log
from storage_guard.access import Access
from storage_guard.guarantee.bench import AREA, Bench, sweep
from storage_guard.guarantee.findings import DAY_S, Finding, Observation, Operation
from storage_guard.guarantee.marker import Marker, Place
from storage_guard.guarantee.racing import Crew
from storage_guard.guarantee.trial import Effort, Link, Trial
from storage_guard.model import Capabilities
from storage_guard.retry import Patience
from storage_guard.signals import Signal
from storage_guard.translate import as_error

AGE_S = 7 * DAY_S
PATIENCE_S = 60.0
"""How long one question of an examination may go unanswered."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def library() -> str:
    """Which release examines."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - drags much in

    try:
        return version("storage-guard")
    except PackageNotFoundError:
        return "unknown"


class Examiner:
    """Of one Store; thread-safe: who asks while somebody examines waits for what he finds.

    `age_s`: how old the verdict of another process may be. `now` is the time of day.
    """

    def __init__(
        self,
        access: Access,
        *,
        age_s: float = AGE_S,
        effort: Effort | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._access = access
        self._age_s = age_s
        self._effort = effort or Effort()
        self._now = now
        self._link = Link()
        self._lock = threading.Lock()
        self._found: dict[Operation, Finding] = {}
        self._unsure_until_s: dict[Operation, float] = {}
        self._notes: list[str] = []

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    @property
    def loses_ids(self) -> bool:
        """Whether something was found to write objects that do not say whose they are."""
        return not all(each.write_ids for each in list(self._found.values()))

    def take_notes(self) -> list[str]:
        """What could not be cleaned up or kept, told once."""
        notes, self._notes = self._notes, []
        return notes

    def finding(self, operation: Operation, can: Capabilities) -> Finding:
        """What is known of it, found out now if it must be. Raises StoreUnavailable and what ends a head or a read."""
        found = self._found.get(operation)
        if found is not None and operation not in self._unsure_until_s:
            return found
        with self._lock:
            if operation != "put" and can.put == "unproven":
                self._find("put", can)
            return self._find(operation, can)

    def known(self, operation: Operation, can: Capabilities) -> Finding | None:
        """The same without examining, and without a word of trouble."""
        with self._lock:
            found = self._found.get(operation)
            if found is not None:
                return found
            try:
                return self._kept(operation, can)
            except Signal:
                return None

    def _find(self, operation: Operation, can: Capabilities) -> Finding:
        found = self._found.get(operation)
        if found is not None and not self._is_to_be_asked_again(operation):
            return found
        try:
            found = self._kept(operation, can)
        except Signal as signal:
            raise as_error(signal, self._sentence, key=None) from signal
        if found is None:
            found = self._examine(operation, can)
        self._found[operation] = found
        return found

    def _is_to_be_asked_again(self, operation: Operation) -> bool:
        return self._access.clock.now_s() >= self._unsure_until_s.get(operation, float("inf"))

    def _kept(self, operation: Operation, can: Capabilities) -> Finding | None:
        kept = self._marker().read(Place.of(self._access.driver, can)).get(operation)
        return kept if kept is not None and kept.is_fresh(self._now(), self._age_s) else None

    def _examine(self, operation: Operation, can: Capabilities) -> Finding:
        put = self._found.get("put")
        put_holds = can.put == "documented" if put is None else put.holds
        if operation == "put":
            sweep(self._access.driver, f"{self._access.prefix}{AREA}/", self._now() - timedelta(seconds=DAY_S))
        trial, _, left = run(
            self._access, operation, self._effort, self._link, put_holds=put_holds, area=self._access.prefix + AREA
        )
        found = trial.finding(self._now())
        if found.verdict == "undecided" and trial.unavailable and trial.signal is not None:
            error = as_error(trial.signal, self._sentence, key=None)
            for note in left:
                error.add_note(note)
            raise error from trial.signal
        self._unsure_until_s.pop(operation, None)
        if found.verdict == "undecided" and not trial.lasting:
            self._unsure_until_s[operation] = self._access.clock.now_s() + PATIENCE_S
        place = Place.of(self._access.driver, can)
        if found.verdict == "undecided":
            found = replace(found, reason=found.reason + self._void(operation, place))
        log.examined(self._access.url, operation, found.verdict)
        trouble = self._marker().keep(place, found, library(), self._now(), lambda: secrets.token_hex(8))
        self._notes += [*left, *([trouble] if trouble else [])]
        return found

    def _void(self, operation: Operation, place: Place) -> str:
        """That somebody has found it out, for a state of the bucket that may be another by now: some stores keep the
        condition in buckets without versions only."""
        try:
            for state in place.states():
                if operation in self._marker().read(state):
                    return (
                        f"; the verdict that is kept there was found with versioning {state.versioning!r}, and whether "
                        "it still is these credentials may not ask: let them see the bucket's versioning"
                    )
        except Signal:
            pass
        return ""

    @property
    def _sentence(self) -> str:
        return f"the store could not be examined, and nothing was written ({self._access.url})"

    def _marker(self) -> Marker:
        return Marker(self._access.driver, self._access.prefix, self._patience)

    def _patience(self) -> Patience:
        return self._access.patience(PATIENCE_S)


def run(
    access: Access, operation: Operation, effort: Effort, link: Link, *, put_holds: bool, area: str
) -> tuple[Trial, list[Observation], list[str]]:
    """One trial below `area`; what was observed, and what could not be cleaned up.

    Whatever interrupts it leaves nothing behind that could be removed.
    """
    bench = Bench(access.driver, f"{area}/{secrets.token_hex(6)}/", lambda: access.patience(PATIENCE_S))
    left: list[str] = []
    try:
        with Crew(max(effort.writers, effort.large_writers)) as crew:
            trial = Trial(bench, operation, effort, link, crew, put_holds=put_holds)
            observations = trial.run()
    except BaseException as exc:
        for note in bench.clean():
            exc.add_note(note)
        raise
    left = bench.clean()
    return trial, observations, left
