"""What large data may do wrong, with parts one after the other and side by side."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from storage_guard import NotWritten, ObjectExists, SourceChanged, Store, StoreUnavailable
from storage_guard.driver import Body, Limits, Part, PartSlot
from storage_guard.memory import MemoryDriver
from storage_guard.model import KiB, MiB
from storage_guard.testing import BUSY, LOST_BEFORE, FakeClock, faulty

PART_BYTES = 64 * KiB
LIMITS = Limits(
    max_put_bytes=MiB, min_part_bytes=PART_BYTES, max_part_bytes=MiB, max_parts=20, max_object_bytes=64 * MiB
)
HOURS_S = 10_000.0

pytestmark = pytest.mark.parametrize("in_flight", [1, 3, None])


@pytest.fixture
def driver() -> MemoryDriver:
    return MemoryDriver(limits=LIMITS)


def store_on(driver: object, in_flight: int | None, **options: object) -> Store:
    settings = {"part_bytes": PART_BYTES, "multipart_from_bytes": 2 * PART_BYTES, "clock": FakeClock(), **options}
    return Store(driver, in_flight=in_flight, **settings)  # type: ignore[arg-type]


def is_untouched(driver: MemoryDriver) -> bool:
    return not list(driver.scan("", "", "")) and not list(driver.scan_uploads(""))


def data(count: int) -> bytes:
    return b"".join(bytes([number % 251]) * PART_BYTES for number in range(count))


def test_a_stream_that_is_slower_than_the_deadline_is_no_fault_of_the_store(
    driver: MemoryDriver, in_flight: int | None
) -> None:
    clock = FakeClock()
    whole = data(6) + b"end"

    def slow() -> Iterator[bytes]:
        for start in range(0, len(whole), PART_BYTES):
            clock.advance(HOURS_S)
            yield whole[start : start + PART_BYTES]
        clock.advance(HOURS_S)

    # After each long pause the store is busy at first, and there is time to ask again.
    busy = faulty(driver, {"put_part": [None, BUSY, None, LOST_BEFORE], "finish_new": [BUSY, BUSY]})
    receipt = store_on(busy, in_flight, clock=clock).create("k", slow(), deadline_s=60.0)
    assert receipt.parts > 4
    assert driver.read("k", 0, len(whole), None) == whole


def test_a_small_stream_that_is_slower_than_the_deadline_is_none_either(
    driver: MemoryDriver, in_flight: int | None
) -> None:
    clock = FakeClock()

    def slow() -> Iterator[bytes]:
        yield b"one"
        clock.advance(HOURS_S)
        yield b"two"

    busy = faulty(driver, "put_new", [BUSY, BUSY])
    store_on(busy, in_flight, clock=clock).create("k", slow(), deadline_s=60.0)
    assert driver.read("k", 0, 6, None) == b"onetwo"


def test_a_store_that_takes_no_part_until_the_deadline_has_written_nothing(
    driver: MemoryDriver, in_flight: int | None
) -> None:
    never = faulty(driver, "put_part", [None, None, *([BUSY] * 10_000)])
    with pytest.raises(StoreUnavailable, match="'k' was not written"):
        store_on(never, in_flight).create("k", data(8), deadline_s=60.0)
    assert is_untouched(driver)


@pytest.mark.parametrize("at", [0, 1, 4, 7])
def test_a_stream_that_raises_at_any_part_leaves_nothing(driver: MemoryDriver, in_flight: int | None, at: int) -> None:
    def broken() -> Iterator[bytes]:
        for number in range(8):
            if number == at:
                raise ConnectionError("the producer is gone")
            yield bytes([number]) * PART_BYTES

    with pytest.raises(ConnectionError, match="the producer is gone") as raised:
        store_on(driver, in_flight).create("k", broken())
    assert any("'k' was not written" in note for note in raised.value.__notes__)
    assert is_untouched(driver)


def test_a_stream_one_byte_longer_than_its_memory_can_reach_is_told_so(
    driver: MemoryDriver, in_flight: int | None
) -> None:
    store = store_on(driver, in_flight, memory_bytes=2 * PART_BYTES)  # parts cannot grow
    reach_bytes = LIMITS.max_parts * PART_BYTES
    with pytest.raises(NotWritten, match=f"longer than {reach_bytes} bytes.*memory_bytes={2 * PART_BYTES}"):
        store.create("k", iter([data(20), b"x"]))
    assert is_untouched(driver)
    assert store.create("k", iter([data(20)])).size_bytes == reach_bytes


def test_too_little_memory_for_two_parts_is_told_before_the_stream_is_read(
    driver: MemoryDriver, in_flight: int | None
) -> None:
    def never_read() -> bytes:
        raise AssertionError("it was read")

    with pytest.raises(NotWritten, match="two parts"):
        store_on(driver, in_flight, memory_bytes=2 * PART_BYTES - 1).create("k", iter(never_read, b""))


def test_with_one_part_too_few_a_known_size_gets_larger_parts(driver: MemoryDriver, in_flight: int | None) -> None:
    tight = MemoryDriver(limits=replace(LIMITS, max_parts=3))
    whole = data(3) + b"x"
    receipt = store_on(tight, in_flight).create("k", whole)
    assert receipt.parts <= 3
    assert tight.read("k", 0, len(whole), None) == whole
    assert is_untouched(driver)


def test_a_part_that_grows_behind_a_tenth_of_the_parts_still_arrives_whole(
    driver: MemoryDriver, in_flight: int | None
) -> None:
    whole = data(18) + b"the end"
    receipt = store_on(driver, in_flight, memory_bytes=MiB).create("k", iter([whole]))
    assert receipt.parts < 19, "the parts have grown"
    assert driver.read("k", 0, len(whole), None) == whole


class ChangesTheFile(MemoryDriver):
    """Writes into the source while its third part is sent."""

    path: Path

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        if slot.number == 3:
            with self.path.open("ab") as file:
                file.write(b"more")
        return super().put_part(key, upload_id, slot, body)


def test_a_file_that_grows_while_its_parts_are_sent_is_not_published(in_flight: int | None, tmp_path: Path) -> None:
    driver = ChangesTheFile(limits=LIMITS)
    driver.path = tmp_path / "source"
    driver.path.write_bytes(data(6))
    # A file gets its new time before its new size.
    with pytest.raises(SourceChanged, match=r"grew|was written to"):
        store_on(driver, in_flight).create("k", driver.path)
    assert is_untouched(driver)


class RivalAtThe(MemoryDriver):
    """A rival creates the object while part number `at` is sent."""

    at = 4
    once = True

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        if slot.number == self.at and self.once:
            self.once = False
            Store(self.client()).create(key, b"the rival's")
        return super().put_part(key, upload_id, slot, body)


def test_a_rival_that_comes_midway_keeps_its_object(in_flight: int | None) -> None:
    driver = RivalAtThe(limits=LIMITS, refuse_at_begin=False)
    with pytest.raises(ObjectExists) as raised:
        store_on(driver, in_flight).create("k", data(12))
    assert raised.value.existing is not None
    assert driver.read("k", 0, 100, None) == b"the rival's"
    assert not list(driver.scan_uploads(""))


@contextlib.contextmanager
def no_thread_more() -> Generator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("member", ["put_part", "finish_new"])
def test_whatever_happens_no_thread_is_left(driver: MemoryDriver, in_flight: int | None, member: str) -> None:
    with no_thread_more():
        store_on(driver, in_flight).create("fine", data(9))
        broken = faulty(driver, member, [None, *[LOST_BEFORE] * 1000])  # type: ignore[call-overload]
        with contextlib.suppress(NotWritten):
            store_on(broken, in_flight).create("k", data(9), deadline_s=1.0)
