"""A pytest plugin that puts one mutant in the place of its module, in memory, before anything is imported.

MUTANT_MODULE=storage_guard.plan MUTANT_SOURCE=/path/to/mutated.py pytest -p mutation.plugin
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

MODULE = os.environ["MUTANT_MODULE"]
SOURCE = Path(os.environ["MUTANT_SOURCE"])


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != MODULE:
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if found is None or found.origin is None:
            raise ImportError(f"{MODULE} is not to be found")
        loader = _Loader(MODULE, found.origin)
        return importlib.util.spec_from_file_location(fullname, found.origin, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        return compile(SOURCE.read_text(), f"mutant of {fullname}", "exec")


if MODULE in sys.modules:
    raise RuntimeError(f"{MODULE} was imported before its mutant")
sys.meta_path.insert(0, _Finder())
