"""Bytes of objects on their way out: measured and summed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from storage_guard.checksum import RunningCrc64, as_checksum, crc64xz
from storage_guard.driver import Body, Checksum, Refused

HELD_BYTES = 1024 * 1024
"""A put of up to so many bytes is read once and held; a larger one is read twice, first for its MD5."""

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
    md5, running, pieces = hashlib.md5(usedforsecurity=False), RunningCrc64(), list[bytes]()
    keep = body.size_bytes <= HELD_BYTES
    for window in body.windows():
        _update(md5, window)
        running.update(window)
        if running.size_bytes > body.size_bytes:
            raise wrong_size(running.size_bytes, body.size_bytes, "at least ")
        if keep:
            pieces.append(bytes(window))
    if running.size_bytes != body.size_bytes:
        raise wrong_size(running.size_bytes, body.size_bytes)
    held = None if not keep else pieces[0] if len(pieces) == 1 else b"".join(pieces)
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


def wrong_size(found_bytes: int, expected_bytes: int, how: str = "") -> Refused:
    return Refused(f"the body has {how}{found_bytes} bytes, not {expected_bytes}", why="request")
