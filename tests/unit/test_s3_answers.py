"""What answers of S3 mean that are no refusals; one that cannot be understood is in doubt."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from storage_guard.checksum import as_checksum, crc64nvme
from storage_guard.driver import (
    Checksum,
    Corrupt,
    Damaged,
    Exists,
    Lost,
    ObjectInfo,
    ObjectOptions,
    Part,
    PartSlot,
    Prefix,
    Refused,
    WriteMeta,
)
from storage_guard.testing import BytesBody
from storage_guard.wire.services import contents, listings
from storage_guard_s3 import answers
from storage_guard_s3.answers import Asked
from storage_guard_s3.document import part_list
from storage_guard_s3.message import Answer, Operation, Route
from storage_guard_s3.sums import Known, decoded, digest, encoded

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
META = WriteMeta("the-id", ObjectOptions(metadata={"a": "b"}))
DATA = b"some bytes"
NVME = as_checksum(crc64nvme(DATA), "crc64nvme")
MD5 = hashlib.md5(DATA).hexdigest()
FOUND = digest(BytesBody(DATA), crc=True, md5=True, sha256=False)


def asked(operation: Operation = "put") -> Asked:
    return Asked(operation, f"{operation} of 'k'", Route(sole=True))


def answer(body: bytes = b"", status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"x-amz-request-id": "1", **named}, body, NOW)


def put(told: Answer) -> ObjectInfo:
    return answers.put(asked(), told, "k", META, size_bytes=len(DATA), found=FOUND)


def test_a_put_says_who_compared_which_sum() -> None:
    summed = put(answer(etag='"abc"', x_amz_checksum_crc64nvme=encoded(NVME), x_amz_version_id="v1"))
    assert (summed.etag, summed.checksum, summed.verified_by, summed.version_id) == ("abc", NVME, "store", "v1")
    by_etag = put(answer(etag=f'"{MD5}"'))
    assert (by_etag.checksum, by_etag.verified_by) == (NVME, "client")
    by_nobody = put(answer(etag='"random"', x_amz_version_id="null"))
    assert (by_nobody.verified_by, by_nobody.version_id) == (None, None)
    assert (summed.write_id, summed.options, summed.size_bytes) == ("the-id", META.options, len(DATA))


def test_a_put_whose_sum_is_another_is_damaged() -> None:
    with pytest.raises(Damaged):
        put(answer(etag='"abc"', x_amz_checksum_crc64nvme=encoded(as_checksum(7, "crc64nvme"))))


@pytest.mark.parametrize(
    "told",
    [
        answer(),
        answer(etag='""'),
        answer(etag='"a"', x_amz_checksum_crc64nvme="???"),
        answer(etag='"a"', x_amz_checksum_crc64nvme="AAAA"),
    ],
)
def test_a_put_that_cannot_be_understood_is_lost(told: Answer) -> None:
    with pytest.raises(Lost):
        put(told)


@pytest.mark.parametrize("status", [202, 203, 204, 206])
def test_another_success_than_the_calls_is_lost(status: int) -> None:
    with pytest.raises(Lost):
        asked().check(answer(status=status))
    with pytest.raises(Lost):
        asked("remove").check(Answer(200, {}, b"<html>sign in</html>", NOW))
    asked("remove").check(answer(status=204))
    asked("abort").check(Answer(204, {}, b"", NOW))


SLOTS = [PartSlot(1, 0, 5), PartSlot(2, 5, 5)]
PARTS = [Part(slot, f"e{slot.number}", as_checksum(slot.number, "crc64nvme")) for slot in SLOTS]
DONE = b"<CompleteMultipartUploadResult><ETag>&quot;x-2&quot;</ETag>%s</CompleteMultipartUploadResult>"


def finished(body: bytes, parts: list[Part], ours: Checksum | None, *, copied: bool = False) -> ObjectInfo:
    return answers.finished(asked("finish"), answer(body), "k", META, parts=parts, ours=ours, copied=copied)


def test_a_finish_says_who_compared_which_sum() -> None:
    said = DONE % f"<ChecksumCRC64NVME>{encoded(NVME)}</ChecksumCRC64NVME>".encode()
    assert finished(said, PARTS, NVME).verified_by == "store"
    assert finished(DONE % b"", PARTS, NVME).verified_by == "client", "its parts were compared one by one"
    assert finished(said, [Part(SLOTS[0], "e")], None).verified_by is None
    assert finished(said, PARTS, NVME, copied=True).verified_by is None
    whole = finished(said, PARTS, NVME)
    assert (whole.etag, whole.size_bytes, whole.checksum) == ("x-2", 10, NVME)
    with pytest.raises(Damaged):
        finished(said, PARTS, as_checksum(7, "crc64nvme"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   \n\n",
        b"<?xml version='1.0'?>",
        b"<CompleteMultipartUploadResult><ETag>&quot;x",
        b"<CompleteMultipartUploadResult/>",
        b"<html><body>ok</body></html>",
        b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>",
        b'<!DOCTYPE x [<!ENTITY e "x">]>' + DONE % b"&e;",
        b"<Error><Code>InternalError</Code></Error>",
    ],
)
def test_a_finish_that_cannot_be_understood_is_lost(body: bytes) -> None:
    with pytest.raises(Lost):
        finished(body, PARTS, None)


def test_blanks_before_a_document_are_the_service_at_work() -> None:
    assert finished(b" \n" * 50 + b"<?xml version='1.0'?>" + DONE % b"", PARTS, None).etag == "x-2"
    error = b"\n  <?xml version='1.0'?><Error><Code>PreconditionFailed</Code></Error>"
    with pytest.raises(Exists):
        finished(error, PARTS, None)


def test_a_part_is_compared_with_what_its_answer_says() -> None:
    slot = PartSlot(1, 0, len(DATA))
    good = answers.sent(asked("part"), answer(etag='"x"', x_amz_checksum_crc64nvme=encoded(NVME)), slot, FOUND)
    assert good == Part(slot, "x", NVME)
    assert answers.sent(asked("part"), answer(etag=f'"{MD5}"'), slot, FOUND).checksum == Checksum("md5", MD5)
    assert answers.sent(asked("part"), answer(etag='"x"'), slot, FOUND).checksum is None
    with pytest.raises(Corrupt):
        answers.sent(asked("part"), answer(etag='"x"', x_amz_checksum_crc64nvme="AAAAAAAAAAA="), slot, FOUND)


def test_an_object_is_described_by_its_headers() -> None:
    told = answer(
        content_length="5",
        last_modified="Sun, 22 Nov 2026 11:00:00 GMT",
        etag='"e"',
        x_amz_meta_guardid="w",
        x_amz_meta_colour="blue",
        content_type="binary/octet-stream",
        x_amz_server_side_encryption="AES256",
        x_amz_checksum_crc64nvme=encoded(NVME),
    )
    found = answers.described(asked("head"), told, "k", {"t": "1"})
    assert (found.size_bytes, found.write_id, found.checksum) == (5, "w", NVME)
    assert found.modified == datetime(2026, 11, 22, 11, tzinfo=UTC)
    assert found.options == ObjectOptions(metadata={"colour": "blue"}, tags={"t": "1"})
    for missing in ("content-length", "last-modified", "etag"):
        headers = {name: value for name, value in told.headers.items() if name != missing}
        with pytest.raises(Lost):
            answers.described(asked("head"), Answer(200, headers, b"", NOW), "k", {})


@pytest.mark.parametrize(
    ("status", "headers", "body", "wanted"),
    [
        (206, {"content-range": "bytes 2-5/9"}, b"cdef", b"cdef"),
        (206, {"content-range": "bytes 2-3/4"}, b"cd", b"cd"),
        (206, {"content-range": "bytes 2-4/9"}, b"cde", None),
        (206, {"content-range": "bytes 1-5/9"}, b"bcdef", None),
        (206, {"content-range": "bytes 2-5/9"}, b"cde", None),
        (206, {}, b"cdef", None),
        (200, {"content-length": "4"}, b"abcd", None),
    ],
)
def test_a_range_is_the_one_that_was_asked_for(
    status: int, headers: dict[str, str], body: bytes, wanted: bytes | None
) -> None:
    told = Answer(status, headers, body, NOW)
    if wanted is None:
        with pytest.raises(Lost):
            contents.bytes_of(asked("read"), told, 2, 6)
    else:
        assert contents.bytes_of(asked("read"), told, 2, 6) == wanted


def test_a_listing_is_in_the_order_of_bytes_and_decoded() -> None:
    content = (
        "<Contents><Key>%s</Key><Size>1</Size><ETag>&quot;e&quot;</ETag>"
        "<LastModified>2026-11-22T12:00:00.000Z</LastModified></Contents>"
    )
    body = (
        "<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><EncodingType>url</EncodingType>"
        f"<IsTruncated>false</IsTruncated>{content % 'a%2Bb%20'}{content % 'c'}"
        "<CommonPrefixes><Prefix>b%2F</Prefix></CommonPrefixes></ListBucketResult>"
    ).encode()
    page = listings.objects_of(asked("list"), answer(body))
    assert [entry.key for entry in page.entries] == ["a+b ", "b/", "c"]
    assert isinstance(page.entries[1], Prefix)
    assert page.more is None
    for right, wrong in (
        (b"<IsTruncated>false", b"<IsTruncated>maybe"),
        (b"<Size>1", b"<Size>x"),
        (b"<Size>1</Size>", b""),
    ):
        with pytest.raises(Lost):
            listings.objects_of(asked("list"), answer(body.replace(right, wrong)))


@pytest.mark.parametrize(
    ("body", "versioning"),
    [
        (b"<VersioningConfiguration/>", "never"),
        (b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", "enabled"),
        (b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>", "suspended"),
        (b"<VersioningConfiguration><Status>Odd</Status></VersioningConfiguration>", "unknown"),
        (b"", "unknown"),
    ],
)
def test_versioning_is_told_where_it_is_understood(body: bytes, versioning: str) -> None:
    assert answers.versioning_of(answer(body)) == versioning


def test_a_list_of_parts_has_their_sums_where_the_service_knows_them() -> None:
    parts = [PARTS[0], Part(SLOTS[1], 'e"&', Checksum("md5", "00"))]
    text = part_list(parts).decode()
    assert text.count("<ChecksumCRC64NVME>") == 1
    assert "AAAAAAAAAAE=" in text
    assert '<ETag>"e"&amp;"</ETag>' in text


# Sums


def test_a_sum_is_written_as_the_service_writes_it() -> None:
    assert encoded(as_checksum(crc64nvme(b"123456789"), "crc64nvme")) == "rosUhgp5mIg="
    assert decoded("rosUhgp5mIg=") == as_checksum(0xAE8B14860A799888, "crc64nvme")
    for wrong in ("", "AAAA", "rosUhgp5mIg", "é"):
        with pytest.raises(ValueError, match=r"."):
            decoded(wrong)


@pytest.mark.parametrize("size_bytes", [0, 1, 1 << 20, (1 << 20) + 1])
def test_a_body_is_held_if_it_is_small(size_bytes: int) -> None:
    data = bytes(size_bytes)
    found = digest(BytesBody(data), crc=True, md5=True, sha256=True)
    assert found.crc == as_checksum(crc64nvme(data), "crc64nvme")
    assert found.md5 == hashlib.md5(data).digest()
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.held == (data if size_bytes <= 1 << 20 else None)


def test_a_body_that_is_not_as_long_as_it_says_is_refused() -> None:
    class Wrong(BytesBody):
        size_bytes: Any = 3

    for data in (b"four", b"tw"):
        with pytest.raises(Refused, match="not 3"):
            digest(Wrong(data), crc=True, md5=False, sha256=False)


def test_what_is_known_of_a_store_changes_one_way() -> None:
    known = Known()
    assert known.learning
    for _ in range(2):  # of two that were under way, the second one gives way too
        assert known.yields("payload", "crc64nvme", hashed=False)
        assert known.yields("checksum", "crc64nvme", hashed=False)
    assert not known.yields("payload", "md5", hashed=True)
    assert not known.yields("checksum", "md5", hashed=True)
    assert not known.yields(None, "crc64nvme", hashed=False)
    assert (known.sums, known.hashed) == ("md5", True)
    known.saw({"x-amz-checksum-crc64nvme": "x"})
    assert (known.sums, known.learning) == ("md5", False)


def test_a_store_that_has_said_its_sum_is_believed() -> None:
    begun = Known()
    begun.saw({"x-amz-checksum-algorithm": "CRC64NVME"}, "x-amz-checksum-algorithm")
    assert begun.learning, "no body was taken yet"
    for known in (Known(certain=True), Known(), begun):
        known.saw({"x-amz-checksum-crc64nvme": "x"})
        known.saw({})
        assert not known.yields("checksum", "crc64nvme", hashed=True), "the refusal is about something else"
        assert (known.sums, known.certain, known.learning) == ("crc64nvme", True, False)
