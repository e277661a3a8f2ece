"""A server for the length of a block, in a thread or in a process of its own; and its loop, for whoever has one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future

from storage_guard.testing.server.cues import Cues
from storage_guard.testing.server.exchange import Dialect
from storage_guard.testing.server.links import Link
from storage_guard.testing.server.serving import Connection
from storage_guard.testing.server.shared import Seen, Shared

_BACKLOG = 4096
_AT_ONCE = 64  # connections accepted before others have their turn
_NO_DESCRIPTORS_S = 0.1
_RECEIVE_BYTES = 128 * 1024  # in the system, where the line is narrow; less than a segment or two stalls the loopback
_STOP_S = 30.0


class Server:
    """A server that runs, or is about to. Any thread may use it."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        cues: Cues | None = None,
        link: Link | None = None,
        tls: ssl.SSLContext | None = None,
        remembered: int = 100_000,
    ) -> None:
        """Listens from now on; `serve` answers. `remembered` bounds `requests`. Raises OSError."""
        self.cues = Cues() if cues is None else cues
        self._tls = tls
        self._shared = Shared(dialect, self.cues, link, remembered)
        self._admitting = set[asyncio.Task[None]]()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener = _listener(host, port, narrow=link is not None and bool(link.rates))
        self.host = host
        self.port: int = self._listener.getsockname()[1]

    def __repr__(self) -> str:
        return f"<Server {self.url}, {len(self._shared.connections)} connections>"

    @property
    def url(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self._tls is None else 'https'}://{name}:{self.port}"

    @property
    def requests(self) -> list[Seen]:
        """The latest, oldest first. A request is there before its answer goes out."""
        return self._shared.seen

    @property
    def connections(self) -> int:
        """How many there were."""
        return self._shared.accepted

    @property
    def open_connections(self) -> int:
        return len(self._shared.connections)

    @property
    def failures(self) -> list[Exception]:
        """What the dialect, or the server, raised unforeseen."""
        return list(self._shared.failures)

    def wait_idle(self, timeout_s: float = 10.0) -> None:
        """Returns when no request is received, delayed, held or answered. Raises TimeoutError."""
        if self._loop is None:
            raise RuntimeError("the server does not run")
        done: Future[None] = asyncio.run_coroutine_threadsafe(self._idle(timeout_s), self._loop)
        done.result(timeout_s + 1)

    async def _idle(self, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            while not self._shared.is_idle():
                await asyncio.sleep(0.001)

    async def serve(self, stop: asyncio.Event) -> None:
        """Answers until `stop` is set; then what is under way is given up, and all is closed."""
        self._loop = asyncio.get_running_loop()
        try:
            self._listen()
            await stop.wait()
        finally:
            self.close()
            for task in list(self._admitting):
                task.cancel()
            await asyncio.gather(*self._admitting, return_exceptions=True)
            await self._shared.stop()
            self._loop = None

    def close(self) -> None:
        """Listens no more. `serve` does it at its end."""
        if self._loop is not None:
            self._loop.remove_reader(self._listener)
        self._listener.close()

    def _listen(self) -> None:
        if self._loop is not None and self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept, self._loop)

    def _accept(self, loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no descriptors left: who waits is let in when there are
                loop.remove_reader(self._listener)
                loop.call_later(_NO_DESCRIPTORS_S, self._listen)
                return
            sock.settimeout(0)
            task = loop.create_task(self._admit(loop, sock))
            self._admitting.add(task)
            task.add_done_callback(self._admitting.discard)

    async def _admit(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):  # a handshake that fails (ssl.SSLError too) is the client's affair
            await loop.connect_accepted_socket(self._connection, sock, ssl=self._tls)

    def _connection(self) -> Connection:
        return Connection(self._shared, secure=self._tls is not None)


@contextlib.contextmanager
def running(
    dialect: Dialect,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    cues: Cues | None = None,
    link: Link | None = None,
    tls: ssl.SSLContext | None = None,
    remembered: int = 100_000,
) -> Generator[Server]:
    """A server in a thread of its own, until the block ends: requests under way are given up then.

    Raises at the end what the dialect raised unforeseen, as it is or as an ExceptionGroup; where the block itself
    raises, as notes on that. The arguments are those of `Server`.
    """
    server = Server(dialect, host=host, port=port, cues=cues, link=link, tls=tls, remembered=remembered)
    thread = _Thread(server)
    try:
        yield server
    except BaseException as exc:
        thread.stop()
        for failure in server.failures:
            exc.add_note(f"meanwhile the server failed: {failure!r}")
        raise
    thread.stop()
    raise_failures(server)


def raise_failures(server: Server) -> None:
    """Raises what the server kept, if anything."""
    failures = server.failures
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise ExceptionGroup("the server failed", failures)


class _Thread:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._ready = threading.Event()
        self._stop: Callable[[], object] = bool
        self._thread = threading.Thread(target=self._run, name=f"server on {server.port}", daemon=True)
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        self._stop()
        self._thread.join(_STOP_S)
        if self._thread.is_alive():
            raise RuntimeError(f"{self._server} does not stop: its dialect hangs")

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        self._ready.set()
        await self._server.serve(stop)


def _listener(host: str, port: int, *, narrow: bool) -> socket.socket:
    # The event loop sends small pieces at once on sockets that say they are TCP.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if narrow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
        sock.settimeout(0)
    except BaseException:
        sock.close()
        raise
    return sock
