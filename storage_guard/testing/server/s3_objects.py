"""S3's calls on one object: put, head, read, remove, and what is known of it."""

from __future__ import annotations

import re

from storage_guard.testing.server.blobs import Content
from storage_guard.testing.server.buckets import Bucket, fails
from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.documents import document, element, leaf
from storage_guard.testing.server.exchange import Answer
from storage_guard.testing.server.objects import bytes_of, marker_leaves, range_told, removal_told
from storage_guard.testing.server.refusals import Refusal, marker_told
from storage_guard.testing.server.s3_checksums import told_of
from storage_guard.testing.server.s3_conditions import Guard, require_of
from storage_guard.testing.server.s3_errors import bad_request, error_fields
from storage_guard.testing.server.s3_requests import MAX_KEY_BYTES
from storage_guard.testing.server.s3_service import (
    OWNER_ID,
    Service,
    attributes_of,
    disguised,
    encryption_told,
    key_of,
    object_headers,
    quoted,
    require_key_of_customer,
)
from storage_guard.testing.server.versions import Attributes, Version
from storage_guard.testing.server.wishes import checked_tags, read_document, to_remove

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_OVERRIDES = ("Content-Type", "Content-Language", "Expires", "Cache-Control", "Content-Disposition", "Content-Encoding")
XMLNS = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def put(service: Service, call: Call, content: Content, guard: Guard) -> Answer:
    bucket = service.state[call.bucket]
    key = key_of(call)
    attributes = attributes_of(call.request.headers, service.limits)
    guard.require(bucket)
    version = bucket.put(key, disguised(content, attributes), attributes)
    guard.tell()
    return service.answer(200, {**written(version, bucket), **told_of(content)})


def written(version: Version, bucket: Bucket) -> dict[str, str]:
    content = version.content
    if content is None:
        raise ValueError(f"{version.key!r} is deleted")
    told = {"ETag": quoted(content.etag), **encryption_told(version.attributes)}
    if bucket.versioning != "never":
        told["x-amz-version-id"] = version.version_id
    return told


def _found(service: Service, call: Call) -> tuple[Version, Content, Bucket]:
    bucket = service.state[call.bucket]
    version = bucket.find(key_of(call), call.params.get("versionId"))
    if version.content is None:
        raise Refusal("MethodNotAllowed", headers={**marker_told(version, "x-amz-"), "Allow": "DELETE"})
    return version, version.content, bucket


def _shown(service: Service, call: Call) -> tuple[Content, dict[str, str]]:
    version, content, bucket = _found(service, call)
    headers = call.request.headers
    require_key_of_customer(headers, version.attributes)
    require_of(headers, version)
    told = {**service.told(), **object_headers(version, bucket)}
    if headers.get("x-amz-checksum-mode", "").upper() == "ENABLED" and "range" not in headers:
        told |= told_of(content)
    for name in _OVERRIDES:
        value = call.params.get(f"response-{name.lower()}")
        if value is not None:
            told.pop(name.lower(), None)
            told[name] = value
    return content, told


def head(service: Service, call: Call, _: bytes) -> Answer:
    content, told = _shown(service, call)
    span = _span(call, content)
    if span is None:
        return Answer(200, told, b"", content.size_bytes)
    told |= range_told(*span, content.size_bytes)
    return Answer(206, told, b"", span[1] - span[0])


def read(service: Service, call: Call, _: bytes) -> Answer:
    content, told = _shown(service, call)
    return bytes_of(content, _span(call, content), told)


def _span(call: Call, content: Content) -> tuple[int, int] | None:
    text = call.request.headers.get("range")
    return None if text is None else span_of(text, content.size_bytes)


