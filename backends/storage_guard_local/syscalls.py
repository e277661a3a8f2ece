"""Every system call the backend makes, as one object: tests replace it to make calls fail or to write down their order.

No decisions here, and nothing that is not in the os module but two calls that Python does not have.
"""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from typing_extensions import Buffer

Kind = Literal["folder", "file", "other"]

# Absent from some systems: then O_TMPFILE counts as not supported, and the next two are bits that only our own
# `System` for Windows sees; the rest is nothing.
O_TMPFILE: int = getattr(os, "O_TMPFILE", 0)
O_DIRECTORY: int = getattr(os, "O_DIRECTORY", 1 << 28)
O_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 1 << 29)
O_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
O_PATH: int = getattr(os, "O_PATH", 0)
O_BINARY: int = getattr(os, "O_BINARY", 0)

_RENAME_NOREPLACE = 1
_SYNC_FILE_RANGE_WRITE = 2
_Offset = ctypes.c_int64


# Writes of 1 MiB are several times slower than these on ext4.
PIECE_BYTES = 256 * 1024


class System:
    """The system calls of this machine. Without state, so it pickles and may be shared."""

    def key_trouble(self, key: str) -> str:  # noqa: ARG002 - other systems look
        """Why this system cannot hold a key under its own name, "" if it can. No call, but it belongs to them."""
        return ""

    def open(self, path: str, flags: int, *, dir_fd: int | None = None) -> int:
        return os.open(path, flags | O_BINARY, 0o666, dir_fd=dir_fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def pwrite(self, fd: int, data: Buffer, offset_bytes: int) -> int:
        return os.pwrite(fd, data, offset_bytes)

    def pread(self, fd: int, size_bytes: int, offset_bytes: int) -> bytes:
        return os.pread(fd, size_bytes, offset_bytes)

    def preadv(self, fd: int, buffer: memoryview, offset_bytes: int) -> int:
        return os.preadv(fd, [buffer], offset_bytes)

    def copy_file_range(self, from_fd: int, to_fd: int, size_bytes: int, from_bytes: int, to_bytes: int) -> int:
        call = getattr(os, "copy_file_range", None)
        if call is None:
            raise _unknown("copy_file_range")
        copied: int = call(from_fd, to_fd, size_bytes, from_bytes, to_bytes)
        return copied

    def ftruncate(self, fd: int, size_bytes: int) -> None:
        os.ftruncate(fd, size_bytes)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def start_writeback(self, fd: int, offset_bytes: int, size_bytes: int) -> None:
        """Let the disk begin with these bytes, and do not wait for it. Promises nothing."""
        if _call_of("sync_file_range")(fd, _Offset(offset_bytes), _Offset(size_bytes), _SYNC_FILE_RANGE_WRITE) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def lstat(self, path: str, *, dir_fd: int | None = None) -> os.stat_result:
        return os.stat(path, dir_fd=dir_fd, follow_symlinks=False)

    def link_fd(self, fd: int, name: str, *, dir_fd: int) -> None:
        """Give an open file without a name its name."""
        # Without a dir fd CPython calls link(2), which does not follow the link in /proc, and gets EXDEV.
        os.link(proc_path(fd), name, dst_dir_fd=dir_fd)

    def link(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
        os.link(source, name, src_dir_fd=source_fd, dst_dir_fd=dir_fd, follow_symlinks=False)

    def rename_noreplace(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
        call = _call_of("renameat2")
        if call(source_fd, os.fsencode(source), dir_fd, os.fsencode(name), _RENAME_NOREPLACE) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), source, None, name)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        os.unlink(name, dir_fd=dir_fd)

    def mkdir(self, path: str, *, dir_fd: int | None = None) -> None:
        os.mkdir(path, dir_fd=dir_fd)

    def rmdir(self, path: str, *, dir_fd: int | None = None) -> None:
        os.rmdir(path, dir_fd=dir_fd)

    def setxattr(self, fd: int, name: str, value: bytes) -> None:
        if not hasattr(os, "setxattr"):
            raise _unsupported("setxattr")
        os.setxattr(fd, name, value)

    def getxattr(self, fd: int, name: str) -> bytes:
        if not hasattr(os, "getxattr"):
            raise _unsupported("getxattr")
        return os.getxattr(fd, name)

    def flock(self, fd: int) -> None:
        """Take the file's lock, or raise BlockingIOError at once."""
        try:
            import fcntl  # noqa: PLC0415 - not on Windows
        except ImportError:
            raise _unknown("flock") from None
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def entries(self, fd: int) -> list[tuple[str, Kind]]:
        """What is in an open folder, in no order; `.` and `..` left out."""
        with os.scandir(fd) as found:
            return [(entry.name, kind_of(entry)) for entry in found]


@cache
def _call_of(name: str) -> Any:
    """A call of the C library's. Raises OSError where it has none."""
    try:
        return getattr(ctypes.CDLL(None, use_errno=True), name)
    except (AttributeError, OSError, TypeError) as exc:
        raise _unknown(name) from exc


def proc_path(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def kind_of(entry: os.DirEntry[str]) -> Kind:
    try:
        if entry.is_dir(follow_symlinks=False):
            return "folder"
        return "file" if entry.is_file(follow_symlinks=False) else "other"
    except OSError:
        return "other"  # vanished, on a file system that tells kinds by stat only


def _unknown(name: str) -> OSError:
    return OSError(errno.ENOSYS, f"this system has no {name}")


def _unsupported(name: str) -> OSError:
    return OSError(errno.ENOTSUP, f"this system has no {name}")
