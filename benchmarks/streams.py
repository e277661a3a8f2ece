"""What does it cost that a length is not known?

    python -m benchmarks.streams [URL] [--sizes-mib 64,256] [--memory-mib 32,64,128,256] [--links ...]

The same bytes as a file and as a stream of unknown length, which holds whole parts in memory, at most so many MiB of
them. See README.md.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.harness.cells import MIB, Cell
from benchmarks.harness.study import Study, mibs, study_options


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.streams")
    parser.add_argument("--sizes-mib", type=mibs, default=mibs("64,256"))
    parser.add_argument("--memory-mib", type=mibs, default=mibs("32,64,128,256"), help="that a stream may hold")
    study_options(parser)
    asked = parser.parse_args()
    cells: list[Cell] = []
    for mib in asked.sizes_mib:
        size_bytes = int(mib * MIB)
        cells.append(Cell(size_bytes))
        cells += [Cell(size_bytes, do="stream", memory_bytes=int(memory * MIB)) for memory in asked.memory_mib]
    return Study("streams", asked).run(cells)


if __name__ == "__main__":
    sys.exit(main())
