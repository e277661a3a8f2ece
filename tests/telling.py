"""What a test tells of what it measured, wherever it runs: shown when all is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

_FIGURES = "figures"

Tell = Callable[[object], None]


class Ended(Protocol):
    """A test that has ended, as pytest reports it."""

    @property
    def nodeid(self) -> str: ...

    @property
    def user_properties(self) -> list[tuple[str, object]]: ...


def teller(record: Callable[[str, object], None]) -> Tell:
    return lambda figures: record(_FIGURES, str(figures))


def told(ended: Iterable[Ended]) -> Iterator[str]:
    """A line for each test that told something, and its figures below."""
    for each in ended:
        figures = [str(value) for name, value in each.user_properties if name == _FIGURES]
        if figures:
            yield each.nodeid
            yield from (f"  {line}" for lines in figures for line in lines.splitlines())
