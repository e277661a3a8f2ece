"""The thread that carries many small requests at once over libcurl's multi interface."""

from __future__ import annotations

import select
import socket
import threading
from collections import deque
from time import monotonic

import pycurl

from storage_guard.driver import Busy, Lost, Signal
from storage_guard.wire import log
from storage_guard.wire.handle import Handle
from storage_guard.wire.messages import Answer, origin_of
from storage_guard.wire.pending import Pending
from storage_guard.wire.routes import Routes
from storage_guard.wire.settings import Settings

_POLLED = {
    pycurl.POLL_IN: select.POLLIN,
    pycurl.POLL_OUT: select.POLLOUT,
    pycurl.POLL_INOUT: select.POLLIN | select.POLLOUT,
}
# Ringing a bell costs a system call and a switch of threads for each request: while there is much to do the engine
# looks up by itself, at latest so long after something was submitted.
_DOZE_MS = 5
_AWAKE_S = 0.5
_BROKEN = select.POLLERR | select.POLLHUP | select.POLLNVAL


class Engine:
    """Of one process. `connections` requests are under way at most; `most_waiting` wait here, and then who submits."""

    def __init__(self, settings: Settings, routes: Routes, connections: int, most_waiting: int) -> None:
        self._settings = settings
        self._routes = routes
        self._most_waiting = most_waiting
        self._waiting = deque[Pending]()
        self._flying: dict[pycurl.Curl, tuple[Handle, Pending]] = {}
        self._resting: list[Handle] = []
        self._unmade = connections
        self._room = threading.Condition()
        self._kept_out = 0
        self._closing = False
        self._sleeps = False  # until it hears the bell
        self._dozes = False  # not for long
        self._awake_until_s = 0.0
        self._poll = select.poll()
        self._ear, self._bell = socket.socketpair()
        self._ear.settimeout(0)
        self._bell.settimeout(0)
        self._ear_descriptor = self._ear.fileno()
        self._poll.register(self._ear_descriptor, select.POLLIN)
        self._connections = connections
        self._spoilt = False
        self._multi = self._make_multi()
        self._thread = threading.Thread(target=self._run, name="storage-guard-wire", daemon=True)
        self._thread.start()

    @property
    def runs(self) -> bool:
        return not self._closing  # which it becomes however the thread ends

    @property
    def has_room(self) -> bool:
        return not self._closing and len(self._waiting) + len(self._flying) < self._connections

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
        for pending in [*self._waiting, *(pending for _, pending in self._flying.values())]:
            if not pending.done:
                pending.abandon(Lost("the process was forked while this request was its parent's"))

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

    def _make_multi(self) -> pycurl.CurlMulti:
        multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_MAXCONNECTS, self._connections)
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._socket)
        return multi

    # From here on: in the thread.

    def _run(self) -> None:
        try:
            while not self._closing:
                self._finish()
                if self._start():
                    self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
                else:
                    self._wait()
        finally:
            self._end()

    def _finish(self) -> None:
        done: list[tuple[Pending, Answer | Signal]] = []
        try:
            while True:
                left, good, bad = self._multi.info_read()
                for curl, code, text in [*((curl, pycurl.E_OK, "") for curl in good), *bad]:
                    done.append(self._conclude(curl, code, text))
                if not left:
                    return
        finally:
            # Together: who waits wakes up once for them all, and not each time anew for the interpreter's lock.
            for pending, outcome in done:
                pending.settle(outcome)

    def _conclude(self, curl: pycurl.Curl, code: int, text: str) -> tuple[Pending, Answer | Signal]:
        handle, pending = self._flying.pop(curl)
        outcome: Answer | Signal
        try:
            outcome = handle.answer(pending.request, code, text)
        except Signal as exc:
            outcome = exc
        except BaseException:
            pending.settle(Lost("the loop failed when the answer had come"))
            raise
        self._multi.remove_handle(curl)
        if isinstance(outcome, Signal):
            # libcurl takes the connection for a good one, would use it for the next, and cannot be told otherwise.
            self._spoilt = self._spoilt or code == pycurl.E_OK
            self._drop(handle)
            log.failed(pending.request, outcome, pending.started_s)
        else:
            self._resting.append(handle)
            log.answered(pending.request, outcome, pending.started_s)
        return pending, outcome

    def _start(self) -> bool:
        """Sends what waits, as long as there are connections. False if nothing was sent."""
        started = False
        if self._spoilt and not self._flying:
            self._multi.close()
            self._multi = self._make_multi()
            self._spoilt = False
        while self._waiting and self._may_start():
            started = True
            self._launch(self._waiting.popleft())
        if started:
            self._awake_until_s = monotonic() + _AWAKE_S
        if self._kept_out and len(self._waiting) <= self._most_waiting // 4:
            with self._room:
                self._room.notify_all()
        return started

    def _may_start(self) -> bool:
        return not self._spoilt and bool(self._resting or self._unmade)

    def _launch(self, pending: Pending) -> None:
        request = pending.request
        if pending.goes_out is not None and not pending.goes_out():
            pending.abandon(Busy("it was called off before it was sent"))
            return
        pending.started_s = log.start()
        if self._resting:
            handle = self._resting.pop()
        else:
            self._unmade -= 1
            handle = Handle(self._settings, self._routes.certificates, alone=False)
        refusal: Signal
        try:
            handle.load(request, self._routes.proxy_of(origin_of(request.url)), watched=False)
            self._multi.add_handle(handle.curl)
            self._flying[handle.curl] = handle, pending
            return
        except Signal as exc:
            refusal = exc
        except BaseException:
            pending.settle(Busy("the loop failed: nothing was sent"))
            raise
        self._drop(handle)
        log.failed(request, refusal, pending.started_s)
        pending.settle(refusal)

    def _drop(self, handle: Handle) -> None:
        handle.close()
        self._unmade += 1

    def _wait(self) -> None:
        may_start = self._may_start()
        awake = monotonic() < self._awake_until_s
        self._dozes, self._sleeps = may_start and awake, may_start and not awake
        if (self._waiting and may_start) or self._closing:
            self._dozes = self._sleeps = False
            return
        left_ms = self._multi.timeout()
        if self._dozes:
            left_ms = _DOZE_MS if left_ms < 0 else min(left_ms, _DOZE_MS)
        events = self._poll.poll(None if left_ms < 0 else left_ms)
        self._dozes = self._sleeps = False
        for descriptor, event in events:
            if descriptor == self._ear_descriptor:
                self._ear.recv(4096)
                continue
            action = 0
            if event & select.POLLIN:
                action |= pycurl.CSELECT_IN
            if event & select.POLLOUT:
                action |= pycurl.CSELECT_OUT
            if event & _BROKEN:
                action |= pycurl.CSELECT_ERR
            self._multi.socket_action(descriptor, action)
        if not events:
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def _socket(self, what: int, descriptor: int, _multi: pycurl.CurlMulti, _data: object) -> None:
        if what == pycurl.POLL_REMOVE:
            self._poll.unregister(descriptor)
        else:
            self._poll.register(descriptor, _POLLED[what])

    def _end(self) -> None:
        self._closing = True
        for curl, (handle, pending) in list(self._flying.items()):
            self._multi.remove_handle(curl)
            handle.close()
            pending.settle(Lost("the loop was closed while this request was under way"))
        for handle in self._resting:
            handle.close()
        self._multi.close()
        self._settle_waiting()
        with self._room:
            self._room.notify_all()
        self._ear.close()
        self._bell.close()

    def _settle_waiting(self) -> None:
        while self._waiting:
            try:
                pending = self._waiting.popleft()
            except IndexError:
                return
            pending.settle(Busy("the loop was closed: nothing was sent"))
