"""What needs no connection: heads, failures, proxies, settings."""

from __future__ import annotations

from typing import Any

import pycurl
import pytest

from storage_guard.driver import Busy, Lost, Refused, Signal
from storage_guard.wire.heads import MAX_HEADERS, Head, parse
from storage_guard.wire.meanings import failure
from storage_guard.wire.messages import Answer, Request, bare, lines_of, origin_of
from storage_guard.wire.proxies import Proxy, proxy_of
from storage_guard.wire.routes import certificates_of
from storage_guard.wire.settings import Settings

NOT_SENT: dict[int, type[Signal]] = {
    pycurl.E_COULDNT_RESOLVE_HOST: Busy,
    pycurl.E_COULDNT_RESOLVE_PROXY: Busy,
    pycurl.E_COULDNT_CONNECT: Busy,
    pycurl.E_OPERATION_TIMEDOUT: Busy,
    pycurl.E_SSL_CONNECT_ERROR: Busy,
    pycurl.E_RECV_ERROR: Busy,
    pycurl.E_SEND_ERROR: Busy,
    pycurl.E_OUT_OF_MEMORY: Busy,
    pycurl.E_PEER_FAILED_VERIFICATION: Refused,
    pycurl.E_SSL_CACERT_BADFILE: Refused,
    pycurl.E_SSL_CERTPROBLEM: Refused,
    pycurl.E_SSL_ISSUER_ERROR: Refused,
    pycurl.E_URL_MALFORMAT: Refused,
    pycurl.E_UNSUPPORTED_PROTOCOL: Refused,
}


@pytest.mark.parametrize("code", NOT_SENT)
def test_a_failure_is_definite_only_if_nothing_was_sent(code: int) -> None:
    assert type(failure(code, "text", "put of 'k'", begun=False)) is NOT_SENT[code]
    assert type(failure(code, "text", "put of 'k'", begun=True)) is Lost


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("TLS connect error: error:0A00010B:SSL routines::wrong version number", Refused),
        ("TLS connect error: error:0A00042E:SSL routines::tlsv1 alert protocol version", Refused),
        ("TLS connect error: error:00000000:lib(0)::reason(0)", Busy),
        ("TLS connect error: error:0A000126:SSL routines::unexpected eof while reading", Busy),
    ],
)
def test_who_speaks_no_tls_will_not_tomorrow(text: str, kind: type[Signal]) -> None:
    assert type(failure(pycurl.E_SSL_CONNECT_ERROR, text, "a", begun=False)) is kind
    assert type(failure(pycurl.E_SSL_CONNECT_ERROR, text, "a", begun=True)) is Lost


def test_every_failure_after_the_beginning_is_doubt() -> None:
    codes = {getattr(pycurl, name) for name in dir(pycurl) if name.startswith("E_") and "MULTI" not in name}
    assert {type(failure(code, "", "a", begun=True)) for code in codes} == {Lost}


@pytest.mark.parametrize(("status", "kind"), [(407, Refused), (403, Refused), (502, Busy), (0, Busy)])
def test_what_a_proxy_says_to_a_tunnel(status: int, kind: type[Signal]) -> None:
    assert type(failure(pycurl.E_RECV_ERROR, "", "a", begun=False, tunnel_status=status)) is kind


def test_the_last_head_counts() -> None:
    lines = [
        *(b"HTTP/1.1 200 Connection established\r\n", b"Via: p\r\n", b"\r\n", b"HTTP/1.1 100 Continue\r\n", b"\r\n"),
        *(b"HTTP/1.1 201 C: d\r\n", b"A:b\r\n", b'ETag:  "x: y" \r\n', b"Content-Length: 0\r\n", b"\r\n"),
        *(b"X-Trailer: t\r\n", b"HTTPish: t\r\n"),
    ]
    assert parse(lines, "PUT") == Head(
        201, {"a": "b", "etag": '"x: y"', "content-length": "0"}, closes=False, delimited=True
    )


