# pyright: reportPrivateUsage=false
"""From a name to a connection, within its time."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from storage_guard.driver import Busy
from storage_guard.wire import addresses
from storage_guard.wire.addresses import Addresses
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


def test_the_next_address_is_tried_where_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(lambda heard: OK) as server:
        resolving(monkeypatch, "127.0.0.9", "127.0.0.1")
        answer = Transport(Settings()).exchange(Request("GET", f"http://two.invalid:{server.port}/k", {}))
        assert answer.status == 200


def test_the_next_address_is_tried_beside_one_that_is_silent(monkeypatch: pytest.MonkeyPatch, full: int) -> None:
    listener = socket.create_server(("127.0.0.8", full))
    with listener:
        resolving(monkeypatch, "127.0.0.7", "127.0.0.8")
        began_s = time.monotonic()
        found = Addresses().connect("two.invalid", full, began_s + 20)
        assert time.monotonic() - began_s < 10  # about a quarter of a second; otherwise all the time would have gone
        assert found.getpeername()[0] == "127.0.0.8"
        found.close()


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
    over.set()


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
    opened: list[socket.socket] = []
    real = addresses._Socket

    def noting(*arguments: Any) -> socket.socket:
        opened.append(real(*arguments))
        return opened[-1]

    monkeypatch.setattr(addresses, "_Socket", noting)
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
