"""How long a caller waits for a store that does not answer: as long as was said, in every call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from storage_guard import OutcomeUnknown, Receipt, RetryPolicy, Store, StoreUnavailable
from storage_guard.memory import MemoryDriver
from storage_guard.testing import BUSY, FakeClock, FaultyDriver, Member
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


ASKED: dict[Member, Callable[[Store], object]] = {
    "head": lambda store: store.head("k"),
    "read": lambda store: store.read("k"),
    "scan": lambda store: list(store.scan()),
    "remove": lambda store: store.remove("k", etag="e"),
    "put_new": lambda store: store.create("k", b"x"),
}


@pytest.mark.parametrize("member", ASKED)
def test_what_is_not_given_a_deadline_has_that_of_the_store(member: Member) -> None:
    driver = FaultyDriver(MemoryDriver())
    Store(driver).create("k", b"x")
    driver.plan(member, [BUSY] * 1000)
    clock = FakeClock(chance=1.0)
    with pytest.raises(StoreUnavailable):
        ASKED[member](Store(driver, clock=clock, deadline_s=DEADLINE_S))
    assert 5 < clock.now_s() <= DEADLINE_S


def test_a_deadline_that_cannot_be_is_refused_when_the_store_is_made() -> None:
    with pytest.raises(ValueError, match="deadline_s must not be negative"):
        Store(MemoryDriver(), deadline_s=-1.0)
    with pytest.raises(TypeError, match="deadline_s is a number of seconds, not str"):
        Store(MemoryDriver(), deadline_s=cast("Any", "5"))


@pytest.mark.parametrize("given", [2.5e6, "8", True, [1]])
@pytest.mark.parametrize("name", ["part_bytes", "multipart_from_bytes", "in_flight", "memory_bytes"])
def test_a_number_of_bytes_or_parts_is_a_whole_one(name: str, given: object) -> None:
    options: dict[str, Any] = {name: given}
    with pytest.raises(TypeError, match=f"{name} is an int, not {type(given).__name__}"):
        Store(MemoryDriver(), **options)
    if name == "in_flight":
        with pytest.raises(TypeError, match=f"in_flight is an int, not {type(given).__name__}"):
            list(Store(MemoryDriver()).create_many([("k", b"x")], **options))


TIMES: dict[str, Callable[[Store, Any], object]] = {
    "create": lambda store, given: store.create("k", b"x", deadline_s=given),
    "create_many": lambda store, given: list(store.create_many([("k", b"x")], deadline_s=given)),
    "open": lambda store, given: store.open("k", "xb", deadline_s=given),
    "copy": lambda store, given: store.copy("there", "k", deadline_s=given),
    "rename": lambda store, given: store.rename("there", "k", deadline_s=given),
    "remove": lambda store, given: store.remove("there", deadline_s=given),
    "settle": lambda store, given: store.settle(str(Ticket(store.url, "k", "an-id")), deadline_s=given),
    "presign": lambda store, given: store.presign("there", given),
    "sweep": lambda store, given: store.sweep(older_than_s=given),
    "Store": lambda store, given: Store(store.driver, deadline_s=given),
    "verdict_age_s": lambda store, given: Store(store.driver, verdict_age_s=given),
    "RetryPolicy": lambda store, given: RetryPolicy(base_s=given),
}


@pytest.mark.parametrize("given", ["5", True, [1], b"5"])
@pytest.mark.parametrize("name", TIMES)
def test_a_time_is_a_number_of_seconds_or_nothing_is_done(name: str, given: object) -> None:
    store = Store(MemoryDriver())
    store.create("there", b"x")
    with pytest.raises(TypeError, match=f"_s is a number of seconds, not {type(given).__name__}"):
        TIMES[name](store, given)
    assert [each.key for each in store.scan()] == ["there"]


@pytest.mark.parametrize("given", [-1, float("nan")])
@pytest.mark.parametrize("name", TIMES)
def test_a_time_is_not_negative_or_nothing_is_done(name: str, given: float) -> None:
    store = Store(MemoryDriver())
    store.create("there", b"x")
    with pytest.raises(ValueError, match="_s must not be negative"):
        TIMES[name](store, given)
    assert [each.key for each in store.scan()] == ["there"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"retry": 3}, "retry is a RetryPolicy, not int"),
        ({"defaults": {"content_type": "text/plain"}}, "options is an ObjectOptions"),
    ],
)
def test_what_would_show_only_in_trouble_is_refused_when_the_store_is_made(options: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        Store(MemoryDriver(), **options)


def test_a_url_where_a_driver_is_wanted_is_told_what_opens_it() -> None:
    with pytest.raises(TypeError, match=r"open_store\(url\)"):
        Store(cast("Any", "memory://name"))


@pytest.mark.parametrize("asked", [("1",), (0, "1"), (None,), (1.5,)])
def test_a_range_is_of_whole_numbers(asked: tuple[Any, ...]) -> None:
    store = Store(MemoryDriver())
    store.create("there", b"xyz")
    for read in (store.read, store.stream):
        with pytest.raises(TypeError, match=f"(start|stop) is an int, not {type(asked[-1]).__name__}"):
            read("there", *asked)


@pytest.mark.parametrize("busy", [1, 5])
def test_a_store_that_answers_in_time_is_written_to(busy: int) -> None:
    store, _ = opened(busy)
    create = partial(store.create, deadline_s=DEADLINE_S)
    assert create("k", b"x").outcome == "created"
    store, _ = opened(busy)
    results = list(store.create_many([(f"k{number}", b"x") for number in range(5)], deadline_s=DEADLINE_S))
    assert all(isinstance(each, Receipt) for each in results)
