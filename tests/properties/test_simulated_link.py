"""A large object takes hardly longer than the link must: the engine itself, on links of many kinds, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

import pytest

from properties.simulated_link import Link, LinkCrew, Road, create, create_stream
from storage_guard import signals
from storage_guard.engine.concurrency import MOST
from storage_guard.engine.lanes import Task
from storage_guard.model import GiB, KiB, Limits, MiB, TiB
from telling import Tell

MB = 1e6
S3 = Limits(5 * GiB, 5 * MiB, 5 * GiB, 10_000, 5 * TiB)
OSS = Limits(5 * GiB, 100 * KiB, 5 * GiB, 10_000, 48 * TiB)
LIMITS = {"S3": S3, "OSS": OSS}
NEAR = Road(0.001, 500 * MB, 1000 * MB)
USUAL = Road(0.030, 40 * MB, 400 * MB)
FAR = Road(0.150, 5 * MB, 60 * MB)
HOME = Road(0.080, 12 * MB, 12 * MB)
ROADS = {"near": NEAR, "usual": USUAL, "far": FAR, "home": HOME}
SIZES_MIB = (64, 256, 1024)


def ratio(road: Road, size_bytes: int, limits: Limits) -> float:
    """How much longer `create` takes than it must."""
    link = Link(road)
    create(link, size_bytes, limits)
    return link.now_s() / road.least_s(size_bytes, MOST)


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("road", ROADS)
def test_a_large_object_takes_at_most_a_tenth_longer_than_it_must(road: str, limits: str, tell: Tell) -> None:
    ratios = {size: ratio(ROADS[road], size * MiB, LIMITS[limits]) for size in SIZES_MIB}
    tell(f"{road}, limits of {limits}: " + ", ".join(f"{size} MiB {r:.3f}" for size, r in ratios.items()))
    assert max(ratios.values()) <= 1.10


# How fast a stream can be read: at once, or at four times what the link takes. Its last part begins when all has been
# read.
SOURCES = {"at once": None, "four times as fast": 4}


@pytest.mark.parametrize(("limits", "memory_mib"), [("OSS", 64), ("OSS", 128), ("S3", 128)])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("road", ROADS)
def test_a_stream_takes_at_most_a_tenth_longer_than_the_file(
    road: str, source: str, limits: str, memory_mib: int, tell: Tell
) -> None:
    ratios = dict[int, float]()
    times = SOURCES[source]
    rate = None if times is None else times * ROADS[road].total_rate
    for size in SIZES_MIB:
        stream, file = Link(ROADS[road]), Link(ROADS[road])
        create_stream(stream, size * MiB, LIMITS[limits], memory_bytes=memory_mib * MiB, source_rate=rate)
        create(file, size * MiB, LIMITS[limits])
        ratios[size] = stream.now_s() / file.now_s()
    told = ", ".join(f"{size} MiB {ratio:.3f}" for size, ratio in ratios.items())
    tell(f"{road}, limits of {limits}, {memory_mib} MiB of memory, read {source}: {told} times the file")
    assert max(ratios.values()) <= 1.10


def test_a_stream_is_read_while_its_upload_is_begun() -> None:
    size_bytes, part_bytes = 64 * MiB, 4 * MiB
    for road in (USUAL, FAR):
        stream, file = Link(road), Link(road)
        rate = size_bytes / road.latency_s
        create_stream(stream, size_bytes, OSS, memory_bytes=size_bytes, source_rate=rate)
        create(file, size_bytes, OSS)
        # But for the first part: it tells whether there is to be an upload.
        assert stream.now_s() <= file.now_s() + part_bytes / rate + 1e-6


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("memory_mib", [10, 31, 64, 128, 1024])
@pytest.mark.parametrize("source_rate", [None, 600 * MB, 100 * MB])
def test_a_stream_never_holds_more_than_its_memory(limits: str, memory_mib: int, source_rate: float | None) -> None:
    link = Link(USUAL)
    memory_bytes = memory_mib * MiB
    driver = create_stream(link, 256 * MiB, LIMITS[limits], memory_bytes=memory_bytes, source_rate=source_rate)
    assert driver.most_held_bytes <= min(memory_bytes, MOST * driver.part_sizes[0])
    if source_rate is None:
        assert driver.most_held_bytes > min(memory_bytes, 16 * driver.part_sizes[0]) - driver.part_sizes[0]


@pytest.mark.parametrize("road", ROADS)
def test_a_stream_with_half_the_memory_has_smaller_parts_and_not_fewer_lanes(road: str, tell: Tell) -> None:
    stream, file = Link(ROADS[road]), Link(ROADS[road])
    create_stream(stream, 64 * MiB, OSS, memory_bytes=32 * MiB)
    create(file, 64 * MiB, OSS)
    tell(f"{road}, 32 MiB of memory: {stream.now_s() / file.now_s():.3f} times the file")
    assert stream.most_open == 16
    assert stream.now_s() <= 1.20 * file.now_s()


@pytest.mark.parametrize("road", ROADS)
def test_a_small_object_in_parts_takes_at_most_a_fifth_longer_than_it_must(road: str, tell: Tell) -> None:
    ratios = {size: ratio(ROADS[road], size * MiB, OSS) for size in (16, 17, 20, 24, 32, 33, 48, 63)}
    tell(f"{road}: " + ", ".join(f"{size} MiB {r:.3f}" for size, r in ratios.items()))
    assert max(ratios.values()) <= 1.20


@pytest.mark.parametrize("road", ROADS)
def test_no_size_in_between_is_much_worse(road: str) -> None:
    ratios = {size: ratio(ROADS[road], size * MiB, OSS) for size in (65, 72, 100, 129, 136, 150, 200, 257, 300, 500)}
    assert max(ratios.values()) <= 1.20, ratios


def some_roads(count: int) -> Iterator[Road]:
    """Any latency from 1 to 200 ms, 2 to 500 MB/s a connection, and links as wide as 1 to 16 connections: as many as
    there are at first."""
    chance = random.Random(7)
    for _ in range(count):
        connection_rate = 10 ** chance.uniform(0.3, 2.7) * MB
        yield Road(10 ** chance.uniform(-3, -0.7), connection_rate, connection_rate * 16 ** chance.random())


@pytest.mark.parametrize("size_mib", SIZES_MIB)
def test_nor_is_any_link_that_the_first_connections_fill(size_mib: int, tell: Tell) -> None:
    ratios = [ratio(road, size_mib * MiB, OSS) for road in some_roads(12)]
    tell(f"{size_mib} MiB on {len(ratios)} links: at worst {max(ratios):.3f}")
    assert max(ratios) <= 1.20


@pytest.mark.parametrize(
    "road", [Road(0.030, 40 * MB, 2000 * MB), Road(0.005, 20 * MB, 1000 * MB)], ids=["30 ms", "5 ms"]
)
def test_a_link_that_takes_more_connections_is_found_out(road: Road) -> None:
    link = Link(road)
    create(link, 8 * GiB, OSS)
    assert link.now_s() <= 1.25 * road.least_s(8 * GiB, MOST)
    assert link.most_open > 3 * 16


@pytest.mark.parametrize("connections", [4, 10, 20, 40])
@pytest.mark.parametrize(
    "road", [Road(0.030, 40 * MB, 4000 * MB), Road(0.005, 20 * MB, 300 * MB)], ids=["wide", "narrow"]
)
def test_a_store_that_serves_so_many_and_no_more_is_approached_and_not_stormed(road: Road, connections: int) -> None:
    road = Road(road.latency_s, road.connection_rate, road.total_rate, connections)
    best_s = min(_took_s(road, in_flight) for in_flight in (connections, connections - 1))
    link = Link(road)
    driver = create(link, 2 * GiB, OSS)
    assert link.now_s() <= 1.3 * best_s
    assert link.answers_busy <= max(80, len(driver.part_sizes) // 2)
    near_s = sum(seconds for count, seconds in link.open_s.items() if count <= connections)
    assert near_s >= 0.8 * link.now_s()


def _took_s(road: Road, in_flight: int) -> float:
    link = Link(road)
    create(link, 2 * GiB, OSS, in_flight=in_flight)
    return link.now_s()


def test_a_link_of_one_connection_is_used_by_one_at_a_time_without_threads() -> None:
    link = Link(USUAL)
    create(link, 64 * MiB, OSS, in_flight=1)
    assert link.most_open == 1
    # begin and finish, the look before either of begin and the last part, and 16 parts
    assert link.now_s() == pytest.approx(64 * MiB / (40 * MB) + 20 * 0.030)


# The instrument


def test_the_same_link_takes_the_same_time_every_time() -> None:
    road = Road(0.030, 40 * MB, 4000 * MB, 10)
    took = set[float]()
    for _ in range(3):
        link = Link(road, seed=1)
        create(link, 256 * MiB, OSS)
        took.add(link.now_s())
    assert len(took) == 1


def test_requests_share_the_link_fairly_and_pay_their_latency_each() -> None:
    link = Link(Road(1.0, 10.0, 25.0))
    ends: dict[int, float] = {}

    def send(size_bytes: int) -> None:
        link.request(size_bytes)
        ends[size_bytes] = link.now_s()

    crew = LinkCrew[None](link)
    for size_bytes in (20, 50, 100):
        crew.start(Task(partial(send, size_bytes), size_bytes))
    assert crew.next_done()[0].size_bytes == 20
    assert len(crew.join()) == 2
    # Three share 25 until 20 bytes are through; then each has its 10.
    first_s = 1 + 20 / (25 / 3)
    assert ends == pytest.approx({20: first_s, 50: first_s + 3, 100: first_s + 8})


def test_a_task_that_fails_hands_its_error_on_and_a_store_that_is_full_says_busy() -> None:
    link = Link(Road(1.0, 10.0, 10.0, connections=1))
    crew = LinkCrew[None](link)
    crew.start(Task(lambda: link.request(20), 20))
    crew.start(Task(lambda: link.request(20), 20))
    task, _ = crew.next_done()
    assert isinstance(task.error, signals.Busy)
    assert link.now_s() == 1.0
    assert crew.next_done()[0].error is None
    assert link.now_s() == 3.0
    assert link.answers_busy == 1


def test_waiting_for_nobody_is_noticed() -> None:
    with pytest.raises(AssertionError, match="for nothing"):
        Link(USUAL).wait()
