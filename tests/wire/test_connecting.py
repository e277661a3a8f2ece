# pyright: reportPrivateUsage=false
"""From a name to a connection, within its time."""

from __future__ import annotations

import base64
import errno
import gc
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage_guard.driver import Busy, Refused
from storage_guard.wire import addresses
from storage_guard.wire.addresses import Addresses
from storage_guard.wire.connecting import Origin
from storage_guard.wire.messages import Request
from storage_guard.wire.settings import Settings
from storage_guard.wire.tls import Secured
from storage_guard.wire.transport import Transport
from wire.scripted import OK, certificate, closed_port, resolving, scripted, tunnelling

SECRET = base64.b64encode(b"user:p@ss")


@pytest.fixture
def full() -> Any:
    """An address at which nothing is answered: a listener whose queue is full."""
    listener = socket.create_server(("127.0.0.7", 0), backlog=0)
    port = listener.getsockname()[1]
    waiting: list[socket.socket] = []
    for _ in range(4):
        sock = socket.socket()
        sock.settimeout(0)
        sock.connect_ex(("127.0.0.7", port))
        waiting.append(sock)
    yield port
    for each in [*waiting, listener]:
        each.close()


def noted(
    patch: pytest.MonkeyPatch, connect_ex: Callable[[socket.socket, Any], int] = socket.socket.connect_ex
) -> list[socket.socket]:
    """Every socket that connects from now on, in this way."""
    opened: list[socket.socket] = []

    class Noted(addresses._Socket):
        def connect_ex(self, address: Any, /) -> int:
            opened.append(self)
            return connect_ex(self, address)

    patch.setattr(addresses, "_Socket", Noted)
    return opened


def test_an_origin_has_a_port_and_a_name_for_a_tunnel() -> None:
    assert Origin.of("http://h") == Origin("http", "h", 80)
    assert Origin.of("https://h") == Origin("https", "h", 443)
    assert Origin.of("https://h:65535").netloc == "h:65535"
    assert Origin.of("https://[::1]").netloc == "[::1]:443"


@pytest.mark.parametrize("proxies", [{}, {"http": "http://b..invalid:1"}])
def test_what_is_no_name_is_told(proxies: dict[str, str]) -> None:
    what = "b..invalid" if proxies else "a..invalid"
    with pytest.raises(Refused, match=re.escape(f"'{what}' is no host")) as caught:
        Transport(Settings(proxies=proxies)).exchange(Request("PUT", "http://a..invalid/k", {}, b"x"))
    assert caught.value.why == "request"


def test_a_connection_does_not_wait_and_sends_at_once_and_is_kept_alive() -> None:
    with (
        scripted(lambda heard: OK) as server,
        Addresses().connect("127.0.0.1", server.port, time.monotonic() + 10) as found,
    ):
        assert found.gettimeout() == 0
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_the_next_address_is_tried_where_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(lambda heard: OK) as server:
        resolving(monkeypatch, "127.0.0.9", "127.0.0.1")
        answer = Transport(Settings()).exchange(Request("GET", f"http://two.invalid:{server.port}/k", {}))
        assert answer.status == 200


def test_the_next_address_is_tried_beside_one_that_is_silent(monkeypatch: pytest.MonkeyPatch, full: int) -> None:
    listener = socket.create_server(("127.0.0.8", full))
    opened = noted(monkeypatch)
    with listener:
        resolving(monkeypatch, "127.0.0.7", "127.0.0.8")
        began_s = time.monotonic()
        found = Addresses().connect("two.invalid", full, began_s + 20)
        assert 0.2 < time.monotonic() - began_s < 10  # a quarter of a second; otherwise all the time would have gone
        assert found.getpeername()[0] == "127.0.0.8"
        assert [sock.fileno() for sock in opened] == [-1, found.fileno()]
        found.close()


def test_one_that_refuses_does_not_end_the_wait_for_one_that_is_silent(
    monkeypatch: pytest.MonkeyPatch, full: int
) -> None:
    resolving(monkeypatch, "127.0.0.7", "127.0.0.9")
    with pytest.raises(TimeoutError, match="in time"):
        Addresses().connect("two.invalid", full, time.monotonic() + 0.5)


def test_where_an_address_fails_at_once_the_reason_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = noted(monkeypatch, lambda sock, address: errno.ENETUNREACH)
    began_s = time.monotonic()
    with pytest.raises(OSError, match="unreachable") as caught:
        Addresses().connect("127.0.0.1", 1, began_s + 20)
    assert caught.value.errno == errno.ENETUNREACH
    assert time.monotonic() - began_s < 10
    assert [sock.fileno() for sock in opened] == [-1]


def test_an_interruption_leaves_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    opened = noted(monkeypatch, interrupted)
    with pytest.raises(KeyboardInterrupt):
        Addresses().connect("127.0.0.1", 1, time.monotonic() + 20)
    assert [sock.fileno() for sock in opened] == [-1]


