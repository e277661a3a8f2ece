"""The commit point: from an unpublished file to an object, in one step that never replaces anything.

The order, each step before the next: bytes, attributes, `fsync` of the file, the name, `fsync` of its folder and, the
first time, of those above. What fails before the name is a definite no; what fails after it is `Unsynced`.
"""

from __future__ import annotations

import errno
import os
from enum import Enum, auto

from storage_guard.driver import (
    Checksum,
    Exists,
    ObjectInfo,
    ObjectOptions,
    Refused,
    Unguarded,
    Unsupported,
    Unsynced,
    WriteMeta,
)
from storage_guard_local.attributes import ATTRIBUTE, SYNCED, Note, encode, has_options
from storage_guard_local.folders import Folders, Place
from storage_guard_local.objects import Opened, describe, look, open_at
from storage_guard_local.staging import NO_LINK, NO_RENAME, Staged, Staging, Way
from storage_guard_local.syscalls import PIECE_BYTES, System
from storage_guard_local.trouble import SPACE, UNSUPPORTED, lost, name_of, refused, refusing

_TRIES = 1000
_TOO_LARGE = SPACE | {errno.E2BIG, errno.ERANGE}
_NO_CHECKSUM = Checksum("crc64xz", "0" * 16)  # as long as a real one
_SOME_TIME_NS = 10**18
# What the kernel says of itself, so nothing can have happened. Anything else may be the answer of a server behind it.
_LOCAL = NO_LINK | NO_RENAME | SPACE | {
    errno.EACCES, errno.EROFS, errno.EXDEV, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP, errno.ENOMEM, errno.EBUSY,
}  # fmt: skip


class Step(Enum):
    DONE = auto()
    TAKEN = auto()
    FOLDER_AGAIN = auto()
    OTHER_WAY = auto()
    UNGUARDED = auto()
    REFUSED = auto()
    LOST = auto()


def after(code: int | None, way: Way, *, entered: bool, reachable: bool) -> Step:
    """What to do after the publishing call said `code`. Pure.

    `entered`: the name is that of our file all the same (a network disk acted and lost the answer). `reachable`: our
    file can still be given a name.
    """
    if entered:
        return Step.DONE
    if code == errno.EEXIST:
        return Step.TAKEN
    if code == errno.ENOENT and reachable:
        return Step.FOLDER_AGAIN
    if way is Way.ANONYMOUS:
        # No name and no other writer: the kernel answers for it.
        return Step.OTHER_WAY if code == errno.ENOENT or code in NO_LINK else Step.REFUSED
    if way is Way.LINK and code in NO_LINK:
        return Step.OTHER_WAY
    if way is Way.RENAME and code in NO_RENAME:
        return Step.UNGUARDED
    return Step.REFUSED if code == errno.ENOENT or code in _LOCAL else Step.LOST


