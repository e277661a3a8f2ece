"""Which way an exchange takes: a connection of the caller's own, or the loop that many share."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from storage_guard.body import BytesBody
from storage_guard.driver import WINDOW_BYTES
from storage_guard.testing.races import race
from storage_guard.wire.messages import Answer, Request
from storage_guard.wire.multi import Loop
from storage_guard.wire.pending import Pending
from storage_guard.wire.services import message
from storage_guard.wire.services.carrying import Carrier
from storage_guard.wire.settings import Settings
from storage_guard.wire.transport import Transport

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SMALL = Request("PUT", "http://service/small", {}, BytesBody(b"small"))


class Ways:
    """Notes who was asked for what; an exchange of its own is held up until `let_go`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.alone: list[Request] = []
        self.shared: list[Request] = []
        self.begun = threading.Semaphore(0)
        self.let_go = threading.Event()

        def exchange(_: object, request: Request) -> Answer:
            self.alone.append(request)
            self.begun.release()
            assert self.let_go.wait(30)
            return Answer(200, {}, b"")

        def submit(_: object, request: Request) -> Pending:
            self.shared.append(request)
            pending = Pending(request, None)
            pending.settle(Answer(200, {}, b""))
            return pending

        patch.setattr(Transport, "exchange", exchange)
        patch.setattr(Loop, "submit", submit)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ways]:
    ways = Ways(monkeypatch)
    yield ways
    ways.let_go.set()


def in_a_crowd(ways: Ways, request: Request, *, crowd: int = 5, in_main: bool = False) -> None:
    """Carries a request, in a thread or in the main one, while `crowd` others are under way."""
    carrier = Carrier(Settings(), message.Answer, ())
    large = Request("PUT", "http://service/large", {}, BytesBody(bytes(WINDOW_BYTES + 1)))
    others = [threading.Thread(target=carrier.exchange, args=(large, NOW)) for _ in range(crowd)]
    for each in others:
        each.start()
        assert ways.begun.acquire(timeout=30)
    ways.alone.clear()
    threading.Timer(0.05, ways.let_go.set).start()
    carry = functools.partial(carrier.exchange, request, NOW)
    (found,) = [carry()] if in_main else race([carry])
    assert isinstance(found, message.Answer)
    for each in others:
        each.join(30)


def test_in_a_crowd_of_threads_what_is_small_goes_over_the_loop_as_bytes(ways: Ways) -> None:
    in_a_crowd(ways, SMALL)
    assert ([each.body for each in ways.shared], ways.alone) == ([b"small"], [])


def test_without_a_crowd_each_thread_carries_its_own(ways: Ways) -> None:
    in_a_crowd(ways, SMALL, crowd=4)
    assert (ways.shared, ways.alone) == ([], [SMALL])


@pytest.mark.parametrize(
    "request_",
    [
        Request("PUT", "http://service/large", {}, BytesBody(bytes(WINDOW_BYTES + 1))),
        Request("GET", "http://service/read", {}),
    ],
    ids=["large", "read"],
)
def test_what_may_be_large_is_carried_by_its_thread(ways: Ways, request_: Request) -> None:
    in_a_crowd(ways, request_)
    assert (ways.shared, ways.alone) == ([], [request_])


def test_the_main_thread_which_ctrl_c_reaches_carries_its_own(ways: Ways) -> None:
    in_a_crowd(ways, SMALL, in_main=True)
    assert (ways.shared, ways.alone) == ([], [SMALL])


def test_a_loop_that_is_full_is_not_waited_for(ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Loop, "has_room", False)
    in_a_crowd(ways, SMALL)
    assert (ways.shared, ways.alone) == ([], [SMALL])


def test_a_loop_that_was_closed_meanwhile_is_done_without(ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: object, request: Request) -> Pending:
        raise RuntimeError(f"the loop is closed, and {request} came too late")

    monkeypatch.setattr(Loop, "submit", closed)
    in_a_crowd(ways, SMALL)
    assert [each.body for each in ways.alone] == [b"small"]
