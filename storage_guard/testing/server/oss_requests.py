"""Which call of OSS a request is, on which bucket and key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from storage_guard.testing.server.exchange import Asked, Request

MAX_KEY_BYTES = 1023

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
    "remove": "remove",
    "remove_many": "remove",
    "list_uploads": "scan_uploads",
    "list_parts": "scan_parts",
    "get_versioning": "versioning",
    "put_versioning": "versioning",
    "bucket_info": "bucket",
    "get_tags": "other",
    "get_acl": "other",
    "other": "other",
}

# Names in the query that make another call of a request; an unknown one would be taken for a plain call otherwise.
_SUBRESOURCES = frozenset(
    (
        *("accessPoint", "accessPointPolicy", "accessmonitor", "acl", "append", "asyncFetch", "bucketInfo"),
        *("callback", "cname", "comp", "cors", "delete", "encryption", "group", "httpsConfig", "inventory"),
        *("lifecycle", "live", "location", "logging", "metaQuery", "objectInfo", "objectMeta", "overwriteConfig"),
        *("policy", "policyStatus", "position", "publicAccessBlock", "qos", "qosInfo", "redundancyTransition"),
        *("referer", "regionList", "replication", "replicationLocation", "replicationProgress", "requestPayment"),
        *("resourceGroup", "restore", "rtc", "seal", "sequential", "stat", "status", "style", "symlink", "tagging"),
        *("transferAcceleration", "uploadId", "uploads", "versioning", "versions", "vod", "website", "worm"),
        *("wormExtend", "wormId", "x-oss-async-process", "x-oss-process"),
    )
)

# (method, whether there is a key, the subresources) -> call; a `PUT` may be a copy.
_CALLS: dict[tuple[str, bool, frozenset[str]], str] = {
    ("PUT", True, frozenset()): "put",
    ("PUT", True, frozenset({"uploadId"})): "put_part",
    ("GET", True, frozenset()): "read",
    ("GET", True, frozenset({"uploadId"})): "list_parts",
    ("GET", True, frozenset({"acl"})): "get_acl",
    ("GET", True, frozenset({"tagging"})): "get_tags",
    ("HEAD", True, frozenset()): "head",
    ("HEAD", True, frozenset({"objectMeta"})): "head",
    ("POST", True, frozenset({"uploads"})): "begin",
    ("POST", True, frozenset({"uploads", "sequential"})): "begin",
    ("POST", True, frozenset({"uploadId"})): "finish",
    ("DELETE", True, frozenset()): "remove",
    ("DELETE", True, frozenset({"uploadId"})): "abort",
    ("GET", False, frozenset()): "list_v1",
    ("GET", False, frozenset({"uploads"})): "list_uploads",
    ("GET", False, frozenset({"versioning"})): "get_versioning",
    ("PUT", False, frozenset({"versioning"})): "put_versioning",
    ("GET", False, frozenset({"bucketInfo"})): "bucket_info",
    ("POST", False, frozenset({"delete"})): "remove_many",
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
        if not self.bucket:
            return "other"
        action = _CALLS.get((self.request.method, self.key != "", names), "other")
        if action == "list_v1" and self.params.get("list-type") == "2":
            return "list_v2"
        if "x-oss-copy-source" in self.request.headers:
            return {"put": "copy", "put_part": "copy_part"}.get(action, action)
        return action


def _bucket_of_host(host: str, endpoints: Iterable[str]) -> str:
    for endpoint in endpoints:
        if host.endswith(endpoint) and host[-len(endpoint) - 1 : -len(endpoint)] == ".":
            return host[: -len(endpoint) - 1]
    return ""


def _pairs(raw_query: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for pair in raw_query.replace("+", " ").split("&"):  # as in forms, "+" is a blank: oss2 sends blanks so
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