class Publisher:
    def __init__(self, folders: Folders, staging: Staging, system: System, *, durable: bool) -> None:
        self._folders = folders
        self._staging = staging
        self._system = system
        self._durable = durable
        self._no_attributes: set[int] = set()  # devices; only ever added to

    def stores_attributes(self, staged: Staged) -> bool:
        """Try it on an empty file. Raises OSError."""
        try:
            self._system.setxattr(staged.fd, ATTRIBUTE, b"{}")
        except OSError as exc:
            if exc.errno in UNSUPPORTED:
                return False
            raise
        return True

    def refuse_taken(self, place: Place, meta: WriteMeta) -> None:
        """Raise Exists if the key is taken, Refused if by something that is no object."""
        if look(place, self._system) is not None:
            raise self._taken(place, meta)

    def prepare(self, place: Place, staged: Staged, meta: WriteMeta) -> None:
        """Refuse options that the disk will not store, before the first byte. Raises Unsupported, Refused."""
        if has_options(meta.options):
            self._set_attribute(place, staged, encode(meta, _NO_CHECKSUM, _SOME_TIME_NS), meta.options)

    def commit(self, place: Place, staged: Staged, checksum: Checksum | None, meta: WriteMeta) -> ObjectInfo:
        """Publish a file that holds all its bytes. The caller discards `staged`, whatever happens.

        Raises Exists, Unguarded, Unsupported, Unsynced, Refused, Lost.
        """
        info = self._seal(place, staged, checksum, meta)
        for _ in range(_TRIES):
            failed: OSError | None = None
            try:
                self._enter(place, staged)
            except OSError as exc:
                failed = exc
            step = Step.DONE if failed is None else self._after(failed, place, staged)
            if step is Step.DONE:
                return self._sync_published(place, staged, info)
            if step is Step.TAKEN:
                self.refuse_taken(place, meta)
                raise Exists(f"{place.key!r} was there, and was removed while we looked", sole=True) from failed
            if step is Step.FOLDER_AGAIN:
                self._folders.open_again(place)
            elif step is Step.OTHER_WAY and staged.way is Way.LINK:
                staged.way = Way.RENAME
            elif step is Step.OTHER_WAY:
                self._restage(place, staged)
                info = self._seal(place, staged, checksum, meta)
            else:
                raise _signal(step, failed or OSError(), place) from failed
        raise Refused(f"the folder of {place.key!r} is removed as fast as it is made", why="request")

    def _enter(self, place: Place, staged: Staged) -> None:
        if staged.way is Way.ANONYMOUS:
            self._system.link_fd(staged.fd, place.name, dir_fd=place.fd)
        elif staged.way is Way.LINK:
            self._system.link(staged.name, place.name, source_fd=staged.folder_fd, dir_fd=place.fd)
        else:
            self._system.rename_noreplace(staged.name, place.name, source_fd=staged.folder_fd, dir_fd=place.fd)
            staged.name = ""

    def _after(self, exc: OSError, place: Place, staged: Staged) -> Step:
        entered = self._has_entered(place, staged)
        if entered and staged.way is Way.RENAME:
            staged.name = ""
        return after(exc.errno, staged.way, entered=entered, reachable=self._staging.is_reachable(staged))

    def _has_entered(self, place: Place, staged: Staged) -> bool:
        """Whether our file is at the name. Certain while our descriptor is open: its inode is not used again."""
        try:
            ours = self._system.fstat(staged.fd)
            if staged.way is Way.LINK and ours.st_nlink == 2:
                return True
            return os.path.samestat(ours, self._system.lstat(place.name, dir_fd=place.fd))
        except OSError:
            return False

    def _seal(self, place: Place, staged: Staged, checksum: Checksum | None, meta: WriteMeta) -> ObjectInfo:
        """Attributes and sync; after this the file is what it will be."""
        try:
            found = self._system.fstat(staged.fd)
        except OSError as exc:
            raise refused(exc, "cannot look at the new file") from exc
        value = encode(meta, checksum, found.st_mtime_ns)
        stored = self._set_attribute(place, staged, value, meta.options)
        if self._durable:
            try:
                self._system.fsync(staged.fd)
            except OSError as exc:
                staged.spoilt = True
                raise refused(exc, "cannot sync the new file") from exc
        return describe(place.key, found, Note(meta.write_id, checksum, meta.options) if stored else None)

    def _set_attribute(self, place: Place, staged: Staged, value: bytes, options: ObjectOptions) -> bool:
        if place.device not in self._no_attributes:
            try:
                self._system.setxattr(staged.fd, ATTRIBUTE, value)
            except OSError as exc:
                if exc.errno in _TOO_LARGE and has_options(options):
                    message = f"the metadata of {place.key!r} is too large for this file system: {exc.strerror}"
                    raise Unsupported(message, code=name_of(exc)) from exc
                if exc.errno not in UNSUPPORTED:
                    raise refused(exc, "cannot store attributes") from exc
                self._no_attributes.add(place.device)
            else:
                return True
        if has_options(options):
            raise Unsupported(
                f"the disk of {self._folders.root} has no extended attributes, so no options and metadata"
            )
        return False

    def _restage(self, place: Place, staged: Staged) -> None:
        """Copy an unnamed file, to which this disk gives no name, into a named one."""
        self._staging.forget_anonymous(place.device)
        named = self._staging.open_named(place)
        try:
            with refusing("cannot copy to a named file"):
                done_bytes = 0
                while window := self._system.pread(staged.fd, PIECE_BYTES, done_bytes):
                    done_bytes += write_all(self._system, named.fd, memoryview(window), done_bytes)
            staged.become(named)
        finally:
            named.discard()

    def _sync_published(self, place: Place, staged: Staged, info: ObjectInfo) -> ObjectInfo:
        if self._durable:
            try:
                self._folders.sync(place)
            except OSError as exc:
                message = f"{place.key!r} is there, but its folder could not be synced: {exc.strerror}"
                raise Unsynced(message, code=name_of(exc)) from exc
            if info.write_id is not None:
                self._mark(staged.fd)
        return info

    def make_durable(self, place: Place, opened: Opened) -> None:
        """Sync an object that somebody published, unless that was done, and the folders above. Raises OSError."""
        if opened.is_synced():
            return
        self._system.fsync(opened.fd)
        self._folders.sync(place)
        if opened.note().write_id is not None:  # another program's file gets no attribute of ours
            self._mark(opened.fd)

    def _mark(self, fd: int) -> None:
        try:
            self._system.setxattr(fd, SYNCED, b"")
        except OSError:
            pass  # only a hint

    def _taken(self, place: Place, meta: WriteMeta) -> Exists | Unsynced:
        """What to raise when a regular file has the name: synced first, because the caller may find that the object
        is its own, or equal to its own, and call it durable."""
        taken = Exists(f"{place.key!r} is taken", sole=True)
        if not self._durable:
            return taken
        write_id = None
        try:
            opened = open_at(place, self._system)
            if opened is not None:
                with opened:
                    write_id = opened.note().write_id
                    self.make_durable(place, opened)
        except Refused:
            pass  # not ours to open, so not ours
        except OSError as exc:
            if write_id == meta.write_id:
                message = f"{place.key!r} is there and ours, but could not be synced: {exc.strerror}"
                return Unsynced(message, code=name_of(exc))
        return taken


def write_all(system: System, fd: int, data: memoryview, offset_bytes: int) -> int:
    """Write all of `data`; raises OSError."""
    done_bytes = 0
    while done_bytes < data.nbytes:
        done_bytes += system.pwrite(fd, data[done_bytes : done_bytes + PIECE_BYTES], offset_bytes + done_bytes)
    return done_bytes


def _signal(step: Step, exc: OSError, place: Place) -> Exception:
    doing = f"cannot publish {place.key!r}"
    if step is Step.UNGUARDED:
        return Unguarded(f"{doing} without risk of replacing another's: {exc.strerror}", code=name_of(exc))
    return lost(exc, doing) if step is Step.LOST else refused(exc, doing)
