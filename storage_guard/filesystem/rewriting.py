"""Objects that may be replaced, because `overwrite_ok` names them: taken away, and created anew.

No store does that in one step under the create-only condition. In between nothing is at the key; of two who rewrite at
the same time the last wins; a process that is killed in between leaves nothing there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from fsspec.utils import glob_translate

from storage_guard import ObjectChanged, ObjectExists, ObjectNotFound, OutcomeUnknown, Receipt, StorageGuardError, Store
from storage_guard.files.draft import Draft
from storage_guard.files.textual import ObjectTextWriter, Text
from storage_guard.files.writer import ObjectWriter

if TYPE_CHECKING:
    from storage_guard.files.pouring import Pour

_ROUNDS = 20  # others may rewrite at the same time
_PUT_BACK_BYTES = 4 * 1024 * 1024


class Patterns:
    """Which paths may be replaced. A pattern without a slash is for the last segment, any other for the whole path (or
    URL: `strip` makes a path of it), where `*` stays within a segment and `**` does not, as in `glob`."""

    def __init__(self, patterns: Iterable[str], strip: Callable[[str], str]) -> None:
        if isinstance(patterns, str):
            raise TypeError(f"overwrite_ok is a list of patterns, not {patterns!r}")
        self._names: list[re.Pattern[str]] = []
        self._paths: list[re.Pattern[str]] = []
        for each in patterns:
            if "/" not in each:
                self._names.append(re.compile(glob_translate(each)))
            else:
                whole = each if each.startswith("**") else strip(each)
                self._paths.append(re.compile(glob_translate(whole.lstrip("/"))))

    def __bool__(self) -> bool:
        return bool(self._names or self._paths)

    def match(self, path: str) -> bool:
        name, whole = path.rpartition("/")[2], path.lstrip("/")
        return any(each.match(name) for each in self._names) or any(each.match(whole) for each in self._paths)


def replace(store: Store, key: str, data: bytes, **options: Any) -> Receipt:
    """Put `data` at the key, whatever is there. The same bytes are left as they are.

    Raises what `Store.create` and `Store.remove` raise. If what was there is gone and the new object is not there, a
    note says so, and whether the old one was put back (up to 4 MiB are).
    """
    for _ in range(_ROUNDS):
        old: bytes | None = None
        found = store.head(key)
        if found is not None:
            try:
                if found.size_bytes <= max(len(data), _PUT_BACK_BYTES):
                    old = store.read(key, etag=found.etag)
                if old == data:
                    return store.create(key, data, if_exists="same", **options)
                store.remove(key, etag=found.etag)
            except (ObjectNotFound, ObjectChanged, ObjectExists):
                continue
        try:
            return store.create(key, data, **options)
        except ObjectExists:
            continue
        except StorageGuardError as exc:
            if found is not None and not isinstance(exc, OutcomeUnknown):
                exc.add_note(_put_back(store, key, old))
            raise
    raise ObjectExists(f"{key!r} in {store.url} was not rewritten: others kept rewriting it", key=key)


def _put_back(store: Store, key: str, old: bytes | None) -> str:
    if old is None:
        return f"what was at {key!r} before is removed"
    try:
        store.create(key, old)
    except StorageGuardError as exc:
        return f"what was at {key!r} before is removed, and could not be put back: {exc}"
    return f"what was at {key!r} before is there again"


class _Replacement:
    """What a Draft pours into: kept in memory until it is whole."""

    has_sent = False

    def __init__(self, store: Store, key: str, options: dict[str, Any]) -> None:
        self._store, self._key, self._options = store, key, options
        self._data = bytearray()

    def pour(self, data: memoryview) -> None:
        self._data += data

    def finish(self) -> Receipt:
        return replace(self._store, self._key, bytes(self._data), **self._options)

    def discard(self) -> list[str]:
        self._data.clear()
        return []

    def give_up(self, _: BaseException) -> list[str]:
        return self.discard()


def open_rewriter(store: Store, key: str, *, text: bool, how: dict[str, Any]) -> ObjectWriter | ObjectTextWriter:
    """A file as `Store.open` gives it, but that it replaces what is there when it is closed. All of it is in memory."""
    encoding = Text(*(how.pop(name, None) for name in ("encoding", "errors", "newline")))
    draft = Draft(cast("Pour", _Replacement(store, key, how)), key, store.url)
    return ObjectTextWriter(draft, encoding) if text else ObjectWriter(draft)
