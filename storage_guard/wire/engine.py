"""The thread that carries many small requests at once, each over a connection that no other uses meanwhile."""

from __future__ import annotations

import socket
import threading
from collections import deque
from time import monotonic

from storage_guard.driver import Busy, Lost, Signal
from storage_guard.wire.connecting import Connector
from storage_guard.wire.lines import Lines
from storage_guard.wire.messages import Answer
from storage_guard.wire.pending import Pending
from storage_guard.wire.routes import Routes
from storage_guard.wire.settings import Settings
from storage_guard.wire.watching import Watch

# Ringing a bell costs a system call and a switch of threads for each request: while there is much to do the engine
# looks up by itself, at latest so long after something was submitted.
_DOZE_S = 0.005
_AWAKE_S = 0.5


class Engine:
    """Of one process. `connections` requests are under way at most; `most_waiting` wait here, and then who submits."""

    def __init__(
        self, settings: Settings, routes: Routes, connector: Connector, connections: int, most_waiting: int
    ) -> None:
        self._settings = settings
        self._routes = routes
        self._connections = connections
        self._most_waiting = most_waiting
        self._waiting = deque[Pending]()
        self._stuck = False  # what waits first waits for a connection that is being opened
        self._done = deque[tuple[Pending, Answer | Signal]]()
        self._room = threading.Condition()
        self._kept_out = 0
        self._closing = False
        self._sleeps = False  # until it hears the bell
        self._dozes = False  # not for long
        self._awake_until_s = 0.0
        self._watch = Watch()
        self._ear, self._bell = socket.socketpair()
        self._ear.settimeout(0)
        self._bell.settimeout(0)
        self._ear_descriptor = self._ear.fileno()
        self._watch.add(self._ear_descriptor)
        self._lines = Lines(settings, connector, connections, self._watch, ring=self._ring, done=self._took)
        self._thread = threading.Thread(target=self._run, name="storage-guard-wire", daemon=True)
        self._thread.start()

    @property
    def runs(self) -> bool:
        return not self._closing  # which it becomes however the thread ends

    @property
    def has_room(self) -> bool:
        return not self._closing and len(self._waiting) + self._lines.flying < self._connections

    def submit(self, pending: Pending, *, at_once: bool) -> None:
        """Waits for room, unless it is called from `then`. Settles the request if the engine has stopped meanwhile."""
        if len(self._waiting) >= self._most_waiting and threading.current_thread() is not self._thread:
            self.flush()
            self._wait_for_room()
        self._waiting.append(pending)
        if at_once or self._sleeps:
            self.flush()
        if not self.runs:
            self._settle_waiting()

    def flush(self) -> None:
        """What was not submitted `at_once` is to be sent now."""
        # The engine says that it sleeps or dozes before it looks for the last time whether anything waits.
        if (self._sleeps or self._dozes) and self._waiting:
            self._sleeps = self._dozes = False
            self._ring()

    def close(self) -> None:
        """Ends: what waits was not sent (`Busy`), what is under way is `Lost`. Returns when the thread has ended."""
        self.end_soon()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def end_soon(self) -> None:
        """The same, without waiting: nobody is there any more who could submit."""
        self._closing = True
        self._ring()

    def abandon(self) -> None:
        """In a child of the process, which has no such thread: nobody here will hear of what is under way."""
        self._closing = True
        for pending in [*self._waiting, *self._lines.abandon(), *(pending for pending, _ in self._done)]:
            if not pending.done:
                pending.abandon(Lost("the process was forked while this request was its parent's"))
        self._let_go()

    def _wait_for_room(self) -> None:
        # Nobody is let in before most have gone: a switch between threads costs as much as a request.
        few = self._most_waiting // 4
        with self._room:
            self._kept_out += 1
            try:
                while len(self._waiting) > few and self.runs:
                    self._room.wait()
            finally:
                self._kept_out -= 1

    def _ring(self) -> None:
        try:
            self._bell.send(b"!")
        except OSError:
            return  # it rings already, or nobody is there

    # From here on: in the thread.

    def _run(self) -> None:
        try:
            while not self._closing:
                self._take_opened()
                self._start()
                self._lines.look()
                self._settle()
                self._wait()
        finally:
            self._end()

    def _take_opened(self) -> None:
        """Of those that wait for a connection that could not be opened, one is told: others may be luckier."""
        for way, why in self._lines.take_opened():
            for at, pending in enumerate(self._waiting):
                if _is_of(pending.request.url, way.origin):
                    del self._waiting[at]
                    self._took(pending, why)
                    break

    def _start(self) -> None:
        """Sends what waits, as long as there are connections."""
        started = self._stuck = False
        while self._waiting:
            pending = self._waiting[0]
            try:
                body = pending.request.body
                way, head = self._routes.begun(pending.request, len(body) if isinstance(body, bytes) else 0)
            except Signal as exc:
                self._waiting.popleft()
                self._took(pending, exc)
                continue
            line = self._lines.take(way)
            if line is None:
                self._lines.open(way, len(self._waiting))
                self._stuck = True
                break
            self._waiting.popleft()
            if pending.goes_out is not None and not pending.goes_out():
                self._lines.put_back(line)
                pending.abandon(Busy("it was called off before it was sent"))
                continue
            self._lines.launch(line, pending, head)
            started = True
        if started:
            self._awake_until_s = monotonic() + _AWAKE_S
        if self._kept_out and len(self._waiting) <= self._most_waiting // 4:
            with self._room:
                self._room.notify_all()

    def _took(self, pending: Pending, outcome: Answer | Signal) -> None:
        self._done.append((pending, outcome))

    def _settle(self) -> None:
        # Together: who waits wakes up once for them all, and not each time anew for the interpreter's lock.
        while self._done:
            pending, outcome = self._done.popleft()
            pending.settle(outcome)

    def _wait(self) -> None:
        lines = self._lines
        may_start = lines.at_rest > 0 or lines.may_open
        awake = monotonic() < self._awake_until_s
        self._dozes, self._sleeps = may_start and awake, may_start and not awake
        if (self._waiting and may_start and not self._stuck) or self._closing or lines.news:
            self._dozes = self._sleeps = False
            return
        wait_s: float | None = None
        if lines.any:
            wait_s = lines.looks_s if lines.flying else self._settings.keep_idle_s
        events = self._watch.wait(_DOZE_S if self._dozes else wait_s)
        self._dozes = self._sleeps = False
        for descriptor, event in events:
            if descriptor == self._ear_descriptor:
                self._ear.recv(4096)
            else:
                lines.go_on(descriptor, event)

    def _end(self) -> None:
        self._closing = True
        self._lines.close()
        self._settle()
        self._settle_waiting()
        with self._room:
            self._room.notify_all()
        self._let_go()

    def _settle_waiting(self) -> None:
        while self._waiting:
            try:
                pending = self._waiting.popleft()
            except IndexError:
                return
            pending.settle(Busy("the loop was closed: nothing was sent"))

    def _let_go(self) -> None:
        self._ear.close()
        self._bell.close()
        self._watch.close()


def _is_of(url: str, origin: str) -> bool:
    """An origin may begin as another does."""
    return url.startswith(origin) and url[len(origin) : len(origin) + 1] in ("", "/", "?")
