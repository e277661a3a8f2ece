"""`OSSDriver`: the members of `Driver`, each one request, or one and the looks that must go before it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Self

import oss2

from storage_guard.driver import (
    Absent,
    Body,
    Capabilities,
    Exists,
    Limits,
    Location,
    ObjectInfo,
    ObjectRef,
    Part,
    PartSlot,
    Prefix,
    Refused,
    Reply,
    Unsupported,
    Upload,
    Vouch,
    WriteMeta,
    check_part_list,
)
from storage_guard.wire.services import calls, contents, listings
from storage_guard.wire.services.calls import check_size, check_slot, wrong_size
from storage_guard.wire.services.sources import bytes_between
from storage_guard_oss import answers, asking
from storage_guard_oss.adopting import adopted, location_of
from storage_guard_oss.answers import Asked
from storage_guard_oss.bodies import Summed, digest, digest_of
from storage_guard_oss.looking import Looker
from storage_guard_oss.message import Answer, Versioning
from storage_guard_oss.opening import Place

_GIB = 1024**3

# Objects of 48.8 TB, which is what 10,000 of the largest parts make (help.aliyun.com: Limits; UploadPart).
LIMITS = Limits(
    max_put_bytes=5 * _GIB,
    min_part_bytes=100 * 1024,
    max_part_bytes=5 * _GIB,
    max_parts=10_000,
    max_object_bytes=10_000 * 5 * _GIB,
    max_key_bytes=1023,
)

_PRESIGNED_S = 7 * 24 * 3600


class OSSDriver:
    """A bucket of Alibaba Cloud OSS as a store. Thread-safe, in any process that has it.

    `bucket` is read and not changed; its session is not used. Its proxies, certificates, extra headers and timeouts
    are taken over; what cannot be is a ValueError or TypeError that names it. Its credentials are asked for with each
    request. Proxies that the environment names are found once, with the first request. Holds 2 MiB at most for each put
    that runs (what is larger than 1 MiB is read twice, first for its MD5), half a MiB for each part besides its window,
    and keeps up to 128 connections; small objects of `create_many` go over up to 64 others, which a thread attends to.

    - `connect_timeout_s`, `read_timeout_s`: seconds until a connection, and without a byte that moves; None: those the
      bucket was given, else 10 and 60.
    - `request_payer`: "requester", with every request.
    - `limits`: the service's, unless something else that speaks its language has others.

    Made from a bucket it cannot be pickled; one from `open_store` can.
    """

    def __init__(
        self,
        bucket: oss2.Bucket,
        *,
        connect_timeout_s: float | None = None,
        read_timeout_s: float | None = None,
        request_payer: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._sender = adopted(
            bucket,
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
            request_payer=request_payer,
        )
        self._limits = limits or LIMITS
        self._location = Location("oss", location_of(self._sender), self._sender.bucket_name)
        self._payer = request_payer
        self._look = Looker(self._sender, self._limits)
        self._again: tuple[Place, dict[str, Any]] | None = None

    @classmethod
    def at(cls, place: Place, **options: Any) -> Self:
        """A driver that can be made again elsewhere."""
        driver = cls(place.open(), **options)
        driver._again = (place, options)
        return driver

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._location.url()!r}, endpoint={self._sender.address.endpoint!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._again is None:
            raise TypeError(
                "a driver over your own oss2.Bucket cannot be pickled; one from open_store('oss://...') can"
            )
        return _reopen, (type(self), *self._again)

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def location(self) -> Location:
        return self._location

    def capabilities(self) -> Capabilities:
        """Asks whether versioning was ever on: where it was, OSS takes no notice of the condition, and says nothing."""
        try:
            versioning = self._look.versioning()
        except Refused as exc:
            if exc.code != "AccessDenied":
                raise  # a key that is wrong is no question of permissions
            return _capabilities(
                "unknown",
                f"whether the bucket ever had versioning cannot be seen ({exc.message}): allow "
                "oss:GetBucketVersioning or oss:GetBucketInfo",
            )
        if versioning == "never":
            return _capabilities(versioning, "OSS documents x-oss-forbid-overwrite for buckets without versioning")
        return _capabilities(
            versioning,
            f"versioning of the bucket is {versioning}, and there OSS overwrites in spite of x-oss-forbid-overwrite "
            "(help.aliyun.com/en/oss/developer-reference/putobject); it cannot be undone: use another bucket",
        )

    # Creating

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        check_size(body.size_bytes, self._limits.max_put_bytes, "a put")
        request = asking.put(key, meta, self._payer)
        calls.check(request, self._limits.max_key_bytes)  # before the body is read
        found = digest(body)
        asked, answer = self._look.ask(
            asking.with_md5(request, found.md5), body if found.held is None else found.held, checked=True
        )
        return answers.published(
            asked, answer, key, meta, size_bytes=body.size_bytes, ours=found.checksum, verified_by="store"
        )

    def submit_new(self, key: str, data: bytes, meta: WriteMeta, reply: Reply, /) -> None:
        size_bytes = len(data)
        check_size(size_bytes, self._limits.max_put_bytes, "a put")
        request = asking.put(key, meta, self._payer)
        calls.check(request, self._limits.max_key_bytes)
        md5, ours = digest_of(data)

        def read(asked: Asked, answer: Answer) -> ObjectInfo:
            return answers.published(asked, answer, key, meta, size_bytes=size_bytes, ours=ours, verified_by="store")

        self._look.submit(asking.with_md5(request, md5), data, reply, read)

    def flush(self) -> None:
        self._sender.flush()

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        """The source is looked at first, for its size, and pinned as it was seen."""
        self._check_source(source)
        calls.check(asking.copy(source, key, meta, self._payer), self._limits.max_key_bytes)
        found = self._look.source(source)
        if (source.location.container, source.key) == (self._location.container, key):
            # A copy onto itself changes the metadata, and creates nothing in any case (CopyObject).
            raise Exists(f"{key!r} is the source of its own copy", sole=True)
        check_size(found.size_bytes, self._limits.max_put_bytes, "a copy in one request")
        pinned = ObjectRef(source.location, source.key, source.version_id, found.etag)
        asked, answer = self._look.ask(asking.copy(pinned, key, meta, self._payer))
        return answers.copied(asked, answer, key, meta, found)

    # Uploads

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        """A key that is taken is refused here already, and looked at again when the upload is finished."""
        return contents.begun(*self._look.ask(asking.begin(key, meta, self._payer)))

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        check_slot(slot, self._limits)
        if body.size_bytes != slot.size_bytes:
            raise wrong_size(body.size_bytes, slot.size_bytes)
        summed = Summed(body)
        asked, answer = self._look.ask(asking.part(key, upload_id, slot.number), summed)
        return answers.sent(asked, answer, slot, summed.checksum)

    def copy_part(self, key: str, upload_id: str, slot: PartSlot, source: ObjectRef, start: int, /) -> Part:
        """A source without an etag is looked at for each part, a pinned one once in a while: OSS copies the whole of an
        object whose range it does not like."""
        check_slot(slot, self._limits)
        self._check_source(source)
        if slot.size_bytes < 1 or start < 0:
            raise Refused(f"no part of {slot.size_bytes} bytes is copied from byte {start} on", why="request")
        request = asking.copy_part(key, upload_id, slot, source, start)
        calls.check(request, self._limits.max_key_bytes)
        pinned = self._look.source_of_part(source, start, slot.size_bytes)
        return answers.copied_part(*self._look.ask(asking.copy_part(key, upload_id, slot, pinned, start)), slot)

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        """`meta` went out with `begin`; only its acl goes out once more. The etags are the service's to check."""
        check_part_list(parts, self._limits)
        asked, answer = self._look.ask(asking.finish(key, upload_id, parts, meta, self._payer))
        return answers.finished(asked, answer, key, meta, parts)

    def abort(self, key: str, upload_id: str, /) -> None:
        self._look.ask(calls.abort(key, upload_id))

    def scan_uploads(self, prefix: str, /) -> Iterator[Upload]:
        """In the order of keys. Raises `Lost` too if a page does not lead on."""
        return listings.uploads(lambda key, upload_id: self._look.ask(calls.list_uploads(prefix, key, upload_id)))

    def scan_parts(self, key: str, upload_id: str, /) -> Iterator[Part]:
        """Offsets are added up from part 1 on, and are right where none is missing."""
        return listings.parts(lambda at: self._look.ask(calls.list_parts(key, upload_id, at)), answers.part_sum)

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
        """OSS deletes whatever is there: it is looked at first, and an object that was made between the look and the
        removal is removed with it."""
        self._look.pinned(key, etag)
        self._look.ask(asking.remove(key))

    def presign(self, key: str, expires_s: float, /) -> str:
        """For up to seven days (604,800 s). The URL holds a session token, if there is one."""
        if not 0 < expires_s <= _PRESIGNED_S:
            raise Refused(f"a URL is good for up to {_PRESIGNED_S} s, not {expires_s}", why="request")
        calls.check(asking.head(key), self._limits.max_key_bytes)
        return self._sender.presign(key, math.ceil(expires_s))

    def close(self) -> None:
        """Close this process's idle connections. Uploads stay, the bucket's own session too."""
        self._sender.close()

    def _check_source(self, source: ObjectRef) -> None:
        there = source.location
        elsewhere = not self._location.same_service(there) or (
            self._sender.address.style == "domain" and there.container != self._location.container
        )
        if elsewhere:
            raise Unsupported(f"OSS at {self._location.endpoint} cannot copy from {there.url(source.key)}")


def _capabilities(versioning: Versioning, reason: str) -> Capabilities:
    vouch: Vouch = "missing"
    if versioning in ("never", "unknown"):
        vouch = "documented" if versioning == "never" else "unproven"
    return Capabilities(
        put=vouch,
        finish=vouch,
        copy=vouch,
        versioning=versioning,
        conditional_remove=False,
        reason=reason,
    )


def _reopen(cls: type[OSSDriver], place: Place, options: dict[str, Any], /) -> OSSDriver:
    return cls.at(place, **options)
