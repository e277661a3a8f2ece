"""The SDKs as they are shipped, against the OSS of the loopback server: every call, signed, over a socket."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from storage_guard.checksum import crc64xz
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.oss import OSSDialect
from storage_guard.testing.server.running import running

oss2: Any = importlib.import_module("oss2")
oss: Any = importlib.import_module("alibabacloud_oss_v2")

pytestmark = [
    pytest.mark.filterwarnings(r"ignore:datetime\.datetime\.utcnow:DeprecationWarning:oss2"),
    # Both SDKs leave the connections of some answers to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

KEY_ID, SECRET, TOKEN = "LTAI-one", "a secret/+=", "a token/+="
KEYS = ["a", "dir/ü", "a+b", "%41", "~*()'!", "a b", "q?=1&r#", "\U0001f600", "x<&", "\x01\r"]
SHOWN = KEYS[:-1]  # the SDKs write and read the last one as XML, which has no way to say it
UPLOADED = ["a b", "dir/ü+<&"]
PART = os.urandom(100 * 1024)
TRUE = {"x-oss-forbid-overwrite": "true"}


@dataclass(frozen=True)
class Way:
    """How an SDK comes to a server at `url`: `by_host` names the bucket in the host, through the server as a proxy."""

    url: str
    version: str
    by_host: bool
    token: str | None

    @property
    def endpoint(self) -> str:
        return "http://oss-cn-hangzhou.aliyuncs.com" if self.by_host else self.url

    def first(self) -> Any:
        """A bucket of the older SDK."""
        if self.token is not None:
            auth = oss2.StsAuth(KEY_ID, SECRET, self.token, self.version)
        else:
            auth = (oss2.AuthV4 if self.version == "v4" else oss2.Auth)(KEY_ID, SECRET)
        proxies = {"http": self.url} if self.by_host else None
        return oss2.Bucket(auth, self.endpoint, "bkt", region="cn-hangzhou", proxies=proxies)

    def second(self) -> Any:
        """A client of the newer SDK."""
        config = oss.config.load_default()
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(KEY_ID, SECRET, self.token)
        config.region, config.endpoint, config.signature_version = "cn-hangzhou", self.endpoint, self.version
        # As a string it is taken for a scheme "http://", which is never asked for.
        config.proxy_host = {"http": self.url} if self.by_host else None
        config.use_path_style = not self.by_host
        config.retry_max_attempts = 1
        return oss.Client(config)


@pytest.fixture
def state() -> Buckets:
    return Buckets(["bkt", "other"])


@pytest.fixture(
    params=product(("v1", "v4"), (False, True), (None, TOKEN)),
    ids=lambda way: f"{way[0]}-{'host' if way[1] else 'path'}-{'sts' if way[2] else 'key'}",
)
def way(request: pytest.FixtureRequest, state: Buckets, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    version, by_host, token = request.param
    credentials = Credentials([Credential(KEY_ID, SECRET, token)])
    with running(OSSDialect(state, credentials=credentials)) as server:
        yield Way(server.url, version, by_host, token)
        gc.collect()  # what the SDKs left open is closed here, and not in a test that minds


@contextlib.contextmanager
def closed(bucket: Any) -> Generator[Any]:
    """The bucket of the older SDK, which closes nothing by itself."""
    try:
        yield bucket
    finally:
        bucket.session.session.close()


@contextlib.contextmanager
def refused(status: int, code: str) -> Generator[None]:
    with pytest.raises((oss2.exceptions.ServerError, oss.exceptions.OperationError)) as info:
        yield
    error: Any = info.value
    if isinstance(error, oss.exceptions.OperationError):
        error = error.unwrap()
        assert (error.status_code, error.code) == (status, code)
    else:
        assert (error.status, error.code) == (status, code)
    assert len(error.request_id) == 24


def read(answer: Any) -> bytes:
    """The whole body, so that the connection goes back."""
    data = answer.read()
    assert isinstance(data, bytes)
    return data


def listed_by(pages: Iterable[Any], name: str) -> list[Any]:
    """What is listed under this name on all pages of the newer SDK, which gives None for nothing."""
    items: list[Any] = []
    for page in pages:
        found: list[Any] | None = getattr(page, name)
        items += found or []
    return items


def test_oss2_objects(way: Way) -> None:
    with closed(way.first()) as bucket:
        for key in KEYS:
            data = key.encode() * 100
            put = bucket.put_object(key, data, headers={**TRUE, "x-oss-meta-write-id": "w", "Content-Type": "a/b"})
            assert (put.status, put.crc) == (200, crc64xz(data))
            with refused(409, "FileAlreadyExists"):
                bucket.put_object(key, b"other", headers=TRUE)
            head = bucket.head_object(key)
            assert (head.content_length, head.server_crc, head.content_type) == (len(data), crc64xz(data), "a/b")
            assert (head.headers["x-oss-meta-write-id"], head.object_type, head.etag) == ("w", "Normal", put.etag)
            assert bucket.get_object_meta(key).content_length == len(data)
            whole = bucket.get_object(key)
            assert read(whole) == data
            assert whole.client_crc == whole.server_crc
            some = bucket.get_object(key, byte_range=(1, 3), headers={"x-oss-range-behavior": "standard"})
            assert (some.status, read(some)) == (206, data[1:4])
            copied = bucket.copy_object("bkt", key, f"copy/{key}")
            copied.resp.read()
            assert copied.etag == put.etag
        shown = [item.key for item in oss2.ObjectIteratorV2(bucket, max_keys=3)]
        assert shown == sorted([*KEYS, *(f"copy/{key}" for key in KEYS)], key=str.encode)
        assert [item.key for item in oss2.ObjectIterator(bucket, max_keys=2)] == shown
        folded = bucket.list_objects_v2(delimiter="/", start_after="b")
        assert folded.prefix_list == ["copy/", "dir/"]
        assert not bucket.object_exists("none")
        with refused(404, "NoSuchKey"):
            bucket.get_object("none")
        with refused(404, "NoSuchKey"):
            bucket.head_object("none")
        assert bucket.batch_delete_objects(SHOWN).deleted_keys == SHOWN
        assert bucket.delete_object("copy/a").status == 204
        left = [*KEYS[len(SHOWN) :], *(f"copy/{key}" for key in KEYS[1:])]
        assert [item.key for item in bucket.list_objects_v2().object_list] == sorted(left, key=str.encode)


def test_oss2_bodies_of_unknown_length(way: Way) -> None:
    with closed(way.first()) as bucket:
        pieces = [PART[:1000], PART[1000:70_000]]
        assert bucket.put_object("stream", iter(pieces)).crc == crc64xz(PART[:70_000])
        assert bucket.put_object("empty", b"").crc == 0
        assert read(bucket.get_object("stream")) == PART[:70_000]
        assert bucket.head_object("empty").content_length == 0


def test_oss2_uploads(way: Way) -> None:
    with closed(way.first()) as bucket:
        bucket.put_object("source", PART * 2)
        for key in UPLOADED:
            upload_id = bucket.init_multipart_upload(key, headers=TRUE).upload_id
            parts = [oss2.models.PartInfo(1, bucket.upload_part(key, upload_id, 1, PART).etag, size=len(PART))]
            copied = bucket.upload_part_copy("bkt", "source", (0, len(PART) - 1), key, upload_id, 2)
            copied.resp.read()
            parts.append(oss2.models.PartInfo(2, copied.etag))
            parts.append(oss2.models.PartInfo(7, bucket.upload_part(key, upload_id, 7, b"tail").etag))
            listed = list(oss2.PartIterator(bucket, key, upload_id, max_parts=2))
            assert [(part.part_number, part.etag) for part in listed] == [(p.part_number, p.etag) for p in parts]
            with refused(400, "InvalidPart"):
                bucket.complete_multipart_upload(key, upload_id, [oss2.models.PartInfo(1, "0")])
            done = bucket.complete_multipart_upload(key, upload_id, parts, headers=TRUE)
            done.resp.read()
            assert done.crc == crc64xz(PART + PART + b"tail")
            with refused(404, "NoSuchUpload"):
                bucket.complete_multipart_upload(key, upload_id, parts, headers=TRUE)
            with refused(409, "FileAlreadyExists"):
                bucket.init_multipart_upload(key, headers=TRUE)
            assert read(bucket.get_object(key)) == PART + PART + b"tail"
        begun = [(key, bucket.init_multipart_upload(key).upload_id) for key in sorted(SHOWN, key=str.encode)]
        listed = [(upload.key, upload.upload_id) for upload in oss2.MultipartUploadIterator(bucket, max_uploads=2)]
        assert listed == begun
        last = begun.pop()
        bucket.upload_part(*last, 1, PART)
        everything = bucket.complete_multipart_upload(*last, None, headers={"x-oss-complete-all": "yes"})
        everything.resp.read()
        for key, upload_id in begun:
            assert bucket.abort_multipart_upload(key, upload_id).status == 204
        assert list(oss2.MultipartUploadIterator(bucket)) == []


def test_oss2_buckets_and_versions(way: Way) -> None:
    with closed(way.first()) as bucket:
        info = bucket.get_bucket_info()
        assert (info.name, info.versioning_status) == ("bkt", None)
        assert bucket.get_bucket_versioning().status is None
        bucket.put_bucket_versioning(oss2.models.BucketVersioningConfig("Enabled"))
        assert bucket.get_bucket_versioning().status == bucket.get_bucket_info().versioning_status == "Enabled"
        first, second = (bucket.put_object("k", body, headers=TRUE).versionid for body in (b"1", b"2"))
        assert read(bucket.get_object("k", params={"versionId": first})) == b"1"
        marker = bucket.delete_object("k")
        assert (marker.delete_marker, bucket.object_exists("k")) == (True, False)
        for version_id in (marker.versionid, second):
            bucket.delete_object("k", params={"versionId": version_id})
        assert read(bucket.get_object("k")) == b"1"
        bucket.put_object("t", b"", headers={"x-oss-tagging": "a=b%20c", "x-oss-object-acl": "private"})
        assert bucket.get_object_tagging("t").tag_set.tagging_rule == {"a": "b c"}
        assert bucket.get_object_acl("t").acl == "private"
        with refused(501, "NotImplemented"):
            bucket.put_symlink("k", "link")


def test_oss2_urls(way: Way) -> None:
    with closed(way.first()) as bucket:
        for key in KEYS:
            url = bucket.sign_url("PUT", key, 60, slash_safe=True)
            assert bucket.put_object_with_url(url, b"by url").status == 200
            assert read(bucket.get_object_with_url(bucket.sign_url("GET", key, 60))) == b"by url"


def test_v2_objects(way: Way) -> None:
    client = way.second()
    for key in KEYS:
        data = key.encode() * 100
        kept = {"bucket": "bkt", "key": key}
        put = client.put_object(
            oss.PutObjectRequest(**kept, body=data, forbid_overwrite=True, metadata={"write-id": "w"})
        )
        assert (put.status_code, put.hash_crc64) == (200, str(crc64xz(data)))
        with refused(409, "FileAlreadyExists"):
            client.put_object(oss.PutObjectRequest(**kept, body=b"other", forbid_overwrite=True))
        head = client.head_object(oss.HeadObjectRequest(**kept))
        assert (head.content_length, head.hash_crc64, head.metadata) == (len(data), put.hash_crc64, {"write-id": "w"})
        assert client.get_object_meta(oss.GetObjectMetaRequest(**kept)).content_length == len(data)
        with client.get_object(oss.GetObjectRequest(**kept)).body as body:
            assert body.content == data
        some = client.get_object(oss.GetObjectRequest(**kept, range_header="bytes=1-3", range_behavior="standard"))
        with some.body as body:
            assert (some.status_code, some.content_range, body.content) == (206, f"bytes 1-3/{len(data)}", data[1:4])
        copied = client.copy_object(oss.CopyObjectRequest(bucket="bkt", key=f"copy/{key}", source_key=key))
        assert copied.etag == put.etag
    pages = client.list_objects_v2_paginator().iter_page(oss.ListObjectsV2Request(bucket="bkt", max_keys=3))
    shown = [item.key for item in listed_by(pages, "contents")]
    assert shown == sorted([*KEYS, *(f"copy/{key}" for key in KEYS)], key=str.encode)
    pages = client.list_objects_paginator().iter_page(oss.ListObjectsRequest(bucket="bkt", max_keys=2))
    assert [item.key for item in listed_by(pages, "contents")] == shown
    for call, request in (
        (client.get_object, oss.GetObjectRequest(bucket="bkt", key="none")),
        (client.head_object, oss.HeadObjectRequest(bucket="bkt", key="none")),
    ):
        with refused(404, "NoSuchKey"):
            call(request)
    objects = [oss.DeleteObject(key=key) for key in SHOWN]
    gone = client.delete_multiple_objects(oss.DeleteMultipleObjectsRequest(bucket="bkt", objects=objects))
    assert [item.key for item in gone.deleted_objects] == SHOWN
    assert client.delete_object(oss.DeleteObjectRequest(bucket="bkt", key="copy/a")).status_code == 204


def test_v2_uploads(way: Way) -> None:
    client = way.second()
    client.put_object(oss.PutObjectRequest(bucket="other", key="source ü", body=PART * 2))
    for key in UPLOADED:
        kept: dict[str, Any] = {"bucket": "bkt", "key": key}
        begun = client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(**kept, forbid_overwrite=True))
        kept["upload_id"] = begun.upload_id
        tags = [client.upload_part(oss.UploadPartRequest(**kept, part_number=1, body=PART)).etag]
        source: dict[str, Any] = {"source_bucket": "other", "source_key": "source ü"}
        copied = client.upload_part_copy(
            oss.UploadPartCopyRequest(**kept, **source, part_number=2, source_range=f"bytes=0-{len(PART) - 1}")
        )
        tags.append(copied.etag)
        listed = client.list_parts(oss.ListPartsRequest(**kept))
        assert [(part.part_number, part.etag, part.size) for part in listed.parts] == [
            (number, tag, len(PART)) for number, tag in enumerate(tags, 1)
        ]
        named = [oss.UploadPart(part_number=number, etag=tag) for number, tag in enumerate(tags, 1)]
        request = oss.CompleteMultipartUploadRequest(
            **kept, forbid_overwrite=True, complete_multipart_upload=oss.CompleteMultipartUpload(parts=named)
        )
        done = client.complete_multipart_upload(request)
        assert (done.hash_crc64, done.key) == (str(crc64xz(PART * 2)), key)
        with refused(404, "NoSuchUpload"):
            client.complete_multipart_upload(request)
    ids = [
        client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket="bkt", key=key)).upload_id
        for key in sorted(SHOWN, key=str.encode)
    ]
    pages = client.list_multipart_uploads_paginator().iter_page(
        oss.ListMultipartUploadsRequest(bucket="bkt", max_uploads=2)
    )
    listed = [(upload.key, upload.upload_id) for upload in listed_by(pages, "uploads")]
    assert listed == list(zip(sorted(SHOWN, key=str.encode), ids, strict=True))
    for key, upload_id in listed:
        aborted = client.abort_multipart_upload(
            oss.AbortMultipartUploadRequest(bucket="bkt", key=key, upload_id=upload_id)
        )
        assert aborted.status_code == 204


def test_v2_buckets_and_versions(way: Way) -> None:
    client = way.second()
    assert client.get_bucket_info(oss.GetBucketInfoRequest(bucket="bkt")).bucket_info.name == "bkt"
    assert client.get_bucket_versioning(oss.GetBucketVersioningRequest(bucket="bkt")).version_status is None
    enabled = oss.VersioningConfiguration(status="Enabled")
    client.put_bucket_versioning(oss.PutBucketVersioningRequest(bucket="bkt", versioning_configuration=enabled))
    assert client.get_bucket_versioning(oss.GetBucketVersioningRequest(bucket="bkt")).version_status == "Enabled"
    put = oss.PutObjectRequest(bucket="bkt", key="k", body=b"1", forbid_overwrite=True)
    first, second = (client.put_object(put).version_id for _ in range(2))
    assert first != second
    gone = client.delete_object(oss.DeleteObjectRequest(bucket="bkt", key="k"))
    assert gone.delete_marker
    client.delete_object(oss.DeleteObjectRequest(bucket="bkt", key="k", version_id=gone.version_id))
    assert client.head_object(oss.HeadObjectRequest(bucket="bkt", key="k")).version_id == second
    with refused(501, "NotImplemented"):
        client.put_symlink(oss.PutSymlinkRequest(bucket="bkt", key="l", symlink_target="k"))


def test_v2_urls(way: Way) -> None:
    client = way.second()
    requests: Any = importlib.import_module("requests")
    proxies = {"http": way.url} if way.by_host else None
    for key in KEYS:
        put = client.presign(oss.PutObjectRequest(bucket="bkt", key=key))
        with requests.put(put.url, data=b"by url", headers=put.signed_headers, proxies=proxies, timeout=30) as answer:
            assert answer.status_code == 200, answer.text
        get = client.presign(oss.GetObjectRequest(bucket="bkt", key=key))
        with requests.get(get.url, headers=get.signed_headers, proxies=proxies, timeout=30) as answer:
            assert answer.content == b"by url"
