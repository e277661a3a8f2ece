"""An object as a file to read: `Store.open(key, "rb")`, "rt", and what is compressed."""

from __future__ import annotations

import errno
import io
import operator
from collections.abc import Generator
from typing import TYPE_CHECKING, Never

from storage_guard.engine.ranges import filled, pin
from storage_guard.files.compression import Compression, decompressor
from storage_guard.model import KiB, MiB

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from storage_guard.access import Access
    from storage_guard.engine.sending import Bounds
    from storage_guard.model import ObjectInfo

# What is read in order is fetched in windows that double: who reads a header only has not fetched much in vain, and who
# reads on soon waits no more for each request than for its bytes.
FIRST_WINDOW_BYTES = 256 * KiB
MOST_WINDOW_BYTES = 4 * MiB
AHEAD_AT_FIRST = 2  # pieces; more as soon as more of them are faster

SOME_BYTES = 64 * KiB  # behind a seek, for who does not say how much is wanted: a line, a look ahead
PEEK_BYTES = 8 * KiB
PACKED_BYTES = 128 * KiB


def open_reader(  # noqa: PLR0917 - those of the built-in `open`, in its order
    access: Access,
    bounds: Bounds,
    key: str,
    mode: str,
    compression: Compression | None,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
) -> io.BufferedIOBase | io.TextIOWrapper:
    """The file for "rb", or for "rt" and "r", where `encoding` is UTF-8 unless it is given.

    Raises ValueError for another mode, ValueError and LookupError for an encoding, `errors` or `newline` that there is
    not; ObjectNotFound, and what else `head` raises.
    """
    if mode not in ("rb", "rt", "r"):
        raise ValueError(f'mode must be "rb", "rt" or "r", got {mode!r}')
    if mode != "rb":
        io.TextIOWrapper(
            io.BytesIO(), encoding or "utf-8", errors, newline
        ).close()  # refused before there is a request
    reader: ObjectReader | io.BufferedReader = ObjectReader(access, bounds, key)
    if compression is not None:
        reader = io.BufferedReader(_Unpacked(reader, key, compression), PACKED_BYTES)
    return reader if mode == "rb" else io.TextIOWrapper(reader, encoding or "utf-8", errors, newline)


