"""The way out of a connection: what is written goes out as the client, the line and the cue allow."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator

from storage_guard.testing.server.links import Lane

PAUSE_S = 0.001  # a shorter one is not worth a timer: the line makes up for it
_BREATH_BYTES = 1024 * 1024  # after so many, others have their turn
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, and not for a second


class Outlet:
    """Writes what it is given, and waits while the client does not read."""

    def __init__(self, transport: asyncio.Transport, lane: Lane | None) -> None:
        self._transport = transport
        self._lane = lane
        self._waiter: asyncio.Future[None] | None = None
        self.paused = False
        self._lost = False

    def pause(self) -> None:
        self.paused = True

    def go_on(self) -> None:
        """The client has read, or is gone."""
        self.paused = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def is_lost(self) -> bool:
        return self._lost

    def lose(self) -> None:
        self._lost = True
        self.go_on()

    async def drained(self) -> None:
        while self.paused and not self._lost:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def send(self, pieces: Iterator[memoryview], at_most: int) -> tuple[int, bool]:
        """Writes the pieces, but no more than `at_most` bytes of them; returns how many it wrote, and whether there are
        more. Ends early if the client is gone."""
        sent = breath = 0
        for whole in pieces:
            piece = whole[: at_most - sent]
            quantum = len(piece) if self._lane is None else self._lane.quantum_bytes or len(piece)
            for at in range(0, len(piece), quantum or 1):
                part = piece[at : at + quantum]
                if self._lost:
                    return sent, True
                self._transport.write(part)
                sent += len(part)
                breath += len(part)
                if self.paused:
                    await self.drained()
                    breath = 0
                elif breath >= _BREATH_BYTES:
                    await asyncio.sleep(0)
                    breath = 0
                if self._lane is not None:
                    pause_s = self._lane.went(len(part), asyncio.get_running_loop().time())
                    if pause_s > PAUSE_S:
                        await asyncio.sleep(pause_s)
            if len(piece) < len(whole):
                return sent, True
        return sent, False

    async def flushed(self) -> None:
        """Everything written lies in the system's hands, or the client is gone. Nothing more will be written."""
        if self._transport.get_write_buffer_size():  # TLS would pause, and stay so, with nothing to write
            self._transport.set_write_buffer_limits(high=0)
        await self.drained()

    def reset(self) -> None:
        """The client sees its connection reset."""
        sock: socket.socket | None = self._transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def end(self) -> None:
        """The client sees the end of the connection, after what was flushed; it can still write."""
        sock: socket.socket | None = self._transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
