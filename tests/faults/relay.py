"""A way to a server that ends behind any byte."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

Direction = Literal["up", "down"]


@dataclass(frozen=True)
class Cut:
    """Behind `after_bytes` of what goes `direction` (up: to the server). The server has all that went up before."""

    direction: Direction
    after_bytes: int
    reset: bool


class Relay:
    """`passed` are the bytes since `begin`."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._cut: Cut | None = None
        self._threads: list[tuple[threading.Event, threading.Thread]] = []
        self._socks: list[socket.socket] = []
        self.passed: dict[Direction, int] = {"up": 0, "down": 0}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def begin(self, cut: Cut | None = None) -> None:
        with self._lock:
            self.passed = {"up": 0, "down": 0}
            self._cut = cut

    @property
    def struck(self) -> bool:
        return self._cut is None

    def wait_over(self) -> None:
        """Returns when the server has answered what was cut, or given it up: not before has it read all of it."""
        with self._lock:
            threads = list(self._threads)
        for over, thread in threads:
            if over.is_set():
                thread.join(10)

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                self._socks += [client, server]
                over = threading.Event()
                ends: list[tuple[Direction, socket.socket, socket.socket, threading.Event]] = [
                    ("up", client, server, over),
                    ("down", server, client, over),
                ]
                with self._lock:  # nobody waits for one of the two only
                    for end in ends:
                        thread = threading.Thread(target=self._pump, args=end)
                        thread.start()
                        self._threads.append((over, thread))

    def _pump(self, direction: Direction, source: socket.socket, sink: socket.socket, over: threading.Event) -> None:
        client, server = (source, sink) if direction == "up" else (sink, source)
        with contextlib.suppress(OSError):
            while (data := source.recv(65536)) and not over.is_set():
                cut, data = self._count(direction, data)
                if cut is not None:
                    over.set()
                sink.sendall(data)
                if cut is not None:
                    if cut.reset:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    # The other direction, which waits there, keeps it open else.
                    client.shutdown(socket.SHUT_RD if cut.reset else socket.SHUT_RDWR)
                    break
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)
        client.close()

    def _count(self, direction: Direction, data: bytes) -> tuple[Cut | None, bytes]:
        with self._lock:
            cut = self._cut
            if cut is not None and cut.direction == direction:
                left_bytes = cut.after_bytes - self.passed[direction]
                if len(data) >= left_bytes:
                    self._cut = None
                    return cut, data[:left_bytes]
            self.passed[direction] += len(data)
            return None, data

    def end(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for _, thread in self._threads:
            thread.join(10)
        for sock in self._socks:
            sock.close()


@contextlib.contextmanager
def relayed(server_port: int) -> Generator[Relay]:
    relay = Relay(server_port)
    thread = threading.Thread(target=relay.run)
    thread.start()
    try:
        yield relay
    finally:
        relay.end()
        thread.join(10)
