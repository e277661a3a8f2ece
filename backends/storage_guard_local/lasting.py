"""Uploads that outlive their process: a hidden file with its parts, and the ledger that says which.

    .storage-guard/uploads/<upload id>.parts    the ledger; whoever writes holds its lock, which dies with him
    .storage-guard/uploads/<upload id>.data     the file, until it is published

The ledger is made first and removed last, so a file without one is nobody's. It is the ledger that is locked and not
the file, because the file must not even be opened for writing by who does not know yet that it is unpublished. That is
known from two things, both looked at under the lock: a file with a second name, or without its hidden one, has been
published, and so may one have been whose ledger says "finishing", which reaches the disk before the name does.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from datetime import datetime

from storage_guard.checksum import RunningCrc64
from storage_guard.driver import Gone, Part, Refused, Unsupported, WriteMeta
from storage_guard.names import RESERVED
from storage_guard_local.folders import Folders, Place
from storage_guard_local.kept import Kept, open_kept
from storage_guard_local.ledger import Header, Told, finishing_record, header_record, part_record, taken_record
from storage_guard_local.staging import Staging
from storage_guard_local.syscalls import O_NOFOLLOW, O_NONBLOCK, PIECE_BYTES, System
from storage_guard_local.trouble import lost, name_of, refused, refusing
from storage_guard_local.uploads import OpenUpload

_FOLDER = "uploads"
_ID = re.compile(r"[0-9a-f]{32}")
_OPEN = os.O_RDWR | O_NOFOLLOW | O_NONBLOCK
_MAKE = os.O_RDWR | os.O_CREAT | os.O_EXCL | O_NOFOLLOW
_MAY_NOT_WRITE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_TRIES = 100
_MOST_REMEMBERED = 16


class LastingUpload(OpenUpload):
    """An upload that is told to its ledger."""

    def __init__(self, header: Header, place: Place, kept: Kept, told: Told, *, durable: bool) -> None:
        super().__init__(header.key, header.meta, header.began, place, kept)
        self.kept = kept
        self._durable = durable
        self._parts = told.parts
        self._finishing = told.finishing

    @property
    def is_held(self) -> bool:
        """False once it was let go, and in a forked child, to which it does not belong."""
        return self.kept.ledger.fd >= 0

    def note_part(self, part: Part) -> None:
        with refusing("cannot write down the part"):
            self.kept.ledger.append(part_record(part))

    def note_finishing(self, *, begun: bool) -> None:
        """The bytes reach the disk before the note, so that a crash in between does not leave an upload that lacks
        parts and takes none; and the note before the name."""
        if begun and self._durable:
            self.kept.sync()
        with refusing("cannot write down that the upload is being finished"):
            self.kept.ledger.append(finishing_record(begun=begun))
            if begun and self._durable:
                self.kept.ledger.sync()

    def throw_away(self) -> None:
        """Remove it, so that no crash brings it back. Raises Refused (it is as it was), Lost."""
        with refusing(f"cannot remove the upload of {self.key!r}"):
            self.kept.remove()
        if self._durable:
            try:
                self.kept.sync_folder()
            except OSError as exc:
                raise lost(exc, f"the upload of {self.key!r} is removed, but its folder could not be synced") from exc


class LastingUploads:
    """Those of one root, on the disk. Knows nothing of which are held by this driver.

    `adopt`, `parts` and `abort` are called by one thread at a time.
    """

    def __init__(self, folders: Folders, staging: Staging, system: System, *, durable: bool) -> None:
        self._folders = folders
        self._staging = staging
        self._system = system
        self._durable = durable
        self._swept = False
        # By upload: how long its ledger was when we looked, and the parts that were there.
        self._checked: dict[str, tuple[int, dict[int, Part]]] = {}

    # Beginning

    def begin(self, place: Place, key: str, meta: WriteMeta, began: datetime) -> tuple[str, LastingUpload]:
        """Raises Refused, Unguarded, Unsupported (no locks)."""
        folder_fd = self._staging.open_beside(place, _FOLDER)
        try:
            way = self._staging.way_from(folder_fd)
            if not self._swept:
                self._sweep_all(folder_fd)
                self._swept = True
            upload_id, kept = self._new(folder_fd)
        except BaseException:
            self._folders.close(folder_fd)
            raise
        kept.folder_fd = folder_fd
        kept.way = way
        header = Header(key, meta, began)
        try:
            with refusing("cannot make a file for the upload"):
                kept.ledger.append(header_record(header))
                kept.fd = self._system.open(upload_id + ".data", _MAKE, dir_fd=folder_fd)
                kept.name = upload_id + ".data"
        except BaseException:
            kept.discard()
            raise
        return upload_id, LastingUpload(header, Place(key, (), ""), kept, Told(), durable=self._durable)

    def _new(self, folder_fd: int) -> tuple[str, Kept]:
        """A locked, empty ledger. Raises Refused, Unsupported."""
        for _ in range(_TRIES):
            upload_id = secrets.token_hex(16)
            with refusing("cannot make a ledger for the upload"):
                kept = self._open_ledger(upload_id, folder_fd, _MAKE)
            try:
                if self._locks(kept, folder_fd):
                    return upload_id, kept
            except BaseException as exc:
                self._remove(kept.ledger_name, folder_fd)
                kept.let_go()
                if isinstance(exc, OSError):
                    message = f"the disk has no file locks, so no upload can outlive its process: {exc.strerror}"
                    raise Unsupported(message, code=name_of(exc)) from exc
                raise
            self._remove(kept.ledger_name, folder_fd)
            kept.let_go()
        raise Refused("the ledgers of uploads are removed as fast as they are made", why="request")

    def _open_ledger(self, upload_id: str, folder_fd: int, flags: int = _OPEN) -> Kept:
        """Raises OSError."""
        return open_kept(upload_id, folder_fd, flags, self._system)

    def _locks(self, kept: Kept, folder_fd: int) -> bool:
        """Lock a ledger that was opened by its name; False if another holds it, or it was removed meanwhile.

        Raises OSError where there are no locks, Refused.
        """
        fd = kept.ledger.fd
        try:
            self._system.flock(fd)
        except BlockingIOError:
            return False
        with refusing("cannot look at the ledger of an upload"):
            try:
                found = self._system.lstat(kept.ledger_name, dir_fd=folder_fd)
            except FileNotFoundError:
                return False
            return os.path.samestat(found, self._system.fstat(fd))

    # Going on

    def adopt(self, key: str, upload_id: str) -> LastingUpload:
        """Take over an upload that nobody holds. Raises Gone, Refused ("InUse" if somebody does hold it)."""
        kept, told, header = self._enter(key, upload_id)
        try:
            kept.way = self._staging.way_from(kept.folder_fd)
            told.parts = self._checked_parts(kept, upload_id, told)
            with refusing("cannot write down that the upload is gone on with"):
                kept.ledger.append(taken_record())  # who looked before us must look again
        except BaseException:
            kept.let_go()
            raise
        return LastingUpload(header, Place(key, (), ""), kept, told, durable=self._durable)

    def parts(self, key: str, upload_id: str) -> list[Part]:
        """The parts that are there, without holding on to the upload. Raises as `adopt`."""
        kept, told, _ = self._enter(key, upload_id)
        try:
            found = self._checked_parts(kept, upload_id, told)
            if len(self._checked) >= _MOST_REMEMBERED:
                self._checked.clear()
            self._checked[upload_id] = (kept.ledger.end_bytes, found)
        finally:
            kept.let_go()
        return [found[number] for number in sorted(found)]

    def abort(self, key: str, upload_id: str) -> None:
        """Raises as `adopt`, and Lost."""
        kept, told, header = self._enter(key, upload_id)
        try:
            LastingUpload(header, Place(key, (), ""), kept, told, durable=self._durable).throw_away()
        finally:
            kept.let_go()

    def _enter(self, key: str, upload_id: str) -> tuple[Kept, Told, Header]:
        """Lock an open upload, and open its file for writing."""
        gone = Gone(f"{upload_id!r} is no open upload of {key!r}", sole=True)
        folder_fd = self._folders.open_folder((RESERVED, _FOLDER)) if _ID.fullmatch(upload_id) else None
        kept = None if folder_fd is None else self._take(upload_id, folder_fd)
        if kept is None:
            raise gone
        try:
            told = self._told(kept)
            if told.header is not None and told.header.key != key:
                raise gone
            if told.header is None or not self._open_data(kept, upload_id):
                kept.name = upload_id + ".data"
                kept.discard()
                raise gone
        except BaseException:
            kept.let_go()
            raise
        return kept, told, told.header

    def _checked_parts(self, kept: Kept, upload_id: str, told: Told) -> dict[int, Part]:
        """Those whose bytes are in the file: read, unless we did and nobody took the upload over since."""
        end_bytes, found = self._checked.pop(upload_id, (-1, {}))
        if end_bytes == kept.ledger.end_bytes:
            return dict(found)
        return {number: part for number, part in told.parts.items() if self._is_there(kept.fd, part)}

    def _take(self, upload_id: str, folder_fd: int) -> Kept | None:
        """The locked ledger of an upload; None if there is none. `folder_fd` goes with it, or is closed."""
        try:
            with refusing("cannot open the ledger of the upload"):
                try:
                    kept = self._open_ledger(upload_id, folder_fd)
                except FileNotFoundError:
                    kept = None
        except BaseException:
            self._folders.close(folder_fd)
            raise
        if kept is None:
            self._folders.close(folder_fd)
            return None
        kept.folder_fd = folder_fd
        try:
            with refusing("cannot lock the upload"):
                if self._locks(kept, folder_fd):
                    return kept
                is_removed = self._system.fstat(kept.ledger.fd).st_nlink == 0
        except BaseException:
            kept.let_go()
            raise
        kept.let_go()
        if is_removed:
            return None
        raise Refused(f"the upload {upload_id!r} is being written by another", why="request", code="InUse")

    def _told(self, kept: Kept) -> Told:
        with refusing("cannot read the ledger of the upload"):
            told = kept.ledger.read()
        if told.newer:
            raise Refused("the upload was begun by a newer version of this library", why="request", code="Format")
        return told

    def _open_data(self, kept: Kept, upload_id: str) -> bool:
        """Open the file of a locked upload for writing, unless it was published or is not there."""
        name = upload_id + ".data"
        with refusing("cannot open the file of the upload"):
            if not self._is_unpublished(name, kept.folder_fd):
                return False
            kept.fd = self._system.open(name, _OPEN, dir_fd=kept.folder_fd)
            kept.name = name
            return True

    def _is_unpublished(self, name: str, folder_fd: int) -> bool:
        """Raises OSError."""
        try:
            found = self._system.lstat(name, dir_fd=folder_fd)
        except FileNotFoundError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_nlink == 1

    def _is_there(self, fd: int, part: Part) -> bool:
        """Whether the file has the bytes of a part: after a crash of the machine it may not."""
        crc = RunningCrc64()
        slot = part.slot
        buffer = memoryview(bytearray(min(PIECE_BYTES, slot.size_bytes)))
        with refusing("cannot read the parts of the upload"):
            while crc.size_bytes < slot.size_bytes:
                window = buffer[: min(PIECE_BYTES, slot.size_bytes - crc.size_bytes)]
                got_bytes = self._system.preadv(fd, window, slot.offset_bytes + crc.size_bytes)
                if got_bytes == 0:
                    return False
                crc.update(window[:got_bytes])
        return crc.checksum() == part.checksum

    # Listing and sweeping

    def scan(self) -> Iterator[tuple[str, Header]]:
        """Those that are open, held or not. Leftovers of dead processes are removed on the way. Raises Refused."""
        folder_fd = self._folders.open_folder((RESERVED, _FOLDER))
        if folder_fd is None:
            return
        try:
            found = list(self._visit(folder_fd))
        finally:
            self._folders.close(folder_fd)
        yield from found

    def _visit(self, folder_fd: int) -> Iterator[tuple[str, Header]]:
        for upload_id in self._ids(folder_fd):
            told = self._peek(upload_id, folder_fd)
            if told.header is not None:
                yield upload_id, told.header

    def _sweep_all(self, folder_fd: int) -> None:
        """As well as can be: what is not ours to open is not ours to remove."""
        for upload_id in self._ids(folder_fd):
            try:
                self._peek(upload_id, folder_fd)
            except Refused:
                continue

    def _ids(self, folder_fd: int) -> list[str]:
        """Of all ledgers. Files without one are removed on the way."""
        with refusing("cannot list the uploads"):
            names = {name for name, kind in self._system.entries(folder_fd) if kind == "file"}
        found: list[str] = []
        for name in sorted(names):
            upload_id, _, what = name.partition(".")
            if not _ID.fullmatch(upload_id):
                continue
            if what == "parts":
                found.append(upload_id)
            elif what == "data" and upload_id + ".parts" not in names:
                self._sweep_orphan(upload_id, folder_fd)
        return found

    def _peek(self, upload_id: str, folder_fd: int) -> Told:
        """What an open upload says of itself; nothing for what is none, which is swept unless somebody holds it."""
        try:
            kept = self._open_to_look(upload_id, folder_fd)
        except FileNotFoundError:
            return Told()
        except OSError as exc:
            raise refused(exc, "cannot open the ledger of an upload") from exc
        try:
            with refusing("cannot look at an upload"):
                told = kept.ledger.read()
                if told.newer or (told.header and self._is_unpublished(upload_id + ".data", folder_fd)):
                    return told
            self._sweep(upload_id, folder_fd, kept)
            return Told()
        finally:
            kept.let_go()

    def _open_to_look(self, upload_id: str, folder_fd: int) -> Kept:
        """Raises OSError."""
        try:
            return self._open_ledger(upload_id, folder_fd)  # on a network disk only who may write may lock
        except OSError as exc:
            if exc.errno not in _MAY_NOT_WRITE:
                raise
        return self._open_ledger(upload_id, folder_fd, os.O_RDONLY | O_NOFOLLOW | O_NONBLOCK)

    def _sweep(self, upload_id: str, folder_fd: int, kept: Kept) -> None:
        """Remove what is left of an upload, if that is still so once it is locked."""
        try:
            if not self._locks(kept, folder_fd):
                return
            if kept.ledger.read().header is None or not self._is_unpublished(upload_id + ".data", folder_fd):
                self._remove(upload_id + ".data", folder_fd)
                self._remove(upload_id + ".parts", folder_fd)
        except (OSError, Refused):
            pass

    def _sweep_orphan(self, upload_id: str, folder_fd: int) -> None:
        """A ledger is there before its file: one that is missing now, and not only in the listing, is no more."""
        try:
            self._system.lstat(upload_id + ".parts", dir_fd=folder_fd)
        except FileNotFoundError:
            self._remove(upload_id + ".data", folder_fd)
        except OSError:
            pass

    def _remove(self, name: str, folder_fd: int) -> None:
        try:
            self._system.unlink(name, dir_fd=folder_fd)
        except OSError:
            pass
