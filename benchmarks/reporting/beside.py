"""The comparison with others, as tables. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.reporting.rows import Results, Row, World, grouped
from benchmarks.reporting.tables import Table, seconds
from benchmarks.reporting.words import figure, growth, size

_TUNED = "tuned"  # in the name of a side whose settings were chosen for the work
_LEVEL = 1.02  # two times this near are one


def comparisons(results: Results) -> list[tuple[World, float, list[Row]]]:
    """Of each link and size, the fastest first."""
    groups = grouped(results.of("peers"), lambda row: (row.world, row.size_mib)).items()
    return [(world, size_mib, sorted(rows, key=lambda row: row.wall_s.median)) for (world, size_mib), rows in groups]


def overview(results: Results) -> Table:
    """How long the fastest of the others take, as they are shipped and tuned, in times of ours."""
    rows: list[tuple[str, ...]] = []
    for world, size_mib, cells in comparisons(results):
        ours = next((row for row in cells if row.ours), None)
        if ours is None:
            continue
        told = [world.words, size(size_mib), seconds(ours)]
        for tuned in (False, True):
            fastest = _fastest(cells, tuned=tuned)
            told += ["", ""] if fastest is None else [fastest.side, f"{_to(ours, fastest):.2f}"]
        rows.append(tuple(told))
    head = ("link", "object", "storage-guard", "fastest other, as shipped", "times ours", "fastest other, tuned")
    return Table((*head, "times ours"), tuple(rows))


def overview_sentences(results: Results) -> list[str]:
    """Who is faster than ours, and by how much."""
    shipped: list[str] = []
    tuned_ones: list[str] = []
    count = 0
    for world, size_mib, cells in comparisons(results):
        ours = next((row for row in cells if row.ours), None)
        if ours is None:
            continue
        count += 1
        for tuned, said in ((False, shipped), (True, tuned_ones)):
            fastest = _fastest(cells, tuned=tuned)
            if fastest is not None and _to(ours, fastest) * _LEVEL < 1:
                said.append(f"{fastest.side} at {size(size_mib)} on {world.words} ({_to(ours, fastest):.2f})")
    return [
        f"Of {count} comparisons, in {count - len(said)} no other {kind} was faster by more than {_LEVEL - 1:.0%}"
        + (f". Faster: {', '.join(said)}." if said else ".")
        for kind, said in (("as shipped", shipped), ("tuned", tuned_ones))
    ]


def _fastest(cells: Sequence[Row], *, tuned: bool) -> Row | None:
    others = (row for row in cells if not row.ours and (_TUNED in row.side) is tuned)
    return min(others, key=lambda row: row.wall_s.median, default=None)


def _to(ours: Row, other: Row) -> float:
    return other.wall_s.median / ours.wall_s.median


def peers(results: Results, rows: Sequence[Row]) -> Table:
    """Of one link and size; what was left out stands below."""
    said = [
        (
            row.side,
            seconds(row),
            figure(row.mb_per_s.median),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            f"{figure(row.cpu_s)} s",
            "" if row.growth_mib is None else growth(row.growth_mib),
            "" if row.requests is None else f"{row.requests:g}",
        )
        for row in rows
    ]
    of = (rows[0].study, rows[0].world, rows[0].size_mib)
    said += [
        (each.side, f"left out: {each.least_s:.3g} s at least", "", "", "", "", "")
        for each in sorted(results.left, key=lambda each: each.least_s)
        if (each.study, each.world, each.size_mib) == of
    ]
    head = ("", "took", "MB/s", "times the floor", "client CPU", "memory growth", "requests")
    return Table(head, tuple(said))


def versions(results: Results) -> Table:
    """Of all that was measured, by service."""
    rows = {(row.world.service, row.side) for row in results.of("peers")}
    told = [
        (service.upper(), side, results.facts.get(f"{service} {side}", ""))
        for service, side in sorted(rows, key=lambda each: (each[0], "storage-guard" not in each[1], each[1]))
    ]
    return Table(("service", "", "versions, and the checksum it makes"), tuple(told))
