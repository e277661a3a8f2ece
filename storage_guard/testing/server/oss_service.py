"""What all calls of OSS share: the buckets, the limits, the form of answers, and what is kept with an object."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from itertools import count
from typing import Literal
from urllib.parse import parse_qsl

from storage_guard.testing.server.buckets import Bucket, Buckets
from storage_guard.testing.server.exchange import Answer, Request
from storage_guard.testing.server.oss_errors import OSSRefusal, error_document, in_a_header, invalid
from storage_guard.testing.server.oss_requests import MAX_KEY_BYTES, Call
from storage_guard.testing.server.versions import Attributes, Version

MAX_TAGS = 10
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
class Limits:
    """Bounds that tests may want smaller than the service's.

    `put_bytes`, `part_bytes`, `copy_bytes`: of one put, one part, and one copy between buckets. `min_part_bytes`: of a
    part that is not the last. `document_bytes`: of a body that is a document. `skew_s`: seconds that a client's clock
    may be off.
    """

    put_bytes: int = 5 << 30
    part_bytes: int = 5 << 30
    copy_bytes: int = 5 << 30
    min_part_bytes: int = 100 << 10
    parts: int = 10_000
    meta_bytes: int = 8 << 10
    document_bytes: int = 4 << 20
    skew_s: int = 900


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
        told = self.told()
        if headers:
            told.update(headers)
        if body:
            told["Content-Type"] = "application/xml"
        return Answer(status, told, body)

    def told(self) -> dict[str, str]:
        """What all answers tell."""
        return {"Server": "AliyunOSS", "x-oss-request-id": f"{next(self._requests):024X}", "x-oss-server-time": "1"}

    def refuse(self, request: Request, refusal: OSSRefusal) -> Answer:
        told = self.told()
        told.update(refusal.headers)
        if refusal.ec:
            told["x-oss-ec"] = refusal.ec
        if refusal.status == 304:
            return Answer(304, told)
        body = error_document(refusal, host=request.host, request_id=told["x-oss-request-id"])
        if request.method == "HEAD":
            told["x-oss-err"] = in_a_header(body)
            return Answer(refusal.status, told)
        told["Content-Type"] = "application/xml"
        return Answer(refusal.status, told, body)


def key_of(call: Call) -> str:
    """Raises: OSSRefusal, if it is not a name for an object."""
    key = call.key
    if key is None or key[:1] in {"/", "\\"} or not 1 <= len(key.encode()) <= MAX_KEY_BYTES:
        raise OSSRefusal("InvalidObjectName", more={"ObjectName": key or ""})
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
    """What a put, copy or begin wants kept. Raises: OSSRefusal."""
    kept: dict[str, str] = {}
    meta: dict[str, str] = {}
    for name, value in headers.items():
        if name in _KEPT:
            kept[name] = value
        elif name.startswith(META):
            meta[name[len(META) :]] = value
    if meta:
        _check_meta(meta, limits)
    storage_class = headers.get("x-oss-storage-class", "Standard")
    if storage_class not in STORAGE_CLASSES:
        raise invalid("x-oss-storage-class", storage_class)
    acl = headers.get("x-oss-object-acl", "default")
    if acl not in ACLS:
        raise invalid("x-oss-object-acl", acl)
    if kept.get("x-oss-server-side-encryption", "AES256") not in ENCRYPTIONS:
        raise OSSRefusal("InvalidEncryptionAlgorithmError")
    tags = _tags(headers["x-oss-tagging"]) if "x-oss-tagging" in headers else {}
    return Attributes(kept, meta, tags, storage_class, acl)


def _check_meta(meta: Mapping[str, str], limits: Limits) -> None:
    for name in meta:
        if not (name.isascii() and name.replace("-", "").isalnum()):
            raise invalid(META + name, meta[name], "Its names have letters, digits and hyphens.", ec="0011-00000004")
    if sum(len(META) + len(name) + len(value) for name, value in meta.items()) > limits.meta_bytes:
        raise invalid(META, "", "There is too much user metadata.", ec="0011-00000002")


def _tags(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MAX_TAGS)
    except ValueError as error:
        raise OSSRefusal("InvalidTag") from error
    tags = dict(pairs)
    if len(tags) != len(pairs) or any(not 1 <= len(name) <= 128 or len(value) > 256 for name, value in pairs):
        raise OSSRefusal("InvalidTag")
    return tags


def object_headers(version: Version, bucket: Bucket) -> dict[str, str]:
    """What is told of an object, besides its length."""
    content = version.content
    if content is None:
        raise ValueError(f"{version.key!r} is deleted")
    attributes = version.attributes
    told = {"Content-Type": "application/octet-stream", **attributes.headers}
    if "content-type" in told:
        told["Content-Type"] = told.pop("content-type")
    for name, value in attributes.meta.items():
        told[META + name] = value
    told["ETag"] = quoted(content.etag)
    told["Last-Modified"] = http_date(version.modified)
    told["Accept-Ranges"] = "bytes"
    told["x-oss-object-type"] = "Multipart" if version.in_parts else "Normal"
    told["x-oss-storage-class"] = attributes.storage_class
    told["x-oss-hash-crc64ecma"] = str(content.crc)
    if attributes.tags:
        told["x-oss-tagging-count"] = str(len(attributes.tags))
    if bucket.versioning != "never":
        told["x-oss-version-id"] = version.version_id
    return told


def quoted(etag: str) -> str:
    """An ETag as OSS shows it."""
    return f'"{etag.upper()}"'


def http_date(time: datetime) -> str:
    return _http_date(int(time.timestamp()))


@lru_cache(maxsize=64)
def _http_date(epoch_s: int) -> str:
    return format_datetime(datetime.fromtimestamp(epoch_s, UTC), usegmt=True)


def iso_date(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.000Z"


def wanted_md5(headers: Mapping[str, str]) -> bytes | None:
    """What the client says the MD5 of the body is. Raises: OSSRefusal."""
    text = headers.get("content-md5")
    if text is None:
        return None
    try:
        md5 = b64decode(text, validate=True)
    except (NotBase64, ValueError) as error:
        raise OSSRefusal("InvalidDigest", more={"Content-MD5": text}) from error
    if len(md5) != 16:
        raise OSSRefusal("InvalidDigest", more={"Content-MD5": text})
    return md5
