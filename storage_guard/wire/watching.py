"""Which descriptors have something to say: by the best call that the system has for it."""

from __future__ import annotations

import select
from abc import abstractmethod
from typing import Protocol

READABLE = 1  # the numbers of POLLIN and POLLOUT, wherever there is a poll
WRITABLE = 4
BOTH = READABLE | WRITABLE


class Poll(Protocol):
    """As `select.poll` has it, for a few descriptors."""

    @abstractmethod
    def register(self, descriptor: int, events: int, /) -> object: ...

    @abstractmethod
    def modify(self, descriptor: int, events: int, /) -> object: ...

    @abstractmethod
    def unregister(self, descriptor: int, /) -> object: ...

    @abstractmethod
    def poll(self, most_ms: float | None = None, /) -> list[tuple[int, int]]: ...


def poll() -> Poll:
    """Windows has none."""
    return select.poll() if hasattr(select, "poll") else SelectPoll()


class SelectPoll:
    """A poll that is made of `select.select`, which on Windows takes 512 sockets."""

    def __init__(self) -> None:
        self._events: dict[int, int] = {}

    def register(self, descriptor: int, events: int, /) -> None:
        self._events[descriptor] = events

    def modify(self, descriptor: int, events: int, /) -> None:
        self._events[descriptor] = events

    def unregister(self, descriptor: int, /) -> None:
        del self._events[descriptor]

    def poll(self, most_ms: float | None = None, /) -> list[tuple[int, int]]:
        read = [descriptor for descriptor, events in self._events.items() if events & READABLE]
        write = [descriptor for descriptor, events in self._events.items() if events & WRITABLE]
        # A connection that cannot be made is "exceptional" there, and not writable:
        # learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-select
        readable, writable, failed = select.select(read, write, write, None if most_ms is None else most_ms / 1000)
        found = dict.fromkeys(readable, READABLE)
        for descriptor in {*writable, *failed}:
            found[descriptor] = found.get(descriptor, 0) | WRITABLE
        return list(found.items())


class Watch:
    """For many, used by one thread. Of a poll the kernel looks at all descriptors each time; of an epoll (Linux) at
    those that have something to say."""

    def __init__(self) -> None:
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._poll: Poll = poll() if self._epoll is None else self._epoll
        self._ticks_per_s = 1000 if self._epoll is None else 1

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
        if self._epoll is not None:
            self._epoll.close()
