"""Commands that know nothing of the checkout, and a virtual environment to run them in."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What would put the checkout, or somebody's settings, on the way of the tools.
_ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MYPY", "PYRIGHT"))}


def run(*command: str, cwd: Path, check: bool = True) -> str:
    """What a command says. A failure is told with all of it."""
    done = subprocess.run(
        command, cwd=cwd, env=_ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert not (check and done.returncode), f"{' '.join(command[:5])} ...: exit code {done.returncode}\n{done.stdout}"
    return done.stdout


def pip(*arguments: str, cwd: Path) -> str:
    return run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, cwd=cwd)


def build_wheel(source: Path, folder: Path) -> Path:
    """The wheel of a source tree, by the build backend of the development environment."""
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source), cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and an empty folder to work in."""

    folder: Path
    cwd: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def run(self, *arguments: str) -> str:
        """`python -I`: neither the folder we are in nor PYTHONPATH is looked at."""
        return run(self.python, "-I", *arguments, cwd=self.cwd)

    def pip(self, *arguments: str) -> str:
        return pip("--python", self.python, *arguments, cwd=self.cwd)

    def within(self, cwd: Path) -> Environment:
        return Environment(self.folder, cwd)


def names_in(wheel: Path) -> Sequence[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()
