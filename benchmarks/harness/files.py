"""Files to send."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

MIB = 1 << 20
_WARM_MIB = 32


@contextmanager
def random_files(folder: Path | None, mib: int) -> Generator[tuple[str, str]]:
    """One of so many MiB, and one at most as large to warm up with, below `folder`; None: where temporary files are."""
    with tempfile.TemporaryDirectory(prefix="large-files-", dir=folder) as made:
        yield _file(os.path.join(made, "file"), mib), _file(os.path.join(made, "warm"), min(mib, _WARM_MIB))


def _file(path: str, mib: int) -> str:
    """Random bytes; it lies in the page cache when it has been written."""
    with open(path, "wb") as file:
        file.writelines(os.urandom(MIB) for _ in range(mib))
    return path
