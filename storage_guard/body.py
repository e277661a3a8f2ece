"""Bytes on their way to a store: what a driver reads."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer

WINDOW_BYTES = 256 * 1024
"""Of bytes that come bit by bit."""

MOST_WINDOW_BYTES = 1024 * 1024
"""Where there is much to send, small windows cost a system call each, and a turn of the interpreter's lock: a file of
1 GiB in windows of 256 KiB takes half as much CPU again (benchmarks/large_files.py)."""


class Body(Protocol):
    """A known number of bytes that can be read again from the start, as often as an attempt needs."""

    @property
    @abstractmethod
    def size_bytes(self) -> int: ...

    @abstractmethod
    def windows(self) -> Iterator[memoryview]:
        """All the bytes, at most MOST_WINDOW_BYTES at a time, none of them empty.

        A window is valid until the next one is asked for. What this raises (the source changed) must pass
        through a driver unchanged.
        """
        ...


class BytesBody:
    """Bytes that somebody already holds."""

    def __init__(self, data: Buffer) -> None:
        self._view = bytes_of(data)

    @property
    def size_bytes(self) -> int:
        return self._view.nbytes

    def windows(self) -> Iterator[memoryview]:
        for start in range(0, self._view.nbytes, MOST_WINDOW_BYTES):
            yield self._view[start : start + MOST_WINDOW_BYTES]


class JoinedBody:
    """Bodies, one behind the other."""

    def __init__(self, bodies: Sequence[Body]) -> None:
        self._bodies = bodies

    @property
    def size_bytes(self) -> int:
        return sum(body.size_bytes for body in self._bodies)

    def windows(self) -> Iterator[memoryview]:
        for body in self._bodies:
            yield from body.windows()


class WatchedBody:
    """A body that says how many of its bytes have been read, on each pass anew, and remembers what it raised.

    By `failure` a driver's own trouble is told from trouble of the caller's data.
    """

    def __init__(self, body: Body, watch: Callable[[int], None]) -> None:
        self._body = body
        self._watch = watch
        self.failure: BaseException | None = None

    @property
    def size_bytes(self) -> int:
        return self._body.size_bytes

    def windows(self) -> Iterator[memoryview]:
        done_bytes = 0
        windows = self._body.windows()
        while True:
            try:
                # What was yielded before has been used by now.
                self._watch(done_bytes)
                window = next(windows, None)
            except BaseException as exc:
                self.failure = exc
                raise
            if window is None:
                return
            done_bytes += window.nbytes
            yield window


def bytes_of(data: Buffer) -> memoryview:
    """The bytes of a contiguous buffer."""
    view = memoryview(data)
    # An empty array of several dimensions refuses the cast.
    return view.cast("B") if view.nbytes else memoryview(b"")
