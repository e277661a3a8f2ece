"""The body of a request on its way out: exactly as many bytes as were announced, or an exchange that fails."""

from __future__ import annotations

from collections.abc import Iterator

from storage_guard.driver import Body, Refused


def whole(body: Body) -> bytes:
    """All bytes of a small body. Raises what the body raises, and `Refused` if it is not as long as it says."""
    size_bytes = body.size_bytes
    pieces: list[bytes] = []
    found_bytes = 0
    for window in body.windows():
        found_bytes += window.nbytes
        if found_bytes > size_bytes:
            raise wrong_size(found_bytes, size_bytes, "at least ")
        pieces.append(bytes(window))
    if found_bytes != size_bytes:
        raise wrong_size(found_bytes, size_bytes)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


_HELD_BYTES = 16 * 1024


class Outgoing:
    """The windows of a large body, in pieces.

    The end of the last window is held back, as a copy, until the body has said that it is the last: nobody is to have
    the whole of a body that turns out to be longer, or whose source turns out to have changed.
    """

    def __init__(self, body: Body) -> None:
        self.size_bytes = body.size_bytes
        self._windows = body.windows()
        self._taken_bytes = 0
        self._rest: memoryview | bytes = b""
        self._held = b""

    def read(self, most_bytes: int) -> memoryview | bytes:
        """At most so many bytes, and at least one, until all have been sent; valid until the next call."""
        piece = self._rest or self._window()
        if len(piece) > most_bytes:
            self._rest = memoryview(piece)[most_bytes:]
            piece = memoryview(piece)[:most_bytes]
        else:
            self._rest = b""
        return piece

    def _window(self) -> memoryview | bytes:
        if self._taken_bytes == self.size_bytes:
            return self._end()
        window = next(self._windows, None)
        if window is None:
            raise wrong_size(self._taken_bytes, self.size_bytes)
        self._taken_bytes += window.nbytes
        if self._taken_bytes < self.size_bytes:
            return window
        if self._taken_bytes == self.size_bytes:
            self._held = bytes(window[-_HELD_BYTES:])
            return window[:-_HELD_BYTES] if window.nbytes > _HELD_BYTES else self._end()
        raise wrong_size(self._taken_bytes, self.size_bytes, "at least ")

    def _end(self) -> bytes:
        """What is held, once; then nothing."""
        more = next(self._windows, None)
        if more is not None:
            raise wrong_size(self._taken_bytes + more.nbytes, self.size_bytes, "at least ")
        held, self._held = self._held, b""
        return held

    def close(self) -> None:
        """Lets go of what the body holds while it is read."""
        self._rest = self._held = b""
        windows: Iterator[memoryview] = self._windows
        close = getattr(windows, "close", None)
        if close is not None:
            close()


def wrong_size(found_bytes: int, expected_bytes: int, how: str = "") -> Refused:
    return Refused(f"the body has {how}{found_bytes} bytes, not {expected_bytes}: it was not sent whole", why="request")
