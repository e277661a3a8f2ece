"""What is told of objects: when they are looked at, read, copied and removed."""

from __future__ import annotations

from collections.abc import Callable

from storage_guard.testing.server.blobs import WINDOW_BYTES, Content
from storage_guard.testing.server.buckets import Bucket, Buckets, NoSuchKey, NoSuchVersion
from storage_guard.testing.server.calls import copy_source
from storage_guard.testing.server.dates import http_date
from storage_guard.testing.server.documents import leaf
from storage_guard.testing.server.exchange import Answer
from storage_guard.testing.server.refusals import Refusal, invalid
from storage_guard.testing.server.versions import Version


def headers_of(
    version: Version, bucket: Bucket, prefix: str, etag: Callable[[str], str], *, default_type: str
) -> dict[str, str]:
    """What every service tells of an object, besides its length. `prefix`: of the service's headers; `etag`: how it
    shows one."""
    content = version.content
    if content is None:
        raise ValueError(f"{version.key!r} is deleted")
    attributes = version.attributes
    told = {"Content-Type": default_type, **attributes.headers}
    if "content-type" in told:
        told["Content-Type"] = told.pop("content-type")
    for name, value in attributes.meta.items():
        told[f"{prefix}meta-{name}"] = value
    told["ETag"] = etag(content.etag)
    told["Last-Modified"] = http_date(version.modified)
    told["Accept-Ranges"] = "bytes"
    if attributes.tags:
        told[f"{prefix}tagging-count"] = str(len(attributes.tags))
    if bucket.versioning != "never":
        told[f"{prefix}version-id"] = version.version_id
    return told


def range_told(start: int, stop: int, size_bytes: int) -> dict[str, str]:
    return {"Content-Range": f"bytes {start}-{stop - 1}/{size_bytes}"}


def bytes_of(content: Content, span: tuple[int, int] | None, told: dict[str, str]) -> Answer:
    """The answer to a read. `span`: start and stop, None for the whole object."""
    start, stop = span or (0, content.size_bytes)
    if span is not None:
        told |= range_told(start, stop, content.size_bytes)
    status = 200 if span is None else 206
    if stop - start <= WINDOW_BYTES:
        return Answer(status, told, b"".join(content.blob.windows(start, stop)))
    return Answer(status, told, content.blob.windows(start, stop), stop - start)


def source_named(state: Buckets, header: str, text: str, message: str = "") -> tuple[Bucket, Version]:
    """What a copy copies: `text` is the value of `header`. Raises: Refusal, with the `message` if it names nothing;
    NoSuchBucket."""
    named = copy_source(text)
    if named is None:
        raise invalid(header, text, message)
    bucket_name, key, version_id = named
    bucket = state[bucket_name]
    try:
        return bucket, bucket.find(key, version_id)
    except (NoSuchKey, NoSuchVersion) as refused:
        raise Refusal(type(refused).__name__, more={"Key": key}) from refused


def removal_told(bucket: Bucket, key: str, version_id: str | None, prefix: str) -> dict[str, str]:
    """Removes it, and tells what became of it. `prefix`: of the service's headers."""
    gone = bucket.remove(key, version_id)
    told: dict[str, str] = {}
    if gone is not None and gone.content is None:
        told[f"{prefix}delete-marker"] = "true"
    shown = version_id if gone is None else gone.version_id
    if bucket.versioning != "never" and shown is not None:
        told[f"{prefix}version-id"] = shown
    return told


def marker_leaves(gone: Version | None) -> list[str]:
    """What the list of what was removed says of a delete marker: one that was written, or taken away."""
    if gone is None or gone.content is not None:
        return []
    return [leaf("DeleteMarker", "true"), leaf("DeleteMarkerVersionId", gone.version_id)]
