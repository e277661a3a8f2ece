"""From a key to an empty unpublished file, and from a body to the bytes in it: what all creations share."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from storage_guard.checksum import RunningCrc64
from storage_guard.driver import Body, Checksum, Refused, WriteMeta
from storage_guard_local.folders import Folders, Place
from storage_guard_local.publish import Publisher, write_all
from storage_guard_local.staging import Staged, Staging
from storage_guard_local.syscalls import System
from storage_guard_local.trouble import refused

_STRETCH_BYTES = 4 << 20


class Creator:
    def __init__(
        self, folders: Folders, staging: Staging, publisher: Publisher, system: System, *, durable: bool
    ) -> None:
        self._durable = durable
        self.folders = folders
        self.staging = staging
        self.publisher = publisher
        self.system = system

    @contextmanager
    def new(self, key: str, meta: WriteMeta) -> Generator[tuple[Place, Staged]]:
        """An open place and an empty file for it; left without a trace unless the file gets its name inside."""
        place, staged = self.open_new(key, meta)
        try:
            yield place, staged
        except BaseException:
            staged.discard()
            self.folders.tidy(place)
            raise
        staged.discard()
        self.folders.leave(place)

    def open_new(self, key: str, meta: WriteMeta) -> tuple[Place, Staged]:
        place = self.folders.make(key)
        try:
            self.publisher.refuse_taken(place, meta)
            staged = self.staging.open(place)
            try:
                self.publisher.prepare(place, staged, meta)
            except BaseException:
                staged.discard()
                raise
        except BaseException:
            self.folders.tidy(place)
            raise
        return place, staged

    def write(self, fd: int, body: Body, offset_bytes: int) -> Checksum:
        crc = RunningCrc64()
        for window in body.windows():  # what this raises is the caller's, and is not touched
            try:
                write_all(self.system, fd, window, offset_bytes + crc.size_bytes)
            except OSError as exc:
                raise refused(exc, "cannot write") from exc
            crc.update(window)
            if self._durable:
                self._start_writeback(fd, offset_bytes + crc.size_bytes, window.nbytes)
        if crc.size_bytes != body.size_bytes:
            message = f"the body was to have {body.size_bytes} bytes and gave {crc.size_bytes}"
            raise Refused(message, why="request")
        return crc.checksum()

    def _start_writeback(self, fd: int, end_bytes: int, size_bytes: int) -> None:
        """Behind each stretch of the file: the sync at the end, which waits for all, then has little left to do."""
        stretches = end_bytes // _STRETCH_BYTES
        if stretches == (end_bytes - size_bytes) // _STRETCH_BYTES:
            return
        try:
            self.system.start_writeback(fd, (stretches - 1) * _STRETCH_BYTES, _STRETCH_BYTES)
        except OSError:
            pass  # it was a hint; what is wrong with the disk, the sync says

    def check_size(self, size_bytes: int, most_bytes: int) -> None:
        if size_bytes > most_bytes:
            raise Refused(f"{size_bytes} bytes at once, and {most_bytes} are the most", why="request")
