"""The reference driver keeps every promise, whether it refuses a taken key at begin or only at finish."""

from __future__ import annotations

import pytest

from storage_guard.memory import MemoryDriver
from storage_guard.model import KiB, Limits, MiB
from storage_guard.testing import DriverContract
from storage_guard.testing.contract.base import MakeDriver

# Small, so that every limit is tried.
LIMITS = Limits(max_put_bytes=MiB, min_part_bytes=64 * KiB, max_part_bytes=MiB, max_parts=12, max_object_bytes=8 * MiB)


def _clients(limits: Limits, *, refuse_at_begin: bool) -> MakeDriver:
    return MemoryDriver(limits=limits, refuse_at_begin=refuse_at_begin).client


class TestRefusingAtBegin(DriverContract):
    @pytest.fixture
    def make_driver(self) -> MakeDriver:
        return _clients(LIMITS, refuse_at_begin=True)


class TestRefusingAtFinish(DriverContract):
    @pytest.fixture
    def make_driver(self) -> MakeDriver:
        return _clients(LIMITS, refuse_at_begin=False)


class TestEqualParts(DriverContract):
    race_rounds = 20  # it publishes like the two above

    @pytest.fixture
    def make_driver(self) -> MakeDriver:
        limits = Limits(MiB, 64 * KiB, MiB, max_parts=12, max_object_bytes=8 * MiB, equal_parts=True)
        return _clients(limits, refuse_at_begin=False)
