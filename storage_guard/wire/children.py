"""What a child of the process gets from its parent by a fork: locks that nobody there will let go of, connections that
the parent talks on, threads that are not there."""

from __future__ import annotations

import os
import weakref
from abc import abstractmethod
from typing import Protocol


class Owner(Protocol):
    """Who holds such."""

    @abstractmethod
    def after_fork(self) -> None:
        """Called in the child, which has this thread alone: begin anew. Does not raise."""
        ...


_owners = weakref.WeakSet[Owner]()


def register(owner: Owner) -> None:
    """From now on, `owner.after_fork` is called in every child. It is not kept alive by this."""
    _owners.add(owner)


def _after_fork() -> None:
    for owner in list(_owners):
        owner.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
