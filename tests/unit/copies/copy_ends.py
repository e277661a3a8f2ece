"""The two ends of a copy: stores, what lies below them, and who meddles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from storage_guard import ObjectInfo, ObjectOptions, Store
from storage_guard.driver import Driver, Limits, Location
from storage_guard.memory import MemoryDriver
from storage_guard.testing import FakeClock, Fault, FaultyDriver, Member, Request
from storage_guard_local import LocalDriver

T = TypeVar("T")
PART_BYTES = 10_000
FROM_BYTES = 30_000
LIMITS = Limits(
    max_put_bytes=60_000, min_part_bytes=100, max_part_bytes=60_000, max_parts=20, max_object_bytes=1_000_000
)
SIZES = sorted({0, 1, 3 * PART_BYTES + 5} | {edge + step for edge in (PART_BYTES, FROM_BYTES) for step in (-1, 0, 1)})
PAIRS = ["memory to memory", "local to local", "memory to local", "local to memory"]
OPTIONS = ObjectOptions(content_type="text/plain", cache_control="no-store", metadata={"who": "source"})
WRITES: tuple[Member, ...] = (
    *("put_new", "begin", "put_part", "copy_part", "finish_new", "abort", "copy_new", "remove"),
)


def data_of(size_bytes: int) -> bytes:
    return bytes(index * 7 % 251 for index in range(size_bytes))


def driver_of(kind: str, root: Path) -> Driver:
    return MemoryDriver(limits=LIMITS) if kind == "memory" else LocalDriver(root, limits=LIMITS)


def store_of(driver: Driver, **settings: Any) -> Store:
    given: dict[str, Any] = {"part_bytes": PART_BYTES, "multipart_from_bytes": FROM_BYTES, "clock": FakeClock()}
    return Store(driver, **(given | settings))


@dataclass
class Ends:
    """The two ends of a copy, with every call counted. `below` is what lies below the counters of `away`."""

    below: Driver
    away: FaultyDriver
    home: FaultyDriver
    source: Store
    target: Store

    def calls(self) -> dict[str, int]:
        """What was asked of the target, and what was read from the source."""
        counted = {f"home {member}": count for member, count in self.home.calls.items()}
        return counted | {f"away {member}": count for member, count in self.away.calls.items()}

    def is_untouched(self, key: str = "copy") -> bool:
        """Whether nothing was written, and no upload is left open."""
        inner = self.home
        return inner.head(f"there/{key}") is None and not list(inner.scan_uploads(""))


def ends_of(pair: str, tmp_path: Path, **settings: Any) -> Ends:
    source_kind, _, target_kind = pair.partition(" to ")
    below = driver_of(source_kind, tmp_path / "from")
    away, home = FaultyDriver(below), FaultyDriver(driver_of(target_kind, tmp_path / "to"))
    return Ends(below, away, home, store_of(away, prefix="here"), store_of(home, prefix="there", **settings))


def seen(store: Store, key: str) -> ObjectInfo:
    info = store.head(key)
    assert info is not None
    return info


class Meddling(Fault):
    """Somebody does something just before the request arrives."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        self._meddle = meddle

    def strike(self, request: Request[T], /) -> T:
        self._meddle()
        return request.act()


class Elsewhere(MemoryDriver):
    """Memory of another service: nothing is copied there by itself."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        super().__init__(limits=limits)

    @property
    def location(self) -> Location:
        return replace(super().location, endpoint="elsewhere")
