"""Does create-only hold here? Every law of an examination, asked of a store with many more rounds, whoever vouches.

    from storage_guard.doctor import examine
    print(examine(open_store("s3://bucket/prefix", endpoint_url="https://...")))

`python -m storage_guard.doctor URL` prints the same.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from storage_guard import signals
from storage_guard.access import Access
from storage_guard.guarantee.bench import AREA
from storage_guard.guarantee.examining import PATIENCE_S, library, run
from storage_guard.guarantee.findings import LAWS, OPERATIONS, Finding, Observation, Operation
from storage_guard.guarantee.marker import Marker, Place
from storage_guard.guarantee.trial import Effort, Link, Trial
from storage_guard.model import Capabilities, Vouch
from storage_guard.store import Store

__all__ = ["Report", "Row", "examine"]

ROUNDS = 50
_SHOWN_AREA = "storage-guard-examination"  # for a backend that keeps `.storage-guard/` to itself


@dataclass(frozen=True)
class Row:
    """One law. `operation`: "put", "finish" or "copy". `holds` None: not known, `evidence` says why."""

    operation: Operation
    law: str
    holds: bool | None
    evidence: str


@dataclass(frozen=True)
class Report:
    """What was asked of a store, and what it did.

    `vouched` is who vouches for each operation without an examination. `left` is what could not be cleaned up.
    """

    url: str
    server: str
    versioning: str
    vouched: dict[Operation, Vouch]
    rows: tuple[Row, ...]
    follows: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every law does."""
        return all(row.holds is True for row in self.rows)

    def as_json(self) -> str:
        return json.dumps({"holds": self.holds, **asdict(self)}, indent=2)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.url}  (server: {self.server or 'not said'}, versioning: {self.versioning})"
        words = {True: "holds", False: "DOES NOT", None: "not known"}
        for operation in OPERATIONS:
            yield f"\n{operation}, which is {self.vouched[operation]}:"
            for row in self.rows:
                if row.operation == operation:
                    yield f"  {words[row.holds]:<10} {row.law:<46} {row.evidence}".rstrip()
        yield ""
        yield from (f"- {each}" for each in self.follows)
        yield from (f"! {each}" for each in self.left)


def examine(store: Store, *, rounds: int = ROUNDS, writers: int = 16, keep: bool = False) -> Report:
    """Hold a store against every law, and clean up.

    `rounds` of each race with `writers` each, and a fifth as many with larger bodies, of 1.2 MB. Objects are written
    below the store's prefix, in `.storage-guard/`, which no Store shows. `keep`: leave the verdict there, for the
    Stores of other processes, which then need not examine; who cannot remove objects cannot do so himself.

    Raises ValueError for no rounds or fewer than two writers; AccessDenied and StoreUnavailable where the store does
    not even say what it is. All other trouble is in the report.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    effort = Effort(rounds, writers, large_rounds=max(2, rounds // 5), large_writers=writers)
    access = store._access  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - of this house
    can = access.patiently(access.driver.capabilities, "the store could not be examined")
    link, findings, left, rows = Link(), dict[Operation, Finding](), list[str](), list[Row]()
    for operation in OPERATIONS:
        put = findings.get("put")
        trial, observations, notes = _run(access, operation, effort, link, put_holds=put is None or put.holds)
        findings[operation] = trial.finding(datetime.now(UTC))
        rows += [Row(operation, LAWS[each.law], each.holds, each.evidence) for each in observations]
        left += notes
    vouched: dict[Operation, Vouch] = {"put": can.put, "finish": can.finish, "copy": can.copy}
    if keep:
        left += _keep(access, can, vouched, findings)
    return Report(
        store.url,
        can.server,
        can.versioning,
        vouched,
        tuple(rows),
        tuple(_what_follows(vouched, findings, access.driver.limits.max_put_bytes)),
        tuple(left),
    )


def _run(
    access: Access, operation: Operation, effort: Effort, link: Link, *, put_holds: bool
) -> tuple[Trial, list[Observation], list[str]]:
    tried = run(access, operation, effort, link, put_holds=put_holds, area=access.prefix + AREA)
    signal = tried[0].signal
    if isinstance(signal, signals.Refused) and signal.why == "key":
        return run(access, operation, effort, link, put_holds=put_holds, area=access.prefix + _SHOWN_AREA)
    return tried


def _keep(
    access: Access, can: Capabilities, vouched: dict[Operation, Vouch], findings: dict[Operation, Finding]
) -> list[str]:
    marker = Marker(access.driver, access.prefix, lambda: access.patience(PATIENCE_S))
    place, now = Place.of(access.driver, can), datetime.now(UTC)
    notes = [
        marker.keep(place, finding, library(), now, lambda: secrets.token_hex(8))
        for operation, finding in findings.items()
        if vouched[operation] == "unproven"
    ]
    return [note for note in notes if note]


def _what_follows(
    vouched: dict[Operation, Vouch], findings: dict[Operation, Finding], max_put_bytes: int
) -> Sequence[str]:
    """What a Store does with it."""
    usable: dict[Operation, Any] = {each: findings[each].holds and vouched[each] != "missing" for each in OPERATIONS}
    said = [
        f"the backend vouches for {each}, and here it failed: a Store would believe it; do not write here"
        for each in OPERATIONS
        if vouched[each] == "documented" and not findings[each].holds
    ]
    said += [
        f"a Store refuses {each}, as its backend says that it is not guarded"
        for each in OPERATIONS
        if vouched[each] == "missing"
    ]
    if not usable["put"]:
        believed = vouched["put"] == "documented"  # and then nothing is refused
        return said if believed else [*said, "a Store refuses to write here (GuaranteeMissing)"]
    if not usable["finish"]:
        said.append(f"objects are created in one request, of up to {max_put_bytes} bytes, and larger ones are refused")
    if not usable["copy"]:
        way = "are made in parts" if usable["finish"] else "pass through the client"
        said.append(f"copies {way}")
    if not all(finding.write_ids for finding in findings.values()):
        said.append("ids are lost: a create whose answer is lost stays unknown, and write_id= is refused")
    return said or ["a Store creates, uploads and copies here"]
