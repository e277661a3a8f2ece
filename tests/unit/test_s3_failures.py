"""What each refusal of S3 means: by its code and by what was asked, never by its status."""

from __future__ import annotations

from collections.abc import Mapping
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
    Unguarded,
)
from storage_guard.wire.services.times import MOST_WAIT_S
from storage_guard_s3.failures import objection_of, signal_of
from storage_guard_s3.message import Answer, Operation, Route

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REQUEST_ID = {"x-amz-request-id": "4442587FB7D0A2F9"}
CREATES: tuple[Operation, ...] = ("put", "finish", "copy")
OTHERS: tuple[Operation, ...] = (
    *("begin", "part", "part copy", "abort", "head", "read", "list", "remove", "list parts"),
)


def error(code: str, message: str = "As it is.", **more: str) -> bytes:
    fields = {"Code": code, "Message": message, **more}
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()


def answer(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, {**REQUEST_ID, **(headers or {})}, body, NOW)


def signal(
    operation: Operation,
    status: int,
    code: str,
    message: str = "As it is.",
    more: Mapping[str, str] | None = None,
    *,
    sole: bool = True,
    headers: dict[str, str] | None = None,
) -> Signal:
    told = answer(status, error(code, message, **(more or {})), headers)
    return signal_of(operation, told, Route(sole), f"{operation} of 'k'")


@pytest.mark.parametrize("operation", CREATES)
@pytest.mark.parametrize("status", [412, 200, 500])
def test_a_condition_that_failed_is_a_taken_key_whatever_the_status(operation: Operation, status: int) -> None:
    for sole in (True, False):
        found = signal(operation, status, "PreconditionFailed", more={"Condition": "If-None-Match"}, sole=sole)
        assert isinstance(found, Exists)
        assert found.sole is sole
        assert (found.status, found.code, found.request_id) == (status, "PreconditionFailed", *REQUEST_ID.values())


@pytest.mark.parametrize("operation", CREATES)
def test_no_other_conflict_is_a_taken_key(operation: Operation) -> None:
    for status, code in ((412, ""), (409, "BucketAlreadyExists"), (409, "ConcurrentModification"), (409, "")):
        assert type(signal(operation, status, code)) is Lost


@pytest.mark.parametrize("operation", OTHERS)
def test_what_creates_nothing_finds_no_key_taken(operation: Operation) -> None:
    assert not isinstance(signal(operation, 412, "PreconditionFailed"), Exists)


def test_a_412_is_a_change_only_where_something_was_pinned() -> None:
    pinned: tuple[Operation, ...] = ("head", "read", "remove", "part copy")
    for operation in pinned:
        assert type(signal(operation, 412, "PreconditionFailed")) is Changed
    for operation in set(OTHERS) - set(pinned):
        assert type(signal(operation, 412, "PreconditionFailed")) is Lost


@pytest.mark.parametrize("condition", ["x-amz-copy-source-If-Match", "x-amz-copy-source-if-none-match"])
def test_a_412_of_a_copy_that_names_the_source_is_a_change_of_the_source(condition: str) -> None:
    assert type(signal("copy", 412, "PreconditionFailed", more={"Condition": condition})) is Changed


@pytest.mark.parametrize("code", ["ConditionalRequestConflict", "OperationAborted"])
def test_when_requests_met_nobody_wrote_and_only_an_upload_is_spoilt(code: str) -> None:
    for operation in CREATES:
        found = signal(operation, 409, code)
        assert isinstance(found, Conflict)
        assert found.restart is (operation == "finish")
    for operation in ("begin", "part", "abort", "list"):
        assert type(signal(operation, 409, code)) is Lost


def test_a_removal_that_met_another_request_may_come_again() -> None:
    assert type(signal("remove", 409, "ConditionalRequestConflict")) is Busy


@pytest.mark.parametrize("operation", ["part", "part copy", "finish", "abort", "list parts"])
def test_an_upload_that_is_unknown_is_gone(operation: Operation) -> None:
    for sole in (True, False):
        found = signal(operation, 404, "NoSuchUpload", sole=sole)
        assert isinstance(found, Gone)
        assert found.sole is sole


