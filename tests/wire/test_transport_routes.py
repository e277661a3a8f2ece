"""Whom an exchange believes, and through whom it goes."""

from __future__ import annotations

import base64
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage_guard.body import BytesBody
from storage_guard.driver import Busy, Refused
from storage_guard.wire.messages import Request
from storage_guard.wire.multi import Loop
from storage_guard.wire.routes import Routes
from storage_guard.wire.settings import Settings
from storage_guard.wire.transport import Transport
from wire.scripted import OK, Certificate, Scripted, certificate, closed_port, scripted, tunnelling

SECRET = base64.b64encode(b"user:p@ss")


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("certificates"), "127.0.0.1")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.delenv(name)


def test_a_certificate_that_is_believed(certified: Certificate) -> None:
    with scripted(lambda heard: OK, certified.context) as server:
        transport = Transport(Settings(ca=certified.ca))
        for body in (b"x", BytesBody(b"x" * 700_000)):
            assert transport.exchange(Request("PUT", server.url + "/k", {}, body)).body == b"ok"
        assert server.connections == 1


def test_a_folder_of_certificates(certified: Certificate, tmp_path: Path) -> None:
    with scripted(lambda heard: OK, certified.context) as server:
        with pytest.raises(Refused):
            Transport(Settings(ca=str(tmp_path))).exchange(Request("PUT", server.url + "/k", {}, b"x"))
        openssl = shutil.which("openssl")
        if openssl is not None:  # which alone knows the name that a certificate has in a folder
            asked = [openssl, "x509", "-hash", "-noout", "-in", certified.ca]
            name = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
            (tmp_path / f"{name}.0").symlink_to(certified.ca)
            transport = Transport(Settings(ca=str(tmp_path)))
            assert transport.exchange(Request("PUT", server.url + "/k", {}, b"x")).status == 200


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environment_may_name_certificates(
    certified: Certificate, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, certified.ca)
    with scripted(lambda heard: OK, certified.context) as server:
        request = Request("PUT", server.url + "/k", {}, b"x")
        assert Transport(Settings()).exchange(request).status == 200
        with pytest.raises(Refused):
            Transport(Settings(trust_env=False)).exchange(request)


def test_nothing_goes_to_whom_nobody_vouches_for(certified: Certificate) -> None:
    with scripted(lambda heard: OK, certified.context) as server:
        with pytest.raises(Refused) as caught:
            Transport(Settings()).exchange(Request("PUT", server.url + "/k", {}, b"x"))
        assert caught.value.why == "access"
        assert server.heard == []


def test_nothing_goes_to_whom_a_certificate_does_not_name(tmp_path: Path) -> None:
    other = certificate(tmp_path, "other.invalid")
    with scripted(lambda heard: OK, other.context) as server:
        with pytest.raises(Refused) as caught:
            Transport(Settings(ca=other.ca)).exchange(Request("PUT", server.url + "/k", {}, b"x"))
        assert caught.value.why == "access"
        assert server.heard == []


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def exclusive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Scripted, Certificate]]:
    """A server that takes only clients which it knows, and the certificate of both."""
    certified = certificate(tmp_path, "127.0.0.1")
    certified.context.verify_mode = ssl.CERT_REQUIRED
    certified.context.load_verify_locations(certified.ca)
    certified.context.maximum_version = ssl.TLSVersion[request.param]
    with scripted(lambda heard: OK, certified.context) as server:
        yield server, certified


@pytest.mark.parametrize("stranger", [False, True], ids=["none", "stranger"])
def test_a_client_whose_certificate_is_refused_is_told_at_once(
    stranger: bool, exclusive: tuple[Scripted, Certificate], tmp_path: Path
) -> None:
    server, certified = exclusive
    shown = certificate(tmp_path, "stranger.invalid").both if stranger else None
    settings = Settings(ca=certified.ca, client_cert=shown)
    # Under TLS 1.2 a server says no more than that there is no handshake, if it was shown none (RFC 5246, 7.4.6).
    told = "refuses the client's certificate, so it took no request|ALERT_HANDSHAKE_FAILURE.*nothing was sent"
    request = Request("PUT", server.url + "/k", {}, b"x")
    for _ in range(2):
        with pytest.raises(Refused, match=told):
            Transport(settings).exchange(request)
    with Loop(settings, connections=2) as loop:
        for pending in [loop.submit(request) for _ in range(4)]:
            with pytest.raises(Refused, match=told):
                pending.result(30)
    assert server.heard == []


def test_a_client_whose_certificate_is_known_is_served(exclusive: tuple[Scripted, Certificate]) -> None:
    server, certified = exclusive
    settings = Settings(ca=certified.ca, client_cert=certified.both)
    request = Request("PUT", server.url + "/k", {}, b"x")
    assert Transport(settings).exchange(request).status == 200
    with Loop(settings, connections=2) as loop:
        assert loop.submit(request).result(30).status == 200


def test_certificates_that_are_not_there(certified: Certificate, tmp_path: Path) -> None:
    none = str(tmp_path / "none")
    with scripted(lambda heard: OK, certified.context) as server:
        for settings in (Settings(ca=none), Settings(ca=certified.ca, client_cert=none)):
            with pytest.raises(Refused, match=re.escape(f"({none})")) as caught:
                Transport(settings).exchange(Request("PUT", server.url + "/k", {}, b"x"))
            assert caught.value.why == "request"


def ways(port: int, credentials: str = "") -> Iterator[tuple[Settings, dict[str, str]]]:
    """Settings, and environments, that name a proxy."""
    url = f"http://{credentials}127.0.0.1:{port}"
    yield Settings(proxies={"all": url}), {}
    yield Settings(proxies={"http": url}), {"http_proxy": "http://elsewhere.invalid"}
    yield Settings(fallback_proxies={"all://127.0.0.1": url}), {}
    yield Settings(), {"http_proxy": url}
    yield Settings(), {"ALL_PROXY": url}


