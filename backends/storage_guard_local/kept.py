"""The two files of an upload that outlives its process, and how they are left to the parent when it forks."""

from __future__ import annotations

import os
import threading
from weakref import WeakSet

from storage_guard_local.ledger import Ledger
from storage_guard_local.staging import Staged, Way
from storage_guard_local.syscalls import System
from storage_guard_local.trouble import refused


class Kept(Staged):
    """The unpublished file and the ledger of an upload that lasts. Dropped, it lets go, and the upload stays."""

    __slots__ = ("__weakref__", "ledger", "ledger_name")

    def __init__(self, system: System, upload_id: str, ledger_fd: int) -> None:
        super().__init__(system, Way.LINK, -1)
        self.ledger = Ledger(ledger_fd, system)
        self.ledger_name = upload_id + ".parts"
        _held.add(self)

    def discard(self) -> None:
        """Remove the hidden names and let go. What cannot be removed now is swept later."""
        if self.folder_fd >= 0:
            try:
                self.remove()
            except OSError:
                pass
        self.let_go()

    def remove(self) -> None:
        """Remove the hidden names. Raises OSError; then the upload is as it was."""
        if self._pid != os.getpid():
            return
        if self.name:
            try:
                self._system.unlink(self.name, dir_fd=self.folder_fd)
            except FileNotFoundError:
                pass
            self.name = ""
        try:
            self._system.unlink(self.ledger_name, dir_fd=self.folder_fd)
        except OSError:
            pass  # without its file it is nothing

    def sync(self) -> None:
        """The bytes. Raises Refused; then it is spoilt."""
        try:
            self._system.fsync(self.fd)
        except OSError as exc:
            self.spoilt = True
            raise refused(exc, "cannot sync the file of the upload") from exc

    def sync_folder(self) -> None:
        """Raises OSError."""
        self._system.fsync(self.folder_fd)

    def let_go(self) -> None:
        """The upload stays as it is, for whoever comes. The ledger is last, as it holds the lock."""
        with _forking:
            fds = [fd for fd in (self.fd, self.folder_fd, self.ledger.fd) if fd >= 0]
            self.fd = self.folder_fd = self.ledger.fd = -1
            for fd in fds:
                try:
                    self._system.close(fd)
                except OSError:
                    pass

    def __del__(self) -> None:
        self.let_go()


def open_kept(upload_id: str, folder_fd: int, flags: int, system: System) -> Kept:
    """The ledger of an upload in an open folder; its file is not opened. Raises OSError."""
    with _forking:
        return Kept(system, upload_id, system.open(upload_id + ".parts", flags, dir_fd=folder_fd))


_held: WeakSet[Kept] = WeakSet()
_forking = threading.RLock()  # held by who forks, and by who opens or closes a ledger, so that no child has it unseen


def _leave_to_the_parent() -> None:
    """A forked child has the parent's descriptors, and with them its locks, which must end with the parent."""
    _forking.release()
    for kept in list(_held):
        kept.let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forking.acquire, after_in_parent=_forking.release, after_in_child=_leave_to_the_parent)
