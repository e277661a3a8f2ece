"""Reading large ranges in pieces: whole, in order, bounded, and with no more requests than it takes."""

from __future__ import annotations

import os
import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage_guard import ObjectChanged, ObjectNotFound, Store
from storage_guard.driver import Driver, ObjectInfo
from storage_guard.engine import ranges
from storage_guard.engine.sending import Bounds
from storage_guard.memory import MemoryDriver
from storage_guard.testing import FakeClock, FaultyDriver, faulty
from storage_guard_local import LocalDriver

PIECE = 100
DATA = bytes(os.urandom(1050))  # ten pieces and a half
MIB = 1 << 20


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "PIECE_BYTES", PIECE)


@pytest.fixture(params=["memory", "local"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> FaultyDriver:
    """A driver that counts its calls."""
    inner: Driver = MemoryDriver() if request.param == "memory" else LocalDriver(tmp_path / "root", durable=False)
    return faulty(inner, {})


class Far(MemoryDriver):
    """A store 30 ms away whose pinned reads wait for each other at a gate."""

    def __init__(self, clock: FakeClock, at_once: int) -> None:
        super().__init__()
        self._clock = clock
        self._gate = threading.Barrier(at_once, timeout=20)
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def head(self, key: str, /) -> ObjectInfo | None:
        self._clock.advance(0.03)
        return super().head(key)

    def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
        if etag is None:
            return super().read(key, start, stop, etag)
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self._gate.wait()
        with self._lock:
            self._now -= 1
        return super().read(key, start, stop, etag)


def no_threads_of_ours() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name == "storage-guard-part"]


@pytest.mark.parametrize("in_flight", [1, 2, None])
@pytest.mark.parametrize("size_bytes", sorted({0, 1, *(n * PIECE + step for n in (1, 2, 5) for step in (-1, 0, 1))}))
def test_all_of_an_object_is_read_at_every_size(driver: FaultyDriver, in_flight: int | None, size_bytes: int) -> None:
    store = Store(driver, in_flight=in_flight)
    etag = store.create("k", DATA[:size_bytes]).etag
    wanted = DATA[:size_bytes]
    assert store.read("k") == wanted
    assert store.read("k", etag=etag) == wanted
    assert store.read("k", 0, size_bytes + 1) == wanted
    assert store.read("k", 0, 1 << 40) == wanted
    pieces = list(store.stream("k"))
    assert b"".join(pieces) == wanted
    assert [len(piece) for piece in pieces] == [min(PIECE, size_bytes - at) for at in range(0, size_bytes, PIECE)]
    assert no_threads_of_ours()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(0, 1200),
    more=st.none() | st.integers(0, 1200),
    in_flight=st.sampled_from([1, 3, None]),
    pinned=st.booleans(),
)
def test_every_range_is_a_slice(start: int, more: int | None, in_flight: int | None, pinned: bool) -> None:
    store = Store(MemoryDriver(), in_flight=in_flight)
    etag = store.create("k", DATA).etag
    stop = None if more is None else start + more
    assert store.read("k", start, stop, etag=etag if pinned else None) == DATA[start:stop]
    assert b"".join(store.stream("k", start, stop)) == DATA[start:stop]


@pytest.mark.parametrize("size_bytes", [0, 1, PIECE - 1])
def test_what_fits_into_one_piece_costs_one_request(driver: FaultyDriver, size_bytes: int) -> None:
    store = Store(driver)
    store.create("k", DATA[:size_bytes])
    before = driver.calls
    store.read("k")
    store.read("k", 0, PIECE)  # that nobody asked for more is known, too
    assert driver.calls["read"] - before["read"] == 2
    assert driver.calls["head"] == before["head"]


def test_a_large_object_costs_one_look_and_only_an_unpinned_one_a_second_first_piece(driver: FaultyDriver) -> None:
    store = Store(driver)
    etag = store.create("k", DATA).etag
    for pin, reads in ((None, 12), (etag, 11)):
        before = driver.calls
        assert store.read("k", etag=pin) == DATA
        assert driver.calls["read"] - before["read"] == reads
        assert driver.calls["head"] - before["head"] == 1


def test_another_pin_than_the_objects_is_refused_at_every_size(driver: FaultyDriver) -> None:
    store = Store(driver)
    for size_bytes in (0, PIECE, len(DATA)):
        store.create(f"k{size_bytes}", DATA[:size_bytes])
        with pytest.raises(ObjectChanged):
            store.read(f"k{size_bytes}", etag="other")


