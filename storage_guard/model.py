"""The nouns: what an object, a part, an upload and a store's limits are. Plain values, no behaviour, no I/O.

Slots where a listing makes very many; they make each class slower to import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*")  # what percent-encoding leaves as it is

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB
TiB = 1024 * GiB

ChecksumAlgorithm = Literal["crc64xz", "crc64nvme", "md5", "crc32c"]
Verifier = Literal["store", "client"]
Vouch = Literal["documented", "raced", "probed", "unproven", "missing"]
Guarantee = Literal["documented", "raced", "probed", "trusted"]
Versioning = Literal["never", "enabled", "suspended", "unknown"]


@dataclass(frozen=True)
class Checksum:
    """A checksum of an object's or a part's bytes; `value` in lower-case hexadecimal."""

    algorithm: ChecksumAlgorithm
    value: str


@dataclass(frozen=True)
class Encryption:
    """Server-side encryption. `key_id` names a key of the service's, `customer_key` is one the service forgets."""

    algorithm: str
    key_id: str | None = None
    customer_key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Retention:
    """Until when the service itself refuses to remove the object."""

    mode: Literal["governance", "compliance"]
    until: datetime
    legal_hold: bool = False


@dataclass(frozen=True)
class ObjectOptions:
    """What travels with the bytes. A backend that cannot do one of these refuses it, it is never dropped.

    `metadata`: names `[a-z0-9][a-z0-9-]*`, printable ASCII values, at most 2 KiB of names and values together
    (the smallest limit among the services). `guardid` and names that begin with `guard-` are ours.
    """

    content_type: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    storage_class: str | None = None
    acl: str | None = None
    encryption: Encryption | None = None
    retention: Retention | None = None
    request_payer: str | None = None
    expected_bucket_owner: str | None = None


NO_OPTIONS = ObjectOptions()
"""Shared by all writes without options, so that `is` tells them."""


@dataclass(frozen=True)
class WriteMeta:
    """What is stored beside the bytes: whose write it is (`write_id`) and the caller's options.

    `lasting` is a wish for `begin`: this upload is to be gone on with, by another process of this machine, if ours
    dies. A service keeps every upload anyway; a backend that would not keeps this one, as far as it can.
    """

    write_id: str
    options: ObjectOptions = field(default_factory=ObjectOptions)
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as the store describes it.

    `write_id` is None for an object that another program wrote. `modified` is aware, in UTC. `verified_by` is
    set on the answer to a write only: who compared a checksum before the object was published. A listing may
    leave `write_id`, `checksum` and `options` empty; `head` never does.
    """

    key: str
    size_bytes: int
    etag: str
    modified: datetime
    version_id: str | None = None
    write_id: str | None = None
    checksum: Checksum | None = None
    options: ObjectOptions = field(default_factory=ObjectOptions)
    verified_by: Verifier | None = None


@dataclass(frozen=True, slots=True)
class Prefix:
    """A "folder" of a listing with a delimiter; `key` ends with the delimiter."""

    key: str


@dataclass(frozen=True, slots=True)
class PartSlot:
    """Where a part belongs. `number` counts from 1."""

    number: int
    offset_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part that the store has. `modified`, aware and in UTC, only where the store says it."""

    slot: PartSlot
    etag: str
    checksum: Checksum | None = None
    modified: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Upload:
    """An open multipart upload: invisible, possibly billed, until it is finished or aborted."""

    key: str
    upload_id: str
    started: datetime


@dataclass(frozen=True)
class Swept:
    """What a sweep did: which uploads it aborted, which it kept and why, and what in the journal nobody can read."""

    removed: tuple[Upload, ...]
    kept: tuple[tuple[Upload, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """What the service accepts. Parts are numbered 1 to `max_parts`; the last may be smaller than `min_part_bytes`."""

    max_put_bytes: int
    min_part_bytes: int
    max_part_bytes: int
    max_parts: int
    max_object_bytes: int
    max_key_bytes: int = 1023
    equal_parts: bool = False


@dataclass(frozen=True)
class Location:
    """Where a driver's keys live: `container` is the bucket, the root folder, or the name of a memory store."""

    scheme: str
    endpoint: str
    container: str
    prefix: str = ""

    def url(self, key: str = "") -> str:
        """The address of `key` for people and logs: percent-encoded, never with credentials."""
        path = "/".join([piece for piece in (self.container.rstrip("/"), self.prefix.strip("/"), key) if piece])
        if self.container.startswith("/") and not path.startswith("/"):
            path = f"/{path}"  # the root folder itself
        if _PLAIN.fullmatch(path):
            return f"{self.scheme}://{path}"
        from urllib.parse import quote_from_bytes  # noqa: PLC0415 - a twentieth of the whole import

        # A folder's name need not be UTF-8: percent-encoding keeps the bytes that Python hid in surrogates.
        return f"{self.scheme}://{quote_from_bytes(path.encode(errors='surrogateescape'), safe='/~')}"

    @property
    def place(self) -> str:
        """The same for all who mean this container, and another for one of its name at another service."""
        return f"{self.url()} at {self.endpoint}" if self.endpoint else self.url()

    def same_service(self, other: Location) -> bool:
        """Whether the service itself can copy from the one to the other."""
        return (self.scheme, self.endpoint) == (other.scheme, other.endpoint)


@dataclass(frozen=True)
class ObjectRef:
    """An object to read or copy, perhaps of another bucket. A given `etag` or `version_id` pins it."""

    location: Location
    key: str
    version_id: str | None = None
    etag: str | None = None


@dataclass(frozen=True)
class Capabilities:
    """What is known of a store without writing to it.

    `put`, `finish` and `copy` say who vouches that the create-only condition is kept by that operation:
    "documented" (the service or the kernel does), "unproven" (it must be examined first), "missing" (it is not
    kept, or cannot be had); of a store that was examined "raced" (it held, side by side too) or "probed" (it held, but
    nothing could be sent side by side). `server`: what the store calls itself, where it says so: a verdict of the
    examination holds for this one. `write_ids`: objects can carry the id of their write, so that a lost answer can be
    resolved. `conditional_remove`: a removal can be pinned to an etag in one step. `uploads_stay`: an upload that its
    writer forgets stays, invisible and perhaps billed, until somebody aborts it. `reason`: why, for people.
    """

    put: Vouch
    finish: Vouch
    copy: Vouch
    versioning: Versioning = "never"
    write_ids: bool = True
    conditional_remove: bool = True
    uploads_stay: bool = True
    reason: str = ""
    server: str = ""


@dataclass(frozen=True)
class Receipt:
    """What `create` and `settle` answer when the object is there as the caller wants it.

    `outcome`: "created" (ours), "same" (another's, with the same bytes: `if_exists="same"`), "present" (something is
    there: `if_exists="skip"`; `size_bytes` and `etag` are None where the store was not asked). `write_id` is that of
    the object. `resolved`: an answer was lost, and who wrote was found out by looking. `attempts` counts the commit
    requests, `parts` the parts (0: one request). `guarantee` says who vouches for the condition, `verified_by` who
    compared a checksum before publishing. `notes` tells of trouble while cleaning up, such as an upload left open.
    """

    key: str
    url: str
    size_bytes: int | None
    etag: str | None
    version_id: str | None
    checksum: Checksum | None
    verified_by: Verifier | None
    guarantee: Guarantee
    write_id: str | None
    outcome: Literal["created", "same", "present"]
    resolved: bool
    attempts: int
    parts: int
    elapsed_s: float
    notes: tuple[str, ...] = ()
