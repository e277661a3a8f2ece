"""What the tests of histories have in common."""

from __future__ import annotations

from collections.abc import Callable

from storage_guard.driver import Driver, Limits
from storage_guard.memory import MemoryDriver
from storage_guard.testing import Mix
from storage_guard.testing.histories import check, draw, play

# What has more than one part is copied in parts, too: a fifth of what one request takes is less than that.
LIMITS = Limits(max_put_bytes=320, min_part_bytes=64, max_part_bytes=1 << 20, max_parts=100, max_object_bytes=1 << 30)


def memory() -> Callable[[], Driver]:
    return MemoryDriver(limits=LIMITS).client


def breaks(make_driver: Callable[[], Driver], histories: int, laws: set[str], mix: Mix | None = None) -> bool:
    """Whether one of the histories breaks one of the laws."""
    probe = make_driver()
    part_bytes = max(64, probe.limits.min_part_bytes)
    for seed in range(histories):
        played = play(draw(seed, mix or Mix(), part_bytes), make_driver, fresh_listings=True)
        if laws & {violation.law for violation in check(played.history)}:
            return True
    return False
