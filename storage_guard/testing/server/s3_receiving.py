"""The bodies of S3's calls, from their first byte to the answer."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from storage_guard.testing.server import s3_copies, s3_listing, s3_objects, s3_uploads
from storage_guard.testing.server.blobs import Arriving
from storage_guard.testing.server.buckets import (
    NoSuchKey,
    Refused,
)
from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.exchange import Answer, Receiving
from storage_guard.testing.server.refusals import Refusal, too_large, translated
from storage_guard.testing.server.s3_checksums import DEFAULT, Given, Running, given, given_at_last
from storage_guard.testing.server.s3_conditions import Guard
from storage_guard.testing.server.s3_payload import Payload
from storage_guard.testing.server.s3_service import Service
from storage_guard.testing.server.wishes import wanted_md5

_Handler = Callable[[Service, Call, bytes], Answer]
_Guarded = Callable[[Service, Call, bytes, Guard], Answer]

HANDLERS: Mapping[str, _Handler] = MappingProxyType(
    {
        "begin": s3_uploads.begin,
        "copy_part": s3_copies.copy_part,
        "abort": s3_uploads.abort,
        "head": s3_objects.head,
        "read": s3_objects.read,
        "list_v1": s3_listing.list_v1,
        "list_v2": s3_listing.list_v2,
        "list_versions": s3_listing.list_versions,
        "remove": s3_objects.remove,
        "remove_many": s3_objects.remove_many,
        "list_uploads": s3_listing.list_uploads,
        "list_parts": s3_uploads.list_parts,
        "get_versioning": s3_listing.get_versioning,
        "put_versioning": s3_listing.put_versioning,
        "location": s3_listing.location,
        "head_bucket": s3_listing.head_bucket,
        "create_bucket": s3_listing.create_bucket,
        "remove_bucket": s3_listing.remove_bucket,
        "list_buckets": s3_listing.list_buckets,
        "get_tags": s3_objects.get_tags,
        "put_tags": s3_objects.put_tags,
        "remove_tags": s3_objects.remove_tags,
        "get_acl": s3_objects.get_acl,
        "put_acl": s3_objects.put_acl,
    }
)
GUARDED: Mapping[str, _Guarded] = MappingProxyType({"copy": s3_copies.copy, "finish": s3_uploads.finish})


class _Arrival(Receiving):
    """A call whose body is on its way. What refuses it meanwhile is told at its end."""

    def __init__(self, service: Service, call: Call, payload: Payload) -> None:
        self.service = service
        self.call = call
        self._payload = payload
        self.refused: Refusal | None = None

    def take(self, data: memoryview) -> None:
        if self.refused is not None:
            return
        try:
            self._payload.feed(data, self.keep)
        except Refusal as refusal:
            self.refused = refusal
            self.cut()

    @abstractmethod
    def keep(self, data: memoryview) -> None:
        """Raises: Refusal."""
        ...

    @abstractmethod
    def act(self, trailers: Mapping[str, str]) -> Answer:
        """Raises: Refusal, Refused."""
        ...

    def end(self) -> Answer:
        call = self.call
        try:
            if self.refused is not None:
                raise self.refused
            return self._early(self.act(self._payload.end()))
        except Refusal as refusal:
            # The frames of a traceback hold the body that was refused.
            return self._refuse(refusal.with_traceback(None))
        except Refused as refused:
            return self._refuse(translated(refused, call.key or "", call.params.get("uploadId", ""), "x-amz-"))

    def _refuse(self, refusal: Refusal) -> Answer:
        self.cut()
        if self._is_early():
            refusal = Refusal(refusal.code, refusal.message, status=200, more=refusal.more)
        return self._early(self.service.refuse(self.call.request, refusal))

    def _is_early(self) -> bool:
        return self.service.switches.early and self.call.action in GUARDED

    def _early(self, answer: Answer) -> Answer:
        """The declaration goes out, then blanks, then the rest:
        docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html"""
        if not self._is_early() or not isinstance(answer.body, bytes):
            return answer
        declaration, mark, rest = answer.body.partition(b"?>")
        return replace(answer, body=declaration + mark + b" " * 20 + rest)


class Document(_Arrival):
    """A call whose body is a document, or nothing. `hidden`: who may not list does not hear that a key has no object:
    docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html"""

    def __init__(
        self, service: Service, call: Call, payload: Payload, guard: Guard | None = None, *, hidden: bool = False
    ) -> None:
        super().__init__(service, call, payload)
        self._guard = guard
        self._hidden = hidden
        self._body: list[bytes] = []
        self._size_bytes = 0

    def keep(self, data: memoryview) -> None:
        self._size_bytes += data.nbytes
        if self._size_bytes > self.service.limits.document_bytes:
            raise too_large(self.service.limits.document_bytes, self._size_bytes)
        self._body.append(bytes(data))

    def act(self, trailers: Mapping[str, str]) -> Answer:
        call, service = self.call, self.service
        headers = call.request.headers
        body = b"".join(self._body)
        md5 = wanted_md5(headers)
        if md5 is not None and hashlib.md5(body, usedforsecurity=False).digest() != md5:
            raise Refusal("BadDigest")
        # What comes with a complete is the checksum of the object.
        of_body = service.knows_checksums and call.action not in {"finish", "begin"}
        said = given_at_last(headers, trailers) if of_body else None
        if said is not None:
            running = Running(said.algorithm.name)
            running.take(memoryview(body))
            said.check(running.digest())
        if self._guard is not None:
            return GUARDED[call.action](service, call, body, self._guard)
        try:
            return HANDLERS[call.action](service, call, body)
        except NoSuchKey as refused:
            if self._hidden:
                raise Refusal("AccessDenied") from refused
            raise

    def cut(self) -> None:
        self._body.clear()


class Storage(_Arrival):
    """A call whose body is kept: as an object under `guard`, or as a part."""

    def __init__(self, service: Service, call: Call, payload: Payload, guard: Guard | None, most: int) -> None:
        super().__init__(service, call, payload)
        headers = call.request.headers
        self._guard = guard
        self._most = most
        self._over = False
        self._md5 = wanted_md5(headers)
        self._given: Given | None = None
        names: list[str] = []
        if service.knows_checksums:
            self._given = given(headers)
            names = [DEFAULT]
            if self._given is not None:
                names.append(self._given.algorithm.name)
            if call.action == "put_part":
                names.append(s3_uploads.require_checksum(service, call, self._given))
        self._running = [Running(name) for name in dict.fromkeys(reversed(names)) if name]
        self._arriving = Arriving(service.state.blobs, md5=self._md5 is not None)

    def keep(self, data: memoryview) -> None:
        if self._arriving.size_bytes + data.nbytes > self._most:
            raise too_large(self._most, None)
        for each in self._running:
            each.take(data)
        self._arriving.take(data)

    def act(self, trailers: Mapping[str, str]) -> Answer:
        if self._md5 is not None and self._arriving.md5() != self._md5:
            raise Refusal("BadDigest")
        digests = tuple(each.digest() for each in self._running)
        said = self._given
        if said is not None:
            if trailers:
                said = given_at_last(self.call.request.headers, trailers) or said
            said.check(next(digest for digest in digests if digest.algorithm == said.algorithm.name))
        self._over = True
        content = replace(self._arriving.end(), digests=digests)
        if self._guard is None:
            return s3_uploads.put_part(self.service, self.call, content)
        return s3_objects.put(self.service, self.call, content, self._guard)

    def cut(self) -> None:
        if not self._over:
            self._over = True
            self._arriving.cut()
