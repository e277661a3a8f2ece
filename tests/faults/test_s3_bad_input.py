"""Places, rights, credentials and options of S3 that do not do: each is said in words, and nothing is written."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import boto3.session
import botocore
import botocore.credentials
import botocore.exceptions
import pytest
from botocore.config import Config

from faults.s3_world import KEY_ID, REGION, SECRET, SESSION, Vouched
from faults.served_world import BUCKET, LIMITS
from storage_guard import (
    AccessDenied,
    GuaranteeMissing,
    NotWritten,
    ObjectExists,
    ObjectOptions,
    OutcomeUnknown,
    Store,
    StoreUnavailable,
    Unsupported,
    open_store,
)
from storage_guard.testing import FakeClock
from storage_guard.testing.server import Action, Asked, Cue, Server, cut_after_acting, running
from storage_guard.testing.server.buckets import Bucket, Buckets
from storage_guard.testing.server.credentials import Credential, Credentials, all_but
from storage_guard.testing.server.s3 import S3Dialect
from storage_guard.testing.server.s3_service import Limits as ServedLimits
from storage_guard.testing.server.s3_switches import Switches
from storage_guard_s3 import S3Driver

TOKEN, LATER = "the-first-token", "the-second-token"
SMALL, LARGE = bytes(range(50)), bytes(range(250))
KEYS = {"access_key_id": KEY_ID, "secret_access_key": SECRET, "region": REGION}
AP = "arn:aws:s3:eu-central-1:123456789012:accesspoint/ap"
OUTPOST = "arn:aws:s3-outposts:eu-central-1:123456789012:outpost/op-01234567890123456/accesspoint/ap"
MULTI_REGION = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"


class Served:
    def __init__(self, server: Server, state: Buckets, credentials: Credentials) -> None:
        self.server, self.state, self.credentials = server, state, credentials

    @property
    def bucket(self) -> Bucket:
        return next(iter(self.state))

    def store(self, kind: type[S3Driver] = Vouched, **options: Any) -> Store:
        """Of small parts, with the session's own key."""
        client = SESSION.client("s3", endpoint_url=self.server.url, **options)
        return self.over(kind(client, self.bucket.name, limits=LIMITS))

    def over(self, driver: S3Driver) -> Store:
        return Store(driver, part_bytes=100, multipart_from_bytes=200, in_flight=1, clock=FakeClock())

    @property
    def members(self) -> list[str]:
        return [seen.asked.member for seen in self.server.requests]


@contextmanager
def served(
    *credentials: Credential, bucket: str = BUCKET, switches: Switches | None = None, **options: Any
) -> Generator[Served]:
    state = Buckets([bucket])
    known = Credentials(credentials or [Credential(KEY_ID, SECRET)])
    given: dict[str, Any] = {"limits": ServedLimits(min_part_bytes=LIMITS.min_part_bytes), **options}
    dialect = S3Dialect(state, credentials=known, region=REGION, switches=switches, **given)
    with running(dialect) as server:
        yield Served(server, state, known)


# Places


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        (f"s3://{MULTI_REGION}", {}, "multi-region access point"),
        (f"s3://{OUTPOST}", {}, "Outposts knows no conditional writes"),
        ("s3://bucket", {"endpoint_url": "https://s3.oss-cn-hangzhou.aliyuncs.com"}, "use oss://"),
        ("s3://bucket", {"endpoint_url": "https://oss-eu-central-1.aliyuncs.com"}, "use oss://"),
        ("s3://bucket", {"endpoint_url": "https://storage.googleapis.com"}, "for reads only"),
    ],
)
def test_where_the_condition_is_not_kept_nothing_is_asked(url: str, options: dict[str, Any], words: str) -> None:
    """Without a network: whoever asked it something would hear that the host has no address."""
    store = open_store(url, **KEYS, **options)
    for data in (b"", SMALL, bytes(17 << 20)):
        with pytest.raises(GuaranteeMissing, match=words):
            store.create("k", data, deadline_s=2)


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        (Switches(put="unsupported", complete="unsupported", copy="unsupported"), "501"),  # as OSS's S3 endpoint
        (Switches(put="ignored", complete="ignored", copy="ignored"), "is ignored"),  # as GCS's
    ],
)
def test_a_place_that_answers_as_these_do_is_refused_by_any_name(switches: Switches, words: str) -> None:
    with served(switches=switches) as there:
        for data in (SMALL, LARGE):
            with pytest.raises(GuaranteeMissing, match=words):
                there.store(S3Driver).create("k", data)
        assert "k" not in {key for key, _ in there.bucket.histories.objects()}
        assert not there.bucket.uploads


@pytest.mark.parametrize("name", ["bucket--use1-az4--x-s3", "a--euc1-az1--x-s3"])
def test_a_directory_bucket_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"directory buckets .* are not supported"):
        open_store(f"s3://{name}", **KEYS)


