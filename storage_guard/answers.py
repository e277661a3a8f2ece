"""What a driver's signal means: to `outcome`, and to who waits."""

from __future__ import annotations

from storage_guard import signals
from storage_guard.outcome import Answer


def answer_for(signal: signals.Signal) -> Answer:
    """What a signal means to `outcome`. What is none of the known ones may have acted."""
    match signal:
        case signals.Exists():
            return Answer.EXISTS_SOLE if signal.sole else Answer.EXISTS
        case signals.Gone():
            return Answer.GONE_SOLE if signal.sole else Answer.GONE
        case signals.Conflict():
            return Answer.CONFLICT if signal.restart else Answer.BUSY
        case signals.Busy():
            return Answer.BUSY
        case signals.Unsynced():
            return Answer.UNSYNCED
        case signals.Broken():
            return Answer.BROKEN
        case signals.Damaged():
            return Answer.DAMAGED
        case signals.Definite():
            return Answer.REFUSED
        case _:
            return Answer.LOST


def asked_s(signal: signals.Signal) -> float:
    """How long the store asked us to wait."""
    return signal.retry_after_s if isinstance(signal, signals.Busy) else 0.0
