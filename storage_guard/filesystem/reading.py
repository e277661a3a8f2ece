"""The half of the filesystem that changes nothing."""

from __future__ import annotations

import io
import os
from abc import abstractmethod
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.compression import compr
from fsspec.spec import AbstractFileSystem
from fsspec.utils import isfilelike, stringify_path

from storage_guard import InvalidKey, ObjectNotFound, Store
from storage_guard.filesystem import listing, modes, moving
from storage_guard.filesystem.blocks import BlockReader
from storage_guard.filesystem.listing import Entry
from storage_guard.filesystem.places import Places, is_a_folder


class ReadingFileSystem(AbstractFileSystem):
    """Nothing is cached: a listing is what the store says now, which on some services may be stale."""

    @property
    @abstractmethod
    def places(self) -> Places:
        """Which Store a path belongs to."""
        ...

    def place(self, path: str) -> tuple[Store, str]:
        """The Store that has the path, and the key in it. Raises IsADirectoryError, ValueError."""
        return self.places.file_at(self._strip_protocol(path))

    # What is there

    def info(self, path: str) -> Entry:
        """Raises FileNotFoundError; errors of the store are raised, too."""
        return listing.entry(self.places, self._strip_protocol(path))

    def exists(self, path: str) -> bool:
        """Whether an object or a directory is there. A store that cannot be asked is an error, and not a no."""
        try:
            self.info(path)
        except (FileNotFoundError, InvalidKey):
            return False
        return True

    def isdir(self, path: str) -> bool:
        return self._is(path, "directory")

    def isfile(self, path: str) -> bool:
        return self._is(path, "file")

    def _is(self, path: str, kind: str) -> bool:
        try:
            return bool(self.info(path)["type"] == kind)
        except (FileNotFoundError, InvalidKey):
            return False

    def ls(self, path: str, detail: bool = True, refresh: bool = True) -> Any:  # noqa: ARG002 - fsspec's
        """What is in a directory; an object itself. `refresh` changes nothing: it is fresh anyway."""
        found = listing.children(self.places, self._strip_protocol(path))
        return found if detail else [each["name"] for each in found]

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
    ) -> Any:
        """All objects below a directory, in one listing if there is no `maxdepth`."""
        path = self._strip_protocol(path)
        if maxdepth is not None:
            return super().find(path, maxdepth=maxdepth, withdirs=withdirs, detail=detail)
        found = {each["name"]: each for each in listing.below(self.places, path)}
        if withdirs and (found or self.places.is_folder(path)):
            folders = [path] if path else []
            for name in folders + listing.folders_between(path, list(found)):
                found.setdefault(name, listing.folder_entry(name))
        if not found and self.isfile(path):
            found[path] = self.info(path)
        names = sorted(found)
        return {name: found[name] for name in names} if detail else names

    def du(
        self,
        path: str,
        total: bool = True,
        maxdepth: int | None = None,
        withdirs: bool = False,
    ) -> Any:
        """Bytes of the objects below a path, together or each; directories have none."""
        found = self.find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True)
        sizes = {name: each["size"] for name, each in found.items()}
        return sum(sizes.values()) if total else sizes

    def checksum(self, path: str) -> int:
        """Another number for another object."""
        return int(self.ukey(path), 16)

    def ukey(self, path: str) -> str:
        """Another text for another object."""
        return listing.identity(listing.head(self.places, self._strip_protocol(path)))

    def created(self, path: str) -> datetime:
        """When the object was written: once, so this is `modified`. Aware, in UTC."""
        return listing.head(self.places, self._strip_protocol(path)).modified

    def modified(self, path: str) -> datetime:
        """Aware, in UTC."""
        return self.created(path)

    def sign(self, path: str, expiration: float = 100) -> str:
        """A URL with which anybody can read the object for `expiration` seconds. Raises Unsupported on a disk."""
        store, key = self.place(path)
        return store.presign(key, expiration)

    # Bytes

    def _open_reading(
        self,
        path: str,
        *,
        text: bool,
        compression: str | None,
        block_size: int | None = None,
        cache_type: str | None = None,
        cache_options: dict[str, Any] | None = None,
        size: int | None = None,
        **how: Any,
    ) -> Any:
        """The Store's own reader, or one with fsspec's cache for who asks for one."""
        store, key = self.place(path)
        if (block_size, cache_type, cache_options, size) == (None, None, None, None):
            packing = modes.PACKINGS.get(compression or "")
            if compression is None or packing is not None:
                with self._reading(path):
                    return store.open(key, "rt" if text else "rb", compression=packing, **how)  # type: ignore[call-overload]
            raw: Any = store.open(key, "rb")
        else:
            info = listing.head(self.places, path)
            raw = BlockReader(self, path, store, key, info, block_size, cache_type, cache_options, size)
        if how and not text:
            raise TypeError(f"a binary file has no use for {', '.join(how)}")
        if compression is not None:
            raw = compr[compression](raw, mode="r")
        how["encoding"] = how.get("encoding") or "utf-8"
        return io.TextIOWrapper(raw, **how) if text else raw

    @contextmanager
    def _reading(self, path: str) -> Generator[None]:
        """On a disk a folder is no key, and that is not the caller's mistake."""
        try:
            yield
        except InvalidKey:
            if self.places.is_folder(self._strip_protocol(path)):
                raise is_a_folder(path) from None
            raise

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes from `start` up to, not including, `end`; negative ones count from the object's end."""
        store, key = self.place(path)
        with self._reading(path):
            if (start or 0) >= 0 and (end is None or end > (start or 0)):
                return store.read(key, start or 0, end)
            info = listing.head(self.places, self._strip_protocol(path))
            first, stop, _ = slice(start, end).indices(info.size_bytes)
            return store.read(key, first, stop, etag=info.etag) if first < stop else b""

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise") -> Any:
        """One object's bytes, or those of many, side by side, by their paths."""
        if on_error not in ("raise", "omit", "return"):
            raise ValueError(f'on_error must be "raise", "omit" or "return", got {on_error!r}')
        paths = self.expand_path(path, recursive=False)
        if recursive:
            paths = sorted({name for each in paths for name in self.find(each)})
        if not recursive and not isinstance(path, list) and paths == [self._strip_protocol(path)]:
            return self.cat_file(paths[0])
        found: dict[str, bytes | Exception] = {}
        for name, data in moving.side_by_side(self.cat_file, paths):
            if isinstance(data, Exception) and on_error == "raise":
                raise data
            found[name] = data
        return {name: found[name] for name in paths if not (on_error == "omit" and isinstance(found[name], Exception))}

    def cat_ranges(
        self,
        paths: list[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        on_error: str = "return",
    ) -> list[bytes | Exception]:
        """Ranges of objects, side by side. `max_gap` would join them, and they are not joined."""
        if max_gap is not None:
            raise NotImplementedError("max_gap: ranges are not joined here")
        if not isinstance(paths, list):
            raise TypeError(f"paths are a list, not {paths!r}")
        firsts = _each(starts, len(paths))
        stops = _each(ends, len(paths))
        found: dict[int, bytes | Exception] = {}
        ranges = [(number, *each) for number, each in enumerate(zip(paths, firsts, stops, strict=True))]
        for (number, *_), data in moving.side_by_side(lambda each: self.cat_file(*each[1:]), ranges):
            if isinstance(data, Exception) and on_error == "raise":
                raise data
            found[number] = data
        return [found[number] for number in range(len(paths))]

    def head(self, path: str, size: int = 1024) -> bytes:
        """The first bytes."""
        return self.cat_file(path, 0, size)

    def tail(self, path: str, size: int = 1024) -> bytes:
        """The last bytes."""
        return self.cat_file(path, -size) if size else b""

    def get_file(self, rpath: str, lpath: Any, callback: Callback = DEFAULT_CALLBACK, outfile: Any = None) -> None:
        """One object as a local file, whole or not at all; or into a file that is open."""
        if outfile is None and isfilelike(lpath):
            outfile = lpath
        try:
            with self._reading(rpath), self.open(rpath, "rb") as file:
                callback.set_size(file.size)
                if outfile is not None:
                    _pour(file, outfile, callback)
                    return
                with moving.whole_file(stringify_path(lpath)) as local:
                    _pour(file, local, callback)
        except (ObjectNotFound, IsADirectoryError):
            if outfile is not None or not self.isdir(rpath):
                raise
            os.makedirs(stringify_path(lpath), exist_ok=True)

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Callback = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
    ) -> None:
        """Many, side by side. What is there when one fails stays."""
        pairs = moving.Pairs(self)
        AbstractFileSystem.get(pairs.as_filesystem(), rpath, lpath, recursive=recursive, maxdepth=maxdepth)
        callback.set_size(len(pairs.found))

        def get_one(pair: tuple[str, str]) -> None:
            with callback.branched(*pair) as child:
                self.get_file(*pair, callback=child)

        for _, error in moving.side_by_side(get_one, pairs.found):
            if error is not None:
                raise error
            callback.relative_update()


def _each(bound: Any, count: int) -> list[int | None]:
    """One bound for all, or each its own."""
    return cast("list[int | None]", bound) if modes.is_list(bound) else [bound] * count


def _pour(file: Any, into: Any, callback: Callback) -> None:
    pieces: Iterable[bytes] = iter(lambda: file.read(4 * 1024 * 1024), b"")
    for piece in pieces:
        into.write(piece)
        callback.relative_update(len(piece))
