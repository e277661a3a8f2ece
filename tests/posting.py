"""Any driver as one that takes puts without a thread that waits: `Submitting`, in the plainest way there is."""

from __future__ import annotations

import threading
from typing import Any, NoReturn

import pytest

from storage_guard.body import BytesBody
from storage_guard.driver import Outcome, Reply, WriteMeta


class Posting:
    """To be mixed in."""

    def submit_new(self: Any, key: str, data: bytes, meta: WriteMeta, reply: Reply, /) -> None:
        assert isinstance(data, bytes)
        threading.Thread(target=self._carry, args=(key, data, meta, reply), name="the-post", daemon=True).start()

    def flush(self) -> None:
        """Nothing is kept back."""

    def _carry(self: Any, key: str, data: bytes, meta: WriteMeta, reply: Reply) -> None:
        if not reply.goes_out():
            return
        outcome: Outcome
        try:
            info = self.put_new(key, BytesBody(data), meta)
        except BaseException as exc:  # noqa: BLE001 - whatever it is, it is what came of it
            outcome = _Raises(exc)
        else:
            outcome = lambda: info  # noqa: E731
        reply.give(outcome)


class _Raises:
    """No closure, whose frame would be kept by the traceback."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __call__(self) -> NoReturn:
        raise self._error


def teach(monkeypatch: pytest.MonkeyPatch, *drivers: type) -> None:
    """These take puts so, until the test ends."""
    for driver in drivers:
        for name in ("submit_new", "flush", "_carry"):
            monkeypatch.setattr(driver, name, vars(Posting)[name], raising=False)
