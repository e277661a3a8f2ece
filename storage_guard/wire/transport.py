"""HTTP, one exchange a call: sent once, or known not to have been sent.

    transport = Transport(Settings())
    answer = transport.exchange(Request("PUT", "https://host/key", signed_headers, body))

Nothing is retried, redirected, decoded or looked up in a netrc, there are no cookies, and certificates are verified.
HTTP/1.1 is spoken here, and not by a library (docs/wire.md): the caller's thread sends and reads on a connection that
nobody else uses meanwhile, so it is known of each byte whether it was sent.
"""

from __future__ import annotations

from storage_guard.driver import WINDOW_BYTES, Body
from storage_guard.wire import log
from storage_guard.wire.children import register
from storage_guard.wire.connecting import Connector
from storage_guard.wire.incoming import Incoming
from storage_guard.wire.meanings import proxy_refused
from storage_guard.wire.messages import Answer, Request
from storage_guard.wire.outgoing import Outgoing, whole
from storage_guard.wire.pool import Pool
from storage_guard.wire.routes import Routes
from storage_guard.wire.settings import Settings


class Transport:
    """Any thread may call it, and a child of the process that made it, which gets connections of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._routes = Routes(settings)
        self._connector = Connector(settings, self._routes.certificates)
        self._pool = Pool(settings.pool_size, settings.keep_idle_s)
        register(self)

    def proxy_of(self, url: str) -> str | None:
        """The proxy, without its credentials, that a request goes through. Raises `Refused`."""
        proxy = self._routes.of(url)[0].proxy
        return None if proxy is None else proxy.url

    def exchange(self, request: Request) -> Answer:
        """Sends a request once, and reads the whole answer, whatever its status.

        Raises `Busy` if nothing of it was sent, `Refused` if nothing was and nothing will be (a certificate, a proxy
        that wants credentials, what is no URL or header, a body of another length than announced), and else `Lost`.
        What the body raises comes out as it is, and so does KeyboardInterrupt, at once.
        """
        started_s = log.start()
        body: bytes | Outgoing = b""
        try:
            body = _outgoing(request.body)
            answer = self._exchange(request, body)
        except BaseException as exc:
            log.failed(request, exc, started_s)
            raise
        finally:
            if isinstance(body, Outgoing):
                body.close()
        log.answered(request, answer, started_s)
        return answer

    def _exchange(self, request: Request, body: bytes | Outgoing) -> Answer:
        way, head = self._routes.begun(request, len(body) if isinstance(body, bytes) else body.size_bytes)
        about = request.about or request.method
        pool = self._pool
        epoch = pool.epoch
        connection = pool.take(way.origin)
        if connection is None:
            connection = self._connector.connect(way.origin, way.proxy, about)
            pool.add(connection)
        incoming = Incoming(request.method, request.answer_bytes, about)
        again = False
        try:
            again = connection.exchange(head, body, incoming, self._settings)
        finally:
            if again:
                pool.give(way.origin, connection, epoch)
            else:
                pool.drop(connection)
        answer = incoming.answer()
        if answer.status == 407 and way.proxy is not None:
            raise proxy_refused(about, 407)
        return answer

    def close(self) -> None:
        """Closes the connections: those that rest at once, the others when their exchange ends. A later exchange opens
        new ones. May be called again."""
        self._pool.clear()

    def after_fork(self) -> None:
        self._pool.abandon()
        self._pool = Pool(self._settings.pool_size, self._settings.keep_idle_s)
        self._connector.after_fork()


def _outgoing(body: Body | bytes | None) -> bytes | Outgoing:
    """A small body is read before anything is sent."""
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    return whole(body) if body.size_bytes <= WINDOW_BYTES else Outgoing(body)
