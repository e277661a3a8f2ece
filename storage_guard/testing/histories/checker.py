"""The checker: a history in, the laws it breaks out. Pure; a pass or a sorted search for each law and key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage_guard.testing.histories.history import History
from storage_guard.testing.histories.laws import LAWS, Law
from storage_guard.testing.histories.view import KeyHistory


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken law, the calls that show it, and how."""

    law: str
    key: str
    calls: tuple[int, ...]
    words: str

    def __str__(self) -> str:
        numbers = ", ".join(f"#{number}" for number in self.calls)
        return f"{self.law}: {self.key!r}: {self.words} ({numbers})"


def check(history: History, laws: Sequence[Law] = LAWS) -> list[Violation]:
    """Every violation, in the order of keys and laws."""
    found: list[Violation] = []
    for key in history.keys:
        one = KeyHistory(history, key)
        for law in laws:
            found += [
                Violation(law.__name__, key, tuple(call.number for call in breach.calls), breach.words)
                for breach in law(one)
            ]
    return found
