"""The files that the demo writes: some of its own making, and those the caller names."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from storage_guard.model import KiB, MiB

_READ_BYTES = MiB
SIZES = {"0 bytes": 0, "1 byte": 1, "4 KiB": 4 * KiB, "20 MiB and 1 byte": 20 * MiB + 1}


@dataclass(frozen=True, slots=True)
class Sample:
    """A file, and versions of it that differ in their first byte (an empty one has only one version)."""

    label: str
    number: int
    path: Path
    size_bytes: int

    def pieces(self, version: int = 0) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            piece = file.read(_READ_BYTES)
            if piece:
                yield bytes([(piece[0] + version) % 256]) + piece[1:]
            while piece := file.read(_READ_BYTES):
                yield piece

    def sha256(self, version: int = 0) -> str:
        return sha256_of(self.pieces(version))


def sha256_of(pieces: Iterator[bytes]) -> str:
    running = hashlib.sha256()
    for piece in pieces:
        running.update(piece)
    return running.hexdigest()


def made_in(folder: Path) -> list[Sample]:
    """Our own files, of random bytes."""
    samples: list[Sample] = []
    for number, (label, size_bytes) in enumerate(SIZES.items()):
        path = folder / f"sample-{number}"
        path.write_bytes(os.urandom(size_bytes))
        samples.append(Sample(label, number, path, size_bytes))
    return samples


def named(path: Path, number: int) -> Sample:
    """A file of the caller's. Raises OSError if it is not a file that can be read."""
    with path.open("rb") as file:  # refuses a folder too
        about = os.fstat(file.fileno())
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return Sample(f"{path.name}, {about.st_size:,} bytes", number, path.absolute(), about.st_size)
