"""OSS's signatures: those of the SDK are taken, and nothing else is."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from storage_guard.testing.server.buckets import Buckets, utc_now
from storage_guard.testing.server.credentials import Credential, Credentials, all_but
from storage_guard.testing.server.exchange import Request
from storage_guard.testing.server.oss import OSSDialect
from unit.oss_calls import Clock, Told, send

oss2: Any = importlib.import_module("oss2")
requests: Any = importlib.import_module("requests")

pytestmark = pytest.mark.filterwarnings(r"ignore:datetime\.datetime\.utcnow:DeprecationWarning:oss2")

KEYS = ["a", "dir/ü", "a+b", "%41", "~*()'!", "a b", "q?=1&r#", "\U0001f600", "\x01"]
KEY_ID, SECRET, TOKEN = "LTAI-one", "a secret/+=", "a token/+="
ALL = {"x-oss-meta-a": "1", "x-oss-forbid-overwrite": "true", "Content-Type": "text/x"}
MD5 = {"Content-MD5": "ndTkYSaMgDT1yFZOFVxnpg=="}  # of "x"
REFUSALS = {
    *("SignatureDoesNotMatch", "AccessDenied", "InvalidAccessKeyId", "InvalidSecurityToken", "InvalidArgument"),
    *("RequestTimeTooSkewed", "SecurityTokenExpired"),
}


class Caught(Exception):
    """What an SDK was about to send."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.request = request


class Catching:
    """In place of the SDK's session."""

    def do_request(self, request: Any, timeout: Any) -> None:
        assert timeout
        made = requests.Request(
            request.method,
            request.url,
            params=request.params,
            headers={name: value for name, value in request.headers.items() if value is not None},
            data=request.data,
        ).prepare()
        raise Caught(wired(made.method, made.url, dict(made.headers)))


def wired(method: str, url: str, headers: dict[str, str]) -> Request:
    parts = urlsplit(url)
    lower = {name.lower(): value for name, value in headers.items()}
    return Request(method, parts.hostname or "", parts.path, parts.query, lower)


@dataclass(frozen=True)
class Way:
    """A way to sign."""

    name: str
    version: str
    endpoint: str
    token: str | None = None

    def auth(self, secret: str = SECRET) -> Any:
        if self.token is not None:
            return oss2.StsAuth(KEY_ID, secret, self.token, self.version)
        return (oss2.AuthV4 if self.version == "v4" else oss2.Auth)(KEY_ID, secret)

    def bucket(self, secret: str = SECRET, region: str = "cn-hangzhou") -> Any:
        return oss2.Bucket(self.auth(secret), self.endpoint, "bkt", session=Catching(), region=region, enable_crc=False)


PATHS, HOSTS = "http://127.0.0.1:80", "http://oss-cn-hangzhou.aliyuncs.com"
WAYS = [
    Way(f"{version}-{style}-{'sts' if token else 'key'}", version, endpoint, token)
    for version in ("v1", "v4")
    for style, endpoint in (("path", PATHS), ("host", HOSTS))
    for token in (None, TOKEN)
]


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def way(request: pytest.FixtureRequest) -> Way:
    assert isinstance(request.param, Way)
    return request.param


def caught(call: Callable[[], Any]) -> Request:
    with pytest.raises(Caught) as info:
        call()
    return info.value.request


def dialect_of(way: Way, now: Callable[[], datetime] = utc_now, expires: datetime | None = None) -> OSSDialect:
    credential = Credential(KEY_ID, SECRET, way.token, expires)
    return OSSDialect(Buckets(["bkt"], now=now), credentials=Credentials([credential]))


def answered(way: Way, request: Request) -> Told:
    """To a body of nothing, and whatever it is that is missing."""
    return send(dialect_of(way), request)


CALLS: list[Callable[[Any, str], Any]] = [
    lambda bucket, key: bucket.put_object(key, b"x", headers={**ALL, **MD5}),
    lambda bucket, key: bucket.get_object(key, byte_range=(0, 1)),
    lambda bucket, key: bucket.head_object(key, params={"versionId": "1+/="}),
    lambda bucket, key: bucket.get_object_meta(key),
    lambda bucket, key: bucket.init_multipart_upload(key, headers=dict(ALL)),
    lambda bucket, key: bucket.upload_part(key, "A B", 1, b"x"),
    lambda bucket, key: bucket.complete_multipart_upload(key, "U", [oss2.models.PartInfo(1, "E")]),
    lambda bucket, key: bucket.copy_object("bkt", key, key),
    lambda bucket, key: bucket.list_objects_v2(
        prefix=key, delimiter="/", start_after="a b+c", continuation_token="dA=="
    ),
    lambda bucket, key: bucket.list_multipart_uploads(prefix=key),
    lambda bucket, key: bucket.get_bucket_versioning(),
    lambda bucket, key: bucket.batch_delete_objects([key]),
]