class ObjectReader(io.BufferedIOBase):
    """An object as a binary file: buffered, seekable, and of one object for as long as it is open.

    What is there when it is opened is what it reads: once that is replaced, a read that needs the store is
    ObjectChanged, and ObjectNotFound once it is removed.

    What is fetched: read in order, windows of 256 KiB, twice as much each time, up to 4 MiB; who still reads on then
    has pieces of 4 MiB fetched ahead, side by side. Behind a seek to what is not at hand, exactly the bytes that are
    asked for (64 KiB for `readline`, `peek` and `read1()`, which do not say), until it is read in order again.
    Large reads, and `read()`, go into the result directly, in pieces side by side.

    Memory: one window, what a read returns, and `min(in_flight * 4 MiB, memory_bytes)` for pieces under way.

    For one thread at a time: threads open a reader each. It cannot be pickled. Errors are those of `Store.read`; behind
    one the position is what it was. Close it, or drop it, and nothing is under way any more.
    """

    _ahead: Generator[bytes, None, None] | None = None
    _window = b""

    def __init__(self, access: Access, bounds: Bounds, key: str) -> None:
        super().__init__()
        self._url = access.url
        self._info, self._pinned = pin(access, bounds, key)
        self._alone = bounds.in_flight == 1
        self._most_bytes = min(MOST_WINDOW_BYTES, self._pinned.piece_bytes)
        self._next_bytes = self._first_bytes = min(FIRST_WINDOW_BYTES, self._most_bytes)
        self._window_at = 0  # where in the object the window begins
        self._position = 0

    @property
    def info(self) -> ObjectInfo:
        """The object, as it was when this was opened."""
        return self._info

    @property
    def key(self) -> str:
        """Its key in the store."""
        return self._info.key

    @property
    def name(self) -> str:
        """The key, where files have their name."""
        return self._info.key

    @property
    def size(self) -> int:
        """Its size in bytes: what fsspec's callers ask a file for."""
        return self._info.size_bytes

    @property
    def mode(self) -> str:
        return "rb"

    def __repr__(self) -> str:
        return f"<{'closed ' if self.closed else ''}ObjectReader {self._info.key!r} in {self._url!r}>"

    def __reduce__(self) -> Never:
        raise TypeError(
            f"a reader of {self._info.key!r} cannot be pickled: its position and what it has fetched belong to this "
            "process; send the Store and the key, and open it there"
        )

    def readable(self) -> bool:
        self._check_open()
        return True

    def seekable(self) -> bool:
        self._check_open()
        return True

    def close(self) -> None:
        """Let go of what has been fetched, and wait for what is under way. Twice does no harm."""
        try:
            self._leave()
        finally:
            self._window = b""
            super().close()

    def tell(self) -> int:
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Asks nothing of the store. Behind the end there are no bytes; before the beginning is OSError, EINVAL."""
        self._check_open()
        from_bytes = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._info.size_bytes}.get(whence)
        if from_bytes is None:
            raise ValueError(f"whence must be 0, 1 or 2, got {whence!r}")
        position = from_bytes + operator.index(offset)
        if position < 0:
            raise OSError(errno.EINVAL, f"there is nothing {-position} bytes before the beginning", self._info.key)
        self._position = position
        return position

    def read(self, size: int | None = -1, /) -> bytes:
        """`size` bytes, fewer only where the object ends; all that is left for -1 or None."""
        self._check_open()
        left_bytes = self._left_bytes()
        count = left_bytes if size is None or size < 0 else min(size, left_bytes)
        at = self._position - self._window_at
        if at >= 0 and at + count <= len(self._window):
            data = self._window[at : at + count]
        else:
            data = filled(count, self._fetch)
        self._position += count
        return data

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer`; how many bytes there were for it."""
        self._check_open()
        with memoryview(buffer) as given, given.cast("B") as whole:
            count = min(len(whole), self._left_bytes())
            with whole[:count] as view:
                self._fetch(view)
        self._position += count
        return count

    def read1(self, size: int = -1, /) -> bytes:
        """What is at hand, up to `size` bytes; if nothing is, what one request brings."""
        self._check_open()
        if size == 0:
            return b""
        with self._at_hand(self._position, size) as held:
            data = bytes(held if size < 0 else held[:size])
        self._position += len(data)
        return data

    def peek(self, size: int = 0, /) -> bytes:
        """The next bytes, without moving on: at least one, if there is one, after one request at most."""
        self._check_open()
        with self._at_hand(self._position, max(size, 0) or -1) as held:
            return bytes(held[: max(size, PEEK_BYTES)])

    def readline(self, size: int | None = -1, /) -> bytes:
        """Up to and with the next line feed, at most `size` bytes."""
        self._check_open()
        start = self._position
        most = self._left_bytes() if size is None or size < 0 else min(size, self._left_bytes())
        at = start - self._window_at
        if 0 <= at < len(self._window):
            found = self._window.find(b"\n", at, at + most)
            if found >= 0:
                self._position = self._window_at + found + 1
                return self._window[at : found + 1]
        line: list[bytes] = []
        done = 0
        while done < most and not (line and line[-1].endswith(b"\n")):
            self._at_hand(start + done, -1).release()
            at = start + done - self._window_at
            found = self._window.find(b"\n", at, at + most - done)
            piece = self._window[at : found + 1] if found >= 0 else self._window[at : at + most - done]
            line.append(piece)
            done += len(piece)
        self._position = start + done
        return b"".join(line)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")

    def _left_bytes(self) -> int:
        return max(0, self._info.size_bytes - self._position)

    def _held(self, at: int) -> memoryview:
        """What the window holds from `at` on."""
        inside = 0 <= at - self._window_at < len(self._window)
        return memoryview(self._window)[at - self._window_at :] if inside else memoryview(b"")

    def _at_hand(self, at: int, wanted: int) -> memoryview:
        """The same, fetched if there is nothing; empty only at the end. `wanted` is -1 for who does not say."""
        held = self._held(at)
        if held.nbytes or at >= self._info.size_bytes:
            return held
        self._fill(at, min(wanted if wanted > 0 else SOME_BYTES, self._most_bytes))
        return self._held(at)

    def _fetch(self, view: memoryview) -> None:
        """Fill `view` from the position on. The object has that many bytes."""
        done, count = 0, len(view)
        while done < count:
            at = self._position + done
            with self._held(at) as held:
                took = min(len(held), count - done)
                view[done : done + took] = held[:took]
            done += took
            if took:
                continue
            if count - done > self._most_bytes and not (self._ahead and self._in_order(at)):
                self._leave()
                with view[done:] as rest:
                    self._pinned.read_into(at, rest)
                self._grow(at)
                self._window, self._window_at = b"", at + count - done
                return
            self._fill(at, count - done)

    def _fill(self, at: int, wanted: int) -> None:
        """Fetch a window that begins at `at`, before the object's end: `wanted` bytes, or more if all is in order."""
        size_bytes = self._info.size_bytes
        in_order = self._in_order(at)
        if not in_order:
            self._leave()
        elif self._ahead is None and self._next_bytes >= self._most_bytes and not self._alone:
            self._ahead = self._pinned.stream(at, size_bytes, at_first=AHEAD_AT_FIRST)
        if self._ahead is not None:
            window = self._next_piece(self._ahead)
        else:
            count = max(wanted, self._next_bytes) if in_order else wanted
            window = self._pinned.read(at, min(at + count, size_bytes))
        self._grow(at)
        self._window, self._window_at = window, at

    def _next_piece(self, ahead: Generator[bytes, None, None]) -> bytes:
        self._ahead = None  # whatever stops it, begins anew
        piece = next(ahead)
        self._ahead = ahead
        return piece

    def _grow(self, at: int) -> None:
        """The next window is larger if this one, at `at`, was read in order."""
        self._next_bytes = min(2 * self._next_bytes, self._most_bytes) if self._in_order(at) else self._first_bytes

    def _in_order(self, at: int) -> bool:
        """Whether `at` is where the last window ended."""
        return at == self._window_at + len(self._window)

    def _leave(self) -> None:
        """Fetch nothing ahead any more."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.close()


class _Unpacked(io.RawIOBase):
    """What compressed data holds. To go back is to begin anew, and to go on is to unpack what lies between."""

    def __init__(self, packed: io.BufferedIOBase, name: str, compression: Compression) -> None:
        super().__init__()
        self.name = name
        self.mode = "rb"
        self._packed = packed
        self._compression: Compression = compression
        self._unpacking = decompressor(compression)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        try:
            self._packed.close()
        finally:
            super().close()

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Buffer, /) -> int:
        """Raises EOFError for what is cut off, OSError for what is no such data or fails its checksum."""
        with memoryview(buffer) as given, given.cast("B") as view:
            data = self._next(len(view))
            view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        while whence == io.SEEK_END and self._next(PACKED_BYTES):
            pass
        target = offset + (0 if whence == io.SEEK_SET else self._position)
        if target < 0:
            raise OSError(errno.EINVAL, f"there is nothing {-target} bytes before the beginning", self.name)
        if target < self._position:
            self._packed.seek(0)
            self._unpacking = decompressor(self._compression)
            self._position = 0
        while self._position < target and self._next(min(PACKED_BYTES, target - self._position)):
            pass
        return self._position

    def _next(self, most_bytes: int) -> bytes:
        """Some more bytes; none at the end."""
        while most_bytes:
            packed = self._packed.read1(PACKED_BYTES) if self._unpacking.needs_input else b""
            if not packed and self._unpacking.needs_input:
                if self._unpacking.eof:
                    break
                raise EOFError(f"{self.name!r} is cut off: its {self._compression} data has no end")
            try:
                data = self._unpacking.decompress(packed, most_bytes)
            except OSError as exc:
                raise OSError(f"{self.name!r} cannot be read with compression={self._compression!r}: {exc}") from exc
            if data:
                self._position += len(data)
                return data
        return b""
