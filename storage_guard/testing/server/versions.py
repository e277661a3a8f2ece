"""Objects and their histories: versions, delete markers, and the order of keys."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeVar

from storage_guard.testing.server.blobs import Content

T = TypeVar("T")

NULL = "null"  # the id of the one version of a key that was written while versioning was not enabled
Versioning = Literal["never", "enabled", "suspended"]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is kept with an object. `headers`: given back with it, under their lower-case names; `meta`: the user's, by
    their lower-case names without the service's prefix."""

    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    meta: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    storage_class: str = ""
    acl: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an object; `content` is None in a delete marker."""

    key: str
    version_id: str
    modified: datetime
    content: Content | None
    attributes: Attributes = field(default_factory=Attributes)
    in_parts: bool = False


class Histories:
    """All versions of all keys of a bucket, and the order of the keys, which is that of their UTF-8 bytes."""

    def __init__(self) -> None:
        self._of: dict[str, list[Version]] = {}  # the newest is the last
        self._sorted: list[str] = []
        self._unsorted: list[str] = []
        self._stale = False

    def current(self, key: str) -> Version | None:
        """The newest version, which may be a delete marker."""
        history = self._of.get(key)
        return history[-1] if history else None

    def version(self, key: str, version_id: str) -> Version | None:
        return next((version for version in self._of.get(key, ()) if version.version_id == version_id), None)

    def add(self, version: Version) -> None:
        """Makes `version` the current one, in place of one of the same id."""
        history = self._of.get(version.key)
        if history is None:
            self._of[version.key] = [version]
            self._unsorted.append(version.key)
            return
        if len(history) == 1 and history[0].version_id == version.version_id:
            history[0] = version
            return
        history[:] = [other for other in history if other.version_id != version.version_id]
        history.append(version)

    def replace(self, version: Version) -> None:
        """Puts `version` in the place of the one of the same id, which is there."""
        history = self._of[version.key]
        history[[other.version_id for other in history].index(version.version_id)] = version

    def remove(self, key: str, version_id: str) -> Version | None:
        """Takes this version away for good. What it was; None if it was not there."""
        version = self.version(key, version_id)
        if version is None:
            return None
        history = self._of[key]
        history.remove(version)
        if not history:
            del self._of[key]
            self._stale = True
        return version

    def __iter__(self) -> Iterator[Version]:
        """All versions, keys in order, the newest first."""
        for key in self._keys():
            yield from reversed(self._of[key])

    def objects(self, *, at_least: str = "", after: str | None = None) -> Iterator[tuple[str, Version]]:
        """Keys in order with their current versions, without those whose current version is a delete marker. The keys
        are not below `at_least`, and are greater than `after` where that is given."""
        keys = self._keys()
        start = bisect_left(keys, at_least)
        if after is not None:
            start = max(start, bisect_right(keys, after))
        for at in range(start, len(keys)):
            version = self._of[keys[at]][-1]
            if version.content is not None:
                yield keys[at], version

    def _keys(self) -> list[str]:
        if self._unsorted or self._stale:
            self._sorted = sorted({*self._sorted, *self._unsorted} & self._of.keys())
            self._unsorted = []
            self._stale = False
        return self._sorted


def folded(items: Iterable[tuple[str, T]], prefix: str, delimiter: str) -> Iterator[tuple[str, T | None]]:
    """What a listing shows of `items`, which are in order and not below `prefix`: those under `prefix`, and in place of
    all whose rest contains the delimiter one name up to it, with None."""
    shown = None
    for key, item in items:
        if not key.startswith(prefix):
            return
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        if end < 0:
            yield key, item
            continue
        name = key[: end + len(delimiter)]
        if name != shown:
            shown = name
            yield name, None