@pytest.mark.parametrize("key", KEYS)
def test_what_the_sdk_signs_is_taken(way: Way, key: str) -> None:
    bucket = way.bucket()
    for call in CALLS:
        told = send(dialect_of(way), caught(partial(call, bucket, key)), b"x")
        assert [code for code in REFUSALS if f"<Code>{code}</Code>".encode() in told.body] == [], told.body


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("key", KEYS)
def test_what_the_sdk_presigns_is_taken(way: Way, key: str, method: str) -> None:
    url = way.bucket().sign_url(method, key, 60, slash_safe=True, params={"response-content-type": "a b/+"})
    told = answered(way, wired(method, url, {"content-length": "0"}))
    assert told.status == (404 if method == "GET" else 200), told.body
    other = "PUT" if method == "GET" else "GET"
    assert answered(way, wired(other, url, {"content-length": "0"})).code == "SignatureDoesNotMatch"


def changed_requests(request: Request) -> Iterator[tuple[str, Request]]:
    """The same request with one thing in it changed."""
    for other in ("GET", "PUT", "POST", "DELETE"):
        if other != request.method:
            yield other, replace(request, method=other)
    yield "path", replace(request, raw_path=request.raw_path + "x")
    yield "case", replace(request, raw_path=request.raw_path[:-1] + request.raw_path[-1].swapcase())
    yield "query", replace(request, raw_query=request.raw_query + "&versionId=2")
    signed = {name for name in request.headers if name.startswith("x-oss-")} | {"content-type", "content-md5"}
    for name in signed & request.headers.keys():
        value = request.headers[name]
        yield name, replace(request, headers={**request.headers, name: value[:-1] + chr(ord(value[-1]) ^ 1)})
        without = {other: request.headers[other] for other in request.headers if other != name}
        yield f"no {name}", replace(request, headers=without)
    yield "more", replace(request, headers={**request.headers, "x-oss-meta-b": "2"})
    authorization = request.headers["authorization"]
    for at in (-1, -5, authorization.index("Signature=") + 12 if "Signature=" in authorization else -9):
        bad = list(authorization)
        bad[at] = "b" if bad[at] != "b" else "c"
        yield f"signature {at}", replace(request, headers={**request.headers, "authorization": "".join(bad)})


def test_nothing_of_what_is_signed_may_be_changed(way: Way) -> None:
    request = caught(lambda: way.bucket().put_object("key", b"x", headers={**ALL, **MD5}))
    assert send(dialect_of(way), request, b"x").status == 200
    seen: set[str] = set()
    for what, changed in changed_requests(request):
        told = send(dialect_of(way), changed, b"x")
        assert told.status in {400, 403}, what
        assert told.code in REFUSALS, what
        seen.add(told.code)
    assert "SignatureDoesNotMatch" in seen


def test_a_refused_signature_tells_what_was_expected(way: Way) -> None:
    told = answered(way, caught(lambda: way.bucket("another").get_object("key")))
    assert (told.status, told.code) == (403, "SignatureDoesNotMatch")
    assert told.field("OSSAccessKeyId") == KEY_ID
    assert told.field("StringToSign").startswith("GET\n" if way.version == "v1" else "OSS4-HMAC-SHA256\n")
    assert SECRET not in told.body.decode()


def test_a_query_that_is_signed_may_not_be_changed(way: Way) -> None:
    url = way.bucket().sign_url("GET", "key", 60, params={"versionId": "1"})
    assert answered(way, wired("GET", url, {})).code == "NoSuchVersion"
    for old, new in (("versionId=1", "versionId=2"), ("/key", "/kez"), ("pires=", "pires=1")):
        assert old in url
        told = answered(way, wired("GET", url.replace(old, new), {}))
        assert told.code in {"SignatureDoesNotMatch", "InvalidArgument"}, new


def later(seconds: float) -> Callable[[], datetime]:
    return lambda: utc_now() + timedelta(seconds=seconds)


def test_a_signature_is_good_for_a_quarter_of_an_hour(way: Way) -> None:
    request = caught(lambda: way.bucket().get_object("key"))
    for off_s, code in ((890, "NoSuchKey"), (-890, "NoSuchKey"), (910, "Skewed"), (-910, "Skewed")):
        told = send(dialect_of(way, later(off_s)), request)
        if code != "Skewed":
            assert told.code == code
            continue
        assert (told.status, told.code) == (403, "RequestTimeTooSkewed")
        assert told.field("MaxAllowedSkewMilliseconds") == "900000"
        ours, theirs = (datetime.fromisoformat(told.field(name)) for name in ("ServerTime", "RequestTime"))
        assert abs(abs((ours - theirs).total_seconds()) - 910) < 5


def test_a_presigned_url_expires(way: Way) -> None:
    request = wired("GET", way.bucket().sign_url("GET", "key", 60), {})
    assert send(dialect_of(way, later(55)), request).code == "NoSuchKey"
    told = send(dialect_of(way, later(65)), request)
    assert (told.status, told.code) == (403, "AccessDenied")
    assert datetime.fromisoformat(told.field("Expires")) < datetime.fromisoformat(told.field("ServerTime"))


