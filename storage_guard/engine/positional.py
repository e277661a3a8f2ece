"""Reading a file at a position, whoever else reads it meanwhile."""

from __future__ import annotations

import os
import threading

_seeking = threading.Lock()  # a descriptor and its duplicates share one position


def read_at(fd: int, buffer: memoryview, offset_bytes: int) -> int:
    """How many bytes came: 0 at the end. The file's own position stays what it was. Raises OSError."""
    return os.preadv(fd, [buffer], offset_bytes) if hasattr(os, "preadv") else sought(fd, buffer, offset_bytes)


def sought(fd: int, buffer: memoryview, offset_bytes: int) -> int:
    """The same on systems that can only seek: Windows, and macOS before 11."""
    with _seeking:
        stood = os.lseek(fd, 0, os.SEEK_CUR)
        try:
            os.lseek(fd, offset_bytes, os.SEEK_SET)
            data = os.read(fd, buffer.nbytes)
        finally:
            os.lseek(fd, stood, os.SEEK_SET)
    buffer[: len(data)] = data
    return len(data)
