"""Reading and listing: `Store.read`, `stream` and `scan`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

from storage_guard import names, signals
from storage_guard.access import Access
from storage_guard.answers import asked_s
from storage_guard.engine.ranges import Pinned, filled, piece_bytes, pin
from storage_guard.engine.sending import Bounds
from storage_guard.errors import ObjectChanged
from storage_guard.model import ObjectInfo, Prefix
from storage_guard.translate import as_error


def read(access: Access, bounds: Bounds, key: str, start: int, stop: int | None, *, etag: str | None) -> bytes:
    """What fits into one piece costs one request. Of a larger object that is not pinned, the first piece is fetched
    a second time: nothing tells whether it was of the object that is pinned then."""
    end = sys.maxsize if stop is None else stop
    _check_range(start, end)
    first_stop = min(end, start + piece_bytes(bounds))
    first = _first(access, key, start, first_stop, etag)
    if len(first) < first_stop - start or first_stop == end:
        return first
    info, pinned = pin(access, bounds, key)
    end = min(end, info.size_bytes)
    if etag is None:
        del first
        return pinned.read(start, max(start, end))
    if info.etag != etag:
        raise ObjectChanged(f"{key!r} could not be read ({access.url}): another object is there now", key=key)
    return first if end <= first_stop else _continued(first, pinned, first_stop, end)


def _first(access: Access, key: str, start: int, stop: int, etag: str | None) -> bytes:
    full_key = access.full(key)

    def ask() -> bytes:
        piece = access.driver.read(full_key, start, stop, etag)
        if len(piece) > stop - start:
            raise signals.Lost(f"{len(piece)} bytes came where {stop - start} were asked for")
        return piece

    return access.patiently(ask, f"{key!r} could not be read", key=key)


def _continued(first: bytes, pinned: Pinned, start: int, stop: int) -> bytes:
    def fill(view: memoryview) -> None:
        view[: len(first)] = first
        with view[len(first) :] as rest:
            pinned.read_into(start, rest)

    return filled(len(first) + stop - start, fill)


def stream(access: Access, bounds: Bounds, key: str, start: int, stop: int | None) -> Iterator[bytes]:
    _check_range(start, sys.maxsize if stop is None else stop)
    info, pinned = pin(access, bounds, key)
    return pinned.stream(start, info.size_bytes if stop is None else min(stop, info.size_bytes))


def scan(access: Access, prefix: str, delimiter: str, start_after: str) -> Iterator[ObjectInfo | Prefix]:
    hidden = f"{access.prefix}{names.RESERVED}/"
    after = access.prefix + start_after if start_after else ""
    rolled_up = ""
    patience = access.patience()
    while True:
        try:
            for each in access.driver.scan(access.prefix + prefix, delimiter, after):
                after = each.key
                patience.progress()
                if isinstance(each, Prefix):
                    if each.key == rolled_up:
                        continue  # listed anew from its own key on, a prefix comes up again
                    rolled_up = each.key
                    if hidden.startswith(each.key) and _all_hidden(access, each, hidden):
                        continue
                if not each.key.startswith(hidden):
                    yield replace(each, key=each.key.removeprefix(access.prefix))
            return
        except signals.Signal as signal:
            if not (isinstance(signal, signals.Busy | signals.Lost) and patience.wait(asked_s(signal))):
                raise as_error(signal, f"{access.url} could not be listed", key=None) from signal


def _all_hidden(access: Access, rolled_up: Prefix, hidden: str) -> bool:
    """Whether a delimiter has rolled up nothing but what the library keeps for itself (`.storage-` for "-")."""
    found = access.driver.scan(rolled_up.key, "", "")
    return all(each.key.startswith(hidden) for each in found)


def _check_range(start: int, stop: int) -> None:
    for name, given in (("start", start), ("stop", stop)):
        if not hasattr(given, "__index__"):
            raise TypeError(f"{name} is an int, not {type(given).__name__}")
    if not 0 <= start <= stop:
        raise ValueError(f"want 0 <= start <= stop, got {start} and {stop}")
