"""`ObjectOptions` as headers, and back. Pure.

What the service gives an object that asks for nothing reads back as nothing: the types application/octet-stream and
binary/octet-stream, the class STANDARD, the encryption AES256 (AWS's for all objects since 2023). An acl is not read
back, because HEAD does not tell it. What every request must carry (`request_payer`, `expected_bucket_owner`, a
customer's key) belongs to the whole driver: a write may only ask for what the driver has.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from storage_guard.driver import Encryption, ObjectOptions, Refused, Retention, Unsupported, WriteMeta
from storage_guard.names import MAX_METADATA_BYTES, WRITE_ID

META = "x-amz-meta-"
WRITE_ID_HEADER = META + WRITE_ID
PAYER = "x-amz-request-payer"
OWNER = "x-amz-expected-bucket-owner"
_ENCRYPTION = "x-amz-server-side-encryption"
_KEY_ID = "x-amz-server-side-encryption-aws-kms-key-id"
_CUSTOMER = "x-amz-server-side-encryption-customer-"
_LOCK_MODE = "x-amz-object-lock-mode"
_LOCK_UNTIL = "x-amz-object-lock-retain-until-date"
_LOCK_HOLD = "x-amz-object-lock-legal-hold"
_DEFAULT_TYPE = "application/octet-stream"
_DEFAULT_TYPES = (_DEFAULT_TYPE, "binary/octet-stream")
_DEFAULT_CLASS = "STANDARD"
_DEFAULT_ENCRYPTION = "AES256"
_ALGORITHMS = ("AES256", "aws:kms", "aws:kms:dsse")
_KMS = ("aws:kms", "aws:kms:dsse")
CUSTOMER_KEY_BYTES = 32

_PLAIN = {
    "cache_control": "Cache-Control",
    "content_disposition": "Content-Disposition",
    "content_encoding": "Content-Encoding",
    "content_language": "Content-Language",
}


@dataclass(frozen=True)
class Standing:
    """What goes with every request of a driver. Raises ValueError for what is none."""

    payer: str | None = None
    owner: str | None = None
    customer_key: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.payer not in (None, "requester"):
            raise ValueError(f"request_payer is 'requester' or None, got {self.payer!r}")
        if self.owner is not None and not re.fullmatch(r"\d{12}", self.owner):
            raise ValueError(f"expected_bucket_owner is an account of 12 digits, got {self.owner!r}")
        if self.customer_key is not None and len(self.customer_key) != CUSTOMER_KEY_BYTES:
            raise ValueError(f"a customer_key has {CUSTOMER_KEY_BYTES} bytes, not {len(self.customer_key)}")

    def always(self) -> dict[str, str]:
        headers = {} if self.payer is None else {PAYER: self.payer}
        return headers if self.owner is None else {**headers, OWNER: self.owner}

    def key_headers(self, *, of_source: bool = False) -> dict[str, str]:
        """For what writes and reads bytes, and, as a copy's source, what reads them beside."""
        if self.customer_key is None:
            return {}
        prefix = f"x-amz-copy-source-{_CUSTOMER.removeprefix('x-amz-')}" if of_source else _CUSTOMER
        md5 = hashlib.md5(self.customer_key, usedforsecurity=False).digest()
        return {
            f"{prefix}algorithm": "AES256",
            f"{prefix}key": b64encode(self.customer_key).decode(),
            f"{prefix}key-MD5": b64encode(md5).decode(),
        }


def check_options(options: ObjectOptions, standing: Standing) -> None:
    """Raises `Unsupported` for what S3 does not do, or not for one write alone."""
    for name, asked, has in (
        ("request_payer", options.request_payer, standing.payer),
        ("expected_bucket_owner", options.expected_bucket_owner, standing.owner),
    ):
        if asked not in (None, has):
            raise Unsupported(f"{name}={asked!r} must be given to the driver: every request has to carry it")
    encryption = options.encryption
    if encryption is None:
        return
    if encryption.customer_key not in (None, standing.customer_key):
        raise Unsupported("a customer_key must be given to the driver: parts and reads have to carry it too")
    if encryption.algorithm not in _ALGORITHMS:
        raise Unsupported(f"S3 encrypts with {', '.join(_ALGORITHMS)}, not {encryption.algorithm!r}")
    if encryption.key_id is not None and encryption.algorithm not in _KMS:
        raise Unsupported(f"a key_id goes with {' and '.join(_KMS)} only, not with {encryption.algorithm}")
    if standing.customer_key is not None and encryption.algorithm != _DEFAULT_ENCRYPTION:
        raise Unsupported(f"what a customer's key encrypts is not encrypted with {encryption.algorithm} too")


