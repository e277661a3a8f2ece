"""How many parts go out at a time: what the controller makes of what it is told. No store and no threads."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_guard.engine.concurrency import FAST, FEW, MOST, START, Concurrency


@dataclass
class Told:
    """A controller, and a store that answers in rounds: as many requests as are allowed, a second later."""

    concurrency: Concurrency = field(default_factory=Concurrency)
    now_s: float = 100.0

    def round(self, rate: float) -> int:
        """One round that delivers `rate` bytes a second; how many are allowed then."""
        lanes = self.concurrency.allowed
        self.concurrency.began(self.now_s)
        self.now_s += 1.0
        for _ in range(lanes):
            self.concurrency.done(int(rate / lanes), self.now_s)
        return self.concurrency.allowed

    def rounds(self, *rates: float) -> list[int]:
        return [self.round(rate) for rate in rates]

    def busy(self, *, under_way: int = 0) -> int:
        """The store says Busy to a request that went out just now."""
        sent_s = self.now_s
        self.now_s += 0.1
        self.concurrency.busy(sent_s, self.now_s, under_way)
        return self.concurrency.allowed


def test_sixteen_go_out_at_first_and_never_more_than_the_caller_allows() -> None:
    assert (Concurrency().allowed, START, MOST) == (16, 16, 64)
    assert Concurrency(most=3).allowed == 3
    assert Concurrency(most=1, start=5).allowed == 1


@pytest.mark.parametrize("most", [0, -1])
def test_none_at_all_is_refused(most: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1, got {most}"):
        Concurrency(most=most)


def test_it_climbs_by_half_while_that_brings_a_tenth_more_and_stops_at_the_most() -> None:
    assert Told().rounds(1600, 2500, 3800, 5800, 6400, 6400) == [25, 38, 58, 64, 64, 64]


def test_it_goes_back_when_more_of_them_brought_less_than_a_tenth() -> None:
    told = Told()
    assert told.rounds(1600, 1750) == [25, 16]
    assert told.rounds(1600, 9999, 9999) == [16, 16, 16], "and stays there for a while"


def test_exactly_a_tenth_more_is_not_enough() -> None:
    told = Told(Concurrency(start=10))
    assert told.rounds(1000) == [16]
    assert told.rounds(1100) == [10]


def test_a_round_that_delivered_nothing_is_no_reason_to_climb() -> None:
    assert Told().rounds(0, 1600) == [16, 16]


def test_after_sixteen_rounds_it_tries_again_whether_the_link_has_become_wider() -> None:
    told = Told()
    assert told.rounds(1600, 1600) == [25, 16]
    assert told.rounds(*[1600] * 16) == [16] * 15 + [25]
    assert told.rounds(2500, 2500) == [38, 25], "it had: and the next step was one too many"


def test_at_the_most_it_tries_no_more_until_another_sixteen_rounds_are_over() -> None:
    told = Told(Concurrency(most=20))
    assert told.rounds(1600, 2000, 3000) == [20, 20, 20]
    assert told.rounds(*[2000] * 40) == [20] * 40


def test_where_it_is_fast_fewer_are_taken_as_long_as_they_are_not_a_tenth_slower() -> None:
    told = Told()
    assert told.rounds(2e9, 1.9e9, 2e9) == [8, 4, 4]
    assert told.rounds(*[9e9] * 15) == [4] * 15
    assert told.round(9e9) == 7, "and it asks again whether more would pay, as ever"
    assert Told().rounds(2e9, 1.9e9, 1.7e9, 2e9) == [8, 4, 8, 13]


def test_where_fewer_are_slower_it_climbs_and_does_not_ask_again() -> None:
    assert Told().rounds(1.5e9, 0.8e9, 1.5e9, 2.3e9, 3.4e9) == [8, 16, 25, 38, 58]


def test_it_may_become_fast_while_it_climbs() -> None:
    assert Told().rounds(1e9, 1.3e9, 1.3e9, 1.3e9) == [25, 12, 6, 4]


def test_fast_is_from_the_bound_on_and_a_tenth_slower_is_not_too_slow() -> None:
    assert Told().rounds(FAST - 1600, FAST) == [25, 12]
    assert Told().rounds(FAST, 1.1 * FAST, FAST) == [8, 4, 4]
    assert Told().rounds(2.2e9, 2e9, 2e9 - 40) == [8, 4, 8]


def test_few_climb_as_ever() -> None:
    assert Told(Concurrency(start=FEW)).rounds(2e9, 3e9) == [7, 4]


@pytest.mark.parametrize("most", [1, 3, 4])
def test_few_are_not_made_fewer(most: int) -> None:
    assert Told(Concurrency(most=most)).rounds(2e9, 2e9) == [most, most]


def test_a_store_that_is_busy_while_fewer_are_tried_decides() -> None:
    told = Told()
    assert told.round(2e9) == 8
    assert told.busy() == 4
    assert told.rounds(2e9, 2e9) == [6, 7]


def test_a_round_is_as_many_answers_as_there_are_lanes() -> None:
    concurrency = Concurrency(start=4)
    concurrency.began(0.0)
    for second in (1.0, 2.0, 3.0):
        concurrency.done(100, second)
        assert concurrency.allowed == 4
    concurrency.done(100, 4.0)
    assert concurrency.allowed == 7


def test_answers_in_no_time_at_all_wait_for_one_that_took_some() -> None:
    concurrency = Concurrency(start=2)
    concurrency.began(5.0)
    for _ in range(10):
        concurrency.done(100, 5.0)
    assert concurrency.allowed == 2
    concurrency.done(100, 6.0)
    assert concurrency.allowed == 4


def test_busy_halves_once_for_all_that_were_under_way() -> None:
    told = Told()
    sent_s = told.now_s
    for late_s in (0.1, 0.1, 0.2, 5.0):
        told.concurrency.busy(sent_s, told.now_s + late_s, 0)
        assert told.concurrency.allowed == 8


def test_busy_halves_again_only_when_no_more_are_under_way_than_allowed() -> None:
    told = Told()
    assert told.busy(under_way=15) == 8
    assert [told.busy(under_way=count) for count in (14, 11, 8)] == [8, 8, 8], "those that are too many, once more"
    assert told.busy(under_way=7) == 4
    assert [told.busy() for _ in range(4)] == [2, 1, 1, 1]


def test_behind_busy_it_comes_back_by_halves_and_stays_one_below_what_was_too_many() -> None:
    told = Told()
    assert told.busy() == 8
    assert told.rounds(*[9999 * 2**n for n in range(7)]) == [12, 14, 15, 15, 15, 15, 15]


def test_long_behind_busy_it_tries_one_more_at_a_time() -> None:
    told = Told()
    told.busy()
    assert told.rounds(*[1000] * 15)[-1] == 15
    assert told.rounds(*[1000] * 3) == [16, 17, 18]
    assert told.busy() == 9
    assert told.rounds(*[1000] * 3) == [13, 15, 16]
    assert told.rounds(*[1000] * 100)[-1] == MOST


def test_one_at_a_time_and_busy_is_still_one_and_not_for_ever() -> None:
    told = Told(Concurrency(start=1))
    assert told.busy() == 1
    assert told.rounds(*[100] * 17) == [1] * 15 + [2, 3]


def test_a_round_in_which_the_store_said_busy_is_no_calm_round() -> None:
    concurrency = Concurrency(start=4)
    concurrency.began(0.0)
    concurrency.busy(0.0, 1.0, 3)
    assert concurrency.allowed == 2
    concurrency.done(100, 2.0)
    concurrency.busy(1.0, 3.0, 3)
    concurrency.done(100, 4.0)
    assert concurrency.allowed == 2
    concurrency.done(100, 5.0)
    assert concurrency.allowed == 3


def test_busy_ends_a_climb() -> None:
    told = Told()
    assert told.rounds(1600) == [25]
    assert told.busy() == 12
    assert told.rounds(1, 1, 1, 1) == [18, 21, 23, 24], "how fast it is tells nothing now"


def test_a_time_with_nothing_under_way_is_not_slowness() -> None:
    told = Told(Concurrency(start=2))
    assert told.round(1000) == 4
    told.concurrency.idle()
    told.now_s += 3600
    assert told.round(2000) == 7


def test_what_came_before_a_pause_is_not_counted_behind_it() -> None:
    concurrency = Concurrency(start=2)
    concurrency.began(0.0)
    concurrency.done(10**9, 1.0)
    concurrency.idle()
    concurrency.began(10.0)
    concurrency.done(10, 11.0)
    assert concurrency.allowed == 2
    concurrency.done(10, 12.0)
    assert concurrency.allowed == 4
    for _ in range(4):
        concurrency.done(10, 13.0)
    assert concurrency.allowed == 7, "40 a second are more than 10, and it was never faster"


def test_an_answer_with_nothing_under_way_is_taken_and_means_nothing() -> None:
    concurrency = Concurrency(start=1)
    concurrency.done(100, 1.0)
    assert concurrency.allowed == 1


_EVENTS = st.one_of(
    st.tuples(st.just("round"), st.integers(0, 10**9)),
    st.tuples(st.just("done"), st.integers(0, 10**9)),
    st.tuples(st.just("busy"), st.integers(0, 70)),
    st.tuples(st.just("idle"), st.just(0)),
    st.tuples(st.just("wait"), st.integers(0, 1000)),
)


@given(most=st.integers(1, 100), start=st.integers(1, 100), events=st.lists(_EVENTS, max_size=120))
def test_whatever_happens_at_least_one_goes_out_and_at_most_so_many(
    most: int, start: int, events: list[tuple[str, int]]
) -> None:
    told = Told(Concurrency(most=most, start=start))
    for what, number in events:
        before = told.concurrency.allowed
        match what:
            case "round":
                told.round(number)
            case "done":
                told.concurrency.done(number, told.now_s)
            case "busy":
                assert told.busy(under_way=number) <= before
                assert told.concurrency.allowed in (before, max(1, before // 2))
            case "idle":
                told.concurrency.idle()
                assert told.concurrency.allowed == before
            case _:
                told.now_s += number
        assert 1 <= told.concurrency.allowed <= most
