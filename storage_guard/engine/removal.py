"""Removing the object that was meant, and no later one: `Store.remove`."""

from __future__ import annotations

from storage_guard import signals
from storage_guard.access import Access
from storage_guard.answers import asked_s
from storage_guard.errors import ObjectNotFound, OutcomeUnknown
from storage_guard.translate import as_error


def remove(access: Access, key: str, etag: str | None, *, deadline_s: float) -> None:
    """The object is pinned by its etag from the first look on: a lost answer must not lead to the removal of what
    another writer has created since."""
    full_key = access.full(key)
    patience = access.patience(deadline_s)
    if etag is None:
        sentence = f"{key!r} could not be looked up"
        seen = access.patiently(lambda: access.driver.head(full_key), sentence, key=key, patience=patience)
        if seen is None:
            raise ObjectNotFound(f"{key!r} is not in {access.url}", key=key)
        etag = seen.etag
        patience.progress()
    lost: signals.Lost | None = None
    while True:
        try:
            if lost is not None:
                left = access.driver.head(full_key)
                if left is None or left.etag != etag:
                    return  # what was meant is no longer there
            access.driver.remove(full_key, etag)
            return
        except (signals.Absent, signals.Changed) as signal:
            if lost is not None:
                return
            raise as_error(signal, f"{key!r} was not removed from {access.url}", key=key) from signal
        except signals.Signal as signal:
            trouble = signal
        if isinstance(trouble, signals.Lost):
            lost = trouble
        if isinstance(trouble, signals.Busy | signals.Lost) and patience.wait(asked_s(trouble)):
            continue
        if lost is None:
            raise as_error(trouble, f"{key!r} was not removed from {access.url}", key=key) from trouble
        raise OutcomeUnknown(
            f"{key!r} may have been removed from {access.url}, now or later; head(key) tells: {trouble}", key=key
        ) from trouble
