"""macOS: a sync that reaches the platter, attributes and the exclusive rename by C calls. Never run on a Mac yet.

There is no O_TMPFILE, so files are published by link, or by renameatx_np(RENAME_EXCL). Disks there take names that
differ in case, in composition or in characters that are not shown for the same.
"""

from __future__ import annotations

import ctypes
import errno
import os
import unicodedata
from typing import TYPE_CHECKING, Any

from storage_guard.names import RESERVED
from storage_guard_local.syscalls import System

if TYPE_CHECKING:
    from typing_extensions import Buffer

_F_FULLFSYNC = 51
_RENAME_EXCL = 4
_ENOATTR = 93
# What a disk says that has no such sync (network disks): then the plain one is all there is.
_NO_FULL_SYNC = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY})


class MacSystem(System):
    """`library` is the C library and `control` fcntl.fcntl: arguments, so that both can be made up."""

    def __init__(self, library: Any = None, control: Any = None) -> None:
        self._library = library
        self._control = control

    def __getstate__(self) -> dict[str, object]:
        return {"_library": None, "_control": None}

    def key_trouble(self, key: str) -> str:
        first = key.split("/", 1)[0]
        shown = "".join(each for each in first if unicodedata.category(each) != "Cf")
        same = unicodedata.normalize("NFKC", shown).casefold() == RESERVED
        return f"{first!r} is {RESERVED} to this system, which is kept for the library itself" if same else ""

    def preadv(self, fd: int, buffer: memoryview, offset_bytes: int) -> int:
        piece = self.pread(fd, buffer.nbytes, offset_bytes)  # os.preadv needs macOS 11
        buffer[: len(piece)] = piece
        return len(piece)

    def fsync(self, fd: int) -> None:
        """Through the drive's cache; fsync(2) does not go so far there."""
        try:
            self._fcntl()(fd, _F_FULLFSYNC)
        except OSError as exc:
            if exc.errno not in _NO_FULL_SYNC:
                raise
            super().fsync(fd)

    def rename_noreplace(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
        self._call("renameatx_np", source_fd, os.fsencode(source), dir_fd, os.fsencode(name), _RENAME_EXCL)

    def setxattr(self, fd: int, name: str, value: bytes) -> None:
        self._call("fsetxattr", fd, name.encode(), value, ctypes.c_size_t(len(value)), 0, 0)

    def getxattr(self, fd: int, name: str) -> bytes:
        size_bytes = self._call("fgetxattr", fd, name.encode(), None, ctypes.c_size_t(0), 0, 0)
        buffer = ctypes.create_string_buffer(size_bytes)
        got_bytes = self._call("fgetxattr", fd, name.encode(), buffer, ctypes.c_size_t(size_bytes), 0, 0)
        return buffer.raw[:got_bytes]

    def _call(self, name: str, *args: int | Buffer | Any | None) -> int:
        if self._library is None:
            self._library = ctypes.CDLL(None, use_errno=True)
        try:
            call = getattr(self._library, name)
        except AttributeError as exc:
            raise OSError(errno.ENOSYS, f"this system has no {name}") from exc
        call.restype = ctypes.c_int if name == "renameatx_np" else ctypes.c_ssize_t
        answer = int(call(*args))
        if answer < 0:
            code = ctypes.get_errno()
            code = errno.ENODATA if code == _ENOATTR else code
            raise OSError(code, os.strerror(code))
        return answer

    def _fcntl(self) -> Any:
        if self._control is None:
            import fcntl  # noqa: PLC0415 - not on Windows, where this is imported by tests only

            self._control = fcntl.fcntl
        return self._control
