"""From a key to an open folder and a name in it, without ever following a symbolic link below the root.

Folders are made on the way to a new object, synced upwards the first time they are used, and removed when empty. No
descriptor is kept between calls: a root that was removed and made again is simply found again. A walk holds two.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Sequence

from storage_guard.driver import Refused
from storage_guard.errors import InvalidKey
from storage_guard.names import RESERVED, check_key
from storage_guard_local.syscalls import O_DIRECTORY, O_NOFOLLOW, O_PATH, System
from storage_guard_local.trouble import refused, refusing

_READ = os.O_RDONLY | O_DIRECTORY
_PASS = (O_PATH or os.O_RDONLY) | O_DIRECTORY
_TRIES = 1000  # rivals who keep removing a folder use up a hundred on a busy machine
_MOST_REMEMBERED = 10_000


class Place:
    """Where a key goes: `fd` is its open folder, `name` its name there. `made`: the depths of folders made for it."""

    __slots__ = ("device", "fd", "folders", "identity", "key", "made", "name", "roots_made")

    def __init__(self, key: str, folders: Sequence[str], name: str) -> None:
        self.key = key
        self.folders = folders
        self.name = name
        self.fd = -1
        self.device = 0
        self.identity: tuple[int, int] = (0, 0)
        self.made: set[int] = set()
        self.roots_made: list[str] = []

    def keep(self) -> None:
        """The folders that were made for it hold an object now."""
        self.made.clear()
        self.roots_made.clear()


class Folders:
    """The folders below one root. Thread-safe; `_lock` guards the two sets."""

    def __init__(self, root: str, system: System) -> None:
        self.root = root
        self._system = system
        self._lock = threading.Lock()
        # Folders (device, inode) that are known to be on the disk with all that is above them. An inode number may be
        # used again for another folder: so whoever makes or removes one here forgets it.
        self._anchored: set[tuple[int, int]] = set()
        # The root and its parents, as far as they were missing and are not yet synced into their parents.
        self._floating: set[str] = set()
        self._climbed = False

    # Opening

    def find(self, key: str, *, flags: int = _PASS) -> Place | None:
        """The open place of a key that may be there; None if a folder on the way is missing, or is a file."""
        place = self._place(key)
        fd = self.open_folder(place.folders, flags=flags, refuse_links=True)
        if fd is None:
            return None
        place.fd = fd
        return place

    def find_synced(self, key: str) -> Place | None:
        """As `find`, with a folder that can be synced."""
        place = self.find(key, flags=_READ)
        if place is not None:
            try:
                self._identify(place)
            except BaseException:
                self.leave(place)
                raise
        return place

    def open_folder(self, folders: Sequence[str], *, flags: int = _READ, refuse_links: bool = False) -> int | None:
        """A descriptor of a folder below the root, None if it is not there. Raises Refused."""
        try:
            fd = self._open_root(_PASS if folders else flags)
        except FileNotFoundError:
            return None
        for depth, part in enumerate(folders):
            step = flags if depth == len(folders) - 1 else _PASS
            try:
                below = self._system.open(part, step | O_NOFOLLOW, dir_fd=fd)
            except OSError as exc:
                if refuse_links and exc.errno in (errno.ENOTDIR, errno.ELOOP) and self._is_link(part, fd):
                    raise _link_in_the_way(part, exc) from exc
                if exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
                    return None
                raise refused(exc, f"cannot open the folder {part!r}") from exc
            finally:
                self.close(fd)
            fd = below
        return fd

    def make(self, key: str) -> Place:
        """The open place of a new object; folders that are missing are made. Raises Refused."""
        place = self._place(key)
        try:
            self.open_again(place)
        except BaseException:
            self.tidy(place)
            raise
        return place

    def open_again(self, place: Place) -> None:
        """Open the place, or open it anew when its folder was removed meanwhile, making what is missing."""
        self.leave(place)
        for _ in range(_TRIES):
            try:
                fd = self._walk(place)
            except FileNotFoundError:
                continue  # an empty folder was removed between two steps
            place.fd = fd
            self._identify(place)
            if place.made:
                with self._lock:
                    self._anchored.discard(place.identity)  # another program removed its last bearer
            return
        raise Refused(f"the folders above {place.key!r} are removed as fast as they are made", why="request")

    def _identify(self, place: Place) -> None:
        try:  # no context manager on the way of every create
            found = self._system.fstat(place.fd)
        except OSError as exc:
            raise refused(exc, "cannot look at a folder") from exc
        place.device = found.st_dev
        place.identity = (found.st_dev, found.st_ino)

    def is_removed(self, place: Place) -> bool:
        """Whether the open folder was removed meanwhile. O_TMPFILE in one is ENOENT or, on ext4, EPERM."""
        try:
            return self._system.fstat(place.fd).st_nlink == 0
        except OSError:
            return False

    def leave(self, place: Place) -> None:
        if place.fd >= 0:
            fd, place.fd = place.fd, -1
            self.close(fd)

    def close(self, fd: int) -> None:
        """A descriptor that is let go has nothing left to tell: what had to reach the disk was synced."""
        try:
            self._system.close(fd)
        except OSError:
            pass

    def open_reserved(self, name: str) -> int:
        """The library's own folder `.storage-guard/<name>`, made if it is missing."""
        place = Place(f"{RESERVED}/{name}/", (RESERVED, name), "")
        try:
            self.open_again(place)
        except BaseException:
            self.leave(place)
            raise
        return place.fd

    def _place(self, key: str) -> Place:
        try:
            check_key(key)
        except InvalidKey as exc:
            raise Refused(str(exc), why="key") from exc
        trouble = self._system.key_trouble(key)
        if trouble:
            raise Refused(trouble, why="key")
        *folders, name = key.split("/")
        return Place(key, folders, name)

    def is_key(self, text: str) -> bool:
        """Whether a name that was found can be a key here."""
        try:
            self._place(text)
        except Refused:
            return False
        return True

    def _walk(self, place: Place) -> int:
        """FileNotFoundError: something on the way was removed, try again."""
        try:
            fd = self._open_root(_PASS if place.folders else _READ)
        except FileNotFoundError:
            self._make_root(place)
            fd = self._open_root(_PASS if place.folders else _READ)
        for depth, part in enumerate(place.folders):
            step = (_READ if depth == len(place.folders) - 1 else _PASS) | O_NOFOLLOW
            try:
                try:
                    below = self._system.open(part, step, dir_fd=fd)
                except FileNotFoundError:
                    self._make_folder(part, fd, depth, place)
                    below = self._system.open(part, step, dir_fd=fd)
            except FileNotFoundError:
                raise
            except OSError as exc:
                if exc.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise refused(exc, f"cannot open the folder {part!r}") from exc
                if self._is_link(part, fd):
                    raise _link_in_the_way(part, exc) from exc
                raise Refused(f"{part!r} is a file where a folder is needed", why="key", code="ENOTDIR") from exc
            finally:
                self.close(fd)
            fd = below
        return fd

    def _open_root(self, flags: int) -> int:
        """The root itself may be a symbolic link. FileNotFoundError: there is none."""
        try:
            return self._system.open(self.root, flags)
        except FileNotFoundError:
            raise
        except OSError as exc:
            is_no_folder = exc.errno in (errno.ENOTDIR, errno.ELOOP)
            raise refused(exc, f"cannot open the root {self.root}", "request" if is_no_folder else None) from exc

    def _make_folder(self, name: str, dir_fd: int, depth: int, place: Place) -> None:
        try:
            self._system.mkdir(name, dir_fd=dir_fd)
        except FileExistsError:
            return  # a rival made it
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise refused(exc, f"cannot make the folder {name!r}") from exc
        place.made.add(depth)

    def _make_root(self, place: Place) -> None:
        missing: list[str] = []
        path = self.root
        with refusing(f"cannot make the root {self.root}"):
            while not self._is_there(path):
                missing.append(path)
                path, below = os.path.dirname(path), path
                if path == below:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            with self._lock:
                # Seen missing is enough: who makes it, we or a rival, may not have synced it when we report.
                self._floating.update(missing)
            for path in reversed(missing):
                try:
                    self._system.mkdir(path)
                except FileExistsError:
                    continue
                place.roots_made.append(path)
            if not missing and stat.S_ISLNK(self._system.lstat(self.root).st_mode):
                raise Refused(f"the root {self.root} is a symbolic link to nothing", why="request")

    def _is_there(self, path: str) -> bool:
        try:
            self._system.lstat(path)
        except FileNotFoundError:
            return False
        return True

    def _is_link(self, name: str, dir_fd: int) -> bool:
        try:
            return stat.S_ISLNK(self._system.lstat(name, dir_fd=dir_fd).st_mode)
        except OSError:
            return False

    # Syncing

    def sync(self, place: Place) -> None:
        """Make the names in the folder durable, and the first time the folder is used its own name and those above.

        Raises OSError.
        """
        self._system.fsync(place.fd)
        if place.identity in self._anchored and not place.made:
            return
        self._sync_above(place.folders)
        with self._lock:
            if len(self._anchored) >= _MOST_REMEMBERED:
                self._anchored.clear()
            self._anchored.add(place.identity)

    def _sync_above(self, folders: Sequence[str]) -> None:
        fd = self._system.open(self.root, _READ if folders else _PASS)
        try:
            self._sync_root(fd)
            for depth in range(len(folders)):
                self._system.fsync(fd)
                if depth == len(folders) - 1:
                    break  # the folder itself was synced first of all
                below = self._system.open(folders[depth], _READ | O_NOFOLLOW, dir_fd=fd)
                self.close(fd)
                fd = below
        finally:
            self.close(fd)

    def _sync_root(self, root_fd: int) -> None:
        with self._lock:
            floating = sorted(self._floating, key=len, reverse=True)
        for path in floating:
            self._sync_folder(os.path.dirname(path), None)
            with self._lock:
                self._floating.discard(path)
        try:
            self._sync_folder("..", root_fd)
        except PermissionError:
            if floating:
                raise
            # The root was there before us, in a folder that is not ours to open: nothing of ours to sync in it.
            return
        if not self._climbed:
            self._climb(root_fd)
            self._climbed = True

    def _climb(self, root_fd: int) -> None:
        """Sync the folders above the root's parent, once: another process may have made them, and died."""
        fd = self._system.open("..", _READ, dir_fd=root_fd)
        try:
            here = self._system.fstat(fd)
            while True:
                try:
                    above = self._system.open("..", _READ, dir_fd=fd)
                except PermissionError:
                    return  # not ours to open, so not made by one of us
                self.close(fd)
                fd = above
                found = self._system.fstat(fd)
                if found.st_dev != here.st_dev or os.path.samestat(found, here):
                    return  # the root of the disk; a mount is not ours to keep
                self._system.fsync(fd)
                here = found
        finally:
            self.close(fd)

    def _sync_folder(self, path: str, dir_fd: int | None) -> None:
        fd = self._system.open(path, _READ, dir_fd=dir_fd)
        try:
            self._system.fsync(fd)
        finally:
            self.close(fd)

    # Removing what is empty, as well as can be: a rival that needs a folder makes it again

    def tidy(self, place: Place) -> None:
        """Remove the folders that were made for a write that failed, if nobody uses them."""
        self.leave(place)
        if place.made:
            self.prune(place.folders[: max(place.made) + 1], above=min(place.made))
        place.made.clear()
        for path in reversed(place.roots_made):
            try:
                self._system.rmdir(path)
            except OSError:
                break
        place.roots_made.clear()

    def prune(self, folders: Sequence[str], *, above: int = 0) -> None:
        """Remove empty folders from the deepest up, but not the first `above` of them."""
        for depth in range(len(folders), above, -1):
            if not self._remove_empty(folders[: depth - 1], folders[depth - 1]):
                return

    def _remove_empty(self, folders: Sequence[str], name: str) -> bool:
        """Whether the folder is gone."""
        try:
            fd = self.open_folder(folders, flags=_PASS)
        except Refused:
            return False
        if fd is None:
            return True
        try:
            found = self._system.lstat(name, dir_fd=fd)
            with self._lock:
                self._anchored.discard((found.st_dev, found.st_ino))
            self._system.rmdir(name, dir_fd=fd)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        finally:
            self.close(fd)
        return True


def _link_in_the_way(name: str, exc: OSError) -> Refused:
    message = f"{name!r} is a symbolic link, and links below the root are not followed"
    return Refused(message, why="key", code=errno.errorcode.get(exc.errno or 0))
