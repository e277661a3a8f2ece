"""Windows: paths in place of open folders, and a move that refuses a taken name. Never run on Windows yet.

There are no folder descriptors, so a folder that is "open" is a number for a path, and between two steps somebody can
put a link in its place: links are looked for, which is all that can be done. There are no locks that die with their
process on a file that may be removed, so temporary files of dead writers stay. There are no attributes.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import os
import re
import stat
import threading
from typing import TYPE_CHECKING, Any

from storage_guard.names import RESERVED
from storage_guard_local.syscalls import O_BINARY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_PATH, Kind, System, kind_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

_FORBIDDEN = re.compile(r'[<>:"|?*\\]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\..*)?", re.IGNORECASE)
_SHORT_RESERVED = re.compile(r"(storag|st[0-9a-f]{4})~[0-9]+", re.IGNORECASE)  # the name that DOS programs see
_FOLDERS_FROM = 1 << 30
_MADE_UP = O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_PATH

_GENERIC_READ, _GENERIC_WRITE = 0x80000000, 0x40000000
_SHARE_ALL = 0x7  # read, write, delete: an open file may be moved and removed
_CREATE_NEW, _OPEN_EXISTING = 1, 3
_OPEN_REPARSE_POINT = 0x00200000
_MOVEFILE_WRITE_THROUGH = 0x8  # without REPLACE_EXISTING and COPY_ALLOWED


def key_trouble(key: str) -> str:
    """Why Windows cannot hold a key under its own name, "" if it can. Pure."""
    segments = key.split("/")
    for segment in segments:
        if _FORBIDDEN.search(segment):
            return f'{segment!r} holds one of < > : " | ? * \\, which Windows does not take'
        if segment.endswith((".", " ")):
            return f"{segment!r} ends with a dot or a space, which Windows drops"
        if _DEVICES.fullmatch(segment):
            return f"{segment!r} is a device to Windows"
    if segments[0].casefold() == RESERVED or _SHORT_RESERVED.fullmatch(segments[0]):
        return f"{segments[0]!r} is {RESERVED} to Windows, which is kept for the library itself"
    return ""


class Kernel:
    """The two calls that Python does not have: its own open does not let others move or remove the file."""

    def open(self, path: str, flags: int) -> int:
        writes = bool(flags & (os.O_RDWR | os.O_WRONLY))
        handle = _kernel32().CreateFileW(
            ctypes.c_wchar_p(path),
            ctypes.c_uint32(_GENERIC_READ | (_GENERIC_WRITE if writes else 0)),
            ctypes.c_uint32(_SHARE_ALL),
            None,
            ctypes.c_uint32(_CREATE_NEW if flags & os.O_CREAT else _OPEN_EXISTING),
            ctypes.c_uint32(_OPEN_REPARSE_POINT),
            None,
        )
        if handle in (None, ctypes.c_void_p(-1).value):
            raise _last_error(path)
        fd: int = importlib.import_module("msvcrt").open_osfhandle(handle, flags | O_BINARY)
        return fd

    def move_new(self, source: str, target: str) -> None:
        done = _kernel32().MoveFileExW(
            ctypes.c_wchar_p(source), ctypes.c_wchar_p(target), ctypes.c_uint32(_MOVEFILE_WRITE_THROUGH)
        )
        if not done:
            raise _last_error(target)


class WindowsSystem(System):
    """`kernel` is an argument, so that it can be made up."""

    def __init__(self, kernel: Kernel | None = None) -> None:
        self._kernel = kernel or Kernel()
        self._lock = threading.Lock()  # guards the folders, and the one position that a file has
        self._folders: dict[int, str] = {}
        self._next = _FOLDERS_FROM

    def __reduce__(self) -> tuple[type[WindowsSystem], tuple[Kernel]]:
        return WindowsSystem, (self._kernel,)

    def key_trouble(self, key: str) -> str:
        return key_trouble(key)

    def open(self, path: str, flags: int, *, dir_fd: int | None = None) -> int:
        full = self._full(path, dir_fd)
        if flags & os.O_CREAT:
            return self._kernel.open(full, flags & ~_MADE_UP)
        found = os.stat(full) if dir_fd is None else os.lstat(full)  # the root alone may be a link
        if dir_fd is not None and is_link(found):
            raise _error(errno.ELOOP, full)
        if not stat.S_ISDIR(found.st_mode):
            if flags & O_DIRECTORY:
                raise _error(errno.ENOTDIR, full)
            return self._kernel.open(full, flags & ~_MADE_UP)
        with self._lock:
            self._next += 1
            self._folders[self._next] = full
            return self._next

    def close(self, fd: int) -> None:
        with self._lock:
            if self._folders.pop(fd, None) is not None:
                return
        os.close(fd)

    def pwrite(self, fd: int, data: Buffer, offset_bytes: int) -> int:
        with self._lock:
            os.lseek(fd, offset_bytes, os.SEEK_SET)
            return os.write(fd, data)

    def pread(self, fd: int, size_bytes: int, offset_bytes: int) -> bytes:
        with self._lock:
            os.lseek(fd, offset_bytes, os.SEEK_SET)
            return os.read(fd, size_bytes)

    def preadv(self, fd: int, buffer: memoryview, offset_bytes: int) -> int:
        piece = self.pread(fd, buffer.nbytes, offset_bytes)
        buffer[: len(piece)] = piece
        return len(piece)

    def copy_file_range(self, from_fd: int, to_fd: int, size_bytes: int, from_bytes: int, to_bytes: int) -> int:  # noqa: ARG002 - as the base has it
        raise _error(errno.ENOSYS, "copy_file_range")

    def fsync(self, fd: int) -> None:
        """Of a file. Folders cannot be synced: the move writes itself through, and the journal keeps the order."""
        if fd not in self._folders:
            os.fsync(fd)

    def fstat(self, fd: int) -> os.stat_result:
        path = self._folders.get(fd)
        return os.fstat(fd) if path is None else os.stat(path)

    def lstat(self, path: str, *, dir_fd: int | None = None) -> os.stat_result:
        return os.lstat(self._full(path, dir_fd))

    def link_fd(self, fd: int, name: str, *, dir_fd: int) -> None:  # noqa: ARG002 - as the base has it
        raise _error(errno.ENOSYS, "linkat")

    def link(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:  # noqa: ARG002 - as the base has it
        """Hard links cannot be written through, so a move it is."""
        raise _error(errno.ENOTSUP, "link")

    def rename_noreplace(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
        self._kernel.move_new(self._full(source, source_fd), self._full(name, dir_fd))

    def unlink(self, name: str, *, dir_fd: int) -> None:
        os.unlink(self._full(name, dir_fd))

    def mkdir(self, path: str, *, dir_fd: int | None = None) -> None:
        os.mkdir(self._full(path, dir_fd))

    def rmdir(self, path: str, *, dir_fd: int | None = None) -> None:
        os.rmdir(self._full(path, dir_fd))

    def setxattr(self, fd: int, name: str, value: bytes) -> None:  # noqa: ARG002 - as the base has it
        raise _error(errno.ENOTSUP, "attributes")

    def getxattr(self, fd: int, name: str) -> bytes:  # noqa: ARG002 - as the base has it
        raise _error(errno.ENOTSUP, "attributes")

    def flock(self, fd: int) -> None:  # noqa: ARG002 - as the base has it
        raise _error(errno.ENOSYS, "flock")

    def entries(self, fd: int) -> list[tuple[str, Kind]]:
        with os.scandir(self._full(".", fd)) as found:
            return [(entry.name, kind_of(entry)) for entry in found]

    def _full(self, path: str, dir_fd: int | None) -> str:
        if dir_fd is None:
            return path
        folder = self._folders.get(dir_fd)
        if folder is None:
            raise _error(errno.ENOTDIR, path)
        return os.path.dirname(folder) if path == ".." else os.path.join(folder, path)


def is_link(found: os.stat_result) -> bool:
    """Symbolic links, junctions and whatever else leads away: any reparse point."""
    attributes: int = getattr(found, "st_file_attributes", 0)
    return stat.S_ISLNK(found.st_mode) or bool(attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT)


def _kernel32() -> Any:
    # Not on this system as far as type checkers know, and its functions only where it is.
    library: Any = getattr(ctypes, "WinDLL")("kernel32", use_last_error=True)  # noqa: B009
    library.CreateFileW.restype = ctypes.c_void_p
    return library


def _last_error(path: str) -> OSError:
    code: int = getattr(ctypes, "get_last_error")()  # noqa: B009
    # The fourth argument lets Python choose errno and class: 80 and 183 are FileExistsError, but 5 (access denied) and
    # 32 (sharing violation) are PermissionError, and never "exists".
    return OSError(0, f"Windows error {code}", path, code)


def _error(code: int, what: str) -> OSError:
    return OSError(code, os.strerror(code), what)
