"""How many small objects a second can be created, and what does each cost, compared with the peers?

    python -m benchmarks.small_creates [--service oss|s3] [--bytes 4096] [--seconds 5] [--threads 16] [--rounds 5]
    python -m benchmarks.small_creates URL [--objects 1000]

Each side creates new keys, for some seconds or so many of them, against a discarding server in a process of its own, or
in a bucket: from threads that share one client, and ours in one call of `create_many` too. Exit code 1 if a target of
the library is missed. See README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.harness.comparison import Comparison, Side, common_options, service_option
from benchmarks.harness.figures import Target
from benchmarks.harness.named import agreed, bucket_of, bucket_options
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

_SECONDS, _OBJECTS = 5.0, 1000
_EXAMINED = 200  # requests of an examination, and of what a client does to begin with, at most

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
    lasting = parser.add_mutually_exclusive_group()
    lasting.add_argument("--seconds", type=float, help=f"of a run ({_SECONDS:g})")
    lasting.add_argument("--objects", type=int, help=f"of a run instead; in a bucket there are so many ({_OBJECTS:,})")
    parser.add_argument("--threads", type=int, default=16)
    common_options(parser, rounds=5)
    bucket_options(parser)
    asked = parser.parse_args()
    try:
        url = bucket_of(asked)
    except ValueError as exc:
        parser.error(str(exc))
    if url is not None:
        if asked.seconds is not None:
            parser.error("in a bucket a run has --objects and no --seconds, so that it is known what it costs")
        asked.service, asked.objects = url.service, asked.objects or _OBJECTS
    elif asked.objects is None and asked.seconds is None:
        asked.seconds = _SECONDS
    length = {"seconds": asked.seconds} if asked.objects is None else {"objects": asked.objects}
    threads = {"do": "threads", "bytes": asked.bytes, "threads": asked.threads, **length}
    many = {"do": "many" if asked.objects is None else "count", "bytes": asked.bytes, **length}
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
        Side(name, PEERS[peer], job, _warm(job), options)
        for name, peer, job, options in (
            (THREADS, OURS.name, threads, {"examined": True}),
            (MANY, OURS.name, many, {"examined": True}),
            *((name, peer, threads, options) for name, peer, options in of_each[asked.service]),
            (OPENDAL, "opendal", threads, {}),
        )
    ]
    if url is not None:
        counted = [side for side in sides if side.peer.name in asked.peers]
        creates = sum(side.job["objects"] * asked.rounds + side.warm["objects"] for side in counted)
        if not agreed(asked, 2 * creates + _EXAMINED * len(counted), creates * asked.bytes):
            return 2
    comparison = Comparison("benchmarks.small_creates", asked, sides, _figures, asked.service, url=url)
    return 0 if comparison.run(TARGETS[asked.service]) else 1


def _warm(job: Mapping[str, Any]) -> dict[str, Any]:
    """The same, shorter."""
    if "objects" in job:
        return {**job, "objects": max(1, job["objects"] // 10)}
    return {**job, "seconds": min(0.5, job["seconds"])}


def _figures(answer: Mapping[str, Any]) -> dict[str, float]:
    return {
        "creates_per_s": answer["created"] / answer["wall_s"],
        "cpu_us": answer["cpu_s"] / answer["created"] * 1e6,
    }


if __name__ == "__main__":
    sys.exit(main())
