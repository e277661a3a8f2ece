"""Objects that are there: opening one, and describing it."""

from __future__ import annotations

import errno
import os
import stat
from datetime import UTC, datetime
from typing import Self

from storage_guard.driver import Changed, ObjectInfo, ObjectRef, Refused
from storage_guard_local.attributes import ATTRIBUTE, SYNCED, Note, decode
from storage_guard_local.folders import Folders, Place
from storage_guard_local.syscalls import O_NOFOLLOW, O_NONBLOCK, System
from storage_guard_local.trouble import refused, refusing

# A fifo must not hang us and a link must not lead us away: what was opened is looked at afterwards.
_OPEN = os.O_RDONLY | O_NOFOLLOW | O_NONBLOCK


def etag_of(found: os.stat_result) -> str:
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


def modified_of(found: os.stat_result) -> datetime:
    try:
        return datetime.fromtimestamp(found.st_mtime_ns // 1000 / 1_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC)  # a time that somebody set, beyond what Python can say


def describe(key: str, found: os.stat_result, note: Note | None = None) -> ObjectInfo:
    note = note or Note()
    return ObjectInfo(
        key,
        found.st_size,
        etag_of(found),
        modified_of(found),
        write_id=note.write_id,
        checksum=note.checksum,
        options=note.options,
    )


def not_an_object(key: str, mode: int) -> Refused:
    what = "a folder" if stat.S_ISDIR(mode) else "a symbolic link" if stat.S_ISLNK(mode) else "not a regular file"
    return Refused(f"at {key!r} there is {what}, which no object can be", why="key")


def look(place: Place, system: System) -> os.stat_result | None:
    """The regular file at a place, None if nothing is there. Raises Refused."""
    try:
        found = system.lstat(place.name, dir_fd=place.fd)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise refused(exc, f"cannot look at {place.key!r}") from exc
    if not stat.S_ISREG(found.st_mode):
        raise not_an_object(place.key, found.st_mode)
    return found


class Opened:
    """An object's open file, as it was when it was opened."""

    __slots__ = ("_system", "fd", "found", "key")

    def __init__(self, key: str, fd: int, found: os.stat_result, system: System) -> None:
        self.key = key
        self.fd = fd
        self.found = found
        self._system = system

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._system.close(self.fd)
        except OSError:
            pass

    @property
    def etag(self) -> str:
        return etag_of(self.found)

    def note(self) -> Note:
        """The attribute; that of another program's file, or of a disk without attributes, is empty."""
        try:
            return decode(self._system.getxattr(self.fd, ATTRIBUTE), self.found.st_mtime_ns)
        except OSError as exc:
            if exc.errno in _NO_ATTRIBUTE:
                return Note()
            raise refused(exc, f"cannot read the attributes of {self.key!r}") from exc

    def is_synced(self) -> bool:
        """Whether somebody marked it as synced. False when in doubt."""
        try:
            self._system.getxattr(self.fd, SYNCED)
        except OSError:
            return False
        return True

    def info(self) -> ObjectInfo:
        return describe(self.key, self.found, self.note())

    def check_unchanged(self) -> None:
        """Raise Changed if the file was written to since it was opened."""
        with refusing(f"cannot look at {self.key!r}"):
            etag = etag_of(self._system.fstat(self.fd))
        if etag != self.etag:
            raise Changed(f"{self.key!r} was written to while it was read")


_NO_ATTRIBUTE = frozenset({getattr(errno, "ENODATA", errno.ENOENT), errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})


def open_at(place: Place, system: System) -> Opened | None:
    """The object at an open place, None if nothing is there. Raises Refused."""
    try:
        fd = system.open(place.name, _OPEN, dir_fd=place.fd)
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.ENAMETOOLONG):
            return None
        if exc.errno in (errno.ELOOP, errno.ENXIO):
            what = stat.S_IFLNK if exc.errno == errno.ELOOP else stat.S_IFSOCK
            raise not_an_object(place.key, what) from exc
        raise refused(exc, f"cannot open {place.key!r}") from exc
    opened = Opened(place.key, fd, _NOT_LOOKED_AT, system)
    try:
        with refusing(f"cannot look at {place.key!r}"):
            opened.found = system.fstat(fd)
        if not stat.S_ISREG(opened.found.st_mode):
            raise not_an_object(place.key, opened.found.st_mode)
    except BaseException:
        opened.__exit__()
        raise
    return opened


_NOT_LOOKED_AT = os.stat_result((0,) * 10)


def open_object(key: str, folders: Folders, system: System) -> Opened | None:
    """The object at a key, None if nothing is there. Raises Refused."""
    place = folders.find(key)
    if place is None:
        return None
    try:
        return open_at(place, system)
    finally:
        folders.leave(place)


def source_name(source: ObjectRef) -> str:
    return f"{source.key!r} of {source.location.container}"
