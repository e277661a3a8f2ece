"""Numbers that a caller gives, looked at where they come in: later they would fail in words about something else."""

from __future__ import annotations


def check_whole(name: str, given: object, *, least: int) -> None:
    """Raises TypeError for what is no int, a bool included, and ValueError for one below `least`."""
    if not isinstance(given, int) or isinstance(given, bool):
        raise TypeError(f"{name} is an int, not {type(given).__name__}")
    if given < least:
        raise ValueError(f"{name} must be at least {least}, got {given}")


def check_seconds(name: str, given: object) -> None:
    """Raises TypeError for what is no number, a bool included, and ValueError for a negative one or NaN."""
    if not isinstance(given, int | float) or isinstance(given, bool):
        raise TypeError(f"{name} is a number of seconds, not {type(given).__name__}")
    if not given >= 0:
        raise ValueError(f"{name} must not be negative, got {given}")
