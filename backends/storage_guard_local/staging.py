"""Files that are written but not yet published, and which way of publishing a disk can do.

    anonymous   O_TMPFILE in the target folder, linkat from /proc: nothing is left when the writer dies
    link        a named file in `<root>/.storage-guard/tmp/`, link, unlink
    rename      the same, renameat2(RENAME_NOREPLACE)

A named file is locked while its writer lives, so the first writer to use the folder can tell the dead ones and removes
them. Whether link or rename works is tried with empty files, before the first byte of user data.
"""

from __future__ import annotations

import errno
import os
import secrets
import threading
from collections.abc import Callable
from enum import Enum

from storage_guard.driver import Refused, Unguarded
from storage_guard_local.folders import Folders, Place
from storage_guard_local.syscalls import O_NOFOLLOW, O_TMPFILE, System, proc_path
from storage_guard_local.trouble import UNSUPPORTED, refused, refusing

# What a file system says that has no O_TMPFILE (kernels that do not know the flag see an open of a directory).
_NO_TMPFILE = UNSUPPORTED | {errno.EISDIR, errno.EINVAL}
NO_LINK = UNSUPPORTED | {errno.EPERM, errno.EMLINK}
NO_RENAME = UNSUPPORTED | {errno.EINVAL}
_TRIES = 1000


class Way(Enum):
    ANONYMOUS = "O_TMPFILE and linkat"
    LINK = "a named file and link"
    RENAME = "a named file and renameat2(RENAME_NOREPLACE)"


class Staged:
    """An unpublished file. `name` and `folder_fd` are set while it has a name in the library's own folder.

    `spoilt`: a sync of it failed, so what it holds is not known any more, and a second sync would say nothing.
    """

    __slots__ = ("_pid", "_system", "fd", "folder_fd", "name", "spoilt", "way")

    def __init__(self, system: System, way: Way, fd: int, folder_fd: int = -1, name: str = "") -> None:
        self._system = system
        self._pid = os.getpid()
        self.way = way
        self.fd = fd
        self.folder_fd = folder_fd
        self.name = name
        self.spoilt = False

    def discard(self) -> None:
        """Let go of the file; one that was not published is gone. What cannot be cleaned up now is swept later."""
        if self.name and self._pid == os.getpid():  # a forked child must not take the parent's file away
            name, self.name = self.name, ""
            try:
                self._system.unlink(name, dir_fd=self.folder_fd)
            except OSError:
                pass
        fds = [fd for fd in (self.fd, self.folder_fd) if fd >= 0]
        self.fd = self.folder_fd = -1
        for fd in fds:
            try:
                self._system.close(fd)
            except OSError:
                pass

    def become(self, other: Staged) -> None:
        """Take over another staged file, in place of this one."""
        self.discard()
        self.way, self.fd, self.folder_fd, self.name = other.way, other.fd, other.folder_fd, other.name
        other.fd = other.folder_fd = -1
        other.name = ""

    def __del__(self) -> None:
        if self.fd >= 0:
            self.discard()


