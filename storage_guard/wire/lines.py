"""The connections of a loop: opened, resting, and each with the one request that it carries."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from storage_guard.driver import Busy, Lost, Signal
from storage_guard.wire import log
from storage_guard.wire.connecting import Connector
from storage_guard.wire.connection import Connection
from storage_guard.wire.incoming import Incoming
from storage_guard.wire.meanings import proxy_refused
from storage_guard.wire.messages import Answer
from storage_guard.wire.pending import Pending
from storage_guard.wire.routes import Way
from storage_guard.wire.settings import Settings
from storage_guard.wire.watching import WRITABLE, Watch

LOOKS_S = 0.25  # how often it is seen whether something takes too long


class Line:
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


class Lines:
    """Used by the loop's thread, but for `abandon`. At most `most` of them; `ring` wakes the loop when one was opened,
    and `done` is told what came of each request."""

    def __init__(
        self,
        settings: Settings,
        connector: Connector,
        most: int,
        watch: Watch,
        *,
        ring: Callable[[], None],
        done: Callable[[Pending, Answer | Signal], None],
    ) -> None:
        self._settings = settings
        self._connector = connector
        self._most = most
        self._watch = watch
        self._ring = ring
        self._done = done
        self._lines: dict[int, Line] = {}
        self._resting: dict[str, list[Line]] = {}
        self._opening = 0
        self._opened = deque[tuple[Way, Connection | Signal]]()
        self._closed = False
        self._look_s = 0.0
        self.looks_s = min(LOOKS_S, settings.idle_timeout_s / 4)
        self.at_rest = 0

    @property
    def flying(self) -> int:
        """How many requests are under way."""
        return len(self._lines) - self.at_rest

    @property
    def any(self) -> bool:
        return bool(self._lines)

    @property
    def may_open(self) -> bool:
        return len(self._lines) + self._opening < self._most

    @property
    def news(self) -> bool:
        """Whether a connection was opened, or could not be, that `take_opened` has not seen."""
        return bool(self._opened)

    def take(self, way: Way) -> Line | None:
        """One that rests. It has to be launched, or put back."""
        resting = self._resting.get(way.origin)
        while resting:
            line = resting[-1]
            if line.connection.stirs:
                self._drop_resting(line)  # the watch has not had its turn yet
                continue
            resting.pop()
            self.at_rest -= 1
            return line
        return None

    def put_back(self, line: Line) -> None:
        """It rests."""
        line.pending = None
        line.moved_s = monotonic()
        self._resting.setdefault(line.way.origin, []).append(line)
        self.at_rest += 1

    def launch(self, line: Line, pending: Pending, head: bytes) -> None:
        """What comes of it `done` is told, perhaps at once."""
        request = pending.request
        body = request.body if isinstance(request.body, bytes) else b""
        pending.started_s = log.start()
        line.pending = pending
        line.incoming = Incoming(request.method, request.answer_bytes, request.about or request.method)
        line.unsent = memoryview(head + body if body else head)
        line.moved_s = now_s = monotonic()
        total_s = self._settings.total_timeout_s
        line.until_s = None if total_s is None else now_s + total_s
        self._go_on(line, WRITABLE)

    def go_on(self, descriptor: int, events: int) -> None:
        """With what can be read or written."""
        line = self._lines.get(descriptor)
        if line is not None:
            self._go_on(line, events)

    def _go_on(self, line: Line, events: int) -> None:
        pending = line.pending
        if pending is None:
            self._drop_resting(line)
            return
        outcome: Answer | Signal
        try:
            if not (line.unsent is not None and self._send(line, line.unsent)):
                if not events & ~WRITABLE:
                    return
                line.moved_s = monotonic()
                if not line.connection.receive_some(line.incoming):
                    return
            outcome = _outcome(line)
        except Signal as exc:
            outcome = exc
        except OSError as exc:
            outcome = line.connection.broken(exc, line.incoming)
        self._conclude(line, pending, outcome)

    def _send(self, line: Line, unsent: memoryview) -> bool:
        """Whether the whole answer has come, and no more is wanted."""
        try:
            left = line.connection.send_some(unsent)
        except OSError:
            # The service wants no more: perhaps it has said why.
            if line.connection.receive_some(line.incoming):
                return True
            raise
        if len(left) != len(unsent):
            line.moved_s = monotonic()
        writes = bool(left)
        line.unsent = left if writes else None
        if writes != line.connection.writes:
            line.connection.writes = writes
            self._watch.change(line.connection.descriptor, writes=writes)
        return False

    def _conclude(self, line: Line, pending: Pending, outcome: Answer | Signal) -> None:
        if isinstance(outcome, Signal):
            log.failed(pending.request, outcome, pending.started_s)
        else:
            log.answered(pending.request, outcome, pending.started_s)
        if isinstance(outcome, Signal) or line.unsent is not None or line.incoming.closes:
            self._drop(line)
        else:
            line.connection.answered = True
            self.put_back(line)
        self._done(pending, outcome)

    def _drop_resting(self, line: Line) -> None:
        """It was closed, or sent what nobody asked for; or it never came about, which who waits for it is told."""
        refusal = line.connection.refusal("a request")
        if refusal is not None:
            self._opening += 1
            self._opened.append((line.way, refusal))
        self._drop(line)

    def _drop(self, line: Line) -> None:
        descriptor = line.connection.descriptor
        del self._lines[descriptor]
        self._watch.remove(descriptor)
        resting = self._resting.get(line.way.origin, [])
        if line in resting:
            resting.remove(line)
            self.at_rest -= 1
        line.connection.close()

    # They are opened by threads of their own: names, proxies and handshakes take their time.

    def open(self, way: Way, wanted: int) -> None:
        """So many, if so many may be; one at the cost of one of another origin, which nobody waits for."""
        if not self.may_open:
            resting = next((lines for lines in self._resting.values() if lines), None)
            if resting is None:
                return
            self._drop(resting[0])
        while self._opening < wanted and self.may_open:
            self._opening += 1
            try:
                threading.Thread(target=self._open, args=(way,), name="storage-guard-connect", daemon=True).start()
            except RuntimeError as exc:  # the system has no more threads
                self._opened.append((way, Busy(f"no connection can be opened: {exc}: nothing was sent")))
                return

    def _open(self, way: Way) -> None:
        found: Connection | Signal
        try:
            found = self._connector.connect(way.origin, way.proxy, "a request")
        except Signal as exc:
            found = exc
        except BaseException as exc:  # noqa: BLE001 - who waits is to be told
            found = Busy(f"no connection can be opened: {exc}: nothing was sent")
        self._opened.append((way, found))
        if self._closed and isinstance(found, Connection):
            found.close()
        self._ring()

    def take_opened(self) -> list[tuple[Way, Signal]]:
        """Those that were opened rest from here on; why others could not be."""
        failed: list[tuple[Way, Signal]] = []
        while self._opened:
            way, found = self._opened.popleft()
            self._opening -= 1
            if isinstance(found, Connection):
                line = Line(found, way)
                self._lines[found.descriptor] = line
                self._watch.add(found.descriptor)
                self.put_back(line)
            else:
                failed.append((way, found))
        return failed

    def look(self) -> None:
        """Whether something takes too long, or rested so long that the service may have forgotten it."""
        now_s = monotonic()
        if now_s < self._look_s:
            return
        self._look_s = now_s + self.looks_s
        settings = self._settings
        for line in list(self._lines.values()):
            pending = line.pending
            if pending is None:
                if now_s - line.moved_s >= settings.keep_idle_s:
                    self._drop(line)
            elif now_s - line.moved_s >= settings.idle_timeout_s:
                self._conclude(line, pending, line.incoming.lost(f"nothing moved for {settings.idle_timeout_s} s"))
            elif line.until_s is not None and now_s >= line.until_s:
                self._conclude(line, pending, line.incoming.lost(f"it was not over in {settings.total_timeout_s} s"))

    def close(self) -> None:
        """What is under way is lost."""
        self._closed = True
        for line in list(self._lines.values()):
            self._drop(line)
            if line.pending is not None:
                self._done(line.pending, Lost("the loop was closed while this request was under way"))
        while self._opened:
            _, found = self._opened.popleft()
            if isinstance(found, Connection):
                found.close()

    def abandon(self) -> list[Pending]:
        """In a child of the process: its parent's connections are not its own, and nobody here will hear of these."""
        flying = [line.pending for line in self._lines.values() if line.pending is not None]
        for line in self._lines.values():
            line.connection.close()
        return flying


def _outcome(line: Line) -> Answer | Signal:
    """Of a whole answer."""
    answer = line.incoming.answer()
    if line.unsent is not None and answer.status // 100 == 2:
        return line.incoming.lost(f"a {answer.status} came before all had been sent")
    if answer.status == 407 and line.way.proxy is not None:
        return proxy_refused("a request", 407)
    return answer
