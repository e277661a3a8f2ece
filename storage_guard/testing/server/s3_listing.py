"""S3's calls on a bucket: listings, its versioning, and whether it is there."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Iterator

from storage_guard.testing.server.buckets import Upload, is_bucket_name
from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.dates import iso_date
from storage_guard.testing.server.documents import document, element, leaf
from storage_guard.testing.server.exchange import Answer
from storage_guard.testing.server.pages import MAX_LISTED, Names, beyond_prefix, objects, page, truncated, uploads
from storage_guard.testing.server.refusals import Refusal, invalid
from storage_guard.testing.server.s3_checksums import kind_of
from storage_guard.testing.server.s3_objects import XMLNS
from storage_guard.testing.server.s3_service import OWNER_ID, Service, bound, quoted
from storage_guard.testing.server.versions import Version, folded
from storage_guard.testing.server.wishes import read_document, versioning_of

_OWNER = element("Owner", leaf("ID", OWNER_ID))


def _result(service: Service, name: str, fields: list[str]) -> Answer:
    return service.answer(200, {}, document(f"<{name}{XMLNS}>{''.join(fields)}</{name}>"))


def list_v2(service: Service, call: Call, _: bytes) -> Answer:
    params = call.params
    token = params.get("continuation-token")
    marker = None if token is None else _from_token(token)
    most = bound(call, "max-keys", MAX_LISTED, MAX_LISTED)
    shown, more = objects(service.state, call, marker, params.get("start-after"), most)
    names = Names(call, safe="/")
    fields = [leaf("Name", call.bucket), names.leaf("Prefix", params.get("prefix", ""))]
    fields += [names.leaf(tag, params[name]) for tag, name in _ASKED if params.get(name)]
    if token is not None:
        fields.append(leaf("ContinuationToken", token))
    if more:
        fields.append(leaf("NextContinuationToken", _as_token(shown[-1][0])))
    fields += [leaf("KeyCount", len(shown)), leaf("MaxKeys", most), *names.head(), truncated(more=more)]
    with_owner = params.get("fetch-owner") == "true"
    return _result(service, "ListBucketResult", fields + _contents(service, names, shown, with_owner=with_owner))


_ASKED = (("StartAfter", "start-after"), ("Delimiter", "delimiter"))


def list_v1(service: Service, call: Call, _: bytes) -> Answer:
    params = call.params
    marker = params.get("marker", "")
    most = bound(call, "max-keys", MAX_LISTED, MAX_LISTED)
    shown, more = objects(service.state, call, marker, None, most)
    names = Names(call, safe="/")
    fields = [leaf("Name", call.bucket), names.leaf("Prefix", params.get("prefix", "")), names.leaf("Marker", marker)]
    if params.get("delimiter"):
        fields.append(names.leaf("Delimiter", params["delimiter"]))
        if more:  # without a delimiter the last key is the marker, and is not told again
            fields.append(names.leaf("NextMarker", shown[-1][0]))
    fields += [leaf("MaxKeys", most), *names.head(), truncated(more=more)]
    return _result(service, "ListBucketResult", fields + _contents(service, names, shown, with_owner=True))


def _contents(
    service: Service, names: Names, shown: list[tuple[str, Version | None]], *, with_owner: bool
) -> list[str]:
    fields: list[str] = []
    for name, version in shown:
        if version is None or version.content is None:
            continue
        told = [
            names.leaf("Key", name),
            leaf("LastModified", iso_date(version.modified)),
            leaf("ETag", quoted(version.content.etag)),
        ]
        if service.knows_checksums:
            for digest in version.content.digests[:1]:
                told += [leaf("ChecksumAlgorithm", digest.algorithm), leaf("ChecksumType", kind_of(digest))]
        told += [leaf("Size", version.content.size_bytes), leaf("StorageClass", version.attributes.storage_class)]
        fields.append(element("Contents", *told, _OWNER if with_owner else ""))
    return fields + names.prefixes(shown)


def _as_token(name: str) -> str:
    return urlsafe_b64encode(b"1" + name.encode()).decode("ascii")


def _from_token(token: str) -> str:
    try:
        return urlsafe_b64decode(token).decode("utf-8")[1:]
    except (NotBase64, ValueError) as error:
        raise invalid("continuation-token", token, "The continuation token is not one of ours.") from error


def list_versions(service: Service, call: Call, _: bytes) -> Answer:
    params = call.params
    prefix = params.get("prefix", "")
    most = bound(call, "max-keys", MAX_LISTED, MAX_LISTED)
    key_marker = params.get("key-marker", "")
    id_marker = params.get("version-id-marker", "") if key_marker else ""
    histories = service.state[call.bucket].histories
    items = ((version.key, version) for version in _beyond(histories, key_marker, id_marker) if version.key >= prefix)
    shown, more = page(beyond_prefix(folded(items, prefix, params.get("delimiter", "")), key_marker), most)
    names = Names(call, safe="/")
    fields = [
        leaf("Name", call.bucket),
        names.leaf("Prefix", prefix),
        names.leaf("KeyMarker", key_marker),
        leaf("VersionIdMarker", id_marker),
        leaf("MaxKeys", most),
        *names.head(),
        truncated(more=more),
    ]
    if params.get("delimiter"):
        fields.append(names.leaf("Delimiter", params["delimiter"]))
    if more:
        name, last = shown[-1]
        fields.append(names.leaf("NextKeyMarker", name))
        if last is not None:
            fields.append(leaf("NextVersionIdMarker", last.version_id))
    for name, version in shown:
        if version is None:
            continue
        latest = "true" if version is histories.current(name) else "false"
        told = [names.leaf("Key", name), leaf("VersionId", version.version_id), leaf("IsLatest", latest)]
        told.append(leaf("LastModified", iso_date(version.modified)))
        if version.content is None:
            fields.append(element("DeleteMarker", *told, _OWNER))
            continue
        told += [leaf("ETag", quoted(version.content.etag)), leaf("Size", version.content.size_bytes)]
        fields.append(element("Version", *told, leaf("StorageClass", version.attributes.storage_class), _OWNER))
    return _result(service, "ListVersionsResult", fields + names.prefixes(shown))


def _beyond(versions: Iterable[Version], key_marker: str, id_marker: str) -> Iterator[Version]:
    """Those after the version that a page ended with; all of the key's are before it if only the key is named."""
    reached = not id_marker
    for version in versions:
        if version.key < key_marker or (version.key == key_marker and not id_marker and key_marker):
            continue
        if version.key == key_marker and not reached:
            reached = version.version_id == id_marker
            continue
        yield version


