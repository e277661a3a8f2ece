"""Which part size for which object?

    python -m benchmarks.part_sizing [URL] [--sizes-mib 1,...,1024] [--parts-mib 1,...,64] [--links region,...]

Files of each size in one put, in parts of each size, and as the library does it when it is told nothing; how many at a
time is left to it. See README.md.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.harness.cells import MIB, ONE_PUT, Cell
from benchmarks.harness.study import Study, mibs, study_options


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.part_sizing")
    parser.add_argument("--sizes-mib", type=mibs, default=mibs("1,4,16,64,256,1024"), help="of objects")
    parser.add_argument("--parts-mib", type=mibs, default=mibs("1,2,4,8,16,32,64"), help="of an object")
    study_options(parser)
    asked = parser.parse_args()
    cells: list[Cell] = []
    for mib in asked.sizes_mib:
        size_bytes = int(mib * MIB)
        cells += [Cell(size_bytes), Cell(size_bytes, ONE_PUT)]
        cells += [Cell(size_bytes, int(part * MIB)) for part in asked.parts_mib if part < mib]
    return Study("part_sizing", asked).run(cells)


if __name__ == "__main__":
    sys.exit(main())
