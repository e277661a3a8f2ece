"""What follows from what was observed of a store, and from one round of a race: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from storage_guard.driver import Broken, Busy, Conflict, Damaged, Exists, Gone, Lost, ObjectInfo, Signal, Unsynced
from storage_guard.guarantee.findings import (
    DAY_S,
    OPERATIONS,
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

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TAKEN = Exists("taken", sole=True)
RESENT = Exists("taken", sole=False)


def info(write_id: str | None) -> ObjectInfo:
    return ObjectInfo("k", 1, f"etag of {write_id}", NOW, write_id=write_id)


def claim(name: str, told: Signal | None = None) -> Claim:
    """A writer `name`, which sent `name`; told None: that it created the object."""
    return Claim(name, name.encode(), info(name) if told is None else told)


def seen(write_id: str | None, data: str | None = None) -> Seen:
    return Seen(info(write_id), (data if data is not None else write_id or "").encode())


@pytest.mark.parametrize(
    ("claims", "there", "holds"),
    [
        ([claim("a"), claim("b", TAKEN), claim("c", TAKEN)], seen("a"), True),
        ([claim("a"), claim("b", RESENT)], seen("a"), True),
        ([claim("a"), claim("b", Conflict(restart=False)), claim("c", Busy())], seen("a"), True),
        ([claim("a", Unsynced()), claim("b", TAKEN)], seen("a"), True),
        ([claim("a"), claim("b", Lost())], seen("a"), True),
        ([claim("a", Lost()), claim("b", TAKEN)], seen("a"), True),  # its answer was lost, and it won
        ([claim("a", RESENT), claim("b", TAKEN)], seen("a"), True),  # somebody on the way sent it twice
        ([claim("a", Gone(sole=False)), claim("b", TAKEN)], seen("a"), True),
        ([claim("a", Gone(sole=True)), claim("b", TAKEN)], seen("a"), False),
        ([claim("a"), claim("b", TAKEN)], seen(None, "a"), True),  # a store that loses ids
        ([claim("a"), claim("b"), claim("c", TAKEN)], seen("a"), False),
        ([claim("a"), claim("b", Unsynced())], seen("a"), False),
        ([claim("a"), claim("b", Damaged())], seen("a"), False),
        ([claim("a"), claim("b", TAKEN)], seen("b"), False),  # refused, and replaced the winner's
        ([claim("a"), claim("b", TAKEN)], seen("a", "b"), False),  # the bytes of one, the id of the other
        ([claim("a"), claim("b", TAKEN)], seen(None, "b"), False),
        ([claim("a"), claim("b", TAKEN)], seen("a", "aa"), False),
        ([claim("a"), claim("b", TAKEN)], seen("stranger", "a"), False),
        ([claim("a"), claim("b", TAKEN)], None, False),
        ([claim("a", TAKEN), claim("b", TAKEN)], seen("a"), False),  # everybody was refused, and one is there
        ([claim("a", Conflict(restart=False)), claim("b", TAKEN)], seen("a"), False),
        ([claim("a", Broken()), claim("b", TAKEN)], seen("a"), False),
        ([claim("a", Busy()), claim("b", Conflict(restart=True))], None, None),  # nobody won
        ([claim("a", Lost()), claim("b", Lost())], seen("a"), None),  # the other one may have been replaced
        ([claim("a", Lost()), claim("b", Lost())], None, None),
    ],
)
def test_a_race_keeps_the_promise_if_one_wins_and_is_there(
    claims: list[Claim], there: Seen | None, holds: bool | None
) -> None:
    verdict, why = judge(claims, there)
    assert verdict is holds
    assert bool(why) is (holds is False)


def test_writers_of_equal_bytes_are_told_apart_by_their_ids() -> None:
    claims = [Claim("a", b"same", info("a")), Claim("b", b"same", TAKEN)]
    assert judge(claims, seen("a", "same"))[0] is True
    assert judge(claims, seen("b", "same"))[0] is False
    assert judge(claims, seen(None, "same"))[0] is True


def observed(operation: Operation, **changes: bool | None) -> list[Observation]:
    names: dict[Law, str] = {law: law.replace(" ", "_") for law in laws_of(operation)}
    return [Observation(operation, law, changes.get(name, True), f"about {law}") for law, name in names.items()]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_that_breaks_any_law_but_that_of_ids_is_missing_and_says_which(operation: Operation) -> None:
    for law in laws_of(operation):
        found = find(
            operation, observed(operation, **{law.replace(" ", "_"): False}), NOW, rounds=8, writers=16, serial=False
        )
        if law == "id":
            assert (found.verdict, found.write_ids) == ("raced", False)
        else:
            assert (found.verdict, found.reason, found.holds) == ("missing", f"{operation}: about {law}", False)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_could_not_be_told_is_never_taken_for_kept(operation: Operation) -> None:
    for law in laws_of(operation):
        changes: dict[str, bool | None] = {law.replace(" ", "_"): None}
        found = find(operation, observed(operation, **changes), NOW, rounds=8, writers=16, serial=False)
        assert found.holds is (law == "id")
        # That something does not hold is more than that it is not known.
        changes["unchanged" if law == "taken" else "taken"] = False
        found = find(operation, observed(operation, **changes), NOW, rounds=8, writers=16, serial=False)
        assert found.verdict == "missing"


def test_raced_means_that_requests_were_under_way_together() -> None:
    for rounds, serial, verdict in [(8, False, "raced"), (8, True, "probed"), (0, False, "probed")]:
        found = find("put", observed("put"), NOW, rounds=rounds, writers=16, serial=serial)
        assert (found.verdict, found.holds) == (verdict, True)


def test_only_what_writes_beside_puts_is_raced_against_them() -> None:
    assert "race with puts" not in laws_of("put")
    assert "race with puts" in laws_of("finish")
    assert "race with puts" in laws_of("copy")


@pytest.mark.parametrize(
    ("verdict", "old_s", "fresh"),
    [
        ("raced", 0, True),
        ("raced", 6.9 * DAY_S, True),
        ("raced", 7 * DAY_S, False),
        ("raced", -3599, True),  # the clocks of two machines
        ("raced", -3601, False),  # a clock that was wrong would be believed for years
        ("probed", 6.9 * DAY_S, True),
        ("missing", 0.9 * DAY_S, True),
        ("missing", 1 * DAY_S, False),  # servers are mended
    ],
)
def test_a_verdict_ages(verdict: str, old_s: float, fresh: bool) -> None:
    found = Finding("put", verdict, "", NOW)  # type: ignore[arg-type]
    assert found.is_fresh(NOW + timedelta(seconds=old_s), 7 * DAY_S) is fresh
    assert not found.is_fresh(NOW, 0.0)
