"""Other processes, as the demo sees them: a writer that is stopped midway and killed, and one that settles a ticket."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from storage_guard import StorageGuardError, Store, open_store
from storage_guard.demo.account import folder_of
from storage_guard.demo.samples import Sample
from storage_guard.model import MiB

PROGRAM = (sys.executable, "-m", "storage_guard.demo.child")
_PART_BYTES = 8 * MiB  # what a Store does unless it is told otherwise
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Stopped:
    """A writer that was killed. `unpublished_bytes`: the size of the files it had open below the store's folder, None
    where this system does not show them."""

    pid: int
    taken_bytes: int
    unpublished_bytes: int | None
    midway: bool
    status: int


def stopped_writer(store: Store, sample: Sample, key: str, *, in_parts: bool, program: Sequence[str] = ()) -> Stopped:
    """Let another process create `key`, and kill it once the store has taken half of the bytes or more.

    In one request the writer stops by itself there, in the middle of the request. In parts it is fed two thirds of the
    bytes through a pipe, so that it has sent some parts and waits for more.
    """
    feed_bytes = sample.size_bytes * 2 // 3
    if in_parts:
        at_bytes = feed_bytes // _PART_BYTES * _PART_BYTES
        arguments = ["pipe", store.url, key, str(at_bytes)]
    else:
        at_bytes = (sample.size_bytes + 1) // 2
        arguments = ["put", store.url, key, str(sample.path), str(at_bytes)]
    pipe = subprocess.PIPE
    with subprocess.Popen([*(program or PROGRAM), *arguments], stdin=pipe, stdout=pipe) as writer:  # noqa: S603
        assert writer.stdin is not None  # noqa: S101 - for the type checkers
        assert writer.stdout is not None  # noqa: S101
        in_time = threading.Timer(_TIMEOUT_S, writer.kill)
        in_time.start()
        try:
            if in_parts:
                for piece in _first(sample.pieces(), feed_bytes):
                    writer.stdin.write(piece)
                writer.stdin.flush()
            said = writer.stdout.readline().decode().strip()
            alive = writer.poll() is None
            unpublished_bytes = open_bytes(writer.pid, folder_of(store))
        finally:
            in_time.cancel()
            writer.kill()
        status = writer.wait()
    taken_bytes = int(said) if said.isdecimal() else 0
    midway = alive and said.isdecimal() and taken_bytes >= at_bytes
    return Stopped(writer.pid, taken_bytes, unpublished_bytes, midway, status)


def _first(pieces: Iterator[bytes], size_bytes: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece[:size_bytes]
        size_bytes -= len(piece)
        if size_bytes <= 0:
            return


def open_bytes(pid: int, folder: Path | None) -> int | None:
    """The size of the files that a process has open below a folder, those without a name included."""
    total_bytes = 0
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            link = f"/proc/{pid}/fd/{fd}"
            if folder is not None and os.readlink(link).startswith(f"{os.path.realpath(folder)}/"):
                total_bytes += 0 if os.path.isdir(link) else os.stat(link).st_size
    except OSError:
        return None
    return total_bytes


def settled_elsewhere(store: Store, ticket: str) -> tuple[str, str, str | None]:
    """By whom the ticket was settled, the outcome, the write id. Memory has no other process, only other clients."""
    if store.driver.location.scheme == "memory":
        try:
            receipt = open_store(store.url).settle(ticket)
        except StorageGuardError as exc:
            return "by another client", type(exc).__name__, None
        return "by another client", receipt.outcome, receipt.write_id
    done = subprocess.run(  # noqa: S603
        [*PROGRAM, "settle", store.url, ticket], stdout=subprocess.PIPE, text=True, check=False, timeout=_TIMEOUT_S
    )
    pid, outcome, write_id = [*done.stdout.split(), "", "", ""][:3]
    return f"by process {pid}", outcome, write_id or None
