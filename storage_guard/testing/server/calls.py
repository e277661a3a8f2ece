"""Which call a request is, on which bucket and key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from storage_guard.testing.server.exchange import Asked, Request

_NONE: Mapping[str, str] = MappingProxyType({})

# The calls of object stores, and what they are in the words of `Asked`.
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
    "bucket_info": "bucket",
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
_PLAIN: frozenset[str] = frozenset()


class Calls:
    """The calls that a service knows.

    `rows`: method, what is named ("key", "bucket" or "service"), the subresources in the query, and the call; a put, or
    that of a part, is a copy with the header `source`. `subresources`: the names in the query that make another call
    of a request, those in no row too; any other counts for nothing.
    """

    def __init__(self, rows: Iterable[tuple[str, str, str, str]], subresources: Iterable[str], source: str) -> None:
        self._known = {(method, named, frozenset(names.split())): call for method, named, names, call in rows}
        self._subresources = frozenset(subresources)
        self._source = source

    def action(self, request: Request, bucket: str, key: str | None, params: Mapping[str, str]) -> str:
        names = _PLAIN if not params else self._subresources.intersection(params)
        named = "service" if not bucket else "bucket" if key == "" else "key"
        action = self._known.get((request.method, named, names), "other")
        if action == "list_v1" and params.get("list-type") == "2":
            return "list_v2"
        if self._source in request.headers:
            return {"put": "copy", "put_part": "copy_part"}.get(action, action)
        return action


class Call:
    """A request, understood. `pairs` is the query, decoded, in its order; `params` the same by name, the first of each.
    `action` is a name of `MEMBERS`. `key` is None if the path is not UTF-8."""

    __slots__ = ("action", "asked", "bucket", "key", "pairs", "params", "request")

    def __init__(self, request: Request, endpoints: tuple[str, ...], calls: Calls) -> None:
        self.request = request
        self.pairs = _pairs(request.raw_query) if request.raw_query else []
        self.params = dict(reversed(self.pairs)) if self.pairs else _NONE
        path = request.raw_path[1:]
        self.bucket = _bucket_of_host(request.host, endpoints)
        if not self.bucket:
            self.bucket, _, path = path.partition("/")
        self.key = _decoded(path)
        self.action = calls.action(request, self.bucket, self.key, self.params)
        self.asked = Asked(MEMBERS[self.action], self.bucket, self.key or "")


@lru_cache(maxsize=256)
def _bucket_of_host(host: str, endpoints: tuple[str, ...]) -> str:
    """The part of `host` before the longest of `endpoints` that it is below; "" if it is below none, or is one."""
    below = [endpoint for endpoint in endpoints if host == endpoint or host.endswith(f".{endpoint}")]
    return host[: -len(max(below, key=len)) - 1] if below and host not in below else ""


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
