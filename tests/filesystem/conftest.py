from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from filesystem.worlds import WORLDS, World


@pytest.fixture(params=list(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Each store in turn."""
    with WORLDS[request.param](tmp_path) as world:
        yield world


@pytest.fixture
def local(tmp_path: Path) -> Iterator[World]:
    """The disk, for what does not depend on the store."""
    with WORLDS["file"](tmp_path) as world:
        yield world
