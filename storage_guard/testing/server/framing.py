"""Where the body of a request ends: by its length, or chunk by chunk. Pure, and copies no data.

Both are fed what came, hand the body's bytes on as views of it, and say how much of it was theirs.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from storage_guard.testing.server.heads import MAX_HEAD_BYTES, Malformed

Take = Callable[[memoryview], None]

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00\r\n]*)?\r\n")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00\r\n]*\r\n")
_MAX_LINE_BYTES = 4096
_LOOK_BYTES = 64  # most lines are shorter


class Sized:
    """A body whose length is known."""

    __slots__ = ("_body_bytes", "left_bytes")

    def __init__(self, body_bytes: int) -> None:
        self._body_bytes = body_bytes
        self.left_bytes = body_bytes

    @property
    def came_bytes(self) -> int:
        return self._body_bytes - self.left_bytes

    @property
    def done(self) -> bool:
        return not self.left_bytes

    def feed(self, data: memoryview, take: Take) -> int:
        """How many of the bytes belong to the body; `take` was given them."""
        count = len(data)
        if count > self.left_bytes:
            count = self.left_bytes
            data = data[:count]
        if count:
            self.left_bytes -= count
            take(data)
        return count


class Chunked:
    """A body in chunks. Extensions and trailers are checked and dropped."""

    __slots__ = ("_left_bytes", "_line", "_reads", "_trailing_bytes", "came_bytes", "done")

    def __init__(self) -> None:
        self.came_bytes = 0
        self.done = False
        self._left_bytes = 0
        self._line = b""
        self._reads: Callable[[bytes], None] | None = self._size
        self._trailing_bytes = 0

    def feed(self, data: memoryview, take: Take) -> int:
        """How many of the bytes belong to the body and its framing; `take` was given the body's. Raises Malformed."""
        at, end = 0, len(data)
        while at < end and not self.done:
            if self._reads is None:
                piece = data[at : at + self._left_bytes]
                at += len(piece)
                self._left_bytes -= len(piece)
                self.came_bytes += len(piece)
                take(piece)
                if not self._left_bytes:
                    self._reads = self._after_data
            else:
                at += self._read_line(data[at:], self._reads)
        return at

    def _read_line(self, data: memoryview, reads: Callable[[bytes], None]) -> int:
        look = bytes(data[:_LOOK_BYTES])
        found = look.find(b"\n")
        if found < 0 and len(data) > _LOOK_BYTES:
            look = bytes(data[:_MAX_LINE_BYTES])
            found = look.find(b"\n")
        count = found + 1 if found >= 0 else len(look)
        line = self._line + look[:count]
        if len(line) > _MAX_LINE_BYTES:
            raise Malformed("a line between chunks is too long")
        if found < 0:
            self._line = line
        else:
            self._line = b""
            reads(line)
        return count

    def _size(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise Malformed("the size of a chunk is no number")
        self._left_bytes = int(match[1], 16)
        self._reads = None if self._left_bytes else self._trailer

    def _after_data(self, line: bytes) -> None:
        if line != b"\r\n":
            raise Malformed("a chunk is longer than its size")
        self._reads = self._size

    def _trailer(self, line: bytes) -> None:
        self._trailing_bytes += len(line)
        if self._trailing_bytes > MAX_HEAD_BYTES:
            raise Malformed("the trailers are too large", 431)
        if line == b"\r\n":
            self.done = True
        elif _TRAILER.fullmatch(line) is None:
            raise Malformed("a trailer is no field")
