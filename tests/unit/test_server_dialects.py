"""What OSS and S3 over buckets have in common: what a request is for, and what becomes of one that is no use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.exchange import Asked, Dialect, Request
from storage_guard.testing.server.oss import OSSDialect
from storage_guard.testing.server.s3 import S3Dialect
from unit import oss_calls, s3_calls


@dataclass(frozen=True)
class Kind:
    """`told`: what a dialect answers. `copies`: the header that names what is copied. `bad_key`: the code for a key
    that is none."""

    dialect: type[OSSDialect | S3Dialect]
    told: Callable[[Dialect, Request], oss_calls.Told]
    copies: str
    bad_key: str


OSS = Kind(OSSDialect, oss_calls.send, "x-oss-copy-source", "InvalidObjectName")
S3 = Kind(S3Dialect, s3_calls.send, "x-amz-copy-source", "InvalidArgument")

OF_BOTH = [
    ("PUT /bkt/a%2Fb", Asked("put_new", "bkt", "a/b")),
    ("COPY /bkt/a", Asked("copy_new", "bkt", "a")),
    ("POST /bkt/a?uploads=", Asked("begin", "bkt", "a")),
    ("PUT /bkt/a?partNumber=1&uploadId=X", Asked("put_part", "bkt", "a")),
    ("COPY /bkt/a?partNumber=1&uploadId=X", Asked("copy_part", "bkt", "a")),
    ("POST /bkt/a?uploadId=X", Asked("finish_new", "bkt", "a")),
    ("DELETE /bkt/a?uploadId=X", Asked("abort", "bkt", "a")),
    ("HEAD /bkt/a", Asked("head", "bkt", "a")),
    ("GET /bkt/a?versionId=1", Asked("read", "bkt", "a")),
    ("DELETE /bkt/a", Asked("remove", "bkt", "a")),
    ("GET /bkt/?list-type=2", Asked("scan", "bkt")),
    ("GET /bkt", Asked("scan", "bkt")),
    ("GET /bkt/?uploads", Asked("scan_uploads", "bkt")),
    ("GET /bkt/a?uploadId=X", Asked("scan_parts", "bkt", "a")),
    ("GET /bkt/?versioning", Asked("versioning", "bkt")),
]
OF_OSS = [
    ("HEAD /bkt/a?objectMeta", Asked("head", "bkt", "a")),
    ("POST /bkt/?delete=&encoding-type=url", Asked("remove", "bkt")),
    ("GET /bkt/?bucketInfo", Asked("bucket", "bkt")),
    ("PUT /bkt/a?symlink", Asked("other", "bkt", "a")),
    ("POST /bkt/a?append&position=0", Asked("other", "bkt", "a")),
    ("GET /", Asked("other")),
    ("PUT /bkt/", Asked("other", "bkt")),
]
OF_S3 = [
    ("PUT /bkt/a%2Fb?x-id=PutObject", Asked("put_new", "bkt", "a/b")),
    ("POST /bkt/?delete", Asked("remove", "bkt")),
    ("GET /bkt?versions", Asked("scan", "bkt")),
    ("HEAD /bkt", Asked("bucket", "bkt")),
    ("PUT /bkt/a?retention", Asked("other", "bkt", "a")),
    ("GET /bkt/a?attributes", Asked("other", "bkt", "a")),
    ("GET /bkt/a?partNumber=1", Asked("other", "bkt", "a")),
    ("GET /bkt/?policy", Asked("other", "bkt")),
    ("POST /bkt/", Asked("other", "bkt")),
]


def lines() -> Iterator[object]:
    for name, kind, own in (("oss", OSS, OF_OSS), ("s3", S3, OF_S3)):
        for line, asked in (*OF_BOTH, *own):
            yield pytest.param(kind, line, asked, id=f"{name}-{line}")


@pytest.mark.parametrize(("kind", "line", "asked"), list(lines()))
def test_what_a_request_is_for(kind: Kind, line: str, asked: Asked) -> None:
    """COPY is a PUT that names what is copied."""
    method, _, target = line.partition(" ")
    path, _, query = target.partition("?")
    headers = {"content-length": "0"}
    if method == "COPY":
        method, headers[kind.copies] = "PUT", "/x/y"
    request = Request(method, "127.0.0.1", path, query, headers)
    dialect = kind.dialect(Buckets(["bkt", "other"]))
    assert dialect.asked(request) == asked
    if asked.member == "other":
        told = kind.told(dialect, request)
        assert (told.status, told.code) == (501, "NotImplemented")


@pytest.mark.parametrize("kind", [OSS, S3], ids=["oss", "s3"])
def test_a_path_that_is_not_utf8_is_no_key(kind: Kind) -> None:
    answer = kind.told(kind.dialect(Buckets(["bkt"])), Request("GET", "h", "/bkt/%FF", "", {}))
    assert (answer.status, answer.code) == (400, kind.bad_key)


@pytest.mark.parametrize("kind", [OSS, S3], ids=["oss", "s3"])
def test_a_body_that_is_cut_off_leaves_nothing(kind: Kind) -> None:
    dialect = kind.dialect(Buckets(["bkt"]))
    receiving = dialect.receive(Request("PUT", "h", "/bkt/k", "", {"content-length": "10"}))
    receiving.take(memoryview(b"12345"))
    receiving.cut()
    assert kind.told(dialect, Request("HEAD", "h", "/bkt/k", "", {})).status == 404
    assert list(dialect.state["bkt"].histories) == []
