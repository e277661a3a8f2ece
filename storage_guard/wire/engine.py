"""The thread that carries many small requests at once, each over a connection that no other uses meanwhile."""

from __future__ import annotations

import select
import socket
import sys
import threading
from collections import deque
from time import monotonic

from storage_guard.driver import Busy, Lost, Signal
from storage_guard.wire import log
from storage_guard.wire.connecting import Connector
from storage_guard.wire.connection import Connection
from storage_guard.wire.incoming import Incoming
from storage_guard.wire.meanings import proxy_refused
from storage_guard.wire.messages import Answer, Request, head_of
from storage_guard.wire.pending import Pending
from storage_guard.wire.routes import Routes, Way
from storage_guard.wire.settings import Settings

# Ringing a bell costs a system call and a switch of threads for each request: while there is much to do the engine
# looks up by itself, at latest so long after something was submitted.
_DOZE_S = 0.005
_AWAKE_S = 0.5
_LOOKS_S = 0.25  # how often it is seen whether something takes too long
_BOTH = select.POLLIN | select.POLLOUT


class _Line:
    """A connection, and what it carries."""

    __slots__ = ("connection", "incoming", "moved_s", "pending", "unsent", "until_s", "way")

    def __init__(self, connection: Connection, way: Way) -> None:
        self.connection = connection
        self.way = way
        self.pending: Pending | None = None  # None while it rests
        self.incoming = Incoming("", 0, "")
        self.unsent: memoryview | None = None
        self.moved_s = monotonic()
        self.until_s: float | None = None


