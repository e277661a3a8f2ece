"""What a refusal means, whichever service it is of."""

from __future__ import annotations

from typing import Any

import pytest

from storage_guard.driver import Absent, Busy, Corrupt, Gone, Lost, Refused
from storage_guard.wire.services.message import Operation, Route
from storage_guard.wire.services.times import MOST_WAIT_S
from unit.refusals import NOW, OSS, S3, Service, error

AnyService = Service[Any]
ALL: tuple[Operation, ...] = (
    *("put", "begin", "finish", "copy"),
    *("part", "part copy", "abort", "head", "read", "list", "remove", "list parts"),
)
LOOKS: tuple[Operation, ...] = ("head", "read", "remove", "copy", "part copy")
WRITES: tuple[Operation, ...] = ("put", "begin", "finish", "part")


@pytest.fixture(params=[OSS, S3], ids=["oss", "s3"])
def service(request: pytest.FixtureRequest) -> AnyService:
    found: AnyService = request.param
    return found


@pytest.mark.parametrize("operation", ["part", "part copy", "finish", "abort", "list parts"])
def test_an_upload_that_is_unknown_is_gone(service: AnyService, operation: Operation) -> None:
    for sole in (True, False):
        found = service.signal(operation, 404, "NoSuchUpload", sole=sole)
        assert isinstance(found, Gone)
        assert found.sole is sole


def test_a_404_means_what_its_code_says_of_what_was_asked(service: AnyService) -> None:
    for operation in LOOKS:
        for code in ("NoSuchKey", "NoSuchVersion"):
            assert type(service.signal(operation, 404, code)) is Absent
        bucket = service.signal(operation, 404, "NoSuchBucket")
        assert isinstance(bucket, Refused)
        assert bucket.why == "request"
        assert "no such bucket" in str(bucket)
    for operation in WRITES:
        assert type(service.signal(operation, 404, "NoSuchKey")) is Lost
    assert type(service.signal("put", 404, "NoSuchUpload")) is Lost


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
def test_a_throttled_request_waits_as_long_as_it_was_told_within_bounds(
    service: AnyService, told: str, wait_s: float
) -> None:
    found = service.signal("put", 503, service.throttle, headers={"retry-after": told})
    assert isinstance(found, Busy)
    assert found.retry_after_s == wait_s


OF_BOTH = [
    (403, "AccessDenied", "access"),
    (403, "SignatureDoesNotMatch", "access"),
    (400, "EntityTooLarge", "request"),
    (400, "EntityTooSmall", "request"),
    (400, "InvalidPart", "request"),
    (400, "InvalidPartOrder", "request"),
    (400, "SomethingNew", "request"),
    (403, "InvalidObjectState", "request"),
    (501, "NotImplemented", "request"),
]
OF_OSS = [
    (403, "InvalidAccessKeyId", "access"),
    (403, "InvalidSecurityToken", "access"),
    (403, "SecurityTokenExpired", "access"),
    (403, "RequestTimeTooSkewed", "access"),
    (403, "UserDisable", "access"),
    (403, "InDebt", "access"),
    (403, "SomethingNew", "access"),
    (400, "InvalidArgument", "request"),
    (400, "InvalidTag", "request"),
    (405, "MethodNotAllowed", "request"),
    (411, "MissingContentLength", "request"),
    (400, "InvalidObjectName", "key"),
    (403, "BucketQuotaExceeded", "space"),
    (400, "StorageCapacityExceeded", "space"),
]
OF_S3 = [
    (400, "ExpiredToken", "access"),
    (401, "Unheard", "access"),
    (400, "MetadataTooLarge", "request"),
    (400, "KeyTooLongError", "key"),
    (507, "XMinioStorageFull", "space"),
    (403, "QuotaExceeded", "space"),
]


@pytest.mark.parametrize(
    ("service", "status", "code", "why"),
    [*((OSS, *each) for each in (*OF_BOTH, *OF_OSS)), *((S3, *each) for each in (*OF_BOTH, *OF_S3))],
)
def test_a_definite_refusal_says_why(service: AnyService, status: int, code: str, why: str) -> None:
    for operation in ALL:
        found = service.signal(operation, status, code)
        assert isinstance(found, Refused)
        assert found.why == why
        assert found.code == code
        assert code in str(found)
        assert "As it is." in str(found)


@pytest.mark.parametrize("code", ["BadDigest", "InvalidDigest"])
def test_a_digest_that_differs_is_corruption_on_the_way(service: AnyService, code: str) -> None:
    for operation in ("put", "part", "finish"):
        assert type(service.signal(operation, 400, code)) is Corrupt


def test_a_proxy_that_wants_credentials_passed_nothing_on(service: AnyService) -> None:
    for sole in (True, False):
        found = service.signal_of("put", service.kind(407, {}, b"", NOW), Route(sole), "x")
        assert isinstance(found, Refused)
        assert found.why == "access"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_says_where_it_leads(service: AnyService, status: int) -> None:
    headers = {"location": "https://elsewhere.example/b/k?X-Amz-Signature=secret"}
    found = service.signal_of("put", service.answer(status, headers=headers), Route(sole=True), "x")
    assert isinstance(found, Refused)
    assert "https://elsewhere.example/b/k" in str(found)
    assert "Signature" not in str(found)
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("more", "headers", "said"),
    [
        ({"RequestTime": "2026-11-22T12:00:00.000Z", "ServerTime": "2026-11-22T13:00:00.000Z"}, {}, "3600 s behind"),
        ({"RequestTime": "2026-11-22T12:00:00.000Z", "ServerTime": "2026-11-22T11:00:00.000Z"}, {}, "3600 s ahead"),
        ({"ServerTime": "2026-11-22T13:00:00Z"}, {}, "3600 s behind"),
        ({}, {"date": "Sun, 22 Nov 2026 12:30:00 GMT"}, "1800 s behind"),
        ({}, {}, "more than 15 minutes off"),
    ],
)
def test_a_clock_that_is_off_is_told_by_how_much(
    service: AnyService, more: dict[str, str], headers: dict[str, str], said: str
) -> None:
    found = service.signal("put", 403, "RequestTimeTooSkewed", more=more, headers=headers)
    assert isinstance(found, Refused)
    assert said in str(found)


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (400, "InvalidToken")])
def test_what_was_sent_in_secret_is_not_repeated(service: AnyService, status: int, code: str) -> None:
    told = service.answer(status, error(code, "Token T0K3N is bad", Token="T0K3N")).hiding(["T0K3N"])
    text = str(service.signal_of("put", told, Route(sole=True), "x"))
    assert "Token *** is bad" in text
    assert "T0K3N" not in text + repr(told)
