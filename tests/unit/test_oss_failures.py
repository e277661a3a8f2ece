"""What each refusal of OSS means: by its code and by what was asked, never by its status."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from storage_guard.driver import (
    Absent,
    Busy,
    Changed,
    Conflict,
    Corrupt,
    Definite,
    Exists,
    Gone,
    Lost,
    Refused,
    Signal,
)
from storage_guard.wire.services.times import MOST_WAIT_S
from storage_guard_oss.failures import signal_of
from storage_guard_oss.message import Answer, Operation, Route

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REQUEST_ID = {"x-oss-request-id": "5C3D9175B6FC201293AD4890"}
CREATES: tuple[Operation, ...] = ("put", "begin", "finish", "copy")
OTHERS: tuple[Operation, ...] = ("part", "part copy", "abort", "head", "read", "list", "remove", "list parts")


def error(code: str, message: str = "As it is.", **more: str) -> bytes:
    fields = {"Code": code, "Message": message, **more}
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()


def answer(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, {**REQUEST_ID, **(headers or {})}, body, NOW)


def signal(
    operation: Operation, status: int, code: str, *, sole: bool = True, headers: dict[str, str] | None = None
) -> Signal:
    return signal_of(operation, answer(status, error(code), headers), Route(sole), f"{operation} of 'k'")


@pytest.mark.parametrize("operation", CREATES)
def test_only_file_already_exists_is_a_taken_key(operation: Operation) -> None:
    for sole in (True, False):
        found = signal(operation, 409, "FileAlreadyExists", sole=sole)
        assert isinstance(found, Exists)
        assert found.sole is sole
        assert (found.status, found.code, found.request_id) == (409, "FileAlreadyExists", *REQUEST_ID.values())
    for code in ("ObjectNotAppendable", "OperationAborted", "PositionNotEqualToLength", "BucketAlreadyExists", ""):
        assert not isinstance(signal(operation, 409, code), Exists)


@pytest.mark.parametrize("operation", OTHERS)
def test_what_creates_nothing_finds_no_key_taken(operation: Operation) -> None:
    assert type(signal(operation, 409, "FileAlreadyExists")) is Lost


def test_what_a_retention_policy_keeps_is_there() -> None:
    for operation in CREATES:
        found = signal(operation, 409, "FileImmutable")
        assert isinstance(found, Exists)
        assert not found.sole, "the policy may have been meant for something else: look"
    removal = signal("remove", 409, "FileImmutable")
    assert isinstance(removal, Refused)
    assert removal.why == "read-only"


def test_conflicting_requests_may_come_again() -> None:
    found = signal("copy", 409, "StaleFile")
    assert isinstance(found, Conflict)
    assert not found.restart


@pytest.mark.parametrize("operation", ["part", "part copy", "finish", "abort", "list parts"])
def test_an_upload_that_is_unknown_is_gone(operation: Operation) -> None:
    for sole in (True, False):
        found = signal(operation, 404, "NoSuchUpload", sole=sole)
        assert isinstance(found, Gone)
        assert found.sole is sole


def test_a_404_means_what_its_code_says_of_what_was_asked() -> None:
    looks: tuple[Operation, ...] = ("head", "read", "remove", "copy", "part copy")
    writes: tuple[Operation, ...] = ("put", "begin", "finish", "part")
    for operation in looks:
        assert type(signal(operation, 404, "NoSuchKey")) is Absent
        bucket = signal(operation, 404, "NoSuchBucket")
        assert isinstance(bucket, Refused)
        assert bucket.why == "request"
        assert "no such bucket" in str(bucket)
    for operation in writes:
        assert type(signal(operation, 404, "NoSuchKey")) is Lost
    assert type(signal("put", 404, "NoSuchUpload")) is Lost


def test_a_412_is_a_change_only_where_something_was_pinned() -> None:
    pinned: tuple[Operation, ...] = ("head", "read", "copy", "part copy")
    others: tuple[Operation, ...] = ("put", "finish", "part", "abort")
    for operation in pinned:
        assert type(signal(operation, 412, "PreconditionFailed")) is Changed
    for operation in others:
        assert type(signal(operation, 412, "PreconditionFailed")) is Lost


@pytest.mark.parametrize(
    "code",
    [
        "ActiveRequestLimitExceeded",
        "DownloadTrafficRateLimitExceeded",
        "MetaOperationQpsLimitExceeded",
        "TotalQpsLimitExceeded",
        "UploadTrafficRateLimitExceeded",
    ],
)
def test_only_a_named_throttle_is_busy(code: str) -> None:
    for operation in (*CREATES, *OTHERS):
        found = signal(operation, 503, code)
        assert isinstance(found, Busy)
        assert found.retry_after_s == 0.0
        assert type(signal(operation, 503, "Unheard")) is Lost
        assert type(signal(operation, 503, "ServiceUnavailable")) is Lost
        assert type(signal_of(operation, answer(503, b"<html>"), Route(sole=True), "x")) is Lost


@pytest.mark.parametrize(
    ("told", "wait_s"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999999999", MOST_WAIT_S),
        ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("\u0663", 0.0),
        ("", 0.0),
    ],
)
def test_a_throttled_request_waits_as_long_as_it_was_told(told: str, wait_s: float) -> None:
    found = signal("put", 503, "TotalQpsLimitExceeded", headers={"retry-after": told})
    assert isinstance(found, Busy)
    assert found.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("status", "code", "why"),
    [
        (403, "AccessDenied", "access"),
        (403, "SignatureDoesNotMatch", "access"),
        (403, "InvalidAccessKeyId", "access"),
        (403, "InvalidSecurityToken", "access"),
        (403, "SecurityTokenExpired", "access"),
        (403, "RequestTimeTooSkewed", "access"),
        (403, "UserDisable", "access"),
        (403, "InDebt", "access"),
        (403, "SomethingNew", "access"),
        (400, "EntityTooLarge", "request"),
        (400, "EntityTooSmall", "request"),
        (400, "InvalidArgument", "request"),
        (400, "InvalidPart", "request"),
        (400, "InvalidPartOrder", "request"),
        (400, "InvalidTag", "request"),
        (400, "SomethingNew", "request"),
        (403, "InvalidObjectState", "request"),
        (405, "MethodNotAllowed", "request"),
        (411, "MissingContentLength", "request"),
        (501, "NotImplemented", "request"),
        (400, "InvalidObjectName", "key"),
        (403, "BucketQuotaExceeded", "space"),
        (400, "StorageCapacityExceeded", "space"),
    ],
)
def test_a_definite_refusal_says_why(status: int, code: str, why: str) -> None:
    for operation in (*CREATES, *OTHERS):
        found = signal(operation, status, code)
        assert isinstance(found, Refused)
        assert found.why == why
        assert code in str(found)
        assert "As it is." in str(found)


@pytest.mark.parametrize("code", ["InvalidDigest", "BadDigest"])
def test_a_digest_that_differs_is_corruption_on_the_way(code: str) -> None:
    assert type(signal("put", 400, code)) is Corrupt


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "InternalError"),
        (500, "SomethingNew"),
        (502, ""),
        (504, ""),
        (503, "SlowDown"),
        (400, "RequestTimeout"),
        (404, "SomethingNew"),
        (409, "SomethingNew"),
        (412, "SomethingNew"),
        (429, "SomethingNew"),
        (304, "NotModified"),
        (203, "CallbackFailed"),
    ],
)
def test_what_may_have_been_carried_out_is_lost(status: int, code: str) -> None:
    for operation in CREATES:
        found = signal(operation, status, code)
        if status // 100 == 3:
            assert isinstance(found, Refused)  # OSS itself sends us elsewhere
        else:
            assert not isinstance(found, Definite)
            assert type(found) is Lost


@pytest.mark.parametrize("status", [301, 307, 400, 403, 404, 409, 411, 412, 500, 502, 503])
def test_an_answer_that_oss_did_not_give_proves_nothing(status: int) -> None:
    for body in (b"", b"<html>no</html>", error("FileAlreadyExists"), error("NoSuchKey"), error("AccessDenied")):
        found = signal_of("put", Answer(status, {}, body, NOW), Route(sole=True), "x")
        assert type(found) is Lost


def test_a_proxy_that_wants_credentials_passed_nothing_on() -> None:
    found = signal_of("put", Answer(407, {}, b"", NOW), Route(sole=False), "x")
    assert isinstance(found, Refused)
    assert found.why == "access"


def test_a_redirect_is_not_followed_and_says_where_it_leads() -> None:
    found = signal_of("put", answer(307, b"", {"location": "http://elsewhere/k?token=t"}), Route(sole=True), "x")
    assert isinstance(found, Refused)
    assert "http://elsewhere/k" in str(found)
    assert "token" not in str(found)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff",
        b"<Error><Code>FileAlreadyExists</Code>",
        b"<Other><Code>FileAlreadyExists</Code></Other>",
        b'<!DOCTYPE x [<!ENTITY e "FileAlreadyExists">]><Error><Code>&e;</Code></Error>',
        b'{"Code": "FileAlreadyExists"}',
    ],
)
def test_a_document_that_is_cut_or_not_the_services_has_no_code(body: bytes) -> None:
    found = signal_of("put", answer(409, body), Route(sole=True), "x")
    assert type(found) is Lost
    assert found.code is None


def test_the_code_of_a_head_is_in_a_header() -> None:
    told = base64.b64encode(error("NoSuchKey")).decode()
    assert type(signal_of("head", answer(404, b"", {"x-oss-err": told}), Route(sole=True), "x")) is Absent
    for other in ("%%%", "", base64.b64encode(b"<html>").decode()):
        assert type(signal_of("head", answer(404, b"", {"x-oss-err": other}), Route(sole=True), "x")) is Lost


@pytest.mark.parametrize(
    ("more", "headers", "said"),
    [
        ({"RequestTime": "2026-11-22T12:00:00.000Z", "ServerTime": "2026-11-22T13:00:00.000Z"}, {}, "3600 s behind"),
        ({"RequestTime": "2026-11-22T12:00:00.000Z", "ServerTime": "2026-11-22T11:00:00.000Z"}, {}, "3600 s ahead"),
        ({}, {"date": "Sun, 22 Nov 2026 12:30:00 GMT"}, "1800 s behind"),
        ({}, {}, "more than 15 minutes off"),
    ],
)
def test_a_clock_that_is_off_is_told_by_how_much(more: dict[str, str], headers: dict[str, str], said: str) -> None:
    body = error("RequestTimeTooSkewed", **more)
    assert said in str(signal_of("put", answer(403, body, headers), Route(sole=True), "x"))


def test_the_endpoint_that_a_bucket_wants_is_named() -> None:
    body = error("AccessDenied", "Use the specified endpoint.", Endpoint="oss-cn-beijing.aliyuncs.com")
    assert "oss-cn-beijing.aliyuncs.com" in str(signal_of("put", answer(403, body), Route(sole=True), "x"))


def test_what_was_sent_in_secret_is_not_repeated() -> None:
    found = Answer(403, REQUEST_ID, error("AccessDenied", "Token T0K3N is bad"), NOW, hidden=("T0K3N",))
    text = str(signal_of("put", found, Route(sole=True), "x"))
    assert "Token *** is bad" in text
    assert "T0K3N" not in text + repr(found)
