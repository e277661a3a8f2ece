"""What is sent and what comes back, and whether it may be sent at all. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from storage_guard.driver import Body, Refused

DEFAULT_ANSWER_BYTES = 1024 * 1024

# Those that say how a message is framed or carried are the transport's own, and a proxy's credentials are in Settings.
_OURS = frozenset(
    (
        *("connection", "expect", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "cookie"),
    )
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_METHOD = re.compile(r"[A-Z]{1,32}")
# RFC 3986, without user information and fragments; braces and the like are for the caller to encode.
_URL = re.compile(
    r"(?P<origin>https?://(?P<host>[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)"
    r"(?P<path>/[0-9A-Za-z._~%!$&'()*+,;=:@/-]*)?(?P<query>\?[0-9A-Za-z._~%!$&'()*+,;=:@/?-]*)?"
)


class Request(NamedTuple):
    """One request.

    `headers` hold what was signed; Content-Length is counted here. `answer_bytes` bounds the body of an answer that
    says it went well (2xx), and `about` names the request in what is raised.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: Body | bytes | None = None
    answer_bytes: int = DEFAULT_ANSWER_BYTES
    about: str = ""

    def __repr__(self) -> str:
        # Headers and the query hold signatures.
        return f"Request({self.method} {bare(self.url)})"


class Answer(NamedTuple):
    """A whole answer. Names of headers are in lower case; the values of one that came twice are joined by ", "."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Answer({self.status}, {len(self.body)} bytes)"


def bare(url: str) -> str:
    """A URL without its query, where signatures are, and without user information."""
    scheme, found, rest = url.partition("?")[0].partition("#")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{found}{host.rpartition('@')[2]}{slash}{path}"


def split(url: str) -> tuple[str, str]:
    """Scheme, host and port; and what is asked for there. Raises `Refused` for what is no URL of HTTP, or would be sent
    as something else."""
    found = _URL.fullmatch(url)
    if found is None:
        raise Refused(f"{bare(url)!r} is not a URL that can be sent as it is", why="request")
    origin, path, query = found["origin"], found["path"] or "/", found["query"]
    return origin, path if query is None else f"{path}{query}"


def head_of(request: Request, target: str, host: str, size_bytes: int, *, agent: str, more: str = "") -> bytes:
    """The head of a request, with its empty line. `host` and `agent`: unless its headers say others; `more`: lines of
    the transport's own. Raises `Refused` for what is no header, or not one of a request's own."""
    method = request.method
    if not _METHOD.fullmatch(method):
        raise Refused(f"{method!r} is no method", why="request")
    if size_bytes and method in ("GET", "HEAD"):
        raise Refused(f"a {method} has no body", why="request")
    headers = request.headers
    values = "".join(headers.values())
    if not (values.isascii() and values.isprintable()):
        _refuse_value(headers)
    lines: list[str] = []
    for name, value in headers.items():
        lowered = _lowered(name)
        if lowered == "host":
            host = value
        elif lowered == "user-agent":
            agent = value
        elif lowered == "content-length":
            if value != str(size_bytes):
                raise Refused(f"Content-Length is {value!r}, and the body has {size_bytes} bytes", why="request")
        else:
            lines.append(f"{name}: {value}\r\n")
    if size_bytes or method in ("PUT", "POST"):
        lines.append(f"Content-Length: {size_bytes}\r\n")
    first = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n{more}"
    return f"{first}{''.join(lines)}\r\n".encode("ascii")


def _refuse_value(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            # Line ends would make headers of their own. The value may be secret.
            raise Refused(f"the header {name[:64]!r} has other characters than printable ASCII", why="request")


@lru_cache(maxsize=1024)
def _lowered(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Refused(f"{name[:64]!r} is no name of a header", why="request")
    lowered = name.lower()
    if lowered in _OURS:
        raise Refused(f"the header {name} is not a request's own", why="request")
    return lowered
