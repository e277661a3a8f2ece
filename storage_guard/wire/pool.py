"""Connections at rest, used again last in, first out."""

from __future__ import annotations

import threading
from time import monotonic

from storage_guard.wire.connection import Connection


class _Resting:
    __slots__ = ("connection", "origin", "since_s")

    def __init__(self, origin: str, connection: Connection) -> None:
        self.origin = origin
        self.connection = connection
        self.since_s = monotonic()


class Pool:
    """Any thread may call it. Holds at most `size` connections, and none that rested for `keep_idle_s` is given out."""

    def __init__(self, size: int, keep_idle_s: float) -> None:
        self._size = size
        self._keep_idle_s = keep_idle_s
        self._lock = threading.Lock()
        self._resting: list[_Resting] = []
        self._epoch = 0
        # In use or not: what is nobody's in a child of this process.
        self._all = set[Connection]()

    @property
    def epoch(self) -> int:
        """Counts how often the pool was emptied."""
        return self._epoch

    def take(self, origin: str) -> Connection | None:
        """The one for this scheme, host and port that rested the shortest, if it is worth a try."""
        while True:
            with self._lock:
                found = None
                for at in range(len(self._resting) - 1, -1, -1):
                    if self._resting[at].origin == origin:
                        found = self._resting.pop(at)
                        break
            if found is None:
                return None
            rested_s = monotonic() - found.since_s
            # However short the rest was: many a server (tinyproxy) closes behind its answer without a word, and what
            # came behind an answer would be taken for that to the next request.
            if rested_s < self._keep_idle_s and not found.connection.stirs:
                return found.connection
            self.drop(found.connection)

    def add(self, connection: Connection) -> None:
        """A new one, in use."""
        with self._lock:
            self._all.add(connection)

    def give(self, origin: str, connection: Connection, epoch: int) -> None:
        """One that is no longer in use. `epoch` is that of when it was taken."""
        surplus: list[Connection] = []
        now_s = monotonic()
        with self._lock:
            if epoch != self._epoch:
                surplus.append(connection)
            else:
                self._resting.append(_Resting(origin, connection))
                # The first rested the longest.
                while self._resting and (
                    len(self._resting) > self._size or now_s - self._resting[0].since_s >= self._keep_idle_s
                ):
                    surplus.append(self._resting.pop(0).connection)
        for each in surplus:
            self.drop(each)

    def drop(self, connection: Connection) -> None:
        """One that is not to be used again."""
        with self._lock:
            self._all.discard(connection)
        connection.close()

    def clear(self) -> None:
        """Closes what rests now, and what is in use as soon as it is given back."""
        with self._lock:
            self._epoch += 1
            resting, self._resting = self._resting, []
        for each in resting:
            self.drop(each.connection)

    def abandon(self) -> None:
        """In a child of the process, where all of them are the parent's, and a lock may be held for ever."""
        for each in list(self._all):
            each.close()