def test_what_is_not_there_is_said_when_a_stream_is_asked_for(driver: FaultyDriver) -> None:
    with pytest.raises(ObjectNotFound):
        Store(driver).stream("k")
    with pytest.raises(ObjectNotFound):
        Store(driver).read("k")
    for start, stop in ((-1, None), (5, 3)):
        with pytest.raises(ValueError, match="start"):
            Store(driver).stream("k", start, stop)


def test_pieces_are_fetched_side_by_side_and_at_most_in_flight_of_them() -> None:
    clock = FakeClock()
    driver = Far(clock, at_once=5)
    store = Store(driver, in_flight=5, clock=clock)
    store.create("k", DATA[: 10 * PIECE])
    assert store.read("k") == b"".join(store.stream("k")) == DATA[: 10 * PIECE]
    assert driver.most == 5
    assert no_threads_of_ours()


def test_memory_bytes_bounds_the_pieces_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "LEAST_PIECE_BYTES", PIECE)
    clock = FakeClock()
    driver = Far(clock, at_once=2)
    store = Store(driver, memory_bytes=3 * PIECE - 1, clock=clock)
    store.create("k", DATA[: 10 * PIECE])
    assert store.read("k") == b"".join(store.stream("k")) == DATA[: 10 * PIECE]
    assert driver.most == 2


def test_pieces_are_smaller_where_there_is_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "PIECE_BYTES", 4 * MIB)
    assert [ranges.piece_bytes(Bounds(None, size)) for size in (1, 256 << 10, MIB, 4 * MIB, 1 << 40)] == [
        256 << 10,
        256 << 10,
        MIB,
        4 * MIB,
        4 * MIB,
    ]


def test_one_at_a_time_uses_no_threads_and_reads_nothing_ahead(driver: FaultyDriver) -> None:
    store = Store(driver, in_flight=1)
    store.create("k", DATA)
    before = driver.calls["read"]
    for number, _ in enumerate(store.stream("k"), start=1):
        assert driver.calls["read"] - before == number
        assert no_threads_of_ours()


@pytest.mark.parametrize("in_flight", [1, 2, 4])
@pytest.mark.parametrize("leave", ["close", "drop", "throw"])
def test_a_stream_left_midway_leaves_no_thread_and_has_read_no_further_than_it_may(
    driver: FaultyDriver, in_flight: int, leave: str
) -> None:
    store = Store(driver, in_flight=in_flight)
    store.create("k", DATA)
    before = driver.calls["read"]
    pieces = store.stream("k")
    assert [next(pieces), next(pieces)] == [DATA[:PIECE], DATA[PIECE : 2 * PIECE]]
    if leave == "throw":
        with pytest.raises(KeyboardInterrupt):
            pieces.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    elif leave == "close":
        pieces.close()  # type: ignore[attr-defined]
    else:
        del pieces
    assert no_threads_of_ours()
    assert driver.calls["read"] - before <= 2 + (in_flight if in_flight > 1 else 0)


def test_a_stream_that_is_never_begun_asks_for_nothing(driver: FaultyDriver) -> None:
    store = Store(driver)
    store.create("k", DATA)
    before = driver.calls["read"]
    pieces = store.stream("k")
    del pieces
    assert driver.calls["read"] == before
    assert no_threads_of_ours()


@pytest.mark.parametrize("in_flight", [1, 4])
def test_memory_is_what_the_formula_says(monkeypatch: pytest.MonkeyPatch, in_flight: int) -> None:
    piece, count = MIB, 12
    monkeypatch.setattr(ranges, "PIECE_BYTES", piece)
    store = Store(MemoryDriver(), in_flight=in_flight)
    store.create("k", bytes(count * piece))
    slack = 256 << 10
    tracemalloc.start()
    try:
        idle = tracemalloc.get_traced_memory()[0]
        data = store.read("k")
        assert tracemalloc.get_traced_memory()[1] - idle <= (count + in_flight) * piece + slack
        del data
        assert tracemalloc.get_traced_memory()[0] - idle <= slack, "something holds the bytes still"
        tracemalloc.reset_peak()
        for data in store.stream("k"):
            assert len(data) == piece
        assert tracemalloc.get_traced_memory()[1] - idle <= (1 + in_flight) * piece + slack
    finally:
        tracemalloc.stop()
