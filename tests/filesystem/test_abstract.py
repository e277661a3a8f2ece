"""fsspec's own suite, on every store. What we depart from is declared, with the reason; a stale declaration fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.tests.abstract import (
    AbstractCopyTests,
    AbstractFixtures,
    AbstractGetTests,
    AbstractOpenTests,
    AbstractPipeTests,
    AbstractPutTests,
)

from filesystem.worlds import World

departs = pytest.mark.xfail(strict=True, raises=(FileExistsError, ValueError))


class Ours(AbstractFixtures):
    @pytest.fixture
    def fs(self, world: World) -> Any:
        return world.fs()

    @pytest.fixture
    def fs_path(self, world: World) -> str:
        return world.path()

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False  # as everywhere where folders are beginnings of keys

    @pytest.fixture
    def local_fs(self) -> LocalFileSystem:
        return LocalFileSystem(auto_mkdir=True)

    @pytest.fixture
    def local_path(self, tmp_path: Path) -> str:
        folder = tmp_path / "local"
        folder.mkdir()
        return str(folder)


class TestCopy(Ours, AbstractCopyTests):
    pass


class TestGet(Ours, AbstractGetTests):
    pass


class TestPut(Ours, AbstractPutTests):
    @departs(reason="it puts the same folder twice, and what is there is not replaced")
    def test_put_directory_recursive(  # noqa: PLR0917 - its fixtures
        self, fs: Any, fs_join: Any, fs_target: Any, local_fs: Any, local_join: Any, local_path: Any
    ) -> None:
        super().test_put_directory_recursive(fs, fs_join, fs_target, local_fs, local_join, local_path)


class TestOpen(Ours, AbstractOpenTests):
    pass


class TestPipe(Ours, AbstractPipeTests):
    @departs(reason='mode="overwrite" is refused')
    def test_pipe_exclusive(self, fs: Any, fs_target: Any) -> None:
        super().test_pipe_exclusive(fs, fs_target)
