"""What all calls of OSS share: the buckets, the limits, the form of answers, and what is kept with an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Literal

from storage_guard.testing.server.buckets import Bucket, Buckets
from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.exchange import Answer, Request, answered
from storage_guard.testing.server.limits import Bounds
from storage_guard.testing.server.objects import headers_of
from storage_guard.testing.server.oss_errors import ec_of, error_document, in_a_header, status_of
from storage_guard.testing.server.oss_requests import MAX_KEY_BYTES
from storage_guard.testing.server.refusals import Refusal, invalid
from storage_guard.testing.server.versions import Attributes, Version
from storage_guard.testing.server.wishes import kept_of, tags_of

STORAGE_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")
ACLS = ("default", "private", "public-read", "public-read-write")
ENCRYPTIONS = ("AES256", "KMS", "SM4")
META = "x-oss-meta-"

_KEPT = frozenset(
    (
        *("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"),
        *("x-oss-server-side-encryption", "x-oss-server-side-encryption-key-id", "x-oss-server-side-data-encryption"),
    )
)


@dataclass(frozen=True, slots=True)
class Limits(Bounds):
    """The service's own, where a test wants no others. `copy_bytes`: of a copy between buckets."""

    min_part_bytes: int = 100 << 10
    meta_bytes: int = 8 << 10


class Service:
    """`checked_first`: which of two refusals a finish gets that is repeated, and whose key is taken by then. The
    service's documents do not say."""

    def __init__(
        self, state: Buckets, limits: Limits, checked_first: Literal["upload", "condition"], region: str
    ) -> None:
        self.state = state
        self.limits = limits
        self.checked_first = checked_first
        self.region = region
        self._requests = count(1)

    def answer(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """An answer, and its document if it has one."""
        return answered(status, self.told(), headers, body)

    def told(self) -> dict[str, str]:
        """What all answers tell."""
        return {"Server": "AliyunOSS", "x-oss-request-id": f"{next(self._requests):024X}", "x-oss-server-time": "1"}

    def refuse(self, request: Request, refusal: Refusal) -> Answer:
        told = self.told()
        told.update(refusal.headers)
        status = status_of(refusal)
        if ec := ec_of(refusal):
            told["x-oss-ec"] = ec
        if status == 304:
            return Answer(304, told)
        body = error_document(refusal, host=request.host, request_id=told["x-oss-request-id"])
        if request.method == "HEAD":
            told["x-oss-err"] = in_a_header(body)
            return Answer(status, told)
        told["Content-Type"] = "application/xml"
        return Answer(status, told, body)


def key_of(call: Call) -> str:
    """Raises: Refusal, if it is not a name for an object."""
    key = call.key
    if key is None or key[:1] in {"/", "\\"} or not 1 <= len(key.encode()) <= MAX_KEY_BYTES:
        raise Refusal("InvalidObjectName", more={"ObjectName": key or ""})
    return key


def must_be_new(call: Call, bucket: Bucket) -> bool:
    """Whether the call must not overwrite. The header counts for nothing in a bucket that ever had versioning: the
    pages of PutObject, CopyObject and InitiateMultipartUpload say so (go-sdk, api_op_object.go)."""
    value = call.request.headers.get("x-oss-forbid-overwrite")
    if value is None:
        return False
    if value not in {"true", "false"}:
        raise invalid("x-oss-forbid-overwrite", value, ec="0017-00000279")
    return value == "true" and bucket.versioning == "never"


def attributes_of(headers: Mapping[str, str], limits: Limits) -> Attributes:
    """What a put, copy or begin wants kept. Raises: Refusal."""
    kept, meta = kept_of(headers, _KEPT, META)
    if meta:
        _check_meta(meta, limits)
    storage_class = headers.get("x-oss-storage-class", "Standard")
    if storage_class not in STORAGE_CLASSES:
        raise invalid("x-oss-storage-class", storage_class)
    acl = headers.get("x-oss-object-acl", "default")
    if acl not in ACLS:
        raise invalid("x-oss-object-acl", acl)
    if kept.get("x-oss-server-side-encryption", "AES256") not in ENCRYPTIONS:
        raise Refusal("InvalidEncryptionAlgorithmError")
    tags = tags_of(headers["x-oss-tagging"]) if "x-oss-tagging" in headers else {}
    return Attributes(kept, meta, tags, storage_class, acl)


def _check_meta(meta: Mapping[str, str], limits: Limits) -> None:
    for name in meta:
        if not (name.isascii() and name.replace("-", "").isalnum()):
            raise invalid(META + name, meta[name], "Its names have letters, digits and hyphens.", ec="0011-00000004")
    if sum(len(META) + len(name) + len(value) for name, value in meta.items()) > limits.meta_bytes:
        raise invalid(META, "", "There is too much user metadata.", ec="0011-00000002")


def object_headers(version: Version, bucket: Bucket) -> dict[str, str]:
    """What is told of an object, besides its length."""
    told = headers_of(version, bucket, "x-oss-", quoted, default_type="application/octet-stream")
    told["x-oss-object-type"] = "Multipart" if version.in_parts else "Normal"
    told["x-oss-storage-class"] = version.attributes.storage_class
    if version.content is not None:
        told["x-oss-hash-crc64ecma"] = str(version.content.crc)
    return told


def quoted(etag: str) -> str:
    """An ETag as OSS shows it."""
    return f'"{etag.upper()}"'
