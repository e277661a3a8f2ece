"""What the demo runs in other processes: contenders, a writer to be killed, and one that settles a ticket.

    python -m storage_guard.demo.child put URL KEY FILE AT_BYTES    create from a file in one request
    python -m storage_guard.demo.child pipe URL KEY AT_BYTES        create from standard input, in parts if it is long
    python -m storage_guard.demo.child resume URL KEY FILE AT_BYTES JOURNAL
                                                                    create in parts that can be gone on with
    python -m storage_guard.demo.child settle URL TICKET

A writer prints how many bytes the store has taken, once they are AT_BYTES; all but `pipe` then wait to be killed.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from storage_guard import Receipt, StorageGuardError, Store, open_store
from storage_guard.demo.samples import Sample

ENDPOINT = "STORAGE_GUARD_DEMO_OSS"
S3_ENDPOINT = "STORAGE_GUARD_DEMO_S3"
"""Name, in the environment, where OSS and S3 are for the demo; their credentials are there too."""

REGION = "cn-hangzhou"
S3_REGION = "eu-central-1"

Results = Sequence[tuple[int, Receipt] | BaseException]

_NEVER = 1 << 62


def contend(store: Store, samples: Sequence[Sample], contender: int, number: int) -> tuple[int, Receipt]:
    """One contender in the race for one key, with bytes of its own."""
    return os.getpid(), store.create(race_key(samples[number]), samples[number].pieces(contender))


def race_key(sample: Sample) -> str:
    return f"race/{sample.number}"


def opened(url: str, **options: Any) -> Store:
    """The store of a URL, in whichever process."""
    if url.startswith("oss://"):
        options |= {"endpoint": os.environ[ENDPOINT], "region": REGION}
    if url.startswith("s3://"):
        options |= {"endpoint_url": os.environ[S3_ENDPOINT], "region": S3_REGION}
    return open_store(url, **options)


def put(url: str, key: str, path: str, at_bytes: str) -> None:
    store = opened(url, multipart_from_bytes=_NEVER)
    store.create(key, Path(path), progress=_teller(int(at_bytes), wait=True))


def pipe(url: str, key: str, at_bytes: str) -> None:
    opened(url).create(key, sys.stdin.buffer, progress=_teller(int(at_bytes), wait=False))


def resume(url: str, key: str, path: str, at_bytes: str, journal: str) -> None:
    store = opened(url, journal=journal, in_flight=1)
    store.create(key, Path(path), resume=True, progress=_teller(int(at_bytes), wait=True))


def _teller(at_bytes: int, *, wait: bool) -> Callable[[int, int | None], None]:
    told = False

    def progress(done_bytes: int, _: int | None) -> None:
        nonlocal told
        if done_bytes >= at_bytes and not told:
            told = True
            print(done_bytes, flush=True)
            if wait:
                threading.Event().wait()

    return progress


def settle(url: str, ticket: str) -> None:
    try:
        receipt = opened(url).settle(ticket)
    except StorageGuardError as exc:
        print(os.getpid(), type(exc).__name__, exc)
    else:
        print(os.getpid(), receipt.outcome, receipt.write_id)


PROGRAMS: dict[str, Callable[..., None]] = {"put": put, "pipe": pipe, "resume": resume, "settle": settle}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
