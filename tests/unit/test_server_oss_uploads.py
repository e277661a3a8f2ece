"""OSS over buckets: multipart uploads."""

from __future__ import annotations

import base64
import hashlib
from typing import Literal

import pytest

from storage_guard.checksum import crc64xz
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.oss import OSSDialect
from storage_guard.testing.server.oss_service import Limits
from unit.oss_calls import Client, Clock

TRUE = {"x-oss-forbid-overwrite": "true"}


@pytest.fixture
def dialect() -> OSSDialect:
    return OSSDialect(Buckets(["bkt"], now=Clock()), limits=Limits(min_part_bytes=10, part_bytes=100, parts=20))


@pytest.fixture
def oss(dialect: OSSDialect) -> Client:
    return Client(dialect)


def put_part(oss: Client, key: str, upload_id: str, number: int, body: bytes) -> str:
    answer = oss("PUT", key, {}, body, partNumber=number, uploadId=upload_id)
    assert (answer.status, answer.headers["x-oss-hash-crc64ecma"]) == (200, str(crc64xz(body)))
    return answer.headers["ETag"]


def test_an_object_of_parts(oss: Client) -> None:
    headers = {"x-oss-meta-write-id": "w", "content-type": "a/b", "x-oss-server-side-encryption": "AES256"}
    upload_id = oss.begin("k ü", headers)
    bodies = {1: b"a" * 10, 3: b"b" * 100, 7: b"c"}
    tags = [(number, put_part(oss, "k ü", upload_id, number, body)) for number, body in bodies.items()]
    assert oss("HEAD", "k ü").status == 404
    done = oss.finish("k ü", upload_id, tags)
    whole = b"".join(bodies.values())
    md5s = hashlib.md5(b"".join(hashlib.md5(body).digest() for body in bodies.values())).hexdigest().upper()
    assert (done.status, done.field("Bucket"), done.field("Key")) == (200, "bkt", "k ü")
    assert done.field("ETag") == done.headers["ETag"] == f'"{md5s}-3"'
    assert done.headers["x-oss-hash-crc64ecma"] == str(crc64xz(whole))
    assert done.headers["x-oss-server-side-encryption"] == "AES256"
    read = oss("GET", "k ü")
    assert (read.body, read.headers["x-oss-meta-write-id"], read.headers["Content-Type"]) == (whole, "w", "a/b")
    assert read.headers["x-oss-object-type"] == "Multipart"


def test_the_condition_is_judged_at_begin_and_at_the_end(oss: Client) -> None:
    early = oss.begin("k", TRUE)
    tags = [(1, put_part(oss, "k", early, 1, b"x"))]
    oss.put("k", b"another's")
    assert oss("POST", "k", TRUE, uploads="").code == "FileAlreadyExists"
    refused = oss.finish("k", early, tags, TRUE)
    assert (refused.status, refused.code, refused.field("EC")) == (409, "FileAlreadyExists", "0042-00000214")
    assert oss("GET", "k").body == b"another's"
    assert oss.finish("k", early, tags, {"x-oss-forbid-overwrite": "TRUE"}).code == "InvalidArgument"
    # One that was begun with the condition and is finished without it overwrites.
    assert oss.finish("k", early, tags).status == 200
    assert oss("GET", "k").body == b"x"


@pytest.mark.parametrize(("checked_first", "code"), [("upload", "NoSuchUpload"), ("condition", "FileAlreadyExists")])
def test_a_finish_that_is_repeated(checked_first: Literal["upload", "condition"], code: str) -> None:
    oss = Client(OSSDialect(Buckets(["bkt"]), checked_first=checked_first))
    upload_id = oss.begin("k", TRUE)
    tags = [(1, put_part(oss, "k", upload_id, 1, b"x"))]
    assert oss.finish("k", upload_id, tags, TRUE).status == 200
    assert oss.finish("k", upload_id, tags, TRUE).code == code
    assert oss.finish("k", upload_id, tags).code == "NoSuchUpload"


