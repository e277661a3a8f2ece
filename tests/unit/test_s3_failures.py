"""What each refusal of S3 means: by its code and by what was asked, never by its status."""

from __future__ import annotations

import pytest

from storage_guard.driver import (
    Busy,
    Changed,
    Conflict,
    Corrupt,
    Definite,
    Exists,
    Lost,
    Refused,
    Unguarded,
)
from storage_guard_s3.failures import objection_of, signal_of
from storage_guard_s3.message import Answer, Operation, Route
from unit.refusals import NOW, S3, error

CREATES: tuple[Operation, ...] = ("put", "finish", "copy")
OTHERS: tuple[Operation, ...] = (
    *("begin", "part", "part copy", "abort", "head", "read", "list", "remove", "list parts"),
)


answer, signal = S3.answer, S3.signal


@pytest.mark.parametrize("operation", CREATES)
@pytest.mark.parametrize("status", [412, 200, 500])
def test_a_condition_that_failed_is_a_taken_key_whatever_the_status(operation: Operation, status: int) -> None:
    for sole in (True, False):
        found = signal(operation, status, "PreconditionFailed", more={"Condition": "If-None-Match"}, sole=sole)
        assert isinstance(found, Exists)
        assert found.sole is sole
        assert (found.status, found.code, found.request_id) == (status, "PreconditionFailed", *S3.request_id.values())


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


def test_a_hash_of_the_payload_that_differs_is_corruption_on_the_way() -> None:
    for operation in ("put", "part", "finish"):
        assert type(signal(operation, 400, "XAmzContentSHA256Mismatch")) is Corrupt


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


def test_every_signal_of_a_refusal_is_definite_or_in_doubt() -> None:
    for status in (301, 400, 403, 404, 409, 412, 500, 501, 503):
        for code in ("", "AccessDenied", "PreconditionFailed", "SlowDown", "NoSuchUpload", "Whatever"):
            for operation in (*CREATES, *OTHERS):
                assert isinstance(signal(operation, status, code), (Definite, Lost))
