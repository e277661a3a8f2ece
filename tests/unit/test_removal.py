"""`remove` takes away what was meant, never what somebody has created since."""

from __future__ import annotations

from typing import TypeVar

import pytest

from storage_guard import (
    AccessDenied,
    ObjectChanged,
    ObjectNotFound,
    OutcomeUnknown,
    Store,
    StoreUnavailable,
    ticket_of,
)
from storage_guard.driver import Busy, WriteMeta
from storage_guard.memory import MemoryDriver
from storage_guard.testing import (
    BUSY,
    LATE,
    LOST_AFTER,
    LOST_BEFORE,
    REFUSED,
    BytesBody,
    FakeClock,
    Fault,
    FaultyDriver,
    Member,
    Request,
    answers,
)

T = TypeVar("T")


class NewLife(Fault):
    """The removal takes place, somebody creates the key again, and the answer is lost."""

    def strike(self, request: Request[T], /) -> T:
        from storage_guard.driver import Lost

        request.act()
        request.driver.put_new(request.key, BytesBody(b"new life"), WriteMeta("rival"))
        raise Lost("the answer was lost")


def store_with(*faults: Fault) -> tuple[Store, FaultyDriver, FakeClock]:
    driver = FaultyDriver(MemoryDriver())
    clock = FakeClock(chance=1.0)
    store = Store(driver, clock=clock)
    store.create("k", b"old life")
    driver.plan("remove", faults)
    return store, driver, clock


@pytest.mark.parametrize("fault", [LOST_AFTER, LOST_BEFORE, BUSY])
def test_a_removal_is_repeated_until_the_object_is_gone(fault: Fault) -> None:
    store, _, _ = store_with(fault, fault)
    store.remove("k")
    assert store.head("k") is None


def test_a_lost_removal_never_takes_a_new_life() -> None:
    store, driver, _ = store_with(NewLife())
    store.remove("k")
    assert store.read("k") == b"new life"
    assert driver.calls["remove"] == 1


def test_a_new_life_between_the_look_and_the_removal_is_not_taken() -> None:
    store, driver, _ = store_with()

    class Rival(Fault):
        def strike(self, request: Request[T], /) -> T:
            request.driver.remove("k", None)
            request.driver.put_new("k", BytesBody(b"new life"), WriteMeta("rival"))
            return request.act()

    driver.plan("remove", [Rival()])
    with pytest.raises(ObjectChanged, match="'k'"):
        store.remove("k")
    assert store.read("k") == b"new life"


def test_a_removal_that_stays_unanswered_is_unknown_and_has_no_ticket() -> None:
    store, driver, clock = store_with(*[LATE] * 1000)
    with pytest.raises(OutcomeUnknown, match="may have been removed") as caught:
        store.remove("k")
    assert caught.value.key == "k"
    assert ticket_of(caught.value) is None
    assert clock.now_s() > 250
    assert store.head("k") is not None
    driver.deliver()
    assert store.head("k") is None


def test_a_throttled_removal_is_given_up_as_not_done() -> None:
    store, _, clock = store_with(*[BUSY] * 1000)
    with pytest.raises(StoreUnavailable, match="not removed"):
        store.remove("k")
    assert clock.now_s() > 250
    assert store.head("k") is not None


@pytest.mark.parametrize("member", ["head", "remove"])
def test_a_removal_is_given_up_after_the_callers_own_deadline(member: Member) -> None:
    store, driver, clock = store_with()
    driver.plan(member, [BUSY] * 1000)
    with pytest.raises(StoreUnavailable):
        store.remove("k", deadline_s=20.0)
    assert 5 < clock.now_s() <= 20
    assert (driver.calls["remove"] > 1) == (member == "remove")


def test_a_removal_without_a_deadline_that_could_be_is_refused_before_anything_is_asked() -> None:
    store, driver, _ = store_with()
    with pytest.raises(ValueError, match="deadline_s must not be negative"):
        store.remove("k", deadline_s=-1.0)
    assert driver.calls["remove"] == 0


def test_a_look_that_was_answered_leaves_the_removal_the_whole_deadline() -> None:
    store, driver, clock = store_with(*[BUSY] * 3)  # 0.1 + 0.2 + 0.4 s
    driver.plan("head", [BUSY] * 3)
    store.remove("k", deadline_s=1.0)
    assert clock.now_s() > 1.0


def test_after_a_loss_a_definite_no_is_still_unknown() -> None:
    store, driver, _ = store_with(LATE, REFUSED)
    with pytest.raises(OutcomeUnknown):
        store.remove("k")
    driver.deliver()
    assert store.head("k") is None


def test_a_refused_removal_is_said_to_be_one() -> None:
    store, _, _ = store_with(REFUSED)
    with pytest.raises(AccessDenied, match="not removed"):
        store.remove("k")


def test_the_wait_a_store_asks_for_is_respected() -> None:
    store, _, clock = store_with(answers(lambda: Busy("slow down", retry_after_s=17.0)))
    store.remove("k")
    assert clock.now_s() == 17.0


def test_with_an_etag_only_that_object_is_removed_and_nobody_looks_first() -> None:
    store, driver, _ = store_with()
    with pytest.raises(ObjectChanged):
        store.remove("k", etag="another")
    driver.plan("remove", [LOST_AFTER])
    info = store.head("k")
    assert info is not None
    looks = driver.calls["head"]
    store.remove("k", etag=info.etag)
    assert driver.calls["head"] == looks + 1, "only the lost answer was asked about"
    with pytest.raises(ObjectNotFound):
        store.remove("k", etag=info.etag)
    with pytest.raises(ObjectNotFound):
        store.remove("k")


def test_a_removal_that_was_lost_and_then_finds_nothing_is_done() -> None:
    store, driver, _ = store_with(LOST_AFTER)
    driver.plan("head", [None, LOST_BEFORE])  # the look before, and the look behind
    store.remove("k")
    assert store.head("k") is None


def test_a_late_removal_that_arrives_before_the_next_one_is_ours() -> None:
    store, driver, _ = store_with(LATE)

    class LateOneFirst(Fault):
        def strike(self, request: Request[T], /) -> T:
            driver.deliver()
            return request.act()

    driver.plan("remove", [LateOneFirst()])
    store.remove("k")
    assert store.head("k") is None
