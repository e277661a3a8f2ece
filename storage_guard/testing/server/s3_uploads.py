"""S3's calls on multipart uploads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from storage_guard.testing.server.blobs import Content
from storage_guard.testing.server.buckets import Part, Refused, Upload
from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.dates import iso_date
from storage_guard.testing.server.documents import Node, document, leaf
from storage_guard.testing.server.exchange import Answer
from storage_guard.testing.server.pages import MAX_LISTED, truncated
from storage_guard.testing.server.refusals import Refusal, invalid
from storage_guard.testing.server.s3_checksums import (
    ALGORITHMS,
    COMPOSITE,
    FULL,
    HEADERS,
    PREFIX,
    Given,
    Wanted,
    find,
    given,
    kind_of,
    of_parts,
    text_of,
    told_of,
    value_of,
    wanted,
)
from storage_guard.testing.server.s3_conditions import Guard
from storage_guard.testing.server.s3_errors import bad_request
from storage_guard.testing.server.s3_objects import XMLNS, location_of, written
from storage_guard.testing.server.s3_service import (
    OWNER_ID,
    Finished,
    Service,
    attributes_of,
    bound,
    disguised,
    encryption_told,
    key_of,
    quoted,
    require_key_of_customer,
)
from storage_guard.testing.server.wishes import count_in, parts_named

_OWNER = leaf("ID", OWNER_ID)


def begin(service: Service, call: Call, _: bytes) -> Answer:
    bucket = service.state[call.bucket]
    key = key_of(call)
    headers = call.request.headers
    attributes = attributes_of(headers, service.limits)
    wish = wanted(headers) if service.knows_checksums else Wanted()
    upload = bucket.begin(key, attributes, {"algorithm": wish.algorithm, "kind": wish.kind})
    told = encryption_told(attributes)
    if wish.algorithm:
        told |= {f"{PREFIX}algorithm": wish.algorithm, f"{PREFIX}type": wish.kind}
    fields = leaf("Bucket", call.bucket) + leaf("Key", key) + leaf("UploadId", upload.upload_id)
    body = f"<InitiateMultipartUploadResult{XMLNS}>{fields}</InitiateMultipartUploadResult>"
    return service.answer(200, told, document(body))


def wanted_of(upload: Upload) -> Wanted:
    return Wanted(upload.notes["algorithm"], upload.notes["kind"])


def number_of(service: Service, call: Call) -> int:
    """Raises: Refusal, if it is not a number for a part."""
    text = call.params.get("partNumber", "")
    number = count_in(text, digits=9)
    if number is not None and 1 <= number <= service.limits.parts:
        return number
    raise invalid("partNumber", text, f"A part has a number from 1 to {service.limits.parts}.")


def require_checksum(service: Service, call: Call, said: Given | None) -> str:
    """The algorithm that a part needs besides, "" for none. Raises: Refusal, if the checksum that comes with the part
    is not of the upload's algorithm."""
    try:
        upload = service.state[call.bucket].upload(call.key or "", call.params["uploadId"])
    except Refused:
        return ""
    wish = wanted_of(upload)
    if not wish.algorithm:
        return ""
    theirs = "null" if said is None else said.algorithm.name.lower()
    lenient = wish.kind == FULL and service.switches.part_checksums == "optional"
    if theirs != wish.algorithm.lower() and not (said is None and lenient):
        message = f"Checksum Type mismatch occurred, expected checksum Type: {wish.algorithm.lower()}, actual checksum"
        raise bad_request(f"{message} Type: {theirs}")
    return wish.algorithm


def put_part(service: Service, call: Call, content: Content) -> Answer:
    bucket = service.state[call.bucket]
    number = number_of(service, call)
    upload = bucket.upload(key_of(call), call.params["uploadId"])
    headers = call.request.headers
    require_key_of_customer(headers, upload.attributes)
    part = bucket.put_part(upload.key, upload.upload_id, number, disguised(content, upload.attributes))
    told = {"ETag": quoted(part.content.etag), **encryption_told(upload.attributes)}
    return service.answer(200, {**told, **told_of(content, kind=False)})


@dataclass(frozen=True, slots=True)
class _Named:
    """A part as the body of a complete names it. `sums`: checksums by the names of their algorithms."""

    number: int
    etag: str
    sums: dict[str, bytes]


def finish(service: Service, call: Call, body: bytes, guard: Guard) -> Answer:
    bucket = service.state[call.bucket]
    key = key_of(call)
    upload_id = call.params["uploadId"]
    before = _finished(service, call)
    if before is not None:
        if service.switches.replayed == "judged":
            guard.require(bucket)
        if service.switches.replayed == "done" and before.parts == body:
            return service.answer(200, _without_ids(before.answer), _bytes_of(before.answer))
    upload = bucket.upload(key, upload_id)
    named = _named(body)
    chosen = [(each.number, each.etag) for each in named]
    parts = bucket.chosen(key, upload_id, chosen, min_part_bytes=service.limits.min_part_bytes)
    wish = wanted_of(upload)
    if service.knows_checksums:
        _check_sums(named, parts, wish)
    whole = of_parts([part.content for part in parts], wish) if service.knows_checksums else ()
    _check_whole(service, call, parts, wish)
    guard.require(bucket, since=upload.removals)
    version = bucket.finish(key, upload_id, parts, whole)
    told = written(version, bucket)
    fields = [
        leaf("Location", location_of(call)),
        leaf("Bucket", call.bucket),
        leaf("Key", key),
        leaf("ETag", told["ETag"]),
    ]
    fields += [
        leaf(ALGORITHMS[each.algorithm].tag, text_of(each)) + leaf("ChecksumType", kind_of(each)) for each in whole[:1]
    ]
    text = f"<CompleteMultipartUploadResult{XMLNS}>{''.join(fields)}</CompleteMultipartUploadResult>"
    del told["ETag"]  # the head may have gone out before it was known: the body tells it
    answer = service.answer(200, told, document(text))
    service.finished[upload_id] = Finished(call.bucket, key, body, answer)
    guard.tell()
    return answer


