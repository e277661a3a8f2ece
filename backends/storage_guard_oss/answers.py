"""What an answer means that is not a refusal. Pure. One that cannot be understood is `Lost`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    Verifier,
    WriteMeta,
)
from storage_guard.wire.services.contents import measured
from storage_guard.wire.services.times import http_time
from storage_guard_oss import document
from storage_guard_oss.document import NotUnderstoodError
from storage_guard_oss.failures import signal_of
from storage_guard_oss.message import Answer, Operation, Route, Versioning
from storage_guard_oss.options import WRITE_ID_HEADER, options_of

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
        modified=http_time(answer.headers.get("date")) or answer.asked_at,
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
    size_bytes, modified = measured(asked, answer)
    return ObjectInfo(
        key=key,
        size_bytes=size_bytes,
        etag=asked.etag(answer),
        modified=modified,
        version_id=headers.get("x-oss-version-id"),
        write_id=headers.get(WRITE_ID_HEADER),
        checksum=asked.crc(answer),
        options=options_of(headers, tags),
    )


def has_tags(answer: Answer) -> bool:
    return answer.headers.get("x-oss-tagging-count", "0") != "0"


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


def part_sum(listed: document.Element) -> Checksum | None:
    """That of a part in a listing. Raises ValueError for what is none."""
    crc = listed.get("HashCrc64ecma")
    return as_checksum(int(crc)) if crc else None


def _crcs(asked: Asked, ours: Checksum, theirs: Checksum) -> str:
    return f"{asked.about}: the checksum of what arrived is {theirs.value}, of what was sent {ours.value}"
