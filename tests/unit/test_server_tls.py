"""The server behind TLS: the same requests, and the same faults."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from storage_guard.testing.server import (
    Cue,
    Link,
    Server,
    cut_after_acting,
    cut_in_answer,
    cut_in_request,
    running,
)
from unit.certificates import CERTIFICATE, server_tls
from unit.small_dialect import SmallDialect, get, put

T = TypeVar("T")


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    return server_tls(tmp_path)[0]


@pytest.fixture
def small() -> SmallDialect:
    return SmallDialect()


@pytest.fixture
def server(small: SmallDialect, tls: ssl.SSLContext) -> Iterator[Server]:
    with running(small, tls=tls) as server:
        yield server


class Secured:
    """A client that tells a reset from an end, which `ssl.SSLSocket` does not."""

    def __init__(self, sock: socket.socket, name: str) -> None:
        self._sock = sock
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cadata=CERTIFICATE)
        self._tls = context.wrap_bio(self._came, self._goes, server_hostname=name)
        self._until_done(self._tls.do_handshake)

    def send(self, data: bytes) -> None:
        self._until_done(lambda: self._tls.write(data))

    def rest(self) -> bytes:
        """Everything up to the end, as TLS has it or not. A reset raises ConnectionResetError."""
        got = bytearray()
        with contextlib.suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError):
            while data := self.some():
                got += data
        return bytes(got)

    def some(self) -> bytes:
        return self._until_done(lambda: self._tls.read(1 << 16))

    def _until_done(self, step: Callable[[], T]) -> T:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._sock.sendall(self._goes.read())
                data = self._sock.recv(1 << 16)
                if data:
                    self._came.write(data)
                else:
                    self._came.write_eof()
            else:
                self._sock.sendall(self._goes.read())
                return done


@contextlib.contextmanager
def secured(server: Server) -> Generator[Secured]:
    with socket.create_connection((server.host, server.port), timeout=20) as sock:
        yield Secured(sock, server.host)


def test_a_client_reads_what_it_wrote(server: Server, small: SmallDialect) -> None:
    context = ssl.create_default_context(cadata=CERTIFICATE)
    connection = http.client.HTTPSConnection(server.host, server.port, timeout=20, context=context)
    large = os.urandom(3_000_000)
    for name, body in {"empty": b"", "large": large}.items():
        connection.request("PUT", f"/{name}", body)
        assert connection.getresponse().read() == b""
        connection.request("GET", f"/{name}")
        assert connection.getresponse().read() == body
    connection.close()
    assert server.url.startswith("https://")
    assert all(request.secure for request in small.requests)


def test_a_connection_ends_as_tls_has_it(server: Server) -> None:
    with secured(server) as sock:
        sock.send(put("k", b"data", "Connection: close"))
        assert sock.rest().startswith(b"HTTP/1.1 200 OK\r\n")


def exchange(sock: Secured, sent: bytes) -> bytes:
    sock.send(sent)
    return sock.rest()


def test_cuts_are_felt_through_tls(server: Server, small: SmallDialect) -> None:
    small.objects["large"] = bytes(500_000)
    for cut, sent in [
        (cut_after_acting(), put("a")),
        (cut_in_request(), put("b", bytes(500_000))),
        (cut_in_answer(), get("large")),
    ]:
        server.cues.add(Cue(cut))
        with secured(server) as sock:
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                exchange(sock, sent)
    server.cues.add(Cue(cut_in_answer(1000, reset=False)))
    with secured(server) as sock:
        sock.send(get("large"))
        assert len(sock.rest()) == 1000
    assert set(small.objects) == {"large", "a"}


def test_whoever_speaks_no_tls_harms_nobody(server: Server) -> None:
    with socket.create_connection((server.host, server.port), timeout=20) as plain:
        plain.sendall(get("k"))
        with contextlib.suppress(ConnectionResetError):
            while plain.recv(1 << 16):
                pass
    with secured(server) as sock:
        sock.send(put("k", b"data", "Connection: close"))
        assert sock.rest().startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_server_stops_while_a_handshake_and_a_request_hang(small: SmallDialect, tls: ssl.SSLContext) -> None:
    with contextlib.ExitStack() as stack:
        with running(small, tls=tls) as server:
            waiting = stack.enter_context(socket.create_connection((server.host, server.port), timeout=20))
            half = stack.enter_context(secured(server))
            half.send(get("before") + put("k", bytes(10))[:-5])
            assert half.some().startswith(b"HTTP/1.1 404")
        with pytest.raises(ConnectionResetError):
            half.rest()
        with contextlib.suppress(ConnectionResetError):
            assert waiting.recv(1) == b""
    assert small.acted == ["GET before"]


def test_a_narrow_line_carries_tls(small: SmallDialect, tls: ssl.SSLContext) -> None:
    link = Link(latency_s=0.001, connection_bytes_per_s=50_000_000)
    body = os.urandom(1_000_000)
    with running(small, tls=tls, link=link) as server, secured(server) as sock:
        sock.send(put("k", body))
        sock.send(get("k", "Connection: close"))
        assert sock.rest().endswith(body)
