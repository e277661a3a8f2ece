"""What follows from the rows: which setting for which link, why, and what is not as it should be. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.harness.figures import Spread, spread
from benchmarks.harness.roads import MB, MIB, Road
from benchmarks.reporting.rows import MISS, Results, Row, World, grouped
from storage_guard.engine.concurrency import START

CLOSE = 1.05  # two settings this near are one; then the fewer requests decide, and the fewer connections
GOOD = 1.10
_MACHINE = 0.20  # the best that was tried took so much longer than the link needs: something else was in the way


@dataclass(frozen=True)
class Advice:
    """Of one link and one size. `default` and `best` were measured in the same rounds; `best` is the fastest cell,
    `modest` the one with the fewest requests and connections among those nearly as fast. `again`: `best` and `default`
    once more, which then counts."""

    world: World
    size_mib: float
    default: Row
    best: Row
    modest: Row
    tried: int
    again: Again | None = None

    @property
    def weight(self) -> tuple[bool, bool, int, float]:
        """Of several sizes on one link the heaviest is told first."""
        return (not self.of_the_machine, not self.sufficient, self.tried, self.to_best)

    @property
    def to_best(self) -> float:
        return self.default.wall_s.median / self.best.wall_s.median

    @property
    def sufficient(self) -> bool:
        """Nothing need be said."""
        return self.to_best <= GOOD if self.again is None else self.again.sufficient

    @property
    def of_the_machine(self) -> bool:
        """No setting came near what the link needs for it: nothing follows for the link."""
        return self.best.gap is not None and self.best.gap > _MACHINE

    @property
    def sentence(self) -> str:
        if self.of_the_machine:
            return (
                "No advice: even the best of the settings took much longer than this link needs. What was measured is "
                "the machine."
            )
        default = self.default
        part = "one request" if default.part_mib is None else f"parts of {default.part_mib:g} MiB"
        lanes = "" if default.part_mib is None else f", {START} at a time to begin with"
        took = "" if default.ratio is None else f"That took {default.ratio:.2f} times what the link allows. "
        said = f"Told nothing, the library sends {self.size_mib:g} MiB in {part}{lanes}. {took}"
        settings = f"{self.tried} other settings" if self.tried > 1 else "the other setting"
        modest = f"parts of {self.modest.part_mib or 0:g} MiB, {self.modest.in_flight or START} at a time"
        if self.sufficient:
            none = f"None of {settings} was" if self.tried > 1 else "The other setting that was tried was not"
            if self.to_best > GOOD and self.again is not None:
                none = (
                    f"The best of {settings} was {self.to_best:.2f} times as fast by chance: run again in pairs, it "
                    f"was {self.again.ratio.median:.2f} times as fast, and not"
                )
            own = "" if default.part_mib is None else f" A program that must be told: {part}, {START} at a time."
            return f"Tell it nothing. {said}{none} a tenth faster.{own}"
        fast = self.to_best if self.again is None else self.again.ratio.median
        pairs = "" if self.again is None else ", run again in pairs,"
        return f"Tell it: {modest}. {said}The best of {settings}{pairs} was {fast:.2f} times as fast."


def advices(results: Results, study: str = "parallel_parts") -> list[Advice]:
    """For each link and size of which the default and other settings were measured, the links with names first."""
    found: list[Advice] = []
    repeated = {_of(each.best): each for each in again(results)}
    rows = [row for row in results.of(study) if row.ours and row.do in ("file", "copy")]
    for (world, size_mib), cells in grouped(rows, lambda row: (row.world, row.size_mib)).items():
        defaults = [row for row in cells if row.default]
        others = [row for row in cells if not row.default]
        if not defaults or not others:
            continue
        best = min(others, key=lambda row: row.wall_s.median)
        near = [row for row in others if row.wall_s.median <= best.wall_s.median * CLOSE]
        modest = min(near, key=lambda row: (row.in_flight or 0, -(row.part_mib or 0)))
        found.append(Advice(world, size_mib, defaults[0], best, modest, len(others), repeated.get(_of(best))))
    return sorted(found, key=lambda each: (each.world.place, each.size_mib))


def _of(row: Row) -> tuple[World, str, float, str]:
    """The cell, whichever study it is of."""
    return row.world, row.do, row.size_mib, row.setting


@dataclass(frozen=True)
class Again:
    """The fastest of the settings that were tried, and the default, run again in pairs. `ratio`: how long the default
    took, in times of the other, of the same round."""

    default: Row
    best: Row
    ratio: Spread

    @property
    def sufficient(self) -> bool:
        return self.ratio.median <= GOOD


def again(results: Results) -> list[Again]:
    found: list[Again] = []
    rows = results.of("best_again")
    for pair in grouped(rows, lambda row: (row.world, row.do, row.size_mib)).values():
        default, best = (next((row for row in pair if row.default is which), None) for which in (True, False))
        if default is None or best is None:
            continue
        rounds = sorted(default.walls_s.keys() & best.walls_s.keys())
        if rounds:
            ratios = [default.walls_s[number] / best.walls_s[number] for number in rounds]
            found.append(Again(default, best, spread(ratios)))
    return found


def why(road: Road, size_mib: float, part_mib: float) -> list[str]:
    """Why such parts on such a link, in sentences."""
    latency_s = road.latency_ms / 1000
    needed = math.ceil(road.total_mb_s / road.connection_mb_s)
    sentences: list[str] = []

    def share(mib: float) -> float:
        busy_s = mib * MIB / MB / road.connection_mb_s
        return busy_s / (busy_s + latency_s)

    if needed > 1:
        sentences.append(
            f"One connection carries {road.connection_mb_s:g} MB/s and the whole link {road.total_mb_s:g}: it takes "
            f"{needed} connections at once to fill it, so an object of {size_mib:g} MiB must have at least {needed} "
            f"parts, none of them over {size_mib / needed:.3g} MiB."
        )
    else:
        sentences.append(
            f"One connection fills the whole link of {road.total_mb_s:g} MB/s; more of them only hide the waiting. "
            "One request of the whole object is as fast there, and sends all of it again when it breaks."
        )
    sentences.append(
        f"After each part its connection waits {road.latency_ms:g} ms for the answer. With parts of 1 MiB it moves "
        f"bytes for {share(1):.0%} of the time, with {part_mib:g} MiB for {share(part_mib):.0%}."
    )
    if share(1) < 0.8 and needed > 1:
        sentences.append(
            "Parts that are too small wait more than they send; parts that are too large leave most connections "
            "without work while the last ones finish."
        )
    return sentences


def off(results: Results) -> list[Row]:
    """Rows whose prediction is off by more than a tenth, the worst first."""
    return sorted(
        (row for row in results.rows if row.gap is not None and abs(row.gap) > MISS),
        key=lambda row: -abs(row.gap or 0),
    )


def defaults(results: Results) -> list[Row]:
    """Everything of 16 MiB and more that was sent as a file and nothing said; of several studies the one with the most
    rounds. Not of the comparison with others: no connection is at rest there before."""
    found = [row for row in results.rows if row.default and row.do == "file" and row.size_mib >= 16]
    rows = [row for row in found if row.study != "peers"]
    return [
        max(same, key=lambda row: row.rounds) for same in grouped(rows, lambda row: (row.world, row.size_mib)).values()
    ]


def stream_pairs(results: Results) -> list[tuple[Row, Row]]:
    """A stream, and the file of its size on the same link."""
    files = {(row.world, row.size_mib): row for row in results.of("streams") if row.do == "file"}
    streams = [row for row in results.of("streams") if row.do == "stream" and (row.world, row.size_mib) in files]
    streams.sort(key=lambda row: (row.world.place, row.size_mib, row.memory_mib or 0))
    return [(row, files[row.world, row.size_mib]) for row in streams]


def enough_memory(pairs: Sequence[tuple[Row, Row]]) -> Row | None:
    """The stream with the least memory that is within a tenth of its file."""
    good = [stream for stream, file in pairs if stream.wall_s.median <= file.wall_s.median * GOOD]
    return min(good, key=lambda row: row.memory_mib or 0, default=None)
