"""What tests of faults may ask for: disks of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.local_systems import Mount


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """`mount("-t", "tmpfs", "-o", "size=1m", "none")`: the folder it was mounted on, until the test ends."""
    mounted: list[Path] = []

    def mount(*args: str, name: str = "disk", at: Path | None = None) -> Path:
        folder = at or tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", *args, str(folder)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"this machine does not let us mount: {done.stderr.strip()}")
        if folder not in mounted:
            mounted.append(folder)
        return folder

    yield mount
    for folder in reversed(mounted):
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
