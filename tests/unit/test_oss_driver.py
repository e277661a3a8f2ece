"""`OSSDriver` over the loopback server: who may do what, options, copies between buckets, and what a body does."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import oss2
import pytest
from oss2.credentials import Credentials, CredentialsProvider

from storage_guard.driver import (
    WINDOW_BYTES,
    Absent,
    Busy,
    Changed,
    Encryption,
    Exists,
    Limits,
    ObjectOptions,
    ObjectRef,
    PartSlot,
    Refused,
    Signal,
    WriteMeta,
)
from storage_guard.testing import BytesBody
from storage_guard.testing.server import Cue, refused
from storage_guard.testing.server.credentials import Credential, all_but
from storage_guard_oss import OSSDriver
from unit.oss_served import BUCKET, KEY_ID, OTHER, SECRET, Served, begun, fresh, put, served

LARGE = 3 * 1024 * 1024 + 17


@pytest.fixture
def world() -> Iterator[Served]:
    with served() as world:
        yield world


def refusal(driver: OSSDriver, key: str = "k") -> Refused:
    """What a put is refused with; and nothing is there."""
    with pytest.raises(Refused) as refused:
        put(driver, key)
    return refused.value


# Who may


def test_a_wrong_secret_is_said_to_be_one(world: Served) -> None:
    for signature in ("v4", "v1"):
        found = refusal(world.driver(access_key_secret="other", signature=signature))
        assert (found.why, found.code, found.status) == ("access", "SignatureDoesNotMatch", 403)
        assert found.request_id
    assert refusal(world.driver(access_key_id="LTAIother")).code == "InvalidAccessKeyId"
    assert world.driver().head("k") is None


def test_a_token_is_sent_and_its_end_is_told() -> None:
    with served(token="t0ken") as world:
        for signature in ("v4", "v1"):
            put(world.driver(security_token="t0ken", signature=signature), f"k/{signature}")
        assert refusal(world.driver(security_token="other")).code == "InvalidSecurityToken"
        assert refusal(world.driver()).code == "InvalidAccessKeyId"
    with served(token="t0ken", expires=datetime.now(UTC) - timedelta(seconds=1)) as world:
        found = refusal(world.driver(security_token="t0ken"))
        assert (found.why, found.code) == ("access", "SecurityTokenExpired")
        assert "fetch new credentials" in str(found)


class Rotating(CredentialsProvider):
    """Each time the next ones."""

    def __init__(self, *each: Any) -> None:
        self._each = list(each)
        self.asked = 0

    def get_credentials(self) -> Credentials:
        self.asked += 1
        found = self._each.pop(0) if len(self._each) > 1 else self._each[0]
        if isinstance(found, BaseException):
            raise found
        assert isinstance(found, Credentials)
        return found


def test_a_provider_is_asked_for_each_request(world: Served) -> None:
    world.credentials.add(Credential("LTAInext", "next-secret", token="next"))
    provider = Rotating(Credentials(KEY_ID, SECRET), Credentials("LTAInext", "next-secret", "next"))
    driver = world.driver(credentials_provider=provider)
    put(driver, "first")
    put(driver, "second")
    assert provider.asked == 2


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (oss2.exceptions.ClientError("no role here"), Refused, "no role here"),
        (ValueError(f"bad {SECRET}"), Refused, "ValueError"),
        (ConnectionError(f"bad {SECRET}"), Busy, "ConnectionError"),
        (TimeoutError(), Busy, "TimeoutError"),
        (None, Refused, "provider raised"),
    ],
)
def test_a_provider_that_fails_has_sent_nothing(
    world: Served, raised: Exception | None, kind: type[Signal], said: str
) -> None:
    provider = Rotating(raised) if raised else CredentialsProvider()
    with pytest.raises(kind, match=said) as failed:
        put(world.driver(credentials_provider=provider), "k")
    assert SECRET not in str(failed.value)
    assert world.server.requests == []


def test_what_interrupts_a_provider_passes_through(world: Served) -> None:
    with pytest.raises(KeyboardInterrupt):
        put(world.driver(credentials_provider=Rotating(KeyboardInterrupt())), "k")


def test_an_empty_environment_says_what_it_lacks(world: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = world.driver(access_key_id=None, access_key_secret=None)
    for name in ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert "OSS_ACCESS_KEY_ID" in str(refusal(driver))
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", KEY_ID)
    assert "Secret access key" in str(refusal(driver))
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", SECRET)
    put(driver, "k")


@pytest.mark.parametrize("signature", ["v4", "v1"])
@pytest.mark.parametrize(("off_s", "said"), [(-7200, "behind"), (7200, "ahead")])
def test_a_clock_that_is_off_is_refused_with_the_difference(
    world: Served, signature: str, off_s: int, said: str
) -> None:
    driver = world.driver(signature=signature)
    vars(driver)["_sender"].now = lambda: datetime.now(UTC) + timedelta(seconds=off_s)
    found = refusal(driver)
    assert (found.why, found.code) == ("access", "RequestTimeTooSkewed")
    assert said in str(found)
    assert int(str(found).rpartition("is ")[2].partition(" s")[0]) in range(7190, 7210)


def test_no_such_bucket_is_not_an_empty_one(world: Served) -> None:
    driver = world.driver("missing")
    with pytest.raises(Refused, match="no such bucket"):
        driver.capabilities()
    with pytest.raises(Refused, match="no such bucket"):
        driver.head("k")
    with pytest.raises(Refused, match="no such bucket"):
        driver.read("k", 0, 1, None)
    with pytest.raises(Refused, match="no such bucket"):
        print(list(driver.scan("", "", "")))
    assert refusal(driver).code == "NoSuchBucket"


def test_messages_logs_and_errors_hold_no_secret(world: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "storage_guard")
    drivers = [world.driver(security_token="t0ken-in-secret"), world.driver(access_key_secret=f"{SECRET}-not")]
    drivers += [world.driver("missing"), world.driver(read_timeout_s=0.001)]
    said: list[str] = []
    for number, driver in enumerate(drivers):
        for call in (driver.capabilities, lambda d=driver: d.head("k"), lambda d=driver, n=number: put(d, f"k{n}")):
            try:
                call()
            except Signal as signal:
                said += [
                    str(signal),
                    repr(signal),
                    repr(vars(signal)),
                    repr(signal.__cause__),
                    repr(signal.__context__),
                ]
        said.append(repr(driver))
    text = "".join(said) + caplog.text
    assert len(said) > 10
    assert "storage_guard.wire" in {record.name for record in caplog.records}
    assert SECRET not in text
    assert "t0ken-in-secret" not in text


# The guarantee


@pytest.mark.parametrize("state", ["enabled", "suspended"])
def test_versioning_takes_the_guarantee_away(state: str) -> None:
    with served(versioning=state) as world:
        found = world.driver().capabilities()
        assert (found.put, found.finish, found.copy, found.versioning) == ("missing", "missing", "missing", state)
        assert "help.aliyun.com" in found.reason


def test_versioning_is_looked_for_in_two_places() -> None:
    with served(may=all_but("versioning")) as world:
        found = world.driver().capabilities()
        assert (found.put, found.versioning) == ("documented", "never")
    with served(may=all_but("versioning"), versioning="suspended") as world:
        assert world.driver().capabilities().put == "missing"
    with served(may=all_but("versioning", "bucket")) as world:
        found = world.driver().capabilities()
        assert (found.put, found.finish, found.copy, found.versioning) == (*["unproven"] * 3, "unknown")
        assert "oss:GetBucketVersioning" in found.reason


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SecurityTokenExpired", "SignatureDoesNotMatch"])
def test_a_wrong_key_says_nothing_about_the_guarantee(world: Served, code: str) -> None:
    world.cues.add(Cue(refused(403, code), member="versioning"))
    with pytest.raises(Refused, match=code):
        world.driver().capabilities()


# Options


def test_options_are_kept(world: Served) -> None:
    driver = world.driver()
    options = ObjectOptions(
        content_type="text/csv",
        cache_control="no-cache",
        metadata={"a": "b"},
        tags={"team": "blue & green", "empty": ""},
        storage_class="IA",
        encryption=Encryption("AES256"),
    )
    put(driver, "put", b"x", fresh(options))
    upload_id, parts = begun(driver, "finish", meta := fresh(options))
    driver.finish_new("finish", upload_id, parts, meta)
    driver.copy_new(ObjectRef(driver.location, "put"), "copy", fresh(options))
    for key in ("put", "finish", "copy"):
        found = driver.head(key)
        assert found is not None
        assert found.options == options, key
    put(driver, "plain.html")
    found = driver.head("plain.html")
    assert found is not None
    assert found.options == ObjectOptions()


@pytest.mark.parametrize("way", ["put", "finish", "copy"])
def test_an_acl_is_set_by_what_publishes(world: Served, way: str) -> None:
    driver, meta = world.driver(), fresh(ObjectOptions(acl="public-read"))
    put(driver, "source")
    if way == "put":
        put(driver, "k", b"x", meta)
    elif way == "copy":
        driver.copy_new(ObjectRef(driver.location, "source"), "k", meta)
    else:
        upload_id, parts = begun(driver, "k", meta)
        driver.finish_new("k", upload_id, parts, meta)
    assert world.state[BUCKET].find("k").attributes.acl == "public-read"


def test_a_copy_inherits_no_tags(world: Served) -> None:
    driver = world.driver()
    put(driver, "source", b"x", fresh(ObjectOptions(tags={"a": "b"})))
    driver.copy_new(ObjectRef(driver.location, "source"), "k", fresh())
    found = driver.head("k")
    assert found is not None
    assert found.options.tags == {}


def test_who_may_not_see_tags_may_see_the_object() -> None:
    with served(may=all_but("other")) as world:
        put(world.driver(), "k", b"x", fresh(ObjectOptions(tags={"a": "b"})))
        found = world.driver().head("k")
        assert found is not None
        assert found.options.tags == {}


# Copies and reads


def test_a_copy_crosses_buckets_and_names_what_is_missing(world: Served) -> None:
    ours, theirs = world.driver(), world.driver(OTHER)
    etag = put(theirs, "dir/source \u00fc+%", b"bytes").etag
    source = ObjectRef(theirs.location, "dir/source \u00fc+%", etag=etag)
    found = ours.copy_new(source, "k", meta := fresh())
    assert (found.size_bytes, found.write_id) == (5, meta.write_id)
    assert ours.read("k", 0, 9, found.etag) == b"bytes"
    with pytest.raises(Absent):
        ours.copy_new(replace(source, key="nothing"), "l", fresh())
    with pytest.raises(Absent):
        ours.copy_new(replace(source, location=world.driver("missing").location), "l", fresh())
    with pytest.raises(Changed):
        ours.copy_new(replace(source, etag="other"), "l", fresh())
    with pytest.raises(Refused, match="no such bucket"):
        world.driver("missing").copy_new(source, "l", fresh())
    assert ours.head("l") is None


def test_a_source_that_changes_under_way_is_not_copied(world: Served) -> None:
    driver = world.driver()
    put(driver, "source", b"first")
    world.cues.on_request = None
    source = ObjectRef(driver.location, "source")
    world.alter("head", headers={"ETag": '"SEEN BEFORE"'})
    with pytest.raises(Changed):
        driver.copy_new(source, "k", fresh())
    assert driver.head("k") is None


def test_a_copy_onto_itself_sends_nothing(world: Served) -> None:
    driver = world.driver()
    put(driver, "k")
    with pytest.raises(Exists):
        driver.copy_new(ObjectRef(driver.location, "k"), "k", fresh())
    assert world.asked("copy_new") == 0


def test_parts_of_a_pinned_source_look_at_it_once(world: Served) -> None:
    driver = world.driver()
    data = bytes(range(250)) * 1000
    etag = put(driver, "source", data).etag
    meta = fresh()
    upload_id = driver.begin("k", meta)
    source = ObjectRef(driver.location, "source", etag=etag)
    slots = [PartSlot(1, 0, 150_000), PartSlot(2, 150_000, 100_000)]
    parts = [driver.copy_part("k", upload_id, slot, source, slot.offset_bytes) for slot in slots]
    assert world.asked("head") == 1
    found = driver.finish_new("k", upload_id, parts, meta)
    assert found.verified_by is None, "nobody compared parts that the service copied"
    assert driver.read("k", 0, len(data), None) == data
    for start, size_bytes in ((len(data), 1), (len(data) - 1, 2), (0, 0), (-1, 1)):
        with pytest.raises(Refused):
            driver.copy_part("k", upload_id, PartSlot(3, 0, size_bytes), source, start)


@pytest.mark.parametrize(("start", "stop"), [(3, 2), (-1, 2), (-2, -1)])
def test_a_range_that_cannot_be_is_refused(world: Served, start: int, stop: int) -> None:
    with pytest.raises(Refused):
        world.driver().read("k", start, stop, None)


def test_a_delete_marker_is_nothing() -> None:
    with served(versioning="enabled") as world:
        driver = world.driver()
        oss2.Bucket(oss2.Auth(KEY_ID, SECRET), world.server.url, BUCKET).put_object("k", b"x")
        driver.remove("k", None)
        assert driver.head("k") is None
        with pytest.raises(Absent):
            driver.read("k", 0, 1, None)


def test_a_404_without_a_code_is_looked_into(world: Served) -> None:
    driver = world.driver()
    world.alter("head", headers={"x-oss-err": None})
    assert driver.head("k") is None
    world.alter("head", headers={"x-oss-err": None})
    with pytest.raises(Refused, match="no such bucket"):
        world.driver("missing").head("k")


@pytest.mark.parametrize("signature", ["v4", "v1"])
def test_a_presigned_url_reads(world: Served, signature: str) -> None:
    driver = world.driver(signature=signature)
    put(driver, "dir/a b\u00fc", b"signed")
    url = driver.presign("dir/a b\u00fc", 59.5)
    assert "/dir/" in url
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"signed"
    for expires_s in (0, -1, 604_801):
        with pytest.raises(Refused):
            driver.presign("k", expires_s)


# Sizes and bodies


def test_limits_are_checked_before_anything_is_sent(world: Served) -> None:
    driver = world.driver(limits=Limits(10, 5, 8, 3, 20, max_key_bytes=6))
    upload_id = driver.begin("k", fresh())
    before = len(world.server.requests)
    with pytest.raises(Refused):
        put(driver, "k", b"x" * 11)
    for number, size_bytes, claimed_bytes in ((1, 9, 9), (0, 1, 1), (4, 1, 1), (1, 3, 4)):
        with pytest.raises(Refused):
            driver.put_part("k", upload_id, PartSlot(number, 0, claimed_bytes), BytesBody(b"x" * size_bytes))
    for key in ("k" * 7, "."):
        assert refusal(driver, key).why == "key"
    assert len(world.server.requests) == before


class Claiming:
    """A body that is not as long as it says."""

    def __init__(self, size_bytes: int, data: bytes) -> None:
        self.size_bytes = size_bytes
        self._data = data

    def windows(self) -> Iterator[memoryview]:
        for start in range(0, len(self._data), WINDOW_BYTES):
            yield memoryview(self._data)[start : start + WINDOW_BYTES]


@pytest.mark.parametrize("size_bytes", [100, LARGE])
@pytest.mark.parametrize("off_bytes", [-1, 1, WINDOW_BYTES])
def test_a_body_of_another_length_publishes_nothing(world: Served, size_bytes: int, off_bytes: int) -> None:
    driver, data = world.driver(), bytes(max(0, size_bytes + off_bytes))
    with pytest.raises(Refused):
        driver.put_new("k", Claiming(size_bytes, data), fresh())
    upload_id = driver.begin("k", fresh())
    with pytest.raises(Refused):
        driver.put_part("k", upload_id, PartSlot(1, 0, size_bytes), Claiming(size_bytes, data))
    assert list(driver.scan_parts("k", upload_id)) == []
    assert driver.head("k") is None


class Changing:
    """A body with other bytes on its second pass."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._passes = 0

    def windows(self) -> Iterator[memoryview]:
        self._passes += 1
        return BytesBody(bytes([self._passes]) * self.size_bytes).windows()