def test_with_versioning_the_condition_of_a_finish_counts_for_nothing(oss: Client, dialect: OSSDialect) -> None:
    oss.put("k", b"old")
    dialect.state["bkt"].versioning = "suspended"
    upload_id = oss.begin("k", TRUE)
    done = oss.finish("k", upload_id, [(1, put_part(oss, "k", upload_id, 1, b"x"))], TRUE)
    assert (done.status, done.headers["x-oss-version-id"], oss("GET", "k").body) == (200, "null", b"x")


def test_a_finish_names_the_parts_that_are_there(oss: Client) -> None:
    upload_id = oss.begin("k")
    one, two, three = (put_part(oss, "k", upload_id, n, bytes([n]) * size) for n, size in ((1, 10), (2, 9), (3, 9)))
    refused = oss.finish("k", upload_id, [(2, two), (1, one)])
    assert (refused.status, refused.code, refused.field("EC")) == (400, "InvalidPartOrder", "0042-00000209")
    for named in ([(1, two)], [(1, one), (9, one)]):
        refused = oss.finish("k", upload_id, named)
        assert (refused.code, refused.field("PartNumber")) == ("InvalidPart", str(named[-1][0]))
    refused = oss.finish("k", upload_id, [(1, one), (2, two), (3, three)])
    assert (refused.code, refused.field("PartNumber"), refused.field("ProposedSize")) == ("EntityTooSmall", "2", "9")
    assert oss.finish("k", upload_id, []).code == "MalformedXML"
    assert oss.finish("k", upload_id, [(1, one.strip('"').lower()), (3, three)]).status == 200
    assert oss("GET", "k").body == b"\1" * 10 + b"\3" * 9


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<CompleteMultipartUpload>",
        b"<Other/>",
        b"<CompleteMultipartUpload/>",
        b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
        b'<!DOCTYPE a [<!ENTITY b "1">]><CompleteMultipartUpload/>',
        "<?xml version='1.0' encoding='utf-16'?><CompleteMultipartUpload/>".encode("utf-16"),
    ],
)
def test_a_document_that_is_none(oss: Client, body: bytes) -> None:
    upload_id = oss.begin("k")
    put_part(oss, "k", upload_id, 1, b"x")
    assert oss("POST", "k", {}, body, uploadId=upload_id).code == "MalformedXML"
    wrong = {"content-md5": base64.b64encode(bytes(16)).decode()}
    assert oss("POST", "k", wrong, body, uploadId=upload_id).code == "InvalidDigest"


def test_a_finish_may_take_all_parts(oss: Client) -> None:
    upload_id = oss.begin("k")
    everything = {"x-oss-complete-all": "yes"}
    assert oss("POST", "k", everything, uploadId=upload_id).code == "MalformedXML"
    for number in (2, 1):
        put_part(oss, "k", upload_id, number, bytes([number]) * 10)
    assert oss("POST", "k", {"x-oss-complete-all": "no"}, uploadId=upload_id).code == "InvalidArgument"
    assert oss("POST", "k", everything, b"<CompleteMultipartUpload/>", uploadId=upload_id).code == "InvalidArgument"
    assert oss("POST", "k", {**everything, "x-oss-callback": "e30="}, uploadId=upload_id).code == "NotImplemented"
    assert oss("POST", "k", everything, uploadId=upload_id).status == 200
    assert oss("GET", "k").body == b"\1" * 10 + b"\2" * 10


def test_numbers_and_sizes_of_parts_are_bounded(oss: Client) -> None:
    upload_id = oss.begin("k")
    for number in (0, 21, "x", "", -1):
        refused = oss("PUT", "k", {}, b"x", partNumber=number, uploadId=upload_id)
        assert (refused.code, refused.field("ArgumentName")) == ("InvalidArgument", "PartNumber")
    assert oss("PUT", "k", {}, b"x" * 101, partNumber=1, uploadId=upload_id).code == "EntityTooLarge"
    assert oss("PUT", "k", {}, b"x", partNumber=20, uploadId=upload_id).status == 200


