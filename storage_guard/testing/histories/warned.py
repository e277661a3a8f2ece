"""Warnings as something that the client is told who caused them, though its neighbours cause some at the same time."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import TextIO

from storage_guard import GuaranteeWarning

# Of an examination, what it could not clean up; of a close, what is in doubt; of a file, that nobody closed it.
_KINDS = (GuaranteeWarning, RuntimeWarning, ResourceWarning)


class _Ears(threading.local):
    """What each thread has heard so far, where it listens."""

    notes: list[str] | None = None


_ears = _Ears()


@contextmanager
def heard() -> Generator[list[str]]:
    """The warnings of this thread, as long as somebody is `listening`."""
    _ears.notes = []
    try:
        yield _ears.notes
    finally:
        _ears.notes = None


@contextmanager
def listening() -> Generator[None]:
    """Within this, warnings of threads that listen are told to them alone. Entered by one thread for all."""
    with warnings.catch_warnings():
        for kind in _KINDS:
            warnings.simplefilter("always", kind)
        others = warnings.showwarning

        def show(  # noqa: PLR0917 - as the standard library has it
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if _ears.notes is not None and issubclass(category, _KINDS):
                _ears.notes.append(str(message))
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield
