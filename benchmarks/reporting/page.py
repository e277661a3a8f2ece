"""One HTML page that needs nothing beside itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from benchmarks.harness.roads import ROADS
from benchmarks.reporting import advice, beside, svg, tables
from benchmarks.reporting.rows import OURS, Results, Row, World, grouped
from benchmarks.reporting.tables import Table
from benchmarks.reporting.words import size
from storage_guard.engine.concurrency import MOST

_STYLE = """
body { font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; color: #111; background: #fff;
       max-width: 62em; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.7em; line-height: 1.2; } h2 { margin-top: 2.2em; border-bottom: 2px solid #111; }
h3 { margin-top: 1.6em; } figure { margin: 1em 0; break-inside: avoid; overflow-x: auto; }
figcaption { color: #333; max-width: 46em; } svg { max-width: 100%; height: auto; }
.answer { border: 2px solid #111; padding: .6em 1em; margin: 1em 0; background: #f6f6f6; break-inside: avoid; }
.answer p { margin: .3em 0; }
table { border-collapse: collapse; font-size: .85em; margin: 1em 0; } tr { break-inside: avoid; }
th, td { text-align: left; vertical-align: top; padding: .3em .6em; border-bottom: 1px solid #ccc; }
th { border-bottom: 2px solid #111; } .wide { overflow-x: auto; } code { font-size: .9em; overflow-wrap: anywhere; }
@media print { body { font-size: 10pt; margin: 0; max-width: none; } h2, h3 { break-after: avoid; }
  svg, rect, td { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


def page(results: Results) -> str:
    body = "\n".join(_body(results))
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>Which part size?</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _body(results: Results) -> Iterator[str]:
    yield "<h1>Which part size, and how many parts at a time?</h1>"
    yield from _introduction()
    yield from _answers(results)
    yield from _again(results)
    yield from _maps(results)
    yield from _sizes(results)
    yield from _many(results)
    yield from _defaults(results)
    yield from _streams(results)
    yield from _copies(results)
    yield from _peers(results)
    yield from _model(results)
    yield from _method(results)


def _p(words: str, kind: str = "") -> str:
    return f"<p{f' class={kind!r}' if kind else ''}>{escape(words)}</p>"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(word)}</th>" for word in table.head)
    rows = "".join("<tr>" + "".join(f"<td>{_unbroken(word)}</td>" for word in row) + "</tr>" for row in table.rows)
    return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def _unbroken(words: str) -> str:
    """A number stays on the line of its unit."""
    return re.sub(r"(?<=\d) (?=(?:[KMG]iB|MB/s|[mu]?s)\b)", "&nbsp;", escape(words))


def _figure(picture: str, words: str) -> str:
    return f"<figure>{picture}<figcaption>{escape(words)}</figcaption></figure>"


def _introduction() -> Iterator[str]:
    yield _p(
        "An object store takes a large object in parts. Each part is one HTTP request, several are on their way at a "
        "time, each over a connection of its own, and a last request puts them together. storage-guard does this by "
        "itself. This page shows how long it takes, beside what the link to the store allows, and whether another "
        "size of the parts, or more of them at a time, would have been faster."
    )
    yield _p(
        "Three things decide. The latency: after each request its connection waits for an answer, and sends nothing. "
        "What one connection carries: often a tenth of what the link carries in all. And the end: when the parts are "
        "large, most connections have nothing to do while the last parts finish."
    )
    yield _p(
        "The floor is the least time that a link allows: the bytes of the object at the full rate of the link, and "
        "three latencies (to begin, for a part, to finish). 1.00 times the floor is perfect, 2.00 is twice as long as "
        "it must. It may be a little under 1.00, as a rate that nobody used for up to 20 ms comes for nothing here: 20 "
        "MB on a link of 1000 MB/s. MiB are 2^20 bytes, of objects and parts; MB are 10^6, of links."
    )


def _answers(results: Results) -> Iterator[str]:
    found = advice.advices(results)
    if not found:
        return
    yield "<h2>The answer</h2>"
    yield _p(
        "Look for the link whose latency is nearest to yours (ping tells it, or the time that a small request takes). "
        "To tell the library nothing is to give neither part_bytes nor in_flight to open_store, which the tables call "
        '"nothing said"; to tell it is to give both. Other programs have settings of their own for the size of a part '
        "and for how many are sent at a time. Each box is about the object and the service that it was measured with, "
        "which stand in the table below the boxes; S3 takes no parts under 5 MiB. Smaller objects, and https, are "
        "further down."
    )
    for name, each in grouped_by_link(found).items():
        road = results.roads.get(name)
        told = max(each, key=lambda one: one.weight)
        yield f"<div class='answer'><p><strong>{escape(tables.link(results, name))}</strong></p>"
        first, dot, rest = told.sentence.partition(". ")
        yield f"<p><strong>{escape(first + dot)}</strong>{escape(rest)}</p>"
        if road is not None and told.default.part_mib is not None:
            yield _p(" ".join(["Why:", *advice.why(road, told.size_mib, told.default.part_mib)]))
        yield "</div>"
    yield _table(tables.answers(results))


def _again(results: Results) -> Iterator[str]:
    table = tables.again(results)
    if table.rows:
        yield "<h3>The best, run again</h3>"
        yield _p(
            "The best of many settings is the one with the most luck, too. So the fastest setting of each link and "
            "object was run again, in pairs with what the library does when nothing is said, both in each round; the "
            f"ratio is of the same round. {tables.again_sentence(results)}"
        )
        yield _table(table)


def grouped_by_link(found: Sequence[advice.Advice]) -> dict[str, list[advice.Advice]]:
    links: dict[str, list[advice.Advice]] = {}
    for each in found:
        links.setdefault(each.world.link, []).append(each)
    return links


def _maps(results: Results) -> Iterator[str]:
    rows = [row for row in results.of("parallel_parts") if row.ours and row.do == "file" and row.ratio is not None]
    grids = {
        key: cells for key, cells in grouped(rows, lambda row: (row.world, row.size_mib)).items() if len(cells) > 6
    }
    if not grids:
        return
    yield "<h2>Part size against parts at a time</h2>"
    yield _p(
        "Each cell is one setting: the number says how many times the floor it took. Light is fast. The fastest has a "
        "frame. Look at the row of the part size, and go right until it is light: further right nothing is gained. "
        "So many at a time are a bound: the library begins with 16, and takes more where that pays; and an object of "
        "few parts uses as many connections as it has parts."
    )
    for (world, size_mib), cells in grids.items():
        yield f"<h3>{size(size_mib)}, {escape(tables.link(results, world.link))}</h3>"
        yield _figure(*_map(world, size_mib, cells))


def _map(world: World, size_mib: float, cells: Sequence[Row]) -> tuple[str, str]:
    tried = [row for row in cells if not row.default and row.part_mib is not None and row.in_flight is not None]
    parts = sorted({row.part_mib or 0 for row in tried})
    lanes = sorted({row.in_flight or 0 for row in tried})
    best = min(tried, key=lambda row: row.wall_s.median)
    spots = {
        (parts.index(row.part_mib or 0), lanes.index(row.in_flight or 0)): svg.Spot(row.ratio or 1, row is best)
        for row in tried
    }
    title = f"{size(size_mib)} on {world.words}: times the floor, by part size and parts at a time"
    picture = svg.heat_map(
        title,
        [f"{each}" for each in lanes],
        [f"{each:g} MiB" for each in parts],
        spots,
        across="parts at a time",
        down="part size",
    )
    what = "A copy" if best.do == "copy" else "An object"
    words = f"{what} of {size(size_mib)}, {world.words}. "
    words += f"The fastest: {best.setting}, {tables.seconds(best)}."
    default = next((row for row in cells if row.default), None)
    if default is not None and default.ratio is not None:
        cut = "in one request" if default.part_mib is None else f"parts of {default.part_mib:g} MiB"
        words += f" Nothing said: {cut}, {default.ratio:.2f} times the floor, {tables.seconds(default)}."
    return picture, words


def _sizes(results: Results) -> Iterator[str]:
    rows = [row for row in results.of("part_sizing") if row.ours and row.do == "file"]
    if not rows:
        return
    yield "<h2>As the object grows</h2>"
    for world, cells in grouped(rows, lambda row: row.world).items():
        drawn = _curves(cells)
        title = f"rate by size of the object on {world.words}"
        yield f"<h3>{escape(tables.link(results, world.link))}</h3>"
        yield _figure(
            svg.lines(title, drawn, "size of the object (MiB)", "MB/s"),
            "How fast objects of each size went, by how they were cut; how many parts at a time was left to the "
            "library. The dotted line is the floor. Small objects are as slow as the latency; one request is as slow "
            "as one connection, whatever its size.",
        )
        spots = _size_map(cells)
        if spots is not None:
            yield _figure(
                spots,
                f"The same as times the floor. The first row is what the library does when nothing is said: "
                f"{_said_nothing(cells)}.",
            )


def _said_nothing(cells: Sequence[Row]) -> str:
    whole = max((row.size_mib for row in cells if row.default and row.part_mib is None), default=None)
    cut = sorted({row.part_mib for row in cells if row.default and row.part_mib is not None})
    said = [] if whole is None else [f"one request up to {whole:g} MiB"]
    if cut:
        said.append(f"parts of {cut[0]:g} MiB" if len(cut) == 1 else f"parts of {cut[0]:g} to {cut[-1]:g} MiB")
    return ", then ".join(said)


def _many(results: Results) -> Iterator[str]:
    worlds = grouped(results.of("many_objects"), lambda row: row.world)
    if not worlds:
        return
    kib = next(iter(worlds.values()))[0].size_mib * 1024
    yield "<h2>As the number of objects grows</h2>"
    yield _p(
        f"So many objects of {kib:g} KiB in one call of create_many, which keeps {MOST} requests on their way at most: "
        f"on a link of 30 ms no more than {MOST / 0.030:,.0f} a second. A few objects only wait for their "
        "answers; from then on neither the rate nor the cost of an object should depend on how many there are."
    )
    for title, unit, figure in (
        ("How many objects a second", "objects a second", "creates_per_s"),
        ("What each costs the processor of the client, in microseconds", "client CPU of an object (us)", "cpu_us"),
    ):
        drawn = [
            svg.Line(world.words, sorted((row.objects, getattr(row, figure).median) for row in cells))
            for world, cells in worlds.items()
        ]
        yield _figure(svg.lines(title, drawn, "objects in one call", unit, base=10), f"{title}, by how many there are.")
    for words, table in tables.many(results):
        yield f"<h3>{escape(words)}</h3>"
        yield _table(table)


def _copies(results: Results) -> Iterator[str]:
    found = tables.copies(results)
    if not found:
        return
    yield "<h2>Copies by the service</h2>"
    yield _p(
        "An object that a service copies by itself: nothing of it passes through the client, and each request takes as "
        "long as the service is at its part. No service tells how long that is; here each request copies so many MB a "
        "second as stand beside the link, whatever goes on beside it. So the floor is what "
        f"{MOST} requests at a time need, and four latencies: a look at the source, to begin, a part, to finish."
    )
    for each in advice.advices(results, "copies"):
        nothing = each.default.part_mib
        cut = "one request" if nothing is None else f"parts of {nothing:g} MiB"
        yield _p(
            f"{each.world.words}, {size(each.size_mib)}: nothing said, it is copied in {cut}, which took "
            f"{each.to_best:.2f} times as long as the best that was tried: {each.best.setting}."
        )
    of_each = grouped(results.of("copies"), lambda row: (row.world, row.size_mib, row.copy_mb_s))
    for (world, size_mib, _), cells in of_each.items():
        if len(cells) > 6 and all(row.ratio is not None for row in cells):
            yield _figure(*_map(world, size_mib, cells))
    for words, table in found:
        yield f"<h3>{escape(words)}</h3>"
        yield _table(table)


def _curves(cells: Sequence[Row]) -> list[svg.Line]:
    drawn: list[svg.Line] = []
    for name in tables.cuts(cells):
        points = sorted((row.size_mib, row.mb_per_s.median) for row in cells if tables.cut(row) == name)
        if points:
            drawn.append(svg.Line(name, points))
    floors = {row.size_mib: row.size_mib * (1 << 20) / 1e6 / row.floor_s for row in cells if row.floor_s is not None}
    if floors:
        drawn.append(svg.Line("the floor", sorted(floors.items()), floor=True))
    return drawn


def _size_map(cells: Sequence[Row]) -> str | None:
    rated = [row for row in cells if row.ratio is not None]
    if not rated:
        return None
    cuts = [name for name in tables.cuts(rated) if any(tables.cut(row) == name for row in rated)]
    sizes = sorted({row.size_mib for row in rated})
    best = {mib: min((row for row in rated if row.size_mib == mib), key=lambda row: row.wall_s.median) for mib in sizes}
    spots = {
        (cuts.index(tables.cut(row)), sizes.index(row.size_mib)): svg.Spot(row.ratio or 1, row is best[row.size_mib])
        for row in rated
    }
    names = [f"{mib:g}" for mib in sizes]
    return svg.heat_map(
        "times the floor, by size", names, cuts, spots, across="size of the object (MiB)", down="cut into"
    )


def _defaults(results: Results) -> Iterator[str]:
    table = tables.defaults(results)
    if table.rows:
        yield "<h2>Nothing said</h2>"
        yield _p(
            "All that was measured of 16 MiB and more with the library's own choice. The aim is 1.10 times the floor. "
            "The prediction is what arithmetic expects of the link; where it is far off, something else was in the "
            "way, which over https on lan is the machine that encrypts at one end and decrypts at the other."
        )
        yield _table(table)


def _streams(results: Results) -> Iterator[str]:
    table = tables.streams(results)
    if table.rows:
        yield "<h2>Streams of unknown length</h2>"
        yield _p(
            "A file is read again while its parts are sent, in windows of 256 KiB; of a stream each part is held in "
            "memory until the store has it. So its memory decides how many parts are on their way."
        )
        for sentence in tables.stream_sentences(results):
            yield _p(sentence)
        yield _table(table)


def _peers(results: Results) -> Iterator[str]:
    rows = results.of("peers")
    if not rows:
        return
    yield "<h2>Beside others</h2>"
    yield _p(
        "The same file, by each one's own way to send one: as its documentation's first example does it, and tuned, "
        "with 16 parts at a time, of 4 MiB (OSS) and 5 MiB (S3). Hatched bars send no condition: they write over "
        "whatever is at the key, which is less work. Ours sends a checksum of every byte, too, which the server "
        "compares; which the others make stands at the end. The whiskers are the quartiles. One machine is faster in "
        "one minute than in the next, so compare within a table."
    )
    for sentence in beside.overview_sentences(results):
        yield _p(sentence)
    yield _table(beside.overview(results))
    for world, size_mib, cells in beside.comparisons(results):
        drawn = [
            svg.Bar(
                row.side,
                row.mb_per_s.median,
                row.mb_per_s.low,
                row.mb_per_s.high,
                row.side == OURS,
                "no condition" in row.side,
            )
            for row in cells
        ]
        floor_s = cells[0].floor_s
        mark = None if floor_s is None else (size_mib * (1 << 20) / 1e6 / floor_s, "what the link allows")
        yield f"<h3>{size(size_mib)}, {escape(world.words)}</h3>"
        title = f"MB/s of {size(size_mib)}, {world.words}"
        yield _figure(svg.bars(title, drawn, "MB/s", mark=mark), "Longer is faster.")
        yield _table(beside.peers(results, cells))
    yield "<h3>Versions</h3>"
    yield _table(beside.versions(results))


def _model(results: Results) -> Iterator[str]:
    said, table = tables.model(results)
    yield "<h2>Is it understood?</h2>"
    yield _p(
        "Beside each figure stands what arithmetic expects of the link: the latency of each request, a fair share of "
        "the width for each part. Where both agree, the figure is the link's and not the machine's."
    )
    for sentence in said:
        yield _p(sentence)
    if table.rows:
        yield _table(table)


def _method(results: Results) -> Iterator[str]:
    yield "<h2>How it was measured</h2>"
    yield _p(
        "The client and the server are processes of one machine; the server keeps no bytes, and lets them through at "
        "the latency and the rates of the link. Slow start and loss are not part of that; what the systems buffer, and "
        "20 ms of a rate that nobody used, come for nothing, so that an object of a MiB "
        "may beat the floor, and parts of 1 and 2 MiB look better than they are."
    )
    yield _p(
        "Connections are at rest before each run, as in a program that has written before. Settings are measured in an "
        "order that is drawn anew each round. Figures are medians, with the quartiles, or the ends of fewer than four. "
        "In a checkout of storage-guard `make bench` measures anew, in minutes, and makes such a page."
    )
    named = [name for name in results.roads if name in ROADS]
    if named:
        yield "<ul>" + "".join(f"<li>{escape(tables.link(results, name))}</li>" for name in named) + "</ul>"
    yield _table(tables.places(results))
