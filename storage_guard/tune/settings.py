"""Which settings are worth a try, and which is to be recommended. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from storage_guard.model import Limits, MiB

MOST_LANES = 64
NEAR = 1.05  # two settings this near are as good as each other
_LANES = (4, 16, 32, 64)


@dataclass(frozen=True)
class Setting:
    """What a Store is told; None: nothing."""

    part_bytes: int | None
    in_flight: int | None

    def __str__(self) -> str:
        if self.part_bytes is None:
            return "nothing said"
        return f"parts of {self.part_bytes / MiB:g} MiB, {self.in_flight} at a time"


DEFAULT = Setting(None, None)


@dataclass(frozen=True)
class Timed:
    """A setting, and the seconds that each run took."""

    setting: Setting
    wall_s: tuple[float, ...]

    @property
    def median_s(self) -> float:
        return statistics.median(self.wall_s)


def first_settings(usual_part_bytes: int, size_bytes: int, limits: Limits) -> list[Setting]:
    """The size of parts that nobody chose, its half, twice and four times as much; from few at a time to many."""
    sizes = (usual_part_bytes, usual_part_bytes // 2, usual_part_bytes * 2, usual_part_bytes * 4)
    return _worth_it((Setting(size, lanes) for size in sizes for lanes in _LANES), size_bytes, limits)


def next_settings(timed: Sequence[Timed], size_bytes: int, limits: Limits) -> list[Setting]:
    """The neighbours of the fastest that were not tried."""
    best = next((each.setting for each in timed if each.setting != DEFAULT), DEFAULT)
    if best.part_bytes is None or best.in_flight is None:
        return []
    had = {each.setting for each in timed}
    lanes = (best.in_flight * 2 // 3, best.in_flight * 3 // 2)
    near = [Setting(best.part_bytes, each) for each in lanes]
    near += [Setting(each, best.in_flight) for each in (best.part_bytes // 2, best.part_bytes * 2)]
    return [each for each in _worth_it(near, size_bytes, limits) if each not in had]


def _worth_it(settings: Iterable[Setting], size_bytes: int, limits: Limits) -> list[Setting]:
    """Those that differ: in parts that the store takes, and no more at a time than there are parts."""
    found: dict[Setting, None] = {}
    for each in settings:
        part_bytes, lanes = each.part_bytes or 0, each.in_flight or 0
        parts = -(-size_bytes // max(1, part_bytes))
        fits = max(1, limits.min_part_bytes) <= part_bytes <= limits.max_part_bytes and 2 <= parts <= limits.max_parts
        if fits and lanes >= 1:
            found[Setting(part_bytes, min(lanes, parts, MOST_LANES))] = None
    return list(found)


def recommended(timed: Sequence[Timed]) -> Setting:
    """Of those that are nearly as fast as the fastest the one with the fewest at a time, and then the largest parts: it
    asks the least of memory and of the store. `timed`: the fastest first."""
    near = [each.setting for each in timed if each.median_s <= timed[0].median_s * NEAR]
    return min(near, key=lambda each: (each.in_flight or 0, -(each.part_bytes or 0)))
