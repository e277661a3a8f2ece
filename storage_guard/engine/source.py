"""What a caller's data becomes: bytes, a file or a stream, from which bodies are taken.

Memory: a file costs one window for each body that is read, caller's bytes cost nothing, a stream costs the whole body.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, cast

from storage_guard.body import MOST_WINDOW_BYTES, WINDOW_BYTES, Body, BytesBody, bytes_of
from storage_guard.checksum import Counts, Crc64, RunningCrc64
from storage_guard.engine.positional import read_at
from storage_guard.errors import NotWritten, SourceChanged, SourceMissing

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Source(ABC):
    """A caller's data."""

    @property
    @abstractmethod
    def size_bytes(self) -> int | None:
        """None when only the end tells."""

    @abstractmethod
    def take(self, offset_bytes: int, size_bytes: int) -> Body:
        """The next body: `size_bytes` from `offset_bytes` on, less at the end of a stream, where offsets must follow
        each other."""

    def prepare(self, size_bytes: int, done: Callable[[], bool]) -> None:  # noqa: B027 - most have nothing to prepare
        """Read for the next body, of `size_bytes`, what takes its time to be read, until `done`."""

    @property
    @abstractmethod
    def window_bytes(self) -> int | None:
        """How much of a body is in memory at a time, at most, beyond what the caller holds anyway; None: all of it."""

    def held_bytes(self, size_bytes: int) -> int:
        """How much memory a body of that size takes until it is sent."""
        return size_bytes if self.window_bytes is None else min(self.window_bytes, size_bytes)

    @property
    @abstractmethod
    def rewindable(self) -> bool:
        """Whether all the bytes can be read a second time."""

    @abstractmethod
    def rewind(self) -> None:
        """Make all the bytes readable again from the first. Only where `rewindable`."""

    @abstractmethod
    def digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        """Size and checksum of all the bytes. Uses up what is left of a stream; of one that was not to `count_all`
        there is the CRC-64/XZ only, otherwise None."""

    def count_all(self) -> None:  # noqa: B027 - most can be read again
        """Before the first body is taken: count in every algorithm what is gone then."""

    @abstractmethod
    def close(self, *, done: bool) -> None:
        """Let go. `done`: all bytes were used; otherwise a caller's file is put back to where it stood, so that
        trying again with the same file does not write its remainder as if it were the whole."""


class BytesSource(Source):
    def __init__(self, data: Buffer) -> None:
        self._view = bytes_of(data)

    @property
    def size_bytes(self) -> int:
        return self._view.nbytes

    def take(self, offset_bytes: int, size_bytes: int) -> Body:
        return BytesBody(self._view[offset_bytes : offset_bytes + size_bytes])

    @property
    def window_bytes(self) -> int:
        return 0

    @property
    def rewindable(self) -> bool:
        return True

    def rewind(self) -> None:
        """Nothing moves."""

    def digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int]:
        return _counted(self.take(0, self.size_bytes), algorithm)

    def close(self, *, done: bool) -> None:
        """Nothing is held."""


class FileSource(Source):
    """A regular file, read by position, so that attempts and parts do not disturb each other."""

    def __init__(self, fd: int, name: str, key: str, *, start: int = 0, file: IO[bytes] | None = None) -> None:
        self._fd = fd
        self._name = name
        self._key = key
        self._file = file
        self.start = start
        self.opened = os.fstat(fd)
        self._size_bytes = max(0, self.opened.st_size - start)
        self._buffers: list[memoryview] = []  # that nobody reads into: a new one for each part has to be zeroed first

    @property
    def path(self) -> str:
        return os.path.abspath(self._name)

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def take(self, offset_bytes: int, size_bytes: int) -> Body:
        return FileBody(self, offset_bytes, min(size_bytes, self.size_bytes - offset_bytes))

    @property
    def window_bytes(self) -> int:
        return MOST_WINDOW_BYTES

    def held_bytes(self, size_bytes: int) -> int:
        return window_bytes_of(size_bytes)

    def lend(self, size_bytes: int) -> memoryview:
        """A buffer of at least so many bytes, to be given back."""
        try:
            buffer = self._buffers.pop()
        except IndexError:
            buffer = memoryview(b"")
        return buffer if buffer.nbytes >= size_bytes else memoryview(bytearray(size_bytes))

    def give_back(self, buffer: memoryview) -> None:
        self._buffers.append(buffer)

    def read_into(self, buffer: memoryview, offset_bytes: int) -> int:
        try:
            return read_at(self._fd, buffer, self.start + offset_bytes)
        except OSError as exc:
            raise NotWritten(
                f"{self._key!r} was not written: reading {self._name} failed: {exc.strerror}", key=self._key
            ) from exc

    def check_unchanged(self) -> None:
        now = os.fstat(self._fd)
        if now.st_size != self.opened.st_size:
            change = "grew" if now.st_size > self.opened.st_size else "shrank"
            self.changed(f"{change} from {self.opened.st_size} to {now.st_size} bytes")
        if now.st_mtime_ns != self.opened.st_mtime_ns:
            self.changed("was written to")

    def changed(self, how: str) -> None:
        raise SourceChanged(
            f"{self._key!r} was not written: {self._name} {how} while it was read; write a copy that nobody changes",
            key=self._key,
        )

    @property
    def rewindable(self) -> bool:
        return True

    def rewind(self) -> None:
        """Nothing moves."""

    def digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int]:
        return _counted(self.take(0, self.size_bytes), algorithm)

    def close(self, *, done: bool) -> None:
        os.close(self._fd)
        if done and self._file is not None:
            # One that the caller has closed meanwhile has no place; and what was written must not look like a failure.
            with contextlib.suppress(ValueError, OSError):
                self._file.seek(self.start + self.size_bytes)


