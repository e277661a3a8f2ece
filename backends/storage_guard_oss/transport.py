"""HTTP with the pools of urllib3, which oss2's own transport is made of: sent once, or known not to have been sent.

Nothing is retried or redirected, no netrc and no cookies are looked at, certificates are verified, and an answer is
read to its end, so that its connection can be used again. A `Transport` is of one process.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import urllib3
from requests.utils import (
    DEFAULT_CA_BUNDLE_PATH,
    get_auth_from_url,
    get_environ_proxies,
    select_proxy,
    urldefragauth,
)
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from storage_guard.driver import Busy, Lost, Refused, Signal
from storage_guard_oss.bodies import BodyFailedError
from storage_guard_oss.message import Answer

CONNECTIONS = 128
"""Kept for use again: one for each of 64 threads that send parts, and as many for what goes on beside them."""

_PIECE_BYTES = 256 * 1024
_ERROR_BYTES = 1024 * 1024

# urllib3 leaves Nagle's algorithm on towards a proxy, which costs 40 ms a request there.
_SOCKET_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]

Sendable = bytes | Iterable[memoryview] | None


@dataclass(frozen=True)
class Settings:
    """How to reach the service.

    `proxies` come before those of the environment, `last_proxies` behind them; as requests has them. `verify`: a file
    or folder of certificates, None for the usual ones; `cert`: a client's certificate, or that and its key.
    """

    connect_timeout_s: float
    read_timeout_s: float
    proxies: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    last_proxies: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    trust_env: bool = True
    verify: str | None = None
    cert: str | tuple[str, str] | None = None


class _Sending(threading.local):
    """Of the request that this thread makes: whether anything of it has gone out, and how long a write may take."""

    begun = False
    timeout_s: float | None = None


_sending = _Sending()


class _Lines:
    """The lines of an answer's head, and whether one of them came without its end."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.torn = False

    def readline(self, limit: int = -1, /) -> bytes:
        line = self.file.readline(limit)
        self.torn = self.torn or not line.endswith(b"\n")
        return line

    def close(self) -> None:
        self.file.close()


class _WholeHead(HTTPResponse):
    """http.client takes the end of a stream for the end of a head: half an etag, half a write id."""

    def begin(self) -> None:
        lines = _Lines(self.fp)
        self.fp: Any = lines
        try:
            super().begin()
        finally:
            if self.fp is lines:
                self.fp = lines.file
        if lines.torn:
            raise IncompleteRead(b"")


class _Plain(HTTPConnection):
    response_class = _WholeHead

    def connect(self) -> None:
        try:
            super().connect()
        finally:
            _sending.begun = False  # what opened a tunnel was no request

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        _note(self)
        super().send(data)


class _Secure(HTTPSConnection):
    response_class = _WholeHead

    def connect(self) -> None:
        try:
            super().connect()
        finally:
            _sending.begun = False

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        _note(self)
        super().send(data)


def _note(connection: HTTPConnection) -> None:
    """urllib3 gives a write the time of a connect, in which a slow link does not take a window."""
    _sending.begun = True
    if connection.sock is not None:
        connection.sock.settimeout(_sending.timeout_s)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain  # pyright: ignore[reportAssignmentType]  # as urllib3 does itself


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure  # pyright: ignore[reportAssignmentType]


_POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _PlainPool, "https": _SecurePool}


