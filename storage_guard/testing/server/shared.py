"""What the connections of one server have in common: the dialect, the cues, the line, and what is remembered."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, NamedTuple

from storage_guard.testing.server.answering import Heads
from storage_guard.testing.server.cues import Cues
from storage_guard.testing.server.exchange import Asked, Dialect
from storage_guard.testing.server.links import Lane, Line, Link

if TYPE_CHECKING:
    from storage_guard.testing.server.serving import Connection

_ROOM_BYTES = 512 * 1024


class Seen(NamedTuple):
    """A request that was received, whole or not. `status` is that of the answer which began to go out, None if none
    did. `body_bytes` is what came of the request's body; connections are counted from 1."""

    asked: Asked
    status: int | None
    body_bytes: int
    connection: int


class Shared:
    """One for each server. Used in the server's thread, but for `seen` and `failures`, which any thread may read."""

    def __init__(self, dialect: Dialect, cues: Cues, link: Link | None, remembered: int) -> None:
        self.dialect = dialect
        self.cues = cues
        self.line = None if link is None else Line(link)
        self.heads = Heads()
        # One buffer for all: what is in it is used up before the loop reads again.
        self.room = bytearray(_ROOM_BYTES)
        self.connections = set["Connection"]()
        self.accepted = 0
        self.failures: list[Exception] = []
        self._tasks = set[asyncio.Task[None]]()
        self._lock = threading.Lock()
        self._seen: deque[Seen] = deque(maxlen=remembered)

    @property
    def seen(self) -> list[Seen]:
        with self._lock:
            return list(self._seen)

    def note(self, seen: Seen) -> None:
        with self._lock:
            self._seen.append(seen)

    def lane(self) -> Lane | None:
        return None if self.line is None else self.line.lane()

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Runs it beside the rest, until the server stops. `work` lets no exception out."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def is_idle(self) -> bool:
        return not self._tasks and not any(each.receives for each in self.connections)

    async def stop(self) -> None:
        """Gives up what is under way, and resets all connections."""
        for task in list(self._tasks):
            task.cancel()
        for connection in list(self.connections):
            connection.abandon()
        while self._tasks or self.connections:
            await asyncio.sleep(0)
