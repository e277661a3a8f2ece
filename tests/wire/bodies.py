"""Bodies that do not keep their word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from storage_guard.body import Body


class Windows(Body):
    """Says it has `size_bytes`, and yields `pieces`; then raises `failure`, if there is one. A window that is no longer
    valid holds other bytes."""

    def __init__(self, size_bytes: int, pieces: Sequence[bytes], failure: BaseException | None = None) -> None:
        self._size_bytes = size_bytes
        self._pieces = pieces
        self._failure = failure
        self.closed = 0

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def windows(self) -> Iterator[memoryview]:
        try:
            for piece in self._pieces:
                window = bytearray(piece)
                yield memoryview(window)
                window[:] = bytes(len(piece))
            if self._failure is not None:
                raise self._failure
        finally:
            self.closed += 1