def headers_of(meta: WriteMeta, standing: Standing) -> dict[str, str]:
    """What a put, a copy or a begin says about the object. Raises `Unsupported`, `Refused`."""
    options = meta.options
    check_options(options, standing)
    headers = {"Content-Type": options.content_type or _DEFAULT_TYPE, WRITE_ID_HEADER: meta.write_id}
    headers |= standing.key_headers()
    for name, header in _PLAIN.items():
        value: str | None = getattr(options, name)
        if value is not None:
            headers[header] = value
    if options.metadata:
        headers |= _metadata(meta)
    if options.tags:
        headers["x-amz-tagging"] = urlencode(options.tags, quote_via=quote, safe="")
    if options.storage_class is not None:
        headers["x-amz-storage-class"] = options.storage_class
    if options.acl is not None:
        headers["x-amz-acl"] = options.acl
    if options.encryption is not None and standing.customer_key is None:
        headers[_ENCRYPTION] = options.encryption.algorithm
        if options.encryption.key_id is not None:
            headers[_KEY_ID] = options.encryption.key_id
    if options.retention is not None:
        headers |= _lock(options.retention)
    return headers


def _metadata(meta: WriteMeta) -> dict[str, str]:
    metadata = meta.options.metadata
    size_bytes = sum(len(name) + len(value) for name, value in metadata.items())
    own_bytes = len(WRITE_ID) + len(meta.write_id)
    if size_bytes + own_bytes > MAX_METADATA_BYTES:
        raise Unsupported(
            f"S3 keeps {MAX_METADATA_BYTES} bytes of metadata, {own_bytes} of them the write id, not {size_bytes} more"
        )
    for name in metadata:
        if name.lower() == WRITE_ID:
            raise Refused(f"the metadata name {name!r} is the library's own", why="request")
    return {META + name: value for name, value in metadata.items()}


def _lock(retention: Retention) -> dict[str, str]:
    if retention.until.tzinfo is None:
        raise Refused(f"a retention ends at a time with a zone, got {retention.until!r}", why="request")
    until = retention.until.astimezone(UTC)
    headers = {
        _LOCK_MODE: retention.mode.upper(),
        _LOCK_UNTIL: f"{until:%Y-%m-%dT%H:%M:%S}.{until.microsecond // 1000:03}Z",
    }
    return {**headers, _LOCK_HOLD: "ON"} if retention.legal_hold else headers


def options_of(headers: Mapping[str, str], tags: Mapping[str, str]) -> ObjectOptions:
    """What HEAD tells. `headers` in lower case; `tags` are asked for apart."""
    content_type, storage_class = headers.get("content-type"), headers.get("x-amz-storage-class")
    encryption = headers.get(_ENCRYPTION)
    return ObjectOptions(
        content_type=None if content_type in _DEFAULT_TYPES else content_type,
        cache_control=headers.get("cache-control"),
        content_disposition=headers.get("content-disposition"),
        content_encoding=headers.get("content-encoding"),
        content_language=headers.get("content-language"),
        metadata={
            name[len(META) :]: value
            for name, value in headers.items()
            if name.startswith(META) and name != WRITE_ID_HEADER
        },
        tags=dict(tags),
        storage_class=None if storage_class == _DEFAULT_CLASS else storage_class,
        encryption=None
        if encryption in (None, _DEFAULT_ENCRYPTION)
        else Encryption(encryption, headers.get(_KEY_ID) if encryption in _KMS else None),
        retention=_retention(headers),
    )


def _retention(headers: Mapping[str, str]) -> Retention | None:
    """None also for a hold without a term, which `Retention` has no word for."""
    mode, until = headers.get(_LOCK_MODE, "").lower(), headers.get(_LOCK_UNTIL)
    if mode not in ("governance", "compliance") or until is None:
        return None
    try:
        end = datetime.fromisoformat(until)
    except ValueError:
        return None
    end = end.replace(tzinfo=UTC) if end.tzinfo is None else end.astimezone(UTC)
    return Retention("governance" if mode == "governance" else "compliance", end, headers.get(_LOCK_HOLD) == "ON")
