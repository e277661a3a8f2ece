"""The stores that copies are tried on: one, and the two ends of a copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage_guard import Store
from unit.copies.copy_ends import PAIRS, Ends, driver_of, ends_of, store_of


@pytest.fixture(params=PAIRS)
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Ends:
    return ends_of(request.param, tmp_path)


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return store_of(driver_of(request.param, tmp_path / "root"), prefix="pre/fix")
