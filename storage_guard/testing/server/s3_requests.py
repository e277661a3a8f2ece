"""Which call of S3 a request is, on which bucket and key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from storage_guard.testing.server.exchange import Asked, Request

MAX_KEY_BYTES = 1024

_NONE: Mapping[str, str] = MappingProxyType({})

# The calls, and what they are in the words of `Asked`.
MEMBERS = {
    "put": "put_new",
    "copy": "copy_new",
    "begin": "begin",
    "put_part": "put_part",
    "copy_part": "copy_part",
    "finish": "finish_new",
    "abort": "abort",
    "head": "head",
    "read": "read",
    "list_v1": "scan",
    "list_v2": "scan",
    "list_versions": "scan",
    "remove": "remove",
    "remove_many": "remove",
    "list_uploads": "scan_uploads",
    "list_parts": "scan_parts",
    "get_versioning": "versioning",
    "put_versioning": "versioning",
    "location": "bucket",
    "head_bucket": "bucket",
    "create_bucket": "bucket",
    "remove_bucket": "bucket",
    "list_buckets": "other",
    "get_tags": "other",
    "put_tags": "other",
    "remove_tags": "other",
    "get_acl": "other",
    "put_acl": "other",
    "other": "other",
}

# Names in the query that make another call of a request; an unknown one would be taken for a plain call otherwise.
_SUBRESOURCES = frozenset(
    (
        *(
            "accelerate",
            "acl",
            "analytics",
            "append",
            "attributes",
            "cors",
            "delete",
            "encryption",
            "intelligent-tiering",
        ),
        *("inventory", "legal-hold", "lifecycle", "location", "logging", "metadataTable", "metrics", "notification"),
        *("object-lock", "ownershipControls", "partNumber", "policy", "policyStatus", "publicAccessBlock"),
        *("renameObject", "replication", "requestPayment", "restore", "retention", "select", "session", "tagging"),
        *("torrent", "uploadId", "uploads", "versioning", "versions", "website"),
    )
)

# (method, what is named, the subresources) -> call; a `PUT` may be a copy.
_CALLS: dict[tuple[str, str, frozenset[str]], str] = {
    (method, named, frozenset(names.split())): call
    for method, named, names, call in (
        ("PUT", "key", "", "put"),
        ("PUT", "key", "uploadId partNumber", "put_part"),
        ("PUT", "key", "tagging", "put_tags"),
        ("PUT", "key", "acl", "put_acl"),
        ("GET", "key", "", "read"),
        ("GET", "key", "uploadId", "list_parts"),
        ("GET", "key", "tagging", "get_tags"),
        ("GET", "key", "acl", "get_acl"),
        ("HEAD", "key", "", "head"),
        ("POST", "key", "uploads", "begin"),
        ("POST", "key", "uploadId", "finish"),
        ("DELETE", "key", "", "remove"),
        ("DELETE", "key", "uploadId", "abort"),
        ("DELETE", "key", "tagging", "remove_tags"),
        ("GET", "bucket", "", "list_v1"),
        ("GET", "bucket", "uploads", "list_uploads"),
        ("GET", "bucket", "versions", "list_versions"),
        ("GET", "bucket", "versioning", "get_versioning"),
        ("PUT", "bucket", "versioning", "put_versioning"),
        ("GET", "bucket", "location", "location"),
        ("HEAD", "bucket", "", "head_bucket"),
        ("PUT", "bucket", "", "create_bucket"),
        ("DELETE", "bucket", "", "remove_bucket"),
        ("POST", "bucket", "delete", "remove_many"),
        ("GET", "service", "", "list_buckets"),
    )
}
_PLAIN: frozenset[str] = frozenset()


class Call:
    """A request, understood. `pairs` is the query, decoded, in its order; `params` the same by name, the first of each.
    `action` is a name of `MEMBERS`. `key` is None if the path is not UTF-8."""

    __slots__ = ("action", "asked", "bucket", "key", "pairs", "params", "request")

    def __init__(self, request: Request, endpoints: Iterable[str]) -> None:
        self.request = request
        self.pairs = _pairs(request.raw_query) if request.raw_query else []
        self.params = dict(reversed(self.pairs)) if self.pairs else _NONE
        path = request.raw_path[1:]
        self.bucket = _bucket_of_host(request.host, endpoints)
        if not self.bucket:
            self.bucket, _, path = path.partition("/")
        self.key = _decoded(path)
        self.action = self._action()
        self.asked = Asked(MEMBERS[self.action], self.bucket, self.key or "")

    def _action(self) -> str:
        names = _PLAIN if not self.pairs else _SUBRESOURCES.intersection(self.params)
        named = "service" if not self.bucket else "bucket" if self.key == "" else "key"
        action = _CALLS.get((self.request.method, named, names), "other")
        if action == "list_v1" and self.params.get("list-type") == "2":
            return "list_v2"
        if "x-amz-copy-source" in self.request.headers:
            return {"put": "copy", "put_part": "copy_part"}.get(action, action)
        return action


def _bucket_of_host(host: str, endpoints: Iterable[str]) -> str:
    """The part of `host` before the longest of `endpoints` that it is below; "" if it is below none, or is one."""
    below = [endpoint for endpoint in endpoints if host == endpoint or host.endswith(f".{endpoint}")]
    return host[: -len(max(below, key=len)) - 1] if below and host not in below else ""


def _pairs(raw_query: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for pair in raw_query.replace("+", " ").split("&"):
        if pair:
            name, _, value = pair.partition("=")
            pairs.append((_decoded(name) or name, _decoded(value) or ""))
    return pairs


def _decoded(raw: str) -> str | None:
    """None if it is not UTF-8."""
    if "%" not in raw and raw.isascii():
        return raw
    try:
        return unquote_to_bytes(raw.encode("latin-1")).decode("utf-8")
    except UnicodeError:
        return None


def copy_source(value: str) -> tuple[str, str, str | None] | None:
    """Bucket, key and version id of what is to be copied; None if `value` does not name an object."""
    raw_path, _, raw_query = value.partition("?")
    path = _decoded(raw_path)
    if path is None:
        return None
    bucket, _, key = path.removeprefix("/").partition("/")
    if not bucket or not key:
        return None
    return bucket, key, dict(_pairs(raw_query)).get("versionId")
