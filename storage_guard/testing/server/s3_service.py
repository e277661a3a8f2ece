"""What all calls of S3 share: the buckets, the limits, the form of answers, and what is kept with an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import NamedTuple

from storage_guard.testing.server.blobs import Content
from storage_guard.testing.server.buckets import Bucket, Buckets
from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.exchange import Answer, Request, answered
from storage_guard.testing.server.limits import Bounds
from storage_guard.testing.server.objects import headers_of
from storage_guard.testing.server.refusals import Refusal, invalid
from storage_guard.testing.server.s3_errors import bad_request, error_document, status_of
from storage_guard.testing.server.s3_requests import MAX_KEY_BYTES
from storage_guard.testing.server.s3_switches import Switches
from storage_guard.testing.server.versions import Attributes, Version
from storage_guard.testing.server.wishes import count_in, kept_of, tags_of

_HOST = "storage/guard/testing/server/s3/of/the/loopback/"
OWNER_ID = "111122223333"
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
class Limits(Bounds):
    """The service's own, where a test wants no others."""

    min_part_bytes: int = 5 << 20
    meta_bytes: int = 2 << 10


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
        return answered(status, self.told(), headers, body)

    def told(self) -> dict[str, str]:
        """What all answers tell."""
        number = next(self._requests)
        return {
            "Server": "AmazonS3",
            "x-amz-request-id": f"{number:016X}",
            "x-amz-id-2": f"{_HOST}{number:016X}",
        }

    def refuse(self, request: Request, refusal: Refusal) -> Answer:
        told = {**self.told(), **refusal.headers}
        status = status_of(refusal)
        if status == 304:
            return Answer(304, told)
        told["Content-Type"] = "application/xml"
        if request.method == "HEAD":  # nothing but the status says why
            return Answer(status, told)
        ids = {"host_id": told["x-amz-id-2"], "request_id": told["x-amz-request-id"]}
        return Answer(status, told, error_document(refusal, **ids))


def key_of(call: Call) -> str:
    """Raises: Refusal, if it is not a name for an object."""
    key = call.key
    if key is None:
        raise invalid("Key", "", "The path is not UTF-8.")
    size_bytes = len(key.encode())
    if size_bytes > MAX_KEY_BYTES:
        raise Refusal("KeyTooLongError", more={"Size": str(size_bytes), "MaxSizeAllowed": str(MAX_KEY_BYTES)})
    return key


def attributes_of(headers: Mapping[str, str], limits: Limits) -> Attributes:
    """What a put, copy or begin wants kept. Raises: Refusal."""
    kept, meta = kept_of(headers, _KEPT, META)
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
        raise Refusal("MetadataTooLarge", more=more)
    storage_class = headers.get("x-amz-storage-class", "STANDARD")
    if storage_class not in STORAGE_CLASSES:
        raise Refusal("InvalidStorageClass", more={"StorageClassRequested": storage_class})
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
    """What was encrypted with a customer's key is read with it only. Raises: Refusal."""
    wanted = attributes.headers.get(f"{_CUSTOMER}key-md5")
    theirs = headers.get(prefix + _CUSTOMER.removeprefix("x-amz-") + "key-md5")
    if wanted is None and theirs is not None:
        raise bad_request("The object is not encrypted with a key of yours.")
    if wanted is not None and theirs is None:
        raise bad_request("The object is encrypted with a key of yours, which must be given.")
    if wanted != theirs:
        raise Refusal("AccessDenied", "The object is encrypted with another key.")


def object_headers(version: Version, bucket: Bucket) -> dict[str, str]:
    """What is told of an object, besides its length and its checksum."""
    told = headers_of(version, bucket, "x-amz-", quoted, default_type="binary/octet-stream")
    if version.attributes.storage_class != "STANDARD":
        told["x-amz-storage-class"] = version.attributes.storage_class
    return told


def encryption_told(attributes: Attributes) -> dict[str, str]:
    """What the answer to a write tells of what is kept."""
    return {name: value for name, value in attributes.headers.items() if name.startswith(_SSE)}


def quoted(etag: str) -> str:
    """An ETag as S3 shows it."""
    return f'"{etag}"'


def bound(call: Call, name: str, default: int, most: int) -> int:
    """A number in the query; what is above `most` counts as that. Raises: Refusal, if it is none from 0 on."""
    text = call.params.get(name)
    if not text:
        return default
    number = count_in(text, digits=10)
    if number is None:
        raise invalid(name, text)
    return min(number, most)
