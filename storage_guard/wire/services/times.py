"""Times as services write them, and what follows from them. Pure, but for `utc_now`."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from storage_guard.wire.services.message import Answer

MOST_WAIT_S = 3600.0


def utc_now() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


def instant(text: str) -> datetime:
    """A time in a document. Raises ValueError."""
    return _aware(datetime.fromisoformat(text))


@lru_cache(maxsize=64)  # of many answers within one second
def http_time(text: str | None) -> datetime | None:
    """A time in a header; None if it is none."""
    try:
        return _aware(parsedate_to_datetime(text)) if text else None
    except (ValueError, TypeError):
        return None


def any_time(text: str | None) -> datetime | None:
    """A time in either notation; None if it is none."""
    try:
        return instant(text) if text else None
    except ValueError:
        return http_time(text)


def _aware(found: datetime) -> datetime:
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def retry_after_s(answer: Answer) -> float:
    """The seconds for which an answer asks not to be asked again, up to `MOST_WAIT_S`; 0 if it says nothing of it."""
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MOST_WAIT_S)
    until = any_time(text)
    if until is None:
        return 0.0
    now = any_time(answer.headers.get("date")) or answer.asked_at
    return min(max((until - now).total_seconds(), 0.0), MOST_WAIT_S)


def clocks_differ(theirs: datetime | None, ours: datetime) -> str:
    """By how much, for people. `theirs`: None where the service does not tell it."""
    if theirs is None:
        return "the clock of this machine is more than 15 minutes off"
    behind_s = round((theirs - ours).total_seconds())
    return f"the clock of this machine is {abs(behind_s)} s {'behind' if behind_s > 0 else 'ahead'}"
