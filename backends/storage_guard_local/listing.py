"""Listing keys in the order of their UTF-8 bytes, the order S3 has: a folder sorts as its name and a slash.

Python compares text by code points, which is the order of the UTF-8 bytes. Folders that cannot hold a wanted key are
not opened, and none is open between two results, so a listing that is dropped holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from storage_guard.driver import ObjectInfo, Prefix
from storage_guard_local.folders import Folders
from storage_guard_local.objects import describe
from storage_guard_local.syscalls import System
from storage_guard_local.trouble import refused, refusing

_AT_ONCE = 64


class Wanted:
    """Which keys are still wanted: those with `prefix`, after `after`, and not below the last roll-up. Pure."""

    def __init__(self, prefix: str, delimiter: str, after: str) -> None:
        self.prefix = prefix
        self._delimiter = delimiter
        self._after = after
        self._rolled_up = ""

    def has(self, key: str) -> bool:
        return key.startswith(self.prefix) and key > self._after and not self._is_rolled_up(key)

    def may_be_below(self, folder: str) -> bool:
        """Whether a wanted key can begin with `folder`, which ends with a slash."""
        if not (folder.startswith(self.prefix) or self.prefix.startswith(folder)):
            return False
        if self._after > folder and not self._after.startswith(folder):
            return False
        return not self._is_rolled_up(folder)

    def roll_up(self, key: str) -> str:
        """The `Prefix` that stands for `key` and all others it covers, "" if the key stands for itself."""
        end = key.find(self._delimiter, len(self.prefix)) if self._delimiter else -1
        if end < 0:
            return ""
        self._rolled_up = key[: end + len(self._delimiter)]
        return self._rolled_up

    def _is_rolled_up(self, key: str) -> bool:
        return bool(self._rolled_up) and key.startswith(self._rolled_up)


def scan(folders: Folders, system: System, wanted: Wanted) -> Iterator[ObjectInfo | Prefix]:
    """Objects and roll-ups. Raises Refused for a folder that may not be read: leaving it out would be a lie."""
    start = wanted.prefix.rpartition("/")[0]
    if start and not folders.is_key(start):
        return
    # Sorted names still to be visited, last first; a folder's ends with a slash.
    pending = _names(folders, system, start + "/" if start else "", wanted)
    while pending:
        if pending[-1].endswith("/"):
            folder = pending.pop()
            if wanted.may_be_below(folder):
                pending += _names(folders, system, folder, wanted)
            continue
        folder = pending[-1].rpartition("/")[0]
        keys: list[str] = []
        while pending and len(keys) < _AT_ONCE and _is_file_in(folder, pending[-1]):
            keys.append(pending.pop())
        for info in _describe(folders, system, folder, [key for key in keys if wanted.has(key)]):
            if not wanted.has(info.key):
                continue  # a roll-up came meanwhile
            rolled_up = wanted.roll_up(info.key)
            yield Prefix(rolled_up) if rolled_up else info


def _is_file_in(folder: str, name: str) -> bool:
    return not name.endswith("/") and name.rpartition("/")[0] == folder


def _names(folders: Folders, system: System, folder: str, wanted: Wanted) -> list[str]:
    """What in one folder may be wanted, last first. `folder` is "" or ends with a slash."""
    fd = folders.open_folder(folder.split("/")[:-1])
    if fd is None:
        return []
    try:
        with refusing(f"cannot list {folder or folders.root}"):
            entries = system.entries(fd)
    finally:
        folders.close(fd)
    names: list[str] = []
    for name, kind in entries:
        path = folder + name
        if kind == "file" and wanted.has(path) and folders.is_key(path):
            names.append(path)
        elif kind == "folder" and wanted.may_be_below(path + "/") and folders.is_key(path):
            names.append(path + "/")
    names.sort(reverse=True)
    return names


def _describe(folders: Folders, system: System, folder: str, keys: list[str]) -> list[ObjectInfo]:
    """Some files of one folder; those that have vanished are left out."""
    fd = folders.open_folder(folder.split("/") if folder else []) if keys else None
    if fd is None:
        return []
    found: list[ObjectInfo] = []
    try:
        for key in keys:
            try:
                found.append(describe(key, system.lstat(key.rpartition("/")[2], dir_fd=fd)))
            except FileNotFoundError:
                continue
            except OSError as exc:
                raise refused(exc, f"cannot look at {key!r}") from exc
    finally:
        folders.close(fd)
    return found
