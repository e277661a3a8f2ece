"""Many objects at a time. fsspec decides which goes where; here they go, side by side."""

from __future__ import annotations

import inspect
import os
import stat
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from fsspec.callbacks import Callback
from fsspec.spec import AbstractFileSystem

from storage_guard import OutcomeUnknown, Receipt, StorageGuardError, Store, Unsupported

SIDE_BY_SIDE = 16  # as many as a Store begins with by itself

_T = TypeVar("_T")
_R = TypeVar("_R")
_CACHES = "fsspec.implementations.cached"
_NOTED = 20
_WINDOW_BYTES = 4 * 1024 * 1024


class Pairs:
    """Stands in for the filesystem while fsspec works out, from names, globs and folders, which goes where."""

    def __init__(self, fs: AbstractFileSystem) -> None:
        self._fs = fs
        self.found: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fs, name)

    def put_file(self, lpath: str, rpath: str, **_: Callback) -> None:
        self.found.append((str(lpath), rpath))

    def get_file(self, rpath: str, lpath: Any, **_: Callback) -> None:
        self.found.append((rpath, lpath))

    def cp_file(self, path1: str, path2: str) -> None:
        self.found.append((path1, path2))

    def as_filesystem(self) -> AbstractFileSystem:
        return cast("AbstractFileSystem", self)


def side_by_side(call: Callable[[_T], _R], items: Iterable[_T]) -> Iterator[tuple[_T, _R | Exception]]:
    """Each item with its result, or with what was raised, as they finish. Who stops early begins nothing more, and
    waits for what is under way."""
    todo = iter(items)
    running: dict[Future[_R], _T] = {}
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        try:
            while True:
                while len(running) < SIDE_BY_SIDE:
                    try:
                        item = next(todo)
                    except StopIteration:
                        break
                    running[pool.submit(call, item)] = item
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    error = done.exception()
                    if error is not None and not isinstance(error, Exception):
                        raise error
                    yield running.pop(done), done.result() if error is None else error
        finally:
            for each in running:
                each.cancel()


def create_all(items: Iterable[tuple[Store, str, Any]], told: Callable[[int], None], **options: Any) -> None:
    """Create them all, whatever becomes of the others; then raise the first error, the others are its notes.

    An outcome that is unknown comes before all others, as it has a ticket. `told(number)`: that item is there.
    """
    stores: dict[int, tuple[Store, dict[str, list[tuple[int, Any]]]]] = {}
    for number, (store, key, data) in enumerate(items):
        stores.setdefault(id(store), (store, {}))[1].setdefault(key, []).append((number, data))
    results: list[Receipt | StorageGuardError] = []
    for store, keys in stores.values():
        numbers = {key: [number for number, _ in same] for key, same in keys.items()}
        pairs = ((key, data) for key, same in keys.items() for _, data in same)
        for result in store.create_many(pairs, **options):
            results.append(result)
            if isinstance(result, Receipt):
                told(numbers[result.key].pop())
    raise_first(results)


def local_files(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, int]]:
    """Without folders, with their sizes in bytes. Raises FileNotFoundError."""
    for source, target in pairs:
        found = os.stat(source)
        if not stat.S_ISDIR(found.st_mode):
            yield source, target, found.st_size


def windows(path: Any) -> Iterator[bytes]:
    """What a local file holds, piece by piece."""
    with open(path, "rb") as file:
        while piece := file.read(_WINDOW_BYTES):
            yield piece


def told_of(pieces: Iterable[bytes], callback: Callback) -> Iterator[bytes]:
    """The same pieces, and the callback hears of each that was taken."""
    for each in pieces:
        yield each
        callback.relative_update(len(each))


def raise_first(results: list[Receipt | StorageGuardError]) -> None:
    """The error to hear of, if there is one."""
    errors = [each for each in results if isinstance(each, StorageGuardError)]
    if not errors:
        return
    errors.sort(key=lambda each: not isinstance(each, OutcomeUnknown))  # stable
    first = errors[0]
    if len(results) > 1:
        first.add_note(f"{len(results) - len(errors)} of {len(results)} objects are written")
    for each in errors[1:_NOTED]:
        ticket = f"; settle({each.ticket!r}) tells" if isinstance(each, OutcomeUnknown) else ""
        first.add_note(f"{type(each).__name__}: {each}{ticket}")
    if len(errors) > _NOTED:
        first.add_note(f"and {len(errors) - _NOTED} more")
    raise first


@contextmanager
def whole_file(path: str) -> Generator[Any]:
    """A local file that replaces what is at the path when the block is left without an exception."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    temporary = f"{path}.{os.getpid()}-{threading.get_ident()}.part"
    try:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise


def refuse_write_through_cache(local_paths: list[str]) -> None:
    """Raises Unsupported if a caching filesystem asks: it would write what an exception left, and its readers would
    have found what never was an object. What it kept is removed."""
    frame = inspect.currentframe()
    asking = frame.f_back.f_back if frame is not None and frame.f_back is not None else None
    try:
        if asking is None or asking.f_globals.get("__name__") != _CACHES:
            return
    finally:
        del frame, asking
    for path in local_paths:
        if os.path.exists(path):
            os.remove(path)
    raise Unsupported(
        "nothing was written: simplecache:: and filecache:: publish what an exception left, and show readers what was "
        "refused; write to the address behind them, and read through them"
    )
