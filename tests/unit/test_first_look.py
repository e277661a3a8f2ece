"""The first look at a store, at what it can do, is no exception from what a caller is promised."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from storage_guard import OutcomeUnknown, Receipt, Store, StoreUnavailable
from storage_guard.memory import MemoryDriver
from storage_guard.testing import BUSY, FakeClock, FaultyDriver
from storage_guard.ticket import Ticket

DEADLINE_S = 20.0


def opened(busy: int) -> tuple[Store, FakeClock]:
    driver = FaultyDriver(MemoryDriver())
    driver.plan("capabilities", [BUSY] * busy)
    clock = FakeClock(chance=1.0)
    return Store(driver, clock=clock), clock


CALLS: dict[str, Callable[[Store], object]] = {
    "create": lambda store: store.create("k", b"x", deadline_s=DEADLINE_S),
    "open": lambda store: store.open("k", "xb", deadline_s=DEADLINE_S),
    "copy": lambda store: store.copy("k", "other", deadline_s=DEADLINE_S),
    "rename": lambda store: store.rename("k", "other", deadline_s=DEADLINE_S),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_callers_deadline_is_that_of_the_first_look_too(name: str) -> None:
    store, clock = opened(1000)
    with pytest.raises(StoreUnavailable, match="could not be examined"):
        CALLS[name](store)
    assert 5 < clock.now_s() <= DEADLINE_S


def test_who_settles_waits_no_longer_for_the_first_look() -> None:
    store, clock = opened(1000)
    with pytest.raises(OutcomeUnknown, match="could not be examined"):
        store.settle(str(Ticket(store.url, "k", "an-id")), deadline_s=DEADLINE_S)
    assert clock.now_s() <= DEADLINE_S


def test_the_items_of_one_call_share_the_time_of_the_first_look() -> None:
    store, clock = opened(1000)
    results = list(store.create_many([(f"k{number}", b"x") for number in range(50)], deadline_s=DEADLINE_S))
    assert all(isinstance(each, StoreUnavailable) for each in results)
    assert len(results) == 50
    assert clock.now_s() <= DEADLINE_S


@pytest.mark.parametrize("busy", [1, 5])
def test_a_store_that_answers_in_time_is_written_to(busy: int) -> None:
    store, _ = opened(busy)
    create = partial(store.create, deadline_s=DEADLINE_S)
    assert create("k", b"x").outcome == "created"
    store, _ = opened(busy)
    results = list(store.create_many([(f"k{number}", b"x") for number in range(5)], deadline_s=DEADLINE_S))
    assert all(isinstance(each, Receipt) for each in results)
