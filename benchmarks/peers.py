"""Who sends a file fastest, as shipped and tuned, and with which promise?

    python -m benchmarks.peers [URL] [--services oss,s3] [--sizes-mib 64] [--peers storage-guard,...] [--links ...]

The same file by each peer's own way to send one, as its documentation's first example does it, and tuned: 16 parts at a
time, of 4 MiB on OSS and of 5 MiB, the least there is, on S3, which suits 64 MiB. A name with "no condition" writes
over what is there. See README.md.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from benchmarks.harness.cells import MIB, Cell
from benchmarks.harness.peers import OURS, PEERS
from benchmarks.harness.study import Study, mibs, study_options
from benchmarks.harness.telling import words

_OSS_PART, _S3_PART, _LANES = 4 * MIB, 5 * MIB, 16
_UNGUARDED = "no condition"
_ONE = frozenset(  # these have one connection, whatever the size
    {
        "oss2, put_object_from_file",
        f"oss2, resumable_upload, {_UNGUARDED}",
        "opendal, from memory",
        "obstore, put in one request",
    }
)
SIDES: dict[str, tuple[tuple[str, str, dict[str, Any]], ...]] = {
    "oss": (
        (OURS.name, OURS.name, {}),
        ("oss2, put_object_from_file", "oss2", {}),
        (f"oss2, resumable_upload, {_UNGUARDED}", "oss2", {"upload": "resumable_upload"}),
        (
            f"oss2, resumable_upload tuned, {_UNGUARDED}",
            "oss2",
            {"upload": "resumable_upload", "part_bytes": _OSS_PART, "threads": _LANES, "connections": _LANES},
        ),
        ("oss-v2, Uploader", "oss-v2", {}),
        ("oss-v2, Uploader tuned", "oss-v2", {"part_bytes": _OSS_PART, "parallel": _LANES}),
        ("opendal, from memory", "opendal", {}),
        ("opendal, from memory, tuned", "opendal", {"chunk": _OSS_PART, "concurrent": _LANES}),
    ),
    "s3": (
        (OURS.name, OURS.name, {}),
        (f"boto3, upload_file, {_UNGUARDED}", "boto3", {}),
        (f"boto3, upload_file tuned, {_UNGUARDED}", "boto3", {"part_bytes": _S3_PART, "threads": _LANES}),
        ("obstore, put in one request", "obstore", {"promise": True}),
        (f"obstore, put, {_UNGUARDED}", "obstore", {}),
        (f"obstore, put tuned, {_UNGUARDED}", "obstore", {"chunk_size": _S3_PART, "max_concurrency": _LANES}),
        ("s3fs, put_file", "s3fs", {}),
        ("s3fs, put_file tuned", "s3fs", {"part_bytes": _S3_PART, "threads": _LANES}),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.peers")
    services, peers = tuple(SIDES), tuple(PEERS)
    parser.add_argument("--services", type=words(services), default=list(services), help=",".join(services))
    parser.add_argument("--peers", type=words(peers), default=list(peers), help=",".join(peers))
    parser.add_argument("--sizes-mib", type=mibs, default=mibs("64"))
    study_options(parser)
    asked = parser.parse_args()
    cells = {
        service: [
            Cell(
                int(mib * MIB),
                side=side,
                peer=PEERS[peer],
                options=options,
                warmed=False,
                in_flight=1 if side in _ONE else None,
            )
            for mib in asked.sizes_mib
            for side, peer, options in SIDES[service]
            if peer in asked.peers
        ]
        for service in asked.services
    }
    return Study("peers", asked, asked.services).run([], cells)


if __name__ == "__main__":
    sys.exit(main())
