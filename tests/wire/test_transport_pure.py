"""What needs no connection: heads, failures, proxies, settings."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from storage_guard.driver import Busy, Lost, Refused, Signal
from storage_guard.wire.heads import MAX_HEADERS, Head, parse
from storage_guard.wire.meanings import tunnel_refused, unconnected
from storage_guard.wire.messages import Answer, Request, bare, head_of, split
from storage_guard.wire.proxies import Proxy, proxy_of
from storage_guard.wire.routes import certificates_of
from storage_guard.wire.settings import Settings


def failed(kind: type[ssl.SSLError], reason: str) -> ssl.SSLError:
    exc = kind(1, f"[SSL: {reason}] in words")
    exc.reason = reason
    return exc


UNCONNECTED: list[tuple[OSError, type[Signal]]] = [
    (ConnectionRefusedError(111, "Connection refused"), Busy),
    (TimeoutError("no connection in time"), Busy),
    (socket.gaierror(-2, "Name or service not known"), Busy),
    (OSError(24, "Too many open files"), Busy),
    (failed(ssl.SSLEOFError, "UNEXPECTED_EOF_WHILE_READING"), Busy),
    (failed(ssl.SSLError, "TLSV1_ALERT_INTERNAL_ERROR"), Busy),
    (failed(ssl.SSLCertVerificationError, "CERTIFICATE_VERIFY_FAILED"), Refused),
    (failed(ssl.SSLError, "WRONG_VERSION_NUMBER"), Refused),
    (failed(ssl.SSLError, "TLSV1_ALERT_PROTOCOL_VERSION"), Refused),
    (failed(ssl.SSLError, "SSLV3_ALERT_HANDSHAKE_FAILURE"), Refused),
]


@pytest.mark.parametrize(("exc", "kind"), UNCONNECTED, ids=lambda each: getattr(each, "reason", None))
def test_without_a_connection_nothing_was_sent_and_some_will_not_be_better_tomorrow(
    exc: OSError, kind: type[Signal]
) -> None:
    found = unconnected(exc, "put of 'k'")
    assert type(found) is kind
    assert found.message.startswith(f"put of 'k': {exc}: ")
    assert "nothing was sent" in found.message


def test_a_failure_without_words_is_told_by_its_name() -> None:
    assert unconnected(TimeoutError(), "a").message == "a: TimeoutError: nothing was sent"


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        *((status, Refused, "wants credentials") for status in (401, 407)),
        (403, Refused, "opens no tunnel there"),
        *((status, Busy, "opened no tunnel") for status in (400, 402, 404, 408, 502)),
    ],
)
def test_what_a_proxy_says_to_a_tunnel(status: int, kind: type[Signal], words: str) -> None:
    found = tunnel_refused(status, "a")
    assert (type(found), found.status) == (kind, status)
    assert words in found.message
    assert "nothing was sent" in found.message


def test_a_head_is_its_status_and_its_headers() -> None:
    head = b'HTTP/1.1 201 C: d\r\nA:b\r\nETag:  "x: y" \r\nContent-Length: 0'
    assert parse(head, "PUT") == Head(
        201, {"a": "b", "etag": '"x: y"', "content-length": "0"}, closes=False, body_bytes=0
    )


@pytest.mark.parametrize(
    ("head", "method", "closes", "body_bytes"),
    [
        (b"HTTP/1.1 200 OK", "GET", False, -1),
        (b"HTTP/1.1 200 OK", "HEAD", False, 0),
        (b"HTTP/1.1 204 OK", "DELETE", False, 0),
        (b"HTTP/1.1 304", "GET", False, 0),
        (b"HTTP/1.1 304 -\r\nContent-Length: 7", "GET", False, 0),
        (b"HTTP/1.1 100 -", "PUT", False, 0),
        (b"HTTP/1.1 599 -\r\nContent-Length: 1", "GET", False, 1),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1", "GET", True, 1),
        (b"HTTP/1.1 200 OK\r\nconnection: Close\r\nContent-Length: 1", "GET", True, 1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", "GET", False, None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", "HEAD", False, 0),
    ],
)
def test_where_an_answer_ends(head: bytes, method: str, closes: bool, body_bytes: int | None) -> None:
    found = parse(head, method)
    assert (found.closes, found.body_bytes) == (closes, body_bytes)


@pytest.mark.parametrize(
    "head",
    [
        *(b"", b"HTTP/2 200", b"HTTP/1.2 200", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 20x OK", b"HTTP/1.1 2000 OK"),
        *(b"HTTP/1.1 600 C", b"HTTP/1.1 099 C", b"HTTP/1.1 101 S", b"HTTP/1.1\t200 OK", b" HTTP/1.1 200 OK"),
        b"HTTP/1.1 200 OK\r\nno colon",
        b"HTTP/1.1 200 OK\r\n: no name",
        b"HTTP/1.1 200 OK\r\nA: b\r\n continued: here",
        b"HTTP/1.1 200 OK\r\nContent-Length : 1",
        b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 1",
        b"HTTP/1.1 200 OK\r\nA: b\rContent-Length: 1",
        b"HTTP/1.1 200 OK\r\nA: \0",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1",
        *(
            b"HTTP/1.1 200 OK\r\nContent-Length: " + length
            for length in (b"", b"+1", b"-1", b"0x1", b"1" * 20, b"\xb2")
        ),
        *(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + coding for coding in (b"gzip", b"gzip, chunked", b"")),
        b"HTTP/1.1 200 OK" + b"\r\nA: b" * (MAX_HEADERS + 1),
    ],
)
def test_a_head_that_is_none_or_has_two_meanings(head: bytes) -> None:
    with pytest.raises(Lost):
        parse(head, "GET")


def test_a_head_may_have_as_many_headers_as_is_said() -> None:
    assert len(parse(b"HTTP/1.1 204 -" + b"\r\nA: b" * MAX_HEADERS, "GET").headers["a"]) == 3 * MAX_HEADERS - 2


def test_urls_without_their_secrets() -> None:
    assert bare("https://user:pw@h:1/a/b?Signature=s#f") == "https://h:1/a/b"
    assert bare("http://h?Signature=s") == "http://h"
    assert repr(Request("GET", "http://h/k?s", {"A": "s"}, b"s")) == "Request(GET http://h/k)"
    assert repr(Answer(200, {"A": "s"}, b"s")) == "Answer(200, 1 bytes)"


def test_the_origin_of_a_url() -> None:
    assert split("https://b.h-1.com:8443/k%20?a=b&c=%2F") == ("https://b.h-1.com:8443", "/k%20?a=b&c=%2F")
    assert split("http://[::1]:80/") == ("http://[::1]:80", "/")
    assert split("http://h") == ("http://h", "/")
    assert split("http://h?a") == ("http://h", "/?a")


def test_the_head_of_a_request() -> None:
    request = Request("PUT", "http://h/k", {"A": "b", "B": "", "Content-Type": "c/d", "Content-Length": "3"})
    assert head_of(request, "/k", "h", 3, agent="me", more="P: q\r\n") == (
        b"PUT /k HTTP/1.1\r\nHost: h\r\nUser-Agent: me\r\nP: q\r\n"
        b"A: b\r\nB: \r\nContent-Type: c/d\r\nContent-Length: 3\r\n\r\n"
    )
    bare = request._replace(method="GET", headers={"host": "signed", "user-agent": "signed too"})
    assert head_of(bare, "/", "h", 0, agent="me") == b"GET / HTTP/1.1\r\nHost: signed\r\nUser-Agent: signed too\r\n\r\n"


def test_a_header_that_cannot_be_sent_is_named_and_its_value_is_not() -> None:
    request = Request("PUT", "http://h/k", {"Good": "a", "Bad": "secret\n"})
    with pytest.raises(Refused, match="'Bad'") as caught:
        head_of(request, "/k", "h", 0, agent="me")
    assert "secret" not in str(caught.value)


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


SOCKS = ("socks4://u:secret@h:1080", "socks5h://u:secret@h:1080")


def test_a_proxy_keeps_its_credentials_to_itself() -> None:
    found = proxy_of("http://h", Settings(proxies={"all": "https://u%40:p%3A@p.example:1080/"}), {})
    assert found == Proxy("https://p.example:1080", "u@", "p:")
    assert "p:" not in repr(found)
    for bad in (
        "ftp://u:secret@h",
        "socks5h://u:secret@h:1080",
        "http://",
        "http://u:secret@h:port",
        "http://h\r\nX: secret",
    ):
        with pytest.raises(Refused) as caught:
            proxy_of("http://h", Settings(proxies={"all": bad}), {})
        assert "secret" not in str(caught.value)


def test_certificates_are_those_that_are_named_first() -> None:
    environment = {"SSL_CERT_FILE": "/three", "CURL_CA_BUNDLE": "/two", "REQUESTS_CA_BUNDLE": "/one"}
    assert certificates_of(Settings(ca="/mine"), environment) == "/mine"
    assert certificates_of(Settings(), environment) == "/one"
    assert certificates_of(Settings(trust_env=False), environment) not in ("/one", "/two", "/three")


@pytest.mark.parametrize("there", [["/etc/ssl/ca-bundle.pem", "/etc/ssl/certs"], ["/etc/ssl/certs"], []])
def test_certificates_are_looked_for_where_systems_have_them(there: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.exists", there.__contains__)
    assert certificates_of(Settings(), {}) == next(iter(there), None)


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
