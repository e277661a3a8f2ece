"""Was the best setting of a heat map better, or lucky?

    python -m benchmarks.best_again --of RESULTS.jsonl,... [URL] [--rounds 5] [--links ...] [--sizes-mib ...]

Of each link and object in results of parallel_parts or copies, the setting that was the fastest there is run again in
pairs with what the library does when it is told nothing: the best of many is the one with the most luck too. What the
results are of and is not named by the options is left alone. See README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

from benchmarks.harness.cells import MIB, ONE_PUT, Cell, World
from benchmarks.harness.roads import ROADS
from benchmarks.harness.study import Study, mibs, study_options
from benchmarks.reporting import advice
from benchmarks.reporting.rows import A_BUCKET, OURS, Row, parsed


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.best_again")
    parser.add_argument("--of", required=True, help="results, with commas between")
    parser.add_argument("--sizes-mib", type=mibs, default=None, help="of objects; all that are there without")
    study_options(parser, rounds=5, links=",".join(ROADS), schemes="http,https")
    asked = parser.parse_args()
    try:
        texts = [Path(name).read_text(encoding="utf-8") for name in asked.of.split(",")]
        found = advice.advices(parsed(texts), "parallel_parts") + advice.advices(parsed(texts), "copies")
    except (OSError, ValueError) as exc:
        print(f"benchmarks.best_again: {exc}", file=sys.stderr)
        return 2
    copied = {each.default.copy_mb_s for each in found if each.default.do == "copy"}
    if len(copied) > 1:
        print("benchmarks.best_again: these copies were made at several paces", file=sys.stderr)
        return 2
    # Where the results lie says something of this machine.
    asked.of = ",".join(Path(name).name if Path(name).is_absolute() else name for name in asked.of.split(","))
    study = Study("best_again", asked, copy_mb_s=copied.pop() if copied else None)
    return study.run_in(lambda worlds: _pairs(worlds, found, asked.sizes_mib))


def _pairs(
    worlds: Sequence[World], found: Sequence[advice.Advice], sizes_mib: Sequence[float] | None
) -> dict[World, Sequence[Cell]]:
    grid: dict[World, list[Cell]] = {}
    for each in found:
        of = each.world
        link = None if of.link == A_BUCKET else of.link
        world = World(cast("Literal['oss', 's3']", of.service), of.scheme, link)
        if world in worlds and (sizes_mib is None or each.size_mib in sizes_mib):
            grid.setdefault(world, []).extend((_cell(each.default), _cell(each.best)))
    return {world: tuple(cells) for world, cells in grid.items()}


def _cell(row: Row) -> Cell:
    if row.side != OURS:
        raise ValueError(f"{row.side} is no setting of ours")
    part: int | str = int((row.part_mib or 0) * MIB) if row.part == "set" else row.part
    do = cast("Literal['file', 'copy']", row.do)
    return Cell(int(row.size_mib * MIB), ONE_PUT if part == ONE_PUT else part, row.in_flight, do=do)


if __name__ == "__main__":
    sys.exit(main())
