"""What each refusal of OSS means: by its code and by what was asked, never by its status."""

from __future__ import annotations

import base64

import pytest

from storage_guard.driver import (
    Absent,
    Busy,
    Changed,
    Conflict,
    Definite,
    Exists,
    Lost,
    Refused,
)
from storage_guard_oss.failures import signal_of
from storage_guard_oss.message import Answer, Operation, Route
from unit.refusals import NOW, OSS, error

CREATES: tuple[Operation, ...] = ("put", "begin", "finish", "copy")
OTHERS: tuple[Operation, ...] = ("part", "part copy", "abort", "head", "read", "list", "remove", "list parts")


answer, signal = OSS.answer, OSS.signal


@pytest.mark.parametrize("operation", CREATES)
def test_only_file_already_exists_is_a_taken_key(operation: Operation) -> None:
    for sole in (True, False):
        found = signal(operation, 409, "FileAlreadyExists", sole=sole)
        assert isinstance(found, Exists)
        assert found.sole is sole
        assert (found.status, found.code, found.request_id) == (409, "FileAlreadyExists", *OSS.request_id.values())
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


def test_the_endpoint_that_a_bucket_wants_is_named() -> None:
    body = error("AccessDenied", "Use the specified endpoint.", Endpoint="oss-cn-beijing.aliyuncs.com")
    assert "oss-cn-beijing.aliyuncs.com" in str(signal_of("put", answer(403, body), Route(sole=True), "x"))
