"""What does a large object cost, compared with the service's SDKs, with OpenDAL and with obstore?

    python -m benchmarks.large_files [--service oss|s3] [--mib 1024] [--memory-mib 256] [--rounds 5] [--peers ...]

The same file, from the page cache, goes to a discarding server in a process of its own by each side's way to send a
file; the same bytes, from memory, by ours and OpenDAL's. CRC-64 is on wherever there is one. Exit code 1 if a target of
the library is missed. See README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.comparison import GIB, Comparison, Side, common_options, service_option
from benchmarks.harness.figures import Target
from benchmarks.harness.files import random_files
from benchmarks.harness.peers import OURS, PEERS
from benchmarks.harness.telling import MIB

FILE, MEMORY = "storage-guard, a file", "storage-guard, from memory"
PUT_FROM_FILE, UPLOADER = "oss2, put_object_from_file", "oss-v2, Uploader"
OPENDAL_PUT, OPENDAL_PARTS = "opendal, as shipped", "opendal, 8 parts of 8 MiB"
UPLOAD_FILE = "boto3, upload_file"
OBSTORE, OBSTORE_UNSIGNED, OBSTORE_CREATE = "obstore, put", "obstore, put, unsigned", "obstore, put, mode create"

_GROWTH = Target("memory growth (MiB)", FILE, "growth_mib", "at most", 48)
TARGETS = {
    "oss": (
        Target("CPU to oss2's put_object_from_file", FILE, "cpu_s", "at most", 1 / 5, PUT_FROM_FILE),
        Target("CPU to oss-v2's Uploader", FILE, "cpu_s", "at most", 1 / 5, UPLOADER),
        _GROWTH,
        Target("rate from memory to OpenDAL's as shipped", MEMORY, "mib_per_s", "at least", 1, OPENDAL_PUT),
        Target("rate from memory to OpenDAL's tuned", MEMORY, "mib_per_s", "at least", 1, OPENDAL_PARTS),
    ),
    "s3": (
        Target("CPU to obstore's unsigned", FILE, "cpu_s", "at most", 0.85, OBSTORE_UNSIGNED, over="http"),
        Target("CPU to boto3's upload_file", FILE, "cpu_s", "at most", 1 / 3, UPLOAD_FILE, over="https"),
        _GROWTH,
        *(
            Target(f"rate to {peer}", FILE, "mib_per_s", "at least", 1, peer)
            for peer in (UPLOAD_FILE, OBSTORE, OBSTORE_UNSIGNED, OBSTORE_CREATE)
        ),
    ),
}

# A side, its peer, and how its client is set up.
_Ways = Sequence[tuple[str, str, dict[str, Any]]]
_EXAMINED = {"examined": True}
_TUNED = {"part_bytes": 8 * MIB}
_RESUMABLE = {"upload": "resumable_upload"}
FROM_FILE: Mapping[str, _Ways] = {
    "oss": (
        (FILE, OURS.name, _EXAMINED),
        (PUT_FROM_FILE, "oss2", {}),
        ("oss2, resumable_upload", "oss2", _RESUMABLE),
        ("oss2, resumable_upload in 8 threads", "oss2", {**_RESUMABLE, **_TUNED, "threads": 8}),
        (UPLOADER, "oss-v2", {}),
        ("oss-v2, Uploader, 8 parts of 8 MiB", "oss-v2", {**_TUNED, "parallel": 8}),
    ),
    "s3": (
        (FILE, OURS.name, _EXAMINED),
        (UPLOAD_FILE, "boto3", {}),
        (OBSTORE, "obstore", {}),
        (OBSTORE_UNSIGNED, "obstore", {"unsigned": True}),
        (OBSTORE_CREATE, "obstore", {"promise": True}),
    ),
}
FROM_MEMORY: _Ways = (
    (MEMORY, OURS.name, _EXAMINED),
    (OPENDAL_PUT, "opendal", {}),
    (OPENDAL_PARTS, "opendal", {"chunk": 8 * MIB, "concurrent": 8}),
)


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.large_files")
    service_option(parser)
    parser.add_argument("--mib", type=int, default=1024, help="of the file; 0: none is sent")
    parser.add_argument("--memory-mib", type=int, default=256, help="from memory; 0: nothing is")
    parser.add_argument("--folder", type=Path, help="where the file is made, if not where temporary files are")
    common_options(parser, rounds=5)
    asked = parser.parse_args()
    with random_files(asked.folder, asked.mib) as (path, warm_path):
        sides: list[Side] = []
        if asked.mib:
            job, warm = {"do": "file", "path": path}, {"do": "file", "path": warm_path}
            sides += [Side(name, PEERS[peer], job, warm, options) for name, peer, options in FROM_FILE[asked.service]]
        if asked.memory_mib:
            held = {"do": "held"}
            size_bytes = asked.memory_mib * MIB
            sides += [Side(name, PEERS[peer], held, held, options, size_bytes) for name, peer, options in FROM_MEMORY]
        comparison = Comparison("benchmarks.large_files", asked, sides, _figures, asked.service)
        return 0 if comparison.run(TARGETS[asked.service]) else 1


def _figures(answer: Mapping[str, Any]) -> dict[str, float]:
    size_bytes = answer["sent_bytes"]
    return {
        "mib_per_s": size_bytes / MIB / answer["wall_s"],
        "cpu_s_per_gib": answer["cpu_s"] * GIB / size_bytes,
    }


if __name__ == "__main__":
    sys.exit(main())
