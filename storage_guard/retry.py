"""How long to wait before asking again: pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter, which spreads a herd of clients best.

    The wait before the n-th repetition (n from 1) is `chance * min(cap_s, base_s * 2**(n-1))`, and never less than
    what the store asked for. `chance` is a number in [0, 1).
    """

    base_s: float = 0.1
    cap_s: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.base_s <= self.cap_s:
            raise ValueError(f"want 0 < base_s <= cap_s, got base_s={self.base_s}, cap_s={self.cap_s}")

    def wait_s(self, repetition: int, chance: float, asked_s: float = 0.0) -> float:
        """Seconds to wait before the `repetition`-th repetition (from 1)."""
        # 2**40 s is far past any cap; the bound keeps a long fight from overflowing a float.
        ceiling = min(self.cap_s, self.base_s * 2.0 ** min(repetition - 1, 40))
        return max(asked_s, chance * ceiling)
