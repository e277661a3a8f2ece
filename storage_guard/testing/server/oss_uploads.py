"""OSS's calls on multipart uploads."""

from __future__ import annotations

from urllib.parse import quote

from storage_guard.testing.server.blobs import Arriving, cut
from storage_guard.testing.server.buckets import Part
from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.dates import iso_date
from storage_guard.testing.server.documents import document, element, leaf
from storage_guard.testing.server.exchange import Answer
from storage_guard.testing.server.objects import range_told
from storage_guard.testing.server.oss_objects import source_of, span_of, written
from storage_guard.testing.server.oss_service import Service, attributes_of, key_of, must_be_new, quoted
from storage_guard.testing.server.pages import MAX_LISTED, truncated
from storage_guard.testing.server.refusals import Refusal, invalid
from storage_guard.testing.server.wishes import count_in, parts_named


def begin(service: Service, call: Call, _: bytes) -> Answer:
    bucket = service.state[call.bucket]
    key = key_of(call)
    attributes = attributes_of(call.request.headers, service.limits)
    if must_be_new(call, bucket):
        bucket.require_free(key)
    upload = bucket.begin(key, attributes)
    encoded = call.params.get("encoding-type") == "url"
    fields = [leaf("EncodingType", "url")] if encoded else []
    fields += [
        leaf("Bucket", call.bucket),
        leaf("Key", quote(key, safe="") if encoded else key),
        leaf("UploadId", upload.upload_id),
    ]
    return service.answer(200, {}, document(element("InitiateMultipartUploadResult", *fields)))


def number_of(service: Service, call: Call) -> int:
    """Raises: Refusal, if it is not a number for a part."""
    text = call.params.get("partNumber", "")
    number = count_in(text, digits=9)
    if number is not None and 1 <= number <= service.limits.parts:
        return number
    message = f"A part has a number from 1 to {service.limits.parts}."
    raise invalid("PartNumber", text, message, ec="0017-00000220")


def put_part(service: Service, call: Call, body: Arriving) -> Answer:
    bucket = service.state[call.bucket]
    number = number_of(service, call)
    upload = bucket.upload(key_of(call), call.params["uploadId"])
    part = bucket.put_part(upload.key, upload.upload_id, number, body.end())
    return service.answer(200, _told_of(part))


def _told_of(part: Part) -> dict[str, str]:
    return {"ETag": quoted(part.content.etag), "x-oss-hash-crc64ecma": str(part.content.crc)}


def copy_part(service: Service, call: Call, _: bytes) -> Answer:
    bucket = service.state[call.bucket]
    number = number_of(service, call)
    upload = bucket.upload(key_of(call), call.params["uploadId"])
    _source, content, told = source_of(service, call)
    asked = call.request.headers.get("x-oss-copy-source-range")
    if asked is not None:
        # A range that does not fit means the whole here too: help.aliyun.com/document_detail/31994.html
        span = span_of(asked, content.size_bytes, standard=False)
        if span is not None:
            told |= range_told(*span, content.size_bytes)
            content = cut(content, *span)
    if content.size_bytes > service.limits.part_bytes:
        raise Refusal("EntityTooLarge")
    part = bucket.put_part(upload.key, upload.upload_id, number, content)
    result = element(
        "CopyPartResult", leaf("LastModified", iso_date(part.modified)), leaf("ETag", quoted(part.content.etag))
    )
    return service.answer(200, {**_told_of(part), **told}, document(result))


def finish(service: Service, call: Call, body: bytes) -> Answer:
    bucket = service.state[call.bucket]
    key = key_of(call)
    upload_id = call.params["uploadId"]
    new = must_be_new(call, bucket)
    if new and service.checked_first == "condition":
        bucket.require_free(key)
    bucket.upload(key, upload_id)
    parts = bucket.chosen(key, upload_id, _named(call, body), min_part_bytes=service.limits.min_part_bytes)
    # That the condition is judged last, and that the upload outlives its refusal, is not documented.
    if new:
        bucket.require_free(key)
    version = bucket.finish(key, upload_id, parts)
    told = written(version, bucket)
    encoded = call.params.get("encoding-type") == "url"
    name = quote(key, safe="")
    fields = [leaf("EncodingType", "url")] if encoded else []
    fields += [
        leaf("Location", f"http://{call.request.host}/{name}"),
        leaf("Bucket", call.bucket),
        leaf("Key", name if encoded else key),
        leaf("ETag", told["ETag"]),
    ]
    return service.answer(200, told, document(element("CompleteMultipartUploadResult", *fields)))


def _named(call: Call, body: bytes) -> list[tuple[int, str]] | None:
    """The parts that the body names; None for all."""
    if "x-oss-callback" in call.request.headers:
        raise Refusal("NotImplemented", "Nobody is called back from here.")
    everything = call.request.headers.get("x-oss-complete-all")
    if everything is not None:
        if everything != "yes":
            raise invalid("x-oss-complete-all", everything)
        if body:
            raise invalid("x-oss-complete-all", everything, "There must be no list of parts beside this.")
        return None
    return [(number, etag) for number, etag, _ in parts_named(body)]


def abort(service: Service, call: Call, _: bytes) -> Answer:
    service.state[call.bucket].abort(key_of(call), call.params["uploadId"])
    return service.answer(204)


def list_parts(service: Service, call: Call, _: bytes) -> Answer:
    upload = service.state[call.bucket].upload(key_of(call), call.params["uploadId"])
    max_parts = bound(call, "max-parts", MAX_LISTED, MAX_LISTED)
    after = bound(call, "part-number-marker", 0, 1 << 31, least=0)
    numbers = [number for number in sorted(upload.parts) if number > after]
    shown = numbers[:max_parts]
    encoded = call.params.get("encoding-type") == "url"
    fields = [
        leaf("Bucket", call.bucket),
        leaf("Key", quote(upload.key, safe="") if encoded else upload.key),
        leaf("UploadId", upload.upload_id),
        leaf("StorageClass", upload.attributes.storage_class),
        leaf("PartNumberMarker", after),
        leaf("NextPartNumberMarker", shown[-1] if shown else after),
        leaf("MaxParts", max_parts),
        truncated(more=len(numbers) > len(shown)),
    ]
    if encoded:
        fields.append(leaf("EncodingType", "url"))
    for number in shown:
        part = upload.parts[number]
        fields.append(
            element(
                "Part",
                leaf("PartNumber", number),
                leaf("LastModified", iso_date(part.modified)),
                leaf("ETag", quoted(part.content.etag)),
                leaf("HashCrc64ecma", part.content.crc),
                leaf("Size", part.content.size_bytes),
            )
        )
    return service.answer(200, {}, document(element("ListPartsResult", *fields)))


def bound(call: Call, name: str, default: int, most: int, *, least: int = 1) -> int:
    """A number in the query. Raises: Refusal, if it is none from `least` to `most`."""
    text = call.params.get(name)
    if not text:
        return default
    number = count_in(text, digits=11)
    if number is None or not least <= number <= most:
        raise invalid(name, text, f"This must be from {least} to {most}.")
    return number
