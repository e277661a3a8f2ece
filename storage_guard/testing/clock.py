"""Time that a test owns."""

from __future__ import annotations

import threading
from collections.abc import Iterable


class FakeClock:
    """A `storage_guard.clock.Clock` on which sleeping takes no time: it moves the clock and is written down.

    `chance` is one number for ever, or a script of them; a script that runs out is an error, so that a test cannot
    go on with chances it never named. Thread-safe.
    """

    def __init__(self, *, start_s: float = 0.0, chance: float | Iterable[float] = 0.5) -> None:
        self._lock = threading.Lock()
        self._now_s = start_s
        self._sleeps: list[float] = []
        self._constant = chance if isinstance(chance, int | float) else None
        self._script = iter(()) if isinstance(chance, int | float) else iter(chance)

    def now_s(self) -> float:
        with self._lock:
            return self._now_s

    def sleep(self, seconds: float, /) -> None:
        if seconds < 0:
            raise ValueError(f"cannot sleep for {seconds} s")
        with self._lock:
            self._now_s += seconds
            self._sleeps.append(seconds)

    def chance(self) -> float:
        with self._lock:
            number = self._constant if self._constant is not None else next(self._script, None)
        if number is None:
            raise AssertionError("chance was asked for more often than the test has scripted")
        return number

    def advance(self, seconds: float) -> None:
        """Let time pass without anybody sleeping."""
        with self._lock:
            self._now_s += seconds

    @property
    def sleeps(self) -> list[float]:
        """Every sleep so far, in order."""
        with self._lock:
            return list(self._sleeps)
