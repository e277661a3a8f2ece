"""Which part size, and how many at a time?

    python -m benchmarks.parallel_parts [URL] [--sizes-mib 64] [--parts-mib 1,...,32] [--in-flight 1,...,64]

Files of each size in parts of each size, so many at a time; and as the library does it when it is told nothing, which
is measured in the same rounds. See README.md.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.harness.cells import MIB, Cell
from benchmarks.harness.study import Study, mibs, study_options


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.parallel_parts")
    parser.add_argument("--sizes-mib", type=mibs, default=mibs("64"), help="of objects")
    parser.add_argument("--parts-mib", type=mibs, default=mibs("1,2,4,8,16,32"))
    parser.add_argument("--in-flight", type=mibs, default=mibs("1,2,4,8,16,32,64"), help="parts at a time")
    study_options(parser)
    asked = parser.parse_args()
    cells: list[Cell] = []
    for mib in asked.sizes_mib:
        cells.append(Cell(int(mib * MIB)))
        cells += [
            Cell(int(mib * MIB), int(part * MIB), int(lanes)) for part in asked.parts_mib for lanes in asked.in_flight
        ]
    return Study("parallel_parts", asked).run(cells)


if __name__ == "__main__":
    sys.exit(main())
