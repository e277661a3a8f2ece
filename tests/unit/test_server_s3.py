"""S3 over buckets: one object at a time."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import pytest

from storage_guard.testing.server.blobs import DiscardedBlobs, DiskBlobs
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.exchange import Request
from storage_guard.testing.server.s3 import S3Dialect
from storage_guard.testing.server.s3_service import OWNER_ID, Limits
from unit.oss_calls import AWKWARD, NOON, Clock
from unit.s3_calls import NEW, Client, Told, nvme, send


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dialect(clock: Clock) -> S3Dialect:
    return S3Dialect(Buckets(["bkt", "other"], now=clock), limits=Limits(put_bytes=1100, copy_bytes=50, skew_s=1))


@pytest.fixture
def s3(dialect: S3Dialect) -> Client:
    return Client(dialect)


@pytest.mark.parametrize("key", [*AWKWARD, "/a", "é" * 512])
def test_an_object_comes_back_under_its_key(s3: Client, key: str) -> None:
    data = key.encode()
    written = s3.put(key, data, content_type="text/x", x_amz_meta_guardid="w1", cache_control="no-cache")
    assert (written.status, written.body) == (200, b"")
    read, head = s3("GET", key), s3("HEAD", key)
    assert (read.body, head.body, head.body_bytes) == (data, b"", len(data))
    for answer in (written, read, head):
        assert answer.headers["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
        assert answer.headers["Server"] == "AmazonS3"
        assert (len(answer.headers["x-amz-request-id"]), len(answer.headers["x-amz-id-2"])) == (16, 64)
        assert answer.headers["x-amz-server-side-encryption"] == "AES256"
        assert "x-amz-version-id" not in answer.headers
    assert written.headers["x-amz-checksum-crc64nvme"] == nvme(data)
    for answer in (read, head):
        assert answer.headers["Content-Type"] == "text/x"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-amz-meta-guardid"] == "w1"
        assert answer.headers["Last-Modified"] == "Sun, 22 Nov 2026 12:00:00 GMT"
        assert "x-amz-checksum-crc64nvme" not in answer.headers
    asked = s3("HEAD", key, {"x-amz-checksum-mode": "ENABLED"}).headers
    assert (asked["x-amz-checksum-crc64nvme"], asked["x-amz-checksum-type"]) == (nvme(data), "FULL_OBJECT")
    listed = s3("GET", list_type=2, encoding_type="url")
    assert listed.all("Contents/Key") == [quote(key, safe="/")]
    assert listed.all("Contents/ChecksumAlgorithm") == ["CRC64NVME"]


def test_a_key_has_at_most_1024_bytes(s3: Client) -> None:
    refused = s3.put("é" * 512 + "a")
    assert (refused.status, refused.code, refused.field("Size")) == (400, "KeyTooLongError", "1025")


@pytest.mark.parametrize(
    "host",
    [
        "other.s3.us-east-1.amazonaws.com",
        "other.s3.amazonaws.com",
        "other.s3.dualstack.us-east-1.amazonaws.com",
        "other.s3-accelerate.amazonaws.com",
    ],
)
def test_a_host_below_an_endpoint_is_a_bucket(dialect: S3Dialect, host: str) -> None:
    assert send(dialect, Request("PUT", host, "/bkt/a", "", {"content-length": "1"}), b"x").status == 200
    assert Client(dialect, "other")("GET", "bkt/a").body == b"x"
    assert send(dialect, Request("GET", host.removeprefix("other."), "/other/bkt%2Fa", "", {})).body == b"x"
    dotted = send(dialect, Request("GET", f"with.{host}", "/a", "", {}))
    assert (dotted.code, dotted.field("BucketName")) == ("NoSuchBucket", "with.other")


def test_a_condition_that_is_taken_refuses_and_changes_nothing(s3: Client) -> None:
    assert s3("PUT", "k", NEW, b"first").status == 200
    s3.put("source", b"source")
    for refused in (s3("PUT", "k", NEW, b"second"), s3.copy("/bkt/source", "k", NEW)):
        assert (refused.status, refused.code, refused.field("Condition")) == (
            412,
            "PreconditionFailed",
            "If-None-Match",
        )
        assert refused.field("RequestId") == refused.headers["x-amz-request-id"]
        assert refused.field("HostId") == refused.headers["x-amz-id-2"]
    assert s3("GET", "k").body == b"first"
    assert s3.copy("/bkt/source", "new", NEW).status == 200
    assert s3("DELETE", "k").status == 204
    assert s3("PUT", "k", NEW, b"third").status == 200


@pytest.mark.parametrize(
    "headers", [{"if-none-match": '"0"'}, {"if-none-match": "*", "if-match": "*"}, {"if-none-match": "**"}]
)
def test_a_condition_that_is_not_kept_is_refused(s3: Client, headers: dict[str, str]) -> None:
    for refused in (s3("PUT", "k", headers, b"x"), s3.copy("/bkt/a", "k", headers)):
        assert (refused.status, refused.code) == (501, "NotImplemented")
        assert "If-None-Match" in refused.field("Header")


def test_calls_that_know_no_condition_drop_none(s3: Client) -> None:
    upload_id = s3.begin("k")
    for refused in (
        s3("POST", "k", NEW, uploads=""),
        s3.part("k", upload_id, 1, b"x", NEW),
        s3("PUT", "k", {**NEW, "x-amz-copy-source": "/bkt/k"}, partNumber=1, uploadId=upload_id),
    ):
        assert (refused.status, refused.code) == (501, "NotImplemented")


def test_if_match_replaces_and_removes_that_object_only(s3: Client) -> None:
    assert s3("PUT", "k", {"if-match": "*"}, b"x").code == "NoSuchKey"
    etag = s3.put("k", b"1").headers["ETag"]
    for headers in ({"if-match": '"0"'}, {"if-match": "0"}):
        told = s3("PUT", "k", headers, b"2")
        assert (told.status, told.code, told.field("Condition")) == (412, "PreconditionFailed", "If-Match")
        assert s3("DELETE", "k", headers).status == 412
    assert s3("PUT", "k", {"if-match": etag}, b"2").status == 200
    assert s3("DELETE", "k", {"if-match": etag}).status == 412
    assert s3("DELETE", "k", {"if-match": "*"}).status == 204
    assert (s3("DELETE", "k", {"if-match": "*"}).status, s3("DELETE", "k").status) == (404, 204)


def test_a_put_during_which_the_key_was_removed_is_a_conflict(dialect: S3Dialect, s3: Client) -> None:
    s3.put("k", b"first")
    for headers, status, code in ((NEW, 409, "ConditionalRequestConflict"), ({"if-match": "*"}, 404, "NoSuchKey")):
        s3.put("k", b"first")
        late = dialect.receive(s3.request("PUT", "k", headers, b"second", {}))
        s3("DELETE", "k")
        late.take(memoryview(b"second"))
        answer = late.end()
        assert answer.status == status
        assert f"<Code>{code}</Code>".encode() in bytes(answer.body if isinstance(answer.body, bytes) else b"")
        assert s3("GET", "k").status == 404
    assert s3("PUT", "k", NEW, b"second").status == 200


def test_versions_are_kept_and_a_delete_marker_leaves_the_key_free(dialect: S3Dialect, s3: Client) -> None:
    dialect.state["bkt"].versioning = "enabled"
    first = s3("PUT", "k", NEW, b"1").headers["x-amz-version-id"]
    assert s3("PUT", "k", NEW, b"2").status == 412
    marker = s3("DELETE", "k").headers
    assert marker["x-amz-delete-marker"] == "true"
    gone = s3("GET", "k")
    assert (gone.code, gone.headers["x-amz-delete-marker"]) == ("NoSuchKey", "true")
    shown = s3("GET", "k", versionId=marker["x-amz-version-id"])
    assert (shown.status, shown.headers["Allow"]) == (405, "DELETE")
    assert s3.copy("/bkt/k", "x").code == "NoSuchKey"
    source = {"x-amz-copy-source": f"/bkt/k?versionId={marker['x-amz-version-id']}"}
    assert s3("PUT", "x", source).code == "InvalidRequest"
    second = s3("PUT", "k", NEW, b"2").headers["x-amz-version-id"]
    assert s3("GET", "k", versionId=first).body == b"1"
    assert s3("GET", "k", versionId="none").code == "NoSuchVersion"
    listed = s3("GET", versions="")
    assert listed.all("Version/VersionId") == [second, first]
    assert listed.all("DeleteMarker/VersionId") == [marker["x-amz-version-id"]]
    assert s3("GET", versions="", max_keys=1).all("NextVersionIdMarker") == [second]
    rest = s3("GET", versions="", key_marker="k", version_id_marker=second)
    assert (rest.all("Version/VersionId"), rest.all("IsTruncated")) == ([first], ["false"])
    assert s3("GET", versions="", key_marker="k").all("Version/VersionId") == []
    assert s3("DELETE", "k", versionId=second).headers["x-amz-version-id"] == second
    assert s3("GET", "k").code == "NoSuchKey"


def test_what_is_kept_with_an_object_has_its_bounds(dialect: S3Dialect, s3: Client) -> None:
    assert s3.put("k", x_amz_meta_a="x" * 2047).status == 200
    large = s3.put("k", x_amz_meta_a="x" * 2040, x_amz_meta_b="x" * 7)
    assert (large.code, large.field("Size"), large.field("MaxSizeAllowed")) == ("MetadataTooLarge", "2049", "2048")
    for headers, code in (
        ({"x_amz_storage_class": "NONE"}, "InvalidStorageClass"),
        ({"x_amz_acl": "none"}, "InvalidArgument"),
        ({"x_amz_tagging": "&".join(f"{number}=1" for number in range(11))}, "InvalidTag"),
        ({"x_amz_tagging": "a=1&a=2"}, "InvalidTag"),
        ({"x_amz_server_side_encryption": "none"}, "InvalidArgument"),
        ({"x_amz_server_side_encryption_customer_algorithm": "AES256"}, "InvalidArgument"),
        ({"x_amz_expected_bucket_owner": "1"}, "AccessDenied"),
        ({"x_amz_object_lock_mode": "COMPLIANCE"}, "InvalidRequest"),
        ({"content_md5": "x"}, "InvalidDigest"),
        ({"content_md5": base64.b64encode(bytes(16)).decode()}, "BadDigest"),
        ({"content_length": "1101"}, "EntityTooLarge"),
    ):
        assert s3.put("new", **headers).code == code, headers
    missing = {"host": "h"}
    assert s3("GET", "new").code == "NoSuchKey"
    assert send_bare(dialect, missing).code == "MissingContentLength"
    assert send_bare(dialect, {**missing, "transfer-encoding": "chunked"}).code == "NotImplemented"
    kept = s3.put(
        "k", b"x", x_amz_storage_class="STANDARD_IA", x_amz_tagging="a=b", x_amz_expected_bucket_owner=OWNER_ID
    )
    assert kept.status == 200
    head = s3("HEAD", "k").headers
    assert (head["x-amz-storage-class"], head["x-amz-tagging-count"]) == ("STANDARD_IA", "1")


def send_bare(dialect: S3Dialect, headers: dict[str, str]) -> Told:
    return send(dialect, Request("PUT", "h", "/bkt/new", "", headers))


def test_more_than_was_said_is_not_kept(dialect: S3Dialect) -> None:
    limit = 1100
    receiving = dialect.receive(Request("PUT", "h", "/bkt/k", "", {"content-length": str(limit)}))
    for _ in range(3):
        receiving.take(memoryview(bytes(500)))
    assert receiving.end().status == 400
    assert list(dialect.state["bkt"].histories) == []


CUSTOMER = {
    "x-amz-server-side-encryption-customer-algorithm": "AES256",
    "x-amz-server-side-encryption-customer-key": base64.b64encode(bytes(32)).decode(),
    "x-amz-server-side-encryption-customer-key-md5": base64.b64encode(hashlib.md5(bytes(32)).digest()).decode(),
}


def test_the_etag_of_what_a_key_encrypts_is_no_md5(s3: Client) -> None:
    md5 = f'"{hashlib.md5(b"x").hexdigest()}"'
    assert s3("PUT", "plain", {"x-amz-server-side-encryption": "AES256"}, b"x").headers["ETag"] == md5
    kms = s3("PUT", "kms", {"x-amz-server-side-encryption": "aws:kms"}, b"x").headers
    assert (kms["x-amz-server-side-encryption"], kms["ETag"] == md5, len(kms["ETag"])) == ("aws:kms", False, 34)
    assert s3("PUT", "own", CUSTOMER, b"x").headers["ETag"] != md5
    for method in ("GET", "HEAD"):
        assert s3(method, "own").status == 400
        assert s3(method, "own", {**CUSTOMER, "x-amz-server-side-encryption-customer-key-md5": "x"}).status == 403
        assert s3(method, "own", CUSTOMER).status == 200
        assert s3(method, "plain", CUSTOMER).status == 400
    assert s3.copy("/bkt/own", "copy").code == "InvalidRequest"
    theirs = {name.replace("x-amz-", "x-amz-copy-source-", 1): value for name, value in CUSTOMER.items()}
    assert s3.copy("/bkt/own", "copy", theirs).status == 200
    assert s3("HEAD", "copy").headers["ETag"] == md5


def test_ranges(s3: Client) -> None:
    s3.put("k", b"0123456789")
    for asked, status, body in (
        ("bytes=0-3", 206, b"0123"),
        ("bytes=5-", 206, b"56789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=-20", 206, b"0123456789"),
        ("bytes=8-20", 206, b"89"),
        ("bytes=3-1", 200, b"0123456789"),
        ("bytes=a-b", 200, b"0123456789"),
        ("bytes=0-1,3-4", 200, b"0123456789"),
    ):
        told = s3("GET", "k", {"range": asked})
        assert (told.status, told.body) == (status, body), asked
        assert s3("HEAD", "k", {"range": asked}).body_bytes == len(body)
    for asked in ("bytes=10-", "bytes=10-11", "bytes=-0"):
        told = s3("GET", "k", {"range": asked})
        assert (told.status, told.code, told.field("ActualObjectSize")) == (416, "InvalidRange", "10")


def test_conditions_of_reads(s3: Client) -> None:
    etag = s3.put("k", b"x").headers["ETag"]
    before, after = (format_datetime(NOON + timedelta(seconds=by), usegmt=True) for by in (-1, 1))
    for headers, status in (
        ({"if-match": etag}, 200),
        ({"if-match": '"0"'}, 412),
        ({"if-none-match": etag}, 304),
        ({"if-none-match": '"0"'}, 200),
        ({"if-modified-since": before}, 200),
        ({"if-modified-since": after}, 304),
        ({"if-unmodified-since": before}, 412),
        ({"if-unmodified-since": after}, 200),
        ({"if-match": etag, "if-unmodified-since": before}, 200),
        ({"if-none-match": '"0"', "if-modified-since": after}, 200),
        ({"if-modified-since": "x"}, 400),
    ):
        assert s3("GET", "k", headers).status == s3("HEAD", "k", headers).status == status, headers
        source = {f"x-amz-copy-source-{name}": value for name, value in headers.items()}
        told = s3.copy("/bkt/k", "copy", source)
        assert told.status == (412 if status == 304 else status), headers
        if told.status == 412:
            assert told.field("Condition").startswith("x-amz-copy-source-If-")


def test_copies(dialect: S3Dialect, s3: Client) -> None:
    s3.put("k", b"x", x_amz_meta_guardid="w", content_type="a/b", x_amz_tagging="a=b")
    plain = s3.copy("/bkt/k", "plain")
    assert (plain.status, plain.field("ETag")) == (200, s3("HEAD", "k").headers["ETag"])
    assert plain.field("ChecksumCRC64NVME") == nvme(b"x")
    kept = s3("HEAD", "plain").headers
    assert (kept["x-amz-meta-guardid"], kept["Content-Type"], kept["x-amz-tagging-count"]) == ("w", "a/b", "1")
    replaced = {"x-amz-metadata-directive": "REPLACE", "x-amz-tagging-directive": "REPLACE", "x-amz-meta-guardid": "v"}
    s3.copy("bkt/k", "replaced", {**replaced, "x-amz-checksum-algorithm": "SHA256"})
    head = s3("HEAD", "replaced", {"x-amz-checksum-mode": "ENABLED"}).headers
    assert (head["x-amz-meta-guardid"], head["Content-Type"]) == ("v", "binary/octet-stream")
    assert "x-amz-tagging-count" not in head
    assert head["x-amz-checksum-sha256"] == base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    assert Client(dialect, "other").copy("/bkt/k", "from-bkt").status == 200
    assert s3.copy("/bkt/k", "k").code == "InvalidRequest"
    assert s3.copy("/bkt/k", "k", replaced).status == 200
    for source, headers, code in (
        ("/bkt/none", {}, "NoSuchKey"),
        ("/none/k", {}, "NoSuchBucket"),
        ("k", {}, "InvalidArgument"),
        ("/bkt/k", {"x-amz-metadata-directive": "x"}, "InvalidArgument"),
    ):
        assert s3.copy(source, "new", headers).code == code
    s3.put("large", bytes(51))
    assert s3.copy("/bkt/large", "new").code == "InvalidRequest"
    assert s3("GET", "new").code == "NoSuchKey"


def test_many_are_removed_at_once(s3: Client) -> None:
    tags = {key: s3.put(key, key.encode()).headers["ETag"] for key in ("a", " b ", "c<", "d")}
    body = (
        "<Delete><Object><Key>a</Key></Object><Object><Key> b </Key></Object><Object><Key>c&lt;</Key>"
        f"<ETag>{tags['a']}</ETag></Object><Object><Key>d</Key><ETag>{tags['d']}</ETag></Object>"
        "<Object><Key>none</Key></Object>{}</Delete>"
    )
    assert s3("POST", "", {}, body.format("").encode(), delete="").code == "InvalidRequest"
    told = s3("POST", "", md5_of(body.format("")), body.format("").encode(), delete="")
    assert told.all("Deleted/Key") == ["a", " b ", "d", "none"]
    assert (told.all("Error/Key"), told.all("Error/Code")) == (["c<"], ["PreconditionFailed"])
    quiet = body.format("<Quiet>true</Quiet>")
    assert s3("POST", "", md5_of(quiet), quiet.encode(), delete="").all("Deleted/Key") == []
    assert s3("GET").all("Contents/Key") == ["c<"]
    assert s3("POST", "", md5_of("x"), b"y", delete="").code == "BadDigest"
    for text in ("<Delete></Delete>", "<x/>", "no", '<!DOCTYPE x [<!ENTITY a "b">]><Delete/>'):
        assert s3("POST", "", md5_of(text), text.encode(), delete="").code == "MalformedXML"


def md5_of(text: str) -> dict[str, str]:
    return {"content-md5": base64.b64encode(hashlib.md5(text.encode()).digest()).decode()}


def test_listings(s3: Client) -> None:
    keys = ["a", "b/1", "b/2", "c", "d/1", "e ü"]
    for key in keys:
        s3.put(key, b"x")
    pages: list[Told] = []
    token = ""
    while not pages or pages[-1].field("IsTruncated") == "true":
        more: dict[str, Any] = {"continuation_token": token} if token else {}
        pages.append(s3("GET", list_type=2, max_keys=2, delimiter="/", **more))
        token = pages[-1].field("NextContinuationToken")
    assert [page.all("Contents/Key") for page in pages] == [["a"], ["c"], ["e ü"]]
    assert [page.all("CommonPrefixes/Prefix") for page in pages] == [["b/"], ["d/"], []]
    assert [page.field("KeyCount") for page in pages] == ["2", "2", "1"]
    assert s3("GET", list_type=2, prefix="b/", start_after="b/1").all("Contents/Key") == ["b/2"]
    assert s3("GET", list_type=2, max_keys=0).field("IsTruncated") == "false"
    assert s3("GET", list_type=2, max_keys=9999).field("MaxKeys") == "1000"
    assert s3("GET", list_type=2, fetch_owner="true", max_keys=1).all("Contents/Owner/ID") == [OWNER_ID]
    first = s3("GET", max_keys=2)
    assert (first.all("Contents/Key"), first.all("NextMarker")) == (["a", "b/1"], [])
    folded = s3("GET", max_keys=2, delimiter="/")
    assert folded.field("NextMarker") == "b/"
    assert s3("GET", max_keys=2, delimiter="/", marker="b/").all("Contents/Key") == ["c"]
    for params in ({"max_keys": "x"}, {"list_type": 2, "continuation_token": "é"}, {"encoding_type": "x"}):
        assert s3("GET", **params).code == "InvalidArgument"


def test_buckets_are_made_and_removed(dialect: S3Dialect, s3: Client) -> None:
    assert s3("GET", location="").xml.text is None
    made = Client(dialect, "made")
    wrong = b"<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>"
    assert made("PUT", "", {}, wrong).status == 400
    assert (made("PUT").status, made("PUT").code) == (200, "BucketAlreadyOwnedByYou")
    made.put("k")
    assert made("DELETE").code == "BucketNotEmpty"
    made("DELETE", "k")
    assert (made("DELETE").status, made("HEAD").status) == (204, 404)
    assert Client(dialect, "A")("PUT").code == "InvalidBucketName"


def test_an_error_on_cue_has_the_form_of_the_service(dialect: S3Dialect, s3: Client) -> None:
    request = s3.request("PUT", "k", {}, b"", {})
    for status, code, name, value in (
        (503, "SlowDown", "Message", "Please ask less often."),
        (409, "ConditionalRequestConflict", "Condition", "If-None-Match"),
        (301, "PermanentRedirect", "Endpoint", "bkt.s3.eu-west-1.amazonaws.com"),
        (307, "TemporaryRedirect", "Bucket", "bkt"),
        (400, "AuthorizationHeaderMalformed", "Region", "eu-west-1"),
        (200, "InternalError", "Code", "InternalError"),
    ):
        answer = dialect.refusal(request, status, code)
        assert isinstance(answer.body, bytes)
        told = Told(answer.status, answer.headers, answer.body, len(answer.body))
        assert (told.status, told.code, told.field(name)) == (status, code, value)
    assert dialect.refusal(request, 307, "TemporaryRedirect").headers["Location"].endswith("amazonaws.com/bkt/k")


def test_bytes_are_kept_in_a_folder_or_thrown_away(tmp_path: Any) -> None:
    kept = Client(S3Dialect(Buckets(["bkt"], blobs=DiskBlobs(tmp_path))))
    kept.put("k", b"x" * 1000)
    assert (kept("GET", "k").body, len(list(tmp_path.iterdir()))) == (b"x" * 1000, 1)
    assert kept("PUT", "k", NEW, b"y").status == 412
    assert kept("PUT", "k", {"content-md5": base64.b64encode(bytes(16)).decode()}, b"y").code == "BadDigest"
    assert len(list(tmp_path.iterdir())) == 1
    discarded = Client(S3Dialect(Buckets(["bkt"], blobs=DiscardedBlobs())))
    told = discarded.put("k", b"x" * 1000)
    assert told.headers["x-amz-checksum-crc64nvme"] == nvme(b"x" * 1000)
    assert discarded("GET", "k").body == bytes(1000)


def test_documents_are_checked_and_bounded(s3: Client) -> None:
    small = Client(S3Dialect(Buckets(["bkt"]), limits=Limits(document_bytes=200)))
    enabled = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    for wrong, code in (
        (enabled.replace(b"Enabled", b"Maybe"), "MalformedXML"),
        (b"<Tagging/>", "MalformedXML"),
        (enabled + b" " * 200, "EntityTooLarge"),
    ):
        assert small("PUT", "", {}, wrong, versioning="").code == code
    sums = {"x-amz-checksum-crc64nvme": nvme(b"other")}
    assert s3("PUT", "", sums, enabled, versioning="").code == "BadDigest"
    assert s3("GET", versioning="").all("Status") == []
    assert s3("PUT", "", {"x-amz-checksum-crc64nvme": nvme(enabled)}, enabled, versioning="").status == 200
    assert s3("GET", versioning="").field("Status") == "Enabled"


def test_tags_and_lists_of_access_are_changed_in_place(dialect: S3Dialect, s3: Client) -> None:
    dialect.state["bkt"].versioning = "enabled"
    old = s3.put("k", b"1", x_amz_tagging="a=b").headers["x-amz-version-id"]
    new = s3.put("k", b"2").headers["x-amz-version-id"]
    body = b"<Tagging><TagSet><Tag><Key>c</Key><Value>d</Value></Tag></TagSet></Tagging>"
    assert s3("PUT", "k", {}, body, tagging="", versionId=old).headers["x-amz-version-id"] == old
    assert s3("GET", "k", tagging="", versionId=old).all("TagSet/Tag/Key") == ["c"]
    assert s3("GET", "k", tagging="").all("TagSet/Tag/Key") == []
    assert s3("DELETE", "k", tagging="", versionId=old).status == 204
    assert s3("PUT", "k", {"x-amz-acl": "public-read"}, acl="").status == 200
    assert s3("GET", "k", acl="").all("AccessControlList/Grant/Permission") == ["FULL_CONTROL", "READ"]
    assert s3("PUT", "k", {}, b"<AccessControlPolicy/>", acl="").code == "NotImplemented"
    assert s3("PUT", "k", {"x-amz-acl": "x"}, acl="").code == "InvalidArgument"
    assert s3("GET", versions="").all("Version/VersionId") == [new, old]
    assert [s3("GET", "k", versionId=each).body for each in (old, new)] == [b"1", b"2"]


def test_listings_of_versions_and_uploads_fold_too(dialect: S3Dialect, s3: Client) -> None:
    dialect.state["bkt"].versioning = "enabled"
    for key in ("a", "b/1", "b/2", "c"):
        s3.put(key)
    s3("DELETE", "c")
    shown = s3("GET", versions="", delimiter="/")
    assert (shown.all("Version/Key"), shown.all("CommonPrefixes/Prefix")) == (["a", "c"], ["b/"])
    assert (shown.all("DeleteMarker/Key"), shown.all("DeleteMarker/IsLatest")) == (["c"], ["true"])
    page = s3("GET", versions="", delimiter="/", max_keys=2)
    assert (page.field("NextKeyMarker"), page.all("NextVersionIdMarker")) == ("b/", [])
    rest = s3("GET", versions="", delimiter="/", key_marker="b/")
    assert (rest.all("Version/Key"), rest.all("CommonPrefixes/Prefix")) == (["c"], [])
    assert s3("GET", versions="", prefix="b/").all("Version/Key") == ["b/1", "b/2"]
    s3.begin("up", {"x-amz-checksum-algorithm": "CRC32C", "x-amz-storage-class": "GLACIER_IR"})
    upload = s3("GET", uploads="")
    assert upload.all("Upload/ChecksumAlgorithm") == ["CRC32C"]
    assert (upload.all("Upload/ChecksumType"), upload.all("Upload/StorageClass")) == (["COMPOSITE"], ["GLACIER_IR"])


def test_a_read_may_ask_for_other_headers(s3: Client) -> None:
    s3.put("k", b"x", content_type="a/b", cache_control="no-cache")
    params = {"response-content-type": "c/d", "response-cache-control": "max-age=1"}
    headers = s3("GET", "k", **params).headers
    assert (headers["Content-Type"], headers["Cache-Control"], "cache-control" in headers) == (
        "c/d",
        "max-age=1",
        False,
    )