def list_uploads(service: Service, call: Call, _: bytes) -> Answer:
    most = bound(call, "max-uploads", MAX_LISTED, MAX_LISTED)
    return _result(service, "ListMultipartUploadsResult", uploads(service.state, call, most, "/", _upload))


def _upload(names: Names, upload: Upload) -> list[str]:
    told = [names.leaf("Key", upload.key), leaf("UploadId", upload.upload_id)]
    told += [element("Initiator", leaf("ID", OWNER_ID)), _OWNER]
    told += [leaf("StorageClass", upload.attributes.storage_class), leaf("Initiated", iso_date(upload.initiated))]
    if upload.notes["algorithm"]:
        told += [leaf("ChecksumAlgorithm", upload.notes["algorithm"]), leaf("ChecksumType", upload.notes["kind"])]
    return told


def get_versioning(service: Service, call: Call, _: bytes) -> Answer:
    state = service.state[call.bucket].versioning
    return _result(service, "VersioningConfiguration", [] if state == "never" else [leaf("Status", state.capitalize())])


def put_versioning(service: Service, call: Call, body: bytes) -> Answer:
    bucket = service.state[call.bucket]
    bucket.versioning = versioning_of(body)
    return service.answer(200)


def location(service: Service, call: Call, _: bytes) -> Answer:
    _bucket = service.state[call.bucket]
    text = "" if service.region == "us-east-1" else service.region
    return service.answer(200, {}, document(f"<LocationConstraint{XMLNS}>{text}</LocationConstraint>"))


def head_bucket(service: Service, call: Call, _: bytes) -> Answer:
    _bucket = service.state[call.bucket]
    return service.answer(200, {"x-amz-bucket-region": service.region, "Content-Type": "application/xml"})


def create_bucket(service: Service, call: Call, body: bytes) -> Answer:
    if not is_bucket_name(call.bucket, dots=True):
        raise Refusal("InvalidBucketName", more={"BucketName": call.bucket})
    if call.bucket in service.state:
        raise Refusal("BucketAlreadyOwnedByYou", more={"BucketName": call.bucket})
    asked = read_document(body, "CreateBucketConfiguration").text("LocationConstraint") if body else ""
    if (asked or "us-east-1") != service.region:
        code = "IllegalLocationConstraintException"
        raise Refusal(code, f"A bucket is made in {service.region} here, not in {asked or 'us-east-1'}.")
    service.state.add_bucket(call.bucket)
    return service.answer(200, {"Location": f"/{call.bucket}"})


def remove_bucket(service: Service, call: Call, _: bytes) -> Answer:
    bucket = service.state[call.bucket]
    if bucket.uploads or next(iter(bucket.histories), None) is not None:
        raise Refusal("BucketNotEmpty", more={"BucketName": call.bucket})
    service.state.remove_bucket(call.bucket)
    return service.answer(204)


def list_buckets(service: Service, call: Call, _: bytes) -> Answer:
    del call
    told = [
        element("Bucket", leaf("Name", each.name), leaf("CreationDate", iso_date(each.created)))
        for each in service.state
    ]
    return _result(service, "ListAllMyBucketsResult", [_OWNER, element("Buckets", *told)])