@pytest.mark.parametrize("arn", ["arn:aws:s3:eu-central-1:123:accesspoint/ap", "arn:aws:s3:::bucket", "arn:aws:sns:x"])
def test_an_arn_that_is_none_of_an_access_point_is_refused(arn: str) -> None:
    with pytest.raises(ValueError, match=r"bucket|credentials and ports"):
        open_store(f"s3://{arn}", **KEYS)


def test_an_access_point_is_a_bucket_as_any_other() -> None:
    host = f"s3-accesspoint.{REGION}.amazonaws.com"
    with served(bucket="ap-123456789012", endpoints=[host]) as there:
        client = SESSION.client("s3", use_ssl=False, config=Config(proxies={"http": there.server.url}))
        store = there.over(S3Driver(client, AP, limits=LIMITS))
        for key, data in (("small", SMALL), ("large", LARGE)):
            receipt = store.create(key, data)
            assert receipt.guarantee == "documented"
            assert unquote(receipt.url) == f"s3://{AP}/{key}"
            assert store.read(key) == data
            with pytest.raises(ObjectExists):
                store.create(key, data)


# Credentials


class Provider:
    """What boto3 makes of a role: it is asked for new credentials some minutes before the old ones are void."""

    def __init__(self, *, gives: str | None = LATER) -> None:
        self.now = datetime.now(UTC)
        self.gives = gives
        self.refreshed = 0
        self.expires = self.now + timedelta(hours=1)
        self.credentials: Any = botocore.credentials.RefreshableCredentials(
            KEY_ID, SECRET, TOKEN, self.expires, self._refresh, "assume-role", time_fetcher=lambda: self.now
        )

    def _refresh(self) -> dict[str, str]:
        self.refreshed += 1
        if self.gives is None:
            raise botocore.exceptions.ClientError({"Error": {"Code": "AccessDenied", "Message": SECRET}}, "AssumeRole")
        later = (self.now + timedelta(hours=2)).isoformat()
        return {"access_key": f"{KEY_ID}2", "secret_key": f"{SECRET}2", "token": self.gives, "expiry_time": later}

    def age(self) -> None:
        self.now = self.expires - timedelta(minutes=5)

    def store(self, there: Served) -> Store:
        client = SESSION.client("s3", endpoint_url=there.server.url)
        client._request_signer._credentials = self.credentials
        return there.over(Vouched(client, BUCKET, limits=LIMITS))


def expire_behind_the_first_part(there: Served, provider: Provider) -> None:
    def on_request(asked: Asked) -> Action | None:
        if asked.member == "put_part" and there.members.count("put_part") == 0:
            provider.age()
        elif asked.member == "put_part":
            long_ago = datetime.now(UTC) - timedelta(minutes=1)
            there.credentials.add(Credential(KEY_ID, SECRET, TOKEN, long_ago))
        return None

    there.server.cues.on_request = on_request


ROLE = (Credential(KEY_ID, SECRET, TOKEN), Credential(f"{KEY_ID}2", f"{SECRET}2", LATER))


def test_an_upload_goes_on_when_its_token_has_expired_and_there_is_a_new_one() -> None:
    with served(*ROLE) as there:
        provider = Provider()
        store = provider.store(there)
        expire_behind_the_first_part(there, provider)
        assert store.create("k", LARGE).attempts == 1
        assert provider.refreshed == 1
        assert there.members.count("put_part") == 3, "no part was sent twice"
        assert store.read("k") == LARGE


def test_an_upload_whose_token_expired_and_is_not_renewed_says_so_and_what_it_left() -> None:
    with served(*ROLE) as there:
        provider = Provider(gives=TOKEN)
        provider.credentials = botocore.credentials.Credentials(KEY_ID, SECRET, TOKEN)  # nobody renews those
        store = provider.store(there)
        expire_behind_the_first_part(there, provider)
        with pytest.raises(AccessDenied, match=r"the session token has expired.* sign in again") as denied:
            store.create("k", LARGE)
        (upload_id,) = there.bucket.uploads
        assert any(upload_id in note for note in denied.value.__notes__)
        assert not list(there.bucket.histories)


def test_a_provider_that_gives_nothing_any_more_is_told_and_not_what_it_said() -> None:
    with served(*ROLE) as there:
        provider = Provider(gives=None)
        store = provider.store(there)
        provider.now = provider.expires + timedelta(minutes=1)
        with pytest.raises(AccessDenied, match="the credentials provider raised") as denied:
            store.create("k", SMALL)
        assert SECRET not in str(denied.value)
        assert there.members == []