@pytest.mark.parametrize("way", range(5))
def test_plain_requests_are_handed_to_the_proxy(way: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(lambda heard: OK) as proxy:
        settings, environment = list(ways(proxy.port, "user:p%40ss@"))[way]
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        transport = Transport(settings)
        url = f"http://127.0.0.1:{closed_port()}/k"
        assert transport.proxy_of(url) == f"http://127.0.0.1:{proxy.port}"
        assert transport.exchange(Request("PUT", url, {}, b"x")).status == 200
        assert proxy.heard[0].line == f"PUT {url} HTTP/1.1"
        assert f"Proxy-Authorization: Basic {SECRET.decode()}" in proxy.heard[0].head
        assert "p@ss" not in repr(settings)
        assert "p%40ss" not in repr(settings)


def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setenv("http_proxy", dead)
    with scripted(lambda heard: OK) as server:
        request = Request("PUT", server.url + "/k", {}, b"x")
        with pytest.raises(Busy):
            Transport(Settings()).exchange(request)
        assert Transport(Settings(trust_env=False)).exchange(request).status == 200
        assert Transport(Settings(proxies={"http": ""})).exchange(request).status == 200
        assert Transport(Settings(proxies={"no_proxy": "127.0.0.0/8"})).exchange(request).status == 200
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert Transport(Settings()).exchange(request).status == 200
        with pytest.raises(Busy):  # what was given comes before the environment
            Transport(Settings(proxies={"http": dead})).exchange(request)


def test_the_environment_counts_as_it_was_when_a_service_was_first_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = Routes(Settings())
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:1")
    before = routes.of("http://service.invalid/k")
    monkeypatch.setenv("http_proxy", "socks5h://proxy.invalid:1")  # which is refused
    assert routes.of("http://service.invalid/k") == before
    with pytest.raises(Refused):
        routes.of("http://another.invalid/k")


def test_a_proxy_that_wants_a_password_says_so() -> None:
    answer = b"HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=x, nonce=y\r\nContent-Length: 0\r\n\r\n"
    with scripted(lambda heard: answer) as proxy:
        transport = Transport(Settings(proxies={"all": proxy.url}))
        with pytest.raises(Refused) as caught:
            transport.exchange(Request("PUT", "http://127.0.0.1:1/k", {}, b"x"))
        assert caught.value.why == "access"
        assert len(proxy.heard) == 1


def test_a_tunnel_hides_all_from_the_proxy(certified: Certificate) -> None:
    with scripted(lambda heard: OK, certified.context) as server, tunnelling(SECRET) as proxy:
        given = {"https": f"http://user:p%40ss@127.0.0.1:{proxy.port}"}
        transport = Transport(Settings(ca=certified.ca, proxies=given))
        for _ in range(2):
            answer = transport.exchange(Request("PUT", server.url + "/k", {"Authorization": "mine"}, b"x"))
            assert (answer.status, answer.headers) == (200, {"content-length": "2"})
        assert len(proxy.heard) == 1  # and the connection is used again
        assert "mine" not in proxy.heard[0].head
        assert SECRET.decode() not in server.heard[0].head


@pytest.mark.parametrize("credentials", ["", "user:wrong@"])
def test_a_tunnel_that_is_refused_has_carried_nothing(certified: Certificate, credentials: str) -> None:
    with scripted(lambda heard: OK, certified.context) as server, tunnelling(SECRET) as proxy:
        given = {"https": f"http://{credentials}127.0.0.1:{proxy.port}"}
        transport = Transport(Settings(ca=certified.ca, proxies=given))
        with pytest.raises(Refused) as caught:
            transport.exchange(Request("PUT", server.url + "/k", {"Authorization": "mine"}, b"x"))
        assert caught.value.why == "access"
        assert server.heard == []


@pytest.mark.parametrize(
    ("answer", "words", "status"),
    [
        (b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", "opened no tunnel", 502),
        (b"HTTP/1.1 199 No\r\n\r\nHTTP/1.1 300 No\r\n\r\n", "opened no tunnel", 300),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the proxy's answer is none", None),
        (None, "the proxy opened no tunnel", None),
        (b"", "the proxy opened no tunnel in time", None),
        (b"HTTP/1.1 200 Y", "the proxy opened no tunnel in time", None),
    ],
    ids=str,
)
def test_a_tunnel_that_does_not_come_about_has_carried_nothing(
    answer: bytes | None, words: str, status: int | None
) -> None:
    with scripted(lambda heard: answer) as proxy:
        transport = Transport(Settings(connect_timeout_s=0.3, proxies={"all": proxy.url}))
        with pytest.raises(Busy, match=f"{words}: nothing was sent" if status else words) as caught:
            transport.exchange(Request("PUT", "https://host.invalid/k", {"Authorization": "mine"}, b"x"))
        assert caught.value.status == status
        assert [heard.head for heard in proxy.heard] == [
            "CONNECT host.invalid:443 HTTP/1.1\r\nHost: host.invalid:443\r\n"
        ]


def test_a_proxy_that_is_not_there_has_carried_nothing() -> None:
    for scheme in ("http", "https"):
        transport = Transport(Settings(proxies={"all": f"{scheme}://127.0.0.1:{closed_port()}"}))
        with pytest.raises(Busy):
            transport.exchange(Request("PUT", "https://host.invalid/k", {}, b"x"))
    with pytest.raises(Busy):
        Transport(Settings(proxies={"all": "proxy.invalid"})).exchange(Request("PUT", "http://h.invalid/k", {}, b"x"))