def test_an_address_may_answer_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def waiting(sock: socket.socket, address: Any) -> int:
        sock.settimeout(10)
        code = socket.socket.connect_ex(sock, address)
        sock.settimeout(0)
        return code

    noted(monkeypatch, waiting)
    with scripted(lambda heard: OK) as server:
        Addresses().connect("127.0.0.1", server.port, time.monotonic() + 10).close()


def test_a_connection_that_is_forgotten_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Addresses().connect("127.0.0.1", listener.getsockname()[1], time.monotonic() + 10)
        peer, _ = listener.accept()
        del found
        gc.collect()
        with peer:
            peer.settimeout(10)
            assert peer.recv(1) == b""


def test_silence_at_all_addresses_ends_in_time(monkeypatch: pytest.MonkeyPatch, full: int) -> None:
    resolving(monkeypatch, "127.0.0.7", "127.0.0.7")
    with pytest.raises(Busy, match="in time"):
        Transport(Settings(connect_timeout_s=0.4)).exchange(Request("PUT", f"http://two.invalid:{full}/k", {}, b"x"))


def test_a_name_that_nobody_tells_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    resolving(monkeypatch, "127.0.0.1", wait=over)
    began_s = time.monotonic()
    with pytest.raises(Busy, match="in time"):
        Transport(Settings(connect_timeout_s=0.2)).exchange(Request("PUT", "http://slow.invalid/k", {}, b"x"))
    assert time.monotonic() - began_s < 10
    # Nor when the process ends.
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "storage-guard-name"] == [True]
    over.set()


def test_a_name_that_there_is_not_is_told_as_it_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "nobody knows it")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(socket.gaierror, match="nobody knows it"):
        Addresses().connect("nobody.invalid", 1, time.monotonic() + 10)


def test_a_name_is_asked_for_once_in_a_while_and_an_address_never(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolving(monkeypatch, "127.0.0.1")
    found = Addresses()
    with scripted(lambda heard: OK) as server:
        for host in ("one.invalid", "one.invalid", "127.0.0.1"):
            found.connect(host, server.port, time.monotonic() + 10).close()
        assert asked == ["one.invalid"]
        monkeypatch.setattr(addresses, "_KNOWN_S", -1.0)
        for _ in range(2):
            Addresses().connect("one.invalid", server.port, time.monotonic() + 10).close()
    assert asked == ["one.invalid"] * 3


def test_no_descriptor_is_left_where_all_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = noted(monkeypatch)
    resolving(monkeypatch, "127.0.0.9", "127.0.0.10")
    with pytest.raises(ConnectionRefusedError):
        Addresses().connect("two.invalid", closed_port(), time.monotonic() + 10)
    assert [sock.fileno() for sock in opened] == [-1, -1]


def test_a_tunnel_through_a_proxy_over_tls_is_tls_in_tls(tmp_path: Path) -> None:
    made = certificate(tmp_path, "127.0.0.1")
    with scripted(lambda heard: OK, made.context) as server, tunnelling(SECRET, made.context) as proxy:
        transport = Transport(Settings(ca=made.ca, proxies={"all": f"https://user:p%40ss@127.0.0.1:{proxy.port}"}))
        for body in (b"small", b"x" * 1_000_000):
            assert transport.exchange(Request("PUT", server.url + "/k", {}, body)).status == 200
        assert [len(heard.body) for heard in server.heard] == [5, 1_000_000]
        assert len(proxy.heard) == 1


class Narrow:
    """A stream that takes and gives few bytes at a time, and blocks in between."""

    def __init__(self, sock: socket.socket, most_bytes: int) -> None:
        self._sock = sock
        self._most_bytes = most_bytes
        self._turn = 0

    def fileno(self) -> int:
        return self._sock.fileno()

    def _block(self) -> None:
        self._turn += 1
        if self._turn % 3:
            raise BlockingIOError

    def send(self, data: memoryview, /) -> int:
        self._block()
        return self._sock.send(data[: self._most_bytes])

    def recv(self, most_bytes: int, /) -> bytes:
        self._block()
        return self._sock.recv(min(most_bytes, self._most_bytes))

    def close(self) -> None:
        self._sock.close()


@pytest.mark.parametrize("most_bytes", [1, 7, 1000])
def test_tls_is_the_same_over_a_stream_that_blocks_all_the_time(tmp_path: Path, most_bytes: int) -> None:
    made = certificate(tmp_path, "127.0.0.1")
    data = bytes(range(256)) * 40 * min(most_bytes, 100)
    with scripted(lambda heard: OK, made.context) as server:
        plain = socket.create_connection(("127.0.0.1", server.port))
        plain.settimeout(0)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(made.ca)
        secured = Secured(Narrow(plain, most_bytes), context, "127.0.0.1")
        secured.handshake(time.monotonic() + 20)
        left = memoryview(b"PUT /k HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        while left:
            try:
                left = left[secured.send(left) :]
            except BlockingIOError:
                continue
        answer = b""
        while len(answer) < len(OK):
            try:
                answer += secured.recv(1000)
            except BlockingIOError:
                continue
        secured.close()
        assert answer == OK
        assert server.heard[0].body == data
