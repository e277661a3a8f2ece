"""How many small objects a second can be created, and what does each cost, compared with the peers?

    python -m benchmarks.small_creates [--service oss|s3] [--bytes 4096] [--seconds 5] [--threads 16] [--rounds 5]

Each side creates new keys for some seconds against a discarding server in a process of its own: from threads that share
one client, and ours in one call of `create_many` too. Exit code 1 if a target of the library is missed. See README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.harness.comparison import Comparison, Side, common_options, service_option
from benchmarks.harness.figures import Target
from benchmarks.harness.peers import OURS, PEERS

THREADS, MANY, OSS2, OSS2_TUNED, OSS_V2, OPENDAL, BOTO3, BOTO3_TUNED, OBSTORE, OBSTORE_UNSIGNED = (
    "storage-guard, threads",
    "storage-guard, create_many",
    "oss2, threads",
    "oss2, threads, a connection each",
    "oss-v2, threads",
    "opendal, threads",
    "boto3, threads",
    "boto3, threads, a connection each",
    "obstore, threads",
    "obstore, threads, unsigned",
)

TARGETS = {
    "oss": (
        Target("threads: rate to oss2's as shipped", THREADS, "creates_per_s", "at least", 15, OSS2),
        Target("threads: rate to oss2's, a connection a thread", THREADS, "creates_per_s", "at least", 15, OSS2_TUNED),
        Target("create_many: rate to opendal's", MANY, "creates_per_s", "at least", 1, OPENDAL),
        Target("create_many: CPU of a create to opendal's", MANY, "cpu_us", "at most", 0.75, OPENDAL),
    ),
    "s3": (
        Target("threads: rate to boto3's as shipped", THREADS, "creates_per_s", "at least", 10, BOTO3),
        Target(
            "threads: rate to boto3's, a connection a thread", THREADS, "creates_per_s", "at least", 10, BOTO3_TUNED
        ),
        Target("create_many: rate to obstore's", MANY, "creates_per_s", "at least", 1, OBSTORE),
        Target("create_many: CPU of a create to obstore's", MANY, "cpu_us", "at most", 0.75, OBSTORE),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.small_creates")
    service_option(parser)
    parser.add_argument("--bytes", type=int, default=4096, help="of an object")
    parser.add_argument("--seconds", type=float, default=5.0, help="of a run")
    parser.add_argument("--threads", type=int, default=16)
    common_options(parser, rounds=5)
    asked = parser.parse_args()
    threads = {"do": "threads", "bytes": asked.bytes, "seconds": asked.seconds, "threads": asked.threads}
    many = {"do": "many", "bytes": asked.bytes, "seconds": asked.seconds}
    warm_s = min(0.5, asked.seconds)
    of_each: dict[str, tuple[tuple[str, str, dict[str, Any]], ...]] = {
        "oss": (
            (OSS2, "oss2", {}),
            (OSS2_TUNED, "oss2", {"connections": asked.threads}),
            (OSS_V2, "oss-v2", {}),
        ),
        "s3": (
            (BOTO3, "boto3", {}),
            (BOTO3_TUNED, "boto3", {"threads": asked.threads}),
            (OBSTORE, "obstore", {}),
            (OBSTORE_UNSIGNED, "obstore", {"unsigned": True}),
        ),
    }
    sides = [
        Side(name, PEERS[peer], job, {**job, "seconds": warm_s}, options)
        for name, peer, job, options in (
            (THREADS, OURS.name, threads, {"examined": True}),
            (MANY, OURS.name, many, {"examined": True}),
            *((name, peer, threads, options) for name, peer, options in of_each[asked.service]),
            (OPENDAL, "opendal", threads, {}),
        )
    ]
    comparison = Comparison("benchmarks.small_creates", asked, sides, _figures, asked.service)
    return 0 if comparison.run(TARGETS[asked.service]) else 1


def _figures(answer: Mapping[str, Any]) -> dict[str, float]:
    return {
        "creates_per_s": answer["created"] / answer["wall_s"],
        "cpu_us": answer["cpu_s"] / answer["created"] * 1e6,
    }


if __name__ == "__main__":
    sys.exit(main())
