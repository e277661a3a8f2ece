"""Times as headers, documents and signatures have them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache


def http_date(time: datetime) -> str:
    """As in "Tue, 20 Dec 2022 08:48:18 GMT"."""
    return _http_date(int(time.timestamp()))


@lru_cache(maxsize=64)
def _http_date(epoch_s: int) -> str:
    return format_datetime(datetime.fromtimestamp(epoch_s, UTC), usegmt=True)


@lru_cache(maxsize=16)
def http_time(text: str) -> datetime | None:
    """What `http_date` writes; None if it is no time."""
    try:
        time = parsedate_to_datetime(text)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def iso_date(time: datetime) -> str:
    """As in "2022-12-20T08:48:18.000Z"."""
    return f"{time:%Y-%m-%dT%H:%M:%S}.000Z"


@lru_cache(maxsize=16)
def basic_time(text: str) -> datetime | None:
    """A time as in "20221220T084818Z"; None if it is none."""
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
