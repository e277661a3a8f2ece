"""S3's calls on a bucket: listings, its versioning, and whether it is there."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Iterator
from itertools import islice
from urllib.parse import quote

from storage_guard.testing.server.buckets import is_bucket_name
from storage_guard.testing.server.documents import document, element, leaf
from storage_guard.testing.server.exchange import Answer
from storage_guard.testing.server.s3_checksums import kind_of
from storage_guard.testing.server.s3_errors import S3Refusal, invalid
from storage_guard.testing.server.s3_objects import XMLNS, read_document
from storage_guard.testing.server.s3_requests import Call
from storage_guard.testing.server.s3_service import OWNER_ID, Service, bound, iso_date, quoted
from storage_guard.testing.server.s3_uploads import MAX_LISTED
from storage_guard.testing.server.versions import Version, folded

_OWNER = element("Owner", leaf("ID", OWNER_ID))


class _Names:
    """How names are written in the document that was asked for."""

    def __init__(self, call: Call) -> None:
        wanted = call.params.get("encoding-type")
        if wanted not in {None, "", "url"}:
            raise invalid("encoding-type", wanted or "")
        self._encoded = wanted == "url"

    def head(self) -> list[str]:
        return [leaf("EncodingType", "url")] if self._encoded else []

    def leaf(self, element_name: str, name: str) -> str:
        return leaf(element_name, quote(name, safe="/") if self._encoded else name)


def _result(service: Service, name: str, fields: list[str]) -> Answer:
    return service.answer(200, {}, document(f"<{name}{XMLNS}>{''.join(fields)}</{name}>"))


def list_v2(service: Service, call: Call, _: bytes) -> Answer:
    params = call.params
    token = params.get("continuation-token")
    marker = None if token is None else _from_token(token)
    most = bound(call, "max-keys", MAX_LISTED, MAX_LISTED)
    shown, more = _objects(service, call, marker, params.get("start-after"), most)
    names = _Names(call)
    fields = [leaf("Name", call.bucket), names.leaf("Prefix", params.get("prefix", ""))]
    fields += [names.leaf(tag, params[name]) for tag, name in _ASKED if params.get(name)]
    if token is not None:
        fields.append(leaf("ContinuationToken", token))
    if more:
        fields.append(leaf("NextContinuationToken", _as_token(shown[-1][0])))
    fields += [leaf("KeyCount", len(shown)), leaf("MaxKeys", most), *names.head(), _truncated(more=more)]
    with_owner = params.get("fetch-owner") == "true"
    return _result(service, "ListBucketResult", fields + _contents(service, names, shown, with_owner=with_owner))


_ASKED = (("StartAfter", "start-after"), ("Delimiter", "delimiter"))


def list_v1(service: Service, call: Call, _: bytes) -> Answer:
    params = call.params
    marker = params.get("marker", "")
    most = bound(call, "max-keys", MAX_LISTED, MAX_LISTED)
    shown, more = _objects(service, call, marker, None, most)
    names = _Names(call)
    fields = [leaf("Name", call.bucket), names.leaf("Prefix", params.get("prefix", "")), names.leaf("Marker", marker)]
    if params.get("delimiter"):
        fields.append(names.leaf("Delimiter", params["delimiter"]))
        if more:  # without a delimiter the last key is the marker, and is not told again
            fields.append(names.leaf("NextMarker", shown[-1][0]))
    fields += [leaf("MaxKeys", most), *names.head(), _truncated(more=more)]
    return _result(service, "ListBucketResult", fields + _contents(service, names, shown, with_owner=True))


def _truncated(*, more: bool) -> str:
    return leaf("IsTruncated", "true" if more else "false")


def _objects(
    service: Service, call: Call, marker: str | None, start_after: str | None, most: int
) -> tuple[list[tuple[str, Version | None]], bool]:
    """A page of keys and common prefixes beyond `marker`, the last name of the page before, and of keys beyond
    `start_after`; and whether there are more."""
    prefix = call.params.get("prefix", "")
    after = max((name for name in (marker, start_after) if name), default=None)
    items = service.state[call.bucket].histories.objects(at_least=prefix, after=after)
    # What lies below a common prefix is beyond it in order, and was shown with it.
    names = (item for item in folded(items, prefix, call.params.get("delimiter", "")) if item[0] != marker)
    page = list(islice(names, most + 1))
    return page[:most], most > 0 and len(page) > most


def _contents(
    service: Service, names: _Names, shown: list[tuple[str, Version | None]], *, with_owner: bool
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
    return fields + _prefixes(names, shown)


def _prefixes(names: _Names, shown: list[tuple[str, Version | None]]) -> list[str]:
    return [element("CommonPrefixes", names.leaf("Prefix", name)) for name, version in shown if version is None]


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
    entries = folded(items, prefix, params.get("delimiter", ""))
    page = list(islice((item for item in entries if item[1] is not None or item[0] != key_marker), most + 1))
    shown, more = page[:most], most > 0 and len(page) > most
    names = _Names(call)
    fields = [
        leaf("Name", call.bucket),
        names.leaf("Prefix", prefix),
        names.leaf("KeyMarker", key_marker),
        leaf("VersionIdMarker", id_marker),
        leaf("MaxKeys", most),
        *names.head(),
        _truncated(more=more),
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
    return _result(service, "ListVersionsResult", fields + _prefixes(names, shown))


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
    params = call.params
    prefix = params.get("prefix", "")
    most = bound(call, "max-uploads", MAX_LISTED, MAX_LISTED)
    marker = params.get("key-marker", "")
    # An upload id counts together with a key only:
    # docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
    id_marker = params.get("upload-id-marker", "") if marker else ""
    uploads = sorted(service.state[call.bucket].uploads.values(), key=lambda upload: (upload.key, upload.upload_id))
    items = (
        (upload.key, upload)
        for upload in uploads
        if upload.key >= prefix
        and (upload.key > marker or (upload.key == marker and id_marker and upload.upload_id > id_marker))
    )
    entries = folded(items, prefix, params.get("delimiter", ""))
    page = list(islice((item for item in entries if item[1] is not None or item[0] != marker), most + 1))
    shown, more = page[:most], most > 0 and len(page) > most
    names = _Names(call)
    last_name, last = shown[-1] if more else ("", None)
    fields = [
        leaf("Bucket", call.bucket),
        *names.head(),
        names.leaf("KeyMarker", marker),
        leaf("UploadIdMarker", id_marker),
        names.leaf("NextKeyMarker", last_name),
        leaf("NextUploadIdMarker", "" if last is None else last.upload_id),
        names.leaf("Delimiter", params.get("delimiter", "")),
        names.leaf("Prefix", prefix),
        leaf("MaxUploads", most),
        _truncated(more=more),
    ]
    for name, upload in shown:
        if upload is None:
            fields.append(element("CommonPrefixes", names.leaf("Prefix", name)))
            continue
        told = [names.leaf("Key", name), leaf("UploadId", upload.upload_id)]
        told += [element("Initiator", leaf("ID", OWNER_ID)), _OWNER]
        told += [leaf("StorageClass", upload.attributes.storage_class), leaf("Initiated", iso_date(upload.initiated))]
        if upload.notes["algorithm"]:
            told += [leaf("ChecksumAlgorithm", upload.notes["algorithm"]), leaf("ChecksumType", upload.notes["kind"])]
        fields.append(element("Upload", *told))
    return _result(service, "ListMultipartUploadsResult", fields)


def get_versioning(service: Service, call: Call, _: bytes) -> Answer:
    state = service.state[call.bucket].versioning
    return _result(service, "VersioningConfiguration", [] if state == "never" else [leaf("Status", state.capitalize())])


def put_versioning(service: Service, call: Call, body: bytes) -> Answer:
    bucket = service.state[call.bucket]
    status = read_document(body, "VersioningConfiguration").text("Status")
    if status not in {"Enabled", "Suspended"}:
        raise S3Refusal("MalformedXML")
    bucket.versioning = "enabled" if status == "Enabled" else "suspended"
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
        raise S3Refusal("InvalidBucketName", more={"BucketName": call.bucket})
    if call.bucket in service.state:
        raise S3Refusal("BucketAlreadyOwnedByYou", more={"BucketName": call.bucket})
    asked = read_document(body, "CreateBucketConfiguration").text("LocationConstraint") if body else ""
    if (asked or "us-east-1") != service.region:
        code = "IllegalLocationConstraintException"
        raise S3Refusal(code, f"A bucket is made in {service.region} here, not in {asked or 'us-east-1'}.")
    service.state.add_bucket(call.bucket)
    return service.answer(200, {"Location": f"/{call.bucket}"})


def remove_bucket(service: Service, call: Call, _: bytes) -> Answer:
    bucket = service.state[call.bucket]
    if bucket.uploads or next(iter(bucket.histories), None) is not None:
        raise S3Refusal("BucketNotEmpty", more={"BucketName": call.bucket})
    service.state.remove_bucket(call.bucket)
    return service.answer(204)


def list_buckets(service: Service, call: Call, _: bytes) -> Answer:
    del call
    told = [
        element("Bucket", leaf("Name", each.name), leaf("CreationDate", iso_date(each.created)))
        for each in service.state
    ]
    return _result(service, "ListAllMyBucketsResult", [_OWNER, element("Buckets", *told)])