def test_a_large_put_is_compared_by_the_store(world: Served) -> None:
    driver = world.driver()
    with pytest.raises(Signal) as corrupt:
        driver.put_new("k", Changing(LARGE), fresh())
    assert corrupt.value.code == "InvalidDigest"
    assert driver.head("k") is None
    found = driver.put_new("k", BytesBody(bytes(LARGE)), fresh())
    assert (found.verified_by, found.size_bytes) == ("store", LARGE)


@pytest.mark.parametrize(
    "error",
    [
        OSError(104, "reset"),
        OSError(32, "pipe"),
        BrokenPipeError(),
        ConnectionResetError(),
        TimeoutError(),
        StopIteration(),
    ],
)
def test_trouble_of_a_body_is_not_taken_for_the_networks(world: Served, error: Exception) -> None:
    class Failing:
        size_bytes = LARGE

        def windows(self) -> Iterator[memoryview]:
            yield memoryview(bytes(WINDOW_BYTES))
            raise error

    driver = world.driver(read_timeout_s=5.0)
    upload_id = driver.begin("k", fresh())
    kind = RuntimeError if isinstance(error, StopIteration) else type(error)  # what a generator makes of it
    with pytest.raises(kind) as raised:
        driver.put_part("k", upload_id, PartSlot(1, 0, LARGE), Failing())
    assert raised.value is error or isinstance(error, StopIteration)
    assert list(driver.scan_parts("k", upload_id)) == []


