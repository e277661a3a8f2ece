"""What errors and signals have in common, and how they survive pickle: dask and multiprocessing lose them otherwise."""

from __future__ import annotations

from typing import Any, TypedDict, TypeVar

_Raised = TypeVar("_Raised", bound=BaseException)


class About(TypedDict, total=False):
    """A service's own words for what went wrong, where there are any."""

    status: int | None
    code: str | None
    request_id: str | None


def revive(cls: type[_Raised], args: tuple[Any, ...]) -> _Raised:
    """An exception without a call of its class, whose arguments nobody has kept; its attributes follow as state."""
    raised = cls.__new__(cls)
    raised.args = args
    return raised
