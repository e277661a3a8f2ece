from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from filesystem.worlds import WORLDS, World, close_all


@pytest.fixture(scope="session", autouse=True)
def servers() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture(params=list(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Each store in turn."""
    return WORLDS[request.param](tmp_path)


@pytest.fixture
def local(tmp_path: Path) -> World:
    """The disk, for what does not depend on the store."""
    return WORLDS["file"](tmp_path)
