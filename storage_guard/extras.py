"""What is said where a module is wanted that an extra brings, and that is not installed."""

from __future__ import annotations


def missing(
    exc: ModuleNotFoundError, who: str, extra: str, *, distribution: str = "storage-guard"
) -> ModuleNotFoundError:
    """What to raise from `exc`: `who` needs the module, and the command that brings it."""
    return ModuleNotFoundError(f"{who} needs {exc.name}: pip install '{distribution}[{extra}]'", name=exc.name)
