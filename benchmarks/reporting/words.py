"""Figures in words. Pure."""

from __future__ import annotations


def size(mib: float) -> str:
    """Of an object."""
    return f"{mib / 1024:g} GiB" if mib >= 1024 and mib % 512 == 0 else f"{mib:g} MiB"


def figure(value: float) -> str:
    """Three digits that count, and none of a power."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 0.01 else f"{value:.2g}"


def gap(share: float) -> str:
    """By how much something is more or less than it should be."""
    percent = round(share * 100)
    return f"{percent:+d}%" if percent else "0%"


def growth(mib: float) -> str:
    """Of memory: what is less than a tenth of a MiB is nothing."""
    return f"{figure(mib)} MiB" if mib >= 0.1 else "under 0.1 MiB"