def window_bytes_of(size_bytes: int) -> int:
    """How much of a file is read at a time that is sent in a request of this size: an eighth, 256 KiB to 1 MiB. Where a
    link is so slow that many small parts are on their way, large windows gain nothing, and there would be many."""
    return min(max(size_bytes // 8, WINDOW_BYTES), MOST_WINDOW_BYTES, max(size_bytes, 1))


class FileBody:
    """A range of a file, one window in memory."""

    def __init__(self, file: FileSource, offset_bytes: int, size_bytes: int) -> None:
        self._file = file
        self._offset_bytes = offset_bytes
        self.size_bytes = size_bytes

    def windows(self) -> Iterator[memoryview]:
        window_bytes = window_bytes_of(self.size_bytes)
        buffer = self._file.lend(window_bytes)
        done_bytes = 0
        try:
            while done_bytes < self.size_bytes:
                want = buffer[: min(window_bytes, self.size_bytes - done_bytes)]
                got_bytes = self._file.read_into(want, self._offset_bytes + done_bytes)
                if got_bytes == 0:
                    self._file.check_unchanged()
                    self._file.changed("ended early")
                done_bytes += got_bytes
                if done_bytes == self.size_bytes:
                    # Before the last window goes out: behind it a store may already have published.
                    self._file.check_unchanged()
                yield want[:got_bytes]
            if self.size_bytes == 0:
                self._file.check_unchanged()
        finally:
            self._file.give_back(buffer)


class StreamSource(Source):
    """Bytes that come only once, or from a file that cannot be read by position: one block in memory."""

    def __init__(
        self,
        key: str,
        read: Callable[[int], Buffer],
        start_again: Callable[[], None] | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        self._key = key
        self._read = read
        self._start_again = start_again
        self._close = close
        self._taken = Counts()
        self._begun = bytearray()  # of the next block
        self._ended = False
        self._drained = False

    @property
    def size_bytes(self) -> None:
        return None

    @property
    def window_bytes(self) -> None:
        return None

    def take(self, offset_bytes: int, size_bytes: int) -> Body:
        if offset_bytes != self._taken.size_bytes or self._drained:
            raise NotWritten(
                f"{self._key!r} was not written: its stream is used up and cannot be read again", key=self._key
            )
        self.prepare(size_bytes, _never)
        block, self._begun = self._begun, bytearray()
        self._taken.update(block)
        return BytesBody(block)

    def prepare(self, size_bytes: int, done: Callable[[], bool]) -> None:
        while len(self._begun) < size_bytes and not self._ended and not done():
            piece = self._read(size_bytes - len(self._begun))
            self._ended = not memoryview(piece).nbytes
            self._begun += piece

    @property
    def rewindable(self) -> bool:
        return self._start_again is not None

    def rewind(self) -> None:
        if self._start_again is not None:
            self._start_again()
            self._taken = self._taken.anew()
            self._begun = bytearray()
            self._ended = self._drained = False

    def digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        begun, self._begun = self._begun, bytearray()
        self._taken.update(begun)
        while not self._ended:
            piece = self._read(WINDOW_BYTES)
            self._taken.update(piece)
            self._ended = not memoryview(piece).nbytes
        self._drained = True
        return self._taken.of(algorithm)

    def count_all(self) -> None:
        self._taken = Counts.for_comparing()

    def close(self, *, done: bool) -> None:
        if not done and self._start_again is not None:
            # A file the caller has closed meanwhile cannot be put back, and nobody could read it.
            with contextlib.suppress(ValueError, OSError):
                self._start_again()
        if self._close is not None:
            self._close()


def _never() -> bool:
    return False


def open_source(data: object, key: str) -> Source:
    """What `create` was given, as a Source: a buffer, a path, a binary file, an iterable of buffers, in this order.

    Raises TypeError for anything else (a str, a text file), SourceMissing for a path that is not there,
    NotWritten for one that is a directory or cannot be read.
    """
    if isinstance(data, str):
        raise TypeError(f"{key!r}: a str is neither bytes nor a path: encode it, or wrap it in pathlib.Path")
    try:
        view = memoryview(cast("Buffer", data))
    except TypeError:
        pass
    else:
        if not view.c_contiguous:
            raise TypeError(f"{key!r}: the buffer is not contiguous")
        return BytesSource(view)
    if isinstance(data, os.PathLike):
        return _open_path(cast("os.PathLike[str]", data), key)
    if isinstance(data, io.TextIOBase):
        raise TypeError(f"{key!r}: the file is open in text mode; open it in binary mode")
    if callable(getattr(data, "read", None)):
        return _from_file(cast("IO[bytes]", data), key)
    if isinstance(data, Iterable):
        return _from_iterable(cast("Iterable[object]", data), key)
    raise TypeError(f"{key!r}: cannot write {type(data).__name__}; want bytes, a Path, a binary file or an iterable")


def _open_path(path: os.PathLike[str], key: str) -> Source:
    name = os.fspath(path)
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as exc:
        raise SourceMissing(f"{key!r} was not written: {name} is not there", key=key, path=str(name)) from exc
    except (OSError, ValueError) as exc:
        raise NotWritten(f"{key!r} was not written: {name} cannot be read: {exc}", key=key) from exc
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return FileSource(fd, name, key)
    if stat.S_ISDIR(mode):
        os.close(fd)
        raise NotWritten(f"{key!r} was not written: {name} is a directory, not a file", key=key)
    file = os.fdopen(fd, "rb", buffering=0)  # a pipe or a device: only its end tells its size
    return StreamSource(key, _file_reader(file, key), close=file.close)


def _from_file(file: IO[bytes], key: str) -> Source:
    # Exact classes only: GzipFile and its like have a fileno too, that of the file underneath.
    if type(file) in (io.FileIO, io.BufferedReader, io.BufferedRandom):
        file.flush()
        start = file.tell() if file.seekable() else -1
        if start >= 0 and stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return FileSource(os.dup(file.fileno()), str(file.name), key, start=start, file=file)
    try:
        start = file.tell() if file.seekable() else -1
    except (AttributeError, OSError):
        start = -1

    def start_again() -> None:
        file.seek(start)

    return StreamSource(key, _file_reader(file, key), start_again if start >= 0 else None)


def _file_reader(file: IO[bytes], key: str) -> Callable[[int], Buffer]:
    def read(size_bytes: int) -> Buffer:
        piece: object = file.read(size_bytes)
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise TypeError(
                f"{key!r}: the file gave {type(piece).__name__} where bytes were wanted"
                + (" (is it open in text mode?)" if isinstance(piece, str) else "")
                + (" (is it non-blocking?)" if piece is None else "")
            )
        return cast("Buffer", piece)

    return read


def _from_iterable(data: Iterable[object], key: str) -> Source:
    pieces = iter(data)
    rest = memoryview(b"")

    def read(size_bytes: int) -> memoryview:
        nonlocal rest
        while not rest.nbytes:
            try:
                piece = next(pieces)
            except StopIteration:
                return rest
            if isinstance(piece, str):
                raise TypeError(f"{key!r}: the iterable gave a str where bytes were wanted")
            try:
                rest = bytes_of(cast("Buffer", piece))
            except TypeError as exc:
                raise TypeError(f"{key!r}: the iterable gave {type(piece).__name__} where bytes were wanted") from exc
        taken, rest = rest[:size_bytes], rest[size_bytes:]
        return taken

    def start_again() -> None:
        nonlocal pieces, rest
        pieces, rest = iter(data), memoryview(b"")

    return StreamSource(key, read, start_again if isinstance(data, Sequence) else None)


def _counted(body: Body, algorithm: Crc64) -> tuple[int, int]:
    running = RunningCrc64(algorithm)
    for window in body.windows():
        running.update(window)
    return running.size_bytes, running.crc
