"""The model beside the measurement: what a link allows, and what a create on it should take."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.harness.roads import MB, ROADS, Road, Timed, fitted, road_of
from properties.simulated_link import Link, create
from properties.simulated_link import Road as Simulated
from storage_guard.engine.concurrency import MOST
from storage_guard.model import GiB, KiB, Limits, TiB

MIB = 1 << 20
OSS = Limits(5 * GiB, 100 * KiB, 5 * GiB, 10_000, 48 * TiB)
USUAL = ROADS["region"]
roads = st.builds(
    Road,
    name=st.just("any"),
    latency_ms=st.floats(0, 300),
    connection_mb_s=st.floats(1, 500),
    total_mb_s=st.floats(1, 1000),
    part_ms=st.floats(0, 5),
)


@settings(max_examples=60, deadline=None)
@given(
    road=roads,
    size_bytes=st.integers(1, 64 * MIB),
    part_bytes=st.none() | st.integers(MIB, 16 * MIB),
    in_flight=st.none() | st.integers(1, MOST),
)
def test_nothing_is_predicted_to_be_faster_than_the_link_allows(
    road: Road, size_bytes: int, part_bytes: int | None, in_flight: int | None
) -> None:
    assert road.predicted_s(size_bytes, part_bytes, in_flight) >= road.floor_s(size_bytes) * (1 - 1e-9)


def test_one_at_a_time_pays_a_latency_for_each_request() -> None:
    # HEAD, begin, sixteen parts, HEAD, finish
    assert USUAL.predicted_s(64 * MIB, 4 * MIB, 1) == pytest.approx(64 * MIB / (40 * MB) + 20 * 0.030)


def test_a_put_pays_one_latency_and_has_one_connection() -> None:
    assert USUAL.predicted_s(64 * MIB, None, None) == pytest.approx(64 * MIB / (40 * MB) + 0.030)


def test_all_at_once_share_the_width() -> None:
    assert USUAL.predicted_s(64 * MIB, 4 * MIB, 16) == pytest.approx(64 * MIB / (400 * MB) + 3 * 0.030)


@pytest.mark.parametrize("part_mib", [4, 8])
@pytest.mark.parametrize("in_flight", [1, 3, 16])
@pytest.mark.parametrize("name", ROADS)
def test_the_model_and_the_engine_on_a_simulated_link_agree(name: str, in_flight: int, part_mib: int) -> None:
    road = ROADS[name]
    link = Link(Simulated(road.latency_ms / 1000, road.connection_mb_s * MB, road.total_mb_s * MB))
    limits = Limits(5 * GiB, part_mib * MIB, 5 * GiB, 10_000, 48 * TiB)
    create(link, 60 * MIB, limits, in_flight=in_flight)
    assert road.predicted_s(60 * MIB, part_mib * MIB, in_flight) == pytest.approx(link.now_s(), rel=0.05)


def test_what_a_store_finds_to_pay_is_foreseen() -> None:
    wide = Road("wide", 30, 40, 2000)
    link = Link(Simulated(0.030, 40 * MB, 2000 * MB))
    create(link, 2 * GiB, OSS)
    assert wide.predicted_s(2 * GiB, 8 * MIB, None) == pytest.approx(link.now_s(), rel=0.05)
    assert wide.predicted_s(2 * GiB, 8 * MIB, None) < 0.7 * wide.predicted_s(2 * GiB, 8 * MIB, 16)


def test_a_road_is_found_from_what_creates_took() -> None:
    road = Road("r", 40, 20, 150)
    timed = [
        Timed(64 * MIB, part, lanes, road.predicted_s(64 * MIB, part, lanes))
        for part in (2 * MIB, 8 * MIB)
        for lanes in (1, 4, 16)
    ]
    timed += [Timed(size, None, None, road.predicted_s(size, None, None)) for size in (MIB, 64 * MIB)]
    found = fitted("r", timed)
    assert found.connection_mb_s == pytest.approx(20, rel=0.1)
    assert found.total_mb_s == pytest.approx(150, rel=0.1)
    for each in timed:
        assert found.predicted_s(each.size_bytes, each.part_bytes, each.in_flight) == pytest.approx(
            each.wall_s, rel=0.1
        )
    with pytest.raises(ValueError, match="3 creates do not tell"):
        fitted("r", timed[:3])


def test_a_link_has_a_name_or_three_numbers() -> None:
    assert road_of("home") == Road("home", 80, 12, 12)
    assert road_of("30/40/400") == Road("30/40/400", 30, 40, 400)


@pytest.mark.parametrize("text", ["nowhere", "1/2", "1/0/3", "-1/2/3", "1/2/inf", "a/b/c"])
def test_what_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no link|is no rate|is no latency"):
        road_of(text)
