"""Requests that are signed go out over the wire, once each, and their answers come back."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Generic

from storage_guard.driver import WINDOW_BYTES, ObjectInfo, Reply
from storage_guard.wire import messages
from storage_guard.wire.multi import Loop
from storage_guard.wire.outgoing import whole
from storage_guard.wire.pending import Pending
from storage_guard.wire.services.message import A
from storage_guard.wire.settings import Settings
from storage_guard.wire.transport import Transport

_SUBMITTED = 64  # connections at most, for as many small puts as a Store has under way

# A thread that carries its own exchange gives the interpreter's lock away three times, and waits for it behind all the
# others. With so many of them that costs more than to hand small ones to the loop: 16 threads create a quarter more of
# 4 KiB each (benchmarks/small_creates.py).
_CROWD = 6


class Carrier(Generic[A]):
    """Any thread may use it, and a child of the process that made it.

    `kind`: the service's answers. `secret`: headers of requests, in lower case, that an answer might repeat, and nobody
    else may.
    """

    def __init__(self, settings: Settings, kind: type[A], secret: tuple[str, ...]) -> None:
        self._settings = settings
        self._kind = kind
        self._secret = secret
        self._transport = Transport(settings)
        self._loop = Loop(settings, connections=_SUBMITTED)
        self._under_way = deque[None]()  # one for each exchange: what is added to a number can be lost between threads

    def proxy_of(self, url: str) -> str | None:
        """The proxy that a request goes through. Raises `Refused` for one that is none."""
        return self._transport.proxy_of(url)

    def exchange(self, signed: messages.Request, at: datetime) -> A:
        """`at`: when it was signed. Raises `Lost`, `Busy`, `Refused`, and what the body raises."""
        self._under_way.append(None)
        try:
            found = self._carry(signed)
        finally:
            self._under_way.pop()
        return self._answer(found, signed, at)

    def _carry(self, signed: messages.Request) -> messages.Answer:
        # Ctrl-C reaches the main thread, which must be able to end its exchange.
        alone = len(self._under_way) < _CROWD or threading.current_thread() is threading.main_thread()
        if alone or signed.method == "GET" or not self._loop.has_room:
            return self._transport.exchange(signed)
        body = signed.body
        if body is not None and not isinstance(body, bytes):
            if body.size_bytes > WINDOW_BYTES:
                return self._transport.exchange(signed)
            signed = signed._replace(body=whole(body))
        try:
            pending = self._loop.submit(signed)
        except RuntimeError:  # it was closed meanwhile, or the system has no thread for it: nothing was submitted
            return self._transport.exchange(signed)
        return pending.result()

    def submit(self, signed: messages.Request, at: datetime, reply: Reply, read: Callable[[A], ObjectInfo]) -> None:
        """The same, sent on its way; `read` makes of the answer what `reply` is given."""

        def then(pending: Pending) -> None:
            reply.give(lambda: read(self._answer(pending.result(), signed, at)))

        self._loop.submit(signed, then, reply.goes_out, at_once=False)

    def flush(self) -> None:
        """What was submitted goes out now."""
        self._loop.flush()

    def close(self) -> None:
        self._transport.close()
        loop, self._loop = self._loop, Loop(self._settings, connections=_SUBMITTED)
        loop.close()

    def _answer(self, found: messages.Answer, signed: messages.Request, at: datetime) -> A:
        answer = self._kind(found.status, found.headers, found.body, at)
        if answer.ok:
            return answer
        return answer.hiding(signed.headers[name] for name in self._secret if name in signed.headers)
