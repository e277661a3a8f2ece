"""The library as a user has it: the wheel, in a virtual environment where nothing else is."""

from __future__ import annotations

import sys
import tarfile
import venv
from pathlib import Path

import pytest

from installed.environment import ROOT, Environment, build_wheel, run


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(folder), cwd=ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", symlinks=True, with_pip=False)
    environment = Environment(folder / "venv", tmp_path_factory.mktemp("empty"))
    environment.pip("install", "--quiet", str(wheel))
    return environment


@pytest.fixture
def environment(installed: Environment, tmp_path: Path) -> Environment:
    """The same, with an empty folder for this test."""
    return installed.within(tmp_path)