class Staging:
    """Opens unpublished files. Thread-safe; `_lock` guards what is known of the disks."""

    def __init__(self, folders: Folders, system: System) -> None:
        self._folders = folders
        self._system = system
        self._lock = threading.Lock()
        self._no_anonymous: set[int] = set()
        self._proc_seen = False
        self._named: dict[int, Way] = {}

    def open(self, place: Place) -> Staged:
        """An empty unpublished file for a place. Raises Refused, Unguarded."""
        for _ in range(_TRIES):
            if not O_TMPFILE or place.device in self._no_anonymous:
                return self.open_named(place)
            try:
                return self._open_anonymous(place.fd)
            except OSError as exc:
                if exc.errno in _NO_TMPFILE:
                    self.forget_anonymous(place.device)
                elif self._folders.is_removed(place):
                    self._folders.open_again(place)
                else:
                    raise refused(exc, "cannot open an unnamed file") from exc
        raise Refused(f"the folder of {place.key!r} is removed as fast as it is made", why="request")

    def forget_anonymous(self, device: int) -> None:
        with self._lock:
            self._no_anonymous.add(device)

    def try_anonymous(self, folder_fd: int) -> Staged | None:
        """An empty unnamed file in any open folder, None where there is no such thing. Raises OSError."""
        try:
            return self._open_anonymous(folder_fd) if O_TMPFILE else None
        except OSError as exc:
            if exc.errno in _NO_TMPFILE:
                return None
            raise

    def _open_anonymous(self, folder_fd: int) -> Staged:
        fd = self._system.open(".", os.O_RDWR | O_TMPFILE, dir_fd=folder_fd)
        staged = Staged(self._system, Way.ANONYMOUS, fd)
        if not self._proc_seen:
            if not self.is_reachable(staged):
                staged.discard()
                raise OSError(errno.EOPNOTSUPP, "/proc is not mounted, and without it an unnamed file gets no name")
            self._proc_seen = True
        return staged

    def is_reachable(self, staged: Staged) -> bool:
        """Whether the file can still be given a name: by /proc, or because nobody removed the name it has."""
        try:
            if staged.way is Way.ANONYMOUS:
                self._system.lstat(proc_path(staged.fd))
                return True
            return self._system.fstat(staged.fd).st_nlink > 0
        except OSError:
            return False

    # Named files

    def open_named(self, place: Place) -> Staged:
        """As `open`, never anonymous."""
        folder_fd = self.open_beside(place, "tmp")
        try:
            way = self._named_way(folder_fd, place.device)
            name, fd = self._new_name(folder_fd)
        except BaseException:
            self._folders.close(folder_fd)
            raise
        return Staged(self._system, way, fd, folder_fd, name)

    def open_beside(self, place: Place, name: str) -> int:
        """The library's own folder `name`, from which files can be moved to a place. Raises Refused."""
        folder_fd = self._folders.open_reserved(name)
        try:
            if self._device_of(folder_fd) != place.device:
                raise Refused(
                    f"the folder of {place.key!r} is a mount of its own: nothing that has a name can be moved "
                    "into it in one step. Open that folder as a store of its own",
                    why="request",
                    code="EXDEV",
                )
        except BaseException:
            self._folders.close(folder_fd)
            raise
        return folder_fd

    def way_from(self, folder_fd: int) -> Way:
        """How a named file of the library's own folder is published. Raises Refused, Unguarded."""
        known = self._named.get(self._device_of(folder_fd))
        if known is not None:
            return known
        tried_fd = self._folders.open_reserved("tmp")
        try:
            return self._named_way(tried_fd, self._device_of(tried_fd))
        finally:
            self._folders.close(tried_fd)

    def _device_of(self, folder_fd: int) -> int:
        with refusing("cannot look at the folder of temporary files"):
            return self._system.fstat(folder_fd).st_dev

    def _named_way(self, folder_fd: int, device: int) -> Way:
        with self._lock:
            known = self._named.get(device)
            if known is None:
                self._sweep(folder_fd)
                known = self._named[device] = self._try_ways(folder_fd)
            return known

    def _new_name(self, folder_fd: int) -> tuple[str, int]:
        for _ in range(_TRIES):
            name = secrets.token_hex(16)
            with refusing("cannot make a temporary file"):
                fd = self._system.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | O_NOFOLLOW, dir_fd=folder_fd)
            try:
                if self._owns(name, folder_fd, fd):
                    return name, fd
            except BaseException:
                self._remove(name, folder_fd, fd)
                raise
            self._remove(name, folder_fd, fd)
        raise Refused("temporary files are removed as fast as they are made", why="request")

    def _owns(self, name: str, folder_fd: int, fd: int) -> bool:
        """Lock a file just made; False when a sweeper was faster, and has removed it or is about to."""
        try:
            self._system.flock(fd)
        except BlockingIOError:
            return False
        except OSError:
            return True  # no locks on this disk: then sweepers cannot take one either, and leave everything
        with refusing("cannot look at a temporary file"):
            try:
                return os.path.samestat(self._system.lstat(name, dir_fd=folder_fd), self._system.fstat(fd))
            except FileNotFoundError:
                return False

    def _remove(self, name: str, folder_fd: int, fd: int | None = None) -> None:
        try:
            self._system.unlink(name, dir_fd=folder_fd)
        except OSError:
            pass
        if fd is not None:
            self._folders.close(fd)

    def _sweep(self, folder_fd: int) -> None:
        """Remove the files of writers that have died: their locks died with them."""
        with refusing("cannot list the temporary files"):
            found = self._system.entries(folder_fd)
        for name, kind in found:
            if kind != "file":
                continue
            try:
                fd = self._system.open(name, os.O_RDWR | O_NOFOLLOW, dir_fd=folder_fd)
            except OSError:
                continue
            try:
                self._system.flock(fd)
                self._system.unlink(name, dir_fd=folder_fd)
            except OSError:
                pass
            finally:
                self._folders.close(fd)

    def _try_ways(self, folder_fd: int) -> Way:
        """Which call publishes without replacing here, tried with empty files. Raises Unguarded, Refused."""
        for way, call, no in (
            (Way.LINK, self._system.link, NO_LINK),
            (Way.RENAME, self._system.rename_noreplace, NO_RENAME),
        ):
            try:
                if self._keeps_names(call, folder_fd):
                    return way
            except OSError as exc:
                if exc.errno not in no:
                    raise refused(exc, "cannot try how to publish a file") from exc
        raise Unguarded(f"{self._folders.root} has neither O_TMPFILE nor hard links nor renameat2(RENAME_NOREPLACE)")

    def _keeps_names(self, call: Callable[..., None], folder_fd: int) -> bool:
        """Whether a publishing call refuses a name that is taken, and takes a free one. Raises OSError, Refused."""
        first, first_fd = self._new_name(folder_fd)
        try:
            second, second_fd = self._new_name(folder_fd)
            try:
                call(first, second, source_fd=folder_fd, dir_fd=folder_fd)
            except FileExistsError:
                pass
            else:
                return False  # this disk ignores the condition
            finally:
                self._remove(second, folder_fd, second_fd)
            return self._takes_free_name(call, first, first_fd, folder_fd)
        finally:
            self._remove(first, folder_fd, first_fd)

    def _takes_free_name(self, call: Callable[..., None], first: str, first_fd: int, folder_fd: int) -> bool:
        free = secrets.token_hex(16)
        try:
            call(first, free, source_fd=folder_fd, dir_fd=folder_fd)
        except FileExistsError:
            # The name was free, so this answer is to a request that was sent again.
            if not os.path.samestat(self._system.lstat(free, dir_fd=folder_fd), self._system.fstat(first_fd)):
                raise
        finally:
            self._remove(free, folder_fd)
        return True
