"""The bytes of objects and parts: in memory, in a folder, or counted and thrown away."""

from __future__ import annotations

import hashlib
import os
import tempfile
import weakref
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from storage_guard.checksum import as_checksum, combine, crc64xz

WINDOW_BYTES = 256 * 1024
_ZEROS = memoryview(bytes(WINDOW_BYTES))


class Source(Protocol):
    """Bytes that lie somewhere and stay as they are for as long as somebody holds this."""

    @abstractmethod
    def windows(self, start: int, stop: int) -> Iterator[memoryview]:
        """The bytes from `start` up to `stop`, at most `WINDOW_BYTES` at a time."""
        ...


class Sink(Protocol):
    """Bytes that are arriving."""

    @abstractmethod
    def take(self, data: memoryview) -> None:
        """A piece, valid during the call."""
        ...

    @abstractmethod
    def end(self) -> Blob:
        """The bytes are whole."""
        ...

    @abstractmethod
    def cut(self) -> None:
        """Forget them."""
        ...


class Blobs(Protocol):
    """Where bytes are kept. `md5`: whether the MD5 of all bytes is wanted; without it an ETag is made of the CRC-64."""

    md5: bool

    @abstractmethod
    def sink(self) -> Sink: ...


class Blob:
    """Bytes that never change. Joining and cutting copies none of them."""

    __slots__ = ("_pieces", "size_bytes")

    def __init__(self, pieces: Iterable[tuple[Source, int, int]] = ()) -> None:
        self._pieces = tuple(piece for piece in pieces if piece[2] > piece[1])
        self.size_bytes = sum(stop - start for _, start, stop in self._pieces)

    def cut(self, start: int, stop: int) -> Blob:
        """The bytes from `start` up to `stop`, which lie within."""
        if not 0 <= start <= stop <= self.size_bytes:
            raise ValueError(f"no bytes {start} to {stop} in {self.size_bytes}")
        return Blob(self._within(start, stop))

    def windows(self, start: int = 0, stop: int | None = None) -> Iterator[memoryview]:
        """The bytes from `start` up to `stop` (the end without it), at most `WINDOW_BYTES` at a time."""
        for source, first, end in self._within(start, self.size_bytes if stop is None else stop):
            yield from source.windows(first, end)

    def _within(self, start: int, stop: int) -> Iterator[tuple[Source, int, int]]:
        at = 0
        for source, first, end in self._pieces:
            size_bytes = end - first
            if at + size_bytes > start and at < stop:
                yield source, first + max(start - at, 0), first + min(stop - at, size_bytes)
            at += size_bytes

    @staticmethod
    def joined(blobs: Iterable[Blob]) -> Blob:
        return Blob(piece for blob in blobs for piece in blob._pieces)  # noqa: SLF001 - of its own class


