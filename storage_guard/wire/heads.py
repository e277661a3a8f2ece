"""The head of an answer, from the lines that libcurl hands over. Pure.

libcurl refuses lines without a colon, NUL bytes, contradicting lengths, and more than 300 KiB of head
(https://curl.se/libcurl/c/CURLOPT_HEADERFUNCTION.html). But it is content with a head that ends before its empty line,
so that has to be looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from storage_guard.driver import Lost

MAX_HEADERS = 1000


class Head(NamedTuple):
    """`closes`: the server said that this is the connection's last answer. `delimited`: the end of the body is marked
    by something else than the connection's end."""

    status: int
    headers: dict[str, str]
    closes: bool
    delimited: bool


def parse(lines: Sequence[bytes], method: str) -> Head:
    """The last head of `lines`: before it there may be a proxy's and 1xx ones, and behind it trailers.

    Raises `Lost` for one that is not whole, or has two meanings.
    """
    first = 0
    while True:
        try:
            end = lines.index(b"\r\n", first)
        except ValueError:
            raise Lost("the answer ends within its head") from None
        if end + 1 == len(lines) or not lines[end + 1].startswith(b"HTTP/"):
            break
        first = end + 1
    status = _status(lines[first])
    if end - first > MAX_HEADERS:
        raise Lost(f"the answer has more than {MAX_HEADERS} headers", status=status)
    headers: dict[str, str] = {}
    for line in b"".join(lines[first + 1 : end]).decode("latin-1").split("\n")[:-1]:
        name, colon, value = line.partition(":")
        if not colon:
            raise Lost("the head of the answer has a line that is no header", status=status)
        name = name.lower()
        value = value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    chunked = "transfer-encoding" in headers
    if chunked and "content-length" in headers:
        # RFC 9112, 6.3: an attempt to smuggle one answer into another.
        raise Lost("the answer has two lengths", status=status)
    bodiless = method == "HEAD" or status in (204, 304)
    closes = lines[first].startswith(b"HTTP/1.0") or "close" in headers.get("connection", "").lower()
    return Head(status, headers, closes, bodiless or chunked or "content-length" in headers)


def _status(line: bytes) -> int:
    version, _, rest = line.partition(b" ")
    digits = rest[:3]
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or not digits.isdigit() or not 200 <= int(digits) <= 599:
        raise Lost(f"the answer begins with {line[:64]!r}")
    return int(digits)