def test_anonymous_callers_are_told_that_they_may_not() -> None:
    with served() as there:
        with pytest.raises(AccessDenied, match="AccessDenied"):
            there.store(config=Config(signature_version=botocore.UNSIGNED)).create("k", SMALL)
        store = open_store(f"s3://{BUCKET}", endpoint_url=there.server.url, region=REGION, anonymous=True)
        with pytest.raises(NotWritten, match="403") as unproven:  # the condition cannot be examined
            store.create("k", SMALL)
        assert "left behind" not in "".join(getattr(unproven.value, "__notes__", []))
        assert not list(there.bucket.histories)


def test_who_has_no_credentials_is_told_where_they_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with served() as there:
        session: Any = boto3.session.Session(region_name=REGION)
        client = session.client("s3", endpoint_url=there.server.url)
        with pytest.raises(AccessDenied, match="boto3 found none in the environment, a profile or this machine's role"):
            there.over(Vouched(client, BUCKET)).create("k", SMALL)
        assert there.members == []


# Rights

WRITE_ONLY = Credential(KEY_ID, SECRET, may=all_but("head", "read", "scan", "versioning"))


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "parts"])
def test_who_may_only_write_creates_and_is_told_whose_key_it_is(data: bytes) -> None:
    with served(WRITE_ONLY) as there:
        store = there.store()
        receipt = store.create("k", data)
        assert (receipt.outcome, receipt.resolved) == ("created", False)
        with pytest.raises(ObjectExists) as taken:
            store.create("k", data)
        assert taken.value.existing is None, "who it is cannot be seen"
        assert store.create("k", data, if_exists="skip").outcome == "present"
        assert not there.bucket.uploads


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "parts"])
def test_who_may_only_write_and_loses_the_answer_does_not_know_and_can_be_told_later(data: bytes) -> None:
    with served(WRITE_ONLY) as there:
        there.server.cues.add(Cue(cut_after_acting(), member="finish_new" if data is LARGE else "put_new"))
        with pytest.raises(OutcomeUnknown) as unknown:
            there.store().create("k", data, deadline_s=5)
        there.credentials.add(Credential(KEY_ID, SECRET))
        assert unknown.value.ticket is not None
        receipt = there.store().settle(unknown.value.ticket)
        assert (receipt.outcome, receipt.resolved) == ("created", True)


@pytest.mark.parametrize("member", ["put_new", "begin", "put_part", "finish_new"])
def test_who_may_not_write_is_told_and_leaves_nothing(member: str) -> None:
    with served(Credential(KEY_ID, SECRET, may=all_but(member))) as there:
        with pytest.raises(AccessDenied, match="AccessDenied"):
            there.store().create("k", SMALL if member == "put_new" else LARGE)
        assert not list(there.bucket.histories)
        assert not there.bucket.uploads


# Sizes


def test_parts_that_are_too_small_are_refused_by_the_service_and_thrown_away() -> None:
    with served(limits=ServedLimits(min_part_bytes=1000)) as there:
        with pytest.raises(NotWritten, match="EntityTooSmall"):
            there.store().create("k", LARGE)
        assert not list(there.bucket.histories)
        assert not there.bucket.uploads


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "parts"])
@pytest.mark.parametrize(
    "metadata", [{"name": "x" * 2100}, {f"name-{number}": "x" * 100 for number in range(20)}], ids=["long", "many"]
)
def test_metadata_over_2_kib_is_refused_before_anything_is_sent(data: bytes, metadata: dict[str, str]) -> None:
    with served() as there:
        with pytest.raises((NotWritten, Unsupported, ValueError), match=r"(?i)metadata"):
            there.store().create("k", data, options=ObjectOptions(metadata=metadata))
        assert set(there.members) <= {"versioning", "head"}


# Secrets


def wrong_secret(there: Served) -> Store:
    return there.store(aws_access_key_id=KEY_ID, aws_secret_access_key=f"{SECRET}-but-another")


def wrong_token(there: Served) -> Store:
    return there.store(aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET, aws_session_token=TOKEN)


def nobody_there(there: Served) -> Store:
    there.server.cues.add(Cue(cut_after_acting(), times=None))
    return wrong_secret(there)


@pytest.mark.parametrize("make", [wrong_secret, wrong_token, nobody_there], ids=lambda make: make.__name__)
def test_no_secret_is_in_a_message_a_repr_or_a_log(
    make: Callable[[Served], Store], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "storage_guard")
    with served() as there:
        store = make(there)
        told = [repr(store), repr(store.driver), str(vars(store))]
        for data in (SMALL, LARGE):
            with pytest.raises((AccessDenied, StoreUnavailable, OutcomeUnknown)) as failed:
                store.create("k", data, options=ObjectOptions(metadata={"name": "value"}), deadline_s=2)
            told += traceback.format_exception(failed.value)
            told += [repr(failed.value), str(failed.value.__dict__)]
        told += [record.getMessage() for record in caplog.records if record.name.startswith("storage_guard")]
    everything = "\n".join(told)
    assert SECRET not in everything
    assert TOKEN not in everything
    assert "Signature=" not in everything
