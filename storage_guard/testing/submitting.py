"""A driver's `submit_new` in the place of its `put_new`, so that every promise of the one is asked of the other."""

from __future__ import annotations

import queue

from storage_guard.driver import Body, Driver, ObjectInfo, Outcome, Refused, Reply, Submitting, WriteMeta, submits
from storage_guard.testing.faults import FaultyDriver


class SubmittingDriver(FaultyDriver):
    """Puts are submitted to `inner`, flushed, and waited for.

        class TestSubmitted(DriverContract):
            @pytest.fixture
            def make_driver(self, ...):
                return lambda: SubmittingDriver(MyDriver(...))

    Raises TypeError for a driver that is not `Submitting`.
    """

    def __init__(self, inner: Driver) -> None:
        super().__init__(inner)
        if not submits(inner):
            raise TypeError(f"{type(inner).__name__} has no submit_new and flush")
        self._submitting: Submitting = inner

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        data = b"".join(bytes(window) for window in body.windows())
        if len(data) != body.size_bytes:
            raise Refused(f"the body has {len(data)} bytes, not {body.size_bytes}", why="request")
        answered: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._submitting.submit_new(key, data, meta, Reply(lambda _, outcome: answered.put(outcome)))
        self._submitting.flush()
        return answered.get()()
