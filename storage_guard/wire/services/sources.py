"""Objects that are looked at before they are read, removed or copied."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from storage_guard.driver import Absent, Changed, Lost, ObjectInfo, ObjectRef, Refused

_KNOWN = 64


class Looks(Protocol):
    def pinned(self, key: str, etag: str | None, /) -> ObjectInfo:
        """Raises `Absent`, `Changed`."""
        ...

    def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes | None:
        """None if the range begins behind the end of the object. Raises `Absent`, `Changed`."""
        ...


def bytes_between(look: Looks, key: str, start: int, stop: int, etag: str | None) -> bytes:
    """As `Driver.read` says."""
    if not 0 <= start <= stop:
        raise Refused(f"no object has bytes {start} to {stop}", why="request")
    if start == stop:
        look.pinned(key, etag)
        return b""
    data = look.read(key, start, stop, etag)
    if data is not None:
        return data
    found = look.pinned(key, etag)  # a range that begins behind the end may be refused before the pin is seen
    if found.size_bytes > start:
        raise Lost(f"{key!r} has {found.size_bytes} bytes, and none were given from {start} on")
    return b""


def check_etag(key: str, found: ObjectInfo, etag: str | None) -> ObjectInfo:
    """What was found. Raises `Changed` if it is not what was pinned."""
    if etag is not None and etag != found.etag:
        raise Changed(f"{key!r} has the etag {found.etag}, not {etag}")
    return found


def bucket_gone(refused: Refused) -> Absent:
    """The source of a copy is not there, because its bucket is not."""
    return Absent(refused.message, status=refused.status, code=refused.code, request_id=refused.request_id)


class Sizes:
    """Sizes of sources of copies. What is pinned does not change, and is remembered for a while. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[ObjectRef, int] = OrderedDict()

    def of(self, source: ObjectRef, look: Callable[[ObjectRef], ObjectInfo]) -> tuple[int, str]:
        """Size in bytes and etag. `look`: at a source that is not known; what it raises is raised."""
        if source.etag is not None:
            with self._lock:
                known = self._known.get(source)
            if known is not None:
                return known, source.etag
        found = look(source)
        with self._lock:
            self._known[replace(source, etag=found.etag)] = found.size_bytes
            while len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return found.size_bytes, found.etag

    def pinned(
        self, source: ObjectRef, start: int, size_bytes: int, look: Callable[[ObjectRef], ObjectInfo]
    ) -> ObjectRef:
        """The source of a part that is copied, as it was seen. Raises `Refused` if it has no such bytes."""
        whole_bytes, etag = self.of(source, look)
        if start + size_bytes > whole_bytes:
            raise Refused(f"{source.key!r} has no {size_bytes} bytes from {start} on", why="request")
        return replace(source, etag=etag)