class Engine:
    """Of one process. `connections` requests are under way at most; `most_waiting` wait here, and then who submits."""

    def __init__(
        self, settings: Settings, routes: Routes, connector: Connector, connections: int, most_waiting: int
    ) -> None:
        self._settings = settings
        self._routes = routes
        self._connector = connector
        self._connections = connections
        self._most_waiting = most_waiting
        self._waiting = deque[Pending]()
        self._lines: dict[int, _Line] = {}
        self._resting: dict[str, list[_Line]] = {}
        self._at_rest = 0
        self._opening = 0
        self._opened = deque[tuple[Way, Connection | Signal]]()
        self._done: list[tuple[Pending, Answer | Signal]] = []
        self._room = threading.Condition()
        self._kept_out = 0
        self._closing = False
        self._sleeps = False  # until it hears the bell
        self._dozes = False  # not for long
        self._awake_until_s = 0.0
        self._looks_s = min(_LOOKS_S, settings.idle_timeout_s / 4)
        self._look_s = 0.0
        # The kernel looks at all descriptors of a poll each time, and at those of an epoll that have something to say.
        self._poll = select.epoll() if sys.platform == "linux" else select.poll()
        self._ticks_per_s = 1 if sys.platform == "linux" else 1000
        self._ear, self._bell = socket.socketpair()
        self._ear.settimeout(0)
        self._bell.settimeout(0)
        self._ear_descriptor = self._ear.fileno()
        self._poll.register(self._ear_descriptor, select.POLLIN)
        self._thread = threading.Thread(target=self._run, name="storage-guard-wire", daemon=True)
        self._thread.start()

    @property
    def runs(self) -> bool:
        return not self._closing  # which it becomes however the thread ends

    @property
    def has_room(self) -> bool:
        under_way = len(self._lines) - self._at_rest
        return not self._closing and len(self._waiting) + under_way < self._connections

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
        self._closing = True
        self._ring()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def end_soon(self) -> None:
        """The same, without waiting: nobody is there any more who could submit."""
        self._closing = True
        self._ring()

    def abandon(self) -> None:
        """In a child of the process, which has no such thread: nobody here will hear of what is under way."""
        self._closing = True
        flying = [line.pending for line in self._lines.values() if line.pending is not None]
        for pending in [*self._waiting, *flying]:
            if not pending.done:
                pending.abandon(Lost("the process was forked while this request was its parent's"))
        for line in self._lines.values():
            line.connection.close()
        self._ear.close()
        self._bell.close()
        if isinstance(self._poll, select.epoll):
            self._poll.close()

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
                self._settle()
                self._look()
                self._wait()
        finally:
            self._end()

    def _start(self) -> None:
        """Sends what waits, as long as there are connections."""
        started = False
        while self._waiting:
            pending = self._waiting[0]
            try:
                way, target = self._routes.of(pending.request.url)
                head = self._head(pending.request, way, target)
            except Signal as exc:
                self._waiting.popleft()
                self._done.append((pending, exc))
                continue
            resting = self._resting.get(way.origin)
            if not resting:
                self._open(way)
                break
            self._waiting.popleft()
            if pending.goes_out is not None and not pending.goes_out():
                pending.abandon(Busy("it was called off before it was sent"))
                continue
            self._at_rest -= 1
            self._launch(resting.pop(), pending, head)
            started = True
        if started:
            self._awake_until_s = monotonic() + _AWAKE_S
        if self._kept_out and len(self._waiting) <= self._most_waiting // 4:
            with self._room:
                self._room.notify_all()

    def _head(self, request: Request, way: Way, target: str) -> bytes:
        size_bytes = len(request.body) if isinstance(request.body, bytes) else 0
        return head_of(request, target, way.host, size_bytes, agent=self._settings.user_agent, more=way.authorization)

    def _launch(self, line: _Line, pending: Pending, head: bytes) -> None:
        request = pending.request
        body = request.body if isinstance(request.body, bytes) else b""
        pending.started_s = log.start()
        line.pending = pending
        line.incoming = Incoming(request.method, request.answer_bytes, request.about or request.method)
        line.unsent = memoryview(head + body if body else head)
        line.moved_s = now_s = monotonic()
        total_s = self._settings.total_timeout_s
        line.until_s = None if total_s is None else now_s + total_s
        self._go_on(line, select.POLLOUT)

    def _go_on(self, line: _Line, events: int) -> None:
        pending = line.pending
        if pending is None:
            self._drop(line)  # it was closed, or sent what nobody asked for
            return
        outcome: Answer | Signal
        try:
            if line.unsent is not None:
                self._send(line, line.unsent)
            if not events & ~select.POLLOUT:
                return
            line.moved_s = monotonic()
            if not line.connection.receive_some(line.incoming):
                return
            outcome = self._answered(line)
        except Signal as exc:
            outcome = exc
        except OSError as exc:
            outcome = line.incoming.lost(f"the connection broke: {exc}")
        self._conclude(line, pending, outcome)

    def _send(self, line: _Line, unsent: memoryview) -> None:
        try:
            left = line.connection.send_some(unsent)
        except OSError:
            # The service wants no more: perhaps it has said why.
            if line.connection.receive_some(line.incoming):
                return
            raise
        if len(left) != len(unsent):
            line.moved_s = monotonic()
        writes = bool(left)
        line.unsent = left if writes else None
        if writes != line.connection.writes:
            line.connection.writes = writes
            self._poll.modify(line.connection.descriptor, _BOTH if writes else select.POLLIN)

    def _conclude(self, line: _Line, pending: Pending, outcome: Answer | Signal) -> None:
        self._done.append((pending, outcome))
        if isinstance(outcome, Signal):
            log.failed(pending.request, outcome, pending.started_s)
        else:
            log.answered(pending.request, outcome, pending.started_s)
        if isinstance(outcome, Signal) or line.unsent is not None or line.incoming.closes:
            self._drop(line)
        else:
            self._rest(line)

    def _answered(self, line: _Line) -> Answer | Signal:
        incoming = line.incoming
        answer = incoming.answer()
        if line.unsent is not None and answer.status // 100 == 2:
            return incoming.lost(f"a {answer.status} came before all had been sent")
        if answer.status == 407 and line.way.proxy is not None:
            return proxy_refused("a request", 407)
        return answer

    def _rest(self, line: _Line) -> None:
        line.pending = None
        line.moved_s = monotonic()
        self._resting.setdefault(line.way.origin, []).append(line)
        self._at_rest += 1

    def _drop(self, line: _Line) -> None:
        descriptor = line.connection.descriptor
        if self._lines.pop(descriptor, None) is None:
            return
        self._poll.unregister(descriptor)
        resting = self._resting.get(line.way.origin, [])
        if line in resting:
            resting.remove(line)
            self._at_rest -= 1
        line.connection.close()

    def _settle(self) -> None:
        # Together: who waits wakes up once for them all, and not each time anew for the interpreter's lock.
        done, self._done = self._done, []
        for pending, outcome in done:
            pending.settle(outcome)

    # Connections are opened by threads of their own: names, proxies and handshakes take their time.

    def _open(self, way: Way) -> None:
        if len(self._lines) + self._opening >= self._connections:
            for lines in self._resting.values():
                if lines:  # of another origin, which nobody waits for
                    self._drop(lines[0])
                    break
            else:
                return
        while self._opening < len(self._waiting) and len(self._lines) + self._opening < self._connections:
            self._opening += 1
            try:
                threading.Thread(target=self._connect, args=(way,), name="storage-guard-connect", daemon=True).start()
            except RuntimeError as exc:  # the system has no more threads
                self._opened.append((way, Busy(f"no connection can be opened: {exc}: nothing was sent")))
                return

    def _connect(self, way: Way) -> None:
        found: Connection | Signal
        try:
            found = self._connector.connect(way.origin, way.proxy, "a request")
        except Signal as exc:
            found = exc
        except BaseException as exc:  # noqa: BLE001 - who waits is to be told
            found = Busy(f"no connection can be opened: {exc}: nothing was sent")
        self._opened.append((way, found))
        if self._closing and isinstance(found, Connection):
            found.close()
        self._ring()

    def _take_opened(self) -> None:
        while self._opened:
            way, found = self._opened.popleft()
            self._opening -= 1
            if isinstance(found, Connection):
                line = _Line(found, way)
                self._lines[found.descriptor] = line
                self._poll.register(found.descriptor, select.POLLIN)
                self._rest(line)
                continue
            for at, pending in enumerate(self._waiting):
                if pending.request.url.startswith(way.origin):
                    del self._waiting[at]
                    self._done.append((pending, found))
                    break

    def _look(self) -> None:
        """Whether something takes too long, or rested so long that the service may have forgotten it."""
        now_s = monotonic()
        if now_s < self._look_s:
            return
        self._look_s = now_s + self._looks_s
        idle_s, keep_s = self._settings.idle_timeout_s, self._settings.keep_idle_s
        for line in list(self._lines.values()):
            pending = line.pending
            if pending is None:
                if now_s - line.moved_s >= keep_s:
                    self._drop(line)
                continue
            if now_s - line.moved_s >= idle_s:
                self._conclude(line, pending, line.incoming.lost(f"nothing moved for {idle_s} s"))
            elif line.until_s is not None and now_s >= line.until_s:
                self._conclude(
                    line, pending, line.incoming.lost(f"it was not over in {self._settings.total_timeout_s} s")
                )
        self._settle()

    def _wait(self) -> None:
        may_start = self._at_rest > 0 or len(self._lines) + self._opening < self._connections
        flying = len(self._lines) > self._at_rest
        awake = monotonic() < self._awake_until_s
        self._dozes, self._sleeps = may_start and awake, may_start and not awake
        if (self._waiting and self._at_rest) or self._closing or self._opened:
            self._dozes = self._sleeps = False
            return
        wait_s: float | None = None
        if self._lines:
            wait_s = self._looks_s if flying else self._settings.keep_idle_s
        if self._dozes:
            wait_s = _DOZE_S
        events = self._poll.poll(None if wait_s is None else wait_s * self._ticks_per_s)
        self._dozes = self._sleeps = False
        for descriptor, event in events:
            if descriptor == self._ear_descriptor:
                self._ear.recv(4096)
                continue
            line = self._lines.get(descriptor)
            if line is not None:
                self._go_on(line, event)

    def _end(self) -> None:
        self._closing = True
        self._settle()
        for line in list(self._lines.values()):
            self._drop(line)
            if line.pending is not None:
                line.pending.settle(Lost("the loop was closed while this request was under way"))
        while self._opened:
            _, found = self._opened.popleft()
            if isinstance(found, Connection):
                found.close()
        self._settle_waiting()
        with self._room:
            self._room.notify_all()
        self._ear.close()
        self._bell.close()
        if isinstance(self._poll, select.epoll):
            self._poll.close()

    def _settle_waiting(self) -> None:
        while self._waiting:
            try:
                pending = self._waiting.popleft()
            except IndexError:
                return
            pending.settle(Busy("the loop was closed: nothing was sent"))
