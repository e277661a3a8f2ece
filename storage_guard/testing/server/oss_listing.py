"""OSS's calls on a bucket: listings, its versioning, and what is known of it."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from itertools import islice
from urllib.parse import quote

from storage_guard.testing.server.documents import Malformed, document, element, leaf, parse
from storage_guard.testing.server.exchange import Answer
from storage_guard.testing.server.oss_errors import OSSRefusal, invalid
from storage_guard.testing.server.oss_objects import OWNER
from storage_guard.testing.server.oss_requests import Call
from storage_guard.testing.server.oss_service import Service, iso_date, quoted
from storage_guard.testing.server.oss_uploads import MAX_LISTED, bound
from storage_guard.testing.server.versions import Version, folded

DEFAULT_LISTED = 100


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
        return leaf(element_name, quote(name, safe="") if self._encoded else name)


def list_v2(service: Service, call: Call, _: bytes) -> Answer:
    token = call.params.get("continuation-token")
    marker = None if token is None else _from_token(token)
    shown, more = _objects(service, call, marker, call.params.get("start-after"))
    names = _Names(call)
    fields = [
        leaf("Name", call.bucket),
        names.leaf("Prefix", call.params.get("prefix", "")),
        names.leaf("StartAfter", call.params.get("start-after", "")),
        leaf("MaxKeys", bound(call, "max-keys", DEFAULT_LISTED, MAX_LISTED)),
        names.leaf("Delimiter", call.params.get("delimiter", "")),
        *names.head(),
        leaf("IsTruncated", "true" if more else "false"),
        leaf("KeyCount", len(shown)),
    ]
    if token is not None:
        fields.append(leaf("ContinuationToken", token))
    if more:
        fields.append(leaf("NextContinuationToken", _as_token(shown[-1][0])))
    with_owner = call.params.get("fetch-owner") == "true"
    fields += _contents(names, shown, with_owner=with_owner)
    return service.answer(200, {}, document(element("ListBucketResult", *fields)))


def list_v1(service: Service, call: Call, _: bytes) -> Answer:
    marker = call.params.get("marker")
    shown, more = _objects(service, call, marker, None)
    names = _Names(call)
    fields = [
        leaf("Name", call.bucket),
        names.leaf("Prefix", call.params.get("prefix", "")),
        names.leaf("Marker", marker or ""),
        leaf("MaxKeys", bound(call, "max-keys", DEFAULT_LISTED, MAX_LISTED)),
        names.leaf("Delimiter", call.params.get("delimiter", "")),
        *names.head(),
        leaf("IsTruncated", "true" if more else "false"),
    ]
    if more:
        fields.append(names.leaf("NextMarker", shown[-1][0]))
    fields += _contents(names, shown, with_owner=True)
    return service.answer(200, {}, document(element("ListBucketResult", *fields)))


def _objects(
    service: Service, call: Call, marker: str | None, start_after: str | None
) -> tuple[list[tuple[str, Version | None]], bool]:
    """A page of keys and common prefixes beyond `marker`, the last name of the page before, and of keys beyond
    `start_after`; and whether there are more."""
    prefix = call.params.get("prefix", "")
    most = bound(call, "max-keys", DEFAULT_LISTED, MAX_LISTED)
    after = max((name for name in (marker, start_after) if name), default=None)
    items = service.state[call.bucket].histories.objects(at_least=prefix, after=after)
    # What lies below a common prefix is beyond it in order, and was shown with it.
    names = (item for item in folded(items, prefix, call.params.get("delimiter", "")) if item[0] != marker)
    page = list(islice(names, most + 1))
    return page[:most], len(page) > most


def _contents(names: _Names, shown: list[tuple[str, Version | None]], *, with_owner: bool) -> list[str]:
    fields: list[str] = []
    for name, version in shown:
        if version is None or version.content is None:
            continue
        fields.append(
            element(
                "Contents",
                names.leaf("Key", name),
                leaf("LastModified", iso_date(version.modified)),
                leaf("ETag", quoted(version.content.etag)),
                leaf("Type", "Multipart" if version.in_parts else "Normal"),
                leaf("Size", version.content.size_bytes),
                leaf("StorageClass", version.attributes.storage_class),
                OWNER if with_owner else "",
            )
        )
    fields += [element("CommonPrefixes", names.leaf("Prefix", name)) for name, version in shown if version is None]
    return fields


def _as_token(name: str) -> str:
    return urlsafe_b64encode(name.encode()).decode("ascii").rstrip("=")


def _from_token(token: str) -> str:
    try:
        return urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("utf-8")
    except (NotBase64, ValueError) as error:
        raise invalid("continuation-token", token) from error


def list_uploads(service: Service, call: Call, _: bytes) -> Answer:
    params = call.params
    prefix = params.get("prefix", "")
    most = bound(call, "max-uploads", MAX_LISTED, MAX_LISTED)
    marker = params.get("key-marker", "")
    # An upload id counts together with a key only: help.aliyun.com/document_detail/31997.html
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
    shown, more = page[:most], len(page) > most
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
        leaf("IsTruncated", "true" if more else "false"),
    ]
    for name, upload in shown:
        if upload is None:
            fields.append(element("CommonPrefixes", names.leaf("Prefix", name)))
            continue
        fields.append(
            element(
                "Upload",
                names.leaf("Key", name),
                leaf("UploadId", upload.upload_id),
                leaf("StorageClass", upload.attributes.storage_class),
                leaf("Initiated", iso_date(upload.initiated)),
            )
        )
    return service.answer(200, {}, document(element("ListMultipartUploadsResult", *fields)))


def get_versioning(service: Service, call: Call, _: bytes) -> Answer:
    state = service.state[call.bucket].versioning
    status = "" if state == "never" else leaf("Status", state.capitalize())
    return service.answer(200, {}, document(element("VersioningConfiguration", status)))


def put_versioning(service: Service, call: Call, body: bytes) -> Answer:
    bucket = service.state[call.bucket]
    try:
        root = parse(body)
    except Malformed as error:
        raise OSSRefusal("MalformedXML") from error
    status = root.text("Status")
    if root.name != "VersioningConfiguration" or status not in {"Enabled", "Suspended"}:
        raise OSSRefusal("MalformedXML")
    bucket.versioning = "enabled" if status == "Enabled" else "suspended"
    return service.answer(200)


def bucket_info(service: Service, call: Call, _: bytes) -> Answer:
    bucket = service.state[call.bucket]
    region = service.region
    fields = [
        leaf("Name", bucket.name),
        leaf("CreationDate", iso_date(bucket.created)),
        leaf("ExtranetEndpoint", f"oss-{region}.aliyuncs.com"),
        leaf("IntranetEndpoint", f"oss-{region}-internal.aliyuncs.com"),
        leaf("Location", f"oss-{region}"),
        leaf("Region", region),
        leaf("StorageClass", "Standard"),
        leaf("DataRedundancyType", "LRS"),
        OWNER,
        element("AccessControlList", leaf("Grant", "private")),
    ]
    if bucket.versioning != "never":
        fields.append(leaf("Versioning", bucket.versioning.capitalize()))
    return service.answer(200, {}, document(element("BucketInfo", element("Bucket", *fields))))
