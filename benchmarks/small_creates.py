"""How many small objects a second can be created on OSS, and what does each cost, compared with the peers?

    python -m benchmarks.small_creates [--bytes 4096] [--seconds 5] [--threads 16] [--rounds 5] [--schemes http,https]

Each side creates new keys for some seconds against a discarding server in a process of its own: from threads that share
one client, and ours in one call of `create_many` too. Exit code 1 if a target of the library is missed. See README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.harness.comparison import Comparison, Side, common_options
from benchmarks.harness.figures import Target
from benchmarks.harness.peers import OURS, PEERS

THREADS, MANY, OSS2, OSS2_TUNED, OSS_V2, OPENDAL = (
    "storage-guard, threads",
    "storage-guard, create_many",
    "oss2, threads",
    "oss2, threads, a connection each",
    "oss-v2, threads",
    "opendal, threads",
)

TARGETS = (
    Target("threads: rate to oss2's as shipped", THREADS, "creates_per_s", "at least", 15, OSS2),
    Target("threads: rate to oss2's with a connection a thread", THREADS, "creates_per_s", "at least", 15, OSS2_TUNED),
    Target("create_many: rate to opendal's", MANY, "creates_per_s", "at least", 1, OPENDAL),
    Target("create_many: CPU of a create to opendal's", MANY, "cpu_us", "at most", 0.75, OPENDAL),
)


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.small_creates")
    parser.add_argument("--bytes", type=int, default=4096, help="of an object")
    parser.add_argument("--seconds", type=float, default=5.0, help="of a run")
    parser.add_argument("--threads", type=int, default=16)
    common_options(parser, rounds=5)
    asked = parser.parse_args()
    threads = {"do": "threads", "bytes": asked.bytes, "seconds": asked.seconds, "threads": asked.threads}
    many = {"do": "many", "bytes": asked.bytes, "seconds": asked.seconds}
    warm_s = min(0.5, asked.seconds)
    sides = [
        Side(name, PEERS[peer], job, {**job, "seconds": warm_s}, options)
        for name, peer, job, options in (
            (THREADS, OURS.name, threads, {}),
            (MANY, OURS.name, many, {}),
            (OSS2, "oss2", threads, {}),
            (OSS2_TUNED, "oss2", threads, {"connections": asked.threads}),
            (OSS_V2, "oss-v2", threads, {}),
            (OPENDAL, "opendal", threads, {}),
        )
    ]
    return 0 if Comparison("benchmarks.small_creates", asked, sides, _figures).run(TARGETS) else 1


def _figures(answer: Mapping[str, Any]) -> dict[str, float]:
    return {
        "creates_per_s": answer["created"] / answer["wall_s"],
        "cpu_us": answer["cpu_s"] / answer["created"] * 1e6,
    }


if __name__ == "__main__":
    sys.exit(main())
