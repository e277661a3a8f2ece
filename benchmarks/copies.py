"""Which part size, and how many at a time, for a copy that the service makes by itself?

    python -m benchmarks.copies [URL] [--sizes-mib 2048] [--parts-mib 16,...,256] [--in-flight 4,16,64]

Copies of an object of each size in one request, in parts of each size, so many at a time; and as the library does it
when it is told nothing. Up to 1 GiB it copies in one request, whatever it is told about parts. See README.md.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.harness.cells import COPIED_WHOLE_BYTES, MIB, ONE_PUT, Cell
from benchmarks.harness.study import Study, mibs, study_options

# What AWS counts on in a request, for want of a figure of copies:
# docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-design-patterns.html
_COPY_MB_S = 90.0


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.copies")
    parser.add_argument("--sizes-mib", type=mibs, default=mibs("2048"), help="of objects")
    parser.add_argument("--parts-mib", type=mibs, default=mibs("16,32,64,128,256"))
    parser.add_argument("--in-flight", type=mibs, default=mibs("4,16,64"), help="parts at a time")
    parser.add_argument("--copy-mb-s", type=float, default=_COPY_MB_S, help="that the loopback server copies a request")
    study_options(parser)
    asked = parser.parse_args()
    cells: list[Cell] = []
    for mib in asked.sizes_mib:
        size_bytes = int(mib * MIB)
        cells.append(Cell(size_bytes, do="copy"))
        if size_bytes > COPIED_WHOLE_BYTES:
            cells.append(Cell(size_bytes, ONE_PUT, do="copy"))
            cells += [
                Cell(size_bytes, int(part * MIB), int(lanes), do="copy")
                for part in asked.parts_mib
                for lanes in asked.in_flight
            ]
    return Study("copies", asked, copy_mb_s=asked.copy_mb_s).run(cells)


if __name__ == "__main__":
    sys.exit(main())
