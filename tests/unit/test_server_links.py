"""The line between client and server: exact as arithmetic, and felt by a client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from heapq import heapify, heappop, heappush

import pytest

from storage_guard.clock import SystemClock
from storage_guard.testing.server import Link, running
from storage_guard.testing.server.links import Lane, Line
from unit.small_dialect import SmallDialect, client_of, get, put

MIB = 1 << 20


def moved(lanes: list[Lane], seconds: float, *, late_s: float = 0.0, inward: bool = True) -> list[int]:
    """The bytes that each lane moves in this time if it always has more; its timers fire up to `late_s` late."""
    counts = [0] * len(lanes)
    due = [(0.0, number) for number in range(len(lanes))]
    heapify(due)
    while due[0][0] < seconds:
        now_s, number = heappop(due)
        lane = lanes[number]
        assert lane.quantum_bytes is not None
        counts[number] += lane.quantum_bytes
        pause_s = (lane.came if inward else lane.went)(lane.quantum_bytes, now_s)
        heappush(due, (now_s + max(pause_s, 1e-6) + (late_s if pause_s > 0 else 0), number))
    return counts


@pytest.mark.parametrize("inward", [True, False], ids=["in", "out"])
@pytest.mark.parametrize("late_s", [0.0, 0.003], ids=["in time", "late"])
@pytest.mark.parametrize("rate", [10_000, 3 * MIB, 200 * MIB])
def test_a_connection_is_as_fast_as_its_rate(rate: int, late_s: float, inward: bool) -> None:
    lane = Line(Link(connection_bytes_per_s=rate)).lane()
    (count,) = moved([lane], 10, late_s=late_s, inward=inward)
    assert lane.quantum_bytes is not None
    assert abs(count - 10 * rate) <= rate * 0.021 + lane.quantum_bytes


@pytest.mark.parametrize("inward", [True, False], ids=["in", "out"])
@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_the_total_is_shared_out_evenly(count: int, inward: bool) -> None:
    line = Line(Link(total_bytes_per_s=50 * MIB))
    counts = moved([line.lane() for _ in range(count)], 10, late_s=0.001, inward=inward)
    assert line.quantum_bytes is not None
    # What has its turn at the end, and the credit at the beginning, are counted.
    assert 0 <= sum(counts) - 500 * MIB <= count * line.quantum_bytes + 50 * MIB * 0.02
    assert max(counts) - min(counts) <= line.quantum_bytes


def test_the_narrower_of_the_two_holds() -> None:
    for count, expected in [(2, 10 * MIB), (20, 2 * MIB)]:
        line = Line(Link(connection_bytes_per_s=10 * MIB, total_bytes_per_s=40 * MIB))
        for moved_bytes in moved([line.lane() for _ in range(count)], 5):
            assert moved_bytes == pytest.approx(5 * expected, rel=0.03)


def test_the_two_directions_are_free_of_each_other() -> None:
    line = Line(Link(total_bytes_per_s=1000))
    assert line.lane().came(10_000, 0.0) == pytest.approx(10, abs=0.03)
    assert line.lane().went(1000, 0.0) == pytest.approx(1, abs=0.03)


def test_time_that_nobody_used_is_gone() -> None:
    lane = Line(Link(connection_bytes_per_s=1000)).lane()
    assert lane.came(1000, 0.0) == pytest.approx(1, abs=0.03)
    assert lane.came(1000, 100.0) == pytest.approx(1, abs=0.03)


def test_latency_alone_holds_nobody_up() -> None:
    lane = Line(Link(latency_s=1)).lane()
    assert lane.quantum_bytes is None
    assert lane.came(1 << 40, 0.0) == lane.went(1 << 40, 0.0) == 0.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Link(latency_s=-1),
        lambda: Link(latency_s=float("nan")),
        lambda: Link(connection_bytes_per_s=0),
        lambda: Link(total_bytes_per_s=float("inf")),
    ],
)
def test_a_link_that_cannot_be_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match="is no"):
        make()


def test_a_client_feels_the_latency_of_each_of_its_round_trips() -> None:
    clock = SystemClock()
    with running(SmallDialect(), link=Link(latency_s=0.05)) as server, client_of(server) as client:
        started_s = clock.now_s()
        for number in range(3):
            client.send(put(f"k{number}"))
            assert client.answer()[0] == 200
        # The connection's own round trip, and three.
        assert 0.2 <= clock.now_s() - started_s <= 4
        started_s = clock.now_s()
        client.send(put("k", b"data", "Expect: 100-continue")[:-4])
        assert client.answer()[0] == 100
        assert clock.now_s() - started_s >= 0.05


def test_clients_feel_the_width_both_ways() -> None:
    clock = SystemClock()
    small = SmallDialect()
    body = bytes(8 * MIB)
    rate = 24 * MIB
    with running(small, link=Link(total_bytes_per_s=rate)) as server, ThreadPoolExecutor(2) as pool:

        def there_and_back(name: str) -> tuple[float, float]:
            with client_of(server) as client:
                started_s = clock.now_s()
                client.send(put(name, body))
                assert client.answer()[0] == 200
                written_s = clock.now_s()
                client.send(get(name))
                assert client.answer()[2] == body
                return written_s - started_s, clock.now_s() - written_s

        for times in pool.map(there_and_back, ["a", "b"]):
            for seconds in times:
                assert 2 * len(body) / rate / 2 <= seconds <= 2 * len(body) / rate * 10
    assert small.objects == {"a": body, "b": body}
