"""The same in Markdown, without pictures. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from benchmarks.reporting import advice, beside, tables
from benchmarks.reporting.page import grouped_by_link
from benchmarks.reporting.rows import Results
from benchmarks.reporting.tables import Table
from benchmarks.reporting.words import size


def summary(results: Results) -> str:
    return "\n".join(_lines(results)) + "\n"


_QUOTED = re.compile(r"(<!-- of report\.md: (.+) -->\n\n)(?:\|.*\n)+")


def quoted(page: str, report: str) -> str:
    """A page of the documentation, its tables behind `<!-- of report.md: HEADING -->` being those of the report, which
    is a summary. Raises ValueError for a heading that is not there."""
    tables: dict[str, str] = dict(re.findall(r"^## (.+)\n(?:(?![#|]).*\n)*((?:\|.*\n)+)", report, re.MULTILINE))

    def table_of(found: re.Match[str]) -> str:
        if found[2] not in tables:
            raise ValueError(f"the report has no table {found[2]!r}")
        return found[1] + tables[found[2]]

    return _QUOTED.sub(table_of, page)


def _lines(results: Results) -> Iterator[str]:
    yield "# Which part size, and how many parts at a time?"
    yield ""
    yield "Made by `python -m benchmarks.report`; the page beside it has the pictures. The floor is what a link allows:"
    yield "the bytes at its full rate, and three latencies."
    found = advice.advices(results)
    if found:
        yield "\n## The answer\n"
        for name, each in grouped_by_link(found).items():
            told = max(each, key=lambda one: one.weight)
            yield f"- **{tables.link(results, name)}.** {told.sentence}"
        yield ""
        yield from _table(tables.answers(results))
    if tables.again(results).rows:
        yield "\n## The best, run again in pairs\n"
        yield tables.again_sentence(results)
        yield ""
        yield from _table(tables.again(results))
    for words, table in tables.grids(results):
        yield f"\n## Times the floor: {words}\n"
        yield from _table(table)
    for words, table in tables.sizes(results):
        yield f"\n## Seconds by size: {words}\n"
        yield from _table(table)
    for words, table in tables.many(results):
        yield f"\n## Many objects in one call: {words}\n"
        yield from _table(table)
    for words, table in tables.copies(results):
        yield f"\n## Copies by the service: {words}\n"
        yield from _table(table)
    if tables.defaults(results).rows:
        yield "\n## Nothing said\n"
        yield from _table(tables.defaults(results))
    if tables.streams(results).rows:
        yield "\n## Streams of unknown length\n"
        yield from (f"- {sentence}" for sentence in tables.stream_sentences(results))
        yield ""
        yield from _table(tables.streams(results))
    if results.of("peers"):
        yield "\n## Beside others\n"
        yield from (f"- {sentence}" for sentence in beside.overview_sentences(results))
        yield ""
        yield from _table(beside.overview(results))
        for world, size_mib, cells in beside.comparisons(results):
            yield f"\n## Beside others: {size(size_mib)}, {world.words}\n"
            yield from _table(beside.peers(results, cells))
        yield "\n## Beside others: versions\n"
        yield from _table(beside.versions(results))
    said, table = tables.model(results)
    yield "\n## Is it understood?\n"
    yield from said
    yield ""
    if table.rows:
        yield from _table(table)
    yield "\n## How it was measured\n"
    yield from _table(tables.places(results))


def _table(table: Table) -> Iterator[str]:
    yield _row(table.head)
    yield _row(tuple("---" for _ in table.head))
    yield from (_row(row) for row in table.rows)


def _row(words: tuple[str, ...]) -> str:
    return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"
