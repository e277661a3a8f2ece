"""Requests are signed as oss2 signs them, byte for byte, and as the service's documentation does."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, quote_plus, unquote

import oss2
import pytest

from storage_guard.wire.signing import (
    Credentials,
    OSSV1Signer,
    OSSV4Signer,
    Signer,
    Unsigned,
    canonical_path,
    encoding,
    key_path,
    oss_v1,
    oss_v4,
    query_string,
)
from storage_guard.wire.signing.daykeys import DayKeys
from wire.signing_beside import START, Mismatch, derivations, odd_text, once_derived
from wire.signing_beside_oss2 import SUBRESOURCES, Comparison


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("version", [1, 4])
def test_signatures_are_those_of_oss2(monkeypatch: pytest.MonkeyPatch, version: int, count: int) -> None:
    Comparison(monkeypatch, version).run(count, seed=count)


def test_an_access_key_of_oss2_signs_as_its_providers_do() -> None:
    assert issubclass(oss2.Auth, oss2.ProviderAuth)
    assert issubclass(oss2.AuthV4, oss2.ProviderAuthV4)
    for name in ("_sign_request", "_sign_url"):
        assert getattr(oss2.Auth, name) is getattr(oss2.ProviderAuth, name)
        assert getattr(oss2.AuthV4, name) is getattr(oss2.ProviderAuthV4, name)


def test_version_1_signs_the_subresources_that_oss2_signs() -> None:
    assert sorted(oss_v1.SUBRESOURCES) == SUBRESOURCES


def no_tilde(text: str) -> str:
    return quote(text, safe="").replace("~", "%7E")


def whole_pair(pair: str) -> str:
    return pair


def always_equals(name: str, value: str | None) -> str:
    return f"{quote(name, safe='')}={quote(value or '', safe='')}"


def without_bucket(_bucket: str, key: str) -> str:
    return key_path(key)


def resolved(bucket: str, key: str) -> str:
    return canonical_path(bucket, key).replace("/../", "/")


def untrimmed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def as_spelled(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value.strip(" \t") for name, value in headers.items()}


def local_date(at: datetime) -> str:
    return f"{at:%a, %d %b %Y %H:%M:%S} GMT"


def without_token(real: Callable[..., bytes]) -> Callable[..., bytes]:
    def signed(request: Unsigned, fields: Mapping[str, str], rest: object) -> bytes:
        kept = {name: value for name, value in fields.items() if name != "x-oss-security-token"}
        return real(request, kept, rest)

    return signed


PLANTED: dict[str, tuple[int, object, str, Callable[..., object]]] = {
    "a slash in the query is kept": (4, encoding, "percent_encoded", quote),
    "a tilde is encoded": (4, encoding, "percent_encoded", no_tilde),
    "a space in the query becomes a plus": (4, encoding, "percent_encoded", quote_plus),
    "pairs are sorted, not names": (4, encoding, "_name_of", whole_pair),
    "an empty value keeps its =": (4, encoding, "query_pair", always_equals),
    "the bucket is not in the path": (4, oss_v4, "canonical_path", without_bucket),
    "dots are resolved": (4, oss_v4, "canonical_path", resolved),
    "the token is not signed": (4, oss_v4, "canonical_request", without_token(oss_v4.canonical_request)),
    "headers are not trimmed": (4, oss_v4, "header_fields", untrimmed),
    "headers keep their case": (4, oss_v4, "header_fields", as_spelled),
    "the key is that of another day": (4, DayKeys, "of", once_derived(even_by="day")),
    "the key is that of another secret": (4, DayKeys, "of", once_derived(even_by="secret")),
    "the path is encoded (1)": (1, oss_v1, "plain_path", canonical_path),
    "the token is not signed (1)": (1, oss_v1, "string_to_sign", without_token(oss_v1.string_to_sign)),
    "headers are not trimmed (1)": (1, oss_v1, "header_fields", untrimmed),
    "the date is that of the zone (1)": (1, oss_v1, "http_date", local_date),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    version, owner, name, wrong = PLANTED[bug]
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(Mismatch):
        Comparison(monkeypatch, version).run(1_000, seed=7)


@pytest.mark.parametrize("name", ["partNumber", "uploads", "security-token", "continuation-token"])
def test_a_forgotten_subresource_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(oss_v1, "SUBRESOURCES", oss_v1.SUBRESOURCES - {name})
    with pytest.raises(Mismatch, match=f"and oss2's is .*{name}"):
        Comparison(monkeypatch, 1).run(1_000, seed=8)


def test_a_mismatch_names_the_first_line_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oss_v4, "canonical_path", without_bucket)
    with pytest.raises(Mismatch, match=r"headers: line 2 is b'/.*', and oss2's is b'/\w+.*'"):
        Comparison(monkeypatch, 4).run(100, seed=9)


PUBLISHED_PARAMS = {
    "param1": "value1",
    "+param1": "value3",
    "|param1": "value4",
    "+param2": "",
    "|param2": "",
    "param2": "",
}
PUBLISHED_HEADERS = {"x-oss-head1": "value", "abc": "value", "ZAbc": "value", "XYZ": "value"}


@pytest.mark.parametrize(
    ("token", "more", "second", "signature"),
    [
        (None, (), 1702743657, "e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe"),
        ("token", (), 1702784856, "b94a3f999cf85bcdc00d332fbd3734ba03e48382c36fa4d5af5df817395bd9ea"),
        (None, ("ZAbc", "abc"), 1702747512, "4a4183c187c07c8947db7620deb0a6b38d9fbdd34187b6dbaccb316fa251212f"),
    ],
)
def test_signatures_published_with_the_services_own_clients(
    token: str | None, more: tuple[str, ...], second: int, signature: str
) -> None:
    headers = {**PUBLISHED_HEADERS, "content-type": "text/plain"}
    request = Unsigned("PUT", "bucket", "1234+-/123/1.txt", PUBLISHED_PARAMS, headers)
    signer = OSSV4Signer("cn-hangzhou", additional_headers=more)
    sent = signer.sign(request, Credentials("ak", "sk", token), datetime.fromtimestamp(second, UTC))
    assert f"Signature={signature}" in sent["authorization"].replace(",", " ").split()


def test_a_published_url_of_version_4() -> None:
    headers = {**PUBLISHED_HEADERS, "content-type": "application/octet-stream"}
    request = Unsigned("PUT", "bucket", "1234+-/123/1.txt", PUBLISHED_PARAMS, headers)
    at = datetime.fromtimestamp(1702781677, UTC)
    query = OSSV4Signer("cn-hangzhou").presign(request, Credentials("ak", "sk"), at, 599)
    assert query.endswith("&x-oss-signature=a39966c61718be0d5b14e668088b3fa07601033f6518ac7b523100014269c0fe")


def test_signatures_of_version_1_in_the_documentation() -> None:
    """Those of help.aliyun.com/document_detail/31951.html, and one of its kind in a URL."""
    key = Credentials("44CF9590006BF252F707", "OtxrzxIsfpFjA7SwPzILwy8Bw21TLhquhboDYROV")
    headers = {"Content-Md5": "ODBGOERFMDMzQTczRUY3NUE3NzA5QzdFNUYzMDQxNEM=", "Content-Type": "text/html"}
    headers |= {"X-OSS-Meta-Author": "foo@bar.com", "X-OSS-Magic": "abracadabra"}
    at = datetime(2005, 11, 17, 18, 49, 58, tzinfo=UTC)
    sent = OSSV1Signer().sign(Unsigned("PUT", "oss-example", "nelson", {}, headers), key, at)
    assert sent["date"] == "Thu, 17 Nov 2005 18:49:58 GMT"
    assert sent["authorization"] == "OSS 44CF9590006BF252F707:26NBxoKdsyly4EDv6inkoDft/yA="
    at = datetime.fromtimestamp(1141889060, UTC)
    query = OSSV1Signer().presign(Unsigned("GET", "oss-example", "oss-api.pdf"), key, at, 60)
    assert dict(parse_qsl(query))["Signature"] == "EwaNTn1erJGkimiJ9WmXgwnANLc="


def test_a_path_and_a_query_can_be_read_back() -> None:
    rng = random.Random(1)
    for _ in range(500):
        key, params = odd_text(rng, 8), {odd_text(rng, 2): odd_text(rng, 3) for _ in range(3)}
        assert unquote(canonical_path("bucket", key)) == f"/bucket/{key}"
        assert dict(parse_qsl(query_string(params), keep_blank_values=True)) == params
    assert (canonical_path("", ""), canonical_path("bucket", "")) == ("/", "/bucket/")
    assert query_string({"uploads": "", "b": None, "a": "/"}) == "a=%2F&b&uploads"


KEY = Credentials("LTAI0", "hush", "whisper")
SIGNERS: list[Signer] = [OSSV1Signer(), OSSV4Signer("cn-hangzhou")]


@pytest.mark.parametrize("signer", SIGNERS)
@pytest.mark.parametrize(
    "request_",
    [
        *(Unsigned("PUT", "b", "k", {}, {"x-oss-meta-a": f"a{bad}b"}) for bad in "\r\n\0\v\x1b\x7f\ud800"),
        *(Unsigned("PUT", "b", "k", {}, {f"x-oss{bad}": "a"}) for bad in ("\r\n", "\n", "\0", ":", " ", "é", "\t")),
        Unsigned("PUT", "b", "k", {}, {"": "a"}),
        Unsigned("PUT", "b", "k", {}, {"unsigned": "a\r\nx-oss-acl: public-read"}),
        Unsigned("PUT", "b", "k", {}, {"x-oss-acl": "private", "X-OSS-ACL": "public-read"}),
        *(Unsigned(method, "b", "k") for method in ("GET /\r\n", "get", "", "PUT ")),
        Unsigned("PUT", "b", "lone \ud800"),
        Unsigned("PUT", "", "key without a bucket"),
    ],
)
def test_what_cannot_be_sent_as_it_is_is_refused(signer: Signer, request_: Unsigned) -> None:
    with pytest.raises(ValueError, match=r"."):
        signer.sign(request_, KEY, START)
    with pytest.raises(ValueError, match=r"."):
        signer.presign(request_, KEY, START, 60)


@pytest.mark.parametrize("signer", SIGNERS)
def test_a_time_without_a_zone_and_a_url_without_an_end_are_refused(signer: Signer) -> None:
    with pytest.raises(ValueError, match="zone"):
        signer.sign(Unsigned("GET", "b", "k"), KEY, START.replace(tzinfo=None))
    with pytest.raises(ValueError, match="second"):
        signer.presign(Unsigned("GET", "b", "k"), KEY, START, 0)


def test_urls_that_no_store_would_take_are_refused() -> None:
    with pytest.raises(ValueError, match="604800"):
        OSSV4Signer("cn-hangzhou").presign(Unsigned("GET", "b", "k"), KEY, START, 604_801)
    with pytest.raises(ValueError, match="x-oss-date"):
        OSSV1Signer().presign(Unsigned("GET", "b", "k", {}, {"X-Oss-Date": ""}), KEY, START, 60)


@pytest.mark.parametrize("scope", [("",), ("cn/hangzhou",), ("cn\n",), ("cn-hangzhou", ""), ("cn-hangzhou", "oss,")])
def test_a_scope_that_would_come_apart_is_refused(scope: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="region"):
        OSSV4Signer(*scope)


@pytest.mark.parametrize(
    "parts", [("", "s"), ("a\r\n", "s"), ("a/b", "s"), ("a", ""), ("a", "hush\n"), ("a", "hush", "t\n")]
)
def test_credentials_are_refused_without_being_shown(parts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"access key|security token") as refused:
        Credentials(*parts)
    assert "hush" not in str(refused.value)


def test_credentials_do_not_show_their_secrets() -> None:
    assert repr(KEY) == str(KEY) == "Credentials(access_key_id='LTAI0')"


@pytest.mark.parametrize("signer", SIGNERS)
def test_a_request_signed_again_is_sent_with_one_signature(signer: Signer) -> None:
    request = Unsigned("PUT", "b", "k", {"acl": None}, {"X-Oss-Acl": "private"})
    once = signer.sign(request, KEY, START)
    later = START + timedelta(days=1)
    assert request == Unsigned("PUT", "b", "k", {"acl": None}, {"X-Oss-Acl": "private"})
    assert signer.sign(request._replace(headers=once), KEY, later) == signer.sign(request, KEY, later) != once


def test_the_key_of_a_day_is_derived_once(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = derivations(monkeypatch)
    signer = OSSV4Signer("cn-hangzhou")
    for credentials in (KEY, KEY, Credentials("LTAI0", "hush", "whisper")):
        signer.sign(Unsigned("PUT", "b", "k"), credentials, START)
    assert len(secrets) == 1
