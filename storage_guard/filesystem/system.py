"""`GuardFileSystem`: fsspec's surface over a Store, with the promise of `Store.create` on every way to write."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.core import get_compression
from fsspec.spec import AbstractFileSystem

from storage_guard import InvalidKey, ObjectNotFound, Unsupported, open_store
from storage_guard.filesystem import listing, modes, moving, rewriting
from storage_guard.filesystem.places import Buckets, Places
from storage_guard.filesystem.reading import ReadingFileSystem
from storage_guard.filesystem.transactions import GuardTransaction

if TYPE_CHECKING:
    from storage_guard import ObjectTextWriter, ObjectWriter, Store


class GuardFileSystem(ReadingFileSystem):
    """Objects are created, whole or not at all, and never changed.

    - `if_exists`: "error"; "same" lets a retried task succeed where its own bytes are; "skip" accepts what is there.
    - `overwrite_ok`: patterns of what may be replaced, for formats that rewrite their metadata. One without a slash is
      for the last segment of a path. Of these objects no more is promised than that a replaced one was whole: see
      `rewriting`.
    - `immutable`: nothing is removed or moved: PermissionError.
    - `asynchronous` and `loop`: taken, because some give them to every filesystem before they look at `async_impl`,
      which is False.
    - `anon`: only False. pandas says True when it asks once more after a PermissionError, which must not become a
      TypeError. Requests without a signature are `anonymous=True` of S3.
    - All others go to `open_store`: TypeError for one that it does not know, when the first Store is opened.

    "wb" and "xb" both create. A taken key is FileExistsError when it is opened, and again, which is what counts, when
    it is closed. An exception while a file is written discards it. Nothing is cached but connections.
    """

    scheme: ClassVar[str] = ""
    transaction_type = GuardTransaction

    def __init__(
        self,
        *,
        if_exists: modes.IfExists = "error",
        overwrite_ok: Iterable[str] = (),
        immutable: bool = False,
        asynchronous: bool = False,  # noqa: ARG002
        loop: object = None,  # noqa: ARG002
        anon: bool = False,
        use_listings_cache: bool = False,
        **store_options: Any,
    ) -> None:
        modes.check_if_exists(if_exists)
        self._if_exists: modes.IfExists = if_exists
        self._rewritable = rewriting.Patterns(overwrite_ok, self._strip_protocol)
        self._immutable = immutable
        if immutable and self._rewritable:
            raise ValueError("immutable=True and overwrite_ok contradict each other")
        if anon:
            raise PermissionError(
                errno.EACCES, "anon=True is not taken (S3: anonymous=True); what was refused before is told above"
            )
        if use_listings_cache:
            raise ValueError("use_listings_cache=True: listings are not cached here")
        super().__init__(use_listings_cache=False)
        self._open_store = partial(open_store, **store_options)
        self._places = self._make_places()

    def _make_places(self) -> Places:
        return Buckets(self.scheme, self._open_store, f"{self.protocol}://bucket/key")

    @property
    def places(self) -> Places:
        return self._places

    # Files

    def open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        compression: str | None = None,
        **how: Any,
    ) -> Any:
        """A file. "wb", "xb", "wt" and "xt" create; "ab" and "r+b" are Unsupported, as nothing is changed here.

        `compression`: "infer", or the name of a codec; nothing is written with others than gzip, bz2, xz and lzma.
        To read: `block_size`, `cache_type` and `cache_options` choose one of fsspec's caches instead of our own reader.
        To write: `options`, `if_exists`, `write_id`, `progress` and `deadline_s` are those of `Store.open`;
        `autocommit=False` leaves publishing to the file's `commit`. Text: `encoding` (UTF-8), `errors`, `newline`.
        """
        path = self._strip_protocol(path)
        asked = modes.parse(mode, path)
        packing = get_compression(path, compression)
        if asked.reading:
            return self._open_reading(
                path, text=asked.text, compression=packing, block_size=block_size, cache_options=cache_options, **how
            )
        if block_size is not None or cache_options is not None:
            raise ValueError("block_size and cache_options are for reading; how much is sent at a time is part_bytes")
        in_transaction = self._intrans
        autocommit = how.pop("autocommit", not in_transaction)
        file = self._create(path, asked, modes.packing_for_writing(packing, path), **how)
        file.held = not autocommit
        if in_transaction and not autocommit:
            self.transaction.files.append(file)
        return file

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **how: Any,
    ) -> Any:
        """What a caching filesystem around this one calls, which counts the files of its transactions itself."""
        path = self._strip_protocol(path)
        asked = modes.parse(mode, path)
        if asked.reading:
            return self._open_reading(
                path, text=False, compression=None, block_size=block_size, cache_options=cache_options, **how
            )
        file = self._create(path, asked, None, **how)
        file.held = not autocommit
        return file

    def _create(self, path: str, asked: modes.Mode, packing: Any, **how: Any) -> ObjectWriter | ObjectTextWriter:
        store, key = self.places.file_at(path)
        if not asked.exclusive and "if_exists" not in how and self._rewritable.match(path):
            if packing is not None:
                raise Unsupported(f"{path!r}: what overwrite_ok names is not compressed on the way", key=path)
            return rewriting.open_rewriter(store, key, text=asked.text, how=how)
        how.setdefault("if_exists", self._if_exists)
        mode: Any = "xt" if asked.text else "xb"
        return cast("ObjectWriter | ObjectTextWriter", store.open(key, mode, compression=packing, **how))

    def touch(self, path: str, truncate: bool = True, **how: Any) -> None:
        """An empty object, if the path is free. FileExistsError if it is not; Unsupported with `truncate=False`, which
        would change the object's time."""
        if not truncate and self.exists(path):
            raise Unsupported(f"{path!r} is there already, and its time is not changed", key=path)
        self.pipe_file(path, b"", mode="create", **how)

    def pipe_file(self, path: str, value: Any, mode: str | None = None, **how: Any) -> None:
        """One object from a buffer. `how`: what `Store.create` takes. mode="overwrite" is for `overwrite_ok` only."""
        path = self._strip_protocol(path)
        replaces = self._replaces(path, mode, how)
        if replaces or self._intrans:
            with memoryview(value) as view:
                self._write(path, [view], how, replaces=replaces)
            return
        store, key = self.places.file_at(path)
        how.setdefault("if_exists", self._if_exists)
        store.create(key, value, **how)

    def pipe(self, path: Any, value: Any = None, mode: str | None = None, **how: Any) -> None:
        """One object, or a dict of them, side by side. All are tried; then the first error is raised, with notes."""
        if isinstance(path, str):
            self.pipe_file(path, value, mode, **how)
            return
        if not isinstance(path, Mapping):
            raise TypeError(f"want a path and a value, or a dict of them, not {path!r}")
        many = cast("Mapping[str, Any]", path)
        self._write_all([(self._strip_protocol(each), data) for each, data in many.items()], mode, _tell_nobody, how)

    def put_file(
        self, lpath: Any, rpath: str, callback: Callback = DEFAULT_CALLBACK, mode: str | None = None, **how: Any
    ) -> None:
        """One local file. It is read in windows, and a large one is sent in parts, side by side."""
        moving.refuse_write_through_cache([lpath])
        rpath = self._strip_protocol(rpath)
        if os.path.isdir(lpath):
            return
        callback.set_size(os.path.getsize(lpath))
        replaces = self._replaces(rpath, mode, how)
        if replaces or self._intrans:
            self._write(rpath, moving.told_of(moving.windows(lpath), callback), how, replaces=replaces)
            return
        store, key = self.places.file_at(rpath)
        how.setdefault("if_exists", self._if_exists)
        store.create(key, Path(lpath), progress=lambda done, _: callback.absolute_update(done), **how)

    def put(  # noqa: PLR0917 - fsspec's order
        self,
        lpath: Any,
        rpath: Any,
        recursive: bool = False,
        callback: Callback = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        mode: str | None = None,
        **how: Any,
    ) -> None:
        """Many local files, side by side. All are tried; then the first error is raised, with notes."""
        moving.refuse_write_through_cache(lpath if modes.is_list(lpath) else [])
        pairs = moving.Pairs(self)
        AbstractFileSystem.put(pairs.as_filesystem(), lpath, rpath, recursive=recursive, maxdepth=maxdepth)
        files = list(moving.local_files(pairs.found))
        callback.set_size(len(files))
        if len(files) == 1:
            source, target, _ = files[0]
            with callback.branched(source, target) as child:
                self.put_file(source, target, callback=child, mode=mode, **how)
            callback.relative_update()
            return

        def told(number: int) -> None:
            source, target, size_bytes = files[number]
            with callback.branched(source, target) as child:
                child.set_size(size_bytes)
                child.absolute_update(size_bytes)
            callback.relative_update()

        items = [(self._strip_protocol(target), Path(source)) for source, target, _ in files]
        self._write_all(items, mode, told, how)

    def _write_all(
        self, items: list[tuple[str, Any]], mode: str | None, told: Callable[[int], None], how: dict[str, Any]
    ) -> None:
        created: list[tuple[Store, str, Any]] = []
        numbers: list[int] = []
        for number, (path, data) in enumerate(items):
            replaces = self._replaces(path, mode, how)
            if replaces or self._intrans:
                self._write(path, moving.windows(data) if isinstance(data, Path) else [data], how, replaces=replaces)
                told(number)
            else:
                created.append((*self.places.file_at(path), data))
                numbers.append(number)
        how.setdefault("if_exists", self._if_exists)
        moving.create_all(created, lambda at: told(numbers[at]), **how)

    def _replaces(self, path: str, mode: str | None, how: dict[str, Any]) -> bool:
        rewritable = "if_exists" not in how and self._rewritable.match(path)
        return modes.may_replace(path, mode, rewritable=rewritable)

    def _write(self, path: str, pieces: Iterable[Any], how: dict[str, Any], *, replaces: bool) -> None:
        """What a file does that a single call does not: wait for the end of a transaction, or replace."""
        with self.open(path, "wb" if replaces else "xb", **how) as file:
            for each in pieces:
                file.write(each)

    # Copies and moves

    def cp_file(self, path1: str, path2: str, **how: Any) -> None:
        """By the service itself where it can. `how`: what `Store.copy` takes. A directory is nothing to copy."""
        self._refuse_in_transaction("cp")
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        how.setdefault("if_exists", self._if_exists)
        try:
            store, key = self.places.file_at(target)
            store.copy(self.places.file_at(source), key, **how)
        except (ObjectNotFound, InvalidKey, IsADirectoryError):
            if not self.isdir(source):
                raise

    def copy(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        on_error: str | None = None,
        **how: Any,
    ) -> None:
        """Many, side by side. `on_error="ignore"` passes over what is not there any more."""
        on_error = on_error or ("ignore" if recursive else "raise")
        if on_error not in ("raise", "ignore"):
            raise ValueError(f'on_error must be "raise" or "ignore", got {on_error!r}')
        for _, error in moving.side_by_side(
            lambda pair: self.cp_file(*pair, **how), self._pairs(path1, path2, recursive=recursive, maxdepth=maxdepth)
        ):
            if error is not None and not (on_error == "ignore" and isinstance(error, FileNotFoundError)):
                raise error

    def mv(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
    ) -> None:
        """To free paths: each is copied, and then removed if it still is what was copied. What was moved before an
        error stays moved."""
        self._refuse_in_transaction("mv")
        self._refuse_removal(path1)
        if path1 == path2:
            return
        for source, target in self._pairs(path1, path2, recursive=recursive, maxdepth=maxdepth):
            self._move(source, target)

    def _move(self, source: str, target: str) -> None:
        try:
            store, key = self.places.file_at(target)
            source_store, source_key = self.places.file_at(source)
            if source_store is store:
                store.rename(source_key, key)
                return
            etag = listing.head(self.places, source).etag
            store.copy((source_store, source_key), key)
            source_store.remove(source_key, etag=etag)
        except (ObjectNotFound, InvalidKey, IsADirectoryError):
            if not self.isdir(source):
                raise

    def _pairs(self, path1: Any, path2: Any, *, recursive: bool, maxdepth: int | None) -> list[tuple[str, str]]:
        pairs = moving.Pairs(self)
        AbstractFileSystem.copy(
            pairs.as_filesystem(), path1, path2, recursive=recursive, maxdepth=maxdepth, on_error="raise"
        )
        return [(self._strip_protocol(source), self._strip_protocol(target)) for source, target in pairs.found]

    # Removals and directories

    def rm_file(self, path: str) -> None:
        """Raises FileNotFoundError, IsADirectoryError; PermissionError if the filesystem is immutable."""
        self._refuse_removal(path)
        store, key = self.place(path)
        try:
            store.remove(key)
        except (ObjectNotFound, InvalidKey):
            if self.isdir(path):
                raise IsADirectoryError(errno.EISDIR, "a directory: recursive=True removes it", path) from None
            raise

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Objects, side by side; with `recursive` also all below directories. At once, in a transaction too."""
        self._refuse_removal(path)
        paths: list[str] = self.expand_path(path, recursive=False)
        if not recursive:
            named = dict.fromkeys(paths)
        else:
            named = dict[str, None]()
            for each in paths:
                found = self.find(each, maxdepth=maxdepth)
                if self.isfile(each):  # where a key may also begin others
                    found.append(each)
                elif not found and not self.isdir(each):
                    raise ObjectNotFound(f"nothing is at {each!r}", key=each)
                named |= dict.fromkeys(found)
        for name, error in moving.side_by_side(self.rm_file, named):
            if error is not None and not (recursive and isinstance(error, ObjectNotFound) and name not in paths):
                raise error

    def _rm(self, path: str) -> None:
        self.rm_file(path)

    def mkdir(self, path: str, create_parents: bool = True, mode: object = None) -> None:
        """Nothing: a directory is there as soon as an object is in it, and has no mode."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Nothing, but FileExistsError for what is there, unless `exist_ok`."""
        if not exist_ok and self.exists(path):
            raise FileExistsError(errno.EEXIST, "there is something already", path)

    def rmdir(self, path: str) -> None:
        """Nothing: a directory goes with its last object. OSError (ENOTEMPTY) if it has one."""
        path = self._strip_protocol(path)
        if any(True for _ in listing.below(self.places, path)):
            raise OSError(errno.ENOTEMPTY, "the directory holds objects", path)
        if self.isfile(path):
            raise NotADirectoryError(errno.ENOTDIR, "an object, and no directory", path)

    def _refuse_removal(self, path: object) -> None:
        if self._immutable:
            raise PermissionError(errno.EPERM, "immutable=True: nothing is removed or moved", str(path))

    def _refuse_in_transaction(self, what: str) -> None:
        if self._intrans:
            raise Unsupported(f"{what} would act at once, and not at the end of the transaction")


def _tell_nobody(_: int) -> None:
    """For who did not ask to be told."""
