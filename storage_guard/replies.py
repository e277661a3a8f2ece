"""Where the answer to a request goes that nobody waits for in a thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NoReturn

from storage_guard.model import ObjectInfo
from storage_guard.signals import Busy, Signal

Outcome = Callable[[], ObjectInfo]
"""Called once, by whoever wants to know: returns what `put_new` would return, or raises what it would raise."""


def outcome_of(put: Callable[[], ObjectInfo]) -> Outcome:
    """Does it now: what came of it, for whoever asks later."""
    try:
        info = put()
    except Signal as exc:
        return partial(_raise, exc)
    return lambda: info


def _raise(signal: Signal) -> NoReturn:
    raise signal


def _not_sent() -> ObjectInfo:
    raise Busy("it was called off before it was sent")


class Reply:
    """Of one request. Any thread may call it.

    Whether a request was sent is never in doubt, wherever Ctrl-C strikes: who is about to send it says so before it
    looks whether it was called off, and who calls it off says so before it looks whether it goes out.
    """

    __slots__ = ("_called_off", "_goes_out", "_then")

    def __init__(self, then: Callable[[Reply, Outcome], object]) -> None:
        """`then` takes the outcome, in whatever thread has it, and neither waits nor raises."""
        self._then = then
        self._goes_out = False
        self._called_off = False

    def goes_out(self) -> bool:
        """For the driver, at the last moment before the first byte is sent. False: it must not be sent any more, and
        nothing more is to be done about it."""
        self._goes_out = True
        if self._called_off:
            self.give(_not_sent)
            return False
        return True

    def give(self, outcome: Outcome) -> None:
        """For the driver, once: what came of it."""
        self._then(self, outcome)

    def call_off(self) -> Outcome | None:
        """For who waits: what comes of a request that is not sent any more, or None if it goes out, and an answer is
        given."""
        self._called_off = True
        return None if self._goes_out else _not_sent
