"""HTTP, one exchange a call: sent once, or known not to have been sent.

    transport = Transport(Settings())
    answer = transport.exchange(Request("PUT", "https://host/key", signed_headers, body))

An exchange is carried by a handle of libcurl's that keeps its connection; handles rest in a pool. (A connection cache
that threads share is not safe: https://curl.se/libcurl/c/CURLSHOPT_SHARE.html.) Nothing is retried, redirected, decoded
or looked up in a netrc, there are no cookies, and certificates are verified.
"""

from __future__ import annotations

import threading

import pycurl

from storage_guard.wire import log
from storage_guard.wire.children import register
from storage_guard.wire.handle import Handle
from storage_guard.wire.messages import Answer, Request, origin_of
from storage_guard.wire.pool import Pool
from storage_guard.wire.routes import Routes
from storage_guard.wire.settings import Settings


class Transport:
    """Any thread may call it, and a child of the process that made it, which gets connections of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._routes = Routes(settings)
        self._pool = Pool(settings.pool_size, settings.keep_idle_s)
        register(self)

    def proxy_of(self, url: str) -> str | None:
        """The proxy, without its credentials, that a request goes through. Raises `Refused`."""
        proxy = self._routes.proxy_of(origin_of(url))
        return None if proxy is None else proxy.url

    def exchange(self, request: Request) -> Answer:
        """Sends a request once, and reads the whole answer, whatever its status.

        Raises `Busy` if nothing of it was sent, `Refused` if nothing was and nothing will be (a certificate, a proxy
        that wants credentials, what is no URL or header, a body of another length than announced), and else `Lost`.
        What the body raises comes out as it is, and so does KeyboardInterrupt: in the main thread a signal is noticed
        within a second.
        """
        origin = origin_of(request.url)
        proxy = self._routes.proxy_of(origin)
        pool = self._pool
        epoch = pool.epoch
        started_s = log.start()
        handle = pool.take(origin)
        if handle is None:
            handle = Handle(self._settings, self._routes.certificates, alone=True)
            pool.add(handle)
        code, text = pycurl.E_OK, ""
        try:
            handle.load(request, proxy, watched=threading.current_thread() is threading.main_thread())
            try:
                handle.curl.perform()
            except pycurl.error as exc:
                code, text = exc.args
            answer = handle.answer(request, code, text)
        except BaseException as exc:
            pool.drop(handle)
            log.failed(request, exc, started_s)
            raise
        pool.give(origin, handle, epoch)
        log.answered(request, answer, started_s)
        return answer

    def close(self) -> None:
        """Closes the connections: those that rest at once, the others when their exchange ends. A later exchange opens
        new ones. May be called again."""
        self._pool.clear()

    def after_fork(self) -> Pool:
        inherited = self._pool
        self._pool = Pool(self._settings.pool_size, self._settings.keep_idle_s)
        return inherited
