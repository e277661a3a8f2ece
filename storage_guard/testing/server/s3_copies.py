"""S3's calls that copy: a whole object, and a range of one into a part."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from storage_guard.testing.server.blobs import Content, Digest, cut
from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.dates import iso_date
from storage_guard.testing.server.documents import document, leaf
from storage_guard.testing.server.exchange import Answer
from storage_guard.testing.server.objects import source_named
from storage_guard.testing.server.refusals import Refusal, invalid
from storage_guard.testing.server.s3_checksums import ALGORITHMS, DEFAULT, kind_of, of_content, text_of, told_of, wanted
from storage_guard.testing.server.s3_conditions import Guard, require_of
from storage_guard.testing.server.s3_errors import bad_request
from storage_guard.testing.server.s3_objects import XMLNS, written
from storage_guard.testing.server.s3_service import (
    Service,
    attributes_of,
    disguised,
    key_of,
    quoted,
    require_key_of_customer,
)
from storage_guard.testing.server.s3_uploads import number_of, wanted_of
from storage_guard.testing.server.versions import Attributes, Version
from storage_guard.testing.server.wishes import replaces

_FROM = "x-amz-copy-source-"
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})")


def _source(service: Service, call: Call) -> tuple[Version, Content, dict[str, str]]:
    """What is copied, if its conditions hold, and what the answer tells of it."""
    headers = call.request.headers
    text = headers["x-amz-copy-source"]
    bucket, version = source_named(service.state, "x-amz-copy-source", text, "The source is a bucket and a key.")
    if version.content is None:
        raise bad_request("The source is a delete marker.")
    require_key_of_customer(headers, version.attributes, _FROM)
    require_of(headers, version, _FROM)
    told = {"x-amz-copy-source-version-id": version.version_id} if bucket.versioning != "never" else {}
    return version, version.content, told


def copy(service: Service, call: Call, _: bytes, guard: Guard) -> Answer:
    bucket = service.state[call.bucket]
    key = key_of(call)
    headers = call.request.headers
    source, content, told = _source(service, call)
    if guard.keeping == "of_source" and "if-none-match" in headers:
        raise Refusal("PreconditionFailed", more={"Condition": "If-None-Match"})
    wish = attributes_of(headers, service.limits)
    own_meta, own_tags = replaces(headers, "x-amz-")
    if content.size_bytes > service.limits.copy_bytes:
        raise bad_request(f"A copy has at most {service.limits.copy_bytes} bytes.")
    kept = wish if own_meta else source.attributes
    asked = {name: value for name, value in wish.headers.items() if name.startswith("x-amz-")}
    theirs = {name: value for name, value in kept.headers.items() if not name.startswith("x-amz-")}
    attributes = Attributes(
        {**theirs, **asked},
        kept.meta,
        (wish if own_tags else source.attributes).tags,
        wish.storage_class,
        wish.acl,
    )
    if source is bucket.histories.current(key) and not own_meta and attributes == source.attributes:
        raise bad_request("A copy of an object onto itself changes something.")
    content = _as_copied(service, call, content)
    guard.require(bucket)
    version = bucket.put(key, disguised(content, attributes), attributes)
    guard.tell()
    fields = [leaf("LastModified", iso_date(version.modified)), leaf("ETag", written(version, bucket)["ETag"])]
    fields += _sums(content)
    body = document(f"<CopyObjectResult{XMLNS}>{''.join(fields)}</CopyObjectResult>")
    return service.answer(200, {**written(version, bucket), **told}, body)


def _as_copied(service: Service, call: Call, content: Content) -> Content:
    """With a checksum over the whole, of the algorithm that is asked for or of the source's own, and with the ETag of
    one piece, also where it came in parts."""
    content = _in_one(content, md5=service.state.blobs.md5)
    if not service.knows_checksums:
        return replace(content, digests=())
    name = wanted(call.request.headers).algorithm
    if not name:
        name = next((digest.algorithm for digest in content.digests), DEFAULT)
    first = of_content(content, name)
    rest = () if name == DEFAULT else (of_content(content, DEFAULT),)
    return replace(content, digests=(first, *rest))


def _in_one(content: Content, *, md5: bool) -> Content:
    """`md5`: whether an ETag is an MD5 here; where the source is encrypted, or came in parts, it is computed."""
    if not md5:
        return replace(content, etag=f"{content.crc:016x}{content.size_bytes:016x}")
    if content.md5 is not None and content.etag == content.md5.hex():
        return content
    digest = hashlib.md5(usedforsecurity=False)
    for window in content.blob.windows():
        digest.update(window)
    return replace(content, md5=digest.digest(), etag=digest.hexdigest())


def _sums(content: Content) -> list[str]:
    for digest in content.digests:
        return [leaf(ALGORITHMS[digest.algorithm].tag, text_of(digest)), leaf("ChecksumType", kind_of(digest))]
    return []


def copy_part(service: Service, call: Call, _: bytes) -> Answer:
    bucket = service.state[call.bucket]
    number = number_of(service, call)
    upload = bucket.upload(key_of(call), call.params["uploadId"])
    _version, content, told = _source(service, call)
    asked = call.request.headers.get("x-amz-copy-source-range")
    if asked is not None:
        content = cut(content, *_span(asked, content.size_bytes))
    if content.size_bytes > service.limits.part_bytes:
        raise Refusal("EntityTooLarge")
    wish = wanted_of(upload)
    digests: tuple[Digest, ...] = ()
    if service.knows_checksums:
        names = dict.fromkeys(name for name in (wish.algorithm, DEFAULT) if name)
        digests = tuple(of_content(content, name) for name in names)
    content = replace(content, digests=digests)
    part = bucket.put_part(upload.key, upload.upload_id, number, disguised(content, upload.attributes))
    fields = [leaf("LastModified", iso_date(part.modified)), leaf("ETag", quoted(part.content.etag))]
    if wish.algorithm:
        fields += _sums(content)[:1]
    body = document(f"<CopyPartResult{XMLNS}>{''.join(fields)}</CopyPartResult>")
    return service.answer(200, {**told, **(told_of(content, kind=False) if wish.algorithm else {})}, body)


def _span(text: str, size_bytes: int) -> tuple[int, int]:
    """Both ends are named, and lie within: docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html. Raises:
    Refusal."""
    match = _RANGE.fullmatch(text)
    if match is None or int(match[2]) < int(match[1]):
        raise invalid("x-amz-copy-source-range", text, "This must be bytes=first-last.")
    if int(match[2]) >= size_bytes:
        raise invalid("x-amz-copy-source-range", text, f"The source has {size_bytes} bytes.")
    return int(match[1]), int(match[2]) + 1
