"""Which of many descriptors have something to say."""

from __future__ import annotations

import select
import sys

READABLE = select.POLLIN
BOTH = select.POLLIN | select.POLLOUT
WRITABLE = select.POLLOUT


class Watch:
    """Used by one thread. The kernel looks at all descriptors of a poll each time; at those of an epoll (Linux) only if
    they have something to say."""

    def __init__(self) -> None:
        linux = sys.platform == "linux"
        self._poll = select.epoll() if linux else select.poll()
        self._ticks_per_s = 1 if linux else 1000

    def add(self, descriptor: int) -> None:
        """For what can be read."""
        self._poll.register(descriptor, READABLE)

    def change(self, descriptor: int, *, writes: bool) -> None:
        """Also, or no longer, for room to write."""
        self._poll.modify(descriptor, BOTH if writes else READABLE)

    def remove(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)

    def wait(self, most_s: float | None) -> list[tuple[int, int]]:
        """Descriptors and events. `most_s` None: for ever."""
        return self._poll.poll(None if most_s is None else most_s * self._ticks_per_s)

    def close(self) -> None:
        """In a child of the process nothing else may be done: it shares what its parent watches."""
        if isinstance(self._poll, select.epoll):
            self._poll.close()
