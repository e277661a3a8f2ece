"""Connections at rest: each in a handle of its own, used again last in, first out."""

from __future__ import annotations

import select
import threading
from time import monotonic

from storage_guard.wire.handle import Handle

# Many a server closes right after its answer, and libcurl does not look at a connection that rested under a second. To
# look costs a system call, which a busy thread shall not pay for each exchange.
_LOOK_AFTER_S = 0.01


class _Resting:
    __slots__ = ("handle", "origin", "since_s")

    def __init__(self, origin: str, handle: Handle) -> None:
        self.origin = origin
        self.handle = handle
        self.since_s = monotonic()


class Pool:
    """Any thread may call it. Holds at most `size` handles, and none that rested for `keep_idle_s` is given out."""

    def __init__(self, size: int, keep_idle_s: float) -> None:
        self._size = size
        self._keep_idle_s = keep_idle_s
        self._lock = threading.Lock()
        self._resting: list[_Resting] = []
        self._epoch = 0
        # In use or not: what a child of this process must not let go of.
        self._all = set[Handle]()

    @property
    def epoch(self) -> int:
        """Counts how often the pool was emptied."""
        return self._epoch

    def take(self, origin: str) -> Handle | None:
        """The handle for this scheme, host and port that rested the shortest, if its connection is worth a try."""
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
            if rested_s < _LOOK_AFTER_S or (rested_s < self._keep_idle_s and not _stirs(found.handle.connection())):
                return found.handle
            self.drop(found.handle)

    def add(self, handle: Handle) -> None:
        """A new handle, in use."""
        with self._lock:
            self._all.add(handle)

    def give(self, origin: str, handle: Handle, epoch: int) -> None:
        """A handle that is no longer in use. `epoch` is that of when it was taken."""
        surplus: list[Handle] = []
        now_s = monotonic()
        with self._lock:
            if epoch != self._epoch:
                surplus.append(handle)
            else:
                self._resting.append(_Resting(origin, handle))
                # The first rested the longest.
                while self._resting and (
                    len(self._resting) > self._size or now_s - self._resting[0].since_s >= self._keep_idle_s
                ):
                    surplus.append(self._resting.pop(0).handle)
        for each in surplus:
            self.drop(each)

    def drop(self, handle: Handle) -> None:
        """A handle whose connection is not to be used again."""
        with self._lock:
            self._all.discard(handle)
        handle.close()

    def clear(self) -> None:
        """Closes what rests now, and what is in use as soon as it is given back."""
        with self._lock:
            self._epoch += 1
            resting, self._resting = self._resting, []
        for each in resting:
            self.drop(each.handle)


def _stirs(descriptor: int) -> bool:
    """Whether the service has closed a connection, or sent what nobody asked for. -1, where there is none, is fine."""
    if descriptor < 0:
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
