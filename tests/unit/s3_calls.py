"""Calls of S3 without a network: what a dialect answers to a request."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from awscrt import checksums

from storage_guard.testing.server.exchange import Dialect, Request
from unit.oss_calls import Told as PlainTold
from unit.oss_calls import send as plain_send

XMLNS = b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
NEW = {"if-none-match": "*"}


@dataclass(frozen=True)
class Told(PlainTold):
    """An answer, its body read without its namespace."""

    @property
    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.body.replace(XMLNS, b""))

    @property
    def code(self) -> str:
        """Of an error, also one inside a 200; "" for an answer that is none."""
        return self.field("Code") if self.body and self.xml.tag == "Error" else ""


def send(dialect: Dialect, request: Request, body: bytes = b"", *, piece_bytes: int = 1000) -> Told:
    told = plain_send(dialect, request, body, piece_bytes=piece_bytes)
    return Told(told.status, told.headers, told.body, told.body_bytes)


class Client:
    """Speaks to one bucket, path style, without a signature."""

    def __init__(self, dialect: Dialect, bucket: str = "bkt") -> None:
        self._dialect = dialect
        self._bucket = bucket

    def request(
        self, method: str, key: str, headers: Mapping[str, str] | None, body: bytes, params: Mapping[str, str | int]
    ) -> Request:
        query = urlencode({name.replace("_", "-"): str(value) for name, value in params.items()})
        given = {"host": "127.0.0.1", "content-length": str(len(body)), **(headers or {})}
        return Request(method, "127.0.0.1", f"/{self._bucket}/{quote(key, safe='')}", query, given)

    def __call__(
        self,
        method: str,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        /,
        **params: str | int,
    ) -> Told:
        return send(self._dialect, self.request(method, key, headers, body, params), body)

    def put(self, key: str, body: bytes = b"", /, **headers: str) -> Told:
        return self("PUT", key, {name.replace("_", "-"): value for name, value in headers.items()}, body)

    def copy(self, source: str, key: str, headers: Mapping[str, str] | None = None) -> Told:
        return self("PUT", key, {"x-amz-copy-source": quote(source), **(headers or {})})

    def begin(self, key: str, headers: Mapping[str, str] | None = None) -> str:
        return self("POST", key, headers, uploads="").field("UploadId")

    def part(
        self, key: str, upload_id: str, number: int, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Told:
        return self("PUT", key, headers, body, partNumber=number, uploadId=upload_id)

    def finish(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[tuple[int, str] | tuple[int, str, str]],
        headers: Mapping[str, str] | None = None,
    ) -> Told:
        """`parts`: number, ETag, and what else stands in the element."""
        return self("POST", key, headers, complete_document(parts), uploadId=upload_id)

    def upload(
        self, key: str, *bodies: bytes, headers: Mapping[str, str] | None = None
    ) -> tuple[str, list[tuple[int, str]]]:
        """An upload with these parts, ready to be finished."""
        upload_id = self.begin(key, headers)
        return upload_id, [
            (number, self.part(key, upload_id, number, body).headers["ETag"]) for number, body in enumerate(bodies, 1)
        ]


def complete_document(parts: Sequence[tuple[int, str] | tuple[int, str, str]]) -> bytes:
    named = "".join(
        f"<Part><PartNumber>{part[0]}</PartNumber><ETag>{part[1]}</ETag>{''.join(part[2:3])}</Part>" for part in parts
    )
    return f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()


def nvme(data: bytes) -> str:
    """As S3 tells a CRC-64/NVME."""
    return base64.b64encode(checksums.crc64nvme(data).to_bytes(8, "big")).decode()
