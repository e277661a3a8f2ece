"""Histories: clients that do what a Store offers, at the same time, while everything goes wrong; and the laws that what
they are told must keep.

`script` draws what is done, `run` and `processes` play it, `history` is what was told, `laws` and `checker` judge it,
`shrink` makes it short, and `suite` does all of that.
"""

from __future__ import annotations

from storage_guard.testing.histories.checker import Violation, check
from storage_guard.testing.histories.history import Act, Arrival, Asked, Call, History, LeftUpload, Seen, Told, Touch
from storage_guard.testing.histories.laws import LAWS, Law
from storage_guard.testing.histories.run import Played, play
from storage_guard.testing.histories.script import Mix, Script, Step, Turn, draw
from storage_guard.testing.histories.shrink import length, show, shrink
from storage_guard.testing.histories.suite import (
    HistoryBrokenError,
    HistoryContract,
    Ran,
    run_histories,
    run_in_processes,
)

__all__ = [
    "LAWS",
    "Act",
    "Arrival",
    "Asked",
    "Call",
    "History",
    "HistoryBrokenError",
    "HistoryContract",
    "Law",
    "LeftUpload",
    "Mix",
    "Played",
    "Ran",
    "Script",
    "Seen",
    "Step",
    "Told",
    "Touch",
    "Turn",
    "Violation",
    "check",
    "draw",
    "length",
    "play",
    "run_histories",
    "run_in_processes",
    "show",
    "shrink",
]
