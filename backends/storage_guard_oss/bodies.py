"""Bytes of objects on their way out: measured, summed, and never one more than was announced."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from storage_guard.checksum import RunningCrc64
from storage_guard.driver import Body, Checksum, Refused

HELD_BYTES = 1024 * 1024
"""A put of up to so many bytes is read once and held; a larger one is read twice, first for its MD5."""


class BodyFailedError(Exception):
    """The body raised, in the middle of a request. Not an `OSError`: those the transport takes for its own."""

    def __init__(self, failure: BaseException) -> None:
        super().__init__("the body of a request could not be read")
        self.failure = failure


class Outgoing:
    """A body that is read while it is sent. Iterated once.

    The last window is held back (a copy of it: a window is valid until the next one is asked for) until the body has
    said that it is the last, so that the service never has the whole of a body that is longer than it claimed to be.
    """

    def __init__(self, body: Body) -> None:
        self._body = body
        self._sum = RunningCrc64()

    def __len__(self) -> int:
        return self._body.size_bytes

    def __iter__(self) -> Iterator[memoryview]:
        try:
            yield from self._windows()
        except GeneratorExit:
            raise
        except BaseException as exc:
            raise BodyFailedError(exc) from exc

    def _windows(self) -> Iterator[memoryview]:
        expected_bytes = self._body.size_bytes
        held: memoryview | None = None
        for window in self._body.windows():
            self._sum.update(window)
            if self._sum.size_bytes > expected_bytes:
                raise wrong_size(self._sum.size_bytes, expected_bytes, "at least ")
            if self._sum.size_bytes == expected_bytes:
                held = memoryview(bytes(window))
            else:
                yield window
        if self._sum.size_bytes != expected_bytes:
            raise wrong_size(self._sum.size_bytes, expected_bytes)
        if held is not None:
            yield held

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
    return Digest(md5.digest(), running.checksum(), b"".join(pieces) if keep else None)


def wrong_size(found_bytes: int, expected_bytes: int, how: str = "") -> Refused:
    return Refused(f"the body has {how}{found_bytes} bytes, not {expected_bytes}", why="request")
