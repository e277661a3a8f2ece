"""The ways to a store, and what they allow: arithmetic beside the measurement. Pure.

MB are 10**6 bytes, as of networks; MiB are 2**20, as of parts.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from storage_guard.engine.concurrency import MOST, START, Concurrency
from storage_guard.plan import COPIED_AT_ONCE

MB = 1e6
MIB = 1 << 20
_FAST_MB_S = 1e9  # nobody waits for that
_LEAST = 1e-3  # of a byte


@dataclass(frozen=True)
class Road:
    """`latency_ms` of a round trip; MB a second over one connection, and over all of them. `part_ms`: what client and
    server need for a part beside that; parts do not share it. `at_first`: how many are sent at a time to begin with."""

    name: str
    latency_ms: float
    connection_mb_s: float
    total_mb_s: float
    part_ms: float = 0.0
    at_first: int = START

    def __post_init__(self) -> None:
        for value in (self.connection_mb_s, self.total_mb_s):
            if not 0 < value < math.inf:
                raise ValueError(f"{value} MB/s is no rate")
        if not 0 <= self.latency_ms < math.inf:
            raise ValueError(f"{self.latency_ms} ms is no latency")

    @property
    def words(self) -> str:
        return f"{self.latency_ms:g} ms, {self.connection_mb_s:g} MB/s a connection, {self.total_mb_s:g} MB/s in all"

    def of_copies(self, copy_mb_s: float) -> Road:
        """The same latency, and a service that copies so fast in each request, as many as there are."""
        pace = min(copy_mb_s, _FAST_MB_S)
        return replace(self, connection_mb_s=pace, total_mb_s=pace * MOST, at_first=COPIED_AT_ONCE)

    def floor_s(self, size_bytes: int) -> float:
        """No create takes less: the bytes over the width, and the latencies of begin, a part and finish; or of one
        request over one connection, where that is less."""
        latency_s = self.latency_ms / 1000
        rate = min(self.total_mb_s, self.connection_mb_s * MOST) * MB
        one = min(self.total_mb_s, self.connection_mb_s) * MB
        return min(size_bytes / rate + 3 * latency_s, size_bytes / one + latency_s)

    def predicted_s(self, size_bytes: int, part_bytes: int | None, in_flight: int | None) -> float:
        """How long a create should take: in one request (`part_bytes` None), or in such parts, so many at a time
        at most (None: as many as a Store finds to pay)."""
        latency_s, part_s = self.latency_ms / 1000, self.part_ms / 1000
        if part_bytes is None:
            return latency_s + part_s + size_bytes / (min(self.total_mb_s, self.connection_mb_s) * MB)
        lanes = Concurrency(most=in_flight or MOST, start=self.at_first)  # a Store's own, which goes up if that pays
        sizes = [min(part_bytes, size_bytes - at) for at in range(0, size_bytes, part_bytes)]
        # The key is looked at beside begin, but by one who uses no threads; and again before the last part, unless all
        # went out at once.
        ends_s = latency_s * (3 if in_flight == 1 else 2)
        looks = len(sizes) > 1 and (in_flight == 1 or len(sizes) > lanes.allowed)
        return ends_s + _parts_s(sizes, lanes, self, latency_s + part_s, look_s=latency_s if looks else 0.0)


def _parts_s(sizes: Sequence[int], lanes: Concurrency, road: Road, wait_s: float, *, look_s: float) -> float:
    """Each part waits, and then has a fair share of the width; as one ends others begin, as many as `lanes` allows.
    The last one begins behind a look of its own."""
    waiting: list[tuple[float, int]] = []
    flows: list[tuple[float, int]] = []  # what is left of a part, and its size
    begun = 0
    now_s = 0.0
    while True:
        while begun < len(sizes) and len(waiting) + len(flows) < lanes.allowed:
            lanes.began(now_s)
            last_s = look_s if begun == len(sizes) - 1 else 0.0
            heapq.heappush(waiting, (now_s + wait_s + last_s, sizes[begun]))
            begun += 1
        if not waiting and not flows:
            return now_s
        rate = min(road.connection_mb_s, road.total_mb_s / max(1, len(flows))) * MB
        ends_s = now_s + min(flows)[0] / rate if flows else math.inf
        next_s = min(ends_s, waiting[0][0] if waiting else math.inf)
        moved = rate * (next_s - now_s)
        now_s = next_s
        moving = [(left - moved, size) for left, size in flows]
        flows = [each for each in moving if each[0] > _LEAST]
        for left, size in moving:
            if left <= _LEAST:
                lanes.done(size, now_s)
        while waiting and waiting[0][0] <= now_s:
            _, size = heapq.heappop(waiting)
            flows.append((float(size), size))


ROADS = MappingProxyType(
    {
        road.name: road
        for road in (
            Road("lan", 1, 500, 1000),
            Road("region", 30, 40, 400),
            Road("cross-region", 150, 5, 60),
            Road("home", 80, 12, 12),
        )
    }
)


def road_of(text: str) -> Road:
    """A name, or LATENCY_MS/CONNECTION_MB_S/TOTAL_MB_S. Raises ValueError."""
    if text in ROADS:
        return ROADS[text]
    try:
        latency_ms, connection_mb_s, total_mb_s = (float(number) for number in text.split("/"))
    except ValueError:
        raise ValueError(f"no link {text!r}: there is {', '.join(ROADS)}, and LATENCY_MS/MB_S/MB_S_IN_ALL") from None
    return Road(text, latency_ms, connection_mb_s, total_mb_s)


@dataclass(frozen=True)
class Timed:
    """A create, and how long it took."""

    size_bytes: int
    part_bytes: int | None
    in_flight: int | None
    wall_s: float


def fitted(name: str, timed: Iterable[Timed]) -> Road:
    """The road on which these creates should have taken as long as they did, as near as can be: for a store at the end
    of a link that nobody knows. Raises ValueError for fewer than four of them, which every road would fit."""
    seen = list(timed)
    if len(seen) < 4:
        raise ValueError(f"{len(seen)} creates do not tell what the link is like")
    best_rate = max(each.size_bytes / each.wall_s for each in seen) / MB
    road = Road(name, 10.0, best_rate, best_rate, 1.0)
    miss = _miss(road, seen)
    step = 4.0
    while step > 1.02:
        found = min(
            (
                replace(road, **{part: getattr(road, part) * factor})
                for part in ("latency_ms", "connection_mb_s", "total_mb_s", "part_ms")
                for factor in (step, 1 / step)
            ),
            key=lambda each: _miss(each, seen),
        )
        if _miss(found, seen) < miss * 0.999:
            road, miss = found, _miss(found, seen)
        else:
            step = math.sqrt(step)
    return road


def _miss(road: Road, seen: Sequence[Timed]) -> float:
    logs = (math.log(road.predicted_s(each.size_bytes, each.part_bytes, each.in_flight) / each.wall_s) for each in seen)
    return sum(log * log for log in logs)
