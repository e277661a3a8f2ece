"""Files of our own on this machine: locked by name as long as the process lives, in folders that last.

The lock is flock, and on Windows that of a byte far beyond the content. It excludes the other threads of this process
too. A forked child has no part in it: its copies of the descriptors are closed before it runs, or it would keep the
locks of a parent that has died.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import stat
import sys
import threading
import weakref
from typing import Any, Protocol

_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_ODD_NAMES = {errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO}  # a link (Linux, FreeBSD), a folder, a socket
_TAKEN = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}
_FAR = 0x7FFF0000  # as far as the offsets of Windows' C library reach

_open_files: weakref.WeakSet[io.FileIO] = weakref.WeakSet()
_forking = threading.RLock()  # held while a descriptor is open and not yet in the set, and during a fork


class Taken(Exception):
    """Somebody else has the lock. `pid` is None where the system does not say who."""

    def __init__(self, pid: int | None = None) -> None:
        super().__init__(pid)
        self.pid = pid

    def __str__(self) -> str:
        if self.pid is None:
            return "another process"
        return "this process itself" if self.pid == os.getpid() else f"process {self.pid}"


class NoLocks(OSError):
    """This file system has no locks."""


class NotAFile(OSError):
    """A link, a folder or a device has the name."""


def open_locked(path: str, *, create: bool = False) -> io.FileIO:
    """The file that has the name `path`, open and locked: an empty one, for this user only, if `create` and none has.

    Raises Taken, NoLocks, NotAFile, or FileNotFoundError and its kind as the system does.
    """
    while True:
        file = open_unlocked(path, create=create)
        try:
            _lock(file)
            if has_name(file, path):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # removed, or replaced, before it was ours


def open_unlocked(path: str, *, create: bool = False) -> io.FileIO:
    """The same without the lock."""
    try:
        with _forking:
            file = os.fdopen(os.open(path, _FLAGS | (os.O_CREAT if create else 0), 0o600), "r+b", buffering=0)
            _open_files.add(file)
    except OSError as exc:
        if exc.errno in _ODD_NAMES:
            raise NotAFile(exc.errno, "it is not a file", path) from exc
        raise
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise NotAFile(errno.EINVAL, "it is not a file", path)
    return file


def has_name(file: io.FileIO, path: str) -> bool:
    """Whether `path` still names this very file."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def remove(file: io.FileIO, path: str) -> None:
    """Remove a locked file, and only it. Where an open file cannot be removed, an empty one stays behind."""
    if _system.removes and has_name(file, path):
        os.unlink(path)
    else:
        file.truncate(0)


def close(file: io.FileIO) -> None:
    """Unlock and close."""
    try:
        # Closing alone would leave the lock for a moment with a child that another thread has just forked.
        _system.unlock(file.fileno())
    except OSError:
        pass  # closing unlocks as well
    file.close()


def make_folder(folder: str) -> None:
    """Make a folder and those above it, for this user alone, to last."""
    above = os.path.dirname(folder)
    if not os.path.isdir(above):
        make_folder(above)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return  # made meanwhile, or it is not a folder, as the open will say
    sync_folder(above)


def sync_folder(folder: str) -> None:
    """Make the names in a folder last. Windows does so by itself; a few file systems know no such thing."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(fd)


class _System(Protocol):
    @property
    def removes(self) -> bool: ...
    def lock(self, fd: int, /) -> None: ...
    def unlock(self, fd: int, /) -> None: ...
    def holder(self, fd: int, /) -> int | None: ...


class _Flock:
    removes = True

    def lock(self, fd: int, /) -> None:
        import fcntl  # noqa: PLC0415 - not on Windows

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def unlock(self, fd: int, /) -> None:
        import fcntl  # noqa: PLC0415

        fcntl.flock(fd, fcntl.LOCK_UN)

    def holder(self, fd: int, /) -> int | None:
        """Who has the lock, as Linux lists it; None if it does not, or if the process is out of our sight."""
        found = os.fstat(fd)
        where = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        try:
            with open("/proc/locks", encoding="ascii") as file:
                rows = [line.split() for line in file]
        except (OSError, ValueError):
            return None
        pids = [int(row[4]) for row in rows if row[1:2] == ["FLOCK"] and row[5:6] == [where]]
        return pids[0] if pids and pids[0] > 0 else None


class _ByteLock:
    removes = False

    def __init__(self, module: Any) -> None:
        self._module = module

    def lock(self, fd: int, /) -> None:
        os.lseek(fd, _FAR, os.SEEK_SET)
        self._module.locking(fd, self._module.LK_NBLCK, 1)
        os.lseek(fd, 0, os.SEEK_SET)

    def unlock(self, fd: int, /) -> None:
        os.lseek(fd, _FAR, os.SEEK_SET)
        self._module.locking(fd, self._module.LK_UNLCK, 1)

    def holder(self, _: int, /) -> int | None:
        return None


def system_of(platform: str) -> _System:
    """How a platform, named as `sys.platform` does, locks files."""
    return _ByteLock(importlib.import_module("msvcrt")) if platform == "win32" else _Flock()


_system = system_of(sys.platform)


def _lock(file: io.FileIO) -> None:
    try:
        _system.lock(file.fileno())
    except OSError as exc:
        if exc.errno in _TAKEN:
            raise Taken(_system.holder(file.fileno())) from exc
        raise NoLocks(exc.errno, f"its file system has no locks ({exc.strerror})") from exc


def _close_copies() -> None:
    for file in list(_open_files):
        file.close()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forking.acquire, after_in_parent=_forking.release, after_in_child=_close_copies)
