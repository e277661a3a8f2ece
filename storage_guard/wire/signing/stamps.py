"""A time as it stands in a signature."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

# Not strftime, which speaks the language of the machine.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def basic_stamp(at: datetime) -> str:
    """As in "20261122T113518Z": UTC, whole seconds, rounded down. Raises ValueError for a time without a zone."""
    return _basic(epoch_s(at))


def http_date(at: datetime) -> str:
    """As in "Sun, 22 Nov 2026 11:35:18 GMT", rounded down. Raises ValueError for a time without a zone."""
    return _http(epoch_s(at))


def epoch_s(at: datetime) -> int:
    """Seconds since 1970, rounded down. Raises ValueError for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError(f"a time to sign needs a zone: {at!r}")
    return int(at.timestamp() // 1)


@lru_cache(maxsize=16)
def _basic(second: int) -> str:
    at = datetime.fromtimestamp(second, UTC)
    return f"{at.year:04}{at.month:02}{at.day:02}T{at.hour:02}{at.minute:02}{at.second:02}Z"


@lru_cache(maxsize=16)
def _http(second: int) -> str:
    at = datetime.fromtimestamp(second, UTC)
    day = f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04}"
    return f"{day} {at.hour:02}:{at.minute:02}:{at.second:02} GMT"
