"""OSS's calls on one object: put, copy, head, read, remove, and what is known of it."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

from storage_guard.testing.server.blobs import Arriving, Content
from storage_guard.testing.server.buckets import Bucket, Which, fails
from storage_guard.testing.server.calls import Call, copy_source
from storage_guard.testing.server.dates import http_date, http_time, iso_date
from storage_guard.testing.server.documents import document, element, leaf
from storage_guard.testing.server.exchange import Answer
from storage_guard.testing.server.objects import bytes_of, marker_leaves, removal_told, source_named
from storage_guard.testing.server.oss_requests import MAX_KEY_BYTES
from storage_guard.testing.server.oss_service import Service, attributes_of, key_of, must_be_new, object_headers, quoted
from storage_guard.testing.server.refusals import Refusal, invalid, marker_told
from storage_guard.testing.server.versions import Attributes, Version
from storage_guard.testing.server.wishes import replaces, to_remove

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_OVERRIDES = ("content-type", "content-language", "expires", "cache-control", "content-disposition", "content-encoding")


def put(service: Service, call: Call, body: Arriving) -> Answer:
    bucket = service.state[call.bucket]
    key = key_of(call)
    attributes = attributes_of(call.request.headers, service.limits)
    if must_be_new(call, bucket):
        bucket.require_free(key)
    version = bucket.put(key, body.end(), attributes)
    return service.answer(200, written(version, bucket))


def written(version: Version, bucket: Bucket) -> dict[str, str]:
    content = version.content
    if content is None:
        raise ValueError(f"{version.key!r} is deleted")
    told = {"ETag": quoted(content.etag), "x-oss-hash-crc64ecma": str(content.crc)}
    told.update((name, value) for name, value in version.attributes.headers.items() if name.startswith("x-oss-"))
    if bucket.versioning != "never":
        told["x-oss-version-id"] = version.version_id
    return told


def source_of(service: Service, call: Call) -> tuple[Version, Content, dict[str, str]]:
    """What a copy copies, if its conditions hold, and what the answer tells of it."""
    text = call.request.headers["x-oss-copy-source"]
    bucket, version = source_named(service.state, "x-oss-copy-source", text)
    if version.content is None:
        # The version that was asked for is a delete marker: help.aliyun.com/document_detail/31979.html
        raise Refusal("NoSuchKey", more={"Key": version.key})
    _require(call, version, "x-oss-copy-source-")
    told = {"x-oss-copy-source-version-id": version.version_id} if bucket.versioning != "never" else {}
    return version, version.content, told


def copy(service: Service, call: Call, _: bytes) -> Answer:
    bucket = service.state[call.bucket]
    key = key_of(call)
    headers = call.request.headers
    source, content, told = source_of(service, call)
    wanted = attributes_of(headers, service.limits)
    own_meta, own_tags = replaces(headers, "x-oss-")
    if _too_large(service, call, content):
        raise Refusal("EntityTooLarge", "Too large to be copied between buckets at once.")
    kept = wanted if own_meta else source.attributes
    asked = {name: value for name, value in wanted.headers.items() if name.startswith("x-oss-")}
    attributes = Attributes(
        {**kept.headers, **asked},
        kept.meta,
        (wanted if own_tags else source.attributes).tags,
        wanted.storage_class,
        wanted.acl,
    )
    if must_be_new(call, bucket):
        bucket.require_free(key)
    version = bucket.put(key, content, attributes)
    result = element(
        "CopyObjectResult", leaf("ETag", quoted(content.etag)), leaf("LastModified", iso_date(version.modified))
    )
    return service.answer(200, {**written(version, bucket), **told}, document(result))


def _too_large(service: Service, call: Call, content: Content) -> bool:
    named = copy_source(call.request.headers["x-oss-copy-source"])
    return named is not None and named[0] != call.bucket and content.size_bytes > service.limits.copy_bytes


def _require(call: Call, version: Version, prefix: str) -> None:
    """Raises: Refusal, if a condition of the headers that begin with `prefix` does not hold."""
    headers = call.request.headers
    conditions: list[tuple[Which, str | datetime]] = []
    # The order of RFC 9110; OSS's documents name none.
    names: tuple[tuple[str, Which], ...] = (
        ("if-match", "matches"),
        ("if-unmodified-since", "not newer"),
        ("if-none-match", "differs"),
        ("if-modified-since", "newer"),
    )
    for name, which in names:
        value = headers.get(prefix + name)
        if value is None:
            continue
        if which in {"matches", "differs"}:
            conditions.append((which, value))
            continue
        time = http_time(value)
        if time is None:
            raise invalid(prefix + name, value)
        conditions.append((which, time))
    failed = fails(version, conditions) if conditions else None
    if failed in {"matches", "not newer"}:
        raise Refusal("PreconditionFailed")
    if failed is not None:
        told = {"ETag": quoted("" if version.content is None else version.content.etag)}
        raise Refusal("NotModified", headers={**told, "Last-Modified": http_date(version.modified)})


def _found(service: Service, call: Call) -> tuple[Version, Content, Bucket]:
    bucket = service.state[call.bucket]
    version_id = call.params.get("versionId")
    version = bucket.find(key_of(call), version_id)
    if version.content is None:
        raise Refusal("MethodNotAllowed", headers=marker_told(version, "x-oss-"))
    _require(call, version, "")
    return version, version.content, bucket


def head(service: Service, call: Call, _: bytes) -> Answer:
    version, content, bucket = _found(service, call)
    told = object_headers(version, bucket)
    if "objectMeta" in call.params:
        short = ("ETag", "Last-Modified", "x-oss-hash-crc64ecma", "x-oss-version-id")
        told = {name: told[name] for name in short if name in told}
    return Answer(200, {**service.told(), **told}, b"", content.size_bytes)


def read(service: Service, call: Call, _: bytes) -> Answer:
    version, content, bucket = _found(service, call)
    told = {**service.told(), **object_headers(version, bucket)}
    for name in _OVERRIDES:
        value = call.params.get(f"response-{name}")
        if value is not None:
            told["Content-Type" if name == "content-type" else name] = value
    asked = call.request.headers.get("range")
    standard = call.request.headers.get("x-oss-range-behavior") == "standard"
    span = None if asked is None else span_of(asked, content.size_bytes, standard=standard)
    return bytes_of(content, span, told)


def span_of(text: str, size_bytes: int, *, standard: bool) -> tuple[int, int] | None:
    """The bytes that a range asks, as start and stop; None for the whole object, which is what OSS gives for any range
    that it does not like. With `standard` a range that reaches too far is shortened, and one without any byte is a
    refusal. See help.aliyun.com/document_detail/39571.html; of several ranges the first counts there."""
    match = _RANGE.fullmatch(text.partition(",")[0].strip())
    if match is None or not (match[1] or match[2]):
        return None
    if match[1]:
        start = int(match[1])
        last = int(match[2]) if match[2] else size_bytes - 1
        if match[2] and last < start:
            return None
        fits = start < size_bytes and last < size_bytes
    else:
        start, last = size_bytes - int(match[2]), size_bytes - 1
        fits = 0 <= start < size_bytes
    if fits:
        return start, last + 1
    if not standard:
        return None
    if start >= size_bytes:
        raise Refusal("InvalidRange", more={"ActualObjectSize": str(size_bytes), "RangeRequested": text})
    return max(start, 0), min(last + 1, size_bytes)


def remove(service: Service, call: Call, _: bytes) -> Answer:
    bucket = service.state[call.bucket]
    return service.answer(204, removal_told(bucket, key_of(call), call.params.get("versionId"), "x-oss-"))


def remove_many(service: Service, call: Call, body: bytes) -> Answer:
    bucket = service.state[call.bucket]
    if "content-md5" not in call.request.headers:
        raise Refusal("InvalidArgument", "This call needs a Content-MD5.")
    wanted, quiet = _to_remove(body)
    encoded = call.params.get("encoding-type") == "url"
    told: list[str] = [leaf("EncodingType", "url")] if encoded else []
    for key, version_id in wanted:
        gone = bucket.remove(key, version_id)
        if quiet:
            continue
        fields = [leaf("Key", quote(key, safe="") if encoded else key)]
        if version_id is not None:
            fields.append(leaf("VersionId", version_id))
        told.append(element("Deleted", *fields, *marker_leaves(gone)))
    return service.answer(200, {}, b"" if quiet else document(element("DeleteResult", *told)))


def _to_remove(body: bytes) -> tuple[list[tuple[str, str | None]], bool]:
    named, quiet = to_remove(body, MAX_KEY_BYTES)
    wanted = [(key, node.text("VersionId")) for key, node in named]
    if any(version_id == "" for _, version_id in wanted):
        raise Refusal("MalformedXML", ec="0016-00000612")
    return wanted, quiet


def get_tags(service: Service, call: Call, _: bytes) -> Answer:
    version, _content, _bucket = _found(service, call)
    tags = (element("Tag", leaf("Key", name), leaf("Value", value)) for name, value in version.attributes.tags.items())
    return service.answer(200, {}, document(element("Tagging", element("TagSet", *tags))))


def get_acl(service: Service, call: Call, _: bytes) -> Answer:
    version, _content, _bucket = _found(service, call)
    grant = element("AccessControlList", leaf("Grant", version.attributes.acl))
    return service.answer(200, {}, document(element("AccessControlPolicy", OWNER, grant)))


OWNER = element("Owner", leaf("ID", "0"), leaf("DisplayName", "owner"))
