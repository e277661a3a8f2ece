"""A server that says, byte for byte, what a test wants it to say. And certificates, and a proxy."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Heard:
    """A request as it came. `connection` and `number` count from 1: the connections, and the requests of this one."""

    connection: int
    number: int
    head: str
    body: bytes
    sock: socket.socket = field(repr=False)

    @property
    def line(self) -> str:
        return self.head.partition("\r\n")[0]


@dataclass
class Scripted:
    """`heard` is all that came, whole. `connections` counts those that were accepted."""

    port: int
    scheme: str = "http"
    host: str = "127.0.0.1"
    heard: list[Heard] = field(default_factory=list[Heard])
    connections: int = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


Script = Callable[[Heard], bytes | None]
"""What to answer; None closes the connection."""


def ending_each() -> tuple[Script, threading.Semaphore]:
    """Answers, and ends each connection behind it without a word; the semaphore counts those that were ended."""
    ended = threading.Semaphore(0)

    def script(heard: Heard) -> None:
        heard.sock.sendall(OK)
        heard.sock.shutdown(socket.SHUT_WR)
        ended.release()

    return script, ended


@contextlib.contextmanager
def scripted(script: Script, tls: ssl.SSLContext | None = None) -> Generator[Scripted]:
    """A server in threads. Requests have a Content-Length, or no body."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    server = Scripted(listener.getsockname()[1], "https" if tls else "http")
    socks: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(sock: socket.socket, connection: int) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if tls is not None:
                sock = tls.wrap_socket(sock, server_side=True)
                socks.append(sock)  # the other has let go of the descriptor
            stack.enter_context(sock)
            stream = stack.enter_context(sock.makefile("rb"))
            number = 0
            while (head := _head(stream.readline)) is not None:
                number += 1
                body = stream.read(_length(head))
                if len(body) < _length(head):
                    return
                heard = Heard(connection, number, head, body, sock)
                server.heard.append(heard)
                answer = script(heard)
                if answer is None:
                    return
                sock.sendall(answer)

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            socks.append(sock)
            server.connections += 1
            thread = threading.Thread(target=serve, args=(sock, server.connections), daemon=True)
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(10)
        for sock in socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)
        for sock in socks:
            sock.close()


def _head(readline: Callable[[], bytes]) -> str | None:
    lines: list[bytes] = []
    while (line := readline()) not in (b"\r\n", b""):
        lines.append(line)
    return b"".join(lines).decode("latin-1") if line else None


def _length(head: str) -> int:
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


def closed_port() -> int:
    """One that nobody listens on, and that nobody else is given as long as the process lives."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    _kept.append(sock)
    return int(sock.getsockname()[1])


_kept: list[socket.socket] = []


def resolving(patch: pytest.MonkeyPatch, *found: str, wait: threading.Event | None = None) -> list[str]:
    """Every name has these addresses from now on; the names that were asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *, type: int, flags: int) -> list[Any]:  # noqa: A002
        if flags & socket.AI_NUMERICHOST:
            return list(real(host, port, type=type, flags=flags))
        asked.append(host)
        if wait is not None:
            wait.wait(20)
        return [each for address in found for each in real(address, port, type=type)]

    patch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@contextlib.contextmanager
def tunnelling(user_and_password: bytes = b"", tls: ssl.SSLContext | None = None) -> Generator[Scripted]:
    """A proxy that opens tunnels for those who know the password, in base64; `heard` are the heads it was sent. `tls`:
    it is reached over it."""
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = Scripted(listener.getsockname()[1])
    ends: list[socket.socket] = []

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if tls is not None:
                sock = tls.wrap_socket(sock, server_side=True)
                ends.append(sock)  # the other has let go of the descriptor
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += sock.recv(1)
            proxy.heard.append(Heard(0, 0, head.decode(), b"", sock))
            if b"Basic " + user_and_password not in head:
                sock.sendall(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")
                return
            port = int(head.split(b" ")[1].rpartition(b":")[2])
            far = socket.create_connection(("127.0.0.1", port))
            ends.append(far)
            sock.sendall(b"HTTP/1.1 200 Yes\r\n\r\n")
            threading.Thread(target=pump, args=(far, sock), daemon=True).start()
            pump(sock, far)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                ends.append(sock)
                threading.Thread(target=serve, args=(sock,), daemon=True).start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield proxy
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(10)
        for sock in ends:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


@dataclass(frozen=True)
class Certificate:
    """`ca` is what a client believes in; `context` is a server's; `both`: it and its key, of a client."""

    ca: str
    context: ssl.SSLContext
    both: str


def certificate(folder: Path, name: str) -> Certificate:
    """One that vouches for itself, for a name or an address."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = os.path.join(folder, f"{name}.pem")
    pem = made.public_bytes(serialization.Encoding.PEM)
    Path(path).write_bytes(pem)
    both = Path(folder) / f"{name}-key.pem"
    both.write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return Certificate(path, context, str(both))
