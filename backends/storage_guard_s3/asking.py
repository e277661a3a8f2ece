"""What each call sends: method, key, parameters, headers. Pure; bytes of objects are sent beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from storage_guard.driver import Checksum, ObjectRef, Part, PartSlot, WriteMeta
from storage_guard.wire.services import calls
from storage_guard.wire.services.calls import SLACK_BYTES
from storage_guard_s3 import document
from storage_guard_s3.message import Request
from storage_guard_s3.options import Standing, check_options, headers_of
from storage_guard_s3.sums import CRC_HEADER, Sums, encoded

GUARD: Mapping[str, str] = {"If-None-Match": "*"}
"""The condition. Not on begin, which knows none (CreateMultipartUpload), and not on parts."""


def put(key: str, meta: WriteMeta, standing: Standing) -> Request:
    """Without the sums of its body."""
    return Request("put", "PUT", key, headers={**headers_of(meta, standing), **GUARD})


def begin(key: str, meta: WriteMeta, standing: Standing, sums: Sums) -> Request:
    headers = headers_of(meta, standing)
    if sums == "crc64nvme":
        headers["x-amz-checksum-algorithm"] = "CRC64NVME"
        headers["x-amz-checksum-type"] = "FULL_OBJECT"
    return Request("begin", "POST", key, {"uploads": ""}, headers)


def part(key: str, upload_id: str, number: int, standing: Standing) -> Request:
    """Without the sums of its body."""
    return Request("part", "PUT", key, {"partNumber": str(number), "uploadId": upload_id}, standing.key_headers())


def finish(
    key: str,
    upload_id: str,
    parts: Sequence[Part],
    meta: WriteMeta,
    *,
    standing: Standing,
    whole: Checksum | None,
) -> Request:
    """`whole`: of all the bytes, which the service compares before it publishes them."""
    check_options(meta.options, standing)
    headers = {"Content-Type": "application/xml", **GUARD, **standing.key_headers()}
    if whole is not None:
        headers[CRC_HEADER] = encoded(whole)
        headers["x-amz-checksum-type"] = "FULL_OBJECT"
        headers["x-amz-mp-object-size"] = str(sum(each.slot.size_bytes for each in parts))
    return Request("finish", "POST", key, {"uploadId": upload_id}, headers, document.part_list(parts))


def copy(source: ObjectRef, key: str, meta: WriteMeta, standing: Standing) -> Request:
    headers = {**headers_of(meta, standing), **GUARD, **_copied(source, standing)}
    headers["x-amz-metadata-directive"] = "REPLACE"  # an inherited write id would lie about who wrote
    headers["x-amz-tagging-directive"] = "REPLACE"
    return Request("copy", "PUT", key, headers=headers)


def copy_part(
    key: str, upload_id: str, slot: PartSlot, source: ObjectRef, *, start: int, standing: Standing
) -> Request:
    headers = {**_copied(source, standing), **standing.key_headers()}
    headers["x-amz-copy-source-range"] = f"bytes={start}-{start + slot.size_bytes - 1}"
    return Request("part copy", "PUT", key, {"partNumber": str(slot.number), "uploadId": upload_id}, headers)


def head(
    key: str,
    standing: Standing,
    bucket: str | None = None,
    version_id: str | None = None,
    *,
    sums: bool = True,
) -> Request:
    """`sums`: ask for the checksum too, which takes a right to decrypt where the object is encrypted with KMS."""
    headers = {**standing.key_headers(), "x-amz-checksum-mode": "ENABLED"} if sums else standing.key_headers()
    params = {} if version_id is None else {"versionId": version_id}
    return Request("head", "HEAD", key, params, headers, bucket=bucket)


def read(
    key: str,
    start: int,
    stop: int,
    etag: str | None,
    standing: Standing,
    *,
    bucket: str | None = None,
    version_id: str | None = None,
) -> Request:
    headers = {"Range": f"bytes={start}-{stop - 1}", **standing.key_headers()}
    if etag is not None:
        headers["If-Match"] = document.quoted(etag)
    params = {} if version_id is None else {"versionId": version_id}
    return Request("read", "GET", key, params, headers, bucket=bucket, answer_bytes=stop - start + SLACK_BYTES)


def remove(key: str, etag: str | None) -> Request:
    """With an etag the service looks before it removes (conditional-deletes.html), if it knows how."""
    return Request("remove", "DELETE", key, headers={} if etag is None else {"If-Match": document.quoted(etag)})


def list_parts(key: str, upload_id: str, marker: str, standing: Standing) -> Request:
    """A customer's key goes along, without which the sums of parts are not shown (ListParts)."""
    return calls.list_parts(key, upload_id, marker).also(standing.key_headers())


def _copied(source: ObjectRef, standing: Standing) -> dict[str, str]:
    """An access point stands in an ARN, with the word `object` before the key (CopyObject, x-amz-copy-source)."""
    bucket = source.location.container
    path = quote(f"{bucket}/object/{source.key}" if bucket.startswith("arn:") else f"{bucket}/{source.key}", safe="/")
    if source.version_id is not None:
        path += f"?versionId={quote(source.version_id, safe='')}"
    headers = {"x-amz-copy-source": path, **standing.key_headers(of_source=True)}
    if source.etag is not None:
        headers["x-amz-copy-source-if-match"] = document.quoted(source.etag)
    return headers
