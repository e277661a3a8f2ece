"""An answer that somebody else is waiting for, or not yet."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from storage_guard.driver import Lost, Signal
from storage_guard.wire.messages import Answer, Request

_logger = logging.getLogger("storage_guard.wire")


class Pending:
    """Any thread may wait for it."""

    # A future of the standard library costs more than the request.
    __slots__ = ("_lock", "_outcome", "_then", "goes_out", "request", "started_s")

    def __init__(
        self,
        request: Request,
        then: Callable[[Pending], object] | None,
        goes_out: Callable[[], bool] | None = None,
    ) -> None:
        self.request = request
        self.goes_out = goes_out
        self.started_s = 0.0
        self._then = then
        self._outcome: Answer | Signal | None = None
        self._lock = threading.Lock()
        self._lock.acquire()

    @property
    def done(self) -> bool:
        return self._outcome is not None

    def result(self, timeout_s: float | None = None) -> Answer:
        """Waits, for ever if `timeout_s` is None. Raises `Busy`, `Refused`, `Lost`, and TimeoutError when the time is
        over; then, as after KeyboardInterrupt, the request is still on its way."""
        if self._outcome is None:
            if not self._lock.acquire(timeout=-1 if timeout_s is None else max(timeout_s, 0.0)):
                raise TimeoutError(f"no answer in {timeout_s} s")
            self._lock.release()  # for whoever else is waiting
        outcome = self._outcome
        if isinstance(outcome, Answer):
            return outcome
        raise Lost("the answer was not kept") if outcome is None else outcome

    def settle(self, outcome: Answer | Signal) -> None:
        """For whoever carries the request: once."""
        self.abandon(outcome)
        if self._then is not None:
            try:
                self._then(self)
            except Exception:
                # The requests of others are under way in this thread.
                _logger.exception("what was to be done with the answer of %r failed", self.request)

    def abandon(self, outcome: Signal | Answer) -> None:
        """The same, but `then` is not called: in a child, who submitted is the parent."""
        self._outcome = outcome
        self._lock.release()
