"""What an answer means that is not a refusal. Pure. One that cannot be understood is `Lost`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from storage_guard.driver import (
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
from storage_guard_s3 import document
from storage_guard_s3.document import NotUnderstoodError
from storage_guard_s3.failures import signal_of
from storage_guard_s3.message import Answer, Operation, Route, Versioning
from storage_guard_s3.options import WRITE_ID_HEADER, options_of
from storage_guard_s3.sums import CRC_HEADER, Digest, decoded

_EXPECTED: Mapping[Operation, tuple[int, ...]] = {
    "abort": (204, 200),
    "remove": (204, 200),
    "read": (206, 200),
    "put": (200, 201),
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
        if not answer.ok:
            raise signal_of(self.operation, answer, self.route, self.about)
        if answer.status not in _EXPECTED.get(self.operation, (200,)):
            raise self.lost(answer, f"status {answer.status} is not what this call is answered with")
        if self.operation in ("abort", "remove") and answer.request_id is None and answer.body.strip():
            # A page of something on the way; services of this kind answer nothing, or with an id.
            raise self.lost(answer, "the answer says something that the service does not")

    def root(self, answer: Answer, name: str) -> document.Element:
        """The document of an answer that must have one. An `<Error>` in it counts, whatever the status: complete and
        copy answer 200 before they are through (CompleteMultipartUpload, CopyObject)."""
        try:
            root = document.read(
                answer.body, name, "Error", name.replace("Result", "Response")
            )  # the last one is moto's
        except NotUnderstoodError as exc:
            raise self.lost(answer, f"the answer cannot be understood: {exc}") from exc
        if root.name == "Error":
            raise signal_of(self.operation, answer, self.route, self.about)
        return root

    def etag(self, answer: Answer, said: str | None = None) -> str:
        """`said`: by the document, where it is that which counts."""
        etag = document.unquoted(said or answer.headers.get("etag", ""))
        if not etag:
            raise self.lost(answer, "the answer has no ETag")
        return etag

    def crc(self, answer: Answer, said: str | None = None) -> Checksum | None:
        """None where the service says none. Raises `Lost` for one that is no CRC-64."""
        text = said or answer.headers.get(CRC_HEADER)
        if not text:
            return None
        try:
            return decoded(text)
        except ValueError as exc:
            raise self.lost(answer, f"the checksum cannot be understood: {exc}") from exc


def put(asked: Asked, answer: Answer, key: str, meta: WriteMeta, *, size_bytes: int, found: Digest) -> ObjectInfo:
    """The object that a put made. Raises `Damaged`, `Lost`."""
    etag = asked.etag(answer)
    theirs = found.crc if found.said_by(answer.headers.get(CRC_HEADER)) else asked.crc(answer)
    verified_by: Verifier | None = None
    if theirs is not None and found.crc is not None:
        if theirs != found.crc:
            raise Damaged(_sums(asked, found.crc, theirs), status=answer.status, request_id=answer.request_id)
        verified_by = "store"
    elif found.is_etag(etag):
        verified_by = "client"
    return _published(
        answer,
        key,
        meta,
        size_bytes=size_bytes,
        etag=etag,
        checksum=theirs or found.crc,
        verified_by=verified_by,
    )


def finished(
    asked: Asked,
    answer: Answer,
    key: str,
    meta: WriteMeta,
    *,
    parts: Sequence[Part],
    ours: Checksum | None,
    copied: bool,
) -> ObjectInfo:
    """The object that a complete made; its document can say that it made none, under a 200. `ours`: the checksum that
    went along. `copied`: parts are the service's copies, whose sums are its own. Raises `Damaged`, `Lost`."""
    root = asked.root(answer, "CompleteMultipartUploadResult")
    etag, theirs = asked.etag(answer, root.get("ETag")), asked.crc(answer, root.get("ChecksumCRC64NVME"))
    if ours is not None and theirs is not None and ours != theirs:
        raise Damaged(_sums(asked, ours, theirs), status=answer.status, request_id=answer.request_id)
    verified_by: Verifier | None = None
    if copied:
        pass  # nobody compared them with what is at the source
    elif ours is not None and theirs is not None:
        verified_by = "store"
    elif all(part.checksum is not None for part in parts):
        verified_by = "client"  # each part's answer was compared with what was sent
    size_bytes = sum(part.slot.size_bytes for part in parts)
    return _published(
        answer, key, meta, size_bytes=size_bytes, etag=etag, checksum=theirs or ours, verified_by=verified_by
    )


