"""Where a bucket is, who signs for it, and who vouches for the condition there."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config

from storage_guard.driver import Unguarded, Unsupported, WriteMeta
from storage_guard.testing import BytesBody
from storage_guard_s3 import LIMITS, S3Driver
from storage_guard_s3.addressing import Address, Addresses
from storage_guard_s3.hosts import host_of

SESSION: Any = boto3.session.Session("AKIAone", "secret", region_name="eu-central-1")
ACCESS_POINT = "arn:aws:s3:eu-west-1:123456789012:accesspoint/myap"
OUTPOST = "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/myap"
MULTI_REGION = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"


@pytest.mark.parametrize(
    ("name", "kind", "region"),
    [
        ("s3.eu-central-1.amazonaws.com", "regional", "eu-central-1"),
        ("bucket.s3.eu-central-1.amazonaws.com", "regional", "eu-central-1"),
        ("Bucket.S3.EU-Central-1.AmazonAWS.com.", "regional", "eu-central-1"),
        ("a.b.s3.us-gov-west-1.amazonaws.com", "regional", "us-gov-west-1"),
        ("bucket.s3.cn-north-1.amazonaws.com.cn", "regional", "cn-north-1"),
        ("bucket.s3.eusc-de-east-1.amazonaws.eu", "regional", "eusc-de-east-1"),
        ("bucket.s3.us-iso-east-1.c2s.ic.gov", "regional", "us-iso-east-1"),
        ("bucket.s3.dualstack.eu-central-1.amazonaws.com", "regional", "eu-central-1"),
        ("bucket.s3-fips.us-east-1.amazonaws.com", "regional", "us-east-1"),
        ("bucket.s3-fips.dualstack.us-east-1.amazonaws.com", "regional", "us-east-1"),
        ("s3-us-west-2.amazonaws.com", "regional", "us-west-2"),
        ("bucket.s3.amazonaws.com", "regional", None),
        ("s3-external-1.amazonaws.com", "regional", None),
        ("bucket.vpce-0a1b-2c.s3.us-east-1.vpce.amazonaws.com", "regional", "us-east-1"),
        ("bucket.s3-accelerate.amazonaws.com", "accelerate", None),
        ("bucket.s3-accelerate.dualstack.amazonaws.com", "accelerate", None),
        ("myap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com", "access point", "eu-west-1"),
        ("myap-123456789012.s3-accesspoint-fips.dualstack.us-east-1.amazonaws.com", "access point", "us-east-1"),
        ("x.accesspoint.s3-global.amazonaws.com", "multi-region", None),
        ("myap-1.op-1.s3-outposts.us-west-2.amazonaws.com", "outposts", "us-west-2"),
        ("x-1.s3-object-lambda.us-west-2.amazonaws.com", "object lambda", "us-west-2"),
        # Not S3's, though a word in them is.
        ("s3.eu-central-1.amazonaws.com.evil.example", "other", None),
        ("s3.eu-central-1.evilamazonaws.com", "other", None),
        ("ec2-1-2-3-4.compute-1.amazonaws.com", "other", None),
        ("amazonaws.com", "other", None),
        ("s3.amazonaws.example", "other", None),
        ("xs3.eu-central-1.amazonaws.com", "other", None),
        ("minio.example.com", "other", None),
        ("127.0.0.1", "other", None),
        ("oss-cn-hangzhou.aliyuncs.com", "oss", None),
        ("bucket.storage.googleapis.com", "gcs", None),
        ("storage.googleapis.com", "gcs", None),
        ("xaliyuncs.com", "other", None),
    ],
)
def test_aws_is_told_by_labels_of_the_host(name: str, kind: str, region: str | None) -> None:
    found = host_of(name)
    assert (found.kind, found.region) == (kind, region)


def over(client: Any, bucket: str = "bucket") -> Any:
    """A driver, its inner parts included."""
    return S3Driver(client, bucket)


def address(bucket: str = "bucket", **options: Any) -> Address:
    return Addresses(SESSION.client("s3", **options)).find(bucket)


@pytest.mark.parametrize(
    ("bucket", "options", "url"),
    [
        ("bucket", {}, "https://bucket.s3.eu-central-1.amazonaws.com/a//b%20c"),
        ("dotted.bucket", {}, "https://s3.eu-central-1.amazonaws.com/dotted.bucket/a//b%20c"),
        ("bucket", {"use_ssl": False}, "http://bucket.s3.eu-central-1.amazonaws.com/a//b%20c"),
        ("bucket", {"region_name": "cn-north-1"}, "https://bucket.s3.cn-north-1.amazonaws.com.cn/a//b%20c"),
        ("bucket", {"endpoint_url": "http://127.0.0.1:9000"}, "http://127.0.0.1:9000/bucket/a//b%20c"),
        ("bucket", {"endpoint_url": "http://[::1]:80/"}, "http://[::1]/bucket/a//b%20c"),
        ("bucket", {"endpoint_url": "https://h.example/base/"}, "https://h.example/base/bucket/a//b%20c"),
        (
            "bucket",
            {"endpoint_url": "https://h.example", "config": Config(s3={"addressing_style": "virtual"})},
            "https://bucket.h.example/a//b%20c",
        ),
        (
            "bucket",
            {"config": Config(s3={"addressing_style": "path"})},
            "https://s3.eu-central-1.amazonaws.com/bucket/a//b%20c",
        ),
        (
            "bucket",
            {"config": Config(use_dualstack_endpoint=True)},
            "https://bucket.s3.dualstack.eu-central-1.amazonaws.com/a//b%20c",
        ),
        (
            "bucket",
            {"config": Config(s3={"use_accelerate_endpoint": True})},
            "https://bucket.s3-accelerate.amazonaws.com/a//b%20c",
        ),
        (ACCESS_POINT, {}, "https://myap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/a//b%20c"),
    ],
)
def test_the_clients_own_rules_say_where_a_bucket_is(bucket: str, options: dict[str, Any], url: str) -> None:
    assert address(bucket, **options).url("a//b c") == url


def test_the_host_that_is_signed_is_the_one_that_is_sent() -> None:
    assert address(endpoint_url="https://H.Example:443").host == "h.example"
    assert address(endpoint_url="http://h.example:443").host == "h.example:443"
    found = address(endpoint_url="https://h.example/base").signer
    assert found is not None
    assert found.base_path == "/base/bucket"


def test_an_access_point_is_signed_for_in_its_own_region() -> None:
    found = address(ACCESS_POINT).signer
    assert found is not None
    assert (found.region, found.service) == ("eu-west-1", "s3")


def test_buckets_of_one_region_can_be_copied_between() -> None:
    assert address("one").service == address("two").service == address("dotted.two").service == "s3.eu-central-1"
    assert address("one").service != address("one", region_name="eu-west-1").service
    accelerated = Config(s3={"use_accelerate_endpoint": True})
    assert address("one").service == address("one", config=accelerated).service
    assert address("one", region_name="us-east-1").service == address("two", region_name="us-east-1").service
    virtual: dict[str, Any] = {
        "endpoint_url": "https://h.example",
        "config": Config(s3={"addressing_style": "virtual"}),
    }
    assert address("one", **virtual).service == address("two", **virtual).service == "h.example"
    here = address("one", endpoint_url="http://127.0.0.1:9000")
    assert here.service == address("two", endpoint_url="http://127.0.0.1:9000").service
    assert here.service != address("one", endpoint_url="http://127.0.0.1:9001").service


@pytest.mark.parametrize("bucket", ["", ".", "..", "a/b", "a?b", "a#b", "bück", "arn:", "arn:aws:s3", "x" * 256])
def test_what_is_no_bucket_is_refused(bucket: str) -> None:
    with pytest.raises(ValueError, match="bucket"):
        address(bucket)


def test_directory_buckets_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="directory buckets"):
        address("bucket--usw2-az1--x-s3", region_name="us-west-2")


def test_settings_that_do_not_fit_are_refused_as_the_rules_say() -> None:
    with pytest.raises(ValueError, match=r"no endpoint for the bucket 'dotted\.bucket'"):
        address("dotted.bucket", config=Config(s3={"use_accelerate_endpoint": True}))


def test_aws_documents_the_condition_and_nobody_else() -> None:
    for options in ({}, {"config": Config(s3={"use_accelerate_endpoint": True})}):
        with_versioning = over(SESSION.client("s3", **options))
        with_versioning._look.versioning = lambda: ("enabled", "AmazonS3")
        can = with_versioning.capabilities()
        assert (can.put, can.finish, can.copy) == ("documented",) * 3
        assert can.versioning == "enabled"
        assert can.conditional_remove
    elsewhere = over(SESSION.client("s3", endpoint_url="https://minio.example"))
    elsewhere._look.versioning = lambda: ("never", "MinIO")
    can = elsewhere.capabilities()
    assert (can.put, can.finish, can.copy, can.server) == ("unproven", "unproven", "unproven", "MinIO")
    assert not can.conditional_remove
    assert "minio.example" in can.reason


@pytest.mark.parametrize(
    ("bucket", "endpoint_url", "why"),
    [
        (MULTI_REGION, None, "multi-region"),
        (OUTPOST, None, "Outposts"),
        ("bucket", "https://s3.oss-cn-hangzhou.aliyuncs.com", "use oss://"),
        ("bucket", "https://storage.googleapis.com", "for reads only"),
    ],
)
def test_where_the_condition_cannot_be_kept_nothing_is_sent(bucket: str, endpoint_url: str | None, why: str) -> None:
    driver = S3Driver(SESSION.client("s3", region_name="us-west-2", endpoint_url=endpoint_url), bucket)
    can = driver.capabilities()
    assert (can.put, can.finish, can.copy) == ("missing",) * 3
    assert why in can.reason
    with pytest.raises(Unguarded, match=why):
        driver.put_new("k", BytesBody(b""), WriteMeta("w"))
    with pytest.raises(Unguarded, match=why):
        driver.begin("k", WriteMeta("w"))


def test_a_multi_region_access_point_cannot_be_asked_at_all() -> None:
    driver = S3Driver(SESSION.client("s3"), MULTI_REGION)
    with pytest.raises(Unsupported, match="multi-region"):
        driver.head("k")


def test_an_object_of_another_store_is_told_to_be_too_large_before_it_is_sent() -> None:
    elsewhere = S3Driver(SESSION.client("s3", endpoint_url="https://minio.example"), "bucket").limits
    assert (elsewhere.max_object_bytes, LIMITS.max_object_bytes) == (5 << 40, 10_000 * 5 << 30)
    assert S3Driver(SESSION.client("s3"), "bucket").limits == LIMITS


def test_r2_wants_parts_of_one_size() -> None:
    client = SESSION.client("s3", endpoint_url="https://account.r2.cloudflarestorage.com", region_name="auto")
    assert S3Driver(client, "bucket").limits.equal_parts
    assert not S3Driver(SESSION.client("s3"), "bucket").limits.equal_parts
