"""S3's signatures and bodies: the documents' own examples and botocore's are taken, and nothing else is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials, all_but
from storage_guard.testing.server.exchange import Request
from storage_guard.testing.server.s3 import S3Dialect
from unit.oss_calls import Clock
from unit.s3_calls import Told, send

botocore_auth: Any = importlib.import_module("botocore.auth")
botocore_request: Any = importlib.import_module("botocore.awsrequest")
botocore_credentials: Any = importlib.import_module("botocore.credentials")

# docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and its neighbours
KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SCOPE = "20130524/us-east-1/s3/aws4_request"
THEN = datetime(2013, 5, 24, tzinfo=UTC)
EMPTY = hashlib.sha256().hexdigest()
HOST = "examplebucket.s3.amazonaws.com"
KEYS = ["a", "dir/ü", "a+b", "%41", "~*()'!", "a b", "q?=1&r#", "\U0001f600", "..", "a//b", "x\\y"]


def dialect(
    now: datetime = THEN, *, region: str = "us-east-1", credential: Credential | None = None
) -> tuple[S3Dialect, Clock]:
    clock = Clock()
    clock.time = now
    known = Credentials([credential or Credential(KEY_ID, SECRET)])
    return S3Dialect(Buckets(["examplebucket"], now=clock), credentials=known, region=region), clock


def answered(request: Request, body: bytes = b"", **options: Any) -> Told:
    return send(dialect(**options)[0], request, body)


def authorization(signed: str, signature: str) -> str:
    return f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{SCOPE},SignedHeaders={signed},Signature={signature}"


def example(method: str, path: str, signed: str, signature: str, query: str = "", **headers: str) -> Request:
    given = {
        "host": HOST,
        "x-amz-content-sha256": EMPTY,
        "x-amz-date": "20130524T000000Z",
        **{name.replace("_", "-"): value for name, value in headers.items()},
        "authorization": authorization(signed, signature),
    }
    return Request(method, HOST, path, query, given)


PUT_HASH = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
EXAMPLES = {
    "get": (
        example(
            "GET",
            "/test.txt",
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            range="bytes=0-9",
        ),
        b"",
        (404, "NoSuchKey"),
    ),
    "put": (
        example(
            "PUT",
            "/test%24file.text",
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            date="Fri, 24 May 2013 00:00:00 GMT",
            x_amz_storage_class="REDUCED_REDUNDANCY",
            x_amz_content_sha256=PUT_HASH,
            content_length="21",
        ),
        b"Welcome to Amazon S3.",
        (200, ""),
    ),
    "lifecycle": (
        example(
            "GET",
            "/",
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            "lifecycle",
        ),
        b"",
        (501, "NotImplemented"),
    ),
    "list": (
        example(
            "GET",
            "/",
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            "max-keys=2&prefix=J",
        ),
        b"",
        (200, ""),
    ),
}


@pytest.mark.parametrize(("request_", "body", "outcome"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_the_examples_of_the_documents_hold(request_: Request, body: bytes, outcome: tuple[int, str]) -> None:
    told = answered(request_, body)
    assert (told.status, told.code) == outcome, told.body


PRESIGNED = (
    f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={KEY_ID}%2F{SCOPE.replace('/', '%2F')}"
    "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
)


def test_a_url_of_the_documents_holds_for_a_day() -> None:
    request = Request("GET", HOST, "/test.txt", PRESIGNED, {"host": HOST})
    assert answered(request).code == "NoSuchKey"
    late = answered(request, now=THEN + timedelta(days=1, seconds=1))
    assert (late.status, late.code, late.field("Expires")) == (403, "AccessDenied", "2013-05-25T00:00:00Z")
    assert answered(request, now=THEN - timedelta(hours=1)).code == "AccessDenied"
    assert answered(replace(request, method="PUT", headers={"host": HOST, "content-length": "0"})).code == (
        "SignatureDoesNotMatch"
    )
    for wrong in ("X-Amz-Expires=604801", "X-Amz-Expires=0", "X-Amz-Expires=x"):
        bad = replace(request, raw_query=PRESIGNED.replace("X-Amz-Expires=86400", wrong))
        assert answered(bad).code == "AuthorizationQueryParametersError"
    unsigned = replace(request, headers={"host": HOST, "x-amz-meta-a": "1"})
    assert (answered(unsigned).code, answered(unsigned).field("HeadersNotSigned")) == ("AccessDenied", "x-amz-meta-a")


CHUNKED = (
    "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
    "x-amz-storage-class"
)
CHUNKS = (  # docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
    ("10000", "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648", b"a" * 65536),
    ("400", "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497", b"a" * 1024),
    ("0", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9", b""),
)


def chunked_example() -> tuple[Request, bytes]:
    headers = {
        "host": "s3.amazonaws.com",
        "x-amz-date": "20130524T000000Z",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": "66560",
        "content-length": "66824",
        "authorization": authorization(CHUNKED, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"),
    }
    body = b"".join(f"{size};chunk-signature={sign}\r\n".encode() + data + b"\r\n" for size, sign, data in CHUNKS)
    return Request("PUT", "s3.amazonaws.com", "/examplebucket/chunkObject.txt", "", headers), body


def test_the_signed_chunks_of_the_documents_hold() -> None:
    request, body = chunked_example()
    made, _ = dialect()
    assert len(body) == 66824
    for piece_bytes in (1, 1000, 70_000):
        assert send(made, request, body, piece_bytes=piece_bytes).status == 200
    version = made.state["examplebucket"].find("chunkObject.txt")
    assert version.content is not None
    assert b"".join(version.content.blob.windows()) == b"a" * 66560
    assert "content-encoding" not in version.attributes.headers


def test_a_chunk_that_is_not_as_it_was_signed_is_refused() -> None:
    request, body = chunked_example()
    at = body.index(b"aaaa")
    swapped = body.replace(CHUNKS[0][1].encode(), CHUNKS[1][1].encode())
    for changed, code in (
        (body[:at] + b"b" + body[at + 1 :], "SignatureDoesNotMatch"),
        (swapped, "SignatureDoesNotMatch"),
        (body.replace(b";chunk-signature=" + CHUNKS[1][1].encode(), b""), "SignatureDoesNotMatch"),
        (body[:-5], "IncompleteBody"),
        (body + b"x", "IncompleteBody"),
        (b"x" + body, "IncompleteBody"),
    ):
        made, _ = dialect()
        assert (send(made, request, changed).code, len(list(made.state["examplebucket"].histories))) == (code, 0)


def test_the_signed_trailer_of_the_documents_holds() -> None:
    """docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html"""
    signed = (
        "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;"
        "x-amz-trailer"
    )
    seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    headers = {
        **chunked_example()[0].headers,
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "x-amz-trailer": "x-amz-checksum-crc32c",
        "authorization": authorization(signed, seed),
    }
    request = replace(chunked_example()[0], headers=headers)
    signatures = (
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    )
    body = b""
    for (size, _, data), signature in zip(CHUNKS, signatures, strict=True):
        body += f"{size};chunk-signature={signature}\r\n".encode() + data + (b"\r\n" if data else b"")
    trailer = b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
    ours = b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n"
    told = answered(request, body + trailer + ours + b"\r\n")
    assert (told.status, told.headers.get("x-amz-checksum-crc32c")) == (200, "sOO8/Q=="), told.body
    assert answered(request, body + trailer + b"\r\n").code == "SignatureDoesNotMatch"
    other = trailer.replace(b"sOO8", b"AAAA")
    assert answered(request, body + other + ours + b"\r\n").code == "SignatureDoesNotMatch"
    assert answered(request, body + b"\r\n").code == "MalformedTrailerError"


def signed_by_botocore(
    method: str,
    url: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    token: str | None = None,
    region: str = "us-east-1",
) -> Request:
    request = botocore_request.AWSRequest(method, url, headers=dict(headers or {}), data=body)
    request.context["payload_signing_enabled"] = True
    credentials = botocore_credentials.Credentials(KEY_ID, SECRET, token)
    botocore_auth.S3SigV4Auth(credentials, "s3", region).add_auth(request)
    parts = urlsplit(url)
    given = {"host": parts.netloc, **{name.lower(): value for name, value in request.headers.items()}}
    return Request(method, parts.hostname or "", parts.path, parts.query, {**given, "content-length": str(len(body))})


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("query", ["", "?versionId=a%2Bb%2F%3D", "?uploads", "?partNumber=1&uploadId=A%20B"])
def test_what_botocore_signs_is_taken_and_nothing_that_was_changed(key: str, query: str) -> None:
    quoted: str = importlib.import_module("botocore.compat").quote(key, safe="/~")
    request = signed_by_botocore(
        "PUT", f"http://{HOST}/{quoted}{query}", b"x", {"x-amz-meta-a": "  b   c ", "content-type": "text/x"}
    )
    assert answered(request, b"x", now=now()).code in {"", "NoSuchUpload", "NotImplemented"}
    for name, changed in changed_requests(request):
        assert answered(changed, b"x", now=now()).code in {"SignatureDoesNotMatch", "AccessDenied"}, name


def changed_requests(request: Request) -> Iterator[tuple[str, Request]]:
    headers = request.headers
    yield "method", replace(request, method="POST")
    yield "path", replace(request, raw_path=request.raw_path + "x")
    yield "query", replace(request, raw_query=request.raw_query + "&a=b")
    yield "host", replace(request, headers={**headers, "host": "other"})
    yield "meta", replace(request, headers={**headers, "x-amz-meta-a": "d"})
    yield "more", replace(request, headers={**headers, "x-amz-meta-b": "d"})
    yield "type", replace(request, headers={**headers, "content-type": "text/y"})
    yield "hash", replace(request, headers={**headers, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    yield "anonymous", replace(request, headers={"host": headers["host"], "content-length": "1"})


def test_a_body_has_the_hash_that_was_signed() -> None:
    request = signed_by_botocore("PUT", f"http://{HOST}/k", b"x")
    made, _ = dialect(now())
    told = send(made, request, b"y")
    assert (told.status, told.code) == (400, "XAmzContentSHA256Mismatch")
    assert told.field("ClientComputedContentSHA256") == hashlib.sha256(b"x").hexdigest()
    assert told.field("S3ComputedContentSHA256") == hashlib.sha256(b"y").hexdigest()
    assert list(made.state["examplebucket"].histories) == []
    document = signed_by_botocore("POST", f"http://{HOST}/?delete", b"<x/>")
    assert answered(document, b"<y/>", now=now()).code == "XAmzContentSHA256Mismatch"


CHANGES: list[tuple[Callable[[str], str], str]] = [
    (lambda text: text.replace("us-east-1", "eu-west-1"), "AuthorizationHeaderMalformed"),
    (lambda text: text.replace("/s3/", "/ec2/"), "AuthorizationHeaderMalformed"),
    (lambda text: text.replace("Signature=", "Sign="), "AuthorizationHeaderMalformed"),
    (lambda text: text.replace("/20", "/19"), "AuthorizationHeaderMalformed"),
    (lambda text: text.replace(KEY_ID, "AKIAnobody"), "InvalidAccessKeyId"),
    (lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"), "SignatureDoesNotMatch"),
    (lambda _: "AWS AKIA:sig", "InvalidRequest"),
    (lambda _: "Bearer x", "InvalidArgument"),
]


@pytest.mark.parametrize(("change", "code"), CHANGES)
def test_an_authorization_that_does_not_hold_is_told_why(change: Callable[[str], str], code: str) -> None:
    request = signed_by_botocore("GET", f"http://{HOST}/k")
    changed = replace(request, headers={**request.headers, "authorization": change(request.headers["authorization"])})
    assert answered(changed, now=now()).code == code


def test_a_wrong_region_is_told_the_right_one() -> None:
    told = answered(signed_by_botocore("GET", f"http://{HOST}/k", region="eu-west-1"), now=now())
    assert (told.status, told.code, told.field("Region")) == (400, "AuthorizationHeaderMalformed", "us-east-1")


def test_a_clock_may_be_off_by_a_quarter_of_an_hour() -> None:
    request = signed_by_botocore("GET", f"http://{HOST}/k")
    for seconds, code in ((800, "NoSuchKey"), (-800, "NoSuchKey"), (1000, "RequestTimeTooSkewed")):
        assert answered(request, now=now() + timedelta(seconds=seconds)).code == code
    assert answered(request, now=now() - timedelta(seconds=1000)).code == "RequestTimeTooSkewed"


def test_a_temporary_key_needs_its_token_until_it_expires() -> None:
    temporary = Credential(KEY_ID, SECRET, "t/+=", now() + timedelta(hours=1))
    url = f"http://{HOST}/k"
    assert answered(signed_by_botocore("GET", url, token="t/+="), now=now(), credential=temporary).code == "NoSuchKey"
    for token, credential, code in (
        (None, temporary, "InvalidAccessKeyId"),
        ("other", temporary, "InvalidToken"),
        ("t/+=", Credential(KEY_ID, SECRET), "InvalidToken"),
        ("t/+=", replace(temporary, expires=now()), "ExpiredToken"),
    ):
        told = answered(signed_by_botocore("GET", url, token=token), now=now(), credential=credential)
        assert told.code == code
        head = answered(signed_by_botocore("HEAD", url, token=token), now=now(), credential=credential)
        assert (head.status, head.body) == (told.status, b"")


def test_a_key_does_what_it_may() -> None:
    writer = Credential(KEY_ID, SECRET, may=all_but("head", "read", "scan"))
    put = signed_by_botocore("PUT", f"http://{HOST}/k", b"x")
    assert answered(put, b"x", now=now(), credential=writer).status == 200
    copying = signed_by_botocore("PUT", f"http://{HOST}/k", b"", {"x-amz-copy-source": "/examplebucket/a"})
    assert answered(copying, now=now(), credential=writer).code == "AccessDenied"
    assert answered(signed_by_botocore("GET", f"http://{HOST}/"), now=now(), credential=writer).code == "AccessDenied"
    assert answered(signed_by_botocore("HEAD", f"http://{HOST}/k"), now=now(), credential=writer).status == 403
    # Who may read and not list does not hear what there is not.
    reader = Credential(KEY_ID, SECRET, may=all_but("scan"))
    told = answered(signed_by_botocore("GET", f"http://{HOST}/k"), now=now(), credential=reader)
    assert (told.status, told.code) == (403, "AccessDenied")
    assert answered(signed_by_botocore("HEAD", f"http://{HOST}/k"), now=now(), credential=reader).status == 403


def unsigned_trailer(data: bytes, checksum: str, **headers: str) -> tuple[Request, bytes]:
    body = f"{len(data):x}\r\n".encode() + data + f"\r\n0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n".encode()
    given = {
        "host": HOST,
        "content-length": str(len(body)),
        "content-encoding": "gzip,aws-chunked",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": str(len(data)),
        "x-amz-trailer": "x-amz-checksum-crc32",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return Request("PUT", HOST, "/k", "", given), body


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def test_a_checksum_behind_the_body_is_compared() -> None:
    made = S3Dialect(Buckets(["examplebucket"]))
    data = b"x" * 3000
    told = send(made, *unsigned_trailer(data, crc32(data)))
    assert (told.status, told.headers["x-amz-checksum-crc32"]) == (200, crc32(data))
    head = send(made, Request("HEAD", HOST, "/k", "", {}))
    assert (head.body_bytes, head.headers["content-encoding"]) == (3000, "gzip")
    for checksum, headers, code in (
        (crc32(b"y"), {}, "BadDigest"),
        ("AAA=", {}, "InvalidRequest"),
        (crc32(data), {"x_amz_decoded_content_length": "2999"}, "IncompleteBody"),
        (crc32(data), {"x_amz_decoded_content_length": "3001"}, "IncompleteBody"),
        (crc32(data), {"x_amz_decoded_content_length": "x"}, "InvalidArgument"),
        (crc32(data), {"x_amz_trailer": "x-amz-checksum-sha1"}, "MalformedTrailerError"),
        (crc32(data), {"x_amz_trailer": "x-other"}, "InvalidRequest"),
        (crc32(data), {"x_amz_checksum_crc32": crc32(data)}, "InvalidRequest"),
        (crc32(data), {"x_amz_content_sha256": "UNSIGNED-PAYLOAD"}, "InvalidRequest"),
        (crc32(data), {"x_amz_content_sha256": "STREAMING-OTHER"}, "NotImplemented"),
        (crc32(data), {"x_amz_content_sha256": "abc"}, "InvalidArgument"),
    ):
        request, body = unsigned_trailer(data, checksum, **headers)
        assert send(made, replace(request, raw_path="/new"), body).code == code, headers
    assert [version.key for version in made.state["examplebucket"].histories] == ["k"]


def test_small_chunks_are_refused_where_they_are_signed() -> None:
    key = b"AWS4" + SECRET.encode()
    for step in SCOPE.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    request, _ = chunked_example()
    before = request.headers["authorization"][-64:]
    body = b""
    for data in (b"a" * 100, b"a" * 66460, b""):
        hashed = hashlib.sha256(data).hexdigest()
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n20130524T000000Z\n{SCOPE}\n{before}\n{EMPTY}\n{hashed}"
        before = hmac.digest(key, text.encode(), "sha256").hex()
        body += f"{len(data):x};chunk-signature={before}\r\n".encode() + data + b"\r\n"
    assert answered(request, body).code == "InvalidChunkSizeError"
