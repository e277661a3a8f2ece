"""What each call sends: method, key, parameters, headers. Pure; bytes of objects are sent beside it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from storage_guard.driver import ObjectRef, Part, PartSlot, WriteMeta
from storage_guard.wire.services.calls import SLACK_BYTES
from storage_guard_oss import document
from storage_guard_oss.message import Request
from storage_guard_oss.options import acl_of, check_options, headers_of

GUARD: Mapping[str, str] = {"x-oss-forbid-overwrite": "true"}
"""The condition. On complete too: begin only looks, and another may come in between."""


def put(key: str, meta: WriteMeta, payer: str | None) -> Request:
    """Without the MD5 of its body."""
    return Request("put", "PUT", key, headers={**headers_of(meta, payer), **acl_of(meta.options), **GUARD})


def with_md5(request: Request, md5: bytes) -> Request:
    operation, method, key, params, headers = request[:5]
    return Request(operation, method, key, params, {**headers, "Content-MD5": b64encode(md5).decode()})


def begin(key: str, meta: WriteMeta, payer: str | None) -> Request:
    headers = {**headers_of(meta, payer), **acl_of(meta.options), **GUARD}
    return Request("begin", "POST", key, {"uploads": ""}, headers)


def part(key: str, upload_id: str, number: int) -> Request:
    return Request("part", "PUT", key, {"partNumber": str(number), "uploadId": upload_id})


def finish(key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, payer: str | None) -> Request:
    check_options(meta.options, payer)
    return Request(
        "finish",
        "POST",
        key,
        {"uploadId": upload_id},
        {"Content-Type": "application/xml", **acl_of(meta.options), **GUARD},
        document.part_list((each.slot.number, each.etag) for each in parts),
    )


def copy(source: ObjectRef, key: str, meta: WriteMeta, payer: str | None) -> Request:
    headers = {**headers_of(meta, payer), **acl_of(meta.options), **GUARD, **_copied(source)}
    headers["x-oss-metadata-directive"] = "REPLACE"  # an inherited write id would lie about who wrote
    headers["x-oss-tagging-directive"] = "Replace"
    return Request("copy", "PUT", key, headers=headers)


def copy_part(key: str, upload_id: str, slot: PartSlot, source: ObjectRef, start: int) -> Request:
    headers = _copied(source)
    headers["x-oss-copy-source-range"] = f"bytes={start}-{start + slot.size_bytes - 1}"
    return Request("part copy", "PUT", key, {"partNumber": str(slot.number), "uploadId": upload_id}, headers)


def head(key: str, bucket: str | None = None, version_id: str | None = None) -> Request:
    return Request("head", "HEAD", key, {} if version_id is None else {"versionId": version_id}, bucket=bucket)


def read(
    key: str,
    start: int,
    stop: int,
    etag: str | None,
    *,
    bucket: str | None = None,
    version_id: str | None = None,
) -> Request:
    """Without `standard` a range that reaches beyond the end is answered with the whole object and a 200."""
    headers = {"Range": f"bytes={start}-{stop - 1}", "x-oss-range-behavior": "standard"}
    if etag is not None:
        headers["If-Match"] = document.quoted(etag)
    params = {} if version_id is None else {"versionId": version_id}
    return Request("read", "GET", key, params, headers, bucket=bucket, answer_bytes=stop - start + SLACK_BYTES)


def remove(key: str) -> Request:
    return Request("remove", "DELETE", key)


BUCKET_INFO = Request("bucket info", "GET", params={"bucketInfo": ""})


def _copied(source: ObjectRef) -> dict[str, str]:
    path = f"/{source.location.container}/{quote(source.key, safe='')}"
    if source.version_id is not None:
        path += f"?versionId={quote(source.version_id, safe='')}"
    headers = {"x-oss-copy-source": path}
    if source.etag is not None:
        headers["x-oss-copy-source-if-match"] = document.quoted(source.etag)
    return headers
