"""How does it grow with the number of objects?

    python -m benchmarks.many_objects [URL] [--objects 1,10,...,100000] [--bytes 4096] [--links lan,...]

So many small objects in one call of `create_many`: how many a second, and what does each cost? See README.md.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.harness.cells import Cell
from benchmarks.harness.study import Study, mibs, study_options


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.many_objects")
    parser.add_argument("--objects", type=mibs, default=mibs("1,10,100,1000,10000,100000"), help="in one call")
    parser.add_argument("--bytes", type=int, default=4096, help="of an object")
    study_options(parser)
    asked = parser.parse_args()
    cells = [Cell(asked.bytes, do="count", objects=int(count)) for count in asked.objects]
    return Study("many_objects", asked).run(cells)


if __name__ == "__main__":
    sys.exit(main())