@pytest.mark.parametrize(
    ("lines", "method", "closes", "delimited"),
    [
        ([b"HTTP/1.1 200 OK\r\n", b"\r\n"], "GET", False, False),
        ([b"HTTP/1.1 200 OK\r\n", b"\r\n"], "HEAD", False, True),
        ([b"HTTP/1.1 204 OK\r\n", b"\r\n"], "DELETE", False, True),
        ([b"HTTP/1.1 304\r\n", b"\r\n"], "GET", False, True),
        ([b"HTTP/1.0 200 OK\r\n", b"Content-Length: 1\r\n", b"\r\n"], "GET", True, True),
        ([b"HTTP/1.1 200 OK\r\n", b"connection: Close\r\n", b"Content-Length: 1\r\n", b"\r\n"], "GET", True, True),
        ([b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n"], "GET", False, True),
    ],
)
def test_where_an_answer_ends(lines: list[bytes], method: str, closes: bool, delimited: bool) -> None:
    head = parse(lines, method)
    assert (head.closes, head.delimited) == (closes, delimited)


@pytest.mark.parametrize(
    "lines",
    [
        *([], [b"\r\n"], [b"HTTP/1.1 200 OK\r\n"], [b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"], [b"HTTP/2 200\r\n", b"\r\n"]),
        *([b"HTTP/1.1 20x OK\r\n", b"\r\n"], [b"HTTP/1.1 100 C\r\n", b"\r\n"], [b"HTTP/1.1 600 C\r\n", b"\r\n"]),
        [b"HTTP/1.1 200 OK\r\n", b"no colon\r\n", b"\r\n"],
        [b"HTTP/1.1 100 C\r\n", b"\r\n", b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"],
        [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n"],
        [b"HTTP/1.1 200 OK\r\n", *[b"A: b\r\n"] * MAX_HEADERS, b"\r\n"],
    ],
)
def test_a_head_that_is_not_whole_or_has_two_meanings(lines: list[bytes]) -> None:
    with pytest.raises(Lost):
        parse(lines, "GET")


def test_urls_without_their_secrets() -> None:
    assert bare("https://user:pw@h:1/a/b?Signature=s#f") == "https://h:1/a/b"
    assert bare("http://h?Signature=s") == "http://h"
    assert repr(Request("GET", "http://h/k?s", {"A": "s"}, b"s")) == "Request(GET http://h/k)"
    assert repr(Answer(200, {"A": "s"}, b"s")) == "Answer(200, 1 bytes)"


def test_the_origin_of_a_url() -> None:
    assert origin_of("https://b.h-1.com:8443/k%20?a=b&c=%2F") == "https://b.h-1.com:8443"
    assert origin_of("http://[::1]:80/") == "http://[::1]:80"
    assert origin_of("http://h") == "http://h"


def test_the_lines_of_a_request() -> None:
    request = Request("PUT", "http://h/k", {"A": "b", "B": "", "Content-Type": "c/d", "Content-Length": "3"})
    assert lines_of(request, 3) == ["Expect:", "Accept:", "A: b", "B;", "Content-Type: c/d"]
    assert lines_of(request._replace(headers={}), 3) == ["Expect:", "Accept:", "Content-Type:"]


@pytest.mark.parametrize(
    ("no_proxy", "host", "exempt"),
    [
        *(("*", "a.b", True), ("a.b", "a.b", True), (".a.b", "a.b", True), ("a.b", "x.a.b", True)),
        *(("a.b", "xa.b", False), ("b, A.B ,c", "a.b", True), ("a.b:81", "a.b:81", True), ("a.b:82", "a.b:81", False)),
        *(("10.0.0.0/8", "10.1.2.3", True), ("10.0.0.0/8", "11.1.2.3", False), ("10.0.0.1", "10.0.0.1", True)),
        *(("", "a.b", False), (" , ,", "a.b", False), ("fe80::/10", "[fe80::1]", True), ("10.0.0.0/8", "a.10", False)),
    ],
)
def test_hosts_that_no_proxy_names(no_proxy: str, host: str, exempt: bool) -> None:
    environment = {"http_proxy": "http://p:1", "NO_PROXY": no_proxy}
    assert (proxy_of(f"http://{host}", Settings(), environment) is None) == exempt


def test_the_most_particular_proxy_is_taken() -> None:
    given = {"https://h": "http://one", "https": "http://two", "all://h": "http://three", "all": "http://four"}
    for origin, url in (("https://h:1", "one"), ("https://i", "two"), ("http://h", "three"), ("http://i", "four")):
        assert proxy_of(origin, Settings(proxies=given), {}) == Proxy(f"http://{url}")
    assert proxy_of("http://h", Settings(fallback_proxies={"http": "http://one"}), {"http_proxy": "two:1"}) == Proxy(
        "http://two:1"
    )
    # What a client of a CGI program sent as its header "Proxy".
    assert proxy_of("http://h", Settings(), {"HTTP_PROXY": "http://evil", "REQUEST_METHOD": "GET"}) is None


def test_a_proxy_keeps_its_credentials_to_itself() -> None:
    found = proxy_of("http://h", Settings(proxies={"all": "socks5h://u%40:p%3A@p.example:1080/"}), {})
    assert found == Proxy("socks5h://p.example:1080", "u@", "p:")
    assert "p:" not in repr(found)
    for bad in ("ftp://u:secret@h", "http://", "http://u:secret@h:port", "http://h\r\nX: secret"):
        with pytest.raises(Refused) as caught:
            proxy_of("http://h", Settings(proxies={"all": bad}), {})
        assert "secret" not in str(caught.value)


def test_certificates_are_those_that_are_named_first() -> None:
    environment = {"SSL_CERT_FILE": "/three", "CURL_CA_BUNDLE": "/two", "REQUESTS_CA_BUNDLE": "/one"}
    assert certificates_of(Settings(ca="/mine"), environment) == "/mine"
    assert certificates_of(Settings(), environment) == "/one"
    assert certificates_of(Settings(trust_env=False), environment) not in ("/one", "/two", "/three")


@pytest.mark.parametrize(
    "wrong",
    [
        *({"connect_timeout_s": 0}, {"idle_timeout_s": -1}, {"total_timeout_s": 0.0}, {"keep_idle_s": float("inf")}),
        *({"connect_timeout_s": float("nan")}, {"pool_size": -1}, {"user_agent": "a\r\nb"}, {"user_agent": ""}),
        {"client_key": "/k"},
    ],
)
def test_settings_that_are_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)
