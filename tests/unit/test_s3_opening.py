"""`s3://bucket/prefix`, its options, and what is taken over from a client of the user's."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore
import botocore.credentials
import botocore.exceptions
import moto
import pytest
from botocore.config import Config

from storage_guard.driver import Busy, Refused, Signal, Unsupported
from storage_guard.wire.signing import Unsigned
from storage_guard_s3 import S3Driver, open_url
from storage_guard_s3.addressing import Addresses
from storage_guard_s3.opening import split_url
from storage_guard_s3.signing import Signing

SESSION: Any = boto3.session.Session("AKIAone", "s3cr3t", region_name="eu-central-1")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEYS: dict[str, Any] = {"access_key_id": "AKIAone", "secret_access_key": "s3cr3t"}


def opened(url: str = "s3://bucket", **options: Any) -> Any:
    """A driver, its inner parts included."""
    given: dict[str, Any] = {"region": "eu-central-1", **KEYS, **options}
    driver, _ = open_url(url, **given)
    assert isinstance(driver, S3Driver)
    return driver


def over(client: Any, bucket: Any = "bucket", **options: Any) -> Any:
    return S3Driver(client, bucket, **options)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("s3://a.bucket/some/prefix/", "a.bucket", "some/prefix"),
        ("s3://bucket/50%25%3F", "bucket", "50%?"),
        (
            "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/ap",
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap",
            "",
        ),
        (
            "s3://arn%3Aaws%3As3%3Aeu-west-1%3A123456789012%3Aaccesspoint/ap/p/q",
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap",
            "p/q",
        ),
        (
            "s3://arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-1/accesspoint/ap/p",
            "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-1/accesspoint/ap",
            "p",
        ),
    ],
)
def test_a_url_has_a_bucket_and_a_prefix(url: str, bucket: str, prefix: str) -> None:
    assert split_url(url) == (bucket, prefix)


def test_the_url_of_a_place_opens_it_again() -> None:
    arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap"
    for bucket in ("bucket", arn):
        driver = opened(f"s3://{bucket}")
        assert split_url(driver.location.url()) == (bucket, "")


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///k", "oss://bucket", "s3://b?x", "s3://b#x", "s3://user:pw@bucket/k", "s3://host:9000/b"]
)
def test_what_is_no_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"want ") as refused:
        open_url(url)
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"secret_access_key": None}, "secret_access_key"),
        ({"access_key_id": ""}, "access_key_id"),
        ({"access_key_id": None, "secret_access_key": None, "session_token": "t"}, "access_key_id"),
        ({"anonymous": True}, "anonymous"),
        ({"endpoint_url": "minio.example"}, "https://"),
        ({"endpoint_url": "https://minio.example", "fips": True}, "fips"),
        ({"endpoint_url": "https://minio.example", "accelerate": True}, "accelerate"),
        ({"endpoint_url": "https://minio.example", "dualstack": True}, "dualstack"),
        ({"endpoint_url": "https://user:pw@minio.example"}, "without credentials"),
        ({"profile": "no-such-profile"}, "no-such-profile"),
        ({"request_payer": "owner"}, "requester"),
        ({"expected_bucket_owner": "me"}, "12 digits"),
        ({"customer_key": b"short"}, "32 bytes"),
        ({"connect_timeout_s": 0}, "timeout"),
        ({"read_timeout_s": "5"}, "positive number of seconds, got '5'"),
        ({"read_timeout_s": float("inf")}, "timeout"),
    ],
)
def test_options_that_do_not_fit_are_refused_by_name(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        opened(**options)


def test_an_option_nobody_knows_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="bucket_region"):
        opened(bucket_region="x")


def test_an_opened_driver_pickles_and_one_over_a_client_says_that_it_does_not() -> None:
    driver = opened(path_style=True, request_payer="requester", session_token="t0ken", customer_key=b"k" * 32)
    again = pickle.loads(pickle.dumps(driver))
    assert again.location == driver.location
    assert again._sender.address.url("k") == driver._sender.address.url("k")
    assert again._sender.own_headers == driver._sender.own_headers == {"x-amz-request-payer": "requester"}
    assert again._standing == driver._standing
    with pytest.raises(TypeError, match="your own boto3 client"):
        pickle.dumps(over(SESSION.client("s3"), "bucket"))


def test_an_anonymous_driver_is_anonymous_behind_a_pickle() -> None:
    driver, _ = open_url("s3://bucket", region="eu-central-1", anonymous=True)
    with pytest.raises(Unsupported, match="anonymous"):
        pickle.loads(pickle.dumps(driver)).presign("k", 60)


def test_nothing_shows_a_secret() -> None:
    driver = opened(session_token="t0ken", customer_key=b"k" * 32)
    place = driver.__reduce__()[1][1]
    for each in (driver, place, driver._standing, driver._sender.settings):
        assert "s3cr3t" not in repr(each)
        assert "t0ken" not in repr(each)
        assert "kkkk" not in repr(each)


def test_boto3_itself_would_not_retry() -> None:
    assert opened()._again is not None
    config = opened().__reduce__()[1][1].open().meta.config
    assert config.retries["total_max_attempts"] == 1


# What is taken over


def settings_of(**options: Any) -> Any:
    return over(SESSION.client("s3", **options), "bucket")._sender.settings


def test_timeouts_and_connections_are_the_clients_if_they_were_set() -> None:
    usual = settings_of()
    assert (usual.connect_timeout_s, usual.idle_timeout_s, usual.pool_size) == (10.0, 60.0, 128)
    set_ = settings_of(config=Config(connect_timeout=3, read_timeout=4, max_pool_connections=20))
    assert (set_.connect_timeout_s, set_.idle_timeout_s, set_.pool_size) == (3.0, 4.0, 20)
    driver = over(
        SESSION.client("s3", config=Config(connect_timeout=3)), "bucket", connect_timeout_s=1, read_timeout_s=2
    )
    assert (driver._sender.settings.connect_timeout_s, driver._sender.settings.idle_timeout_s) == (1.0, 2.0)


def test_proxies_and_certificates_are_the_clients(tmp_path: Path) -> None:
    bundle = str(tmp_path / "ca.pem")
    set_ = settings_of(
        verify=bundle, config=Config(proxies={"https": "http://proxy:1"}, client_cert=("cert.pem", "key.pem"))
    )
    assert (set_.proxies, set_.trust_env, set_.ca) == ({"https": "http://proxy:1"}, False, bundle)
    assert (set_.client_cert, set_.client_key) == ("cert.pem", "key.pem")
    assert settings_of().trust_env
    assert not over(SESSION.client("s3", config=Config(proxies={"https": "http://p:1"})), "b")._sender.route().sole


def test_the_user_agent_says_both() -> None:
    agent = settings_of(config=Config(user_agent_extra="mine/1")).user_agent
    assert agent.startswith("storage-guard Boto3/")
    assert agent.endswith("mine/1")


def test_a_client_that_signs_bodies_has_them_hashed_and_one_that_sums_little_gets_md5() -> None:
    hashed = over(SESSION.client("s3", config=Config(s3={"payload_signing_enabled": True})), "bucket")
    assert hashed._known.hashed
    little = over(SESSION.client("s3", config=Config(request_checksum_calculation="when_required")), "bucket")
    assert little._known.sums == "md5"
    assert opened()._known.certain, "AWS knows CRC-64/NVME"
    assert not opened(endpoint_url="https://minio.example")._known.certain


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"verify": False}, "verify=False"),
        ({"config": Config(signature_version="s3")}, "signature_version='s3'"),
        ({"config": Config(proxies={"https": "socks5://proxy:1"})}, "SOCKS"),
        (
            {"config": Config(proxies={"https": "http://p:1"}, proxies_config={"proxy_ca_bundle": "x"})},
            "proxy_ca_bundle",
        ),
        ({"config": Config(read_timeout=None)}, "timeout"),
    ],
)
def test_a_setting_that_cannot_be_honoured_is_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        over(SESSION.client("s3", **options), "bucket")


def test_an_event_handler_that_no_request_would_pass_by_is_named() -> None:
    client = SESSION.client("s3")

    def handler(**_: object) -> None:
        pass

    client.meta.events.register("before-sign.s3.PutObject", handler)
    with pytest.raises(ValueError, match=f"event handler of {__name__}"):
        over(client, "bucket")


def test_a_client_that_moto_mocks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fresh: Any = boto3.session.Session()
    with moto.mock_aws(), pytest.raises(ValueError, match="moto's server"):
        over(fresh.client("s3"))


def test_only_a_client_of_s3_will_do() -> None:
    with pytest.raises(TypeError, match=r"\.meta\.client"):
        over(SESSION.resource("s3").Bucket("bucket"), "bucket")
    with pytest.raises(TypeError, match="not of sts"):
        over(SESSION.client("sts"), "bucket")
    with pytest.raises(TypeError, match="want a boto3 client"):
        over("bucket", "bucket")


# Credentials


def signed(provider: Any, *, anonymous: bool = False) -> dict[str, str]:
    address = Addresses(SESSION.client("s3")).find("bucket")
    request = Unsigned("GET", "", "k", {}, {"host": address.host})
    return Signing(provider, anonymous=anonymous).sign(request, address, "read of 'k'", NOW)


class Rotating:
    def __init__(self) -> None:
        self.asked = 0

    def get_frozen_credentials(self) -> botocore.credentials.ReadOnlyCredentials:
        self.asked += 1
        return botocore.credentials.ReadOnlyCredentials(f"ASIA{self.asked}", f"s3cr3t{self.asked}", f"t{self.asked}")


def test_credentials_are_asked_for_with_each_request() -> None:
    rotating = Rotating()
    for count in (1, 2, 3):
        sent = signed(lambda: rotating)
        assert f"Credential=ASIA{count}/" in sent["authorization"]
        assert sent["x-amz-security-token"] == f"t{count}"


def test_a_session_that_ages_is_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    refreshed: list[int] = []

    def refresh() -> dict[str, str]:
        refreshed.append(1)
        return {"access_key": "ASIAnew", "secret_key": "new", "token": "new", "expiry_time": "2126-01-01T00:00:00Z"}

    held = botocore.credentials.RefreshableCredentials(
        "ASIAold", "old", "old", datetime(2020, 1, 1, tzinfo=UTC), refresh, "assume-role"
    )
    client = SESSION.client("s3")
    monkeypatch.setattr(client._request_signer, "_credentials", held)
    driver = over(client, "bucket")
    for _ in range(2):
        assert "X-Amz-Credential=ASIAnew%2F" in driver.presign("k", 60)
    assert len(refreshed) == 1


@pytest.mark.parametrize(
    ("failure", "signal"),
    [
        (botocore.exceptions.ConnectTimeoutError(endpoint_url="http://sts", error="x"), Busy),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="http://sts"), Busy),
        (OSError("no file s3cr3t"), Busy),
        (botocore.exceptions.CredentialRetrievalError(provider="p", error_msg="s3cr3t"), Refused),
        (botocore.exceptions.UnauthorizedSSOTokenError(), Refused),
        (RuntimeError("s3cr3t"), Refused),
    ],
)
def test_a_provider_that_fails_is_told_without_what_it_says(failure: Exception, signal: type[Signal]) -> None:
    def fail() -> Any:
        raise failure

    with pytest.raises(signal) as raised:
        signed(lambda: SimpleNamespace(get_frozen_credentials=fail))
    assert "s3cr3t" not in str(raised.value)
    assert type(failure).__name__ in str(raised.value)
    assert raised.value.__cause__ is failure


@pytest.mark.usefixtures("nowhere")
def test_a_machine_without_credentials_is_told_where_they_are_looked_for() -> None:
    driver, _ = open_url("s3://bucket", region="eu-central-1")
    with pytest.raises(Refused, match="boto3 found none") as refused:
        driver.head("k")
    assert refused.value.why == "access"


def test_a_profile_has_the_region_and_the_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile work]\nregion = eu-west-3\naws_access_key_id = AKIAprofile\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    driver, _ = open_url("s3://bucket", profile="work")
    assert "AKIAprofile%2F" in driver.presign("k", 60)
    assert driver.location.endpoint == "s3.eu-west-3"


def test_an_anonymous_client_signs_nothing() -> None:
    client = SESSION.client("s3", config=Config(signature_version=botocore.UNSIGNED))
    for driver in (over(client, "bucket"), open_url("s3://bucket", region="eu-central-1", anonymous=True)[0]):
        with pytest.raises(Unsupported, match="anonymous"):
            driver.presign("k", 60)
    assert signed(lambda: None, anonymous=True) == {"host": "bucket.s3.eu-central-1.amazonaws.com"}
