"""Handles that a process got from its parent by a fork: kept as they are, for ever.

To close one would say goodbye on a TLS connection that the parent is still talking on, and libcurl knows no other way
to let go. So they outlive even the interpreter's end.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import weakref
from abc import abstractmethod
from typing import Protocol


class Owner(Protocol):
    """Who holds handles."""

    @abstractmethod
    def after_fork(self) -> object:
        """Called in the child, which has this thread alone: begin anew, and return what held the parent's handles."""
        ...


_owners = weakref.WeakSet[Owner]()


def register(owner: Owner) -> None:
    """From now on, `owner.after_fork` is called in every child. It is not kept alive by this."""
    _owners.add(owner)


def _after_fork() -> None:
    for owner in list(_owners):
        with contextlib.suppress(Exception):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner.after_fork()))


os.register_at_fork(after_in_child=_after_fork)
