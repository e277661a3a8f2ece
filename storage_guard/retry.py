"""How long to wait before asking again, and when to stop: arithmetic on a clock that is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from storage_guard.amounts import check_seconds
from storage_guard.clock import Clock

_LOOK_UP_S = 0.2  # how long a request that waits may not notice that all is over


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with full jitter, which spreads a herd of clients best.

    The wait before the n-th repetition (n from 1) is `chance * min(cap_s, base_s * 2**(n-1))`, and never less than
    what the store asked for. `chance` is a number in [0, 1).
    """

    base_s: float = 0.1
    cap_s: float = 10.0

    def __post_init__(self) -> None:
        check_seconds("base_s", self.base_s)
        check_seconds("cap_s", self.cap_s)
        if not 0 < self.base_s <= self.cap_s:
            raise ValueError(f"want 0 < base_s <= cap_s, got base_s={self.base_s}, cap_s={self.cap_s}")

    def wait_s(self, repetition: int, chance: float, asked_s: float = 0.0) -> float:
        """Seconds to wait before the `repetition`-th repetition (from 1)."""
        # 2**40 s is far past any cap; the bound keeps a long fight from overflowing a float.
        ceiling = min(self.cap_s, self.base_s * 2.0 ** min(repetition - 1, 40))
        return max(asked_s, chance * ceiling)


class Patience:
    """Waits between attempts until the store has made no progress for `deadline_s` seconds.

    Requests that run side by side have one each, made by `beside`: they repeat and wait for themselves, but what one
    of them achieves is progress for all.
    """

    def __init__(
        self, clock: Clock, policy: RetryPolicy, deadline_s: float, *, stopped: Callable[[], bool] | None = None
    ) -> None:
        """`stopped`: when it begins to say so, no more waits are worth while."""
        check_seconds("deadline_s", deadline_s)
        self._stopped = stopped
        self._clock = clock
        self._policy = policy
        self._deadline_s = deadline_s
        self._progress = [clock.now_s()]  # shared by all that run side by side
        self._since_s = self._progress[0]
        self._repetitions = 0

    def beside(self) -> Patience:
        """The patience of a request that begins now, beside ours."""
        other = Patience(self._clock, self._policy, self._deadline_s, stopped=self._stopped)
        other._progress = self._progress
        return other

    @property
    def over(self) -> bool:
        """Whether `stopped` says so."""
        return self._stopped is not None and self._stopped()

    def progress(self) -> None:
        """The store did something for us, or it is asked only now: the deadline begins anew."""
        self._since_s = self._progress[0] = self._clock.now_s()
        self._repetitions = 0

    def wait(self, asked_s: float = 0.0, *, stopped: Callable[[], bool] | None = None) -> bool:
        """Sleep before the next attempt; False, at once, if the deadline would be over by then.

        Also False, soon, when `stopped`, this one or that of all waits, begins to say so.
        """
        self._repetitions += 1
        wait_s = self._policy.wait_s(self._repetitions, self._clock.chance(), asked_s)
        until_s = self._clock.now_s() + wait_s
        if until_s > max(self._since_s, self._progress[0]) + self._deadline_s:
            return False
        if stopped is None and self._stopped is None:
            self._clock.sleep(wait_s)
            return True
        while not (self.over or (stopped is not None and stopped())):
            left_s = until_s - self._clock.now_s()
            if left_s <= 0:
                return True
            self._clock.sleep(min(left_s, _LOOK_UP_S))
        return False
