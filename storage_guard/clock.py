"""Time and chance as arguments, so that a test can own both."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds, sleeping, and a number in [0, 1)."""

    def now_s(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...
    def chance(self) -> float: ...


class SystemClock:
    """The real ones. Holds no state, so it pickles and is shared freely."""

    def now_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, /) -> None:
        time.sleep(seconds)  # noqa: TID251 - the one place that sleeps

    def chance(self) -> float:
        import random  # noqa: PLC0415 - drags hashlib in, and few writes are ever repeated

        return random.random()  # noqa: S311 - spreads retries, guards nothing
