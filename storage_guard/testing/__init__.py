"""How a backend proves itself, and how a program's own tests meet a store that fails.

`DriverContract` is every promise of `storage_guard.driver` as a test class; `faulty` puts honest faults around a
driver; `race` and `race_processes` let contenders go at one moment; `FakeClock` makes time an argument;
`HistoryContract` lets clients do everything at the same time, and judges what they were told. Only `DriverContract`
needs pytest: `pip install 'storage-guard[testing]'`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from storage_guard.testing.bodies import BytesBody, FailingBody, MeddlingBody
from storage_guard.testing.clock import FakeClock
from storage_guard.testing.faults import (
    BUSY,
    CONFLICT,
    CONFLICT_RESTART,
    CUT,
    GONE,
    LATE,
    LOST_AFTER,
    LOST_BEFORE,
    REFUSED,
    TWICE,
    Fault,
    FaultyDriver,
    Member,
    Request,
    answers,
    faulty,
)
from storage_guard.testing.histories import (
    HistoryBrokenError,
    HistoryContract,
    Mix,
    run_histories,
    run_in_processes,
)
from storage_guard.testing.races import RemoteError, race, race_processes, winners
from storage_guard.testing.submitting import SubmittingDriver

if TYPE_CHECKING:
    from storage_guard.testing.contract import DriverContract

__all__ = [
    "BUSY",
    "CONFLICT",
    "CONFLICT_RESTART",
    "CUT",
    "GONE",
    "LATE",
    "LOST_AFTER",
    "LOST_BEFORE",
    "REFUSED",
    "TWICE",
    "BytesBody",
    "DriverContract",
    "FailingBody",
    "FakeClock",
    "Fault",
    "FaultyDriver",
    "HistoryBrokenError",
    "HistoryContract",
    "MeddlingBody",
    "Member",
    "Mix",
    "RemoteError",
    "Request",
    "SubmittingDriver",
    "answers",
    "faulty",
    "race",
    "race_processes",
    "run_histories",
    "run_in_processes",
    "winners",
]

_CONTRACT = "storage_guard.testing.contract"


def __getattr__(name: str) -> object:
    if name != "DriverContract":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        import pytest  # noqa: PLC0415 - only the contract needs it
    except ModuleNotFoundError:
        raise ImportError("DriverContract needs pytest: pip install 'storage-guard[testing]'") from None
    if _CONTRACT not in sys.modules:
        pytest.register_assert_rewrite(_CONTRACT)
    from storage_guard.testing.contract import DriverContract  # noqa: PLC0415

    return DriverContract
