"""What OSS answers, taken for what it is; what cannot be understood may have been acted upon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from storage_guard.checksum import as_checksum, combine, crc64xz
from storage_guard.driver import (
    Broken,
    Checksum,
    Corrupt,
    Damaged,
    Exists,
    Lost,
    ObjectInfo,
    Part,
    PartSlot,
    Prefix,
    Refused,
    WriteMeta,
)
from storage_guard.wire.services import contents, listings
from storage_guard_oss import answers
from storage_guard_oss.answers import Asked
from storage_guard_oss.message import Answer, Operation, Route

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DATA = b"what was sent"
OURS = as_checksum(crc64xz(DATA))
META = WriteMeta("w-1")


def asked(operation: Operation = "put") -> Asked:
    return Asked(operation, f"{operation} of 'k'", Route(sole=True))


def answer(status: int = 200, body: bytes = b"", *, etag: str | None = '"E1"', **headers: str) -> Answer:
    told = {"x-oss-request-id": "R1", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Answer(status, told if etag is None else {**told, "etag": etag}, body, NOW)


def crc_of(data: bytes) -> str:
    return str(crc64xz(data))


def published(found: Answer, ours: Checksum = OURS) -> ObjectInfo:
    return answers.published(asked(), found, "k", META, size_bytes=len(DATA), ours=ours, verified_by="store")


def test_a_put_is_described_by_its_answer() -> None:
    date = "Sun, 22 Nov 2026 12:00:05 GMT"
    found = published(answer(x_oss_hash_crc64ecma=crc_of(DATA), date=date))
    assert (found.key, found.size_bytes, found.etag, found.write_id) == ("k", len(DATA), "E1", "w-1")
    assert found.modified == NOW + timedelta(seconds=5)
    assert (found.checksum, found.verified_by) == (OURS, "store")
    assert published(answer()).checksum == OURS, "without one in the answer it is ours"


def test_a_published_object_of_other_bytes_is_damaged() -> None:
    with pytest.raises(Damaged) as damaged:
        published(answer(x_oss_hash_crc64ecma=crc_of(b"others")))
    assert OURS.value in str(damaged.value)
    assert damaged.value.request_id == "R1"


@pytest.mark.parametrize("version_id", ["null", "CAEQMxiBgICbof2D0BYi"])
def test_a_version_in_the_answer_shows_that_nothing_was_guarded(version_id: str) -> None:
    with pytest.raises(Broken) as broken:
        published(answer(x_oss_version_id=version_id))
    assert broken.value.version_id == version_id


@pytest.mark.parametrize(
    "found",
    [
        answer(etag=None),
        answer(etag='""'),
        answer(x_oss_hash_crc64ecma="x"),
        answer(x_oss_hash_crc64ecma="-1"),
        answer(x_oss_hash_crc64ecma=""),
        answer(x_oss_hash_crc64ecma=str(1 << 64)),
    ],
)
def test_an_answer_to_a_put_that_lacks_something_is_lost(found: Answer) -> None:
    with pytest.raises(Lost):
        published(found)


@pytest.mark.parametrize("status", [201, 203, 204, 206])
def test_a_success_that_is_not_this_calls_is_lost(status: int) -> None:
    with pytest.raises(Lost):
        asked().check(answer(status))
    with pytest.raises(Lost):
        asked("finish").check(answer(status))


def test_a_success_without_a_request_id_did_not_come_from_oss() -> None:
    with pytest.raises(Lost, match="did not come from OSS"):
        asked().check(Answer(200, {"etag": '"E1"'}, b"", NOW))


def test_a_part_of_other_bytes_is_corrupt_and_can_be_sent_again() -> None:
    slot = PartSlot(1, 0, len(DATA))
    with pytest.raises(Corrupt):
        answers.sent(asked("part"), answer(x_oss_hash_crc64ecma=crc_of(b"others")), slot, OURS)
    assert answers.sent(asked("part"), answer(x_oss_hash_crc64ecma=crc_of(DATA)), slot, OURS) == Part(slot, "E1", OURS)
    assert answers.sent(asked("part"), answer(), slot, OURS).checksum is None, "nobody has compared it"


def _finish(found: Answer, *, compared: bool = True) -> ObjectInfo:
    parts = [
        Part(PartSlot(1, 0, 4), "A", as_checksum(crc64xz(DATA[:4])) if compared else None),
        Part(PartSlot(2, 4, len(DATA) - 4), "B", as_checksum(crc64xz(DATA[4:]))),
    ]
    return answers.finished(asked("finish"), found, "k", META, parts)


COMPLETED = b'<CompleteMultipartUploadResult><Key>k</Key><ETag>"E2"</ETag></CompleteMultipartUploadResult>'


def test_a_finish_compares_what_the_parts_make() -> None:
    found = _finish(answer(body=COMPLETED, x_oss_hash_crc64ecma=crc_of(DATA)))
    assert (found.size_bytes, found.etag, found.checksum, found.verified_by) == (len(DATA), "E1", OURS, "client")
    with pytest.raises(Damaged):
        _finish(answer(body=COMPLETED, x_oss_hash_crc64ecma=crc_of(b"others")))
    unseen = _finish(answer(body=COMPLETED, x_oss_hash_crc64ecma=crc_of(DATA)), compared=False)
    assert (unseen.checksum, unseen.verified_by) == (OURS, None)
    assert _finish(answer(body=COMPLETED, etag=None)).etag == "E2", "the document has it, too"


def test_an_error_under_a_200_is_an_error() -> None:
    taken = b"<Error><Code>FileAlreadyExists</Code><Message>It is there.</Message></Error>"
    with pytest.raises(Exists):
        _finish(answer(body=taken))
    with pytest.raises(Refused):
        _finish(answer(body=b"<Error><Code>InvalidPart</Code></Error>"))
    with pytest.raises(Lost):
        _finish(answer(body=b"<Error><Code>InternalError</Code></Error>"))


@pytest.mark.parametrize("body", [b"", b"OK", COMPLETED[:-3], b"<html/>", b"<InitiateMultipartUploadResult/>"])
def test_a_finish_whose_answer_cannot_be_understood_is_lost(body: bytes) -> None:
    with pytest.raises(Lost):
        _finish(answer(body=body))


def test_a_begin_without_an_upload_id_is_lost() -> None:
    for body in (b"", b"<InitiateMultipartUploadResult/>", b"<html/>"):
        with pytest.raises(Lost):
            contents.begun(asked("begin"), answer(body=body))
    body = b"<InitiateMultipartUploadResult><UploadId>U1</UploadId></InitiateMultipartUploadResult>"
    assert contents.begun(asked("begin"), answer(body=body)) == "U1"


def test_a_copy_is_compared_with_its_source() -> None:
    source = ObjectInfo("s", len(DATA), "S", NOW, checksum=OURS)
    body = b'<CopyObjectResult><ETag>"C"</ETag></CopyObjectResult>'
    found = answers.copied(asked("copy"), answer(body=body, x_oss_hash_crc64ecma=crc_of(DATA)), "k", META, source)
    assert (found.size_bytes, found.checksum, found.verified_by, found.write_id) == (len(DATA), OURS, None, "w-1")
    with pytest.raises(Damaged):
        answers.copied(asked("copy"), answer(body=body, x_oss_hash_crc64ecma=crc_of(b"x")), "k", META, source)
    with pytest.raises(Lost):
        answers.copied(asked("copy"), answer(), "k", META, source)


def test_a_copied_part_was_compared_by_nobody() -> None:
    slot = PartSlot(1, 0, 5)
    found = answer(body=b"<CopyPartResult/>", x_oss_hash_crc64ecma="5")
    part = answers.copied_part(asked("part copy"), found, slot)
    assert part == Part(slot, "E1")
    assert combine([(part.checksum, 5)]) is None


@pytest.mark.parametrize(
    ("told", "start", "stop", "data", "status"),
    [
        ("bytes 0-3/10", 0, 4, b"abcd", 206),
        ("bytes 8-9/10", 8, 12, b"ij", 206),
        ("", 0, 20, b"abcdefghij", 200),
    ],
)
def test_a_read_brings_what_was_asked_for(told: str, start: int, stop: int, data: bytes, status: int) -> None:
    found = answer(status, data, content_range=told, content_length=str(len(data)))
    assert contents.bytes_of(asked("read"), found, start, stop) == data


@pytest.mark.parametrize(
    ("told", "start", "stop", "data", "status"),
    [
        ("bytes 1-4/10", 0, 4, b"bcde", 206),
        ("bytes 0-4/10", 0, 4, b"abcde", 206),
        ("bytes 0-2/10", 0, 4, b"abc", 206),
        ("bytes 0-3/10", 0, 4, b"abc", 206),
        ("", 0, 4, b"abcd", 206),
        ("bytes */10", 0, 4, b"abcd", 206),
        ("", 0, 4, b"abcdefghij", 200),
        ("", 2, 4, b"cd", 200),
    ],
)
def test_a_read_that_brings_anything_else_is_lost(told: str, start: int, stop: int, data: bytes, status: int) -> None:
    found = answer(status, data, content_range=told, content_length=str(len(data)))
    with pytest.raises(Lost):
        contents.bytes_of(asked("read"), found, start, stop)


def test_a_whole_object_that_is_cut_is_lost() -> None:
    with pytest.raises(Lost):
        contents.bytes_of(asked("read"), answer(200, b"abc", content_length="9"), 0, 20)


def test_a_listing_is_merged_in_the_order_of_bytes_and_decoded() -> None:
    body = (
        b'<ListBucketResult xmlns="http://doc.oss-cn-hangzhou.aliyuncs.com"><EncodingType>url</EncodingType>'
        b"<IsTruncated>true</IsTruncated><NextContinuationToken>T</NextContinuationToken>"
        b'<Contents><Key>b%20%2B</Key><Size>3</Size><ETag>"E"</ETag><LastModified>2026-11-22T12:00:00.000Z</LastModified>'
        b"</Contents><CommonPrefixes><Prefix>a%2F</Prefix></CommonPrefixes>"
        b"<CommonPrefixes><Prefix>c%2F</Prefix></CommonPrefixes></ListBucketResult>"
    )
    page = listings.objects_of(asked("list"), answer(body=body))
    assert page.more == "T"
    assert page.entries == [Prefix("a/"), ObjectInfo("b +", 3, "E", NOW), Prefix("c/")]


LISTED = (
    b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key><Size>%b</Size><ETag>e</ETag>"
    b"<LastModified>%b</LastModified></Contents></ListBucketResult>"
)


def test_a_listing_as_below_is_a_listing() -> None:
    found = listings.objects_of(asked("list"), answer(body=LISTED % (b"1", b"2026-11-22T12:00:00.000Z")))
    assert [entry.key for entry in found.entries] == ["k"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<ListBucketResult/>",
        b"<ListBucketResult><IsTruncated>perhaps</IsTruncated></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key></Contents></ListBucketResult>",
        LISTED % (b"many", b"2026-11-22T12:00:00.000Z"),
        LISTED % (b"1", b"yesterday"),
    ],
)
def test_a_listing_that_cannot_be_understood_is_lost(body: bytes) -> None:
    with pytest.raises(Lost):
        listings.objects_of(asked("list"), answer(body=body))


def test_listed_parts_follow_each_other() -> None:
    body = (
        b"<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>"
        b'<Part><PartNumber>1</PartNumber><ETag>"A"</ETag><Size>4</Size><HashCrc64ecma>7</HashCrc64ecma>'
        b"<LastModified>2026-11-22T12:00:00.000Z</LastModified></Part>"
        b'<Part><PartNumber>2</PartNumber><ETag>"B"</ETag><Size>5</Size></Part></ListPartsResult>'
    )
    parts, more = listings.parts_of(asked("list parts"), answer(body=body), 10, answers.part_sum)
    assert parts == [Part(PartSlot(1, 10, 4), "A", as_checksum(7)), Part(PartSlot(2, 14, 5), "B")]
    assert [part.modified for part in parts] == [NOW, None]
    assert more == "2"


@pytest.mark.parametrize(
    ("told", "found"),
    [("<Status>Enabled</Status>", "enabled"), ("<Status>Suspended</Status>", "suspended"), ("", "never")],
)
def test_versioning_is_told_by_two_documents(told: str, found: str) -> None:
    body = f"<VersioningConfiguration>{told}</VersioningConfiguration>".encode()
    assert answers.versioning_of(asked("versioning"), answer(body=body)) == found
    told = told.replace("Status", "Versioning")
    body = f"<BucketInfo><Bucket><Name>b</Name>{told}</Bucket></BucketInfo>".encode()
    assert answers.versioning_in_info(asked("bucket info"), answer(body=body)) == found


def test_versioning_that_is_not_understood_is_not_taken_for_none() -> None:
    for body in (b"", b"<html/>", b"<VersioningConfiguration><Status>Odd</Status></VersioningConfiguration>"):
        with pytest.raises(Lost):
            answers.versioning_of(asked("versioning"), answer(body=body))
    for body in (b"", b"<BucketInfo/>", b"<BucketInfo><Bucket><Versioning>Odd</Versioning></Bucket></BucketInfo>"):
        with pytest.raises(Lost):
            answers.versioning_in_info(asked("bucket info"), answer(body=body))


@pytest.mark.parametrize(
    "headers",
    [
        {"content_length": "5"},
        {"last_modified": "Sun, 22 Nov 2026 12:00:00 GMT"},
        {"content_length": "x", "last_modified": "Sun, 22 Nov 2026 12:00:00 GMT"},
        {"content_length": "5", "last_modified": "then"},
    ],
)
def test_a_head_that_does_not_describe_is_lost(headers: dict[str, str]) -> None:
    with pytest.raises(Lost):
        answers.described(asked("head"), answer(200, b"", etag='"E1"', **headers), "k", {})
