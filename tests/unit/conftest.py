"""The stores that every law of `Store` is tried on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from storage_guard import Store
from storage_guard.driver import Limits
from storage_guard.memory import MemoryDriver
from storage_guard.testing import FakeClock
from storage_guard_local import LocalDriver

MIB = 1 << 20
SMALL = Limits(
    max_put_bytes=4 * MIB, min_part_bytes=1024, max_part_bytes=4 * MIB, max_parts=50, max_object_bytes=64 * MIB
)
PART_BYTES = 64 * 1024
MULTIPART_FROM_BYTES = 100 * 1024
# Empty, one byte, and around every size at which the way of writing changes.
SIZES = sorted(
    {0, 1, 1023}
    | {edge + step for edge in (PART_BYTES, MULTIPART_FROM_BYTES, 2 * PART_BYTES, 256 * 1024) for step in (-1, 0, 1)}
)


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    driver = MemoryDriver(limits=SMALL) if request.param == "memory" else LocalDriver(tmp_path / "root", limits=SMALL)
    return Store(
        driver, part_bytes=PART_BYTES, multipart_from_bytes=MULTIPART_FROM_BYTES, clock=FakeClock(), prefix="pre/fix"
    )


@pytest.fixture
def is_untouched(store: Store, tmp_path: Path) -> Callable[[], bool]:
    """Whether nothing at all is in the store: no object, no upload, no file or folder."""

    def look() -> bool:
        root = tmp_path / "root"
        litter = list(root.rglob("*")) if root.exists() else []
        return not litter and not list(store.scan()) and not list(store.driver.scan_uploads(""))

    return look