def span_of(text: str, size_bytes: int) -> tuple[int, int] | None:
    """The bytes that a range asks, as start and stop; None for the whole object, which is what a range gets that is not
    one (RFC 9110, 14.2), or several. Raises: Refusal, if none of its bytes is there."""
    match = _RANGE.fullmatch(text.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if match[1]:
        start = int(match[1])
        stop = min(int(match[2]) + 1, size_bytes) if match[2] else size_bytes
        if match[2] and int(match[2]) < start:
            return None
    else:
        start, stop = max(size_bytes - int(match[2]), 0), size_bytes
    if start >= stop:
        raise Refusal("InvalidRange", more={"RangeRequested": text, "ActualObjectSize": str(size_bytes)})
    return start, stop


def remove(service: Service, call: Call, _: bytes) -> Answer:
    bucket = service.state[call.bucket]
    key = key_of(call)
    version_id = call.params.get("versionId")
    require_removable(bucket, key, version_id, call.request.headers.get("if-match"))
    return service.answer(204, removal_told(bucket, key, version_id, "x-amz-"))


def require_removable(bucket: Bucket, key: str, version_id: str | None, etag: str | None) -> None:
    """Raises: Refusal, if the object is not there that must match `etag`, or does not."""
    if etag is None:
        return
    version = bucket.histories.version(key, version_id) if version_id else bucket.histories.current(key)
    if version is None or version.content is None:
        raise Refusal("NoSuchKey", more={"Key": key})
    if fails(version, [("matches", etag)]) is not None:
        raise Refusal("PreconditionFailed", more={"Condition": "If-Match"})


def remove_many(service: Service, call: Call, body: bytes) -> Answer:
    bucket = service.state[call.bucket]
    headers = call.request.headers
    if "content-md5" not in headers and not any(name.startswith("x-amz-checksum-") for name in headers):
        raise bad_request("This call needs a Content-MD5 or a checksum.")
    wanted, quiet = _to_remove(body)
    told: list[str] = []
    for key, version_id, etag in wanted:
        named = [leaf("Key", key)] + ([] if version_id is None else [leaf("VersionId", version_id)])
        try:
            require_removable(bucket, key, version_id, etag)
        except Refusal as refusal:
            told.append(element("Error", *named, *error_fields(refusal)[:2]))
            continue
        gone = bucket.remove(key, version_id)
        if quiet:
            continue
        told.append(element("Deleted", *named, *marker_leaves(gone)))
    return service.answer(200, {}, document(f"<DeleteResult{XMLNS}>{''.join(told)}</DeleteResult>"))


def _to_remove(body: bytes) -> tuple[list[tuple[str, str | None, str | None]], bool]:
    named, quiet = to_remove(body, MAX_KEY_BYTES)
    return [(key, node.text("VersionId") or None, node.text("ETag")) for key, node in named], quiet


def get_tags(service: Service, call: Call, _: bytes) -> Answer:
    version, _content, bucket = _found(service, call)
    tags = "".join(
        element("Tag", leaf("Key", name), leaf("Value", value)) for name, value in version.attributes.tags.items()
    )
    return service.answer(
        200, _version_told(version, bucket), document(f"<Tagging{XMLNS}><TagSet>{tags}</TagSet></Tagging>")
    )


def put_tags(service: Service, call: Call, body: bytes) -> Answer:
    root = read_document(body, "Tagging")
    pairs = [(tag.text("Key") or "", tag.text("Value") or "") for tags in root.all("TagSet") for tag in tags.all("Tag")]
    return _changed(service, call, tags=checked_tags(pairs))


def remove_tags(service: Service, call: Call, _: bytes) -> Answer:
    return _changed(service, call, tags={}, status=204)


def get_acl(service: Service, call: Call, _: bytes) -> Answer:
    version, _content, bucket = _found(service, call)
    owner = element("Owner", leaf("ID", OWNER_ID))
    whole = element("Grant", _GRANTEE, leaf("Permission", "FULL_CONTROL"))
    public = element("Grant", _EVERYBODY, leaf("Permission", "READ"))
    grants = whole + (public if version.attributes.acl.startswith("public-read") else "")
    body = f"<AccessControlPolicy{XMLNS}>{owner}{element('AccessControlList', grants)}</AccessControlPolicy>"
    return service.answer(200, _version_told(version, bucket), document(body))


def put_acl(service: Service, call: Call, body: bytes) -> Answer:
    if body:
        raise Refusal("NotImplemented", "Only the lists that have a name are known here.")
    acl = attributes_of(call.request.headers, service.limits).acl
    return _changed(service, call, acl=acl)


_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_GRANTEE = f'<Grantee {_XSI} xsi:type="CanonicalUser"><ID>{OWNER_ID}</ID></Grantee>'
_EVERYBODY = f'<Grantee {_XSI} xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>'


def _changed(
    service: Service, call: Call, *, tags: dict[str, str] | None = None, acl: str | None = None, status: int = 200
) -> Answer:
    version, content, bucket = _found(service, call)
    old = version.attributes
    kept = Attributes(old.headers, old.meta, old.tags if tags is None else tags, old.storage_class, acl or old.acl)
    changed = Version(version.key, version.version_id, version.modified, content, kept, version.in_parts)
    bucket.histories.replace(changed)
    return service.answer(status, _version_told(version, bucket))


def _version_told(version: Version, bucket: Bucket) -> dict[str, str]:
    return {} if bucket.versioning == "never" else {"x-amz-version-id": version.version_id}


def location_of(call: Call) -> str:
    request = call.request
    return f"http{'s' * request.secure}://{request.headers.get('host', request.host)}{request.raw_path}"
