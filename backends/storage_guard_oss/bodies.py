"""Bytes of objects on their way out: measured and summed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from storage_guard.checksum import RunningCrc64
from storage_guard.driver import Body, Checksum, Refused

HELD_BYTES = 1024 * 1024
"""A put of up to so many bytes is read once and held; a larger one is read twice, first for its MD5."""


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
        md5.update(window)
        running.update(window)
        if running.size_bytes > body.size_bytes:
            raise wrong_size(running.size_bytes, body.size_bytes, "at least ")
        if keep:
            pieces.append(bytes(window))
    if running.size_bytes != body.size_bytes:
        raise wrong_size(running.size_bytes, body.size_bytes)
    held = None if not keep else pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return Digest(md5.digest(), running.checksum(), held)


def wrong_size(found_bytes: int, expected_bytes: int, how: str = "") -> Refused:
    return Refused(f"the body has {how}{found_bytes} bytes, not {expected_bytes}", why="request")
