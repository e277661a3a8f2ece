"""A stream is read while its upload is being opened: how much, and what becomes of it when that goes wrong."""

from __future__ import annotations

import itertools
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import pytest

from storage_guard import AccessDenied, Store, StoreUnavailable
from storage_guard.clock import SystemClock
from storage_guard.driver import Limits, WriteMeta
from storage_guard.memory import MemoryDriver
from storage_guard.model import KiB
from storage_guard.testing import LOST_AFTER, LOST_BEFORE, REFUSED, FakeClock, Fault, Request, faulty

PART = 1000
LIMITS = Limits(1 << 20, 1, 1 << 20, 10_000, 1 << 30)
WAIT_S = 10.0
T = TypeVar("T")


class Source:
    """Parts that tell how many of them were read, and by which thread."""

    def __init__(self, parts: int, *, fails_behind: int | None = None) -> None:
        self.given = 0
        self.enough = threading.Event()
        self.enough_at: int | None = None
        self.readers: set[threading.Thread] = set()
        self._parts = parts
        self._fails_behind = fails_behind

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self._parts):
            if number == self._fails_behind:
                raise ZeroDivisionError
            self.readers.add(threading.current_thread())
            self.given += 1
            if self.given == self.enough_at:
                self.enough.set()
            yield bytes([number]) * PART

    def __call__(self) -> Iterator[bytes]:
        return iter(self)

    def data(self) -> bytes:
        return b"".join(bytes([number]) * PART for number in range(self._parts))


class SlowToBegin(MemoryDriver):
    """Answers `begin` when the source was asked for `parts`; or soon, if it must never be."""

    def __init__(self, source: Source, parts: int, *, never: bool = False) -> None:
        super().__init__(limits=LIMITS)
        source.enough_at = parts
        self._stream = source
        self._never = never
        self.read_at_begin = 0

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        assert self._stream.enough.wait(0.05 if self._never else WAIT_S) is not self._never
        self.read_at_begin = self._stream.given
        return super().begin(key, meta)


def store_of(driver: MemoryDriver, *, in_flight: int | None = None, memory_bytes: int = 1 << 20) -> Store:
    return Store(driver, part_bytes=PART, in_flight=in_flight, memory_bytes=memory_bytes, clock=FakeClock())


@pytest.mark.parametrize(
    ("in_flight", "memory_bytes", "ahead"), [(None, 1 << 20, 16), (40, 1 << 20, 16), (3, 1 << 20, 3), (None, 5500, 5)]
)
def test_while_it_is_begun_as_much_is_read_as_goes_out_at_first_and_as_memory_holds(
    in_flight: int | None, memory_bytes: int, ahead: int
) -> None:
    source = Source(40)
    driver = SlowToBegin(source, ahead)
    receipt = store_of(driver, in_flight=in_flight, memory_bytes=memory_bytes).create("k", source())
    assert driver.read_at_begin == ahead
    assert driver.read("k", 0, 1 << 20, None) == source.data()
    assert receipt.parts == 40
    assert source.readers == {threading.current_thread()}


@pytest.mark.parametrize(
    ("in_flight", "memory_bytes", "too_many"), [(None, 1 << 20, 17), (3, 1 << 20, 4), (1, 1 << 20, 2)]
)
def test_and_no_more(in_flight: int | None, memory_bytes: int, too_many: int) -> None:
    source = Source(40)
    driver = SlowToBegin(source, too_many, never=True)
    store_of(driver, in_flight=in_flight, memory_bytes=memory_bytes).create("k", source())
    assert driver.read_at_begin == too_many - 1
    assert driver.read("k", 0, 1 << 20, None) == source.data()


@pytest.mark.parametrize("parts", [2, 3, 16, 17])
def test_a_stream_that_ends_meanwhile_is_all_there(parts: int) -> None:
    source = Source(parts)
    driver = SlowToBegin(source, min(parts, 16))
    store_of(driver).create("k", source())
    assert driver.read("k", 0, 1 << 20, None) == source.data()


