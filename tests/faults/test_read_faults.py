"""Every fault at every call of a read: all the bytes of one object, or an error that is true; and nothing runs on."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal as signals_of_the_system
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

import pytest

from storage_guard import AccessDenied, ObjectChanged, ObjectNotFound, StorageGuardError, Store, StoreUnavailable
from storage_guard.driver import Busy, Driver, Lost, WriteMeta
from storage_guard.engine import ranges
from storage_guard.memory import MemoryDriver
from storage_guard.testing import (
    BUSY,
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
from storage_guard_local import LocalDriver

T = TypeVar("T")
PIECE = 100
OURS = bytes(os.urandom(450))
RIVAL = bytes(os.urandom(450))
Ask = Callable[[Store], bytes]
MEMBERS: tuple[Member, ...] = ("read", "head")
ASKS: dict[str, Ask] = {
    "read": lambda store: store.read("k"),
    "range": lambda store: store.read("k", 0, 10_000),
    "stream": lambda store: b"".join(store.stream("k")),
}


class _Short(Fault):
    """The store answers fewer bytes than it was asked for, and calls it a success."""

    def strike(self, request: Request[T], /) -> T:
        answer = request.act()
        return cast("T", answer[:-1]) if isinstance(answer, bytes) else answer


class _Long(Fault):
    def strike(self, request: Request[T], /) -> T:
        answer = request.act()
        return cast("T", answer + b"x") if isinstance(answer, bytes) else answer


class _Replaced(Fault):
    """Just before this request, somebody removes the object and creates another of `data`, or none."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data

    def __repr__(self) -> str:
        return "_Removed" if self.data is None else f"_Replaced({len(self.data)})"

    def strike(self, request: Request[T], /) -> T:
        with contextlib.suppress(Exception):
            request.driver.remove("k", None)
        if self.data is not None:
            with contextlib.suppress(Exception):
                request.driver.put_new("k", BytesBody(self.data), WriteMeta("rival"))
        return request.act()


class _Interrupt(Fault):
    """Somebody presses Ctrl-C: in whatever thread this runs, it is the main one that hears of it."""

    def strike(self, request: Request[T], /) -> T:
        main = threading.main_thread().ident
        assert main is not None
        signals_of_the_system.pthread_kill(main, signals_of_the_system.SIGINT)
        return request.act()


class _Raises(Fault):
    """A defect of the driver, or a MemoryError."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def strike(self, _request: Request[T], /) -> T:
        raise self._error


SHORT, LONG, INTERRUPT = _Short(), _Long(), _Interrupt()
RIVALS = (_Replaced(RIVAL), _Replaced(RIVAL[:450:2]), _Replaced(RIVAL * 2), _Replaced(b""), _Replaced(None))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "PIECE_BYTES", PIECE)


def world(driver: FaultyDriver, in_flight: int | None) -> Store:
    store = Store(driver, in_flight=in_flight, clock=FakeClock())
    store.create("k", OURS)
    return store


def told(ask: Ask, store: Store) -> bytes | StorageGuardError:
    try:
        return ask(store)
    except StorageGuardError as exc:
        return exc
    finally:
        assert not [thread for thread in threading.enumerate() if thread.name == "storage-guard-part"]


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_one_and_two_faults_that_pass_are_not_noticed(ask: Ask, in_flight: int) -> None:
    passing = (LOST_BEFORE, BUSY, answers(lambda: Busy("later", retry_after_s=20)))
    for faults in itertools.product((None, *passing), repeat=3):
        for member, before in itertools.product(MEMBERS, range(7)):
            driver = FaultyDriver(MemoryDriver())
            store = world(driver, in_flight)
            driver.plan(member, [*[None] * before, *faults])
            assert told(ask, store) == OURS


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("fault", [SHORT, LONG], ids=repr)
@pytest.mark.parametrize("at", range(6))
def test_a_piece_of_a_wrong_length_is_asked_for_again(fault: Fault, in_flight: int, at: int) -> None:
    driver = FaultyDriver(MemoryDriver())
    store = world(driver, in_flight)
    driver.plan("read", [*[None] * at, fault])
    assert told(ASKS["stream"], store) == OURS
    assert driver.calls["read"] == (6 if at < 5 else 5)


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_a_definite_error_at_any_call_is_told_and_ends_all(ask: Ask, in_flight: int) -> None:
    for at in range(6):
        driver = FaultyDriver(MemoryDriver())
        store = world(driver, in_flight)
        driver.plan("read", [*[None] * at, REFUSED])
        answer = told(ask, store)
        if at < driver.calls["read"]:
            assert isinstance(answer, AccessDenied)
            assert answer.key == "k"
            assert isinstance(answer.__cause__, Exception)
        else:
            assert answer == OURS
    driver = FaultyDriver(MemoryDriver())
    store = world(driver, in_flight)
    driver.plan("head", [REFUSED])
    assert isinstance(told(ask, store), AccessDenied)


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
@pytest.mark.parametrize("member", MEMBERS)
def test_a_store_that_fails_for_ever_is_given_up_at_the_deadline(ask: Ask, in_flight: int, member: Member) -> None:
    for at in range(6 if member == "read" else 1):
        driver = FaultyDriver(MemoryDriver())
        clock = FakeClock()
        store = Store(driver, in_flight=in_flight, clock=clock)
        store.create("k", OURS)
        driver.plan(member, [*[None] * at, *[LOST_BEFORE] * 5000])
        answer = told(ask, store)
        if at < 5:
            assert isinstance(answer, StoreUnavailable)
        assert clock.now_s() <= 310 * (in_flight + 1)  # threads share the clock, and each one's sleep moves it


@pytest.mark.parametrize("in_flight", [1, 3])
def test_a_slow_caller_is_not_the_stores_fault_and_makes_nobody_read_ahead(in_flight: int) -> None:
    driver = FaultyDriver(MemoryDriver())
    clock = FakeClock()
    store = Store(driver, in_flight=in_flight, clock=clock)
    store.create("k", OURS)
    driver.plan("read", [None, LOST_BEFORE] * 3)
    got: list[bytes] = []
    for piece in store.stream("k"):
        got.append(piece)
        assert driver.calls["read"] <= 3 + len(got) + (in_flight if in_flight > 1 else 0)
        clock.advance(1000)
    assert b"".join(got) == OURS


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_what_a_driver_raises_that_is_no_signal_passes_through(ask: Ask, in_flight: int) -> None:
    for at, error in itertools.product(range(5), (RuntimeError("a defect"), MemoryError(), SystemExit(3))):
        driver = FaultyDriver(MemoryDriver())
        store = world(driver, in_flight)
        driver.plan("read", [*[None] * at, _Raises(error)])
        with pytest.raises(type(error)) as caught:
            told(ask, store)
        assert caught.value is error


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_ctrl_c_at_any_call_leaves_nothing_running(ask: Ask, in_flight: int) -> None:
    for at in range(5) if in_flight == 1 else (3, 4):  # by then all threads have been started
        driver = FaultyDriver(MemoryDriver())
        store = world(driver, in_flight)
        driver.plan("read", [*[None] * at, INTERRUPT])
        with pytest.raises(KeyboardInterrupt):
            told(ask, store)


# Never a mix


def judge(ask: Ask, driver: FaultyDriver, store: Store, rival: Fault, at: Sequence[tuple[Member, int]]) -> str:
    """Let `rival` strike at these calls; what was read is one object's bytes, or an error says that it is none."""
    for member, number in at:
        driver.plan(member, [*[None] * number, rival])
    answer = told(ask, store)
    if isinstance(answer, bytes):
        data = rival.data if isinstance(rival, _Replaced) else None
        assert answer in (OURS, data), f"a mix: {len(answer)} bytes"
        return "whole"
    assert isinstance(answer, ObjectChanged | ObjectNotFound), answer
    return type(answer).__name__


