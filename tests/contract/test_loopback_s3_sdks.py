"""The SDKs as they are shipped, against the S3 of the loopback server: every call, signed, over a socket."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib
import io
import os
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from storage_guard.checksum import crc64nvme
from storage_guard.testing.server import Server, running
from storage_guard.testing.server.buckets import Buckets, utc_now
from storage_guard.testing.server.credentials import Credential, Credentials, all_but
from storage_guard.testing.server.s3 import S3Dialect
from unit.certificates import server_tls

boto3: Any = importlib.import_module("boto3")
botocore_config: Any = importlib.import_module("botocore.config")
ClientError: Any = importlib.import_module("botocore.exceptions").ClientError
minio: Any = importlib.import_module("minio")
obstore: Any = importlib.import_module("obstore")
obstore_store: Any = importlib.import_module("obstore.store")

pytestmark = [
    # boto3 and urllib3 leave the connections of some answers to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning"),
]

KEY_ID, SECRET, TOKEN, REGION = "AKIAone", "a secret/+=", "a token/+=", "eu-central-1"
KEYS = ["a", "dir/ü", "a+b", "%41", "~*()'!", "a b", "q?=1&r#", "\U0001f600", "x<&", "x//y"]
PART = os.urandom(5 << 20)
MIB = 1 << 20
SUMS: dict[str, Callable[[bytes], bytes]] = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "CRC64NVME": lambda data: crc64nvme(data).to_bytes(8, "big"),
    "SHA1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


def told(value: bytes) -> str:
    return base64.b64encode(value).decode()


@dataclass(frozen=True)
class Way:
    """How boto3 comes to a server at `url`: `by_host` names the bucket in the host, through the server as a proxy."""

    url: str
    by_host: bool = False
    token: str | None = None
    verify: str | None = None

    def client(self, *, region: str = REGION, secret: str = SECRET, **config: Any) -> Any:
        style = "virtual" if self.by_host else "path"
        if self.by_host:
            config["proxies"] = {"http": self.url}
        return boto3.session.Session().client(
            "s3",
            region_name=region,
            endpoint_url=f"http://s3.{region}.amazonaws.com" if self.by_host else self.url,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=secret,
            aws_session_token=self.token,
            verify=self.verify,
            config=botocore_config.Config(
                s3={"addressing_style": style, **config.pop("s3", {})},
                retries={"total_max_attempts": 1},
                signature_version="s3v4",
                **config,
            ),
        )


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def state() -> Buckets:
    return Buckets(["bkt", "other", "with.dots"])


@contextlib.contextmanager
def served(state: Buckets, token: str | None = None, credentials: Credentials | None = None) -> Generator[Server]:
    known = credentials or Credentials([Credential(KEY_ID, SECRET, token)])
    with running(S3Dialect(state, credentials=known, region=REGION)) as server:
        yield server


@pytest.fixture(
    params=product((False, True), (None, TOKEN)),
    ids=lambda way: f"{'host' if way[0] else 'path'}-{'sts' if way[1] else 'key'}",
)
def way(request: pytest.FixtureRequest, state: Buckets) -> Iterator[Way]:
    by_host, token = request.param
    with served(state, token) as server:
        yield Way(server.url, by_host, token)


@pytest.fixture
def secure(state: Buckets, tmp_path: Path) -> Iterator[Way]:
    """Over TLS, where boto3 sends checksums behind the bodies."""
    tls, trusted = server_tls(tmp_path)
    credentials = Credentials([Credential(KEY_ID, SECRET)])
    with running(S3Dialect(state, credentials=credentials, region=REGION), tls=tls) as server:
        yield Way(server.url, verify=trusted)


@contextlib.contextmanager
def refused(status: int, code: str, **more: str) -> Generator[None]:
    with pytest.raises(ClientError) as info:
        yield
    answer: Any = info.value.response
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (status, code)
    assert {name: answer["Error"][name] for name in more} == more
    assert len(answer["ResponseMetadata"]["RequestId"]) == 16
    assert answer["ResponseMetadata"]["HostId"]


def body(answer: Mapping[str, Any]) -> bytes:
    data = answer["Body"].read()
    assert isinstance(data, bytes)
    return data


def test_boto3_objects(way: Way) -> None:
    client = way.client()
    for key in KEYS:
        data = key.encode() * 100
        named: dict[str, Any] = {"Bucket": "bkt", "Key": key}
        put = client.put_object(
            **named, Body=data, IfNoneMatch="*", Metadata={"guardid": "w"}, ContentType="a/b", CacheControl="no-cache"
        )
        assert put["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
        assert (put["ChecksumCRC32"], put["ChecksumType"]) == (told(SUMS["CRC32"](data)), "FULL_OBJECT")
        with refused(412, "PreconditionFailed", Condition="If-None-Match"):
            client.put_object(**named, Body=b"other", IfNoneMatch="*")
        head = client.head_object(**named, ChecksumMode="ENABLED")
        assert (head["ContentLength"], head["ContentType"], head["Metadata"]) == (len(data), "a/b", {"guardid": "w"})
        assert (head["ETag"], head["ChecksumCRC32"], head["CacheControl"]) == (
            put["ETag"],
            put["ChecksumCRC32"],
            "no-cache",
        )
        assert body(client.get_object(**named)) == data
        some = client.get_object(**named, Range="bytes=1-3", IfMatch=put["ETag"])
        assert (some["ContentRange"], body(some)) == (f"bytes 1-3/{len(data)}", data[1:4])
        assert body(client.get_object(**named, Range="bytes=-2")) == data[-2:]
        with refused(412, "PreconditionFailed", Condition="If-Match"):
            client.get_object(**named, IfMatch='"0"')
        with refused(416, "InvalidRange"):
            client.get_object(**named, Range=f"bytes={len(data)}-")
        copied = client.copy_object(
            Bucket="bkt", Key=f"copy/{key}", CopySource={"Bucket": "bkt", "Key": key}, IfNoneMatch="*"
        )
        assert copied["CopyObjectResult"]["ETag"] == put["ETag"]
        assert copied["CopyObjectResult"]["ChecksumCRC32"] == put["ChecksumCRC32"]
        with refused(412, "PreconditionFailed"):
            client.copy_object(
                Bucket="bkt", Key=f"copy/{key}", CopySource={"Bucket": "bkt", "Key": key}, IfNoneMatch="*"
            )
    shown = sorted([*KEYS, *(f"copy/{key}" for key in KEYS)], key=str.encode)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="bkt", PaginationConfig={"PageSize": 3})
    assert [item["Key"] for page in pages for item in page["Contents"]] == shown
    pages = client.get_paginator("list_objects").paginate(Bucket="bkt", PaginationConfig={"PageSize": 2})
    assert [item["Key"] for page in pages for item in page["Contents"]] == shown
    folded = client.list_objects_v2(Bucket="bkt", Delimiter="/", StartAfter="b")
    assert [item["Prefix"] for item in folded["CommonPrefixes"]] == ["copy/", "dir/", "x//"[:2]]
    for call in (client.get_object, client.head_object):
        with refused(404, "NoSuchKey" if call == client.get_object else "404"):
            call(Bucket="bkt", Key="none")
    with refused(404, "NoSuchBucket"):
        client.list_objects_v2(Bucket="none")
    gone = client.delete_objects(Bucket="bkt", Delete={"Objects": [{"Key": key} for key in KEYS]})
    assert [item["Key"] for item in gone["Deleted"]] == KEYS
    with refused(412, "PreconditionFailed"):
        client.delete_object(Bucket="bkt", Key="copy/a", IfMatch='"0"')
    client.delete_object(Bucket="bkt", Key="copy/a", IfMatch=f'"{hashlib.md5(b"a" * 100).hexdigest()}"')
    with refused(404, "NoSuchKey"):
        client.delete_object(Bucket="bkt", Key="copy/a", IfMatch="*")
    assert client.delete_object(Bucket="bkt", Key="copy/a")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.list_objects_v2(Bucket="bkt")["KeyCount"] == len(KEYS) - 1


def test_boto3_uploads(way: Way) -> None:
    client = way.client()
    client.put_object(Bucket="other", Key="source ü", Body=PART * 2)
    for key in ("a b", "dir/ü+<&"):
        named: dict[str, Any] = {"Bucket": "bkt", "Key": key}
        begun = client.create_multipart_upload(
            **named, ChecksumAlgorithm="CRC64NVME", ChecksumType="FULL_OBJECT", Metadata={"guardid": "w"}
        )
        part: dict[str, Any] = {**named, "UploadId": begun["UploadId"]}
        first = client.upload_part(**part, PartNumber=1, Body=PART, ChecksumAlgorithm="CRC64NVME")
        assert first["ChecksumCRC64NVME"] == told(SUMS["CRC64NVME"](PART))
        source = {"Bucket": "other", "Key": "source ü"}
        second = client.upload_part_copy(
            **part, PartNumber=2, CopySource=source, CopySourceRange=f"bytes=0-{len(PART) - 1}"
        )["CopyPartResult"]
        assert second["ChecksumCRC64NVME"] == first["ChecksumCRC64NVME"]
        third = client.upload_part(
            **part, PartNumber=7, Body=b"tail", ChecksumCRC64NVME=told(SUMS["CRC64NVME"](b"tail"))
        )
        parts = [
            {"PartNumber": number, "ETag": each["ETag"], "ChecksumCRC64NVME": each["ChecksumCRC64NVME"]}
            for number, each in ((1, first), (2, second), (7, third))
        ]
        pages = client.get_paginator("list_parts").paginate(**part, PaginationConfig={"PageSize": 2})
        listed = [item for page in pages for item in page["Parts"]]
        assert [{name: item[name] for name in parts[0]} for item in listed] == parts
        finish: dict[str, Any] = {**part, "IfNoneMatch": "*"}
        with refused(400, "InvalidPart"):
            client.complete_multipart_upload(**finish, MultipartUpload={"Parts": [{**parts[0], "ETag": '"0"'}]})
        with refused(400, "InvalidPartOrder"):
            client.complete_multipart_upload(**finish, MultipartUpload={"Parts": parts[::-1]})
        with refused(400, "InvalidRequest"):
            client.complete_multipart_upload(**finish, MultipartUpload={"Parts": parts}, MpuObjectSize=1)
        whole = PART + PART + b"tail"
        with refused(400, "BadDigest"):
            client.complete_multipart_upload(
                **finish, MultipartUpload={"Parts": parts}, ChecksumCRC64NVME=told(bytes(8)), ChecksumType="FULL_OBJECT"
            )
        done = client.complete_multipart_upload(
            **finish,
            MultipartUpload={"Parts": parts},
            ChecksumCRC64NVME=told(SUMS["CRC64NVME"](whole)),
            ChecksumType="FULL_OBJECT",
            MpuObjectSize=len(whole),
        )
        assert (done["ChecksumCRC64NVME"], done["ChecksumType"]) == (told(SUMS["CRC64NVME"](whole)), "FULL_OBJECT")
        assert done["ETag"].endswith('-3"')
        with refused(404, "NoSuchUpload"):
            client.complete_multipart_upload(**finish, MultipartUpload={"Parts": parts[:2]})
        got = client.get_object(**named, ChecksumMode="ENABLED")
        assert (body(got) == whole, got["Metadata"]) == (True, {"guardid": "w"})
    begun_ids = [
        (key, client.create_multipart_upload(Bucket="bkt", Key=key)["UploadId"]) for key in sorted(KEYS, key=str.encode)
    ]
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket="bkt", PaginationConfig={"PageSize": 2})
    assert [(item["Key"], item["UploadId"]) for page in pages for item in page["Uploads"]] == begun_ids
    for key, upload_id in begun_ids:
        client.abort_multipart_upload(Bucket="bkt", Key=key, UploadId=upload_id)
        with refused(404, "NoSuchUpload"):
            client.abort_multipart_upload(Bucket="bkt", Key=key, UploadId=upload_id)
    assert "Uploads" not in client.list_multipart_uploads(Bucket="bkt")


def test_boto3_buckets_versions_and_tags(way: Way) -> None:
    client = way.client()
    assert client.get_bucket_location(Bucket="bkt")["LocationConstraint"] == REGION
    assert client.head_bucket(Bucket="bkt")["BucketRegion"] == REGION
    with refused(404, "404"):
        client.head_bucket(Bucket="none")
    client.create_bucket(Bucket="made", CreateBucketConfiguration={"LocationConstraint": REGION})
    with refused(409, "BucketAlreadyOwnedByYou"):
        client.create_bucket(Bucket="made", CreateBucketConfiguration={"LocationConstraint": REGION})
    names = [bucket["Name"] for bucket in Way(way.url, token=way.token).client().list_buckets()["Buckets"]]
    assert names == ["bkt", "other", "with.dots", "made"]
    client.delete_bucket(Bucket="made")
    assert "Status" not in client.get_bucket_versioning(Bucket="bkt")
    client.put_bucket_versioning(Bucket="bkt", VersioningConfiguration={"Status": "Enabled"})
    assert client.get_bucket_versioning(Bucket="bkt")["Status"] == "Enabled"
    first, second = (client.put_object(Bucket="bkt", Key="k", Body=data)["VersionId"] for data in (b"1", b"2"))
    assert body(client.get_object(Bucket="bkt", Key="k", VersionId=first)) == b"1"
    with refused(412, "PreconditionFailed"):
        client.put_object(Bucket="bkt", Key="k", Body=b"3", IfNoneMatch="*")
    marker = client.delete_object(Bucket="bkt", Key="k")
    assert marker["DeleteMarker"]
    with refused(405, "MethodNotAllowed"):
        client.get_object(Bucket="bkt", Key="k", VersionId=marker["VersionId"])
    third = client.put_object(Bucket="bkt", Key="k", Body=b"3", IfNoneMatch="*")["VersionId"]
    pages = client.get_paginator("list_object_versions").paginate(Bucket="bkt", PaginationConfig={"PageSize": 2})
    shown = [
        (item["VersionId"], item["IsLatest"])
        for page in pages
        for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    ]
    assert sorted(shown) == sorted([(third, True), (marker["VersionId"], False), (second, False), (first, False)])
    client.delete_object(Bucket="bkt", Key="k", VersionId=third)
    client.delete_object(Bucket="bkt", Key="k", VersionId=marker["VersionId"])
    assert body(client.get_object(Bucket="bkt", Key="k")) == b"2"
    client.put_object(Bucket="other", Key="t", Body=b"", Tagging="a=b%20c", ACL="public-read")
    assert client.get_object_tagging(Bucket="other", Key="t")["TagSet"] == [{"Key": "a", "Value": "b c"}]
    assert client.head_object(Bucket="other", Key="t")["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "1"
    client.put_object_tagging(Bucket="other", Key="t", Tagging={"TagSet": [{"Key": "d", "Value": "<&"}]})
    assert client.get_object_tagging(Bucket="other", Key="t")["TagSet"] == [{"Key": "d", "Value": "<&"}]
    client.delete_object_tagging(Bucket="other", Key="t")
    assert client.get_object_tagging(Bucket="other", Key="t")["TagSet"] == []
    grants = [grant["Permission"] for grant in client.get_object_acl(Bucket="other", Key="t")["Grants"]]
    assert grants == ["FULL_CONTROL", "READ"]
    client.put_object_acl(Bucket="other", Key="t", ACL="private")
    assert len(client.get_object_acl(Bucket="other", Key="t")["Grants"]) == 1
    with refused(501, "NotImplemented"):
        client.get_object_torrent(Bucket="other", Key="t")


def test_boto3_names_a_bucket_with_dots_in_the_path(way: Way) -> None:
    client = way.client()
    client.put_object(Bucket="with.dots", Key="k", Body=b"1")
    assert body(client.get_object(Bucket="with.dots", Key="k")) == b"1"


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
@pytest.mark.parametrize("tls", [False, True], ids=["header", "trailer"])
def test_boto3_checksums(state: Buckets, algorithm: str, tls: bool, request: pytest.FixtureRequest) -> None:
    """In a header over plain HTTP, in a trailer over TLS."""
    with contextlib.ExitStack() as stack:
        if tls:
            way = request.getfixturevalue("secure")
        else:
            way = Way(stack.enter_context(served(state)).url)
        client = way.client()
        field = f"Checksum{algorithm}"
        for name, data in (("empty", b""), ("small", b"123456789"), ("large", PART[:3_000_000])):
            put = client.put_object(Bucket="bkt", Key=name, Body=io.BytesIO(data), ChecksumAlgorithm=algorithm)
            if algorithm in SUMS:
                assert put[field] == told(SUMS[algorithm](data))
            assert client.head_object(Bucket="bkt", Key=name, ChecksumMode="ENABLED")[field] == put[field]
            assert body(client.get_object(Bucket="bkt", Key=name)) == data  # and boto3 compares
        if algorithm == "CRC32C":
            assert client.head_object(Bucket="bkt", Key="small", ChecksumMode="ENABLED")[field] == "4waSgw=="
        named: dict[str, Any] = {"Bucket": "bkt", "Key": "parts"}
        upload_id = client.create_multipart_upload(**named, ChecksumAlgorithm=algorithm)["UploadId"]
        part: dict[str, Any] = {**named, "UploadId": upload_id}
        parts: list[dict[str, Any]] = []
        for number, data in ((1, PART), (2, b"tail")):
            sent = client.upload_part(**part, PartNumber=number, Body=io.BytesIO(data), ChecksumAlgorithm=algorithm)
            parts.append({"PartNumber": number, "ETag": sent["ETag"], field: sent[field]})
        done = client.complete_multipart_upload(**part, MultipartUpload={"Parts": parts})
        if algorithm == "CRC64NVME":
            assert (done[field], done["ChecksumType"]) == (told(SUMS[algorithm](PART + b"tail")), "FULL_OBJECT")
        else:
            assert (done[field][-2:], done["ChecksumType"]) == ("-2", "COMPOSITE")
            if algorithm in SUMS:
                both = b"".join(SUMS[algorithm](data) for data in (PART, b"tail"))
                assert done[field] == told(SUMS[algorithm](both)) + "-2"
        assert body(client.get_object(**named)) == PART + b"tail"


@pytest.mark.parametrize("config", [{}, {"request_checksum_calculation": "when_required"}], ids=["default", "required"])
@pytest.mark.parametrize("signed", [True, False], ids=["hashed", "unsigned"])
def test_boto3_bodies(way: Way, config: dict[str, str], signed: bool) -> None:
    client = way.client(s3={"payload_signing_enabled": signed}, **config)
    for data in (b"", b"x", PART):
        client.put_object(Bucket="bkt", Key="k", Body=io.BytesIO(data))
        assert body(client.get_object(Bucket="bkt", Key="k")) == data


def test_boto3_transfers(way: Way, tmp_path: Path) -> None:
    """With parts of its own, without a word about checksums at the beginning."""
    client = way.client()
    config: Any = importlib.import_module("boto3.s3.transfer").TransferConfig(
        multipart_threshold=6 * MIB, multipart_chunksize=5 * MIB, preferred_transfer_client="classic"
    )
    source = tmp_path / "file"
    source.write_bytes(PART * 2 + b"tail")
    client.upload_file(str(source), "bkt", "file", Config=config)
    client.copy({"Bucket": "bkt", "Key": "file"}, "other", "copy", Config=config)
    client.download_file("other", "copy", str(tmp_path / "back"), Config=config)
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    head = client.head_object(Bucket="bkt", Key="file", ChecksumMode="ENABLED")
    assert head["ETag"].endswith('-3"')


def test_boto3_urls(way: Way) -> None:
    requests: Any = importlib.import_module("requests")
    client = way.client()
    proxies = {"http": way.url} if way.by_host else None
    for key in KEYS:
        named = {"Bucket": "bkt", "Key": key}
        put = client.generate_presigned_url("put_object", {**named, "IfNoneMatch": "*"}, ExpiresIn=60)
        for status in (200, 412):
            with requests.put(put, b"by url", headers={"If-None-Match": "*"}, proxies=proxies, timeout=30) as answer:
                assert answer.status_code == status, answer.text
        get = client.generate_presigned_url("get_object", {**named, "ResponseContentType": "a b/+"}, ExpiresIn=60)
        with requests.get(get, proxies=proxies, timeout=30) as answer:
            assert (answer.content, answer.headers["Content-Type"]) == (b"by url", "a b/+")


def test_boto3_hears_why_a_signature_does_not_hold(state: Buckets) -> None:
    with served(state) as server:
        way = Way(server.url)
        with refused(403, "SignatureDoesNotMatch", AWSAccessKeyId=KEY_ID):
            way.client(secret="another").put_object(Bucket="bkt", Key="k", Body=b"")
        # boto3 takes the region from the refusal, and signs again.
        before = len(server.requests)
        way.client(region="us-west-2").put_object(Bucket="bkt", Key="k", Body=b"")
        statuses = [seen.status for seen in server.requests[before:]]
        assert (statuses[0], statuses[-1]) == (400, 200)
        with refused(400, "InvalidToken"):
            Way(server.url, token="of nobody").client().list_objects_v2(Bucket="bkt")
    past = utc_now() - timedelta(seconds=1)
    with served(state, credentials=Credentials([Credential(KEY_ID, SECRET, TOKEN, past)])) as server:
        with refused(400, "ExpiredToken"):
            Way(server.url, token=TOKEN).client().put_object(Bucket="bkt", Key="k", Body=b"")
        with refused(403, "InvalidAccessKeyId"):
            Way(server.url).client().put_object(Bucket="bkt", Key="k", Body=b"")
    write_only = Credentials([Credential(KEY_ID, SECRET, may=all_but("head", "read", "scan"))])
    with served(state, credentials=write_only) as server:
        client = Way(server.url).client()
        client.put_object(Bucket="bkt", Key="k", Body=b"")
        with refused(403, "403"):
            client.head_object(Bucket="bkt", Key="k")
        with refused(403, "AccessDenied"):
            client.get_object(Bucket="bkt", Key="k")


def test_obstore(state: Buckets, tmp_path: Path) -> None:
    with served(state, TOKEN) as server:
        store = obstore_store.S3Store(
            "bkt",
            endpoint=server.url,
            region=REGION,
            access_key_id=KEY_ID,
            secret_access_key=SECRET,
            session_token=TOKEN,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )
        exists: Any = importlib.import_module("obstore.exceptions").AlreadyExistsError
        for key in [key for key in KEYS if "//" not in key]:
            made = obstore.put(store, key, key.encode(), mode="create", attributes={"guardid": "w"})
            with pytest.raises(exists):
                obstore.put(store, key, b"other", mode="create")
            got = obstore.get(store, key)
            assert (bytes(got.bytes()), got.attributes["guardid"]) == (key.encode(), "w")
            assert obstore.head(store, key)["e_tag"] == made["e_tag"]
            assert bytes(obstore.get_range(store, key, start=0, length=1)) == key.encode()[:1]
            obstore.copy(store, key, f"copy/{key}", overwrite=True)
        shown = [item["path"] for page in obstore.list(store, chunk_size=3) for item in page]
        assert sorted(shown) == sorted(item for key in KEYS if "//" not in key for item in (key, f"copy/{key}"))
        source = tmp_path / "file"
        source.write_bytes(PART * 3 + b"tail")
        obstore.put(store, "parts", source, chunk_size=5 * MIB)
        assert bytes(obstore.get(store, "parts").bytes()) == source.read_bytes()
        obstore.delete(store, shown)
        assert [item["path"] for page in obstore.list(store) for item in page] == ["parts"]


def test_minio(state: Buckets) -> None:
    with served(state, TOKEN) as server:
        client = minio.Minio(
            endpoint=server.url.removeprefix("http://"),
            access_key=KEY_ID,
            secret_key=SECRET,
            session_token=TOKEN,
            region=REGION,
            secure=False,
        )
        for key in KEYS:
            if "//" in key:
                continue
            data = key.encode()
            made = client.put_object(
                bucket_name="bkt", object_name=key, data=io.BytesIO(data), length=len(data), metadata={"guardid": "w"}
            )
            stat = client.stat_object(bucket_name="bkt", object_name=key)
            assert (stat.etag, stat.size, stat.metadata["x-amz-meta-guardid"]) == (made.etag, len(data), "w")
            with contextlib.closing(client.get_object(bucket_name="bkt", object_name=key)) as got:
                assert got.read() == data
                got.release_conn()
        shown = [item.object_name for item in client.list_objects(bucket_name="bkt", recursive=True)]
        assert shown == sorted((key for key in KEYS if "//" not in key), key=str.encode)
        large = PART * 2 + b"tail"
        client.put_object(bucket_name="bkt", object_name="parts", data=io.BytesIO(large), length=-1, part_size=5 * MIB)
        with contextlib.closing(client.get_object(bucket_name="bkt", object_name="parts")) as got:
            assert got.read() == large
            got.release_conn()
        client.remove_object(bucket_name="bkt", object_name="parts")
        assert client.bucket_exists(bucket_name="bkt")
        assert not client.bucket_exists(bucket_name="none")