class Transport:
    """Connections, and one exchange over them at a time for each thread that calls."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout = urllib3.Timeout(connect=settings.connect_timeout_s, read=settings.read_timeout_s)
        self._managers: dict[str, urllib3.PoolManager] = {}
        self._proxies: dict[str, str] = {}

    def proxy_of(self, url: str) -> str:
        """The proxy that requests to this host go through; "" for none."""
        parts = urlsplit(url)
        host = f"{parts.scheme}://{parts.netloc}"
        found = self._proxies.get(host)
        if found is None:
            found = self._proxies.setdefault(host, self._find_proxy(host))
        return found

    def _find_proxy(self, host: str) -> str:
        settings = self._settings
        usual = get_environ_proxies(host, settings.proxies.get("no_proxy")) if settings.trust_env else {}
        proxy = select_proxy(host, {**settings.last_proxies, **usual, **settings.proxies}) or ""
        return f"http://{proxy}" if proxy and "://" not in proxy else proxy

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], *, body: Sendable, most_bytes: int, about: str
    ) -> Answer:
        """Send once, and read the whole answer. Raises `Lost`, `Busy`, `Refused`, and what the body raised."""
        asked_at = datetime.now(UTC)
        outer = _sending.begun, _sending.timeout_s  # a body may be read from a store, too
        _sending.begun, _sending.timeout_s = False, self._settings.read_timeout_s
        failure: BaseException
        try:
            response = self._manager(self.proxy_of(url)).urlopen(
                method,
                url,
                body=body,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=self._timeout,
            )
            try:
                data = _read(response, most_bytes if response.status // 100 == 2 else _ERROR_BYTES, about)
            except BaseException:
                response.close()
                raise
            response.release_conn()
            return Answer(
                response.status, {name.lower(): value for name, value in response.headers.items()}, data, asked_at
            )
        except BodyFailedError as exc:
            failure = exc.failure
        except (HTTPError, HTTPException, OSError, ValueError) as exc:
            failure = _trouble(exc, about, begun=_sending.begun)
        finally:
            _sending.begun, _sending.timeout_s = outer
        # Outside of the handlers: what they caught holds the request, and with it a connection and a signature.
        raise failure

    def close(self) -> None:
        for manager in list(self._managers.values()):
            manager.clear()

    def _manager(self, proxy: str) -> urllib3.PoolManager:
        found = self._managers.get(proxy)
        if found is None:
            found = self._managers.setdefault(proxy, self._make_manager(proxy))
        return found

    def _make_manager(self, proxy: str) -> urllib3.PoolManager:
        options: dict[str, Any] = {"num_pools": 16, "maxsize": CONNECTIONS, "cert_reqs": "CERT_REQUIRED"}
        options["socket_options"] = _SOCKET_OPTIONS
        certificates = self._certificates()
        options["ca_cert_dir" if os.path.isdir(certificates) else "ca_certs"] = certificates
        cert = self._settings.cert
        if isinstance(cert, str):
            options["cert_file"] = cert
        elif cert is not None:
            options["cert_file"], options["key_file"] = cert
        manager: urllib3.PoolManager
        if proxy:
            user, password = get_auth_from_url(proxy)
            named = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}") if user else None
            manager = urllib3.ProxyManager(urldefragauth(proxy), proxy_headers=named, **options)
        else:
            manager = urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def _certificates(self) -> str:
        found = self._settings.verify
        if found is None and self._settings.trust_env:
            found = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        return found or DEFAULT_CA_BUNDLE_PATH


def _read(response: BaseHTTPResponse, most_bytes: int, about: str) -> bytes:
    pieces: list[bytes] = []
    left_bytes = most_bytes
    while piece := response.read(min(_PIECE_BYTES, left_bytes + 1)):
        left_bytes -= len(piece)
        if left_bytes < 0:
            raise Lost(f"{about}: the answer has more than {most_bytes} bytes", status=response.status)
        pieces.append(piece)
    return b"".join(pieces)


def _trouble(exc: Exception, about: str, *, begun: bool) -> Signal:
    """What it means that there is no answer: `begun` tells whether anything of the request went out."""
    text = f"{about}: {_words(exc)}"
    if begun:
        return Lost(text)
    causes = list(_causes(exc))
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes):
        return Refused(f"{text}: the certificate does not verify, so nothing was sent", why="access")
    if any(isinstance(each, ssl.SSLError) and not isinstance(each, ssl.SSLEOFError) for each in causes):
        return Refused(f"{text}: no TLS with this endpoint, so nothing was sent", why="request")
    if any(isinstance(each, FileNotFoundError) for each in causes):
        return Refused(f"{text}: the certificates that were named are not there", why="request")
    if any("407" in str(each) for each in causes if isinstance(each, OSError)):
        return Refused(f"{text}: the proxy wants credentials", why="access")
    if isinstance(exc, ValueError) and not isinstance(exc, HTTPError):
        return Refused(text, why="request")
    return Busy(f"{text}: nothing was sent")


def _words(exc: Exception) -> str:
    """Without what urllib3 says of its own objects."""
    root = list(_causes(exc))[-1]
    return f"{type(root).__name__}: {root}"[:300]


def _causes(exc: BaseException) -> Iterable[BaseException]:
    """An exception and those it wraps, in whichever way."""
    found: BaseException | None = exc
    seen: set[int] = set()
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        wrapped = [each for each in (*found.args, getattr(found, "reason", None)) if isinstance(each, BaseException)]
        found = wrapped[0] if wrapped else found.__cause__ or found.__context__