def test_a_404_means_what_its_code_says_of_what_was_asked() -> None:
    looks: tuple[Operation, ...] = ("head", "read", "remove", "copy", "part copy")
    for operation in looks:
        for code in ("NoSuchKey", "NoSuchVersion"):
            assert type(signal(operation, 404, code)) is Absent
        bucket = signal(operation, 404, "NoSuchBucket")
        assert isinstance(bucket, Refused)
        assert "no such bucket" in str(bucket)
    for operation in ("put", "begin", "finish", "part"):
        assert type(signal(operation, 404, "NoSuchKey")) is Lost
    assert type(signal("put", 404, "NoSuchUpload")) is Lost


@pytest.mark.parametrize("code", ["SlowDown", "Throttling", "RequestLimitExceeded", "TooManyRequests"])
@pytest.mark.parametrize("status", [503, 429, 400, 200])
def test_a_named_throttle_is_busy(code: str, status: int) -> None:
    for operation in (*CREATES, *OTHERS):
        found = signal(operation, status, code)
        assert isinstance(found, Busy)
        assert found.retry_after_s == 0.0


@pytest.mark.parametrize("status", [500, 502, 503, 504, 507, 599])
@pytest.mark.parametrize("code", ["InternalError", "ServiceUnavailable", "OperationTimedOut", "Unheard", ""])
def test_any_other_5xx_may_have_been_carried_out(status: int, code: str) -> None:
    for operation in (*CREATES, *OTHERS):
        assert type(signal(operation, status, code)) is Lost
        assert type(signal_of(operation, answer(status, b"<html>"), Route(sole=True), "x")) is Lost


@pytest.mark.parametrize("code", ["RequestTimeout", "IncompleteBody"])
def test_a_body_whose_end_was_not_seen_is_in_doubt(code: str) -> None:
    assert type(signal("put", 400, code)) is Lost


@pytest.mark.parametrize(
    ("told", "wait_s"),
    [
        ("7", 7.0),
        ("999999999999", MOST_WAIT_S),
        ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("-5", 0.0),
        ("soon", 0.0),
    ],
)
def test_how_long_to_wait_is_bounded(told: str, wait_s: float) -> None:
    found = signal("put", 503, "SlowDown", headers={"retry-after": told})
    assert isinstance(found, Busy)
    assert found.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("status", "code", "why"),
    [
        (403, "AccessDenied", "access"),
        (400, "ExpiredToken", "access"),
        (403, "SignatureDoesNotMatch", "access"),
        (401, "Unheard", "access"),
        (400, "EntityTooSmall", "request"),
        (400, "EntityTooLarge", "request"),
        (400, "InvalidPart", "request"),
        (400, "InvalidPartOrder", "request"),
        (400, "MetadataTooLarge", "request"),
        (400, "Unheard", "request"),
        (501, "NotImplemented", "request"),
        (403, "InvalidObjectState", "request"),
        (400, "KeyTooLongError", "key"),
        (507, "XMinioStorageFull", "space"),
        (403, "QuotaExceeded", "space"),
    ],
)
def test_what_was_turned_away_says_why(status: int, code: str, why: str) -> None:
    for operation in (*CREATES, *OTHERS):
        found = signal(operation, status, code)
        assert isinstance(found, Refused)
        assert found.why == why
        assert found.code == code


@pytest.mark.parametrize("code", ["BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch"])
def test_bytes_that_changed_on_the_way_are_corrupt(code: str) -> None:
    for operation in ("put", "part", "finish"):
        assert type(signal(operation, 400, code)) is Corrupt


