"""A create whose one request is sent on its way, so that no thread waits for its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

from storage_guard import outcome
from storage_guard.driver import Outcome, Reply
from storage_guard.engine import writing
from storage_guard.engine.creation import Creation
from storage_guard.engine.policy import Policy, Wanted
from storage_guard.engine.source import BytesSource
from storage_guard.model import Receipt, WriteMeta
from storage_guard.outcome import Write
from storage_guard.retry import Patience

MOST_BYTES = 256 * 1024
"""What is larger takes so long that a thread for it costs nothing."""

Submit = Callable[[str, bytes, WriteMeta, Reply], None]
"""`Submitting.submit_new`."""


def is_small(data: object) -> TypeGuard[bytes | bytearray | memoryview]:
    """Whether it is bytes, and not many."""
    if isinstance(data, memoryview):
        return data.nbytes <= MOST_BYTES
    return isinstance(data, bytes | bytearray) and len(data) <= MOST_BYTES


class SubmittedCreation:
    """`submit`, then `take` what came of it; where that is no receipt yet, `go_on`, in any thread."""

    __slots__ = ("_creation", "_data", "_sent_s", "_write", "wanted")

    def __init__(self, wanted: Wanted, data: bytes, creation: Creation, write: Write) -> None:
        self.wanted = wanted
        self._data = data
        self._creation = creation
        self._write = write
        self._sent_s = 0.0

    def submit(self, put: Submit, reply: Reply) -> None:
        """Raises a signal if nothing is sent."""
        creation = self._creation
        creation.write = self._write
        creation.attempts += 1
        self._sent_s = creation.target.clock.now_s()
        put(creation.target.full_key, self._data, creation.meta, reply)

    def take(self, outcome_of: Outcome) -> Receipt | None:
        """What came of it: None if more has to be asked. Raises the verdict."""
        creation = self._creation
        with creation.interruptible():
            answer = creation.send(lambda: creation.published(outcome_of()), self._sent_s)
            self._write = outcome.step(self._write, answer)
            if self._write.decided:
                return creation.end(self._write)
            creation.write = self._write
        return None

    def go_on(self) -> Receipt:
        """To the verdict."""
        return self._creation.create(self._write)


def submitted(
    policy: Policy,
    wanted: Wanted,
    data: bytes | bytearray | memoryview,
    *,
    patience: Patience,
    throttled: Callable[[float], None],
) -> SubmittedCreation | None:
    """None for what is not sent in one request. Raises what `Store.create` raises before it sends."""
    data = bytes(data)
    can = policy.known(patience)
    creation, write = writing.prepared(
        policy,
        wanted,
        BytesSource(data),
        can,
        policy.vouch("put", can, wanted),
        patience=patience,
        throttled=throttled,
    )
    return None if write.multipart else SubmittedCreation(wanted, data, creation, write)
