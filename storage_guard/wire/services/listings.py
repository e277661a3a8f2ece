"""Listings of objects, uploads and parts: what a page says, and page after page to the end. Pure.

`ask` asks for the page at a place, "" for the first one, and gives its answer with what judges it. What judges raises
is raised, and `Lost` if a page cannot be understood, or leads to itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from storage_guard.driver import Checksum, ObjectInfo, Part, PartSlot, Prefix, Upload
from storage_guard.wire.document import Element, unquoted
from storage_guard.wire.services.message import A, Judge
from storage_guard.wire.services.times import instant


class Page(NamedTuple):
    """A page of a listing. `more`: how to ask for the next one; None at the end."""

    entries: list[ObjectInfo | Prefix]
    more: str | None


def objects(ask: Callable[[str], tuple[Judge[A], A]]) -> Iterator[ObjectInfo | Prefix]:
    """In the order of UTF-8 bytes."""
    at = ""
    while True:
        asked, answer = ask(at)
        page = objects_of(asked, answer)
        yield from page.entries
        if page.more is None:
            return
        if page.more in ("", at):
            raise asked.lost(answer, "the listing does not advance")
        at = page.more


def uploads(ask: Callable[[str, str], tuple[Judge[A], A]]) -> Iterator[Upload]:
    """In the order of keys. A place is a key and an upload id."""
    at = ("", "")
    while True:
        asked, answer = ask(*at)
        found, more = uploads_of(asked, answer)
        yield from found
        if more is None:
            return
        if more == at:
            raise asked.lost(answer, "the listing does not advance")
        at = more


def parts(ask: Callable[[str], tuple[Judge[A], A]], checksum: Callable[[Element], Checksum | None]) -> Iterator[Part]:
    """Offsets are added up from part 1 on, and are right where none is missing. `checksum`: that of a part; raises
    ValueError for what is none."""
    at, offset_bytes = "", 0
    while True:
        asked, answer = ask(at)
        found, more = parts_of(asked, answer, offset_bytes, checksum)
        yield from found
        if more is None:
            return
        if more == at:
            raise asked.lost(answer, "the listing does not advance")
        at, offset_bytes = more, offset_bytes + sum(part.slot.size_bytes for part in found)


def objects_of(asked: Judge[A], answer: A) -> Page:
    """In the order of UTF-8 bytes: objects and prefixes are listed apart, each in order."""
    root = asked.root(answer, "ListBucketResult")
    try:
        quoted = root.get("EncodingType") == "url"
        entries: list[ObjectInfo | Prefix] = [
            ObjectInfo(
                key=each.raw("Key", quoted=quoted),
                size_bytes=int(each.need("Size")),
                etag=unquoted(each.need("ETag")),
                modified=instant(each.need("LastModified")),
            )
            for each in root.all("Contents")
        ]
        entries += [Prefix(each.raw("Prefix", quoted=quoted)) for each in root.all("CommonPrefixes")]
        more = root.need("NextContinuationToken") if root.flag("IsTruncated") else None
    except ValueError as exc:
        raise asked.lost(answer, f"the listing cannot be understood: {exc}") from exc
    return Page(sorted(entries, key=lambda entry: entry.key.encode()), more)


def uploads_of(asked: Judge[A], answer: A) -> tuple[list[Upload], tuple[str, str] | None]:
    """The open uploads of a page, and the two markers of the next one."""
    root = asked.root(answer, "ListMultipartUploadsResult")
    try:
        quoted = root.get("EncodingType") == "url"
        found = [
            Upload(each.raw("Key", quoted=quoted), each.need("UploadId"), instant(each.need("Initiated")))
            for each in root.all("Upload")
        ]
        more = None
        if root.flag("IsTruncated"):
            more = root.raw("NextKeyMarker", quoted=quoted), root.need("NextUploadIdMarker")
    except ValueError as exc:
        raise asked.lost(answer, f"the listing cannot be understood: {exc}") from exc
    return found, more


def parts_of(
    asked: Judge[A], answer: A, offset_bytes: int, checksum: Callable[[Element], Checksum | None]
) -> tuple[list[Part], str | None]:
    """The parts of a page, whose first begins at `offset_bytes` if none is missing before it."""
    root = asked.root(answer, "ListPartsResult")
    try:
        found = list(_parts(root, offset_bytes, checksum))
        more = root.need("NextPartNumberMarker") if root.flag("IsTruncated") else None
    except ValueError as exc:
        raise asked.lost(answer, f"the listing cannot be understood: {exc}") from exc
    return found, more


def _parts(root: Element, offset_bytes: int, checksum: Callable[[Element], Checksum | None]) -> Iterator[Part]:
    for each in root.all("Part"):
        size_bytes = int(each.need("Size"))
        modified = each.get("LastModified")
        yield Part(
            PartSlot(int(each.need("PartNumber")), offset_bytes, size_bytes),
            unquoted(each.need("ETag")),
            checksum(each),
            instant(modified) if modified else None,
        )
        offset_bytes += size_bytes
