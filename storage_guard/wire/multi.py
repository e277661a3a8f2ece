"""Very many small requests, side by side over few connections, from a thread of its own.

    with Loop(Settings(), connections=16) as loop:
        pending = [loop.submit(Request("PUT", url, headers, data)) for ...]
        answers = [each.result() for each in pending]

What `Transport` promises holds here too. For bodies that have to be read, and for answers that are large, take that:
whoever waits for one of them here waits for the thread.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Self

from storage_guard.wire.children import register
from storage_guard.wire.connecting import Connector
from storage_guard.wire.engine import Engine
from storage_guard.wire.messages import Request
from storage_guard.wire.pending import Pending
from storage_guard.wire.routes import Routes
from storage_guard.wire.settings import Settings

_WAITING_PER_CONNECTION = 64


def _end_soon(process: int, engine: weakref.ref[Engine]) -> None:
    found = engine()
    if found is not None and os.getpid() == process:  # a child has no such thread, and the bell is its parent's
        found.end_soon()


class Loop:
    """Any thread may call it, and a child of the process that made it, which gets a thread and connections of its own.

    One that is dropped ends its thread, as `close` does.

    Memory: `connections` requests with their answers, and 64 times as many that wait; then `submit` waits. The thread
    is there from the first request on.
    """

    def __init__(self, settings: Settings, *, connections: int = 16) -> None:
        if connections < 1:
            raise ValueError(f"connections={connections} is none")
        self._settings = settings
        self._connections = connections
        self._routes = Routes(settings)
        self._connector = Connector(settings, self._routes.certificates)
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._closed = False
        register(self)

    @property
    def has_room(self) -> bool:
        """Whether what is submitted now will probably find a connection free."""
        engine = self._engine
        return engine is None or engine.has_room

    def submit(
        self,
        request: Request,
        then: Callable[[Pending], object] | None = None,
        goes_out: Callable[[], bool] | None = None,
        *,
        at_once: bool = True,
    ) -> Pending:
        """Sends a request as soon as a connection is free, and returns at once unless too many wait already.

        `then` is called in the loop's thread when it is done, and must neither wait nor raise: all others wait for it.
        `goes_out` is asked there before the request is sent: if it says False it never is, and `then` is not called.
        Not `at_once` it may be kept back for some milliseconds, unless `flush` is called: who has several wakes the
        loop's thread once for them all.
        Raises RuntimeError if the loop is closed, and TypeError for a body that is not bytes.
        """
        if request.body is not None and not isinstance(request.body, bytes):
            raise TypeError(f"a body is bytes here, not {type(request.body).__name__}")
        pending = Pending(request, then, goes_out)
        engine = self._engine
        if engine is None or not engine.runs:
            engine = self._start()
        engine.submit(pending, at_once=at_once)
        return pending

    def flush(self) -> None:
        """Sends what was kept back."""
        engine = self._engine
        if engine is not None:
            engine.flush()

    def close(self) -> None:
        """Ends the thread and closes the connections: requests that wait were not sent (`Busy`), those under way are
        `Lost`. May be called again."""
        with self._lock:
            self._closed = True
            engine = self._engine
        if engine is not None:
            engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def after_fork(self) -> None:
        inherited, self._engine = self._engine, None
        self._lock = threading.Lock()
        self._connector.after_fork()
        if inherited is not None:
            inherited.abandon()

    def _start(self) -> Engine:
        with self._lock:
            if self._closed:
                raise RuntimeError("the loop is closed")
            if self._engine is None or not self._engine.runs:
                most_waiting = self._connections * _WAITING_PER_CONNECTION
                self._engine = engine = Engine(
                    self._settings, self._routes, self._connector, self._connections, most_waiting
                )
                # Its thread does not know us, and would run for ever.
                weakref.finalize(self, _end_soon, os.getpid(), weakref.ref(engine)).atexit = False
            return self._engine
