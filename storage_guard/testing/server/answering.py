"""An answer as bytes: its head, and the pieces of its body. No I/O but the time of day."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from http import HTTPStatus

from storage_guard.testing.server.exchange import Answer

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PIECE_BYTES = 256 * 1024  # written at once

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_BODILESS = frozenset({204, 304})


class WrongLength(Exception):
    """A dialect's body is not as long as its answer says."""


class Heads:
    """Makes the heads of answers. A dialect's own Date, Server, Connection and Content-Length are sent as they are."""

    def __init__(self) -> None:
        self._second = 0
        self._date = ""

    def head(self, answer: Answer, length: int, *, closes: bool) -> tuple[bytes, bool]:
        """The head, and whether the connection ends with the answer: because it `closes`, or as the answer says."""
        status = answer.status
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n"]
        names = set[str]()
        for name, value in answer.headers.items():
            names.add(name.lower())
            lines.append(f"{name}: {value}\r\n")
        if "date" not in names:
            lines.append(f"Date: {self._today()}\r\n")
        if "server" not in names:
            lines.append("Server: storage-guard-testing\r\n")
        if "content-length" not in names and status not in _BODILESS:
            lines.append(f"Content-Length: {length}\r\n")
        if "connection" in names:
            closes = closes or _closing(answer.headers)
            lines.append("\r\n")
        else:
            lines.append("Connection: close\r\n\r\n" if closes else "Connection: keep-alive\r\n\r\n")
        return "".join(lines).encode("latin-1"), closes

    def _today(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True)
        return self._date


def _closing(headers: Mapping[str, str]) -> bool:
    return any(name.lower() == "connection" and value.lower() == "close" for name, value in headers.items())


def bodiless(answer: Answer, method: str) -> bool:
    """Whether nothing follows the head, whatever the length in it."""
    return method == "HEAD" or answer.status in _BODILESS


def length_of(answer: Answer) -> int:
    """The bytes of the body that the answer says it has. Raises WrongLength if it does not say."""
    if answer.body_bytes is not None:
        return answer.body_bytes
    if isinstance(answer.body, bytes):
        return len(answer.body)
    raise WrongLength("pieces without body_bytes")


def whole_body(answer: Answer, length: int) -> bytes:
    """Raises WrongLength."""
    body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    if len(body) != length:
        raise WrongLength(f"a body of {length} bytes has {len(body)}")
    return body


def pieces_of(answer: Answer) -> Iterator[memoryview]:
    """The body in pieces of at most 256 KiB. Copies nothing."""
    for piece in (answer.body,) if isinstance(answer.body, bytes) else answer.body:
        view = memoryview(piece).cast("B")
        for at in range(0, len(view), PIECE_BYTES):
            yield view[at : at + PIECE_BYTES]


def close_body(answer: Answer) -> None:
    """Nothing more is taken from it."""
    if not isinstance(answer.body, bytes):
        close = getattr(answer.body, "close", None)
        if close is not None:
            close()