def test_what_a_source_raises_meanwhile_passes_through_and_leaves_no_upload() -> None:
    source = Source(40, fails_behind=7)
    driver = SlowToBegin(source, 7)
    with pytest.raises(ZeroDivisionError) as caught:
        store_of(driver).create("k", source())
    assert any("was not written" in note for note in caught.value.__notes__)
    assert driver.head("k") is None
    assert list(driver.scan_uploads("")) == []


def test_ctrl_c_meanwhile_leaves_no_upload() -> None:
    driver = MemoryDriver(limits=LIMITS)

    def interrupted() -> Iterator[bytes]:
        yield bytes(PART)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_of(driver).create("k", interrupted())
    assert list(driver.scan_uploads("")) == []
    assert driver.head("k") is None


@pytest.mark.parametrize("fault", [LOST_BEFORE, LOST_AFTER])
def test_a_begin_that_got_lost_is_repeated_and_nothing_is_read_twice(fault: Fault) -> None:
    inner = MemoryDriver(limits=LIMITS)
    source = Source(40)
    receipt = Store(faulty(inner, "begin", [fault, fault]), part_bytes=PART, clock=FakeClock()).create("k", source())
    assert source.given == 40
    assert inner.read("k", 0, 1 << 20, None) == source.data()
    assert receipt.outcome == "created"


def test_the_time_that_a_source_takes_meanwhile_is_not_the_stores() -> None:
    clock = FakeClock()

    def slow() -> Iterator[bytes]:
        for _ in range(20):
            clock.sleep(400)
            yield bytes(PART)

    driver = faulty(MemoryDriver(limits=LIMITS), "begin", [LOST_BEFORE])
    assert Store(driver, part_bytes=PART, clock=clock).create("k", slow(), deadline_s=300).outcome == "created"


def test_a_store_that_never_begins_is_given_up_in_its_time() -> None:
    clock = FakeClock()
    source = Source(40)
    driver = faulty(MemoryDriver(limits=LIMITS), "begin", [LOST_BEFORE] * 1000)
    with pytest.raises(StoreUnavailable):
        Store(driver, part_bytes=PART, clock=clock).create("k", source(), deadline_s=300)
    assert clock.now_s() <= 301
    assert source.given == 16


def test_who_keeps_the_error_does_not_keep_what_was_read_for_nothing() -> None:
    part_bytes = 256 * KiB
    inner = MemoryDriver(limits=replace(LIMITS, max_put_bytes=part_bytes))
    store = Store(faulty(inner, "begin", [REFUSED]), part_bytes=part_bytes, clock=FakeClock())
    piece = bytes(part_bytes)
    tracemalloc.start()
    try:
        with pytest.raises(AccessDenied) as caught:
            store.create("k", itertools.repeat(piece, 100))
        held_bytes, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.__traceback__ is not None
    assert held_bytes < part_bytes
    assert most_bytes > held_bytes


class Told(Fault):
    """A no that tells when it was said."""

    def __init__(self) -> None:
        self.said = threading.Event()

    def strike(self, request: Request[T], /) -> T:
        try:
            return REFUSED.strike(request)
        finally:
            self.said.set()


def test_a_source_that_is_slow_does_not_keep_what_became_of_the_begin() -> None:
    refused = Told()
    given_bytes = 0

    def byte_by_byte() -> Iterator[bytes]:
        nonlocal given_bytes
        yield bytes(PART)
        assert refused.said.wait(WAIT_S)
        while given_bytes < 10 * PART:
            SystemClock().sleep(0.005)
            given_bytes += 1
            yield b"x"

    driver = faulty(MemoryDriver(limits=LIMITS), "begin", [refused])
    with pytest.raises(AccessDenied):
        Store(driver, part_bytes=PART, clock=FakeClock()).create("k", byte_by_byte())
    assert given_bytes < PART // 2
