"""The head of an answer. Pure.

Strict where two readers might disagree, as whoever lies between them could use that (RFC 9112, 11.2): line ends are
CRLF, names have no spaces, no line continues another, and there is one length.
"""

from __future__ import annotations

from typing import NamedTuple

from storage_guard.driver import Lost

MAX_HEADERS = 1000
MAX_HEAD_BYTES = 300 * 1024  # of all heads of one answer together


class Head(NamedTuple):
    """`closes`: the server said that this is the connection's last answer. `body_bytes`: how long the body is; None if
    it comes in chunks, and -1 if nothing says where it ends."""

    status: int
    headers: dict[str, str]
    closes: bool
    body_bytes: int | None


def parse(head: bytes, method: str) -> Head:
    """`head`: up to its empty line, without that. Raises `Lost` for one that is none, or has two meanings."""
    lines = head.decode("latin-1").split("\r\n")
    status = _status(lines[0])
    if len(lines) - 1 > MAX_HEADERS:
        raise Lost(f"the answer has more than {MAX_HEADERS} headers", status=status)
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or " " in name or "\t" in name:
            raise Lost("the head of the answer has a line that is no header", status=status)
        name = name.lower()
        value = value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if b"\0" in head or head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        raise Lost("the head of the answer has a control character", status=status)
    closes = lines[0].startswith("HTTP/1.0") or "close" in headers.get("connection", "").lower()
    return Head(status, headers, closes, _body_bytes(headers, status, method))


def _body_bytes(headers: dict[str, str], status: int, method: str) -> int | None:
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None:
        if length is not None:
            # RFC 9112, 6.3: an attempt to smuggle one answer into another.
            raise Lost("the answer has two lengths", status=status)
        if coding.lower() != "chunked":
            raise Lost(f"the answer is coded as {coding[:64]!r}", status=status)
    elif length is not None and not (length.isascii() and length.isdigit() and len(length) < 20):
        raise Lost(f"the answer has the length {length[:64]!r}", status=status)
    if method == "HEAD" or status in (204, 304) or status < 200:
        return 0
    if coding is not None:
        return None
    return -1 if length is None else int(length)


def _status(line: str) -> int:
    version, _, rest = line.partition(" ")
    digits = rest[:3]
    if (
        version not in ("HTTP/1.1", "HTTP/1.0")
        or not (digits.isascii() and digits.isdigit() and len(digits) == 3 and rest[3:4] in ("", " "))
        or not 100 <= int(digits) <= 599
        or digits == "101"  # another protocol, that nobody asked for
    ):
        raise Lost(f"the answer begins with {line[:64]!r}")
    return int(digits)
