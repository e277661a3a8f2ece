"""What does a large object on OSS cost, compared with the service's two SDKs and with OpenDAL?

    python -m benchmarks.large_files [--mib 1024] [--memory-mib 256] [--rounds 5] [--schemes http,https] [--peers ...]

The same file, from the page cache, goes to a discarding server in a process of its own by each side's way to send a
file; the same bytes, from memory, by ours and OpenDAL's. CRC-64 is on wherever there is one. Exit code 1 if a target of
the library is missed. See README.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness.comparison import GIB, MIB, Comparison, Side, common_options
from benchmarks.harness.figures import Target
from benchmarks.harness.peers import OURS, PEERS

_WARM_MIB = 32
FILE, MEMORY = "storage-guard, a file", "storage-guard, from memory"
PUT_FROM_FILE, UPLOADER = "oss2, put_object_from_file", "oss-v2, Uploader"
OPENDAL_PUT, OPENDAL_PARTS = "opendal, as shipped", "opendal, 8 parts of 8 MiB"

TARGETS = (
    Target("CPU to oss2's put_object_from_file", FILE, "cpu_s", "at most", 1 / 5, PUT_FROM_FILE),
    Target("CPU to oss-v2's Uploader", FILE, "cpu_s", "at most", 1 / 5, UPLOADER),
    Target("memory growth (MiB)", FILE, "growth_mib", "at most", 48),
    Target("rate from memory to OpenDAL's as shipped", MEMORY, "mib_per_s", "at least", 1, OPENDAL_PUT),
    Target("rate from memory to OpenDAL's tuned", MEMORY, "mib_per_s", "at least", 1, OPENDAL_PARTS),
)


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.large_files")
    parser.add_argument("--mib", type=int, default=1024, help="of the file; 0: none is sent")
    parser.add_argument("--memory-mib", type=int, default=256, help="from memory; 0: nothing is")
    parser.add_argument("--folder", type=Path, help="where the file is made, if not where temporary files are")
    common_options(parser, rounds=5)
    asked = parser.parse_args()
    with _files(asked.folder, asked.mib) as (path, warm_path):
        sides: list[Side] = []
        if asked.mib:
            sides += _of_files(path, warm_path)
        if asked.memory_mib:
            sides += _from_memory(asked.memory_mib * MIB)
        return 0 if Comparison("benchmarks.large_files", asked, sides, _figures).run(TARGETS) else 1


def _of_files(path: str, warm_path: str) -> list[Side]:
    job, warm = {"do": "file", "path": path}, {"do": "file", "path": warm_path}
    resumable = {"upload": "resumable_upload"}
    tuned = {"part_bytes": 8 * MIB}
    return [
        Side(FILE, OURS, job, warm),
        Side(PUT_FROM_FILE, PEERS["oss2"], job, warm),
        Side("oss2, resumable_upload", PEERS["oss2"], job, warm, resumable),
        Side("oss2, resumable_upload in 8 threads", PEERS["oss2"], job, warm, {**resumable, **tuned, "threads": 8}),
        Side(UPLOADER, PEERS["oss-v2"], job, warm),
        Side("oss-v2, Uploader, 8 parts of 8 MiB", PEERS["oss-v2"], job, warm, {**tuned, "parallel": 8}),
    ]


def _from_memory(size_bytes: int) -> list[Side]:
    job = {"do": "held"}
    ways: list[tuple[str, str, dict[str, Any]]] = [
        (MEMORY, OURS.name, {}),
        (OPENDAL_PUT, "opendal", {}),
        (OPENDAL_PARTS, "opendal", {"chunk": 8 * MIB, "concurrent": 8}),
    ]
    return [Side(name, PEERS[peer], job, job, options, size_bytes) for name, peer, options in ways]


def _figures(answer: Mapping[str, Any]) -> dict[str, float]:
    size_bytes = answer["sent_bytes"]
    return {
        "mib_per_s": size_bytes / MIB / answer["wall_s"],
        "cpu_s_per_gib": answer["cpu_s"] * GIB / size_bytes,
    }


@contextmanager
def _files(folder: Path | None, mib: int) -> Generator[tuple[str, str]]:
    with tempfile.TemporaryDirectory(prefix="large-files-", dir=folder) as made:
        yield _file(os.path.join(made, "file"), mib), _file(os.path.join(made, "warm"), min(mib, _WARM_MIB))


def _file(path: str, mib: int) -> str:
    """Random bytes; it lies in the page cache when it has been written."""
    with open(path, "wb") as file:
        file.writelines(os.urandom(MIB) for _ in range(mib))
    return path


if __name__ == "__main__":
    sys.exit(main())
