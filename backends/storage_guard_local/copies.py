"""Bytes from one file of this machine to another. The checksum is always of what was written."""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager

from storage_guard.checksum import RunningCrc64
from storage_guard.driver import Absent, Changed, Checksum, Location, ObjectRef, PartSlot, Unsupported
from storage_guard_local.folders import Folders
from storage_guard_local.objects import Opened, open_object, source_name
from storage_guard_local.publish import write_all
from storage_guard_local.syscalls import PIECE_BYTES, System
from storage_guard_local.trouble import UNSUPPORTED, refused, refusing

_AT_ONCE_BYTES = 1 << 30
_NO_COPY = UNSUPPORTED | {errno.EXDEV, errno.EINVAL, errno.EPERM, errno.EBADF, errno.ETXTBSY}


@contextmanager
def pinned(source: ObjectRef, here: Location, system: System) -> Generator[Opened]:
    """The open source of a copy. Who copies checks behind it that it is still the same.

    Raises Absent, Changed, Unsupported (not a local file), Refused.
    """
    if not here.same_service(source.location):
        raise Unsupported(f"a local disk cannot copy from {source.location.scheme}://")
    if source.version_id is not None:
        raise Unsupported("files have no versions")
    opened = open_object(source.key, Folders(source.location.container, system), system)
    if opened is None:
        raise Absent(f"{source_name(source)} is not there")
    with opened:
        if source.etag is not None and source.etag != opened.etag:
            raise Changed(f"{source_name(source)} is not the object that was asked for")
        yield opened


def copy_whole(source: Opened, to_fd: int, system: System) -> Checksum:
    """All of `source` to the start of a file. The kernel copies where the source has a checksum to go with it."""
    checksum = source.note().checksum
    size_bytes = source.found.st_size
    if checksum is not None and _copy_in_kernel(source, to_fd, size_bytes, system):
        return checksum
    return copy_windows(source, to_fd, PartSlot(1, 0, size_bytes), system)


def _copy_in_kernel(source: Opened, to_fd: int, size_bytes: int, system: System) -> bool:
    done_bytes = 0
    while done_bytes < size_bytes:
        want_bytes = min(_AT_ONCE_BYTES, size_bytes - done_bytes)
        try:
            copied_bytes = system.copy_file_range(source.fd, to_fd, want_bytes, done_bytes, done_bytes)
        except OSError as exc:
            if exc.errno in _NO_COPY:
                return False
            raise refused(exc, f"cannot copy {source.key!r}") from exc
        if copied_bytes == 0:
            return False  # some file systems say so instead of an error; a source that shrank is noticed when reading
        done_bytes += copied_bytes
    return True


def copy_windows(source: Opened, to_fd: int, slot: PartSlot, system: System, *, start: int = 0) -> Checksum:
    """The bytes of `source` from `start` on, into a slot of a file. Raises Changed if they are not all there."""
    crc = RunningCrc64()
    size_bytes = slot.size_bytes
    buffer = memoryview(bytearray(min(PIECE_BYTES, size_bytes)))
    while crc.size_bytes < size_bytes:
        window = buffer[: min(PIECE_BYTES, size_bytes - crc.size_bytes)]
        with refusing(f"cannot read {source.key!r}"):
            got_bytes = system.preadv(source.fd, window, start + crc.size_bytes)
        if got_bytes == 0:
            raise Changed(f"{source.key!r} ends before byte {start + size_bytes}")
        with refusing("cannot write the copy"):
            write_all(system, to_fd, window[:got_bytes], slot.offset_bytes + crc.size_bytes)
        crc.update(window[:got_bytes])
    return crc.checksum()
