"""The way into a connection: bytes become requests, one after the other, and their bodies go to the dialect."""

from __future__ import annotations

from typing import NamedTuple

from storage_guard.testing.server.cues import HALF, Action
from storage_guard.testing.server.exchange import Asked, Receiving
from storage_guard.testing.server.framing import Chunked, Sized, Take
from storage_guard.testing.server.heads import MAX_HEAD_BYTES, Head, Malformed, check_begun, parse
from storage_guard.testing.server.shared import Shared


class Cut(Exception):
    """The body has come as far as its cue lets it."""


class Underway(NamedTuple):
    """A request between its head and its answer."""

    head: Head
    asked: Asked
    receiving: Receiving
    body: Sized | Chunked
    take: Take
    action: Action | None


class Inlet:
    """`now` is the request whose body is coming. `asks_leave`: its client waits for a 100 before it sends the body."""

    def __init__(self, shared: Shared, *, secure: bool) -> None:
        self._shared = shared
        self._secure = secure
        self.now: Underway | None = None
        self.asks_leave = False

    def read(self, buffer: bytearray, view: memoryview, at: int, end: int) -> tuple[int, Underway | None]:
        """Reads on from `at`: where it came to, and the request that is whole by then. What it left is the beginning of
        a head. `view` is of `buffer`. Raises Malformed, Cut, or what the dialect raises."""
        now = self.now
        if now is None:
            while buffer.startswith(b"\r\n", at, end):
                at += 2
            if at == end:
                return at, None
            found = buffer.find(b"\r\n\r\n", at, end)
            if found < 0:
                check_begun(buffer, at, end)
                return at, None
            if found - at > MAX_HEAD_BYTES:
                raise Malformed("the head is too large", 431)
            now = self._begin(parse(str(view[at : found + 2], "latin-1"), secure=self._secure))
            at = found + 4
            self.asks_leave = now.head.expects and at == end and not now.body.done
        if at < end:
            at += now.body.feed(view[at:end], now.take)
        if not now.body.done:
            return at, None
        if now.action is not None and now.action.cut_request_bytes is not None:
            raise Cut
        self.now = None
        return at, now

    def _begin(self, head: Head) -> Underway:
        dialect = self._shared.dialect
        asked = dialect.asked(head.request)
        action = self._shared.cues.strike(asked)
        receiving = dialect.receive(head.request)
        body = Chunked() if head.body_bytes is None else Sized(head.body_bytes)
        take: Take = receiving.take
        after_bytes = None if action is None else action.cut_request_bytes
        if after_bytes is not None:
            if after_bytes == HALF:
                after_bytes = 1 if head.body_bytes is None else head.body_bytes // 2
            take = _up_to(after_bytes, receiving.take)
        now = self.now = Underway(head, asked, receiving, body, take, action)
        if after_bytes == 0:
            raise Cut
        return now


def _up_to(after_bytes: int, take: Take) -> Take:
    left_bytes = after_bytes

    def limited(piece: memoryview) -> None:
        nonlocal left_bytes
        mine = piece[:left_bytes]
        left_bytes -= len(mine)
        if mine:
            take(mine)
        if not left_bytes:
            raise Cut

    return limited
