"""Which faults each member of a driver may meet, by name, so that a script can be printed and replayed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TypeVar

from storage_guard.driver import Broken, Signal, Unsynced
from storage_guard.testing import faults
from storage_guard.testing.faults import Fault, Member, Request

T = TypeVar("T")


class _Interrupt(Fault):
    """Ctrl-C while the answer is waited for: the store may have acted."""

    def __init__(self, *, acts: bool) -> None:
        self._acts = acts

    def strike(self, request: Request[T], /) -> T:
        if self._acts:
            with contextlib.suppress(Signal):
                request.act()
        raise KeyboardInterrupt


TROUBLES: Mapping[str, Fault] = {
    "LOST_AFTER": faults.LOST_AFTER,
    "LOST_BEFORE": faults.LOST_BEFORE,
    "LATE": faults.LATE,
    "CUT": faults.CUT,
    "TWICE": faults.TWICE,
    "GONE": faults.GONE,
    "BUSY": faults.BUSY,
    "CONFLICT": faults.CONFLICT,
    "CONFLICT_RESTART": faults.CONFLICT_RESTART,
    "REFUSED": faults.REFUSED,
    "UNSYNCED": faults.answers(lambda: Unsynced("published, and its folder was not synced")),
    "BROKEN": faults.answers(lambda: Broken("written without the condition")),
    "INTERRUPT_BEFORE": _Interrupt(acts=False),
    "INTERRUPT_AFTER": _Interrupt(acts=True),
}

_LOSSES = ("LOST_AFTER", "LOST_AFTER", "LOST_BEFORE", "LATE", "LATE", "BUSY", "INTERRUPT_AFTER", "INTERRUPT_BEFORE")
_ASKING = ("LOST_BEFORE", "LOST_BEFORE", "LOST_BEFORE", "BUSY", "REFUSED", "INTERRUPT_BEFORE")
_WRITING = (*_LOSSES, *_LOSSES, "CUT", "TWICE", "TWICE", "CONFLICT", "REFUSED", "UNSYNCED", "BROKEN")

SUITED: Mapping[Member, tuple[str, ...]] = {
    "capabilities": _ASKING,
    "put_new": _WRITING,
    # Not TWICE: of an upload that a proxy began behind our back nobody can report anything.
    "begin": (*_LOSSES, "REFUSED"),
    "put_part": (*_LOSSES, "CUT", "TWICE", "CONFLICT", "GONE", "REFUSED"),
    "copy_part": (*_LOSSES, "TWICE", "CONFLICT", "GONE", "REFUSED"),
    "finish_new": (*_WRITING, "GONE", "CONFLICT_RESTART", "CONFLICT_RESTART"),
    "copy_new": tuple(name for name in _WRITING if name != "CUT"),
    "abort": (*_LOSSES, "TWICE", "GONE", "REFUSED"),
    "head": _ASKING,
    "read": _ASKING,
    "scan": _ASKING,
    "remove": (*_LOSSES, "TWICE", "REFUSED"),
    "scan_uploads": _ASKING,
    "scan_parts": _ASKING,
    "presign": _ASKING,
}
"""What may go wrong, each as often as it is likely to teach something."""