@pytest.mark.parametrize(
    ("status", "code", "more", "headers"),
    [
        (301, "PermanentRedirect", {"Endpoint": "b.s3.eu-west-3.amazonaws.com"}, {"x-amz-bucket-region": "eu-west-3"}),
        (307, "TemporaryRedirect", {}, {"x-amz-bucket-region": "eu-west-3"}),
        (400, "AuthorizationHeaderMalformed", {"Region": "eu-west-3"}, {}),
        (400, "IllegalLocationConstraintException", {}, {"x-amz-bucket-region": "eu-west-3"}),
    ],
)
def test_the_wrong_region_is_told_with_the_right_one(
    status: int, code: str, more: dict[str, str], headers: dict[str, str]
) -> None:
    for operation in (*CREATES, *OTHERS):
        found = signal(operation, status, code, headers=headers, more=more)
        assert isinstance(found, Refused)
        assert "eu-west-3" in str(found)
    for refused in (301, 400):
        found = signal_of("head", answer(refused, headers={"x-amz-bucket-region": "eu-west-3"}), Route(sole=True), "x")
        assert isinstance(found, Refused)
        assert "region='eu-west-3'" in str(found)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_is_told_and_not_followed(status: int) -> None:
    headers = {"location": "https://elsewhere.example/b/k?X-Amz-Signature=secret"}
    found = signal_of("put", answer(status, headers=headers), Route(sole=True), "x")
    assert isinstance(found, Refused)
    assert "elsewhere.example" in str(found)
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("message", "more"),
    [
        ("A header you provided implies functionality that is not implemented.", {"Header": "If-None-Match"}),
        ("A header you provided implies functionality that is not implemented", {}),
        ("Unsupported header 'if-none-match' received for this API call.", {}),
    ],
)
def test_a_store_that_does_not_know_the_condition_guards_nothing(message: str, more: dict[str, str]) -> None:
    for operation in CREATES:
        assert type(signal(operation, 501, "NotImplemented", message, more)) is Unguarded
    assert isinstance(signal("part", 501, "NotImplemented", message, more), Refused)
    other = signal("put", 501, "NotImplemented", "A header you provided", {"Header": "x-amz-tagging"})
    assert isinstance(other, Refused)


@pytest.mark.parametrize(
    ("status", "code", "message", "more", "what"),
    [
        (501, "NotImplemented", "A header", {"Header": "x-amz-checksum-algorithm"}, "checksum"),
        (400, "InvalidArgument", "Unsupported header 'x-amz-checksum-crc64nvme'", {}, "checksum"),
        (400, "InvalidRequest", "Checksum algorithm provided is unsupported.", {}, "checksum"),
        (400, "XAmzContentSHA256Mismatch", "The provided hash does not match", {}, "payload"),
        (400, "InvalidRequest", "x-amz-content-sha256 must be a valid sha256 value", {}, "payload"),
        (501, "NotImplemented", "A header", {"Header": "If-None-Match"}, None),
        (400, "BadDigest", "The CRC64NVME checksum did not match", {}, None),
        (503, "SlowDown", "checksum", {}, None),
        (200, "InvalidRequest", "checksum", {}, None),
    ],
)
def test_what_a_store_objects_to(status: int, code: str, message: str, more: dict[str, str], what: str | None) -> None:
    assert objection_of(answer(status, error(code, message, **more))) == what


def test_an_answer_without_an_id_counts_if_it_speaks_as_the_service_does() -> None:
    bare = Answer(412, {}, error("PreconditionFailed"), NOW)
    assert isinstance(signal_of("put", bare, Route(sole=True), "x"), Exists)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 429, 500, 501, 503])
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"{}", error("")])
def test_what_no_service_said_decides_nothing(status: int, body: bytes) -> None:
    for operation in (*CREATES, *OTHERS):
        assert type(signal_of(operation, Answer(status, {}, body, NOW), Route(sole=True), "x")) is Lost


def test_a_proxy_that_wants_credentials_passed_nothing_on() -> None:
    assert isinstance(signal_of("put", Answer(407, {}, b"", NOW), Route(sole=True), "x"), Refused)


def test_a_clock_that_is_off_is_told_by_how_much() -> None:
    found = signal("put", 403, "RequestTimeTooSkewed", more={"ServerTime": "2026-11-22T13:00:00Z"})
    assert isinstance(found, Refused)
    assert "3600 s behind" in str(found)


def test_secrets_that_an_answer_repeats_are_not_told() -> None:
    told = answer(400, error("InvalidToken", "the token is s3cr3t", Token="s3cr3t")).hiding(["s3cr3t"])
    assert "s3cr3t" not in str(signal_of("put", told, Route(sole=True), "x"))


def test_every_signal_of_a_refusal_is_definite_or_in_doubt() -> None:
    for status in (301, 400, 403, 404, 409, 412, 500, 501, 503):
        for code in ("", "AccessDenied", "PreconditionFailed", "SlowDown", "NoSuchUpload", "Whatever"):
            for operation in (*CREATES, *OTHERS):
                assert isinstance(signal(operation, status, code), (Definite, Lost))
