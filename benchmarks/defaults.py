"""How near does the library come to what a link allows, when it is told nothing?

    python -m benchmarks.defaults [URL] [--services oss,s3] [--schemes http,https] [--sizes-mib 64,256] [--links ...]

Files of each size, and nothing said. See README.md.
"""

from __future__ import annotations

import argparse
import sys
from typing import Literal, cast

from benchmarks.harness.cells import MIB, Cell
from benchmarks.harness.roads import ROADS
from benchmarks.harness.study import Study, mibs, study_options
from benchmarks.harness.telling import words

_SERVICES = ("oss", "s3")


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.defaults")
    parser.add_argument("--services", type=words(_SERVICES), default=list(_SERVICES), help=",".join(_SERVICES))
    parser.add_argument("--sizes-mib", type=mibs, default=mibs("64,256"))
    study_options(parser, rounds=5, links=",".join(ROADS), schemes="http,https")
    asked = parser.parse_args()
    services = cast("list[Literal['oss', 's3']]", asked.services)
    return Study("defaults", asked, services).run([Cell(int(mib * MIB)) for mib in asked.sizes_mib])


if __name__ == "__main__":
    sys.exit(main())
