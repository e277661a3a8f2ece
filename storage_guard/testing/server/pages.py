"""Pages of what a bucket has, and how names are written in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar
from urllib.parse import quote

from storage_guard.testing.server.buckets import Buckets, Upload
from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.documents import element, leaf
from storage_guard.testing.server.refusals import invalid
from storage_guard.testing.server.versions import Version, folded

MAX_LISTED = 1000

T = TypeVar("T")


class Names:
    """How names are written in the document that was asked for. `safe`: what the service leaves as it is in those that
    it encodes."""

    def __init__(self, call: Call, safe: str) -> None:
        """Raises: Refusal."""
        wanted = call.params.get("encoding-type")
        if wanted not in {None, "", "url"}:
            raise invalid("encoding-type", wanted or "")
        self._encoded = wanted == "url"
        self._safe = safe

    def head(self) -> list[str]:
        return [leaf("EncodingType", "url")] if self._encoded else []

    def leaf(self, element_name: str, name: str) -> str:
        return leaf(element_name, quote(name, safe=self._safe) if self._encoded else name)

    def prefixes(self, shown: Iterable[tuple[str, object]]) -> list[str]:
        """The common prefixes among what is shown."""
        return [element("CommonPrefixes", self.leaf("Prefix", name)) for name, item in shown if item is None]


def truncated(*, more: bool) -> str:
    return leaf("IsTruncated", "true" if more else "false")


def page(entries: Iterable[tuple[str, T | None]], most: int) -> tuple[list[tuple[str, T | None]], bool]:
    """The first of them, at most so many, and whether there are more. A page of none is the last."""
    first = list(islice(entries, most + 1))
    return first[:most], most > 0 and len(first) > most


def objects(
    state: Buckets, call: Call, marker: str | None, start_after: str | None, most: int
) -> tuple[list[tuple[str, Version | None]], bool]:
    """A page of keys and common prefixes beyond `marker`, the last name of the page before, and of keys beyond
    `start_after`; and whether there are more."""
    prefix = call.params.get("prefix", "")
    after = max((name for name in (marker, start_after) if name), default=None)
    items = state[call.bucket].histories.objects(at_least=prefix, after=after)
    # What lies below a common prefix is beyond it in order, and was shown with it.
    names = (item for item in folded(items, prefix, call.params.get("delimiter", "")) if item[0] != marker)
    return page(names, most)


def beyond_prefix(entries: Iterable[tuple[str, T | None]], marker: str) -> Iterable[tuple[str, T | None]]:
    """Without the common prefix that a page ended with."""
    return (entry for entry in entries if entry[1] is not None or entry[0] != marker)


def uploads(
    state: Buckets, call: Call, most: int, safe: str, told: Callable[[Names, Upload], Iterable[str]]
) -> list[str]:
    """The fields of a page of at most so many uploads. `safe`: as for `Names`; `told`: the fields of one upload."""
    params = call.params
    prefix, delimiter = params.get("prefix", ""), params.get("delimiter", "")
    marker = params.get("key-marker", "")
    # An upload id counts together with a key only: help.aliyun.com/document_detail/31997.html and
    # docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
    id_marker = params.get("upload-id-marker", "") if marker else ""
    ordered = sorted(state[call.bucket].uploads.values(), key=lambda upload: (upload.key, upload.upload_id))
    items = (
        (upload.key, upload)
        for upload in ordered
        if upload.key >= prefix
        and (upload.key > marker or (upload.key == marker and id_marker and upload.upload_id > id_marker))
    )
    shown, more = page(beyond_prefix(folded(items, prefix, delimiter), marker), most)
    names = Names(call, safe)
    last_name, last = shown[-1] if more else ("", None)
    fields = [
        leaf("Bucket", call.bucket),
        *names.head(),
        names.leaf("KeyMarker", marker),
        leaf("UploadIdMarker", id_marker),
        names.leaf("NextKeyMarker", last_name),
        leaf("NextUploadIdMarker", "" if last is None else last.upload_id),
        names.leaf("Delimiter", delimiter),
        names.leaf("Prefix", prefix),
        leaf("MaxUploads", most),
        truncated(more=more),
    ]
    for name, upload in shown:
        fields += names.prefixes([(name, None)]) if upload is None else [element("Upload", *told(names, upload))]
    return fields
