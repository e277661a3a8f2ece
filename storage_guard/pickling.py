"""How exceptions with keyword arguments survive pickle: dask and multiprocessing lose them otherwise."""

from __future__ import annotations

from typing import Any, TypeVar

_Raised = TypeVar("_Raised", bound=BaseException)


def revive(cls: type[_Raised], args: tuple[Any, ...]) -> _Raised:
    """An exception without a call of its class, whose arguments nobody has kept; its attributes follow as state."""
    raised = cls.__new__(cls)
    raised.args = args
    return raised
