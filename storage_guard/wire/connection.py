"""One connection, and one exchange over it at a time, in the thread that asks for it."""

from __future__ import annotations

from math import inf
from time import monotonic

from storage_guard.driver import MOST_WINDOW_BYTES, Signal
from storage_guard.wire.incoming import Incoming
from storage_guard.wire.meanings import certificate_refused
from storage_guard.wire.outgoing import Outgoing
from storage_guard.wire.settings import Settings
from storage_guard.wire.tls import Secured, Stream
from storage_guard.wire.watching import BOTH, READABLE, WRITABLE, Poll, poll

_READ_BYTES = 256 * 1024


class Silence(Exception):
    """Nothing moved in time."""


class _Watch:
    """How long one exchange may still wait."""

    __slots__ = ("_idle_s", "_total_s", "_until_s")

    def __init__(self, settings: Settings) -> None:
        self._idle_s = settings.idle_timeout_s
        self._total_s = settings.total_timeout_s
        self._until_s = inf if self._total_s is None else monotonic() + self._total_s

    def left_s(self) -> float:
        """Until nothing has moved for too long, from now on."""
        if self._until_s is inf:
            return self._idle_s
        left_s = self._until_s - monotonic()
        if left_s <= 0:
            raise self.silence()
        return min(self._idle_s, left_s)

    def silence(self) -> Silence:
        if monotonic() >= self._until_s:
            return Silence(f"it was not over in {self._total_s} s")
        return Silence(f"nothing moved for {self._idle_s} s")


class Connection:
    """Used by one thread at a time; a child of the process that made it may only close it."""

    __slots__ = ("_poll", "_stream", "_tls", "answered", "descriptor", "writes")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._tls = stream if isinstance(stream, Secured) else None
        self._poll: Poll | None = None
        self.descriptor = stream.fileno()
        self.writes = False
        """Whether who watches the descriptor watches for room to write, too."""
        self.answered = False
        """Whether an answer has come over it: the other side has accepted it."""

    def exchange(self, head: bytes, body: bytes | Outgoing, incoming: Incoming, settings: Settings) -> bool:
        """Sends it once, and fills `incoming`. Whether the connection may be used again; never after it raised: `Lost`,
        `Refused` for a handshake that failed after all, and what the body raises."""
        watch = _Watch(settings)
        if isinstance(body, bytes):
            whole = self._send(head + body if body else head, incoming, watch)
        else:
            whole = self._send(head, incoming, watch)
            while whole and (piece := body.read(MOST_WINDOW_BYTES)):
                whole = self._send(piece, incoming, watch)
        if whole:
            self._receive(incoming, watch)
            self.answered = True
            return not incoming.closes
        if incoming.status is None or incoming.status // 100 == 2:
            raise incoming.lost(f"a {incoming.status} came before all had been sent")
        return False

    def send_some(self, view: memoryview) -> memoryview:
        """What could not be sent yet. Raises OSError."""
        stream = self._stream
        try:
            while view:
                view = view[stream.send(view) :]
        except BlockingIOError:
            pass
        return view

    def receive_some(self, incoming: Incoming) -> bool:
        """Takes what has come. Whether all has: then more of it is none. Raises `Lost`, OSError."""
        whole = False
        while True:
            try:
                data = self._stream.recv(_READ_BYTES)
            except BlockingIOError:
                return whole  # what TLS had to say to itself
            if not data:
                if whole:
                    return True
                raise incoming.ended()
            whole = incoming.feed(data)
            if not self.pending:
                return whole

    @property
    def pending(self) -> bool:
        """Whether something has been read that nobody was given, so that the descriptor says nothing of it."""
        return self._tls is not None and self._tls.pending

    @property
    def stirs(self) -> bool:
        """Whether the service has closed it, or sent what nobody asked for."""
        return bool(self._polled(writes=False).poll(0))

    def close(self) -> None:
        """Says no goodbye: in a child of the process the parent may be talking on it."""
        self._stream.close()

    def _send(self, data: bytes | memoryview, incoming: Incoming, watch: _Watch) -> bool:
        """False if the whole answer came before all was sent."""
        view = memoryview(data)
        try:
            while view := self.send_some(view):
                # A service that refuses need not read all of what it refuses.
                if self._wait(watch, writes=True) and self.receive_some(incoming):
                    return False
        except (BrokenPipeError, ConnectionResetError):
            self._receive(incoming, watch)  # the service wants no more: perhaps it has said why
            return False
        except (OSError, Silence) as exc:
            raise self.broken(exc, incoming) from exc
        return True

    def _receive(self, incoming: Incoming, watch: _Watch) -> None:
        """Until all has come."""
        try:
            while (self.pending or self._wait(watch, writes=False)) and not self.receive_some(incoming):
                pass
        except (OSError, Silence) as exc:
            raise self.broken(exc, incoming) from exc

    def broken(self, exc: Exception, incoming: Incoming) -> Signal:
        """What the network, or its silence, means: not to be mixed up with what a body raises, which may be of its
        kind."""
        refused = None if self.answered else certificate_refused(exc, incoming.about)
        return refused or incoming.lost(str(exc) if isinstance(exc, Silence) else f"the connection broke: {exc}")

    def refusal(self, about: str) -> Signal | None:
        """Of a connection that stirs before anything was asked over it: whether it is refused, and why."""
        if self.answered:
            return None
        try:
            self._stream.recv(_READ_BYTES)
        except OSError as exc:
            return certificate_refused(exc, about)
        return None

    def _wait(self, watch: _Watch, *, writes: bool) -> bool:
        """Until something can be read, or written if it `writes`. Whether it can be read; True without `writes`."""
        found = self._polled(writes=writes).poll(watch.left_s() * 1000)
        if not found:
            raise watch.silence()
        return bool(found[0][1] & ~WRITABLE)

    def _polled(self, *, writes: bool) -> Poll:
        watched = self._poll
        if watched is None:
            watched = self._poll = poll()
            watched.register(self.descriptor, BOTH if writes else READABLE)
        elif writes != self.writes:
            watched.modify(self.descriptor, BOTH if writes else READABLE)
        self.writes = writes
        return watched
