"""S3 over buckets: multipart uploads and their checksums."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from itertools import pairwise

import pytest

from storage_guard.testing.server.blobs import DiscardedBlobs
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.s3 import S3Dialect
from storage_guard.testing.server.s3_checksums import ALGORITHMS, COMPOSITE, FULL
from storage_guard.testing.server.s3_service import Limits
from unit.oss_calls import Clock
from unit.s3_calls import NEW, Client, complete_document, nvme

ONE, TWO, TAIL = b"1" * 10, b"2" * 100, b"t"
SUMS: dict[str, Callable[[bytes], bytes]] = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "CRC64NVME": lambda data: base64.b64decode(nvme(data)),
    "SHA1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


def told(value: bytes) -> str:
    return base64.b64encode(value).decode()


@pytest.fixture
def dialect() -> S3Dialect:
    limits = Limits(min_part_bytes=10, part_bytes=100, parts=20)
    return S3Dialect(Buckets(["bkt"], now=Clock()), limits=limits)


@pytest.fixture
def s3(dialect: S3Dialect) -> Client:
    return Client(dialect)


def test_the_least_part_of_the_service_has_5_mib() -> None:
    s3 = Client(S3Dialect(Buckets(["bkt"], blobs=DiscardedBlobs())))
    upload_id, parts = s3.upload("k", bytes((5 << 20) - 1), b"")
    small = s3.finish("k", upload_id, parts)
    assert (small.code, small.field("ProposedSize"), small.field("PartNumber")) == ("EntityTooSmall", "5242879", "1")
    parts[0] = (1, s3.part("k", upload_id, 1, bytes(5 << 20)).headers["ETag"])
    assert s3.finish("k", upload_id, parts).status == 200
    assert s3("HEAD", "k").body_bytes == 5 << 20


def test_an_object_of_parts(s3: Client) -> None:
    headers = {"x-amz-meta-guardid": "w", "content-type": "a/b"}
    upload_id = s3.begin("k ü", headers)
    tags = [
        (number, s3.part("k ü", upload_id, number, body).headers["ETag"])
        for number, body in ((1, ONE), (3, TWO), (7, TAIL))
    ]
    resent = s3.part("k ü", upload_id, 1, b"0" * 10).headers["ETag"]
    assert s3.finish("k ü", upload_id, tags, NEW).code == "InvalidPart"  # it was sent again since
    tags[0] = (1, resent)
    done = s3.finish("k ü", upload_id, tags, NEW)
    md5s = b"".join(hashlib.md5(body).digest() for body in (b"0" * 10, TWO, TAIL))
    assert (done.status, done.field("ETag")) == (200, f'"{hashlib.md5(md5s).hexdigest()}-3"')
    assert (done.field("Bucket"), done.field("Key")) == ("bkt", "k ü")
    whole = b"0" * 10 + TWO + TAIL
    assert (done.field("ChecksumCRC64NVME"), done.field("ChecksumType")) == (nvme(whole), FULL)
    got = s3("GET", "k ü")
    assert (got.body, got.headers["ETag"], got.headers["x-amz-meta-guardid"]) == (whole, done.field("ETag"), "w")
    assert s3.copy("/bkt/k ü", "copy").field("ETag") == f'"{hashlib.md5(whole).hexdigest()}"'
    again = s3.finish("k ü", upload_id, tags)
    assert (again.status, again.body) == (200, done.body)
    assert s3.finish("k ü", upload_id, tags[:1]).code == "NoSuchUpload"


def test_parts_that_are_not_there_or_not_in_order_are_refused(s3: Client) -> None:
    upload_id, parts = s3.upload("k", ONE, TWO)
    for named, code in (
        ([parts[1], parts[0]], "InvalidPartOrder"),
        ([parts[0], parts[0]], "InvalidPartOrder"),
        ([(1, '"0"')], "InvalidPart"),
        ([*parts, (3, parts[0][1])], "InvalidPart"),
        ([], "MalformedXML"),
        ([("x", parts[0][1])], "MalformedXML"),
    ):
        assert s3.finish("k", upload_id, named).code == code  # type: ignore[arg-type] # a number that is none
    assert s3("POST", "k", {}, b"no", uploadId=upload_id).code == "MalformedXML"
    for number in (0, 21, "x"):
        assert s3("PUT", "k", {}, b"x", partNumber=number, uploadId=upload_id).code == "InvalidArgument"
    assert s3.part("k", upload_id, 1, bytes(101)).code == "EntityTooLarge"
    assert s3.part("other", upload_id, 1, b"x").code == "NoSuchUpload"
    assert s3.finish("other", upload_id, parts).code == "NoSuchUpload"
    assert s3.finish("k", upload_id, parts, {"x-amz-mp-object-size": "1"}).code == "InvalidRequest"
    assert s3.finish("k", upload_id, parts, {"x-amz-mp-object-size": "110"}).status == 200


def test_a_refused_complete_leaves_the_upload(s3: Client) -> None:
    upload_id, parts = s3.upload("k", ONE)
    s3.put("k", b"rival")
    refused = s3.finish("k", upload_id, parts, NEW)
    assert (refused.status, refused.code, refused.field("Condition")) == (412, "PreconditionFailed", "If-None-Match")
    assert s3("GET", "k", uploadId=upload_id).all("Part/PartNumber") == ["1"]
    assert s3("GET", "k").body == b"rival"
    assert s3("DELETE", "k", uploadId=upload_id).status == 204
    assert s3.finish("k", upload_id, parts, NEW).code == "NoSuchUpload"
    assert s3("DELETE", "k", uploadId=upload_id).code == "NoSuchUpload"


def test_a_key_that_was_removed_during_the_upload_is_a_conflict_for_good(s3: Client) -> None:
    s3.put("k", b"first")
    upload_id, parts = s3.upload("k", ONE)
    assert s3.finish("k", upload_id, parts, NEW).code == "PreconditionFailed"
    s3("DELETE", "k")
    for _ in range(2):
        told = s3.finish("k", upload_id, parts, NEW)
        assert (told.status, told.code, told.field("Key")) == (409, "ConditionalRequestConflict", "k")
    assert s3("GET", "k").status == 404
    second, parts = s3.upload("k", ONE)
    assert s3.finish("k", second, parts, NEW).status == 200
    # Nobody asks without a condition, nor about a key that had no object.
    third, parts = s3.upload("free", ONE)
    s3("DELETE", "free")
    assert s3.finish("free", third, parts, NEW).status == 200


def test_a_marker_is_a_removal_and_the_next_version_is_not_its_end(dialect: S3Dialect, s3: Client) -> None:
    dialect.state["bkt"].versioning = "enabled"
    s3.put("k", b"first")
    upload_id, parts = s3.upload("k", ONE)
    s3("DELETE", "k")
    assert s3.finish("k", upload_id, parts, NEW).code == "ConditionalRequestConflict"
    second, parts = s3.upload("k", ONE)
    done = s3.finish("k", second, parts, NEW)
    assert (done.status, len(done.headers["x-amz-version-id"])) == (200, 32)


def test_parts_are_copied(s3: Client) -> None:
    s3.put("source", b"0123456789" * 20)
    upload_id = s3.begin("k", {"x-amz-checksum-algorithm": "CRC64NVME"})
    source = {"x-amz-copy-source": "/bkt/source"}
    first = s3("PUT", "k", {**source, "x-amz-copy-source-range": "bytes=5-94"}, partNumber=1, uploadId=upload_id)
    assert (first.status, first.field("ChecksumCRC64NVME")) == (200, nvme((b"0123456789" * 20)[5:95]))
    for asked in ("bytes=5-200", "bytes=9-5", "bytes=5-", "x"):
        refused = s3("PUT", "k", {**source, "x-amz-copy-source-range": asked}, partNumber=2, uploadId=upload_id)
        assert refused.code == "InvalidArgument"
    assert s3("PUT", "k", source, partNumber=2, uploadId=upload_id).code == "EntityTooLarge"
    wrong = {**source, "x-amz-copy-source-if-match": '"0"'}
    assert s3("PUT", "k", wrong, partNumber=2, uploadId=upload_id).code == "PreconditionFailed"
    done = s3.finish("k", upload_id, [(1, first.field("ETag"))])
    assert (done.status, s3("GET", "k").body) == (200, (b"0123456789" * 20)[5:95])


@pytest.mark.parametrize("algorithm", SUMS)
@pytest.mark.parametrize("kind", [FULL, COMPOSITE])
def test_the_checksum_of_the_whole(s3: Client, algorithm: str, kind: str) -> None:
    asked = {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind}
    if kind not in ALGORITHMS[algorithm].kinds:
        assert s3("POST", "k", asked, uploads="").code == "InvalidRequest"
        return
    header, tag, total = f"x-amz-checksum-{algorithm.lower()}", f"Checksum{algorithm}", SUMS[algorithm]
    begun = s3("POST", "k", asked, uploads="")
    assert {name: begun.headers[name] for name in asked} == asked
    upload_id = begun.field("UploadId")
    bodies = (ONE, TWO, TAIL)
    parts: list[tuple[int, str, str]] = []
    for number, body in enumerate(bodies, 1):
        assert s3.part("k", upload_id, number, body, {header: told(total(b"other"))}).code == "BadDigest"
        sent = s3.part("k", upload_id, number, body, {header: told(total(body))})
        assert sent.headers[header] == told(total(body))
        parts.append((number, sent.headers["ETag"], f"<{tag}>{told(total(body))}</{tag}>"))
    listed = s3("GET", "k", uploadId=upload_id)
    assert listed.all(f"Part/{tag}") == [told(total(body)) for body in bodies]
    assert (listed.field("ChecksumAlgorithm"), listed.field("ChecksumType")) == (algorithm, kind)
    if kind == FULL:
        value = wanted = told(total(b"".join(bodies)))
    else:
        value = told(total(b"".join(total(body) for body in bodies)))
        wanted = f"{value}-3"
        assert s3.finish("k", upload_id, [part[:2] for part in parts]).code == "InvalidRequest"
        assert s3.finish("k", upload_id, parts, {header: f"{value}-2"}).code == "BadDigest"
    other = told(bytes(len(total(b""))))
    wrong = [(number, tag_, f"<{tag}>{other}</{tag}>") for number, tag_, _ in parts]
    assert s3.finish("k", upload_id, wrong).code == "InvalidPart"
    assert s3.finish("k", upload_id, parts, {header: other}).code == "BadDigest"
    mismatch = {"x-amz-checksum-type": FULL if kind == COMPOSITE else COMPOSITE}
    assert s3.finish("k", upload_id, parts, mismatch).code == "InvalidRequest"
    done = s3.finish("k", upload_id, parts, {header: wanted, "x-amz-checksum-type": kind})
    assert (done.status, done.field(tag), done.field("ChecksumType")) == (200, wanted, kind)
    head = s3("HEAD", "k", {"x-amz-checksum-mode": "ENABLED"}).headers
    assert (head[header], head["x-amz-checksum-type"]) == (wanted, kind)
    copied = s3.copy("/bkt/k", "copy")
    assert (copied.field(tag), copied.field("ChecksumType")) == (told(total(b"".join(bodies))), FULL)


def test_a_part_has_the_checksum_of_its_upload(s3: Client) -> None:
    full = s3.begin("k", {"x-amz-checksum-algorithm": "CRC64NVME"})
    crc32 = {"x-amz-checksum-crc32": told(SUMS["CRC32"](ONE))}
    refused = s3.part("k", full, 1, ONE, crc32)
    assert (refused.code, "crc64nvme, actual checksum Type: crc32" in refused.field("Message")) == (
        "InvalidRequest",
        True,
    )
    bare = s3.part("k", full, 1, ONE)
    assert (bare.status, bare.headers["x-amz-checksum-crc64nvme"]) == (200, nvme(ONE))
    composite = s3.begin("k", {"x-amz-checksum-algorithm": "SHA256"})
    assert s3.part("k", composite, 1, ONE).code == "InvalidRequest"
    nothing = s3.begin("k")
    parts = [(1, s3.part("k", nothing, 1, ONE, crc32).headers["ETag"])]
    done = s3.finish("k", nothing, parts, {"x-amz-checksum-crc64nvme": nvme(ONE)})
    assert (done.status, done.field("ChecksumCRC64NVME")) == (200, nvme(ONE))
    assert s3.finish("k", full, [(1, bare.headers["ETag"])], crc32).code == "InvalidRequest"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-algorithm": "MD4"},
        {"x-amz-checksum-type": "FULL_OBJECT"},
        {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "HALF"},
    ],
)
def test_an_upload_is_begun_with_a_checksum_there_is(s3: Client, headers: dict[str, str]) -> None:
    assert s3("POST", "k", headers, uploads="").status == 400


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-checksum-crc32": "AAAAAA=="}, "BadDigest"),
        ({"x-amz-checksum-crc32": "AAAA"}, "InvalidRequest"),
        ({"x-amz-checksum-crc32": "?"}, "InvalidRequest"),
        ({"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-crc32c": "AAAAAA=="}, "InvalidRequest"),
        ({"x-amz-sdk-checksum-algorithm": "CRC32"}, "InvalidRequest"),
    ],
)
def test_a_checksum_that_does_not_hold_keeps_the_object_away(s3: Client, headers: dict[str, str], code: str) -> None:
    told = s3("PUT", "k", headers, b"x")
    assert (told.status, told.code, s3("GET", "k").status) == (400, code, 404)


def test_uploads_and_parts_are_listed_in_pages(s3: Client) -> None:
    begun = [(key, s3.begin(key)) for key in ("a", "a", "b/1", "b/2", "c")]
    seen: list[tuple[str, str]] = []
    marks = {"key_marker": "", "upload_id_marker": ""}
    while True:
        page = s3("GET", uploads="", max_uploads=2, **marks)
        seen += zip(page.all("Upload/Key"), page.all("Upload/UploadId"), strict=True)
        if page.field("IsTruncated") == "false":
            break
        marks = {"key_marker": page.field("NextKeyMarker"), "upload_id_marker": page.field("NextUploadIdMarker")}
    assert seen == begun
    folded = s3("GET", uploads="", delimiter="/")
    assert (folded.all("Upload/Key"), folded.all("CommonPrefixes/Prefix")) == (["a", "a", "c"], ["b/"])
    assert s3("GET", uploads="", prefix="b/").all("Upload/Key") == ["b/1", "b/2"]
    key, upload_id = begun[0]
    for number in range(1, 6):
        s3.part(key, upload_id, number, ONE)
    pages = [s3("GET", key, uploadId=upload_id, max_parts=2, part_number_marker=after) for after in (0, 2, 4)]
    assert [page.all("Part/PartNumber") for page in pages] == [["1", "2"], ["3", "4"], ["5"]]
    assert [page.field("IsTruncated") for page in pages] == ["true", "true", "false"]
    assert all(page.field("NextPartNumberMarker") == after for page, after in zip(pages, "245", strict=True))
    assert all(one < two for one, two in pairwise(seen))


def test_a_complete_may_come_in_any_pieces(dialect: S3Dialect, s3: Client) -> None:
    upload_id, parts = s3.upload("k", ONE, TWO)
    body = complete_document(parts)
    receiving = dialect.receive(s3.request("POST", "k", NEW, body, {"uploadId": upload_id}))
    for at in range(len(body)):
        receiving.take(memoryview(body[at : at + 1]))
    assert receiving.end().status == 200
    assert s3("GET", "k").body == ONE + TWO
