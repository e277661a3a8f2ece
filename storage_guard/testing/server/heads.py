"""The head of a request: its line and its fields, checked, for the dialect and for the framing of the body.

Pure. Strict where a lenient reader could take one message for two: a line ends with CR LF, a name is a token, a folded
line or a length that is said twice is refused.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from storage_guard.testing.server.exchange import Request

MAX_HEAD_BYTES = 64 * 1024

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a token of RFC 9110
_LINE = re.compile(rf"({_TOKEN}) ([^\x00-\x20\x7f]+) HTTP/(\d)\.(\d)\r\n")
_FIELD = re.compile(rf"^({_TOKEN}):[ \t]*([^\x00\r\n]*)\r\n", re.MULTILINE)
_HTTP = "http://"


class Malformed(Exception):
    """The bytes are no request that can be answered for its own sake: `status`, and the connection is closed."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class Head(NamedTuple):
    """`body_bytes` is None where the body comes in chunks. `expects`: the client waits for a 100 before its body.
    `closes`: the connection ends with the answer."""

    request: Request
    body_bytes: int | None
    expects: bool
    closes: bool


def parse(text: str, *, secure: bool) -> Head:
    """`text` is the head without the empty line that ends it. Raises Malformed."""
    line = _LINE.match(text)
    if line is None:
        raise Malformed("the first line is no request line")
    method, target, major, minor = line.groups()
    if major != "1" or minor not in "01":
        raise Malformed(f"HTTP/{major}.{minor} is not spoken here", 505)
    fields = _FIELD.findall(text, line.end())
    if len(fields) != text.count("\n", line.end()):
        raise Malformed("a line of the head is no field")
    headers = {name.lower(): value.rstrip(" \t") for name, value in fields}
    if len(headers) != len(fields):
        headers = _joined(fields)
    if method == "CONNECT":
        raise Malformed("no tunnels: this server is a proxy for http:// only", 501)
    named = headers.get("host")
    if target[0] == "/":
        path, _, query = target.partition("?")
        if named is None and minor == "1":
            raise Malformed("no Host")
    else:
        named, path, query = _absolute(target)
    old = minor == "0"
    connection = headers.get("connection")
    return Head(
        Request(method, host_of(named or ""), path, query, headers, secure),
        _body_bytes(headers, old=old),
        "expect" in headers and _expects(headers["expect"], old=old),
        old if connection is None else _closes(connection, old=old),
    )


@functools.lru_cache(maxsize=1024)
def host_of(named: str) -> str:
    """The name in a Host field, without the port and in lower case. Raises Malformed."""
    if re.search(r"[\s,/@]", named):
        raise Malformed("the host is no name")
    name, colon, port = named.rpartition(":")
    return (name if colon and (port.isdigit() or not port) else named).lower()


def check_begun(head: bytearray, start: int, end: int) -> None:
    """Refuses what cannot become a head any more, however it goes on. Raises Malformed."""
    if end - start > MAX_HEAD_BYTES:
        raise Malformed("the head is too large", 431)
    if not (head[start] < 128 and chr(head[start]).isalpha()) and head[start] != 13:
        raise Malformed("the first byte begins no method")
    if head.count(b"\n", start, end) != head.count(b"\r\n", start, end):
        raise Malformed("a line ends without CR")


def _joined(fields: list[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in fields:
        lower = name.lower()
        headers[lower] = f"{headers[lower]}, {value.rstrip()}" if lower in headers else value.rstrip()
    return headers


def _absolute(target: str) -> tuple[str, str, str]:
    if target[: len(_HTTP)].lower() != _HTTP:
        raise Malformed("the target is neither a path nor an http:// address")
    found = re.search(r"[/?]", target[len(_HTTP) :])
    end = len(target) if found is None else len(_HTTP) + found.start()
    path, _, query = target[end:].partition("?")
    if end == len(_HTTP):
        raise Malformed("the target names no host")
    return target[len(_HTTP) : end], path or "/", query


def _body_bytes(headers: dict[str, str], *, old: bool) -> int | None:
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None:
        if length is not None or old:
            raise Malformed("a body in chunks has no other framing")
        if coding.lower() != "chunked":
            raise Malformed("the transfer encoding is not chunked", 501)
        return None
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit() and len(length) <= 18):
        raise Malformed("the length is no number")
    return int(length)


def _expects(value: str, *, old: bool) -> bool:
    if value.lower() != "100-continue":
        raise Malformed("what is expected cannot be met", 417)
    return not old


def _closes(connection: str, *, old: bool) -> bool:
    words = {word.strip() for word in connection.lower().split(",")}
    return "close" in words or (old and "keep-alive" not in words)
