"""How S3's requests travel: over TLS, unsigned, from a driver that came out of a pickle; and what they hold."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.config import Config

from storage_guard.driver import Busy, ObjectOptions, ObjectRef, PartSlot, Refused, WriteMeta
from storage_guard.testing import BytesBody
from storage_guard.testing.server import running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.exchange import Receiving, Request
from storage_guard.testing.server.s3 import S3Dialect
from storage_guard_s3 import S3Driver, open_url
from unit.certificates import server_tls
from unit.oss_served import fresh, put
from unit.s3_served import BUCKET, KEY_ID, REGION, SECRET, SESSION, served

DATA = b"some bytes"


class Noting(S3Dialect):
    """Remembers the heads of requests."""

    def __init__(self, *, signed: bool = True) -> None:
        credentials = Credentials([Credential(KEY_ID, SECRET)]) if signed else None
        super().__init__(Buckets([BUCKET]), credentials=credentials, region=REGION)
        self.seen: list[Request] = []

    def receive(self, request: Request) -> Receiving:
        self.seen.append(request)
        return super().receive(request)


@pytest.fixture
def noting() -> Noting:
    return Noting()


@pytest.fixture
def driver(noting: Noting) -> Iterator[S3Driver]:
    with running(noting) as server:
        driver = S3Driver(SESSION.client("s3", endpoint_url=server.url), BUCKET)
        yield driver
        driver.close()


def test_the_condition_goes_with_what_publishes_and_with_nothing_else(driver: S3Driver, noting: Noting) -> None:
    meta = fresh()
    put(driver, "source", DATA)
    upload_id = driver.begin("k", meta)
    part = driver.put_part("k", upload_id, PartSlot(1, 0, len(DATA)), BytesBody(DATA))
    driver.copy_part("k", upload_id, PartSlot(2, len(DATA), 1), ObjectRef(driver.location, "source"), 0)
    driver.finish_new("k", upload_id, [part], meta)
    driver.copy_new(ObjectRef(driver.location, "source"), "copy", meta)
    driver.head("k")
    driver.read("k", 0, 1, None)
    driver.remove("k", None)
    guarded = [(each.method, each.raw_query) for each in noting.seen if each.headers.get("if-none-match") == "*"]
    assert guarded == [("PUT", ""), ("POST", f"uploadId={upload_id}"), ("PUT", "")]


def test_bodies_of_objects_are_summed_once_and_not_hashed(driver: S3Driver, noting: Noting) -> None:
    put(driver, "k", DATA)
    upload_id = driver.begin("m", fresh())
    part = driver.put_part("m", upload_id, PartSlot(1, 0, len(DATA)), BytesBody(DATA))
    driver.finish_new("m", upload_id, [part], fresh())
    first, begun, sent, finished = noting.seen
    assert first.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert "x-amz-checksum-crc64nvme" in first.headers
    assert sent.headers["x-amz-content-sha256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert sent.headers["x-amz-trailer"] == "x-amz-checksum-crc64nvme"
    assert not {"content-md5"} & {*first.headers, *sent.headers}
    assert begun.headers["x-amz-checksum-algorithm"] == "CRC64NVME"
    assert begun.headers["x-amz-checksum-type"] == finished.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    assert finished.headers["x-amz-mp-object-size"] == str(len(DATA))
    assert len(finished.headers["x-amz-content-sha256"]) == 64, "what is small is hashed"


def test_options_go_out_when_the_object_is_begun(driver: S3Driver, noting: Noting) -> None:
    options = ObjectOptions(
        content_type="text/plain", acl="private", tags={"a b": "c&d"}, storage_class="STANDARD_IA", metadata={"n": "v"}
    )
    driver.begin("k", WriteMeta("an-id", options))
    headers = noting.seen[-1].headers
    assert headers["x-amz-meta-guardid"] == "an-id"
    assert headers["x-amz-meta-n"] == "v"
    assert headers["x-amz-tagging"] == "a%20b=c%26d"
    assert (headers["x-amz-acl"], headers["x-amz-storage-class"]) == ("private", "STANDARD_IA")
    assert headers["content-type"] == "text/plain"


def test_a_copy_is_pinned_and_inherits_nothing(driver: S3Driver, noting: Noting) -> None:
    etag = put(driver, "a b/ü?", DATA).etag
    driver.copy_new(ObjectRef(driver.location, "a b/ü?"), "copy", fresh())
    headers = noting.seen[-1].headers
    assert headers["x-amz-copy-source"] == f"{BUCKET}/a%20b/%C3%BC%3F"
    assert headers["x-amz-copy-source-if-match"] == f'"{etag}"'
    assert (headers["x-amz-metadata-directive"], headers["x-amz-tagging-directive"]) == ("REPLACE", "REPLACE")


def test_a_customers_key_goes_with_all_that_concerns_bytes(noting: Noting) -> None:
    with running(noting) as server:
        driver = S3Driver(SESSION.client("s3", endpoint_url=server.url), BUCKET, customer_key=b"k" * 32)
        put(driver, "source", DATA)
        source = ObjectRef(driver.location, "source")
        upload_id = driver.begin("k", fresh())
        part = driver.put_part("k", upload_id, PartSlot(1, 0, len(DATA)), BytesBody(DATA))
        driver.copy_part("k", upload_id, PartSlot(2, len(DATA), 1), source, 0)
        list(driver.scan_parts("k", upload_id))
        driver.finish_new("k", upload_id, [part], fresh())
        driver.copy_new(source, "copy", fresh())
        driver.read("k", 0, 1, None)
    key = "server-side-encryption-customer-key"
    for each in noting.seen:
        assert f"x-amz-{key}" in each.headers, (each.method, each.raw_query)
        assert (f"x-amz-copy-source-{key}" in each.headers) is ("x-amz-copy-source" in each.headers)


def test_keys_are_sent_as_they_are(driver: S3Driver) -> None:
    for key in ("a+b", "%41", "~*()'!", "q?=1&r#", "\U0001f600", "x//y", "a/../b", "a/./b", " a ", "x<&", "\\"):
        meta = fresh()
        put(driver, key, DATA, meta)
        found = driver.head(key)
        assert found is not None
        assert found.write_id == meta.write_id
        assert [entry.key for entry in driver.scan(key, "", "")] == [key]


def test_an_anonymous_client_writes_unsigned_where_everybody_may() -> None:
    noting = Noting(signed=False)
    with running(noting) as server:
        config = Config(signature_version=botocore.UNSIGNED)
        driver = S3Driver(SESSION.client("s3", endpoint_url=server.url, config=config), BUCKET)
        put(driver, "k", DATA)
        assert driver.read("k", 0, 99, None) == DATA
        assert all("authorization" not in each.headers for each in noting.seen)
    with served() as there:
        with pytest.raises(Refused) as forbidden:
            put(S3Driver(there.client(config), BUCKET), "k")
        assert forbidden.value.why == "access"


def test_over_tls_the_certificate_is_checked_with_the_clients_bundle(tmp_path: Path) -> None:
    tls, bundle = server_tls(tmp_path)
    with running(Noting(), tls=tls) as server:
        driver = S3Driver(SESSION.client("s3", endpoint_url=server.url, verify=bundle), BUCKET)
        put(driver, "k", DATA)
        assert driver.read("k", 0, 99, None) == DATA
        stranger = S3Driver(SESSION.client("s3", endpoint_url=server.url), BUCKET)
        with pytest.raises(Refused, match="certificate"):
            put(stranger, "other")


def test_a_driver_that_was_pickled_writes() -> None:
    with served() as there:
        options: dict[str, Any] = {"endpoint_url": there.server.url, "region": REGION}
        driver, _ = open_url(f"s3://{BUCKET}/prefix", access_key_id=KEY_ID, secret_access_key=SECRET, **options)
        again = pickle.loads(pickle.dumps(driver))
        put(again, "k", DATA)
        assert driver.read("k", 0, 99, None) == DATA


def test_where_nobody_listens_nothing_was_sent() -> None:
    with served() as there:
        driver = there.driver()
    with pytest.raises(Busy):
        put(driver, "k")
