"""Bodies that do on purpose what a real source does on a bad day."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from storage_guard.driver import WINDOW_BYTES


class BytesBody:
    """Plain bytes. `passes` counts how often they were read from the start."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.passes = 0

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    def windows(self) -> Iterator[memoryview]:
        self.passes += 1
        yield from _cut(memoryview(self.data))


class MeddlingBody:
    """Bytes that call `meddle` once on each pass, when `at_bytes` of them have been handed out.

    The window is cut there, so that `at_bytes` may lie anywhere; at the size of the body, or beyond, nothing would
    call it in a driver that asks for no more windows than it needs.
    """

    def __init__(self, data: bytes, at_bytes: int, meddle: Callable[[], object]) -> None:
        if not 0 <= at_bytes < max(1, len(data)):
            raise ValueError(f"at_bytes must lie within the {len(data)} bytes, got {at_bytes}")
        self._data = data
        self._at_bytes = at_bytes
        self._meddle = meddle

    @property
    def size_bytes(self) -> int:
        return len(self._data)

    def windows(self) -> Iterator[memoryview]:
        view = memoryview(self._data)
        yield from _cut(view[: self._at_bytes])
        self._meddle()
        yield from _cut(view[self._at_bytes :])


class FailingBody:
    """Bytes that raise `error`, always the same object, when `good_bytes` of them have been handed out."""

    def __init__(self, data: bytes, good_bytes: int, error: BaseException) -> None:
        self._body = MeddlingBody(data, good_bytes, self._raise)
        self.error = error

    @property
    def size_bytes(self) -> int:
        return self._body.size_bytes

    def windows(self) -> Iterator[memoryview]:
        return self._body.windows()

    def _raise(self) -> None:
        raise self.error


def _cut(view: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(view), WINDOW_BYTES):
        yield view[start : start + WINDOW_BYTES]
