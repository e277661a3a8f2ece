"""What do fsspec's `pipe` of many small objects and `put` of a large file cost, beside s3fs and ossfs?

    python -m benchmarks.filesystems [--service oss|s3] [--objects 2000] [--bytes 4096] [--mib 1024] [--rounds 5]

`guardoss` beside ossfs, `guards3` beside s3fs, all as shipped, against a discarding server in a process of its own.
There are figures, and no targets. See README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.comparison import GIB, Comparison, Side, common_options, service_option
from benchmarks.harness.files import random_files
from benchmarks.harness.peers import OUR_FILESYSTEM, PEERS, Peer
from benchmarks.harness.telling import MIB

# A side, its peer, and how its client is set up.
SYSTEMS: Mapping[str, Sequence[tuple[str, Peer, dict[str, Any]]]] = {
    "oss": (
        ("guardoss", OUR_FILESYSTEM, {}),
        ("ossfs, no condition", PEERS["ossfs"], {}),
    ),
    "s3": (
        ("guards3", OUR_FILESYSTEM, {}),
        ("s3fs, no condition", PEERS["s3fs"], {"promise": False}),
        ("s3fs, mode create", PEERS["s3fs"], {}),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.filesystems")
    service_option(parser)
    parser.add_argument("--objects", type=int, default=2000, help="of one `pipe`; 0: none is called")
    parser.add_argument("--bytes", type=int, default=4096, help="of an object")
    parser.add_argument("--mib", type=int, default=1024, help="of the file; 0: none is sent")
    parser.add_argument("--folder", type=Path, help="where the file is made, if not where temporary files are")
    common_options(parser, rounds=5)
    asked = parser.parse_args()
    with random_files(asked.folder, asked.mib) as (path, warm_path):
        sides: list[Side] = []
        for name, peer, options in SYSTEMS[asked.service]:
            if asked.objects:
                job = {"do": "pipe", "bytes": asked.bytes, "objects": asked.objects}
                held_bytes = asked.objects * asked.bytes
                warm = {**job, "objects": min(100, asked.objects)}
                sides.append(Side(f"{name}: pipe", peer, job, warm, options, held_bytes))
            if asked.mib:
                put, warm_put = {"do": "file", "path": path}, {"do": "file", "path": warm_path}
                sides.append(Side(f"{name}: put", peer, put, warm_put, options))
        return 0 if Comparison("benchmarks.filesystems", asked, sides, _figures, asked.service).run(()) else 1


def _figures(answer: Mapping[str, Any]) -> dict[str, float]:
    size_bytes, created = answer["sent_bytes"], answer["created"]
    if created > 1:
        return {"creates_per_s": created / answer["wall_s"], "cpu_us": answer["cpu_s"] / created * 1e6}
    return {
        "mib_per_s": size_bytes / MIB / answer["wall_s"],
        "cpu_s_per_gib": answer["cpu_s"] * GIB / size_bytes,
    }


if __name__ == "__main__":
    sys.exit(main())
