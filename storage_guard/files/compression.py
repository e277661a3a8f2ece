"""Compressed bytes on their way in and out. Each library is imported when it is first asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer

Compression = Literal["gzip", "bz2", "xz"]

_NAMES: dict[str, Compression] = {"gzip": "gzip", "bz2": "bz2", "xz": "xz"}
_GZIP = 31  # zlib: the largest window, in a gzip wrapper, whose header carries neither a name nor a time
_GZIP_LEVEL = 6


class Compressor(Protocol):
    """The same bytes come out for the same bytes, in whatever pieces they go in: no time, no name."""

    @abstractmethod
    def compress(self, data: Buffer, /) -> bytes:
        """What is ready so far."""
        ...

    @abstractmethod
    def flush(self) -> bytes:
        """The rest, with the trailer. Nothing may follow."""
        ...


class Decompressor(Protocol):
    """Streams, or gzip members, that follow each other come out as one. Zeros behind them are padding."""

    @property
    @abstractmethod
    def eof(self) -> bool:
        """Whether the data may end here: between two streams, with nothing left to come out. If the data ends where
        this is False, it is truncated. True at the very beginning too: no bytes are no streams."""
        ...

    @property
    @abstractmethod
    def needs_input(self) -> bool:
        """Whether more can come out only behind more data."""
        ...

    @abstractmethod
    def decompress(self, data: Buffer, max_bytes: int = -1) -> bytes:
        """Feed `data`, and get at most `max_bytes` (-1: no bound); while not `needs_input`, b"" gets more.

        Raises OSError for what is no such data, or fails its checksum.
        """
        ...


def check_name(name: str) -> Compression:
    """Raises ValueError for what is no compression."""
    if name not in _NAMES:
        raise ValueError(f'compression must be "gzip", "bz2" or "xz", got {name!r}')
    return _NAMES[name]


def compressor(name: Compression) -> Compressor:
    """A new stream, to be fed."""
    match name:
        case "gzip":
            import zlib  # noqa: PLC0415

            return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
        case "bz2":
            import bz2  # noqa: PLC0415

            return bz2.BZ2Compressor()
        case "xz":
            import lzma  # noqa: PLC0415

            return lzma.LZMACompressor()


def decompressor(name: Compression) -> Decompressor:
    """For data that may hold any number of streams."""
    match name:
        case "gzip":
            import zlib  # noqa: PLC0415

            return _Streams(name, lambda: _Zlib(zlib.decompressobj(_GZIP)), zlib.error)
        case "bz2":
            import bz2  # noqa: PLC0415

            return _Streams(name, bz2.BZ2Decompressor, OSError)
        case "xz":
            import lzma  # noqa: PLC0415

            return _Streams(name, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ), lzma.LZMAError)


class _Stream(Protocol):
    """What bz2 and lzma have: one stream."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _ZlibObject(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes: ...


class _Zlib:
    """The same of zlib, which hands back what it has not read instead of keeping it."""

    def __init__(self, inner: _ZlibObject) -> None:
        self._inner = inner
        self._more = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._more

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        tail = self._inner.unconsumed_tail
        out = self._inner.decompress(tail + data if tail else data, max(max_length, 0))
        # A full answer may have more behind it, although all of the data was read.
        self._more = not self._inner.eof and (bool(self._inner.unconsumed_tail) or len(out) == max_length)
        return out


class _Streams:
    def __init__(self, name: str, begin: Callable[[], _Stream], error: type[Exception]) -> None:
        self._name = name
        self._begin = begin
        self._error = error
        self._stream: _Stream | None = None
        self._waiting = b""
        self._seen = False

    @property
    def eof(self) -> bool:
        return self._stream is None and not self._waiting

    @property
    def needs_input(self) -> bool:
        return not self._waiting and (self._stream is None or self._stream.needs_input)

    def decompress(self, data: Buffer, max_bytes: int = -1) -> bytes:
        if max_bytes == 0:
            self._waiting += bytes(data)
            return b""
        fed = self._waiting + bytes(data) if self._waiting else bytes(data)
        self._waiting = b""
        out: list[bytes] = []
        left_bytes = max_bytes
        while fed or (self._stream is not None and not self._stream.needs_input):
            if self._stream is None:
                fed = fed.lstrip(b"\0") if self._seen else fed
                if not fed:
                    break
                self._stream, self._seen = self._begin(), True
            piece, fed = self._next(self._stream, fed, left_bytes)
            out.append(piece)
            if max_bytes > 0:
                left_bytes -= len(piece)
                if not left_bytes:
                    self._waiting = fed
                    break
        return b"".join(out)

    def _next(self, stream: _Stream, fed: bytes, max_bytes: int) -> tuple[bytes, bytes]:
        """What comes out of `stream`, and what is left of `fed`: something only behind the stream's end."""
        try:
            piece = stream.decompress(fed, max_bytes)
        except (self._error, EOFError) as exc:
            raise OSError(f"this is no {self._name} data, or it is damaged: {exc}") from exc
        if not stream.eof:
            return piece, b""
        self._stream = None
        return piece, stream.unused_data
