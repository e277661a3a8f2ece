"""What the page and the summary both say: tables as rows of words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.harness.roads import ROADS
from benchmarks.reporting import advice
from benchmarks.reporting.rows import A_BUCKET, Results, Row, grouped
from benchmarks.reporting.words import gap, growth, size

KINDS = {
    "lan": "the same building",
    "region": "the same part of the world",
    "cross-region": "another continent",
    "home": "a household's line",
}


@dataclass(frozen=True)
class Table:
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def seconds(row: Row) -> str:
    wall = row.wall_s
    return f"{wall.median:.3g} s" if row.rounds == 1 else f"{wall.median:.3g} s ({wall.low:.3g} to {wall.high:.3g})"


def link(results: Results, name: str) -> str:
    road = results.roads.get(name)
    if road is None:
        return name
    kind = f", {KINDS[name]}" if name in ROADS else ""
    guess = " (guessed from the figures)" if name in results.guessed else ""
    return f"{name}{kind}: {road.words}{guess}"


def answers(results: Results, study: str = "parallel_parts") -> Table:
    """Which setting for which link."""
    rows = [
        (
            link(results, each.world.link),
            f"{size(each.size_mib)}, {each.world.service.upper()}, {each.world.scheme}",
            seconds(each.default),
            "" if each.default.ratio is None else f"{each.default.ratio:.2f}",
            f"{seconds(each.best)}: {each.best.setting}",
            f"{each.to_best:.2f}",
        )
        for each in advice.advices(results, study)
    ]
    head = ("link", "object", "nothing said", "times the floor", "best setting that was tried", "nothing said to best")
    return Table(head, tuple(rows))


def again(results: Results) -> Table:
    """The best settings, run again in pairs."""
    rows = [
        (
            each.default.world.words,
            f"{size(each.default.size_mib)}{', copied' if each.default.do == 'copy' else ''}",
            each.best.setting,
            seconds(each.best),
            seconds(each.default),
            f"{each.ratio.median:.2f} ({each.ratio.low:.2f} to {each.ratio.high:.2f})",
            f"{len(each.default.walls_s.keys() & each.best.walls_s.keys())}",
        )
        for each in sorted(
            advice.again(results), key=lambda each: (each.default.do != "file", each.default.world.place)
        )
    ]
    head = ("link", "object", "best setting of the map", "took", "nothing said", "nothing said to it", "pairs")
    return Table(head, tuple(rows))


def again_sentence(results: Results) -> str:
    found = advice.again(results)
    far = [each for each in found if not each.sufficient]
    said = f"{len(found) - len(far)} of {len(found)} are within a tenth of it"
    worst = max(found, key=lambda each: each.ratio.median)
    return (
        f"{said}; the farthest is {size(worst.default.size_mib)} on {worst.default.world.words}, "
        f"{worst.ratio.median:.2f} times as long."
    )


def copies(results: Results) -> list[tuple[str, Table]]:
    """Seconds by how a copy is cut, of each link and size."""
    found: list[tuple[str, Table]] = []
    rows = [row for row in results.of("copies") if row.ours]
    for (world, size_mib, pace), cells in grouped(rows, lambda row: (row.world, row.size_mib, row.copy_mb_s)).items():
        copied = "" if pace is None else f", {pace:g} MB/s a request"
        table = tuple(
            (
                "nothing said" if row.default else row.setting,
                seconds(row),
                "" if row.ratio is None else f"{row.ratio:.2f}",
                "" if row.requests is None else f"{row.requests:g}",
                "" if row.gap is None else gap(row.gap),
            )
            for row in sorted(cells, key=lambda row: row.wall_s.median)
        )
        head = ("copy in", "took", "times the floor", "requests", "to the prediction")
        found.append((f"{size(size_mib)}, {world.words}{copied}", Table(head, table)))
    return found


def many(results: Results) -> list[tuple[str, Table]]:
    """By the number of objects, of each link."""
    found: list[tuple[str, Table]] = []
    for world, cells in grouped(results.of("many_objects"), lambda row: row.world).items():
        table = tuple(
            (
                f"{row.objects:,}",
                seconds(row),
                "" if row.creates_per_s is None else f"{row.creates_per_s.median:,.4g}",
                "" if row.cpu_us is None else f"{row.cpu_us.median:,.0f} us",
                "" if row.growth_mib is None else growth(row.growth_mib),
                "" if row.requests is None else f"{row.requests:,g}",
            )
            for row in sorted(cells, key=lambda row: row.objects)
        )
        head = ("objects", "took", "objects a second", "client CPU of each", "memory growth", "requests")
        found.append((world.words, Table(head, table)))
    return found


def defaults(results: Results) -> Table:
    rows = [
        (
            row.world.words,
            size(row.size_mib),
            "one request" if row.part_mib is None else f"{row.part_mib:g} MiB",
            seconds(row),
            "" if row.floor_s is None else f"{row.floor_s:.3g} s",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.gap is None else gap(row.gap),
        )
        for row in sorted(advice.defaults(results), key=lambda row: (row.world.place, row.size_mib, row.study))
    ]
    head = ("link", "object", "parts", "took (median, quartiles)", "floor", "times the floor", "to the prediction")
    return Table(head, tuple(rows))


def streams(results: Results) -> Table:
    rows = [
        (
            stream.world.words,
            size(stream.size_mib),
            f"{stream.memory_mib:g} MiB",
            seconds(stream),
            seconds(file),
            f"{stream.wall_s.median / file.wall_s.median:.2f}",
        )
        for stream, file in advice.stream_pairs(results)
    ]
    head = ("link", "object", "memory_bytes", "stream", "file", "stream to file")
    return Table(head, tuple(rows))


def stream_sentences(results: Results) -> list[str]:
    said: list[str] = []
    pairs = grouped(advice.stream_pairs(results), lambda pair: (pair[0].world, pair[0].size_mib))  # type: ignore[arg-type,index]
    for (world, size_mib), each in pairs.items():
        enough = advice.enough_memory(each)  # type: ignore[arg-type]
        words = "none of these was enough" if enough is None else f"{enough.memory_mib:g} MiB were enough"
        said.append(f"{world.words}, {size(size_mib)}: to be within a tenth of the file, {words}.")
    return said


def model(results: Results, most: int = 12) -> tuple[list[str], Table]:
    """How well the figures are understood."""
    judged = [row for row in results.rows if row.gap is not None]
    off = advice.off(results)
    said = [
        f"{len(judged)} cells have a prediction. {len(off)} of them are off by more than a tenth"
        + (f"; the worst {most} stand below." if len(off) > most else "." if not off else ":")
    ]
    busy = [row for row in off if (row.server_busy or 0) >= 0.5]
    if busy:
        said.append(
            f"In {len(busy)} of these the server's one process was busy for half of the time or more: the machine was "
            "the limit, and not the link."
        )
    rows = [
        (
            row.world.words,
            size(row.size_mib),
            row.setting,
            f"{row.predicted_s:.3g} s",
            seconds(row),
            gap(row.gap or 0),
            "" if row.server_busy is None else f"{row.server_busy:.0%}",
        )
        for row in off[:most]
    ]
    head = ("link", "object", "setting", "predicted", "took", "off by", "server busy")
    return said, Table(head, tuple(rows))


def places(results: Results) -> Table:
    """What was run where."""
    rows = [
        (
            f"{line.get('command', '')}",
            str(line.get("started", "")),
            f"{line.get('processor', '')}, {line.get('cpus', '')} CPUs, {line.get('memory_gib', '')} GiB",
            f"{line.get('system', '')}, {line.get('python', '')}",
            str(line.get("commit", "")),
            str(line.get("load_1_min", "")),
        )
        for line in results.environments
        if line.get("study")
    ]
    return Table(("command", "begun", "machine", "system", "commit", "load before"), tuple(rows))


def intro_links(results: Results) -> list[str]:
    return [link(results, name) for name in results.roads if name != A_BUCKET or name in results.guessed]


def grids(results: Results) -> list[tuple[str, Table]]:
    """Part size against parts at a time, as times the floor: of each link and size."""
    rows = [row for row in results.of("parallel_parts") if row.ours and row.do == "file" and row.ratio is not None]
    found: list[tuple[str, Table]] = []
    for (world, size_mib), cells in grouped(rows, lambda row: (row.world, row.size_mib)).items():
        tried = {(row.part_mib, row.in_flight): row for row in cells if not row.default and row.part_mib is not None}
        if len(tried) <= 5:
            continue
        lanes = sorted({lane for _, lane in tried if lane is not None})
        parts = sorted({part for part, _ in tried})
        table = tuple((f"{part:g} MiB", *(_times(tried.get((part, lane))) for lane in lanes)) for part in parts)
        found.append(
            (f"{size(size_mib)}, {world.words}", Table(("parts", *(f"{lane} at a time" for lane in lanes)), table))
        )
    return found


def _times(row: Row | None) -> str:
    return "" if row is None or row.ratio is None else f"{row.ratio:.2f}"


def sizes(results: Results) -> list[tuple[str, Table]]:
    """Seconds by the size of the object and how it is cut, of each link."""
    rows = [row for row in results.of("part_sizing") if row.ours and row.do == "file"]
    found: list[tuple[str, Table]] = []
    for world, cells in grouped(rows, lambda row: row.world).items():
        by = {(row.size_mib, cut(row)): row for row in cells}
        columns = cuts(cells)
        table = tuple(
            (
                size(mib),
                *(f"{by[mib, name].wall_s.median:.3g}" if (mib, name) in by else "" for name in columns),
            )
            for mib in sorted({row.size_mib for row in cells})
        )
        found.append((world.words, Table(("object", *columns), table)))
    return found


def cut(row: Row) -> str:
    if row.part == "default":
        return "nothing said"
    return "one request" if row.part_mib is None else f"parts of {row.part_mib:g} MiB"


def cuts(cells: Sequence[Row]) -> list[str]:
    set_mib = sorted({row.part_mib or 0 for row in cells if row.part == "set"})
    return ["nothing said", "one request", *(f"parts of {mib:g} MiB" for mib in set_mib)]
