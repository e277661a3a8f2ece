"""How long to wait, and when to stop."""

from __future__ import annotations

import pytest

from storage_guard import RetryPolicy
from storage_guard.clock import SystemClock
from storage_guard.retry import Patience
from storage_guard.testing import FakeClock


def test_waits_double_up_to_the_cap_and_chance_shortens_them() -> None:
    policy = RetryPolicy(base_s=1.0, cap_s=5.0)
    assert [policy.wait_s(n, 1.0) for n in (1, 2, 3, 4, 5, 1_000_000)] == [1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    assert policy.wait_s(3, 0.25) == 1.0
    assert policy.wait_s(3, 0.0) == 0.0


def test_the_defaults_begin_at_a_tenth_of_a_second_and_end_at_ten() -> None:
    policy = RetryPolicy()
    assert policy.wait_s(1, 1.0) == 0.1
    assert policy.wait_s(20, 1.0) == 10.0


def test_a_wait_is_never_shorter_than_the_store_asked_for() -> None:
    policy = RetryPolicy(base_s=1.0, cap_s=5.0)
    assert policy.wait_s(1, 0.5, asked_s=30.0) == 30.0
    assert policy.wait_s(3, 0.5, asked_s=1.0) == 2.0


@pytest.mark.parametrize(("base_s", "cap_s"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0)])
def test_senseless_policies_are_refused(base_s: float, cap_s: float) -> None:
    with pytest.raises(ValueError, match="base_s"):
        RetryPolicy(base_s, cap_s)
    assert RetryPolicy(1.0, 1.0).wait_s(2, 1.0) == 1.0


@pytest.mark.parametrize("deadline_s", [-1.0, float("nan")])
def test_a_senseless_deadline_is_refused(deadline_s: float) -> None:
    with pytest.raises(ValueError, match="deadline_s"):
        Patience(FakeClock(), RetryPolicy(), deadline_s)


def test_patience_ends_when_the_next_wait_would_pass_the_deadline() -> None:
    clock = FakeClock(chance=1.0)
    patience = Patience(clock, RetryPolicy(1.0, 4.0), 7.0)
    assert patience.wait()
    assert patience.wait()
    assert patience.wait()
    assert clock.now_s() == 7.0  # 1 + 2 + 4: just at the deadline
    assert not patience.wait()
    assert clock.now_s() == 7.0, "a wait that would be in vain is not made"


def test_progress_begins_the_deadline_and_the_waits_anew() -> None:
    clock = FakeClock(chance=1.0)
    patience = Patience(clock, RetryPolicy(1.0, 4.0), 7.0)
    for _ in range(3):
        patience.wait()
    patience.progress()
    assert patience.wait()
    assert clock.now_s() == 8.0


def test_without_any_time_nothing_is_repeated_unless_at_once() -> None:
    assert not Patience(FakeClock(chance=0.5), RetryPolicy(), 0.0).wait()
    assert Patience(FakeClock(chance=0.0), RetryPolicy(), 0.0).wait()


def test_what_one_request_achieves_is_progress_for_all_beside_it_but_its_waits_are_its_own() -> None:
    clock = FakeClock(chance=1.0)
    patience = Patience(clock, RetryPolicy(1.0, 4.0), 7.0)
    one, other = patience.beside(), patience.beside()
    for _ in range(3):
        assert one.wait()
    assert clock.now_s() == 7.0
    other.progress()
    assert one.wait(), "the store did something for the other"
    assert clock.now_s() == 11.0, "and yet it has failed this one four times"
    assert not one.wait(), "three seconds are left, and the next wait is four"
    assert patience.wait(), "that of the others begins with the first"
    assert clock.now_s() == 12.0


def test_a_request_that_begins_late_has_a_deadline_of_its_own() -> None:
    clock = FakeClock(chance=1.0)
    patience = Patience(clock, RetryPolicy(1.0, 4.0), 2.0)
    clock.sleep(100.0)
    assert not patience.wait()
    assert patience.beside().wait()


def test_who_waits_notices_soon_that_all_is_over() -> None:
    clock = FakeClock(chance=1.0)
    patience = Patience(clock, RetryPolicy(8.0, 8.0), 100.0)
    assert not patience.wait(stopped=lambda: clock.now_s() >= 3.0)
    assert 3.0 <= clock.now_s() <= 3.25
    assert not patience.wait(stopped=lambda: True)
    assert clock.now_s() <= 3.25, "and at once if it is over already"


@pytest.mark.parametrize("own", [False, True])
def test_who_waits_beside_others_notices_that_the_whole_is_over(own: bool) -> None:
    clock = FakeClock(chance=1.0)
    one = Patience(clock, RetryPolicy(8.0, 8.0), 100.0, stopped=lambda: clock.now_s() >= 3.0).beside()
    over = [one.over]
    assert not one.wait(stopped=(lambda: False) if own else None)
    assert 3.0 <= clock.now_s() <= 3.25
    assert [*over, one.over] == [False, True]
    assert not Patience(clock, RetryPolicy(), 1.0).over


def test_who_is_not_stopped_waits_as_long_as_anybody() -> None:
    for chance in (0.0, 0.01, 0.5, 1.0):
        clock = FakeClock(chance=chance)
        assert Patience(clock, RetryPolicy(1.0, 4.0), 100.0).wait(stopped=lambda: False)
        assert clock.now_s() == pytest.approx(chance)
        assert Patience(clock, RetryPolicy(1.0, 4.0), 100.0).wait(50.0, stopped=lambda: False)
        assert clock.now_s() == pytest.approx(chance + 50.0)


def test_the_real_clock_runs_sleeps_and_takes_chances() -> None:
    clock = SystemClock()
    before = clock.now_s()
    clock.sleep(0.01)
    assert clock.now_s() - before >= 0.01
    assert len({clock.chance() for _ in range(10)}) > 1
    assert all(0 <= clock.chance() < 1 for _ in range(100))