def test_a_body_may_be_read_from_a_store_itself(world: Served) -> None:
    driver = world.driver()
    data = bytes(2 * WINDOW_BYTES)
    put(driver, "source", data)

    class Remote:
        size_bytes = len(data)

        def windows(self) -> Iterator[memoryview]:
            for start in range(0, len(data), WINDOW_BYTES):
                yield memoryview(driver.read("source", start, start + WINDOW_BYTES, None))

    upload_id, parts = begun(driver, "k", meta := WriteMeta("remote"), Remote())
    assert driver.finish_new("k", upload_id, parts, meta).verified_by == "client"


def test_a_file_is_sent_window_by_window(world: Served, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"f" * LARGE)

    class FromFile:
        size_bytes = LARGE
        open = 0
        most = 0

        def windows(self) -> Iterator[memoryview]:
            with (tmp_path / "file").open("rb") as file:
                while window := file.read(WINDOW_BYTES):
                    yield memoryview(window)

    driver = world.driver()
    upload_id, parts = begun(driver, "k", meta := fresh(), FromFile())
    assert driver.finish_new("k", upload_id, parts, meta).size_bytes == LARGE


def test_a_wrong_region_is_told(world: Served) -> None:
    found = refusal(world.driver(region="cn-beijing"))
    assert found.code == "InvalidArgument"
    assert "cn-hangzhou" in str(found)
