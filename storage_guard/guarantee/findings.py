"""Laws, what was observed of them, and what follows: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from storage_guard import signals
from storage_guard.model import ObjectInfo

Operation = Literal["put", "finish", "copy"]
Law = Literal["free", "seen", "id", "taken", "unchanged", "removed", "race", "race with puts"]
Verdict = Literal["raced", "probed", "missing", "undecided"]

OPERATIONS: tuple[Operation, ...] = ("put", "finish", "copy")
LAWS: Mapping[Law, str] = {
    "free": "a free key is created",
    "seen": "what was created is seen at once, and whole",
    "id": "it carries the id of its write",
    "taken": "a taken key is refused",
    "unchanged": "and what is there stays as it was",
    "removed": "what was removed is not seen any more",
    "race": "of writers at one moment one wins",
    "race with puts": "and so of these and puts at one moment",
}
DAY_S = 86_400.0
_SOON_S = 3600.0  # how far the clocks of two machines may differ


def laws_of(operation: Operation) -> Sequence[Law]:
    """Those that are asked of an operation, in the order in which they are tried."""
    return [law for law in LAWS if operation != "put" or law != "race with puts"]


@dataclass(frozen=True)
class Observation:
    """What was seen of one law. `holds` None: it could not be told, or was not tried."""

    operation: Operation
    law: Law
    holds: bool | None
    evidence: str


@dataclass(frozen=True)
class Finding:
    """What is known of one operation.

    "raced": it refused, changed nothing, and let one win of many. "probed": the same, but nothing could be sent side
    by side. "missing": it does not keep the condition, or cannot be had. "undecided": that could not be told.
    `write_ids`: objects that it writes carry the id of their write. `rounds` counts the races that were decided.
    """

    operation: Operation
    verdict: Verdict
    reason: str
    at: datetime
    write_ids: bool = True
    rounds: int = 0
    writers: int = 0

    @property
    def holds(self) -> bool:
        return self.verdict in ("raced", "probed")

    def is_fresh(self, now: datetime, age_s: float) -> bool:
        """Whether it is still believed: for `age_s` seconds, and one that it does not hold for a day at most, as
        servers are mended. Never one from the future, but for clocks that differ a little."""
        old_s = (now - self.at).total_seconds()
        return -_SOON_S <= old_s < (age_s if self.holds else min(age_s, DAY_S))


def find(
    operation: Operation, observations: Sequence[Observation], at: datetime, *, rounds: int, writers: int, serial: bool
) -> Finding:
    """What follows from what was observed. `serial`: no two requests were ever under way at the same time."""
    seen = {each.law: each for each in observations}
    ids = seen.get("id")

    def so(verdict: Verdict, reason: str) -> Finding:
        write_ids = ids is None or ids.holds is not False
        return Finding(operation, verdict, reason, at, write_ids=write_ids, rounds=rounds, writers=writers)

    needed = [each for law in laws_of(operation) if law != "id" and (each := seen.get(law)) is not None]
    for each in needed:
        if each.holds is False:
            return so("missing", f"{operation}: {each.evidence}")
    for each in needed:
        if each.holds is None:
            return so("undecided", f"{operation}: {each.evidence}")
    return so("probed" if serial or not rounds else "raced", "")


# One write

Told = ObjectInfo | signals.Signal


def has_landed(told: Told) -> bool:
    """Whether the store says that it wrote."""
    return isinstance(told, ObjectInfo | signals.Unsynced | signals.Damaged | signals.Broken)


def may_have_landed(told: Told) -> bool:
    """A lost answer, and a refusal of what somebody on the way may have sent twice, leave that open."""
    match told:
        case signals.Exists() | signals.Gone():
            return not told.sole
        case signals.Definite():
            return False
        case _:
            return True


# One round of a race


@dataclass(frozen=True)
class Seen:
    """What is at a key."""

    info: ObjectInfo
    data: bytes

    def same_as(self, other: Seen | None) -> bool:
        """Whether it is the same life of the object, as far as anybody can see."""
        return other is not None and (self.info.etag, self.info.write_id, self.info.size_bytes, self.data) == (
            other.info.etag,
            other.info.write_id,
            other.info.size_bytes,
            other.data,
        )


@dataclass(frozen=True)
class Claim:
    """One writer of a race: what it sent, and what it was told."""

    write_id: str
    data: bytes
    told: Told

    @property
    def won(self) -> bool:
        return isinstance(self.told, ObjectInfo | signals.Unsynced | signals.Damaged)

    @property
    def may_have_won(self) -> bool:
        return may_have_landed(self.told)


def judge(claims: Sequence[Claim], seen: Seen | None) -> tuple[bool | None, str]:
    """Whether one round of a race kept the promise, None where it decided nothing; and why."""
    winners = [claim for claim in claims if claim.won]
    if any(isinstance(claim.told, signals.Broken) for claim in claims):
        return False, "the store says that it wrote without the condition"
    if len(winners) > 1:
        return False, f"{len(winners)} of {len(claims)} writers at one moment were told that they created the object"
    if seen is None:
        return (False, "a writer was told that it created the object, and nothing is there") if winners else (None, "")
    owners = [claim for claim in claims if claim.data == seen.data]
    if not owners:
        return False, "of writers at one moment the bytes at the key are nobody's"
    if seen.info.write_id is not None:
        owners = [claim for claim in owners if claim.write_id == seen.info.write_id]
        if not owners:
            return False, "of writers at one moment the object has the bytes of one and the write id of another"
    if winners:
        return (True, "") if winners[0] in owners else (False, "the object of the winner was replaced by another's")
    if not any(claim.may_have_won for claim in owners):
        return False, "a writer was refused, and its object is there"
    lost = [claim for claim in claims if not isinstance(claim.told, signals.Definite)]
    return (None if len(lost) > 1 else True), ""
