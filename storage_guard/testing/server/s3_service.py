"""What all calls of S3 share: the buckets, the limits, the form of answers, and what is kept with an object."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from itertools import count
from typing import NamedTuple
from urllib.parse import parse_qsl

from storage_guard.testing.server.blobs import Content
from storage_guard.testing.server.buckets import Bucket, Buckets
from storage_guard.testing.server.exchange import Answer, Request
from storage_guard.testing.server.s3_errors import (
    S3Refusal,
    bad_request,
    error_document,
    invalid,
)
from storage_guard.testing.server.s3_requests import MAX_KEY_BYTES, Call
from storage_guard.testing.server.s3_switches import Switches
from storage_guard.testing.server.versions import Attributes, Version

_HOST = "storage/guard/testing/server/s3/of/the/loopback/"
OWNER_ID = "111122223333"
MAX_TAGS = 10
STORAGE_CLASSES = (
    *("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "GLACIER_IR"),
    *("DEEP_ARCHIVE", "EXPRESS_ONEZONE", "OUTPOSTS"),
)
ACLS = (
    *("private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read"),
    "bucket-owner-full-control",
)
META = "x-amz-meta-"
_SSE = "x-amz-server-side-encryption"
_CUSTOMER = f"{_SSE}-customer-"
_ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
_LOCK = "x-amz-object-lock-"

# Kept, and told again with the object.
_KEPT = frozenset(
    (
        *("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"),
        *(_SSE, f"{_SSE}-aws-kms-key-id", f"{_SSE}-bucket-key-enabled", f"{_CUSTOMER}algorithm", f"{_CUSTOMER}key-md5"),
        *(f"{_LOCK}mode", f"{_LOCK}retain-until-date", f"{_LOCK}legal-hold", "x-amz-website-redirect-location"),
    )
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that tests may want smaller than the service's.

    `put_bytes`, `part_bytes`, `copy_bytes`: of one put, one part, and one copy. `min_part_bytes`: of a part that is not
    the last. `meta_bytes`: of the names and values of user metadata. `document_bytes`: of a body that is a document.
    `skew_s`: seconds that a client's clock may be off.
    """

    put_bytes: int = 5 << 30
    part_bytes: int = 5 << 30
    copy_bytes: int = 5 << 30
    min_part_bytes: int = 5 << 20
    parts: int = 10_000
    meta_bytes: int = 2 << 10
    document_bytes: int = 4 << 20
    skew_s: int = 900


class Finished(NamedTuple):
    """A complete that succeeded: where, of which parts (its document), and what it was answered."""

    bucket: str
    key: str
    parts: bytes
    answer: Answer


class Service:
    """`finished`: the completes that succeeded, by upload id."""

    def __init__(self, state: Buckets, limits: Limits, switches: Switches, region: str) -> None:
        self.state = state
        self.limits = limits
        self.switches = switches
        self.region = region
        self.finished: dict[str, Finished] = {}
        self._requests = count(1)

    @property
    def knows_checksums(self) -> bool:
        return self.switches.checksums == "known"

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
        number = next(self._requests)
        return {
            "Server": "AmazonS3",
            "x-amz-request-id": f"{number:016X}",
            "x-amz-id-2": f"{_HOST}{number:016X}",
        }

    def refuse(self, request: Request, refusal: S3Refusal) -> Answer:
        told = {**self.told(), **refusal.headers}
        if refusal.status == 304:
            return Answer(304, told)
        told["Content-Type"] = "application/xml"
        if request.method == "HEAD":  # nothing but the status says why
            return Answer(refusal.status, told)
        ids = {"host_id": told["x-amz-id-2"], "request_id": told["x-amz-request-id"]}
        return Answer(refusal.status, told, error_document(refusal, **ids))


def key_of(call: Call) -> str:
    """Raises: S3Refusal, if it is not a name for an object."""
    key = call.key
    if key is None:
        raise invalid("Key", "", "The path is not UTF-8.")
    size_bytes = len(key.encode())
    if size_bytes > MAX_KEY_BYTES:
        raise S3Refusal("KeyTooLongError", more={"Size": str(size_bytes), "MaxSizeAllowed": str(MAX_KEY_BYTES)})
    return key


def attributes_of(headers: Mapping[str, str], limits: Limits) -> Attributes:
    """What a put, copy or begin wants kept. Raises: S3Refusal."""
    kept: dict[str, str] = {}
    meta: dict[str, str] = {}
    for name, value in headers.items():
        if name in _KEPT:
            kept[name] = value
        elif name.startswith(META):
            meta[name[len(META) :]] = value
    if "content-encoding" in kept:
        codings = [coding.strip() for coding in kept.pop("content-encoding").split(",")]
        kept |= (
            {"content-encoding": ",".join(rest)}
            if (rest := [each for each in codings if each != "aws-chunked"])
            else {}
        )
    size_bytes = sum(len(name) + len(value) for name, value in meta.items())
    if size_bytes > limits.meta_bytes:
        more = {"Size": str(size_bytes), "MaxSizeAllowed": str(limits.meta_bytes)}
        raise S3Refusal("MetadataTooLarge", more=more)
    storage_class = headers.get("x-amz-storage-class", "STANDARD")
    if storage_class not in STORAGE_CLASSES:
        raise S3Refusal("InvalidStorageClass", more={"StorageClassRequested": storage_class})
    acl = headers.get("x-amz-acl", "private")
    if acl not in ACLS:
        raise invalid("x-amz-acl", acl)
    _check_encryption(headers)
    if f"{_CUSTOMER}algorithm" not in kept:
        kept.setdefault(_SSE, "AES256")
    tags = tags_of(headers["x-amz-tagging"]) if "x-amz-tagging" in headers else {}
    return Attributes(kept, meta, tags, storage_class, acl)


