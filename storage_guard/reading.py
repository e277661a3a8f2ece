"""Reading and listing: `Store.read`, `stream` and `scan`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

from storage_guard import names, signals
from storage_guard.access import Access
from storage_guard.answers import asked_s
from storage_guard.errors import ObjectNotFound
from storage_guard.model import MiB, ObjectInfo, Prefix
from storage_guard.translate import as_error

STREAM_BYTES = 4 * MiB


def read(access: Access, key: str, start: int, stop: int | None, etag: str | None) -> bytes:
    full_key = access.full(key)
    end = sys.maxsize if stop is None else stop
    _check_range(start, end)
    return access.patiently(
        lambda: access.driver.read(full_key, start, end, etag), f"{key!r} could not be read", key=key
    )


def stream(access: Access, key: str, start: int, stop: int | None) -> Iterator[bytes]:
    full_key = access.full(key)
    _check_range(start, sys.maxsize if stop is None else stop)
    failed = f"{key!r} could not be read"
    info = access.patiently(lambda: access.driver.head(full_key), failed, key=key)
    if info is None:
        raise ObjectNotFound(f"{key!r} is not in {access.url}", key=key)
    end = info.size_bytes if stop is None else min(stop, info.size_bytes)
    return _pinned(access, key, full_key, range(start, end, STREAM_BYTES), info.etag)


def _pinned(access: Access, key: str, full_key: str, starts: range, etag: str) -> Iterator[bytes]:
    failed = f"{key!r} could not be read"
    for start in starts:
        stop = min(start + STREAM_BYTES, starts.stop)

        def window(start: int = start, stop: int = stop) -> bytes:
            piece = access.driver.read(full_key, start, stop, etag)
            if len(piece) != stop - start:
                raise signals.Lost(f"{len(piece)} bytes came where {stop - start} were asked for")
            return piece

        yield access.patiently(window, failed, key=key)


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
                if not each.key.startswith(hidden):
                    yield replace(each, key=each.key.removeprefix(access.prefix))
            return
        except signals.Signal as signal:
            if not (isinstance(signal, signals.Busy | signals.Lost) and patience.wait(asked_s(signal))):
                raise as_error(signal, f"{access.url} could not be listed", key=None) from signal


def _check_range(start: int, stop: int) -> None:
    if not 0 <= start <= stop:
        raise ValueError(f"want 0 <= start <= stop, got {start} and {stop}")
