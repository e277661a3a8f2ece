"""Calls that are the same in all these services: method, key, parameters. And what may be sent at all. Pure."""

from __future__ import annotations

import re

from storage_guard.driver import Limits, PartSlot, Refused
from storage_guard.wire.services.message import Request

PAGE = "1000"
SLACK_BYTES = 64 * 1024  # more than an error document, which a read may be answered with

_SENDABLE = re.compile(r"(?! )[\x20-\x7e]*(?<! )")

VERSIONING = Request("versioning", "GET", params={"versioning": ""})


def abort(key: str, upload_id: str) -> Request:
    return Request("abort", "DELETE", key, {"uploadId": upload_id})


def tags(key: str, bucket: str | None = None, version_id: str | None = None) -> Request:
    params = {"tagging": ""} if version_id is None else {"tagging": "", "versionId": version_id}
    return Request("tags", "GET", key, params, bucket=bucket)


def list_objects(prefix: str, delimiter: str, start_after: str, token: str) -> Request:
    params = {"list-type": "2", "encoding-type": "url", "max-keys": PAGE}
    named = {"prefix": prefix, "delimiter": delimiter, "start-after": start_after, "continuation-token": token}
    return Request("list", "GET", params=params | {name: value for name, value in named.items() if value})


def list_uploads(prefix: str, key_marker: str, upload_id_marker: str) -> Request:
    params = {"uploads": "", "encoding-type": "url", "max-uploads": PAGE}
    named = {"prefix": prefix, "key-marker": key_marker, "upload-id-marker": upload_id_marker}
    return Request("list uploads", "GET", params=params | {name: value for name, value in named.items() if value})


def list_parts(key: str, upload_id: str, marker: str) -> Request:
    params = {"uploadId": upload_id, "max-parts": PAGE}
    return Request("list parts", "GET", key, params | ({"part-number-marker": marker} if marker else {}))


def check(request: Request, max_key_bytes: int) -> None:
    """Raises `Refused` for what cannot be sent as it is. Nothing of it may be changed on the way: a key "." or ".."
    would be taken out of the path by whatever tidies URLs, and the request would concern the bucket."""
    if request.key:
        try:
            size_bytes = len(request.key.encode())
        except UnicodeEncodeError:
            raise Refused(f"the key {request.key!r} is not UTF-8", why="key") from None
        if size_bytes > max_key_bytes:
            raise Refused(f"the key has {size_bytes} bytes, and {max_key_bytes} are the most", why="key")
        if request.key in (".", ".."):
            raise Refused(f"{request.key!r} cannot be sent as a key", why="key")
    # All values at once, as a look at each costs as much as to sign them. An outer space makes three, or two at an end.
    joined = "".join([f" {value} " for value in request.headers.values()])
    outer = "   " in joined or joined.startswith("  ") or joined.endswith("  ")
    if joined.isascii() and joined.isprintable() and not outer:
        return
    for name, value in request.headers.items():
        if not _SENDABLE.fullmatch(value):
            raise Refused(f"{name} must be printable ASCII without outer spaces, got {value!r}", why="request")


def check_size(size_bytes: int, most_bytes: int, what: str) -> None:
    """Raises `Refused`."""
    if size_bytes > most_bytes:
        raise Refused(f"{size_bytes} bytes in {what}, and {most_bytes} are the most", why="request")


def check_slot(slot: PartSlot, limits: Limits) -> None:
    """Raises `Refused`."""
    if not 1 <= slot.number <= limits.max_parts:
        raise Refused(f"part number {slot.number} is not in 1 to {limits.max_parts}", why="request")
    check_size(slot.size_bytes, limits.max_part_bytes, "a part")


def wrong_size(found_bytes: int, expected_bytes: int, how: str = "") -> Refused:
    return Refused(f"the body has {how}{found_bytes} bytes, not {expected_bytes}", why="request")
