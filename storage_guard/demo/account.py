"""What is seen, said as it is seen; and what should have been seen, held against it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from storage_guard import Store
from storage_guard.demo.samples import Sample, sha256_of

Print = Callable[[str], None]


class Account:
    """One scenario with one file. Its last line is "held", or "BROKEN" and all that was not as promised."""

    def __init__(self, title: str, say: Print = print, when_broken: Callable[[], object] = lambda: None) -> None:
        self._say = say
        self._when_broken = when_broken
        self.broken: list[str] = []
        say(f"  {title}")

    def saw(self, what: str) -> None:
        self._say(f"    {what}")

    def must(self, kept: bool, seen: str) -> None:
        """Note what was `seen` if a promise was not `kept`."""
        if not kept:
            self.broke(seen)

    def broke(self, seen: str) -> None:
        self.broken.append(seen)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> bool:
        # Whatever a scenario did not expect is a broken promise too, and the others are still worth seeing.
        unexpected = isinstance(value, Exception)
        if unexpected:
            self.broken.append(f"unexpected {told(value)}")
        self._say(f"    BROKEN: {'; '.join(self.broken)}" if self.broken else "    held")
        if self.broken:
            self._when_broken()
        return unexpected


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as a reader finds it."""

    size_bytes: int
    sha256: str
    write_id: str | None
    etag: str

    def __str__(self) -> str:
        return f"{self.size_bytes:,} bytes, sha256 {self.sha256[:12]}, write {short(self.write_id)}, etag {self.etag}"


def look(store: Store, key: str) -> Seen | None:
    """The object at the key, all its bytes read."""
    info = store.head(key)
    if info is None:
        return None
    return Seen(info.size_bytes, sha256_of(store.stream(key)), info.write_id, info.etag)


def is_at_the_key(seen: Seen | None, sample: Sample, write_id: str | None, *, version: int = 0) -> bool:
    """Whether what was seen is this version of the sample, whole, written under this id."""
    if seen is None or write_id is None:
        return False
    return (seen.size_bytes, seen.sha256, seen.write_id) == (sample.size_bytes, sample.sha256(version), write_id)


def nothing_is_visible(store: Store, key: str, before: set[str], account: Account) -> None:
    """Look for any trace of an object at the key: by head, in the listing, and among the files of the folder."""
    info = store.head(key)
    listed = [each.key for each in store.scan() if each.key == key]
    account.saw(f"head: {'nothing' if info is None else f'{info.size_bytes:,} bytes'}; listed: {listed or 'nothing'}")
    account.must(info is None, f"head finds an object at {key!r}")
    account.must(not listed, f"{key!r} is listed")
    if folder_of(store) is not None:
        new = sorted(files_below(store) - before)
        account.saw(f"files in the folder that were not there before: {new or 'none'}")
        account.must(not new, f"files were left behind: {new}")


def folder_of(store: Store) -> Path | None:
    """The folder of a store on a disk."""
    location = store.driver.location
    return Path(location.container) if location.scheme == "file" else None


def files_below(store: Store) -> set[str]:
    """Every file in a store's folder, by its path there, those of the library's own included."""
    root = folder_of(store)
    if root is None:
        return set()
    return {os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root) for name in names}


def told(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}"


def short(write_id: str | None) -> str:
    return "without an id" if write_id is None else write_id[:8]
