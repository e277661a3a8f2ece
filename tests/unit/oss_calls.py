"""Calls of OSS without a network: what a dialect answers to a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from storage_guard.testing.server.exchange import Answer, Dialect, Request

# Keys that both services take, and that are easily spoilt on the way.
AWKWARD = ("a", "a/b", "dir/", "ü", "\U0001f600", "a+b", "a%2Fb", "~*()'!", "a b", "?&=#", "..", "x\\y", "\x01")
NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


class Clock:
    """A time that stands still until it is told."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def on(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Told:
    """An answer, its body read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    body_bytes: int

    @property
    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.body)

    @property
    def code(self) -> str:
        """Of an error with a body; "" for an answer that is none."""
        return self.field("Code") if self.status >= 300 else ""

    def field(self, name: str) -> str:
        return self.xml.findtext(name) or ""

    def all(self, path: str) -> list[str]:
        return [node.text or "" for node in self.xml.findall(path)]


def told(answer: Answer) -> Told:
    body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    assert not body or answer.body_bytes in {None, len(body)}
    return Told(answer.status, answer.headers, body, len(body) if answer.body_bytes is None else answer.body_bytes)


def send(dialect: Dialect, request: Request, body: bytes = b"", *, piece_bytes: int = 1000) -> Told:
    receiving = dialect.receive(request)
    for at in range(0, len(body), piece_bytes):
        piece = bytearray(body[at : at + piece_bytes])
        with memoryview(piece) as view:
            receiving.take(view)
        piece[:] = bytes(len(piece))  # what was lent is not kept
    return told(receiving.end())


class Client:
    """Speaks to one bucket, path style, without a signature."""

    def __init__(self, dialect: Dialect, bucket: str = "bkt") -> None:
        self._dialect = dialect
        self._bucket = bucket

    def __call__(
        self,
        method: str,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        **params: str | int,
    ) -> Told:
        query = urlencode({name.replace("_", "-"): str(value) for name, value in params.items()})
        path = f"/{self._bucket}/{quote(key, safe='')}"
        given = {"content-length": str(len(body)), **(headers or {})}
        return send(self._dialect, Request(method, "127.0.0.1", path, query, given), body)

    def list(self, params: Mapping[str, str | int]) -> Told:
        """A listing of the bucket."""
        request = Request("GET", "127.0.0.1", f"/{self._bucket}/", urlencode(params), {"content-length": "0"})
        return send(self._dialect, request)

    def put(self, key: str, body: bytes = b"", **headers: str) -> Told:
        return self("PUT", key, {name.replace("_", "-"): value for name, value in headers.items()}, body)

    def begin(self, key: str, headers: Mapping[str, str] | None = None) -> str:
        return self("POST", key, headers, uploads="", encoding_type="url").field("UploadId")

    def finish(
        self, key: str, upload_id: str, parts: Sequence[tuple[int, str]], headers: Mapping[str, str] | None = None
    ) -> Told:
        named = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>" for number, tag in parts)
        body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
        return self("POST", key, headers, body, uploadId=upload_id)