def _finished(service: Service, call: Call) -> Finished | None:
    """What became of this upload, if it was completed."""
    before = service.finished.get(call.params["uploadId"])
    return before if before is not None and (before.bucket, before.key) == (call.bucket, call.key) else None


def _without_ids(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in {"x-amz-request-id", "x-amz-id-2"}}


def _bytes_of(answer: Answer) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)


def _named(body: bytes) -> list[_Named]:
    return [_Named(number, etag, _sums_of(node)) for number, etag, node in parts_named(body)]


def _sums_of(node: Node) -> dict[str, bytes]:
    sums: dict[str, bytes] = {}
    for algorithm in ALGORITHMS.values():
        text = node.text(algorithm.tag)
        if text is not None:
            sums[algorithm.name] = value_of(algorithm, text, algorithm.tag)
    return sums


def _check_sums(named: Sequence[_Named], parts: Sequence[Part], wish: Wanted) -> None:
    """Raises: Refusal, if a checksum in the list is not that of its part, or is missing."""
    for each, part in zip(named, parts, strict=True):
        for name, value in each.sums.items():
            known = find(part.content, name)
            if known is None or known.value != value:
                raise Refusal("InvalidPart", more={"PartNumber": str(each.number), "ETag": each.etag})
        if wish.algorithm and wish.kind == COMPOSITE and wish.algorithm not in each.sums:
            message = f"The upload was created using a {wish.algorithm.lower()} checksum. The list must have that of"
            raise bad_request(f"{message} each part; it is missing for part {each.number}.")


def _check_whole(service: Service, call: Call, parts: Sequence[Part], wish: Wanted) -> None:
    """Raises: Refusal, if the object is not what the head says it should be."""
    headers = call.request.headers
    size = headers.get("x-amz-mp-object-size")
    size_bytes = sum(part.content.size_bytes for part in parts)
    if size is not None and size != str(size_bytes):
        raise bad_request(f"The parts have {size_bytes} bytes, not x-amz-mp-object-size.")
    if not service.knows_checksums:
        return
    kind = headers.get(f"{PREFIX}type")
    if kind is not None and kind.upper() != wish.kind:
        raise bad_request(f"The upload was created with checksum type {wish.kind}, not {kind}.")
    plain = {name: value for name, value in headers.items() if name not in HEADERS}
    for name in HEADERS & headers.keys():
        text, _, number = headers[name].partition("-")
        said = given({**plain, name: text})
        if said is None:
            continue
        if wish.algorithm and said.algorithm.name != wish.algorithm:
            raise bad_request(f"The upload was created using a {wish.algorithm.lower()} checksum, not this one.")
        whole = of_parts([part.content for part in parts], Wanted(said.algorithm.name, wish.kind))
        if number and number != str(whole[0].parts):
            raise Refusal("BadDigest")
        said.check(whole[0])


def abort(service: Service, call: Call, _: bytes) -> Answer:
    bucket = service.state[call.bucket]
    if service.switches.late_abort != "accepted" or _finished(service, call) is None:
        bucket.abort(key_of(call), call.params["uploadId"])
    return service.answer(204)


def list_parts(service: Service, call: Call, _: bytes) -> Answer:
    upload = service.state[call.bucket].upload(key_of(call), call.params["uploadId"])
    max_parts = bound(call, "max-parts", MAX_LISTED, MAX_LISTED)
    after = bound(call, "part-number-marker", 0, 1 << 31)
    numbers = [number for number in sorted(upload.parts) if number > after]
    shown = numbers[:max_parts]
    encoded = call.params.get("encoding-type") == "url"
    wish = wanted_of(upload)
    fields = [
        leaf("Bucket", call.bucket),
        leaf("Key", quote(upload.key, safe="/") if encoded else upload.key),
        leaf("UploadId", upload.upload_id),
        f"<Initiator>{_OWNER}</Initiator><Owner>{_OWNER}</Owner>",
        leaf("StorageClass", upload.attributes.storage_class),
        leaf("PartNumberMarker", after),
        leaf("NextPartNumberMarker", shown[-1] if shown else 0),
        leaf("MaxParts", max_parts),
        truncated(more=len(numbers) > len(shown)),
    ]
    if wish.algorithm:
        fields += [leaf("ChecksumAlgorithm", wish.algorithm), leaf("ChecksumType", wish.kind)]
    for number in shown:
        part = upload.parts[number]
        sums = [
            leaf(ALGORITHMS[each.algorithm].tag, text_of(each)) for each in part.content.digests[:1] if wish.algorithm
        ]
        told = [
            leaf("PartNumber", number),
            leaf("LastModified", iso_date(part.modified)),
            leaf("ETag", quoted(part.content.etag)),
            leaf("Size", part.content.size_bytes),
        ]
        fields.append(f"<Part>{''.join((*told, *sums))}</Part>")
    return service.answer(200, {}, document(f"<ListPartsResult{XMLNS}>{''.join(fields)}</ListPartsResult>"))
