"""Which Store a path belongs to, and which key it is there."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol
from urllib.parse import quote

from storage_guard import InvalidKey, Store

RESERVED = ".storage-guard"  # what the library keeps for itself at the root of each store


class Places(Protocol):
    """Stores are opened when they are first asked for, and kept. Threads may open one twice, and keep the first."""

    @abstractmethod
    def file_at(self, path: str) -> tuple[Store, str]:
        """The store and the key. Raises IsADirectoryError for what can only be a folder."""
        ...

    @abstractmethod
    def folder_at(self, path: str) -> tuple[Store, str]:
        """The store and the key's beginning, without a slash at its end; "" for all of the store."""
        ...

    @abstractmethod
    def is_folder(self, path: str) -> bool:
        """Whether it is a folder even if it holds no object."""
        ...


class _ByKey(Places):
    """A path is a key, or a store and a key, whether it is that of a file or of a folder."""

    def file_at(self, path: str) -> tuple[Store, str]:
        store, key = self.folder_at(path)
        if not key:
            raise is_a_folder(path)
        return store, key


class OneStore(_ByKey):
    """Paths are keys. `unmarked` takes away what a path begins with and a key does not."""

    def __init__(self, unmarked: Callable[[str], str], store: Store) -> None:
        self._unmarked = unmarked
        self._store = store

    def folder_at(self, path: str) -> tuple[Store, str]:
        return self._store, self._unmarked(path).strip("/")

    def is_folder(self, path: str) -> bool:
        return not self.folder_at(path)[1]


class Buckets(_ByKey):
    """The first segment of a path is the bucket, and each is a Store. `form`: what the URL of a file looks like."""

    def __init__(self, scheme: str, open_store: Callable[[str], Store], form: str) -> None:
        self._scheme = scheme
        self._form = form
        self._open_store = open_store
        self._stores: dict[str, Store] = {}

    def file_at(self, path: str) -> tuple[Store, str]:
        only = path.strip("/")
        if only and "/" not in only:  # not opened, as it may be a key behind a bucket that was left out
            found = "the bucket is missing" if path.startswith("/") else "a bucket without a key"
            raise IsADirectoryError(errno.EISDIR, f"{found}, where {self._form} is wanted", path)
        return self.folder_at(path)

    def folder_at(self, path: str) -> tuple[Store, str]:
        bucket, _, key = path.strip("/").partition("/")
        if not bucket:
            raise ValueError(f"{path!r} names no bucket, where {self._form} is wanted, and buckets are not listed")
        store = self._stores.get(bucket)
        if store is None:
            store = self._stores.setdefault(bucket, self._open_store(f"{self._scheme}://{quote(bucket, safe='')}"))
        return store, key

    def is_folder(self, path: str) -> bool:
        return "/" not in path.strip("/")


class Folders:
    """Paths of this machine. Symbolic links on the way to a folder are followed when it is looked up, and not while
    it is used.

    The root of a Store is the nearest folder above that is there already; a later path below it, on the same disk,
    belongs to the same Store. So each disk is asked by itself what it can do, and nothing is asked of `/`.
    `unmarked` gives the path that this machine knows.
    """

    def __init__(self, unmarked: Callable[[str], str], open_store: Callable[[str], Store]) -> None:
        self._unmarked = unmarked
        self._open_store = open_store
        self._roots: dict[str, tuple[int, Store]] = {}

    def file_at(self, path: str) -> tuple[Store, str]:
        folder, name = posixpath.split(path)
        if not name:
            raise is_a_folder(path)
        store, key = self.folder_at(folder)
        return store, f"{key}/{name}" if key else name

    def folder_at(self, path: str) -> tuple[Store, str]:
        real = os.path.realpath(self._unmarked(path))
        if RESERVED in real.split(os.sep):
            raise InvalidKey(f"{path!r} cannot be used: {RESERVED}/ is kept for the library itself", key=path)
        there, device = nearest(real)
        known = self._known(there, device)
        if known is None:
            known = there, self._roots.setdefault(there, (device, self._open_store(there)))[1]
        root, store = known
        return store, real[len(root) :].strip(os.sep).replace(os.sep, "/")

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(self._unmarked(path))

    def _known(self, there: str, device: int) -> tuple[str, Store] | None:
        for root, (its_device, store) in list(self._roots.items()):
            if its_device == device and (there == root or (root != os.sep and there.startswith(root + os.sep))):
                return root, store
        return None


def nearest(path: str) -> tuple[str, int]:
    """The folder itself, or the nearest above it that is there, and its device."""
    while True:
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            pass
        else:
            if stat.S_ISDIR(found.st_mode):
                return path, found.st_dev
        path = os.path.dirname(path)


def is_a_folder(path: str) -> IsADirectoryError:
    """What to raise where an object is wanted."""
    return IsADirectoryError(errno.EISDIR, "a folder, and no object", path)
