"""A driver with a prefix and patience: what every operation of a Store goes through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from storage_guard import log, names, signals
from storage_guard.answers import asked_s
from storage_guard.clock import Clock
from storage_guard.driver import Driver
from storage_guard.model import ObjectInfo
from storage_guard.retry import Patience, RetryPolicy
from storage_guard.translate import as_error

_T = TypeVar("_T")
DEADLINE_S = 300.0


@dataclass(frozen=True)
class Access:
    """`prefix` is empty or ends with a slash; keys of users are relative to it, keys of the driver are whole."""

    driver: Driver
    prefix: str
    clock: Clock
    retry: RetryPolicy
    url: str
    deadline_s: float = DEADLINE_S

    def full(self, key: str) -> str:
        """The driver's key for a user's. Raises InvalidKey."""
        names.check_key(key, max_bytes=self.driver.limits.max_key_bytes, taken_bytes=len(self.prefix.encode()))
        return self.prefix + key

    def relative(self, info: ObjectInfo) -> ObjectInfo:
        return replace(info, key=info.key.removeprefix(self.prefix))

    def patience(self, deadline_s: float | None = None) -> Patience:
        """None: the Store's own."""
        return Patience(self.clock, self.retry, self.within(deadline_s))

    def within(self, deadline_s: float | None) -> float:
        return self.deadline_s if deadline_s is None else deadline_s

    def patiently(
        self, question: Callable[[], _T], sentence: str, *, key: str | None = None, patience: Patience | None = None
    ) -> _T:
        """Ask what changes nothing until there is an answer or no more time. `sentence` begins the error's message."""
        patience = patience or self.patience()
        while True:
            try:
                return question()
            except signals.Signal as signal:
                again = isinstance(signal, signals.Busy | signals.Lost)
                if again:
                    log.troubled(
                        self.url if key is None else self.driver.location.url(self.prefix + key), "ask", signal
                    )
                if not (again and patience.wait(asked_s(signal))):
                    raise as_error(signal, f"{sentence} ({self.url})", key=key) from signal
