"""The verdict, kept in the store, so that other processes read one object instead of examining again.

It may be kept in a store that overwrites: whoever keeps a verdict reads what is there and adds to it, and what two of
them lose to each other is examined once more. Nobody is harmed but by a verdict that is wrong, so one that is not
understood, is of another server or has aged is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast, get_args

from storage_guard import names, signals
from storage_guard.answers import asked_s
from storage_guard.body import BytesBody
from storage_guard.driver import Driver
from storage_guard.guarantee.findings import OPERATIONS, Finding, Operation, Verdict
from storage_guard.model import Capabilities, KiB, Versioning, WriteMeta
from storage_guard.retry import Patience

NAME = f"{names.RESERVED}/guarantee.json"
FORMAT = 1
"""Counted up whenever an examination would find what an earlier one could not: then the earlier verdicts are void."""
_MOST_BYTES = 64 * KiB
_TRIES = 4


@dataclass(frozen=True)
class Place:
    """What a verdict is about: another server, or another state of the bucket, makes it void."""

    endpoint: str
    server: str
    versioning: str

    @classmethod
    def of(cls, driver: Driver, can: Capabilities) -> Place:
        return cls(driver.location.endpoint, can.server, can.versioning)

    def states(self) -> list[Place]:
        """What it may be, where we may not ask whether the bucket has versions."""
        known = [each for each in get_args(Versioning) if each != "unknown"]
        return [replace(self, versioning=each) for each in known] if self.versioning == "unknown" else []


def written(place: Place, findings: Mapping[Operation, Finding], library: str) -> bytes:
    """A marker, as it is stored. What could not be told is left out."""
    found: dict[str, Any] = {}
    for operation, finding in findings.items():
        if finding.verdict != "undecided":
            fields = asdict(finding) | {"at": finding.at.astimezone(UTC).isoformat()}
            del fields["operation"]
            found[operation] = fields
    content = {"format": FORMAT, "library": library, **asdict(place), "found": found}
    return json.dumps(content, indent=1).encode()


def understood(data: bytes, place: Place) -> dict[Operation, Finding]:
    """What a marker says of this place; {} if it is not one, or of another."""
    try:
        content = json.loads(data)
        about = Place(content["endpoint"], content["server"], content["versioning"])
        if content["format"] != FORMAT or about != place:
            return {}
        return {each: _finding(each, content["found"][each]) for each in OPERATIONS if each in content["found"]}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _finding(operation: Operation, fields: Any) -> Finding:
    """Raises ValueError, KeyError or TypeError for what is none."""
    verdict, reason, at = fields["verdict"], fields["reason"], datetime.fromisoformat(fields["at"])
    write_ids, rounds, writers = fields["write_ids"], fields["rounds"], fields["writers"]
    if verdict not in get_args(Verdict) or verdict == "undecided" or at.tzinfo is None:
        raise ValueError(f"no verdict: {fields}")
    if not (isinstance(reason, str) and isinstance(write_ids, bool) and type(rounds) is type(writers) is int):
        raise TypeError(f"no verdict: {fields}")
    return Finding(operation, cast("Verdict", verdict), reason, at, write_ids, rounds, writers)


class Marker:
    """The marker of one store. `prefix` is the store's."""

    def __init__(self, driver: Driver, prefix: str, patience: Callable[[], Patience]) -> None:
        self._driver = driver
        self._key = prefix + NAME
        self._patience = patience

    def read(self, place: Place) -> dict[Operation, Finding]:
        """What is known already. Raises the Signal of a store that does not answer."""
        patience = self._patience()
        while True:
            try:
                return understood(self._driver.read(self._key, 0, _MOST_BYTES, None), place)
            except (signals.Busy, signals.Lost) as signal:
                if not patience.wait(asked_s(signal)):
                    raise
            except signals.Signal:
                return {}  # there is none; or we may not read it, and examining will show what else we may not

    def keep(self, place: Place, finding: Finding, library: str, now: datetime, write_id: Callable[[], str]) -> str:
        """Add a finding to it; a note if that cannot be done."""
        if finding.verdict == "undecided":
            return ""
        patience = self._patience()
        trouble = ""
        for _ in range(_TRIES):
            try:
                self._add(place, finding, library, now, write_id())
            except signals.Signal as signal:
                trouble = str(signal)
                again = isinstance(signal, signals.Exists | signals.Absent | signals.Changed)
                if not again and not (
                    isinstance(signal, signals.Busy | signals.Lost | signals.Conflict)
                    and patience.wait(asked_s(signal))
                ):
                    break
            else:
                return ""
        return f"the verdict could not be kept at {self._key!r} for other processes: {trouble}"

    def _add(self, place: Place, finding: Finding, library: str, now: datetime, write_id: str) -> None:
        there = self._driver.head(self._key)
        found: dict[Operation, Finding] = {}
        if there is not None:
            data = self._driver.read(self._key, 0, _MOST_BYTES, there.etag)
            found = {
                each: other
                for each, other in understood(data, place).items()
                if (now - other.at).total_seconds() < _FORGOTTEN_S
            }
            if found.get(finding.operation) == finding:
                return  # an earlier request arrived after all
            self._driver.remove(self._key, there.etag)
        found[finding.operation] = finding
        self._driver.put_new(self._key, BytesBody(written(place, found, library)), WriteMeta(write_id))


_FORGOTTEN_S = 366 * 86_400.0  # whatever ages are asked for, so old a finding is of no use to anybody
