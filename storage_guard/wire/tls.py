"""TLS over a socket that does not block.

The interpreter's own TLS sockets write each record with a system call of its own, 64 to the MiB. Here the records of a
whole window go out in one, and it works over itself: a proxy that is reached over TLS can tunnel TLS.
"""

from __future__ import annotations

import contextlib
import ssl
from abc import abstractmethod
from time import monotonic
from typing import Protocol

from storage_guard.wire.watching import READABLE, WRITABLE, poll

_READ_BYTES = 256 * 1024
_AT_ONCE_BYTES = 128 * 1024  # of the plain text; so much of what goes out is held


class Stream(Protocol):
    """Bytes both ways, without waiting: a plain socket that does not block, or TLS over one."""

    @abstractmethod
    def fileno(self) -> int: ...

    @abstractmethod
    def send(self, data: memoryview, /) -> int:
        """How many of them went. Raises BlockingIOError: then the same bytes are to be given again."""
        ...

    @abstractmethod
    def recv(self, most_bytes: int, /) -> bytes:
        """None at the end. Raises BlockingIOError."""
        ...

    @abstractmethod
    def close(self) -> None: ...


class Secured:
    """The client's side of TLS over `stream`, which it takes over."""

    __slots__ = ("_accepted_bytes", "_in", "_out", "_stream", "_tls", "_unsent")

    def __init__(self, stream: Stream, context: ssl.SSLContext, host: str) -> None:
        """Raises ValueError for what is no host's name."""
        self._stream = stream
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host)
        self._unsent = memoryview(b"")
        self._accepted_bytes = 0  # of what is unsent, before it was encrypted

    def fileno(self) -> int:
        return self._stream.fileno()

    def handshake(self, until_s: float) -> None:
        """`until_s` by the monotonic clock. Raises OSError, ssl.SSLError among them."""
        waiting = poll()
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                events = READABLE
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._flush()  # what is wrong, for the other side
                raise
            else:
                events = 0
            try:
                self._flush()
                if not events:
                    return
                self._fill()
                continue
            except BlockingIOError:
                events = WRITABLE if self._unsent else READABLE
            left_s = until_s - monotonic()
            waiting.register(self.fileno(), events)
            if left_s <= 0 or not waiting.poll(max(1, int(left_s * 1000))):
                raise TimeoutError("no TLS in time")

    def send(self, data: memoryview, /) -> int:
        if not self._unsent:
            accepted_bytes = 0
            while accepted_bytes < min(len(data), _AT_ONCE_BYTES):
                accepted_bytes += self._tls.write(data[accepted_bytes:_AT_ONCE_BYTES])
            self._accepted_bytes = accepted_bytes
        self._flush()
        accepted_bytes, self._accepted_bytes = self._accepted_bytes, 0
        return accepted_bytes

    def recv(self, most_bytes: int, /) -> bytes:
        while True:
            try:
                return self._tls.read(most_bytes)
            except ssl.SSLWantReadError:
                if not self._unsent:
                    with contextlib.suppress(BlockingIOError):
                        self._flush()  # TLS speaks for itself at times
                self._fill()
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                return b""

    @property
    def pending(self) -> bool:
        """Whether something has come that nobody was given, so that the descriptor says nothing of it."""
        below = isinstance(self._stream, Secured) and self._stream.pending
        return self._tls.pending() > 0 or self._in.pending > 0 or below

    def close(self) -> None:
        """Says no goodbye."""
        self._stream.close()

    def _flush(self) -> None:
        if not self._unsent and self._out.pending:
            self._unsent = memoryview(self._out.read())
        while self._unsent:
            self._unsent = self._unsent[self._stream.send(self._unsent) :]

    def _fill(self) -> None:
        data = self._stream.recv(_READ_BYTES)
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()
