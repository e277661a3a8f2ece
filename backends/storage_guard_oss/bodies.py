"""Bytes of objects on their way out: measured and summed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from storage_guard.checksum import RunningCrc64, as_checksum, crc64xz
from storage_guard.driver import Body, Checksum
from storage_guard.wire.services.bodies import read_through

# From here on hashlib gives the interpreter's lock away meanwhile (HASHLIB_GIL_MINSIZE): other threads are glad of it
# when there is much to do; for little, getting it back takes longer than the digest.
_UNLOCKED_FROM_BYTES = 2048
_LOCKED_BYTES = 16 * 1024


class _Digest(Protocol):
    def update(self, data: memoryview, /) -> None: ...


class Summed:
    """A body whose checksum is taken while it is sent."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._sum = RunningCrc64()

    @property
    def size_bytes(self) -> int:
        return self._body.size_bytes

    def windows(self) -> Iterator[memoryview]:
        self._sum = RunningCrc64()
        return self._sum.over(self._body.windows())

    @property
    def checksum(self) -> Checksum:
        """Of all bytes, once they have been sent."""
        return self._sum.checksum()


@dataclass(frozen=True)
class Digest:
    md5: bytes
    checksum: Checksum
    held: bytes | None
    """The bytes themselves, if they are few."""


def digest(body: Body) -> Digest:
    """Read a body for its MD5, which goes ahead of it. Raises `Refused` if it is not as long as it says."""
    md5, running = hashlib.md5(usedforsecurity=False), RunningCrc64()

    def take(window: memoryview) -> None:
        _update(md5, window)
        running.update(window)

    held = read_through(body, take)
    return Digest(md5.digest(), running.checksum(), held)


def digest_of(data: bytes) -> tuple[bytes, Checksum]:
    """The MD5 and the checksum of bytes that are at hand."""
    md5 = hashlib.md5(usedforsecurity=False)
    _update(md5, memoryview(data))
    return md5.digest(), as_checksum(crc64xz(data))


def _update(md5: _Digest, data: memoryview) -> None:
    if data.nbytes > _LOCKED_BYTES:
        md5.update(data)
        return
    for start in range(0, data.nbytes, _UNLOCKED_FROM_BYTES - 1):
        md5.update(data[start : start + _UNLOCKED_FROM_BYTES - 1])
