"""Connections to a service, through a proxy or not: TCP, the proxy's tunnel and TLS."""

from __future__ import annotations

import os
import ssl
import threading
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit

from storage_guard.driver import Lost, Refused
from storage_guard.wire.addresses import Addresses
from storage_guard.wire.connection import Connection
from storage_guard.wire.incoming import Incoming
from storage_guard.wire.meanings import tunnel_refused, unconnected
from storage_guard.wire.proxies import Proxy
from storage_guard.wire.settings import Settings
from storage_guard.wire.tls import Secured, Stream
from storage_guard.wire.watching import READABLE, poll

_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Of a service or a proxy."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """`url`: one that was looked at when its proxy was chosen."""
        parts = urlsplit(url)
        return cls(parts.scheme, parts.hostname or "", _PORTS[parts.scheme] if parts.port is None else parts.port)

    @property
    def netloc(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Connector:
    """Any thread may call it. `certificates`: a file or a folder to believe; None: those that OpenSSL finds."""

    def __init__(self, settings: Settings, certificates: str | None) -> None:
        self._settings = settings
        self._certificates = certificates
        self._addresses = Addresses()
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None

    def connect(self, origin: str, proxy: Proxy | None, about: str) -> Connection:
        """Nothing of a request has been sent when it raises: `Busy`, or `Refused` where it will not be better."""
        until_s = monotonic() + self._settings.connect_timeout_s
        service = Origin.of(origin)
        via = None if proxy is None else Origin.of(proxy.url)
        asked = via or service
        stream: Stream | None = None
        try:
            try:
                stream = self._addresses.connect(asked.host, asked.port, until_s)
                if proxy is not None:
                    if asked.scheme == "https":
                        stream = self._secured(stream, asked.host, until_s)
                    asked = service
                    if service.scheme == "https":
                        tunnel(stream, service.netloc, proxy, until_s, about)
                if service.scheme == "https":
                    stream = self._secured(stream, service.host, until_s)
            except OSError as exc:
                through = "" if via is None else f" through {via.netloc}"
                raise unconnected(exc, f"{about}: {service.netloc}{through}") from exc
            except ValueError as exc:  # a name that nobody can ask for
                raise Refused(f"{about}: {asked.host!r} is no host: {exc}; nothing was sent", why="request") from exc
        except BaseException:
            if stream is not None:
                stream.close()
            raise
        return Connection(stream)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._addresses = Addresses()

    def _secured(self, stream: Stream, host: str, until_s: float) -> Secured:
        """Raises OSError, `Refused`, ValueError."""
        secured = Secured(stream, self._context(), host)
        secured.handshake(until_s)
        return secured

    def _context(self) -> ssl.SSLContext:
        with self._lock:
            if self._tls is None:
                self._tls = context_of(self._settings, self._certificates)
            return self._tls


def tunnel(stream: Stream, netloc: str, proxy: Proxy, until_s: float, about: str) -> None:
    """Ask a proxy for one. Raises `Busy`, `Refused`, OSError."""
    told = memoryview(f"CONNECT {netloc} HTTP/1.1\r\nHost: {netloc}\r\n{proxy.authorization}\r\n".encode("ascii"))
    incoming = Incoming("HEAD", 0, about)  # of the answer the head is all
    waiting = poll()
    waiting.register(stream.fileno(), READABLE)
    try:
        stream.send(told)  # so little finds room
        while True:
            try:
                # What comes behind the answer is the tunnel's, and a byte too many would be lost.
                byte = stream.recv(1)
            except BlockingIOError:
                left_s = until_s - monotonic()
                if left_s <= 0 or not waiting.poll(max(1, int(left_s * 1000))):
                    raise TimeoutError("the proxy opened no tunnel in time") from None
                continue
            if not byte:
                raise ConnectionResetError("the proxy opened no tunnel")
            if incoming.feed(byte):
                break
    except Lost as exc:  # of what the proxy said, and nothing was said to the service
        raise ConnectionResetError(f"the proxy's answer is none: {exc.message}") from exc
    status = incoming.answer().status
    if status // 100 != 2:
        raise tunnel_refused(status, about)


def context_of(settings: Settings, certificates: str | None) -> ssl.SSLContext:
    """Raises `Refused` for files that are none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which verifies certificates and names
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    named = certificates
    try:
        if certificates is None:
            context.load_default_certs()
        elif os.path.isdir(certificates):
            context.load_verify_locations(capath=certificates)
        else:
            context.load_verify_locations(cafile=certificates)
        if settings.client_cert is not None:
            named = settings.client_cert
            context.load_cert_chain(named, settings.client_key)
    except OSError as exc:
        raise Refused(
            f"the certificates ({named}) cannot be used: {exc.strerror or exc}; nothing was sent", why="request"
        ) from exc
    return context
