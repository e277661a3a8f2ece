"""Whatever comes, S3 on the loopback answers it in the form of the service, and keeps no half of anything."""

from __future__ import annotations

from urllib.parse import quote
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.exchange import Request
from storage_guard.testing.server.s3 import S3Dialect
from storage_guard.testing.server.s3_service import Limits
from unit.s3_calls import Client, complete_document, nvme, send

ODD = st.sampled_from(["", "0", "1", "-1", "x", "é", "%", "*", '"', "a,b", "9" * 30, "null", "bytes=0-1", "url", "<&"])
SUBRESOURCES = (
    *("uploads", "uploadId", "partNumber", "versionId", "versions", "versioning", "location", "delete", "tagging"),
    *("acl", "list-type", "prefix", "delimiter", "marker", "max-keys", "continuation-token", "start-after", "policy"),
    *("encoding-type", "key-marker", "upload-id-marker", "version-id-marker", "max-parts", "part-number-marker"),
    *("X-Amz-Algorithm", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"),
)
HEADERS = (
    *("if-match", "if-none-match", "if-modified-since", "range", "content-md5", "content-encoding", "authorization"),
    *("x-amz-copy-source", "x-amz-copy-source-range", "x-amz-copy-source-if-match", "x-amz-metadata-directive"),
    *("x-amz-content-sha256", "x-amz-decoded-content-length", "x-amz-trailer", "x-amz-date", "x-amz-security-token"),
    *("x-amz-checksum-crc32", "x-amz-checksum-sha256", "x-amz-checksum-algorithm", "x-amz-checksum-type"),
    *("x-amz-sdk-checksum-algorithm", "x-amz-mp-object-size", "x-amz-tagging", "x-amz-acl", "x-amz-storage-class"),
    *("x-amz-server-side-encryption", "x-amz-server-side-encryption-customer-algorithm", "x-amz-meta-a"),
)
VALUES = {
    "x-amz-copy-source": st.sampled_from(["/bkt/k", "bkt/k?versionId=null", "/bkt", "/none/k", "%FF/k", "/bkt/%00"]),
    "x-amz-content-sha256": st.sampled_from(
        [
            *("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            *("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "0" * 64, "x"),
        ]
    ),
    "x-amz-trailer": st.sampled_from(["x-amz-checksum-crc32", "x-amz-checksum-crc32,x-amz-checksum-sha1", "x", ","]),
    "x-amz-checksum-algorithm": st.sampled_from(["CRC32", "SHA256", "CRC64NVME", "x"]),
    "authorization": st.sampled_from(
        [
            *(
                "AWS4-HMAC-SHA256 Credential=A/20130524/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=0",
                "AWS a:b",
            ),
            *("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 Credential=/,SignedHeaders=,Signature=", "Basic"),
        ]
    ),
    "x-amz-date": st.sampled_from(["20130524T000000Z", "x", ""]),
}
BODIES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"<Delete><Object><Key>k</Key></Object></Delete>",
            b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
            b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
            complete_document([(1, '"9dd4e461268c8034f5c8564e155c67a6"')]),
            complete_document([(1, "")]),
            b"1\r\nx\r\n0\r\nx-amz-checksum-crc32:jNsyZw==\r\n\r\n",
            b"1;chunk-signature=" + b"0" * 64 + b"\r\nx\r\n0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n",
        ]
    ),
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[Request, bytes]:
    method = draw(st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH"]))
    path = draw(
        st.sampled_from(["/bkt/k", "/bkt/k", "/bkt/m", "/bkt/", "/bkt", "/", "/none/k", "/bkt/%FF", "/A/k", "//"])
    )
    names = draw(st.lists(st.sampled_from(SUBRESOURCES), max_size=3, unique=True))
    ids = {"uploadId": st.sampled_from(["0" * 31 + "1", "x"]), "partNumber": st.sampled_from(["1", "0", "10001"])}
    query = "&".join(f"{name}={quote(draw(ids.get(name, ODD)))}" for name in names)
    body = draw(BODIES)
    headers = {"host": "h", "content-length": str(len(body))}
    for name in draw(st.lists(st.sampled_from(HEADERS), max_size=4, unique=True)):
        headers[name] = draw(VALUES.get(name, ODD))
    return Request(method, "h", path, query, headers), body


def prepared(*, signed: bool = False) -> S3Dialect:
    credentials = Credentials([Credential("A", "s")]) if signed else None
    made = S3Dialect(Buckets(["bkt"]), limits=Limits(min_part_bytes=1))
    client = Client(made)
    assert client.begin("k") == "0" * 31 + "1"
    client.part("k", "0" * 31 + "1", 1, b"x")
    client.put("k", b"x")
    return S3Dialect(made.state, credentials=credentials, limits=Limits(min_part_bytes=1))


@settings(max_examples=500, deadline=None)
@given(asked=st.lists(requests(), min_size=1, max_size=3))
def test_anything_is_answered(asked: list[tuple[Request, bytes]]) -> None:
    dialect = prepared()
    for request, body in asked:
        told = send(dialect, request, body)
        assert 200 <= told.status < 600
        assert told.status != 500
        assert told.headers["x-amz-request-id"]
        assert all(value.encode("latin-1") is not None for value in told.headers.values())
        if told.status >= 300 and told.status != 304 and request.method != "HEAD":
            assert told.code
        elif told.headers.get("Content-Type") == "application/xml" and told.body:
            ElementTree.fromstring(told.body)


@settings(max_examples=200, deadline=None)
@given(asked=requests())
def test_nobody_is_let_in_without_a_signature(asked: tuple[Request, bytes]) -> None:
    dialect = prepared(signed=True)
    told = send(dialect, *asked)
    assert 400 <= told.status < 404 or told.status == 501
    version = dialect.state["bkt"].find("k")
    assert version.content is not None
    assert (b"".join(version.content.blob.windows()), len(dialect.state["bkt"].uploads)) == (b"x", 1)


def test_what_is_prepared_can_be_finished() -> None:
    client = Client(prepared())
    done = client.finish("k", "0" * 31 + "1", [(1, "9dd4e461268c8034f5c8564e155c67a6")])
    assert (done.status, done.field("ChecksumCRC64NVME")) == (200, nvme(b"x"))