def test_a_token_is_needed_matched_and_expires(way: Way) -> None:
    lasting, wrong = replace(way, token=None), replace(way, token="another")
    temporary = replace(way, token=TOKEN)
    for sign in (signed, presigned):
        for request_way, known_way, code in (
            (temporary, temporary, "NoSuchKey"),
            (wrong, temporary, "InvalidSecurityToken"),
            (lasting, temporary, "InvalidAccessKeyId"),
            (temporary, lasting, "InvalidAccessKeyId"),
        ):
            assert send(dialect_of(known_way), sign(request_way)).code == code
        dialect = dialect_of(temporary, expires=datetime.now(UTC) - timedelta(seconds=1))
        told = send(dialect, sign(temporary))
        assert (told.status, told.code, told.field("EC")) == (403, "SecurityTokenExpired", "0002-00000007")


def signed(way: Way) -> Request:
    return caught(lambda: way.bucket().get_object("key"))


def presigned(way: Way) -> Request:
    return wired("GET", way.bucket().sign_url("GET", "key", 60), {})


def test_an_unknown_key_and_no_key_at_all(way: Way) -> None:
    request = caught(lambda: way.bucket().get_object("key"))
    told = send(OSSDialect(Buckets(["bkt"]), credentials=Credentials()), request)
    assert (told.status, told.code, told.field("OSSAccessKeyId")) == (403, "InvalidAccessKeyId", KEY_ID)
    anonymous = replace(request, headers={})
    assert (answered(way, anonymous).status, answered(way, anonymous).code) == (403, "AccessDenied")
    assert send(OSSDialect(Buckets(["bkt"])), anonymous).code == "NoSuchKey"


@pytest.mark.parametrize("presign", [False, True])
def test_more_headers_may_be_signed(presign: bool) -> None:
    way = Way("v4", "v4", HOSTS)
    url = "http://bkt.oss-cn-hangzhou.aliyuncs.com/key"
    asked = oss2.http.Request("GET", url, headers={"range": "bytes=0-1"}, region="cn-hangzhou", product="oss")
    if presign:
        url = way.auth()._sign_url(asked, "bkt", "key", 60, ["range", "host"])
    else:
        way.auth()._sign_request(asked, "bkt", "key", ["range"])
    headers = {name: value for name, value in asked.headers.items() if value is not None}
    assert answered(way, wired("GET", url, headers)).code == "NoSuchKey"
    for changed in ({**headers, "range": "bytes=0-2"}, {name: headers[name] for name in headers if name != "range"}):
        assert answered(way, wired("GET", url, changed)).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("region", ["cn-shanghai", ""])
def test_a_scope_is_that_of_the_region(region: str) -> None:
    way = Way("v4", "v4", HOSTS)
    told = answered(way, caught(lambda: way.bucket(region=region).get_object("key")))
    assert (told.status, told.code, told.field("EC")) == (400, "InvalidArgument", "0002-00000213")


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("OSS LTAI-one", "SignatureDoesNotMatch"),
        ("OSS :x", "InvalidAccessKeyId"),
        ("OSS2 AccessKeyId:LTAI-one,Signature:x", "NotImplemented"),
        ("Basic eDp4", "InvalidArgument"),
        ("OSS4-HMAC-SHA256 Credential=LTAI-one/x, Signature=y", "InvalidArgument"),
        ("OSS4-HMAC-SHA256 ", "InvalidArgument"),
    ],
)
def test_what_is_no_signature(authorization: str, code: str) -> None:
    now = Clock()
    headers = {"authorization": authorization, "date": "Sun, 22 Nov 2026 12:00:00 GMT"}
    headers["x-oss-content-sha256"] = "UNSIGNED-PAYLOAD"
    told = send(dialect_of(Way("", "v1", PATHS), now), Request("GET", "h", "/bkt/k", "", headers))
    assert told.code == code


@pytest.mark.parametrize("date", ["", "yesterday", "20261322T120000Z"])
def test_a_signature_needs_a_date(date: str) -> None:
    headers = {"authorization": f"OSS {KEY_ID}:x", "date": date}
    told = send(dialect_of(Way("", "v1", PATHS)), Request("GET", "h", "/bkt/k", "", headers))
    assert (told.code, told.field("EC")) == ("AccessDenied", "0002-00000505")


def test_a_key_may_be_allowed_less(way: Way) -> None:
    credentials = Credentials([Credential(KEY_ID, SECRET, way.token, may=all_but("versioning", "head", "read"))])
    dialect = OSSDialect(Buckets(["bkt"]), credentials=credentials)
    bucket = way.bucket()
    assert send(dialect, caught(lambda: bucket.put_object("key", b"x")), b"x").status == 200
    for call in (
        bucket.get_bucket_versioning,
        lambda: bucket.get_object("key"),
        lambda: bucket.copy_object("bkt", "key", "copy"),
    ):
        told = send(dialect, caught(call))
        assert (told.status, told.code) == (403, "AccessDenied")
    assert send(dialect, caught(lambda: bucket.head_object("key"))).status == 403


def test_a_secret_is_not_shown() -> None:
    credential = Credential(KEY_ID, SECRET, TOKEN)
    assert SECRET not in repr(credential)
    assert TOKEN not in repr(credential)
    assert KEY_ID in repr(credential)