def _check_encryption(headers: Mapping[str, str]) -> None:
    if headers.get(_SSE, "AES256") not in _ENCRYPTIONS:
        raise invalid(_SSE, headers[_SSE], "This encryption is not known.")
    theirs = [headers.get(_CUSTOMER + name) for name in ("algorithm", "key", "key-md5")]
    if any(theirs) and (not all(theirs) or theirs[0] != "AES256" or _SSE in headers):
        raise invalid(f"{_CUSTOMER}algorithm", theirs[0] or "", "A customer's key is AES256, a key and its MD5.")
    if f"{_LOCK}mode" in headers and "content-md5" not in headers and not _has_checksum(headers):
        raise bad_request("An object that is locked needs a Content-MD5 or a checksum.")


def _has_checksum(headers: Mapping[str, str]) -> bool:
    return "x-amz-trailer" in headers or any(name.startswith("x-amz-checksum-") for name in headers)


def disguised(content: Content, attributes: Attributes) -> Content:
    """As it is told: the ETag is no MD5 where a key of KMS or of the customer encrypts."""
    kept = attributes.headers
    if kept.get(_SSE, "AES256") == "AES256" and f"{_CUSTOMER}algorithm" not in kept:
        return content
    return replace(content, md5=None, etag=f"{content.crc:016x}{content.size_bytes:016x}")


def require_key_of_customer(headers: Mapping[str, str], attributes: Attributes, prefix: str = "x-amz-") -> None:
    """What was encrypted with a customer's key is read with it only. Raises: S3Refusal."""
    wanted = attributes.headers.get(f"{_CUSTOMER}key-md5")
    theirs = headers.get(prefix + _CUSTOMER.removeprefix("x-amz-") + "key-md5")
    if wanted is None and theirs is not None:
        raise bad_request("The object is not encrypted with a key of yours.")
    if wanted is not None and theirs is None:
        raise bad_request("The object is encrypted with a key of yours, which must be given.")
    if wanted != theirs:
        raise S3Refusal("AccessDenied", "The object is encrypted with another key.")


def tags_of(text: str) -> dict[str, str]:
    """Raises: S3Refusal."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MAX_TAGS)
    except ValueError as error:
        raise S3Refusal("InvalidTag") from error
    return checked_tags(pairs)


def checked_tags(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Raises: S3Refusal."""
    tags = dict(pairs)
    if len(pairs) > MAX_TAGS or len(tags) != len(pairs):
        raise S3Refusal("InvalidTag")
    if any(not 1 <= len(name) <= 128 or len(value) > 256 for name, value in pairs):
        raise S3Refusal("InvalidTag")
    return tags


def object_headers(version: Version, bucket: Bucket) -> dict[str, str]:
    """What is told of an object, besides its length and its checksum."""
    content = version.content
    if content is None:
        raise ValueError(f"{version.key!r} is deleted")
    attributes = version.attributes
    told = {"Content-Type": "binary/octet-stream", **attributes.headers}
    if "content-type" in told:
        told["Content-Type"] = told.pop("content-type")
    for name, value in attributes.meta.items():
        told[META + name] = value
    told["ETag"] = quoted(content.etag)
    told["Last-Modified"] = http_date(version.modified)
    told["Accept-Ranges"] = "bytes"
    if attributes.storage_class != "STANDARD":
        told["x-amz-storage-class"] = attributes.storage_class
    if attributes.tags:
        told["x-amz-tagging-count"] = str(len(attributes.tags))
    if bucket.versioning != "never":
        told["x-amz-version-id"] = version.version_id
    return told


def encryption_told(attributes: Attributes) -> dict[str, str]:
    """What the answer to a write tells of what is kept."""
    return {name: value for name, value in attributes.headers.items() if name.startswith(_SSE)}


def quoted(etag: str) -> str:
    """An ETag as S3 shows it."""
    return f'"{etag}"'


def http_date(time: datetime) -> str:
    return _http_date(int(time.timestamp()))


@lru_cache(maxsize=64)
def _http_date(epoch_s: int) -> str:
    return format_datetime(datetime.fromtimestamp(epoch_s, UTC), usegmt=True)


@lru_cache(maxsize=16)
def http_time(text: str) -> datetime | None:
    """A time as in "Tue, 20 Dec 2022 08:48:18 GMT"."""
    try:
        time = parsedate_to_datetime(text)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def iso_date(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.000Z"


def wanted_md5(headers: Mapping[str, str]) -> bytes | None:
    """What the client says the MD5 of the body is. Raises: S3Refusal."""
    text = headers.get("content-md5")
    if text is None:
        return None
    try:
        md5 = b64decode(text, validate=True)
    except (NotBase64, ValueError) as error:
        raise S3Refusal("InvalidDigest", more={"Content-MD5": text}) from error
    if len(md5) != 16:
        raise S3Refusal("InvalidDigest", more={"Content-MD5": text})
    return md5


def bound(call: Call, name: str, default: int, most: int) -> int:
    """A number in the query; what is above `most` counts as that. Raises: S3Refusal, if it is none from 0 on."""
    text = call.params.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 11):
        raise invalid(name, text)
    return min(int(text), most)