@dataclass(frozen=True, slots=True)
class Digest:
    """A checksum under the name that a service gives its algorithm. `parts`: it is made of the checksums of so many
    parts; 0: of the bytes."""

    algorithm: str
    value: bytes
    parts: int = 0


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes and what is known of them. `crc`: CRC-64/XZ. `etag`: lower-case hexadecimal digits, without quotes: the MD5
    where it is kept, otherwise made of checksum and size; "-N" follows for N parts. `digests`: what else a dialect
    wants known, the one that the writer chose first."""

    blob: Blob
    crc: int
    etag: str
    md5: bytes | None
    digests: tuple[Digest, ...] = ()

    @property
    def size_bytes(self) -> int:
        return self.blob.size_bytes


class Arriving:
    """A body on its way into a sink, measured as it passes. `md5`: whether its MD5 is needed in any case."""

    __slots__ = ("_digest", "_keep", "_sink", "crc", "size_bytes")

    def __init__(self, blobs: Blobs, *, md5: bool = False) -> None:
        self._sink = blobs.sink()
        self._keep = blobs.md5
        self._digest = hashlib.md5(usedforsecurity=False) if md5 or blobs.md5 else None
        self.crc = 0
        self.size_bytes = 0

    def take(self, data: memoryview) -> None:
        self.crc = crc64xz(data, self.crc)
        self.size_bytes += data.nbytes
        if self._digest is not None:
            self._digest.update(data)
        self._sink.take(data)

    def md5(self) -> bytes:
        """Of what has passed so far; only where it was asked for."""
        if self._digest is None:
            raise ValueError("the MD5 was not asked for")
        return self._digest.digest()

    def end(self) -> Content:
        md5 = self._digest.digest() if self._keep and self._digest is not None else None
        return Content(self._sink.end(), self.crc, _etag(md5, self.crc, self.size_bytes), md5)

    def cut(self) -> None:
        self._sink.cut()


def cut(content: Content, start: int, stop: int) -> Content:
    """The bytes from `start` up to `stop` as a content of its own, read for its checksums if it is not the whole."""
    if (start, stop) == (0, content.size_bytes):
        return content
    blob = content.blob.cut(start, stop)
    digest = hashlib.md5(usedforsecurity=False) if content.md5 is not None else None
    crc = 0
    for window in blob.windows():
        crc = crc64xz(window, crc)
        if digest is not None:
            digest.update(window)
    md5 = digest.digest() if digest is not None else None
    return Content(blob, crc, _etag(md5, crc, blob.size_bytes), md5)


def joined(parts: list[Content]) -> Content:
    """The whole that `parts` make in this order. Its MD5 field is that of their MD5s."""
    blob = Blob.joined(part.blob for part in parts)
    whole = combine((as_checksum(part.crc), part.size_bytes) for part in parts)
    crc = int(whole.value, 16) if whole is not None else 0
    md5s = [part.md5 for part in parts if part.md5 is not None]
    md5 = hashlib.md5(b"".join(md5s), usedforsecurity=False).digest() if len(md5s) == len(parts) else None
    return Content(blob, crc, f"{_etag(md5, crc, blob.size_bytes)}-{len(parts)}", md5)


def _etag(md5: bytes | None, crc: int, size_bytes: int) -> str:
    return f"{crc:016x}{size_bytes:016x}" if md5 is None else md5.hex()


class _Bytes:
    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def windows(self, start: int, stop: int) -> Iterator[memoryview]:
        view = memoryview(self._data)
        for at in range(start, stop, WINDOW_BYTES):
            yield view[at : min(at + WINDOW_BYTES, stop)]


class _InMemory:
    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: list[bytes] = []

    def take(self, data: memoryview) -> None:
        self._taken.append(bytes(data))

    def end(self) -> Blob:
        return Blob((_Bytes(data), 0, len(data)) for data in self._taken)

    def cut(self) -> None:
        self._taken.clear()


class MemoryBlobs:
    """Keeps bytes in memory."""

    def __init__(self, *, md5: bool = True) -> None:
        self.md5 = md5

    def sink(self) -> Sink:
        return _InMemory()


class _Zeros:
    __slots__ = ()

    def windows(self, start: int, stop: int) -> Iterator[memoryview]:
        for at in range(start, stop, WINDOW_BYTES):
            yield _ZEROS[: min(WINDOW_BYTES, stop - at)]


class _Counting:
    __slots__ = ("_size_bytes",)

    def __init__(self) -> None:
        self._size_bytes = 0

    def take(self, data: memoryview) -> None:
        self._size_bytes += data.nbytes

    def end(self) -> Blob:
        return Blob([(_Zeros(), 0, self._size_bytes)])

    def cut(self) -> None:
        self._size_bytes = 0


class DiscardedBlobs:
    """Counts bytes and throws them away. An object has the checksum of what was sent; reading it, or copying a range of
    it, gives zeros."""

    def __init__(self, *, md5: bool = False) -> None:
        self.md5 = md5

    def sink(self) -> Sink:
        return _Counting()


class _File:
    __slots__ = ("__weakref__", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        weakref.finalize(self, _unlink, path)

    def windows(self, start: int, stop: int) -> Iterator[memoryview]:
        with open(self._path, "rb") as file:
            file.seek(start)
            while start < stop:
                data = file.read(min(WINDOW_BYTES, stop - start))
                if not data:
                    raise EOFError(f"{self._path} has shrunk")
                start += len(data)
                yield memoryview(data)


def _unlink(path: str) -> None:
    Path(path).unlink(missing_ok=True)


class _IntoFile:
    __slots__ = ("_folder", "_path", "_size_bytes", "_to")

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._path = ""
        self._to = -1
        self._size_bytes = 0

    def take(self, data: memoryview) -> None:
        if self._to < 0:
            self._to, self._path = tempfile.mkstemp(dir=self._folder)
        while data:
            written = os.write(self._to, data)
            self._size_bytes += written
            data = data[written:]

    def end(self) -> Blob:
        if self._to < 0:
            return Blob()
        os.close(self._to)
        return Blob([(_File(self._path), 0, self._size_bytes)])

    def cut(self) -> None:
        if self._to >= 0:
            os.close(self._to)
            _unlink(self._path)


class DiskBlobs:
    """Keeps each blob in a file of `folder`, which must be there; a file goes when nothing refers to its bytes, or with
    the process."""

    def __init__(self, folder: str | Path, *, md5: bool = True) -> None:
        self._folder = str(folder)
        self.md5 = md5

    def sink(self) -> Sink:
        return _IntoFile(self._folder)
