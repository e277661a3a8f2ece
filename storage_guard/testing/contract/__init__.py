"""Every promise of `storage_guard.driver`, as tests that any backend runs.

    class TestMine(DriverContract):
        @pytest.fixture
        def make_driver(self, tmp_path):
            return lambda: MyDriver(tmp_path)  # each call: one more client of the same fresh, empty store

One upload is used by one client throughout, because a store may keep uploads private to it.
"""

from __future__ import annotations

from storage_guard.testing.contract.copies import CopyLaws, CopyPartLaws
from storage_guard.testing.contract.departures import Departures
from storage_guard.testing.contract.keys import KeyLaws
from storage_guard.testing.contract.multipart import AbortLaws, FinishLaws, PartLaws
from storage_guard.testing.contract.puts import PutLaws, WholeLaws
from storage_guard.testing.contract.races import RaceLaws
from storage_guard.testing.contract.reads import ReadLaws, RemovalLaws, StoreLaws
from storage_guard.testing.contract.scans import ScanLaws

__all__ = ["DriverContract"]


class DriverContract(
    PutLaws,
    WholeLaws,
    FinishLaws,
    AbortLaws,
    PartLaws,
    CopyLaws,
    CopyPartLaws,
    ReadLaws,
    StoreLaws,
    RemovalLaws,
    ScanLaws,
    KeyLaws,
    RaceLaws,
    Departures,
):
    """Subclass it, with a fixture `make_driver`, and `departures` where your backend differs."""


DriverContract.declare()
