"""What is there, in fsspec's words: directories are the beginnings of keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from storage_guard import InvalidKey, ObjectInfo, ObjectNotFound, Prefix
from storage_guard.filesystem.places import RESERVED, Places, is_a_folder

Entry = dict[str, Any]


def file_entry(path: str, info: ObjectInfo) -> Entry:
    """What a listing knows of an object too. `mtime` in seconds since 1970, `modified` aware and in UTC."""
    return {
        "name": path,
        "size": info.size_bytes,
        "type": "file",
        "etag": info.etag,
        "mtime": info.modified.timestamp(),
        "modified": info.modified,
    }


def folder_entry(path: str) -> Entry:
    return {"name": path, "size": 0, "type": "directory"}


def head(places: Places, path: str) -> ObjectInfo:
    """Raises ObjectNotFound, IsADirectoryError."""
    store, key = places.file_at(path)
    try:
        found = store.head(key)
    except InvalidKey:
        if places.is_folder(path):
            raise is_a_folder(path) from None
        raise
    if found is None:
        raise ObjectNotFound(f"nothing is at {path!r}", key=path)
    return found


def entry(places: Places, path: str) -> Entry:
    """Of the object at the path, or of the directory. Raises FileNotFoundError."""
    try:
        return file_entry(path, head(places, path))
    except (FileNotFoundError, IsADirectoryError) as exc:
        if places.is_folder(path) or any(True for _ in _scan(places, path, "/")):
            return folder_entry(path)
        raise ObjectNotFound(f"nothing is at {path!r}", key=path) from exc


def children(places: Places, path: str) -> list[Entry]:
    """Of a directory; of an object itself. Raises FileNotFoundError."""
    found = list(_scan(places, path, "/"))
    if found or places.is_folder(path):
        return found
    return [file_entry(path, head(places, path))]


def below(places: Places, path: str) -> Iterator[Entry]:
    """Every object below a directory, in the order of keys; none for what is no directory."""
    return _scan(places, path, "")


def folders_between(path: str, names: list[str]) -> list[str]:
    """The directories that lie between `path` and the objects below it."""
    found: dict[str, None] = {}
    start = len(path.rstrip("/")) + 1 if path else 0
    for name in names:
        at = name.find("/", start)
        while at >= 0:
            found[name[:at]] = None
            at = name.find("/", at + 1)
    return list(found)


def identity(info: ObjectInfo) -> str:
    """Another one for another object."""
    return hashlib.sha256(f"{info.size_bytes} {info.version_id} {info.etag}".encode()).hexdigest()


def _scan(places: Places, path: str, delimiter: str) -> Iterator[Entry]:
    store, key = places.folder_at(path)
    prefix = f"{key}/" if key else ""
    base = f"{path.rstrip('/')}/" if path else ""
    for each in store.scan(prefix, delimiter=delimiter):
        name = base + each.key[len(prefix) :]
        if f"/{RESERVED}/" in name:
            continue  # of a store that begins further down
        yield folder_entry(name.rstrip("/")) if isinstance(each, Prefix) else file_entry(name, each)
