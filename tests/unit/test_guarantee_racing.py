"""Holding requests at their last byte: all of them together, and never for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from storage_guard.body import WINDOW_BYTES
from storage_guard.guarantee.racing import Crew, HeldBody, Holding

LONG_S = 20.0  # nobody waits so long in these tests, unless something is wrong
WRITERS = 8


def race(holding: Holding, send: Callable[[int, HeldBody], None], *, size_bytes: int = 10) -> list[Exception | None]:
    bodies = [HeldBody(bytes(size_bytes), partial(holding.come, who)) for who in range(WRITERS)]
    with Crew(WRITERS) as crew:
        return crew.race(holding, [partial(send, who, body) for who, body in enumerate(bodies)])


@pytest.mark.parametrize("size_bytes", [1, 2, WINDOW_BYTES, WINDOW_BYTES + 1, 3 * WINDOW_BYTES])
def test_a_held_body_has_all_its_bytes_each_time_and_waits_before_the_last_one(size_bytes: int) -> None:
    data = bytes(number % 251 for number in range(size_bytes))
    came: list[tuple[int, int]] = []
    sent = 0
    body = HeldBody(data, lambda stage: came.append((stage, sent)))
    for stage in (1, 2):
        sent = 0
        read = b""
        for window in body.windows():
            assert 0 < window.nbytes <= WINDOW_BYTES
            read += window
            sent = len(read)
        assert read == data
        assert came.pop() == (stage, size_bytes - 1)
    assert body.size_bytes == size_bytes


def test_no_last_byte_goes_out_before_all_are_held_at_theirs() -> None:
    held: list[int] = []
    early: list[int] = []

    def send(who: int, body: HeldBody) -> None:
        windows = body.windows()
        next(windows)
        held.append(who)
        next(windows)
        if len(held) < WRITERS:
            early.append(who)
        assert next(windows, None) is None

    holding = Holding(WRITERS, hold_s=LONG_S)
    assert race(holding, send) == [None] * WRITERS
    assert (holding.most, holding.stages, holding.gave_up, early) == (WRITERS, 1, False, [])


def test_a_body_that_is_read_beforehand_is_held_again_when_it_is_sent() -> None:
    def send(_: int, body: HeldBody) -> None:
        list(body.windows())
        list(body.windows())

    holding = Holding(WRITERS, hold_s=LONG_S)
    race(holding, send)
    assert (holding.most, holding.stages, holding.gave_up) == (WRITERS, 2, False)


@pytest.mark.parametrize("connections", [1, 3])
def test_where_fewer_requests_run_they_are_let_go_and_how_many_is_learned(connections: int) -> None:
    room = threading.Semaphore(connections)

    def send(_: int, body: HeldBody) -> None:
        with room:
            list(body.windows())

    holding = Holding(WRITERS, hold_s=0.1)
    assert race(holding, send) == [None] * WRITERS
    assert (holding.most, holding.gave_up) == (connections, True)
    again = Holding(WRITERS, hold_s=LONG_S, together=connections)
    assert race(again, send) == [None] * WRITERS
    assert (again.most, again.gave_up) == (connections, False)


def test_who_is_refused_before_its_body_is_read_keeps_nobody_waiting() -> None:
    def send(who: int, body: HeldBody) -> None:
        if who % 2:
            raise LookupError
        list(body.windows())

    holding = Holding(WRITERS, hold_s=LONG_S)
    outcomes = race(holding, send)
    assert [isinstance(each, LookupError) for each in outcomes] == [who % 2 == 1 for who in range(WRITERS)]
    assert not holding.gave_up


def test_who_has_no_body_waits_where_the_others_do() -> None:
    order: list[str] = []

    def send(who: int, body: HeldBody) -> None:
        if who == 0:
            holding.come(0, 1)
            order.append("commit")
        else:
            windows = body.windows()
            next(windows)
            order.append("held")
            list(windows)

    holding = Holding(WRITERS, hold_s=LONG_S)
    race(holding, send)
    assert order.index("commit") == WRITERS - 1


class Interrupted(BaseException):
    pass


def test_an_interrupt_lets_all_go() -> None:
    def stuck(who: int) -> None:
        if who == 0:
            raise Interrupted
        holding.come(who, 1)

    holding = Holding(5, hold_s=LONG_S)
    absent = threading.Thread(target=holding.come, args=(4, 0))  # it begins, and never comes to its last byte
    absent.start()
    began_s = time.monotonic()
    with Crew(4) as crew, pytest.raises(Interrupted):
        crew.race(holding, [partial(stuck, who) for who in range(4)])
    absent.join()
    assert time.monotonic() - began_s < LONG_S / 2
