"""What an answer means that is not a refusal. Pure. One that cannot be understood is `Lost`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from storage_guard.checksum import as_checksum, combine
from storage_guard.driver import (
    Broken,
    Checksum,
    Corrupt,
    Damaged,
    Lost,
    ObjectInfo,
    Part,
    PartSlot,
    Prefix,
    Upload,
    Verifier,
    WriteMeta,
)
from storage_guard_oss import document
from storage_guard_oss.document import NotUnderstoodError
from storage_guard_oss.failures import signal_of
from storage_guard_oss.message import Answer, Operation, Route, Versioning
from storage_guard_oss.options import WRITE_ID_HEADER, options_of

_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")
_CRC = re.compile(r"\d{1,20}")

_EXPECTED: Mapping[Operation, tuple[int, ...]] = {
    "abort": (204, 200),
    "remove": (204, 200),
    "read": (206, 200),
}


@dataclass(frozen=True)
class Asked:
    """What an answer is judged by: what was asked, for people and by its kind, and how it travelled."""

    operation: Operation
    about: str
    route: Route

    def lost(self, answer: Answer, why: str) -> Lost:
        return Lost(f"{self.about}: {why}", status=answer.status, request_id=answer.request_id)

    def check(self, answer: Answer) -> None:
        """Raises the signal of an answer that does not say that it went well."""
        expected = _EXPECTED.get(self.operation, (200,))
        if answer.request_id is not None and answer.status in expected:
            return
        if answer.ok and answer.request_id is not None:
            raise self.lost(answer, f"status {answer.status} is not what this call is answered with")
        raise signal_of(self.operation, answer, self.route, self.about)

    def root(self, answer: Answer, name: str) -> document.Element:
        """The document of an answer that must have one. An `<Error>` in it counts, whatever the status."""
        try:
            root = document.read(answer.body, name, "Error")
        except NotUnderstoodError as exc:
            raise self.lost(answer, f"the answer cannot be understood: {exc}") from exc
        if root.name == "Error":
            raise signal_of(self.operation, answer, self.route, self.about)
        return root

    def etag(self, answer: Answer) -> str:
        etag = document.unquoted(answer.headers.get("etag", ""))
        if not etag:
            raise self.lost(answer, "the answer has no ETag")
        return etag

    def crc(self, answer: Answer) -> Checksum | None:
        """None where the service says none. Raises `Lost` for one that is no number."""
        text = answer.headers.get("x-oss-hash-crc64ecma")
        if text is None:
            return None
        if not _CRC.fullmatch(text) or int(text) >= 1 << 64:
            raise self.lost(answer, f"the checksum {text[:40]!r} is no number")
        return as_checksum(int(text))


def published(
    asked: Asked,
    answer: Answer,
    key: str,
    meta: WriteMeta,
    *,
    size_bytes: int,
    ours: Checksum | None,
    verified_by: Verifier | None,
) -> ObjectInfo:
    """The object that a put, copy or finish made. Raises `Broken`, `Damaged`, `Lost`."""
    version_id = answer.headers.get("x-oss-version-id")
    if version_id is not None:
        raise Broken(
            f"{asked.about}: the answer names the version {version_id!r}, so versioning is or was on, where OSS "
            "ignores the condition",
            version_id=version_id,
            status=answer.status,
            request_id=answer.request_id,
        )
    etag, theirs = asked.etag(answer), asked.crc(answer)
    if ours is not None and theirs is not None and ours != theirs:
        raise Damaged(_crcs(asked, ours, theirs), status=answer.status, request_id=answer.request_id)
    return ObjectInfo(
        key=key,
        size_bytes=size_bytes,
        etag=etag,
        modified=_time(answer.headers.get("date")) or answer.asked_at,
        write_id=meta.write_id,
        checksum=theirs or ours,
        options=meta.options,
        verified_by=verified_by,
    )


def finished(asked: Asked, answer: Answer, key: str, meta: WriteMeta, parts: Sequence[Part]) -> ObjectInfo:
    """The object that a complete made; its document can say that it made none, under a 200."""
    root = asked.root(answer, "CompleteMultipartUploadResult")
    if "etag" not in answer.headers and root.get("ETag"):
        answer = answer._replace(headers={**answer.headers, "etag": root.need("ETag")})
    ours = combine((part.checksum, part.slot.size_bytes) for part in parts)
    size_bytes = sum(part.slot.size_bytes for part in parts)
    return published(asked, answer, key, meta, size_bytes=size_bytes, ours=ours, verified_by="client" if ours else None)


def copied(asked: Asked, answer: Answer, key: str, meta: WriteMeta, source: ObjectInfo) -> ObjectInfo:
    root = asked.root(answer, "CopyObjectResult")
    if "etag" not in answer.headers and root.get("ETag"):
        answer = answer._replace(headers={**answer.headers, "etag": root.need("ETag")})
    return published(asked, answer, key, meta, size_bytes=source.size_bytes, ours=source.checksum, verified_by=None)


def begun(asked: Asked, answer: Answer) -> str:
    upload_id = asked.root(answer, "InitiateMultipartUploadResult").get("UploadId")
    if not upload_id:
        raise asked.lost(answer, "the answer names no upload")
    return upload_id


def sent(asked: Asked, answer: Answer, slot: PartSlot, ours: Checksum) -> Part:
    """A part that was sent. Raises `Corrupt` if other bytes arrived: nothing is published, it can be sent again."""
    theirs = asked.crc(answer)
    if theirs is not None and theirs != ours:
        raise Corrupt(_crcs(asked, ours, theirs), status=answer.status, request_id=answer.request_id)
    # Without a checksum in the answer nobody has compared this part, and finish must not say so.
    return Part(slot, asked.etag(answer), theirs)


def copied_part(asked: Asked, answer: Answer, slot: PartSlot) -> Part:
    root = asked.root(answer, "CopyPartResult")
    etag = document.unquoted(answer.headers.get("etag") or root.get("ETag") or "")
    if not etag:
        raise asked.lost(answer, "the answer has no ETag")
    # No checksum of the answer's: nobody compared it with anything, and finish would say that somebody did.
    return Part(slot, etag)


def described(asked: Asked, answer: Answer, key: str, tags: Mapping[str, str]) -> ObjectInfo:
    """The object that a HEAD shows."""
    headers = answer.headers
    length, modified = headers.get("content-length", ""), _time(headers.get("last-modified"))
    if not (length.isascii() and length.isdigit()) or modified is None:
        raise asked.lost(answer, "the answer does not say how large the object is, or how old")
    return ObjectInfo(
        key=key,
        size_bytes=int(length),
        etag=asked.etag(answer),
        modified=modified,
        version_id=headers.get("x-oss-version-id"),
        write_id=headers.get(WRITE_ID_HEADER),
        checksum=asked.crc(answer),
        options=options_of(headers, tags),
    )


def has_tags(answer: Answer) -> bool:
    return answer.headers.get("x-oss-tagging-count", "0") != "0"


def tags_of(asked: Asked, answer: Answer) -> dict[str, str]:
    root = asked.root(answer, "Tagging")
    return {
        tag.raw("Key", quoted=False): tag.raw("Value", quoted=False)
        for each in root.all("TagSet")
        for tag in each.all("Tag")
    }


def bytes_of(asked: Asked, answer: Answer, start: int, stop: int) -> bytes:
    """What a ranged GET brought, if it is what was asked for."""
    data = answer.body
    if answer.status == 206:
        found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        if found is None:
            raise asked.lost(answer, "a part of an object, and the answer does not say which")
        first, last, whole = (int(each) for each in found.groups())
        if (first, last) != (start, min(stop, whole) - 1):
            raise asked.lost(answer, f"bytes {first} to {last} of {whole} came, not {start} to {stop - 1}")
        wanted_bytes = last - first + 1
    elif start == 0:
        wanted_bytes = _length(answer)  # the whole object, which is right if it is no more than was asked for
    else:
        raise asked.lost(answer, "the range was ignored")
    if len(data) != wanted_bytes or len(data) > stop - start:
        raise asked.lost(answer, f"{len(data)} bytes came, and {min(wanted_bytes, stop - start)} were to come")
    return data


def _length(answer: Answer) -> int:
    text = answer.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else -1


def versioning_of(asked: Asked, answer: Answer) -> Versioning:
    return _versioning(asked, answer, asked.root(answer, "VersioningConfiguration").get("Status"))


def versioning_in_info(asked: Asked, answer: Answer) -> Versioning:
    for bucket in asked.root(answer, "BucketInfo").all("Bucket"):
        return _versioning(asked, answer, bucket.get("Versioning"))
    raise asked.lost(answer, "the answer describes no bucket")


def _versioning(asked: Asked, answer: Answer, text: str | None) -> Versioning:
    if text == "Enabled":
        return "enabled"
    if text == "Suspended":
        return "suspended"
    if text:
        raise asked.lost(answer, f"versioning is said to be {text!r}")
    return "never"


@dataclass(frozen=True)
class Page:
    """A page of a listing. `more`: how to ask for the next one; None at the end."""

    entries: list[ObjectInfo | Prefix]
    more: str | None


def objects_of(asked: Asked, answer: Answer) -> Page:
    """In the order of UTF-8 bytes: objects and prefixes are listed apart, each in order."""
    root = asked.root(answer, "ListBucketResult")
    try:
        quoted = root.get("EncodingType") == "url"
        entries: list[ObjectInfo | Prefix] = [
            ObjectInfo(
                key=each.raw("Key", quoted=quoted),
                size_bytes=int(each.need("Size")),
                etag=document.unquoted(each.need("ETag")),
                modified=_instant(each.need("LastModified")),
            )
            for each in root.all("Contents")
        ]
        entries += [Prefix(each.raw("Prefix", quoted=quoted)) for each in root.all("CommonPrefixes")]
        more = root.need("NextContinuationToken") if root.flag("IsTruncated") else None
    except ValueError as exc:
        raise asked.lost(answer, f"the listing cannot be understood: {exc}") from exc
    return Page(sorted(entries, key=lambda entry: entry.key.encode()), more)


def uploads_of(asked: Asked, answer: Answer) -> tuple[list[Upload], tuple[str, str] | None]:
    """The open uploads of a page, and the two markers of the next one."""
    root = asked.root(answer, "ListMultipartUploadsResult")
    try:
        quoted = root.get("EncodingType") == "url"
        uploads = [
            Upload(each.raw("Key", quoted=quoted), each.need("UploadId"), _instant(each.need("Initiated")))
            for each in root.all("Upload")
        ]
        more = None
        if root.flag("IsTruncated"):
            more = root.raw("NextKeyMarker", quoted=quoted), root.need("NextUploadIdMarker")
    except ValueError as exc:
        raise asked.lost(answer, f"the listing cannot be understood: {exc}") from exc
    return uploads, more


def parts_of(asked: Asked, answer: Answer, offset_bytes: int) -> tuple[list[Part], str | None]:
    """The parts of a page, whose first begins at `offset_bytes` if none is missing before it."""
    root = asked.root(answer, "ListPartsResult")
    try:
        parts = list(_parts(root, offset_bytes))
        more = root.need("NextPartNumberMarker") if root.flag("IsTruncated") else None
    except ValueError as exc:
        raise asked.lost(answer, f"the listing cannot be understood: {exc}") from exc
    return parts, more


def _parts(root: document.Element, offset_bytes: int) -> Iterator[Part]:
    for each in root.all("Part"):
        size_bytes = int(each.need("Size"))
        crc, modified = each.get("HashCrc64ecma"), each.get("LastModified")
        yield Part(
            PartSlot(int(each.need("PartNumber")), offset_bytes, size_bytes),
            document.unquoted(each.need("ETag")),
            as_checksum(int(crc)) if crc else None,
            _instant(modified) if modified else None,
        )
        offset_bytes += size_bytes


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


@lru_cache(maxsize=64)  # of many answers within one second
def _time(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
    except (ValueError, TypeError):
        return None
    if found is None:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _crcs(asked: Asked, ours: Checksum, theirs: Checksum) -> str:
    return f"{asked.about}: the checksum of what arrived is {theirs.value}, of what was sent {ours.value}"
