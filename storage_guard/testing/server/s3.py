"""Amazon S3, as far as a client that creates objects can see it, and stores that only claim to be it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from storage_guard.testing.server import s3_copies, s3_listing, s3_objects, s3_uploads
from storage_guard.testing.server.blobs import Arriving, Content
from storage_guard.testing.server.buckets import (
    BadPart,
    Buckets,
    NoParts,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    NoSuchVersion,
    PartsOutOfOrder,
    Refused,
    is_bucket_name,
)
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.exchange import Answer, Asked, Dialect, Receiving, Request
from storage_guard.testing.server.s3_checksums import DEFAULT, HEADERS, PREFIX, Given, Running, given
from storage_guard.testing.server.s3_conditions import Guard
from storage_guard.testing.server.s3_errors import S3Refusal, invalid, unsupported
from storage_guard.testing.server.s3_payload import STREAMS, Payload, payload_of
from storage_guard.testing.server.s3_requests import Call, copy_source
from storage_guard.testing.server.s3_service import OWNER_ID, Limits, Service, key_of, wanted_md5
from storage_guard.testing.server.s3_signatures import Signed, Verifier
from storage_guard.testing.server.s3_switches import Switches

_Handler = Callable[[Service, Call, bytes], Answer]
_Guarded = Callable[[Service, Call, bytes, Guard], Answer]
_Storing = Callable[[Service, Call, Content, Guard], Answer]

_HANDLERS: Mapping[str, _Handler] = MappingProxyType(
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
_GUARDED: Mapping[str, _Guarded] = MappingProxyType({"copy": s3_copies.copy, "finish": s3_uploads.finish})
_STORING: Mapping[str, _Storing] = MappingProxyType({"put": s3_objects.put, "put_part": s3_uploads.put_part})
_CHECKSUMS = (PREFIX, "x-amz-sdk-checksum-algorithm", "x-amz-trailer")


class S3Dialect(Dialect):
    """S3 over `state`.

    `credentials`: who may call; without them nobody's signature is looked at, nor the hash of a body, and all is
    allowed. `endpoints`: a host `bucket.<one of these>` names a bucket; with any other host the path does. `switches`:
    what is done otherwise than AWS does it.
    """

    def __init__(
        self,
        state: Buckets,
        *,
        credentials: Credentials | None = None,
        region: str = "us-east-1",
        endpoints: Iterable[str] | None = None,
        limits: Limits | None = None,
        switches: Switches | None = None,
    ) -> None:
        limits = limits or Limits()
        self.state = state
        self.switches = switches or Switches()
        self._endpoints = endpoints_of(region) if endpoints is None else tuple(endpoints)
        self._service = Service(state, limits, self.switches, region)
        self._verifier = None if credentials is None else Verifier(credentials, region, limits.skew_s)
        self._seen: Call | None = None

    def asked(self, request: Request) -> Asked:
        return self._call(request).asked

    def receive(self, request: Request) -> Receiving:
        call = self._call(request)
        try:
            signed = self._admit(call)
            payload = payload_of(request, signed, unsigned_allowed=self.switches.unsigned_payload)
            guard = Guard(call, self.state, self.switches)
            if call.action in _STORING:
                return _Storage(self._service, call, payload, guard, self._expect_body(call))
            if call.action not in _HANDLERS and call.action not in _GUARDED:
                raise S3Refusal("NotImplemented")
            return _Document(self._service, call, payload, guard)
        except S3Refusal as refusal:
            return _Refusing(self._service, call, refusal)

    def refusal(self, request: Request, status: int, code: str) -> Answer:
        call = self._call(request)
        refusal = S3Refusal(code, status=status, more=_EXPECTED.get(code, {}))
        if code in {"PermanentRedirect", "TemporaryRedirect"}:
            refusal = _elsewhere(call, _OTHER_REGION, code, status)
        return self._service.refuse(request, refusal)

    def _call(self, request: Request) -> Call:
        seen = self._seen
        if seen is None or seen.request is not request:
            seen = self._seen = Call(request, self._endpoints)
        return seen

    def _admit(self, call: Call) -> Signed | None:
        """Raises: S3Refusal."""
        signed = None if self._verifier is None else self._verifier.signed(call, self.state.now())
        if call.bucket and not is_bucket_name(call.bucket, dots=True):
            raise S3Refusal("InvalidBucketName", more={"BucketName": call.bucket})
        if call.bucket in self.switches.elsewhere:
            raise _elsewhere(call, self.switches.elsewhere[call.bucket], "PermanentRedirect", 301)
        if call.asked.member in self.switches.forbidden:
            raise S3Refusal("AccessDenied")
        headers = call.request.headers
        if headers.get("x-amz-expected-bucket-owner", OWNER_ID) != OWNER_ID:
            raise S3Refusal("AccessDenied", "The bucket is somebody else's.")
        if signed is not None:
            _permit(call, signed.credential)
        if self.switches.checksums in {"invalid", "unsupported"}:
            for name in headers:
                if name.startswith(_CHECKSUMS):
                    raise self._unwanted(name, headers[name])
        return signed

    def _unwanted(self, name: str, value: str) -> S3Refusal:
        if self.switches.checksums == "unsupported":
            return unsupported(name)
        return invalid(name, value, f"Unsupported header '{name}'.")

    def _expect_body(self, call: Call) -> int:
        """The bytes that a body may have. Raises: S3Refusal, for what can be said before it comes."""
        key_of(call)
        headers = call.request.headers
        most = self._service.limits.put_bytes if call.action == "put" else self._service.limits.part_bytes
        in_chunks = headers.get("x-amz-content-sha256") in STREAMS
        text = headers.get("x-amz-decoded-content-length" if in_chunks else "content-length")
        if text is None:
            if "transfer-encoding" in headers:
                raise unsupported("Transfer-Encoding")
            raise S3Refusal("MissingContentLength")
        if int(text) > most:
            raise _too_large(most, int(text))
        return most


def endpoints_of(region: str) -> tuple[str, ...]:
    """The names of the service, below which a bucket has its own."""
    names = (f"s3.{region}", f"s3.dualstack.{region}", f"s3-fips.{region}", f"s3-fips.dualstack.{region}", "s3")
    return (
        *(f"{name}.amazonaws.com" for name in names),
        "s3-accelerate.amazonaws.com",
        f"s3.{region}.amazonaws.com.cn",
    )


_OTHER_REGION = "eu-west-1"
_EXPECTED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "AuthorizationHeaderMalformed": {"Region": _OTHER_REGION},
        "PreconditionFailed": {"Condition": "If-None-Match"},
        "ConditionalRequestConflict": {"Condition": "If-None-Match"},
    }
)


def _elsewhere(call: Call, region: str, code: str, status: int) -> S3Refusal:
    endpoint = f"{call.bucket}.s3.{region}.amazonaws.com"
    headers = {"x-amz-bucket-region": region}
    if code == "TemporaryRedirect":
        headers["Location"] = f"http://{endpoint}{call.request.raw_path}"
    return S3Refusal(code, status=status, more={"Endpoint": endpoint, "Bucket": call.bucket}, headers=headers)


def _permit(call: Call, credential: Credential) -> None:
    """Raises: S3Refusal, if this key may not do that."""
    may = credential.may
    if may is None:
        return
    if not may(call.asked):
        raise S3Refusal("AccessDenied")
    if call.action in {"copy", "copy_part"}:
        source = copy_source(call.request.headers["x-amz-copy-source"])
        if source is not None and not may(Asked("read", source[0], source[1])):
            raise S3Refusal("AccessDenied", "This key may not read the source.")


class _Refusing(Receiving):
    def __init__(self, service: Service, call: Call, refusal: S3Refusal) -> None:
        self._service = service
        self._call = call
        self._refusal = refusal

    def take(self, data: memoryview) -> None:
        """What comes is not wanted."""

    def end(self) -> Answer:
        return self._service.refuse(self._call.request, self._refusal)

    def cut(self) -> None:
        """Nothing was kept."""


class _Arrival(Receiving):
    """A call whose body is on its way. What refuses it meanwhile is told at its end."""

    def __init__(self, service: Service, call: Call, payload: Payload, guard: Guard) -> None:
        self.service = service
        self.call = call
        self.guard = guard
        self._payload = payload
        self.refused: S3Refusal | None = None

    def take(self, data: memoryview) -> None:
        if self.refused is not None:
            return
        try:
            self._payload.feed(data, self.keep)
        except S3Refusal as refusal:
            self.refused = refusal
            self.cut()

    def keep(self, data: memoryview) -> None:
        """Raises: S3Refusal."""
        raise NotImplementedError

    def act(self, trailers: Mapping[str, str]) -> Answer:
        """Raises: S3Refusal, Refused."""
        raise NotImplementedError

    def end(self) -> Answer:
        call = self.call
        try:
            if self.refused is not None:
                raise self.refused
            return self.act(self._payload.end())
        except S3Refusal as refusal:
            return self._refuse(refusal)
        except Refused as refused:
            return self._refuse(_translated(refused, call))

    def _refuse(self, refusal: S3Refusal) -> Answer:
        self.cut()
        if self.service.switches.early and self.call.action in _GUARDED:
            refusal = S3Refusal(refusal.code, refusal.message, status=200, more=refusal.more)
        return self.service.refuse(self.call.request, refusal)

    def cut(self) -> None:
        raise NotImplementedError


class _Document(_Arrival):
    """A call whose body is a document, or nothing."""

    def __init__(self, service: Service, call: Call, payload: Payload, guard: Guard) -> None:
        super().__init__(service, call, payload, guard)
        self._body: list[bytes] = []
        self._size_bytes = 0

    def keep(self, data: memoryview) -> None:
        self._size_bytes += data.nbytes
        if self._size_bytes > self.service.limits.document_bytes:
            raise _too_large(self.service.limits.document_bytes, self._size_bytes)
        self._body.append(bytes(data))

    def act(self, trailers: Mapping[str, str]) -> Answer:
        call, service = self.call, self.service
        headers = {**call.request.headers, **trailers}
        body = b"".join(self._body)
        md5 = wanted_md5(headers)
        if md5 is not None and hashlib.md5(body, usedforsecurity=False).digest() != md5:
            raise S3Refusal("BadDigest")
        # What comes with a complete is the checksum of the object.
        said = given(headers) if call.action not in {"finish", "begin"} and service.knows_checksums else None
        if said is not None:
            running = Running(said.algorithm.name)
            running.take(memoryview(body))
            said.check(running.digest())
        guarded = _GUARDED.get(call.action)
        if guarded is None:
            return _HANDLERS[call.action](service, call, body)
        return guarded(service, call, body, self.guard)

    def cut(self) -> None:
        self._body.clear()


class _Storage(_Arrival):
    """A call whose body is kept."""

    def __init__(self, service: Service, call: Call, payload: Payload, guard: Guard, most: int) -> None:
        super().__init__(service, call, payload, guard)
        headers = call.request.headers
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
            raise _too_large(self._most, None)
        for each in self._running:
            each.take(data)
        self._arriving.take(data)

    def act(self, trailers: Mapping[str, str]) -> Answer:
        if self._md5 is not None and self._arriving.md5() != self._md5:
            raise S3Refusal("BadDigest")
        digests = tuple(each.digest() for each in self._running)
        said = self._given
        if said is not None:
            if trailers:
                headers = {name: value for name, value in self.call.request.headers.items() if name not in _ANNOUNCING}
                said = given({**headers, **trailers}) or said
            said.check(next(digest for digest in digests if digest.algorithm == said.algorithm.name))
        self._over = True
        content = replace(self._arriving.end(), digests=digests)
        return _STORING[self.call.action](self.service, self.call, content, self.guard)

    def cut(self) -> None:
        if not self._over:
            self._over = True
            self._arriving.cut()


_ANNOUNCING = HEADERS | {"x-amz-trailer"}


def _too_large(most: int, size_bytes: int | None) -> S3Refusal:
    more = {"MaxSizeAllowed": str(most)}
    if size_bytes is not None:
        more["ProposedSize"] = str(size_bytes)
    return S3Refusal("EntityTooLarge", more=more)


def _translated(refused: Refused, call: Call) -> S3Refusal:
    match refused:
        case NoSuchBucket():
            return S3Refusal("NoSuchBucket", more={"BucketName": str(refused)})
        case NoSuchKey():
            return s3_objects.missing(call, refused)
        case NoSuchVersion():
            return S3Refusal("NoSuchVersion", more={"Key": call.key or "", "VersionId": str(refused)})
        case NoSuchUpload():
            return S3Refusal("NoSuchUpload", more={"UploadId": str(refused)})
        case NoParts():
            return S3Refusal("MalformedXML", "An object needs a part.")
        case PartsOutOfOrder():
            return S3Refusal("InvalidPartOrder", more={"UploadId": call.params["uploadId"]})
        case BadPart(size_bytes=int(size_bytes)):
            more = {"ProposedSize": str(size_bytes), "PartNumber": str(refused.number), "ETag": refused.etag}
            return S3Refusal("EntityTooSmall", more=more)
        case BadPart():
            more = {"ETag": refused.etag, "PartNumber": str(refused.number), "UploadId": call.params["uploadId"]}
            return S3Refusal("InvalidPart", more=more)
        case _:
            raise refused
