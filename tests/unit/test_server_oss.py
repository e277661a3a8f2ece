"""OSS over buckets: one object at a time."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from email.utils import format_datetime
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from storage_guard.checksum import crc64xz
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.exchange import Request
from storage_guard.testing.server.oss import OSSDialect
from storage_guard.testing.server.oss_service import Limits
from storage_guard.testing.server.versions import Versioning
from unit.oss_calls import AWKWARD, NOON, Client, Clock, send, told

TRUE = {"x-oss-forbid-overwrite": "true"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dialect(clock: Clock) -> OSSDialect:
    return OSSDialect(Buckets(["bkt", "other"], now=clock), limits=Limits(put_bytes=100, copy_bytes=50))


@pytest.fixture
def oss(dialect: OSSDialect) -> Client:
    return Client(dialect)


@pytest.mark.parametrize("key", [*AWKWARD, "é" * 511])
def test_an_object_comes_back_under_its_key(oss: Client, key: str) -> None:
    data = key.encode()[:50]
    written = oss.put(key, data, content_type="text/x", x_oss_meta_write_id="w1", cache_control="no-cache")
    assert (written.status, written.body) == (200, b"")
    read, head = oss("GET", key), oss("HEAD", key)
    assert (read.body, head.body, head.body_bytes) == (data, b"", len(data))
    for answer in (written, read, head):
        assert answer.headers["ETag"] == f'"{hashlib.md5(data).hexdigest().upper()}"'
        assert answer.headers["x-oss-hash-crc64ecma"] == str(crc64xz(data))
        assert len(answer.headers["x-oss-request-id"]) == 24
        assert answer.headers["x-oss-server-time"].isdigit()
        assert "x-oss-version-id" not in answer.headers
    for answer in (read, head):
        assert answer.headers["Content-Type"] == "text/x"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-oss-meta-write-id"] == "w1"
        assert answer.headers["x-oss-object-type"] == "Normal"
        assert answer.headers["x-oss-storage-class"] == "Standard"
        assert answer.headers["Last-Modified"] == "Sun, 22 Nov 2026 12:00:00 GMT"
    assert oss("GET", list_type=2, encoding_type="url").all("Contents/Key") == [quote(key, safe="")]


@pytest.mark.parametrize("key", ["/a", "\\a", "é" * 512])
def test_a_key_must_be_one_of_the_service(oss: Client, key: str) -> None:
    for method in ("PUT", "GET", "DELETE"):
        assert oss(method, key).code == "InvalidObjectName"
    assert oss("HEAD", key).status == 400


def test_a_host_below_the_endpoint_is_a_bucket(dialect: OSSDialect) -> None:
    host = "other.oss-cn-hangzhou.aliyuncs.com"
    put = Request("PUT", host, "/bkt/a", "", {"content-length": "1"})
    assert send(dialect, put, b"x").status == 200
    assert Client(dialect, "other")("GET", "bkt/a").body == b"x"
    missing = send(dialect, Request("GET", "none.oss-cn-hangzhou.aliyuncs.com", "/a", "", {}))
    assert (missing.code, missing.field("BucketName")) == ("NoSuchBucket", "none")
    assert send(dialect, Request("GET", "oss-cn-hangzhou.aliyuncs.com", "/other/bkt%2Fa", "", {})).body == b"x"


def test_a_condition_that_is_taken_refuses_and_changes_nothing(oss: Client) -> None:
    assert oss("PUT", "k", TRUE, b"first").status == 200
    refused = oss("PUT", "k", TRUE, b"second")
    assert (refused.status, refused.code) == (409, "FileAlreadyExists")
    assert refused.field("EC") == refused.headers["x-oss-ec"] == "0026-00000002"
    assert (refused.field("Key"), refused.field("HostId")) == ("k", "127.0.0.1")
    assert refused.field("RequestId") == refused.headers["x-oss-request-id"]
    copy = {**TRUE, "x-oss-copy-source": "/bkt/k"}
    assert oss("PUT", "k", copy).code == oss("POST", "k", TRUE, uploads="").code == "FileAlreadyExists"
    assert oss("PUT", "free", copy).status == 200
    assert oss("GET", "k").body == b"first"
    assert oss("PUT", "k", {"x-oss-forbid-overwrite": "false"}, b"third").status == 200
    assert oss("GET", "k").body == b"third"


@pytest.mark.parametrize("value", ["True", "1", "", "yes"])
def test_the_condition_is_true_or_false(oss: Client, value: str) -> None:
    headers = {"x-oss-forbid-overwrite": value}
    for answer in (
        oss("PUT", "k", headers),
        oss("POST", "k", headers, uploads=""),
        oss("PUT", "k", {**headers, "x-oss-copy-source": "/bkt/k"}),
    ):
        assert answer.status in {400, 404}
    assert (oss("PUT", "k", headers).code, oss("PUT", "k", headers).field("EC")) == ("InvalidArgument", "0017-00000279")
    assert oss("HEAD", "k").status == 404


@pytest.mark.parametrize("state", ["enabled", "suspended"])
def test_where_there_ever_was_versioning_the_condition_is_silently_dropped(
    oss: Client, dialect: OSSDialect, state: Versioning
) -> None:
    assert oss("GET", versioning="").all("Status") == []
    oss.put("k", b"0")
    body = f"<VersioningConfiguration><Status>{state.capitalize()}</Status></VersioningConfiguration>".encode()
    assert oss("PUT", "", {}, body, versioning="").status == 200
    assert oss("GET", versioning="").all("Status") == [state.capitalize()]
    assert oss("GET", bucketInfo="").all("Bucket/Versioning") == [state.capitalize()]
    first, second = oss("PUT", "k", TRUE, b"1"), oss("PUT", "k", TRUE, b"2")
    assert (first.status, second.status, oss("GET", "k").body) == (200, 200, b"2")
    ids = {first.headers["x-oss-version-id"], second.headers["x-oss-version-id"]}
    assert (ids == {"null"}) == (state == "suspended")
    assert dialect.state["bkt"].versioning == state


def test_versions_are_read_and_removed_by_their_ids(oss: Client, dialect: OSSDialect) -> None:
    dialect.state["bkt"].versioning = "enabled"
    one = oss.put("k", b"1").headers["x-oss-version-id"]
    oss.put("k", b"2")
    removed = oss("DELETE", "k")
    assert (removed.status, removed.headers["x-oss-delete-marker"]) == (204, "true")
    marker = removed.headers["x-oss-version-id"]
    gone = oss("GET", "k")
    assert (gone.code, gone.headers["x-oss-delete-marker"], gone.headers["x-oss-version-id"]) == (
        "NoSuchKey",
        "true",
        marker,
    )
    assert oss("GET", "k", versionId=one).body == b"1"
    assert oss("GET", "k", versionId="x").code == "NoSuchVersion"
    assert oss("GET", "k", versionId=marker).code == "MethodNotAllowed"
    assert oss("PUT", "c", {"x-oss-copy-source": f"/bkt/k?versionId={marker}"}).code == "NoSuchKey"
    copied = oss("PUT", "c", {"x-oss-copy-source": f"/bkt/k?versionId={one}"})
    assert (oss("GET", "c").body, copied.headers["x-oss-copy-source-version-id"]) == (b"1", one)
    undone = oss("DELETE", "k", versionId=marker)
    assert (undone.headers["x-oss-delete-marker"], undone.headers["x-oss-version-id"]) == ("true", marker)
    assert oss("GET", "k").body == b"2"
    assert oss("DELETE", "k", versionId="x").status == 204


def test_what_is_not_there(oss: Client, dialect: OSSDialect) -> None:
    missing = oss("HEAD", "k")
    assert (missing.status, missing.body) == (404, b"")
    error = ElementTree.fromstring(base64.b64decode(missing.headers["x-oss-err"]))
    assert (error.findtext("Code"), error.findtext("Key")) == ("NoSuchKey", "k")
    assert oss("DELETE", "k").status == 204
    nowhere = Client(dialect, "nowhere")
    for answer in (nowhere("GET", "k"), nowhere.put("k"), nowhere("GET"), nowhere("GET", versioning="")):
        assert (answer.status, answer.code) == (404, "NoSuchBucket")
    assert Client(dialect, "No_Bucket")("GET").code == "InvalidBucketName"


def test_an_error_can_be_read_whatever_the_key(oss: Client) -> None:
    assert oss("GET", "\x01\r<").field("Key") == "\ufffd\r<"


def test_a_body_is_what_its_digest_says(oss: Client) -> None:
    good = base64.b64encode(hashlib.md5(b"abc").digest()).decode()
    assert oss.put("k", b"abc", content_md5=good).status == 200
    for bad in ("x", "", good[:-4], base64.b64encode(bytes(16)).decode()):
        assert oss.put("other", b"abc", content_md5=bad).code == "InvalidDigest"
    assert oss("HEAD", "other").status == 404


def test_a_body_has_a_length_and_not_too_much_of_it(oss: Client, dialect: OSSDialect) -> None:
    def put(headers: dict[str, str], body: bytes) -> tuple[int, str]:
        answer = send(dialect, Request("PUT", "h", "/bkt/k", "", headers), body, piece_bytes=60)
        return answer.status, answer.code

    assert put({}, b"") == (411, "MissingContentLength")
    assert put({"content-length": "101"}, b"x" * 101) == (400, "EntityTooLarge")
    assert put({"transfer-encoding": "chunked"}, b"x" * 101) == (400, "EntityTooLarge")
    assert oss("HEAD", "k").status == 404
    assert put({"transfer-encoding": "chunked"}, b"x" * 100) == (200, "")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-oss-object-acl": "everybody"}, "InvalidArgument"),
        ({"x-oss-storage-class": "Cheap"}, "InvalidArgument"),
        ({"x-oss-server-side-encryption": "ROT13"}, "InvalidEncryptionAlgorithmError"),
        ({"x-oss-tagging": "a=1&a=2"}, "InvalidTag"),
        ({"x-oss-tagging": "&".join(f"t{n}=" for n in range(11))}, "InvalidTag"),
        ({"x-oss-meta-a_b": "1"}, "InvalidArgument"),
        ({"x-oss-meta-a": "x" * 8192}, "InvalidArgument"),
    ],
)
def test_headers_of_a_put_are_judged(oss: Client, headers: dict[str, str], code: str) -> None:
    assert oss("PUT", "k", headers).code == code
    assert oss("POST", "k", headers, uploads="").code == code
    assert oss("HEAD", "k").status == 404


def test_attributes_are_kept(oss: Client) -> None:
    headers = {
        "x-oss-object-acl": "private",
        "x-oss-storage-class": "IA",
        "x-oss-server-side-encryption": "AES256",
        "x-oss-tagging": "a=1&b%20c=%26",
    }
    assert oss("PUT", "k", headers).headers["x-oss-server-side-encryption"] == "AES256"
    head = oss("HEAD", "k").headers
    assert (head["x-oss-storage-class"], head["x-oss-server-side-encryption"]) == ("IA", "AES256")
    assert head["x-oss-tagging-count"] == "2"
    tags = oss("GET", "k", tagging="")
    assert dict(zip(tags.all("TagSet/Tag/Key"), tags.all("TagSet/Tag/Value"), strict=True)) == {"a": "1", "b c": "&"}
    assert oss("GET", "k", acl="").all("AccessControlList/Grant") == ["private"]


def test_a_copy_takes_or_replaces_what_its_source_has(oss: Client, dialect: OSSDialect) -> None:
    oss.put("s p", b"data", content_type="a/b", x_oss_meta_one="1", x_oss_tagging="t=1")
    source = {"x-oss-copy-source": "/bkt/s%20p", "content-type": "c/d", "x-oss-meta-two": "2", "x-oss-tagging": "u=2"}
    same = Client(dialect, "other")("PUT", "c1", source)
    assert (same.field("ETag"), same.field("LastModified")) == (same.headers["ETag"], "2026-11-22T12:00:00.000Z")
    head = Client(dialect, "other")("HEAD", "c1").headers
    assert (head["Content-Type"], head["x-oss-meta-one"]) == ("a/b", "1")
    assert "x-oss-meta-two" not in head
    oss("PUT", "c2", {**source, "x-oss-metadata-directive": "REPLACE", "x-oss-tagging-directive": "Replace"})
    head = oss("HEAD", "c2").headers
    assert (head["Content-Type"], head["x-oss-meta-two"]) == ("c/d", "2")
    assert "x-oss-meta-one" not in head
    assert oss("GET", "c2", tagging="").all("TagSet/Tag/Key") == ["u"]
    assert oss("GET", "c2").body == b"data"
    for name in ("x-oss-metadata-directive", "x-oss-tagging-directive"):
        assert oss("PUT", "c3", {**source, name: "PERHAPS"}).code == "InvalidArgument"
    assert oss("PUT", "c3", {"x-oss-copy-source": "nothing"}).code == "InvalidArgument"
    missing = oss("PUT", "c3", {"x-oss-copy-source": "/bkt/none"})
    assert (missing.code, missing.field("Key")) == ("NoSuchKey", "none")
    assert oss("PUT", "c3", {"x-oss-copy-source": "/none/k"}).field("BucketName") == "none"
    oss.put("large", b"x" * 51)
    assert Client(dialect, "other")("PUT", "c", {"x-oss-copy-source": "/bkt/large"}).code == "EntityTooLarge"
    assert oss("PUT", "c", {"x-oss-copy-source": "/bkt/large"}).status == 200


@pytest.mark.parametrize("prefix", ["", "x-oss-copy-source-"])
def test_conditions_on_what_is_read_or_copied(oss: Client, prefix: str) -> None:
    etag = oss.put("k", b"x").headers["ETag"]
    before, after = (format_datetime(NOON + timedelta(seconds=s), usegmt=True) for s in (-1, 0))
    for name, value, status in (
        ("if-match", etag, 200),
        ("if-match", etag.strip('"').lower(), 200),
        ("if-match", '"0"', 412),
        ("if-none-match", etag, 304),
        ("if-none-match", '"0"', 200),
        ("if-modified-since", before, 200),
        ("if-modified-since", after, 304),
        ("if-unmodified-since", before, 412),
        ("if-unmodified-since", after, 200),
        ("if-unmodified-since", "yesterday", 400),
    ):
        headers = {prefix + name: value}
        if prefix:
            answers = [oss("PUT", "c", {"x-oss-copy-source": "/bkt/k", **headers})]
        else:
            answers = [oss("GET", "k", headers), oss("HEAD", "k", headers)]
        for answer in answers:
            assert (answer.status, name, value) == (status, name, value)
            assert status != 304 or (answer.body, answer.headers["ETag"]) == (b"", etag)


@pytest.mark.parametrize(
    ("asked", "default", "standard"),
    [
        ("bytes=0-4", (0, 5), (0, 5)),
        ("bytes=5-", (5, 10), (5, 10)),
        ("bytes=-3", (7, 10), (7, 10)),
        ("bytes=9-9", (9, 10), (9, 10)),
        ("bytes=0-4,6-7", (0, 5), (0, 5)),
        ("bytes=5-10", None, (5, 10)),
        ("bytes=-11", None, (0, 10)),
        ("bytes=10-", None, 416),
        ("bytes=10-12", None, 416),
        ("bytes=-0", None, 416),
        ("bytes=4-3", None, None),
        ("byte=0-4", None, None),
        ("bytes=-", None, None),
        ("bytes=a-b", None, None),
    ],
)
def test_ranges(
    oss: Client, asked: str, default: tuple[int, int] | None, standard: tuple[int, int] | int | None
) -> None:
    data = b"0123456789"
    oss.put("k", data)
    for headers, wanted in (({}, default), ({"x-oss-range-behavior": "standard"}, standard)):
        answer = oss("GET", "k", {"range": asked, **headers})
        if wanted is None:
            assert (answer.status, answer.body) == (200, data)
            assert "Content-Range" not in answer.headers
        elif isinstance(wanted, int):
            assert (answer.status, answer.code, answer.field("ActualObjectSize")) == (wanted, "InvalidRange", "10")
        else:
            start, stop = wanted
            assert (answer.status, answer.body) == (206, data[start:stop])
            assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/10"
            assert answer.headers["x-oss-hash-crc64ecma"] == str(crc64xz(data))


def test_small_things_of_reading(oss: Client) -> None:
    oss.put("k", b"abc", x_oss_meta_a="1", content_type="a/b")
    head = oss("HEAD", "k", objectMeta="")
    assert (head.status, head.body_bytes) == (200, 3)
    assert {"ETag", "Last-Modified"} < head.headers.keys()
    assert "x-oss-meta-a" not in head.headers
    assert oss("GET", "k", response_content_type="c/d").headers["Content-Type"] == "c/d"


def test_an_error_on_cue_has_the_form_of_the_service(dialect: OSSDialect) -> None:
    get, head = (Request(method, "bkt.host", "/k", "", {}) for method in ("GET", "HEAD"))
    answer = told(dialect.refusal(get, 503, "SlowDown"))
    assert (answer.status, answer.code, answer.field("HostId")) == (503, "SlowDown", "bkt.host")
    answer = told(dialect.refusal(head, 500, "InternalError"))
    assert (answer.status, answer.body) == (500, b"")
    assert b"<Code>InternalError</Code>" in base64.b64decode(answer.headers["x-oss-err"])