READS: list[tuple[Member, int]] = [("read", number) for number in range(6)]
HEAD: tuple[Member, int] = ("head", 0)
WHEN = [[HEAD], *([read] for read in READS), *([read, HEAD] for read in READS)]


@pytest.mark.parametrize("kind", ["memory", "local"])
@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_an_object_replaced_between_any_two_requests_is_an_error_or_whole_and_never_a_mix(
    ask: Ask, in_flight: int, kind: str, tmp_path: Path
) -> None:
    seen: set[str] = set()
    for number, (rival, at) in enumerate(itertools.product(RIVALS, WHEN)):
        inner: Driver = MemoryDriver() if kind == "memory" else LocalDriver(tmp_path / f"{number}", durable=False)
        driver = FaultyDriver(inner)
        seen.add(judge(ask, driver, world(driver, in_flight), rival, at))
    assert seen == {"whole", "ObjectChanged", "ObjectNotFound"}


class _Unpinned(FaultyDriver):
    """A planted defect: pieces are asked for without the pin."""

    def read(self, key: str, start: int, stop: int, _etag: str | None, /) -> bytes:
        return super().read(key, start, stop, None)


def _trusting(store: Store) -> bytes:
    """A planted defect: the first piece, unpinned, is taken for one of the object that is looked up behind it."""
    first = store.read("k", 0, PIECE)
    info = store.head("k")
    if info is None or len(first) < PIECE:
        return first
    return first + store.read("k", PIECE, max(PIECE, info.size_bytes), etag=info.etag)


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
@pytest.mark.parametrize("in_flight", [1, 3])
def test_a_planted_reader_that_does_not_pin_is_caught(ask: Ask, in_flight: int) -> None:
    def all_rivals() -> None:
        for at in WHEN:
            driver = _Unpinned(MemoryDriver())
            judge(ask, driver, world(driver, in_flight), RIVALS[0], at)

    with pytest.raises(AssertionError, match="a mix"):
        all_rivals()


def test_a_planted_reader_that_trusts_an_unpinned_first_piece_is_caught() -> None:
    driver = FaultyDriver(MemoryDriver())
    with pytest.raises(AssertionError, match="a mix"):
        judge(_trusting, driver, world(driver, 1), RIVALS[0], [("head", 0)])


def test_the_first_error_stops_pieces_that_wait_to_be_asked_for_again() -> None:
    """One piece is refused while another waits for its next attempt, an hour away: nobody waits for that."""
    driver = FaultyDriver(MemoryDriver())
    clock = FakeClock()
    store = Store(driver, in_flight=2, clock=clock)
    store.create("k", OURS)
    driver.plan("read", [answers(lambda: Lost("cut")), REFUSED, *[REFUSED] * 5])
    assert isinstance(told(ASKS["stream"], store), AccessDenied)
    assert clock.now_s() < 10
