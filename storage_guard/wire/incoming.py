"""One answer, as its bytes come in. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from storage_guard.driver import Lost
from storage_guard.wire.heads import MAX_HEAD_BYTES, Head, parse
from storage_guard.wire.messages import Answer

_ERROR_BYTES = 1024 * 1024
_CHUNK_LINE_BYTES = 1024
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}(?=[ \t]*(?:;|$))")

_Step = Callable[[], bool]


class Incoming:
    """`feed` it until it says that all is there; then `answer`. `answer_bytes` bounds the body of one that says it went
    well (2xx), and `about` names the request in what is raised, which is `Lost`."""

    __slots__ = (
        *("_about", "_answer_bytes", "_at", "_body", "_bound", "_chunk_bytes", "_head", "_heads_bytes", "_method"),
        *("_rest", "_step"),
    )

    def __init__(self, method: str, answer_bytes: int, about: str) -> None:
        self._about = about
        self._method = method
        self._answer_bytes = answer_bytes
        self._head: Head | None = None
        self._heads_bytes = 0
        self._rest = b""  # came, and of that what is behind `_at` could not be understood yet
        self._at = 0
        self._body: list[bytes] = []
        self._bound = 0  # how much of a body may still come
        self._chunk_bytes = 0  # of the chunk, or the body, that comes
        self._step: _Step | None = None  # of a body

    @property
    def about(self) -> str:
        return self._about

    @property
    def begun(self) -> bool:
        """Whether anything came."""
        return bool(self._rest)

    @property
    def status(self) -> int | None:
        return None if self._head is None else self._head.status

    @property
    def closes(self) -> bool:
        return self._head is None or self._head.closes

    def feed(self, data: bytes) -> bool:
        """Whether all is there. More than one answer is none: nobody knows which one is meant."""
        self._rest = self._rest[self._at :] + data if self._at < len(self._rest) else data
        self._at = 0
        if self._head is None and not self._take_head():
            return False
        step = self._step
        while step is not None:
            if not step():
                return False
            step = self._step
        if self._at < len(self._rest):
            raise self.lost("more came than one answer")
        return True

    def lost(self, why: str) -> Lost:
        """There is no answer."""
        return Lost(f"{self._about}: {why}", status=self.status)

    def ended(self) -> Lost:
        """The connection has ended before all was there."""
        return self.lost(f"the connection broke {'within the' if self.begun else 'without an'} answer")

    def answer(self) -> Answer:
        """When all is there."""
        if self._head is None:
            raise AssertionError("no answer has come")
        body = self._body
        return Answer(self._head.status, self._head.headers, body[0] if len(body) == 1 else b"".join(body))

    def _take_head(self) -> bool:
        """Passes over interim answers."""
        while True:
            rest, at = self._rest, self._at
            end = rest.find(b"\r\n\r\n", at)
            if end < 0:
                if self._heads_bytes + len(rest) - at > MAX_HEAD_BYTES:
                    raise self.lost(f"the head of the answer has more than {MAX_HEAD_BYTES} bytes")
                if not b"HTTP/1.".startswith(rest[at : at + 7]):
                    raise self.lost(f"the answer begins with {rest[at : at + 64]!r}")
                return False
            self._heads_bytes += end + 4 - at
            if self._heads_bytes > MAX_HEAD_BYTES:
                raise self.lost(f"the head of the answer has more than {MAX_HEAD_BYTES} bytes")
            try:
                head = parse(rest[at:end], self._method)
            except Lost as exc:
                raise Lost(f"{self._about}: {exc.message}", status=exc.status) from None
            self._at = end + 4
            if head.status >= 200:
                break
        self._head = head
        self._bound = self._answer_bytes if head.status // 100 == 2 else _ERROR_BYTES
        if head.body_bytes is None:
            self._step = self._take_size
        elif head.body_bytes < 0:
            if head.status != 407:
                raise self.lost("nothing says whether the answer came to its end")
            # The status says all, and what is behind it is a page for people (tinyproxy's ends with the connection).
            self._head = head._replace(closes=True)
            self._at = len(self._rest)
        elif head.body_bytes:
            self._expect(head.body_bytes)
            self._step = self._take_sized
        return True

    def _expect(self, size_bytes: int) -> None:
        self._bound -= size_bytes
        if self._bound < 0:
            raise self.lost(f"the answer is longer than it may be, by {-self._bound} bytes and more")
        self._chunk_bytes = size_bytes

    def _take_data(self) -> bool:
        """Whether all of this chunk, or body, is there."""
        piece = self._rest[self._at : self._at + self._chunk_bytes]
        if not piece:
            return False
        self._body.append(piece)
        self._at += len(piece)
        self._chunk_bytes -= len(piece)
        return not self._chunk_bytes

    def _take_sized(self) -> bool:
        if not self._take_data():
            return False
        self._step = None
        return True

    # Chunks: RFC 9112, 7.1.

    def _take_size(self) -> bool:
        line = self._line(_CHUNK_LINE_BYTES)
        if line is None:
            return False
        size = _CHUNK_SIZE.match(line)
        if size is None:
            raise self.lost(f"a chunk of the answer begins with {line[:64]!r}")
        self._expect(int(size[0], 16))
        self._step = self._take_chunk if self._chunk_bytes else self._take_trailer
        return True

    def _take_chunk(self) -> bool:
        if not self._take_data():
            return False
        self._step = self._take_chunk_end
        return True

    def _take_chunk_end(self) -> bool:
        line = self._line(0)
        if line is None:
            return False
        self._step = self._take_size
        return True

    def _take_trailer(self) -> bool:
        line = self._line(MAX_HEAD_BYTES)
        if line is None:
            return False
        if not line:
            self._step = None
            return True
        self._heads_bytes += len(line)
        if b":" not in line or self._heads_bytes > MAX_HEAD_BYTES:
            raise self.lost("what is behind the last chunk of the answer is no trailer")
        return True

    def _line(self, most_bytes: int) -> bytes | None:
        """Without its end; None if that is not there yet."""
        rest, at = self._rest, self._at
        end = rest.find(b"\r\n", at, at + most_bytes + 2)
        if end < 0:
            if len(rest) - at >= most_bytes + 2 or (not most_bytes and not b"\r\n".startswith(rest[at:])):
                raise self.lost("the chunks of the answer are none")
            return None
        line = rest[at:end]
        if b"\n" in line or b"\r" in line:
            raise self.lost("the chunks of the answer have a line end that is none")
        self._at = end + 2
        return line
