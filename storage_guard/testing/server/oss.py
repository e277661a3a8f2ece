"""Alibaba Cloud OSS, as far as a client that creates objects can see it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from storage_guard.testing.server import oss_listing, oss_objects, oss_uploads
from storage_guard.testing.server.blobs import Arriving
from storage_guard.testing.server.buckets import (
    AlreadyExists,
    Buckets,
    Refused,
    is_bucket_name,
)
from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.credentials import Credentials, require_allowed
from storage_guard.testing.server.exchange import Answer, Asked, Dialect, Receiving, Request
from storage_guard.testing.server.oss_requests import CALLS
from storage_guard.testing.server.oss_service import Limits, Service, key_of
from storage_guard.testing.server.oss_signatures import Verifier
from storage_guard.testing.server.refusals import Refusal, Refusing, too_large, translated
from storage_guard.testing.server.wishes import wanted_md5

_Handler = Callable[[Service, Call, bytes], Answer]
_Storing = Callable[[Service, Call, Arriving], Answer]

_HANDLERS: Mapping[str, _Handler] = MappingProxyType(
    {
        "copy": oss_objects.copy,
        "begin": oss_uploads.begin,
        "copy_part": oss_uploads.copy_part,
        "finish": oss_uploads.finish,
        "abort": oss_uploads.abort,
        "head": oss_objects.head,
        "read": oss_objects.read,
        "list_v1": oss_listing.list_v1,
        "list_v2": oss_listing.list_v2,
        "remove": oss_objects.remove,
        "remove_many": oss_objects.remove_many,
        "list_uploads": oss_listing.list_uploads,
        "list_parts": oss_uploads.list_parts,
        "get_versioning": oss_listing.get_versioning,
        "put_versioning": oss_listing.put_versioning,
        "bucket_info": oss_listing.bucket_info,
        "get_tags": oss_objects.get_tags,
        "get_acl": oss_objects.get_acl,
    }
)
_STORING: Mapping[str, _Storing] = MappingProxyType({"put": oss_objects.put, "put_part": oss_uploads.put_part})


class OSSDialect(Dialect):
    """OSS over `state`.

    `credentials`: who may call; without them nobody's signature is looked at, and all is allowed. `endpoints`: a host
    `bucket.<one of these>` names a bucket; with any other host the path does. `checked_first`: what is judged first
    when a finish is repeated that must not overwrite, the upload (404 NoSuchUpload) or the condition (409
    FileAlreadyExists); which one the service does is not documented.
    """

    def __init__(
        self,
        state: Buckets,
        *,
        credentials: Credentials | None = None,
        region: str = "cn-hangzhou",
        endpoints: Iterable[str] | None = None,
        limits: Limits | None = None,
        checked_first: Literal["upload", "condition"] = "upload",
    ) -> None:
        limits = limits or Limits()
        self.state = state
        self._endpoints = (f"oss-{region}.aliyuncs.com",) if endpoints is None else tuple(endpoints)
        self._service = Service(state, limits, checked_first, region)
        self._verifier = None if credentials is None else Verifier(credentials, region, limits.skew_s)
        self._seen: Call | None = None

    def asked(self, request: Request) -> Asked:
        return self._call(request).asked

    def receive(self, request: Request) -> Receiving:
        call = self._call(request)
        try:
            self._admit(call)
            storing = _STORING.get(call.action)
            if storing is not None:
                return _Storage(self._service, call, storing, self._expect_body(call))
            handler = _HANDLERS.get(call.action)
            if handler is None:
                raise Refusal("NotImplemented")
            return _Document(self._service, call, handler)
        except Refusal as refusal:
            return Refusing(self._service.refuse, request, refusal)

    def refusal(self, request: Request, status: int, code: str) -> Answer:
        return self._service.refuse(request, Refusal(code, status=status))

    def _call(self, request: Request) -> Call:
        seen = self._seen
        if seen is None or seen.request is not request:
            seen = self._seen = Call(request, self._endpoints, CALLS)
        return seen

    def _admit(self, call: Call) -> None:
        """Raises: Refusal."""
        if call.bucket and not is_bucket_name(call.bucket):
            raise Refusal("InvalidBucketName", more={"BucketName": call.bucket})
        if self._verifier is None:
            return
        credential = self._verifier.whose(call, self.state.now())
        require_allowed(call, credential, "x-oss-copy-source")

    def _expect_body(self, call: Call) -> int:
        """The bytes that a body may have. Raises: Refusal, for what can be said before it comes."""
        key_of(call)
        headers = call.request.headers
        most = self._service.limits.put_bytes if call.action == "put" else self._service.limits.part_bytes
        text = headers.get("content-length")
        if text is None:
            if "chunked" not in headers.get("transfer-encoding", "").lower():
                raise Refusal("MissingContentLength")
        elif int(text) > most:
            raise too_large(most, int(text))
        return most


class _Document(Receiving):
    """A call whose body is a document, or nothing."""

    __slots__ = ("_body", "_call", "_handler", "_most", "_service", "_size_bytes")

    def __init__(self, service: Service, call: Call, handler: _Handler) -> None:
        self._service = service
        self._call = call
        self._handler = handler
        self._body: list[bytes] = []
        self._most = service.limits.document_bytes
        self._size_bytes = 0

    def take(self, data: memoryview) -> None:
        self._size_bytes += data.nbytes
        if self._size_bytes <= self._most:
            self._body.append(bytes(data))
        else:
            self._body.clear()

    def end(self) -> Answer:
        call = self._call
        try:
            if self._size_bytes > self._most:
                raise too_large(self._most, self._size_bytes)
            body = b"".join(self._body)
            md5 = wanted_md5(call.request.headers)
            if md5 is not None and hashlib.md5(body, usedforsecurity=False).digest() != md5:
                raise Refusal("InvalidDigest")
            return self._handler(self._service, call, body)
        except Refusal as refusal:
            return self._service.refuse(call.request, refusal)
        except Refused as refused:
            return self._service.refuse(call.request, _translated(refused, call))

    def cut(self) -> None:
        self._body.clear()


class _Storage(Receiving):
    """A call whose body is kept."""

    __slots__ = ("_arriving", "_call", "_md5", "_most", "_over", "_service", "_storing")

    def __init__(self, service: Service, call: Call, storing: _Storing, most: int) -> None:
        self._service = service
        self._call = call
        self._storing = storing
        self._most = most
        self._over = False
        self._md5 = wanted_md5(call.request.headers)
        self._arriving = Arriving(service.state.blobs, md5=self._md5 is not None)

    def take(self, data: memoryview) -> None:
        if self._over:
            return
        if self._arriving.size_bytes + data.nbytes > self._most:
            self._over = True
            self._arriving.cut()
            return
        self._arriving.take(data)

    def end(self) -> Answer:
        call = self._call
        try:
            if self._over:
                raise too_large(self._most, None)
            if self._md5 is not None and self._arriving.md5() != self._md5:
                raise Refusal("InvalidDigest")
            return self._storing(self._service, call, self._arriving)
        except Refusal as refusal:
            self.cut()
            return self._service.refuse(call.request, refusal)
        except Refused as refused:
            self.cut()
            return self._service.refuse(call.request, _translated(refused, call))

    def cut(self) -> None:
        if not self._over:
            self._over = True
            self._arriving.cut()


def _translated(refused: Refused, call: Call) -> Refusal:
    if isinstance(refused, AlreadyExists):
        ec = "0042-00000214" if call.action == "finish" else ""
        return Refusal("FileAlreadyExists", ec=ec, more={"Key": call.key or ""})
    return translated(refused, call.key or "", call.params.get("uploadId", ""), "x-oss-", str.upper)
