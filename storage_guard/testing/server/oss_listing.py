"""OSS's calls on a bucket: listings, its versioning, and what is known of it."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64

from storage_guard.testing.server.buckets import Upload
from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.dates import iso_date
from storage_guard.testing.server.documents import document, element, leaf
from storage_guard.testing.server.exchange import Answer
from storage_guard.testing.server.oss_objects import OWNER
from storage_guard.testing.server.oss_service import Service, quoted
from storage_guard.testing.server.oss_uploads import bound
from storage_guard.testing.server.pages import MAX_LISTED, Names, objects, truncated, uploads
from storage_guard.testing.server.refusals import invalid
from storage_guard.testing.server.versions import Version
from storage_guard.testing.server.wishes import versioning_of

DEFAULT_LISTED = 100


def list_v2(service: Service, call: Call, _: bytes) -> Answer:
    token = call.params.get("continuation-token")
    marker = None if token is None else _from_token(token)
    most = bound(call, "max-keys", DEFAULT_LISTED, MAX_LISTED)
    shown, more = objects(service.state, call, marker, call.params.get("start-after"), most)
    names = Names(call, safe="")
    fields = [
        leaf("Name", call.bucket),
        names.leaf("Prefix", call.params.get("prefix", "")),
        names.leaf("StartAfter", call.params.get("start-after", "")),
        leaf("MaxKeys", most),
        names.leaf("Delimiter", call.params.get("delimiter", "")),
        *names.head(),
        truncated(more=more),
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
    most = bound(call, "max-keys", DEFAULT_LISTED, MAX_LISTED)
    shown, more = objects(service.state, call, marker, None, most)
    names = Names(call, safe="")
    fields = [
        leaf("Name", call.bucket),
        names.leaf("Prefix", call.params.get("prefix", "")),
        names.leaf("Marker", marker or ""),
        leaf("MaxKeys", most),
        names.leaf("Delimiter", call.params.get("delimiter", "")),
        *names.head(),
        truncated(more=more),
    ]
    if more:
        fields.append(names.leaf("NextMarker", shown[-1][0]))
    fields += _contents(names, shown, with_owner=True)
    return service.answer(200, {}, document(element("ListBucketResult", *fields)))


def _contents(names: Names, shown: list[tuple[str, Version | None]], *, with_owner: bool) -> list[str]:
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
    return fields + names.prefixes(shown)


def _as_token(name: str) -> str:
    return urlsafe_b64encode(name.encode()).decode("ascii").rstrip("=")


def _from_token(token: str) -> str:
    try:
        return urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("utf-8")
    except (NotBase64, ValueError) as error:
        raise invalid("continuation-token", token) from error


def list_uploads(service: Service, call: Call, _: bytes) -> Answer:
    most = bound(call, "max-uploads", MAX_LISTED, MAX_LISTED)
    fields = uploads(service.state, call, most, "", _upload)
    return service.answer(200, {}, document(element("ListMultipartUploadsResult", *fields)))


def _upload(names: Names, upload: Upload) -> list[str]:
    return [
        names.leaf("Key", upload.key),
        leaf("UploadId", upload.upload_id),
        leaf("StorageClass", upload.attributes.storage_class),
        leaf("Initiated", iso_date(upload.initiated)),
    ]


def get_versioning(service: Service, call: Call, _: bytes) -> Answer:
    state = service.state[call.bucket].versioning
    status = "" if state == "never" else leaf("Status", state.capitalize())
    return service.answer(200, {}, document(element("VersioningConfiguration", status)))


def put_versioning(service: Service, call: Call, body: bytes) -> Answer:
    bucket = service.state[call.bucket]
    bucket.versioning = versioning_of(body)
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
