"""`S3Driver`: the members of `Driver`, each one request, or one and the looks that must go before it."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

from storage_guard.body import BytesBody
from storage_guard.checksum import combine
from storage_guard.driver import (
    Absent,
    Body,
    Busy,
    Capabilities,
    Exists,
    Limits,
    Location,
    Lost,
    ObjectInfo,
    ObjectRef,
    Part,
    PartSlot,
    Prefix,
    Refused,
    Reply,
    Unguarded,
    Unsupported,
    Upload,
    Vouch,
    WriteMeta,
    check_part_list,
    outcome_of,
)
from storage_guard.wire.services import calls, contents, listings
from storage_guard.wire.services.calls import check_size, check_slot, wrong_size
from storage_guard.wire.services.sources import bytes_between
from storage_guard_s3 import answers, asking
from storage_guard_s3.adopting import adopted
from storage_guard_s3.answers import Asked
from storage_guard_s3.failures import objection_of
from storage_guard_s3.hosts import DOCUMENTED, MISSING
from storage_guard_s3.limits import limits_of
from storage_guard_s3.looking import Looker
from storage_guard_s3.message import Answer, Request
from storage_guard_s3.opening import Place
from storage_guard_s3.options import Standing
from storage_guard_s3.sums import Digest
from storage_guard_s3.trailing import Trailing, refuses_framing

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_PRESIGNED_S = 7 * 24 * 3600
_KNOWN_UPLOADS = 1024


class S3Driver:
    """A bucket of Amazon S3, or of a service of its kind, as a store. Thread-safe, in any process that has it.

    `client` (boto3's) is read and not changed, and sends nothing: its credentials are asked for with each request, its
    endpoint rules say where the bucket is, and its proxies, certificates and timeouts are taken over. A setting that
    cannot be is a ValueError or TypeError that names it. Its retries are not used. `bucket`: a name, or the ARN of an
    access point. Holds 1 MiB at most for each put that runs (what is larger is read twice, first for its checksum),
    half a MiB for each part besides its window, and keeps up to 128 connections; small objects of `create_many` go over
    up to 64 others, which a thread attends to.

    - `connect_timeout_s`, `read_timeout_s`: seconds until a connection, and without a byte that moves; None: those of
      the client if they are not boto3's own, else 10 and 60.
    - `request_payer`: "requester", with every request. `expected_bucket_owner`: an account, likewise.
    - `customer_key`: 32 bytes that encrypt all objects (SSE-C). The service forgets them.
    - `limits`: AWS's at AWS; elsewhere objects of 5 TiB, unless it has others.

    Made from a client it cannot be pickled; one from `open_store` can.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        *,
        connect_timeout_s: float | None = None,
        read_timeout_s: float | None = None,
        request_payer: str | None = None,
        expected_bucket_owner: str | None = None,
        customer_key: bytes | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._standing = Standing(request_payer, expected_bucket_owner, customer_key)
        self._sender, self._known = adopted(
            client,
            bucket,
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
            headers=self._standing.always(),
        )
        address = self._sender.address
        self._limits = limits or limits_of(address.of.kind, address.host)
        self._location = Location("s3", address.service, bucket)
        self._look = Looker(self._sender, self._limits, self._standing, self._known)
        self._lock = threading.Lock()
        self._copied: OrderedDict[str, None] = OrderedDict()
        self._again: tuple[Place, dict[str, Any]] | None = None

    @classmethod
    def at(cls, place: Place, **options: Any) -> Self:
        """A driver that can be made again elsewhere."""
        driver = cls(place.open(), place.bucket, **options)
        driver._again = (place, options)
        return driver

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._location.url()!r}, endpoint={self._sender.address.url('')!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._again is None:
            raise TypeError(
                "a driver over your own boto3 client cannot be pickled; one from open_store('s3://...') can"
            )
        return _reopen, (type(self), *self._again)

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def location(self) -> Location:
        return self._location

    def capabilities(self) -> Capabilities:
        """Asks whether versioning is on, which changes nothing about the condition: it looks at the current version."""
        address = self._sender.address
        missing = address.trouble or MISSING.get(address.of.kind)
        if missing:
            return Capabilities(
                put="missing",
                finish="missing",
                copy="missing",
                versioning="unknown",
                conditional_remove=False,
                reason=f"{self._location.url()}: {missing}",
            )
        documented = address.of.kind in DOCUMENTED
        vouch: Vouch = "documented" if documented else "unproven"
        versioning, server = self._look.versioning()
        return Capabilities(
            put=vouch,
            finish=vouch,
            copy=vouch,
            versioning=versioning,
            conditional_remove=documented,
            reason="AWS documents If-None-Match: * for put, complete and copy"
            if documented
            else f"nobody vouches for If-None-Match: * at {address.host}: some stores of S3's kind ignore it",
            server=server,
        )

    # Creating

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        check_size(body.size_bytes, self._limits.max_put_bytes, "a put")
        self._check_guarded(key)
        request = asking.put(key, meta, self._standing)
        calls.check(request, self._limits.max_key_bytes)  # before the body is read
        asked, answer, found = self._sent(request, body)
        self._known.saw(answer.headers)
        return answers.put(asked, answer, key, meta, size_bytes=body.size_bytes, found=found)

    def submit_new(self, key: str, data: bytes, meta: WriteMeta, reply: Reply, /) -> None:
        """The first ones are waited for, until it is known which checksum the store compares."""
        if self._known.learning:
            if reply.goes_out():
                reply.give(outcome_of(lambda: self.put_new(key, BytesBody(data), meta)))
            return
        check_size(len(data), self._limits.max_put_bytes, "a put")
        self._check_guarded(key)
        request = asking.put(key, meta, self._standing)
        calls.check(request, self._limits.max_key_bytes)
        found, sums = self._known.digest_of(data)

        def read(asked: Asked, answer: Answer) -> ObjectInfo:
            asked.check(answer)
            return answers.put(asked, answer, key, meta, size_bytes=len(data), found=found)

        self._look.submit(request.also(found.headers(sums)), data, reply, read)

    def flush(self) -> None:
        self._sender.flush()

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        """The source is looked at first, for its size, and pinned as it was seen."""
        self._check_guarded(key)
        self._check_source(source)
        calls.check(asking.copy(source, key, meta, self._standing), self._limits.max_key_bytes)
        found = self._look.source(source)
        if (source.location.container, source.key) == (self._location.container, key):
            raise Exists(f"{key!r} is the source of its own copy", sole=True)
        check_size(found.size_bytes, self._limits.max_put_bytes, "a copy in one request")
        pinned = ObjectRef(source.location, source.key, source.version_id, found.etag)
        asked, answer = self._look.exchange(asking.copy(pinned, key, meta, self._standing))
        try:
            asked.check(answer)
            return answers.copied(asked, answer, key, meta, found)
        except Exists as taken:
            self._check_taken(key, pinned, taken)
            raise

    def _check_taken(self, key: str, pinned: ObjectRef, taken: Exists) -> None:
        """A 412 to a copy may be about the source, whatever it says. Raises what it means unless the key is taken."""
        try:
            self._look.head(key)
        except Absent:
            self._look.source(pinned)  # which may have changed
        except (Busy, Lost, Refused):
            return  # the core looks again
        else:
            return
        raise Unsupported(
            f"{taken.message}: neither is {key!r} taken nor has its source changed: this store takes If-None-Match for "
            "a condition on the source of a copy",
            status=taken.status,
            code=taken.code,
            request_id=taken.request_id,
        ) from taken

    # Uploads

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        """No condition here: S3 looks when the upload is finished."""
        self._check_guarded(key)
        while True:
            sums = self._known.sums
            asked, answer = self._look.exchange(asking.begin(key, meta, self._standing, sums))
            if not self._known.yields(objection_of(answer), sums, hashed=True):
                break
        asked.check(answer)
        upload_id = contents.begun(asked, answer)
        if sums == "crc64nvme":
            self._known.saw(answer.headers, "x-amz-checksum-algorithm")
        return upload_id

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        check_slot(slot, self._limits)
        if body.size_bytes != slot.size_bytes:
            raise wrong_size(body.size_bytes, slot.size_bytes)
        request = asking.part(key, upload_id, slot.number, self._standing)
        calls.check(request, self._limits.max_key_bytes)
        if body.size_bytes and self._known.trails:
            part = self._trailed(request, slot, body)
            if part is not None:
                return part
        asked, answer, found = self._sent(request, body)
        return answers.sent(asked, answer, slot, found)

    def _trailed(self, request: Request, slot: PartSlot, body: Body) -> Part | None:
        """None if the store does not take checksums behind a part."""
        trailing = Trailing(body)
        asked, answer = self._look.exchange(request.also(trailing.headers), trailing, checked=True)
        if refuses_framing(answer):
            self._known.trailers = False
            return None
        asked.check(answer)
        if asked.crc(answer) is None:  # nobody knows what it took for the part
            self._known.trailers = False
            return None
        return answers.sent(asked, answer, slot, trailing.digest)

    def copy_part(self, key: str, upload_id: str, slot: PartSlot, source: ObjectRef, start: int, /) -> Part:
        """A source without an etag is looked at for each part, a pinned one once in a while."""
        check_slot(slot, self._limits)
        self._check_source(source)
        if slot.size_bytes < 1 or start < 0:
            raise Refused(f"no part of {slot.size_bytes} bytes is copied from byte {start} on", why="request")
        request = asking.copy_part(key, upload_id, slot, source, start=start, standing=self._standing)
        calls.check(request, self._limits.max_key_bytes)
        pinned = self._look.source_of_part(source, start, slot.size_bytes)
        request = asking.copy_part(key, upload_id, slot, pinned, start=start, standing=self._standing)
        with self._lock:
            self._copied[upload_id] = None
            while len(self._copied) > _KNOWN_UPLOADS:
                self._copied.popitem(last=False)
        return answers.copied_part(*self._look.ask(request), slot)

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        """`meta` went out with `begin`. The etags are the service's to check."""
        self._check_guarded(key)
        check_part_list(parts, self._limits)
        whole = None
        if self._known.sums == "crc64nvme":
            whole = combine(((part.checksum, part.slot.size_bytes) for part in parts), "crc64nvme")
        request = asking.finish(key, upload_id, parts, meta, standing=self._standing, whole=whole)
        asked, answer = self._look.ask(request)
        with self._lock:
            copied = upload_id in self._copied
        return answers.finished(asked, answer, key, meta, parts=parts, ours=whole, copied=copied)

    def abort(self, key: str, upload_id: str, /) -> None:
        self._look.ask(calls.abort(key, upload_id))

    def scan_uploads(self, prefix: str, /) -> Iterator[Upload]:
        """In the order of keys. Raises `Lost` too if a page does not lead on."""
        return listings.uploads(lambda key, upload_id: self._look.ask(calls.list_uploads(prefix, key, upload_id)))

    def scan_parts(self, key: str, upload_id: str, /) -> Iterator[Part]:
        """Offsets are added up from part 1 on, and are right where none is missing."""
        return listings.parts(
            lambda at: self._look.ask(asking.list_parts(key, upload_id, at, self._standing)), answers.part_sum
        )

    # Objects that are there

    def head(self, key: str, /) -> ObjectInfo | None:
        """With its options, but for the acl; tags are asked for apart, if there are any and we may."""
        try:
            return self._look.head(key, with_tags=True)
        except Absent:
            return None

    def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
        return bytes_between(self._look, key, start, stop, etag)

    def scan(self, prefix: str, delimiter: str, start_after: str, /) -> Iterator[ObjectInfo | Prefix]:
        return listings.objects(lambda at: self._look.ask(calls.list_objects(prefix, delimiter, start_after, at)))

    def remove(self, key: str, etag: str | None, /) -> None:
        """AWS compares the etag itself. Elsewhere the object is looked at first, and one that was made between the look
        and the removal is removed with it."""
        self._look.pinned(key, etag)
        documented = self._sender.address.of.kind in DOCUMENTED
        self._look.ask(asking.remove(key, etag if documented else None))

    def presign(self, key: str, expires_s: float, /) -> str:
        """For up to seven days (604,800 s), and not longer than the credentials of the moment are good. The URL holds a
        session token, if there is one."""
        if not 0 < expires_s <= _PRESIGNED_S:
            raise Refused(f"a URL is good for up to {_PRESIGNED_S} s, not {expires_s}", why="request")
        calls.check(calls.abort(key, ""), self._limits.max_key_bytes)
        return self._sender.presign(key, math.ceil(expires_s))

    def close(self) -> None:
        """Close this process's idle connections. Uploads stay, and so do the client's own."""
        self._sender.close()

    def _sent(self, request: Request, body: Body) -> tuple[Asked, Answer, Digest]:
        """What was answered to a request with a body, and what that came to. A store that refuses a sum it does not
        know has written nothing, and gets it again with one that it knows."""
        while True:
            found, sums = self._known.digest(body)
            asked, answer = self._look.exchange(
                request.also(found.headers(sums)), body if found.held is None else found.held, checked=True
            )
            if not self._known.yields(objection_of(answer), sums, hashed=found.sha256 is not None):
                break
        asked.check(answer)
        return asked, answer, found

    def _check_guarded(self, key: str) -> None:
        missing = MISSING.get(self._sender.address.of.kind)
        if missing:
            raise Unguarded(f"{key!r} cannot be created at {self._location.url()}: {missing}")

    def _check_source(self, source: ObjectRef) -> None:
        there = source.location
        if not self._location.same_service(there):
            raise Unsupported(f"S3 at {self._location.endpoint} cannot copy from {there.url(source.key)}")


def _reopen(cls: type[S3Driver], place: Place, options: dict[str, Any], /) -> S3Driver:
    return cls.at(place, **options)
