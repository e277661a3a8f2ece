"""From a driver's signals to the errors that users see."""

from __future__ import annotations

from storage_guard import errors, signals

_REFUSED: dict[signals.Why, type[errors.StorageGuardError]] = {
    "access": errors.AccessDenied,
    "key": errors.InvalidKey,
    "request": errors.NotWritten,
    "space": errors.NotWritten,
    "read-only": errors.NotWritten,
}
_KINDS: dict[type[signals.Signal], type[errors.StorageGuardError]] = {
    signals.Absent: errors.ObjectNotFound,
    signals.Changed: errors.ObjectChanged,
    signals.Corrupt: errors.ChecksumMismatch,
    signals.Unsupported: errors.Unsupported,
    signals.Unguarded: errors.GuaranteeMissing,
    signals.Broken: errors.GuaranteeBroken,
    signals.Damaged: errors.ObjectDamaged,
}


def as_error(signal: signals.Signal, sentence: str, *, key: str | None) -> errors.StorageGuardError:
    """The error for a signal; `sentence` says what is true now, and the signal's own words follow it."""
    if isinstance(signal, signals.Refused):
        kind = _REFUSED[signal.why]
    else:
        kind = _KINDS.get(type(signal), errors.StoreUnavailable)
    error = kind(f"{sentence}: {signal}", key=key, status=signal.status, code=signal.code, request_id=signal.request_id)
    if isinstance(signal, signals.Broken) and isinstance(error, errors.GuaranteeBroken):
        error.version_id = signal.version_id
    error.__cause__ = signal
    return error
