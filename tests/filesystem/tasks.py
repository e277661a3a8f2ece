"""What the workers of a cluster do. In a module, so that they find it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from filesystem.worlds import fsspec


def data_of(key: str, attempt: int) -> bytes:
    return f"{key} by {attempt}; ".encode() * 50


def write(url: str, key: str, attempt: int, options: dict[str, Any]) -> tuple[str, int, int]:
    """Create an object, and say who did."""
    with fsspec.open(f"{url}/{key}", "wb", **options) as file:
        file.write(data_of(key, attempt))
    return key, attempt, os.getpid()


def write_and_fail_behind_it(url: str, key: str, seen: str, options: dict[str, Any]) -> str:
    """As a task that did its work and whose worker then failed to say so: the first time it raises."""
    with fsspec.open(f"{url}/{key}", "wb", **options) as file:
        file.write(data_of(key, 0))
    try:
        Path(seen, key).touch(exist_ok=False)
    except FileExistsError:
        return key
    raise ConnectionError("the result was lost")