def copied(asked: Asked, answer: Answer, key: str, meta: WriteMeta, source: ObjectInfo) -> ObjectInfo:
    root = asked.root(answer, "CopyObjectResult")
    etag, theirs = asked.etag(answer, root.get("ETag")), asked.crc(answer, root.get("ChecksumCRC64NVME"))
    ours = source.checksum
    if ours is not None and theirs is not None and ours != theirs:
        raise Damaged(_sums(asked, ours, theirs), status=answer.status, request_id=answer.request_id)
    return _published(
        answer, key, meta, size_bytes=source.size_bytes, etag=etag, checksum=theirs or ours, verified_by=None
    )


def _published(
    answer: Answer,
    key: str,
    meta: WriteMeta,
    *,
    size_bytes: int,
    etag: str,
    checksum: Checksum | None,
    verified_by: Verifier | None,
) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size_bytes=size_bytes,
        etag=etag,
        modified=http_time(answer.headers.get("date")) or answer.asked_at,
        version_id=version_of(answer),
        write_id=meta.write_id,
        checksum=checksum,
        options=meta.options,
        verified_by=verified_by,
    )


def version_of(answer: Answer) -> str | None:
    """None also for "null", which is the version of an object that has none."""
    version_id = answer.headers.get("x-amz-version-id")
    return None if version_id == "null" else version_id


def sent(asked: Asked, answer: Answer, slot: PartSlot, found: Digest) -> Part:
    """A part that was sent. Raises `Corrupt` if other bytes arrived: nothing is published, it can be sent again."""
    etag, theirs = asked.etag(answer), asked.crc(answer)
    if theirs is not None and found.crc is not None and theirs != found.crc:
        raise Corrupt(_sums(asked, found.crc, theirs), status=answer.status, request_id=answer.request_id)
    if theirs is None and found.md5 is not None and found.is_etag(etag):
        theirs = Checksum("md5", found.md5.hex())
    # Without a word of the service's nobody has compared this part, and finish must not say so.
    return Part(slot, etag, theirs)


def copied_part(asked: Asked, answer: Answer, slot: PartSlot) -> Part:
    root = asked.root(answer, "CopyPartResult")
    # The service sums what it copies, and completes no upload of known sums without those of all parts.
    return Part(slot, asked.etag(answer, root.get("ETag")), asked.crc(answer, root.get("ChecksumCRC64NVME")))


def described(asked: Asked, answer: Answer, key: str, tags: Mapping[str, str]) -> ObjectInfo:
    """The object that a HEAD shows."""
    headers = answer.headers
    size_bytes, modified = measured(asked, answer)
    return ObjectInfo(
        key=key,
        size_bytes=size_bytes,
        etag=asked.etag(answer),
        modified=modified,
        version_id=version_of(answer),
        write_id=headers.get(WRITE_ID_HEADER),
        checksum=asked.crc(answer),
        options=options_of(headers, tags),
    )


def has_tags(answer: Answer) -> bool:
    return answer.headers.get("x-amz-tagging-count", "0") != "0"


def versioning_of(answer: Answer) -> Versioning:
    """Unknown if the answer cannot be understood: nothing depends on it."""
    try:
        text = document.read(answer.body, "VersioningConfiguration").get("Status")
    except NotUnderstoodError:
        return "unknown"
    known: dict[str | None, Versioning] = {"Enabled": "enabled", "Suspended": "suspended", "": "never", None: "never"}
    return known.get(text, "unknown")


def part_sum(listed: document.Element) -> Checksum | None:
    """That of a part in a listing. Raises ValueError for what is none."""
    crc = listed.get("ChecksumCRC64NVME")
    return decoded(crc) if crc else None


def _sums(asked: Asked, ours: Checksum, theirs: Checksum) -> str:
    return f"{asked.about}: the checksum of what arrived is {theirs.value}, of what was sent {ours.value}"