def test_nothing_goes_into_an_upload_that_is_not_there(oss: Client) -> None:
    upload_id = oss.begin("k")
    assert oss("DELETE", "k", uploadId=upload_id).status == 204
    for bad, key in ((upload_id, "k"), ("x", "k"), (oss.begin("other"), "k")):
        answers = [
            oss("PUT", key, {}, b"x", partNumber=1, uploadId=bad),
            oss("PUT", key, {"x-oss-copy-source": "/bkt/k"}, partNumber=1, uploadId=bad),
            oss("GET", key, uploadId=bad),
            oss("DELETE", key, uploadId=bad),
            oss.finish(key, bad, [(1, "x")]),
        ]
        assert [(answer.status, answer.code) for answer in answers] == [(404, "NoSuchUpload")] * 5


def test_a_part_may_be_a_range_of_another_object(oss: Client) -> None:
    data = bytes(range(100))
    oss.put("s", data + b"!")
    etag = oss.put("s", data).headers["ETag"]
    upload_id = oss.begin("k")
    source = {"x-oss-copy-source": "/bkt/s"}
    tags: list[tuple[int, str]] = []
    ranges: list[tuple[str | None, bytes]] = [("bytes=0-9", data[:10]), (None, data), ("bytes=90-100", data)]
    for number, (asked, wanted) in enumerate(ranges, 1):
        headers = source if asked is None else {**source, "x-oss-copy-source-range": asked}
        copied = oss("PUT", "k", headers, partNumber=number, uploadId=upload_id)
        assert copied.field("ETag") == copied.headers["ETag"] == f'"{hashlib.md5(wanted).hexdigest().upper()}"'
        assert copied.headers["x-oss-hash-crc64ecma"] == str(crc64xz(wanted))
        assert copied.headers.get("Content-Range") == ("bytes 0-9/100" if number == 1 else None)
        tags.append((number, copied.headers["ETag"]))
    for condition, value, status in (("if-match", '"0"', 412), ("if-none-match", etag, 304)):
        headers = {**source, f"x-oss-copy-source-{condition}": value}
        assert oss("PUT", "k", headers, partNumber=9, uploadId=upload_id).status == status
    missing = oss("PUT", "k", {"x-oss-copy-source": "/bkt/none"}, partNumber=9, uploadId=upload_id)
    assert missing.code == "NoSuchKey"
    assert oss.finish("k", upload_id, tags).headers["x-oss-hash-crc64ecma"] == str(crc64xz(data[:10] + data + data))
    assert oss("GET", "k").body == data[:10] + data + data


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
def test_parts_are_listed_in_pages(oss: Client, page: int) -> None:
    upload_id = oss.begin("k ü")
    wanted: list[tuple[str, ...]] = []
    for number in (9, 2, 5, 20):
        tag = put_part(oss, "k ü", upload_id, number, bytes([number]))
        wanted.append((str(number), tag, "1", str(crc64xz(bytes([number])))))
    wanted.sort(key=lambda part: int(part[0]))
    seen: list[tuple[str, ...]] = []
    marker = "0"
    while True:
        told = oss("GET", "k ü", uploadId=upload_id, max_parts=page, part_number_marker=marker)
        assert len(told.all("Part")) <= page
        columns = (told.all(f"Part/{name}") for name in ("PartNumber", "ETag", "Size", "HashCrc64ecma"))
        seen += zip(*columns, strict=True)
        marker = told.field("NextPartNumberMarker")
        if told.field("IsTruncated") == "false":
            break
    assert seen == wanted
    assert told.all("Part/LastModified")[0] == "2026-11-22T12:00:00.000Z"
    assert told.field("Key") == "k ü"
    assert oss("GET", "k ü", uploadId=upload_id, encoding_type="url").field("Key") == "k%20%C3%BC"
    for name, value in (("max_parts", 0), ("max_parts", 1001), ("part_number_marker", "x")):
        assert oss("GET", "k ü", None, b"", uploadId=upload_id, **{name: value}).code == "InvalidArgument"
