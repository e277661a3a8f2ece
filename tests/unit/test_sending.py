"""The parts of one upload, in virtual time: what is sent again, what ends it, and when a rival is noticed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.simulated_link import Link, LinkDriver, Road, on
from storage_guard import RetryPolicy, signals
from storage_guard.body import Body
from storage_guard.engine.payload import KnownData, Pieces
from storage_guard.engine.resolve import Glance
from storage_guard.engine.sending import Bounds, Sending, Tally
from storage_guard.engine.source import BytesSource
from storage_guard.memory import LIMITS
from storage_guard.model import MiB, ObjectInfo, Part, PartSlot, WriteMeta
from storage_guard.outcome import Answer
from storage_guard.retry import Patience

ROAD = Road(latency_s=0.1, connection_rate=10e6, total_rate=1e9)
SLOW = Road(latency_s=0.1, connection_rate=0.05e6, total_rate=1e9)  # 21 s for a MiB
MINE = ObjectInfo("k", 1, "etag", datetime(2000, 1, 1, tzinfo=UTC), write_id="mine")
FREE = Glance(Answer.ABSENT, None)
RIVAL = Glance(Answer.THEIRS, MINE)
NONE = Glance(Answer.FAILED, None)


class Store(LinkDriver):
    """Answers the attempts at a part with what `troubles` says, in turn; then it takes it."""

    def __init__(self, link: Link, troubles: dict[int, list[Exception]]) -> None:
        super().__init__(link, LIMITS)
        self._troubles = troubles
        self.asked: list[int] = []

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        self.asked.append(slot.number)
        for _ in body.windows():
            pass
        part = super().put_part(key, upload_id, slot, body)
        if self._troubles.get(slot.number):
            raise self._troubles[slot.number].pop(0)
        return part


@dataclass
class Scene:
    """One upload of `count` parts of a MiB each."""

    count: int = 8
    troubles: dict[int, list[Exception]] = field(default_factory=dict[int, list[Exception]])
    glances: Callable[[], Glance] = lambda: FREE
    have: Collection[Part] = ()
    bounds: Bounds = field(default_factory=Bounds)
    road: Road = ROAD
    progress: Callable[[int, int | None], None] | None = None
    deadline_s: float = 100.0

    def __post_init__(self) -> None:
        self.link = Link(self.road)
        self.store = Store(self.link, self.troubles)
        self.looks_s: list[float] = []
        size_bytes = self.count * MiB
        self.pieces: Pieces = KnownData(BytesSource(bytes(size_bytes)), size_bytes, MiB).pieces()
        tally = Tally(self.progress, size_bytes)
        tally.anew(self.have)
        with on(self.link):
            self.sending = Sending(
                self.store,
                "k",
                self.store.begin("k", WriteMeta("mine")),
                clock=self.link,
                patience=Patience(self.link, RetryPolicy(), self.deadline_s),
                bounds=self.bounds,
                tally=tally,
                look=self.look,
                have=self.have,
            )

    def look(self) -> Glance:
        self.looks_s.append(self.link.now_s())
        self.link.request(0)
        return self.glances()

    def send(self) -> Answer:
        answer = self.sending.send(self.pieces)
        # Nothing may be under way any more, so nothing happens while we wait.
        asked = list(self.store.asked)
        self.link.sleep(1000.0)
        assert self.store.asked == asked
        return answer


def part(number: int) -> Part:
    return Part(PartSlot(number, (number - 1) * MiB, MiB), f"etag {number}")


@pytest.mark.parametrize("in_flight", [None, 1, 3])
def test_every_part_is_sent_once_and_known_by_its_number(in_flight: int | None) -> None:
    scene = Scene(20, bounds=Bounds(in_flight))
    assert scene.send() is Answer.DONE
    assert sorted(scene.store.asked) == list(range(1, 21))
    assert [scene.sending.parts[number] for number in range(1, 21)] == [part(number) for number in range(1, 21)]
    assert scene.sending.trouble is None
    assert scene.link.most_open == {None: 16, 1: 1, 3: 3}[in_flight]


def test_what_the_store_has_already_is_not_sent() -> None:
    told: list[int] = []
    scene = Scene(5, have=[part(1), part(4)], progress=lambda done, _: told.append(done))
    assert told == [2 * MiB]
    assert scene.send() is Answer.DONE
    assert sorted(scene.store.asked) == [2, 3, 5]
    assert sorted(scene.sending.parts) == [1, 2, 3, 4, 5]
    assert told == sorted(told)
    assert told[-1] == 5 * MiB


@pytest.mark.parametrize("in_flight", [None, 1])
@pytest.mark.parametrize(
    "again",
    [
        signals.Lost(),
        signals.Busy(),
        signals.Corrupt(),
        signals.Conflict(restart=False),
        signals.Conflict(restart=True),
    ],
    ids=["lost", "busy", "corrupt", "conflict", "restart"],
)
def test_a_part_that_got_lost_is_sent_again_and_no_other(again: signals.Signal, in_flight: int | None) -> None:
    scene = Scene(4, {2: [again, again]}, bounds=Bounds(in_flight))
    assert scene.send() is Answer.DONE
    assert sorted(scene.store.asked) == [1, 2, 2, 2, 3, 4]


def test_a_part_is_not_sent_again_before_the_store_wants_it() -> None:
    scene = Scene(4, {2: [signals.Busy(retry_after_s=30.0)]})
    began_s = scene.link.now_s()
    assert scene.sending.send(scene.pieces) is Answer.DONE
    assert scene.link.now_s() - began_s >= 30.0


def test_a_part_that_never_arrives_ends_it_when_the_store_has_done_nothing_for_so_long() -> None:
    lost = signals.Lost("cut")
    scene = Scene(3, {2: [lost] * 1000}, deadline_s=50.0)
    began_s = scene.link.now_s()
    assert scene.sending.send(scene.pieces) is Answer.REFUSED
    assert scene.sending.trouble is lost
    assert 30.0 < scene.link.now_s() - began_s < 60.0
    assert sorted(scene.sending.parts) == [1, 3]


@pytest.mark.parametrize("in_flight", [None, 1])
@pytest.mark.parametrize(
    ("no", "answer"),
    [
        (signals.Refused(why="access"), Answer.REFUSED),
        (signals.Gone(), Answer.GONE),
        (signals.Gone(sole=True), Answer.GONE_SOLE),
        (signals.Exists(sole=True), Answer.REFUSED),
    ],
    ids=lambda value: value.name if isinstance(value, Answer) else type(value).__name__,
)
def test_a_clear_no_ends_it_and_no_other_part_begins(no: signals.Signal, answer: Answer, in_flight: int | None) -> None:
    scene = Scene(40, {2: [no]}, bounds=Bounds(in_flight))
    assert scene.send() is answer
    assert scene.sending.trouble is no
    assert len(scene.store.asked) <= (2 if in_flight else 32)
    assert 2 not in scene.sending.parts


@pytest.mark.parametrize("in_flight", [None, 1])
def test_a_part_that_is_damaged_every_time_ends_it(in_flight: int | None) -> None:
    corrupt = signals.Corrupt("other bytes")
    scene = Scene(3, {2: [corrupt, signals.Lost(), corrupt, corrupt, corrupt]}, bounds=Bounds(in_flight))
    assert scene.send() is Answer.REFUSED
    assert scene.sending.trouble is corrupt
    assert scene.store.asked.count(2) == 4


def test_what_a_driver_raises_against_the_rules_passes_through_and_leaves_nothing_under_way() -> None:
    scene = Scene(40, {2: [ZeroDivisionError()]})
    with pytest.raises(ZeroDivisionError):
        scene.send()
    asked = len(scene.store.asked)
    scene.link.sleep(1000.0)
    assert len(scene.store.asked) == asked


def test_data_that_cannot_be_read_is_the_trouble_itself() -> None:
    trouble = OSError("gone")

    class Failing(Pieces):
        def next_held_bytes(self) -> int:
            return 0

        def next(self) -> None:
            raise trouble

    scene = Scene()
    assert scene.sending.send(Failing()) is Answer.REFUSED
    assert scene.sending.trouble is trouble


@pytest.mark.parametrize("in_flight", [None, 1])
def test_what_the_callers_progress_raises_is_the_trouble_itself(in_flight: int | None) -> None:
    trouble = RuntimeError("enough")

    def progress(done_bytes: int, _: int | None) -> None:
        if done_bytes > 3 * MiB:
            raise trouble

    scene = Scene(8, progress=progress, bounds=Bounds(in_flight))
    assert scene.send() is Answer.REFUSED
    assert scene.sending.trouble is trouble


# A rival


def test_parts_that_go_out_all_at_once_cost_no_look() -> None:
    scene = Scene(16)
    assert scene.send() is Answer.DONE
    assert scene.looks_s == []


@pytest.mark.parametrize(("count", "in_flight"), [(17, None), (2, 1), (9, 8)])
def test_a_rival_is_noticed_before_the_last_part(count: int, in_flight: int | None) -> None:
    scene = Scene(count, glances=lambda: RIVAL, bounds=Bounds(in_flight))
    assert scene.send() is Answer.THEIRS
    assert scene.sending.rival == RIVAL
    assert sorted(scene.store.asked) == list(range(1, count))
    assert len(scene.looks_s) == 1


def test_whoever_vanished_again_lets_the_parts_go_on_where_they_stopped() -> None:
    scene = Scene(20, glances=iter_of([RIVAL, FREE]))
    assert scene.send() is Answer.THEIRS
    assert scene.send() is Answer.DONE
    assert sorted(scene.store.asked) == list(range(1, 21)), "each once, the one that was put back too"
    assert sorted(scene.sending.parts) == list(range(1, 21))


def test_a_look_without_an_answer_says_nothing() -> None:
    scene = Scene(20, glances=lambda: NONE)
    assert scene.send() is Answer.DONE
    assert len(scene.looks_s) == 1


def test_in_a_long_upload_the_key_is_looked_at_now_and_then() -> None:
    scene = Scene(8 * 8, road=SLOW, bounds=Bounds(in_flight=8))
    assert scene.send() is Answer.DONE
    assert len(scene.looks_s) >= 4
    assert all(later - sooner > 10.0 for sooner, later in itertools.pairwise(scene.looks_s[:-1]))


def test_a_rival_who_comes_in_the_middle_of_a_long_upload_saves_the_rest_of_it() -> None:
    scene = Scene(200, road=SLOW, glances=lambda: RIVAL)
    assert scene.send() is Answer.THEIRS
    assert len(scene.store.asked) < 60


def iter_of(glances: list[Glance]) -> Callable[[], Glance]:
    each: Iterator[Glance] = iter(glances)
    return lambda: next(each)


# What is told


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 100)), max_size=60))
def test_progress_is_the_sum_of_what_each_request_did_best_and_never_goes_back(steps: list[tuple[int, int]]) -> None:
    told: list[int] = []
    tally = Tally(lambda done, total: told.append(done) if total == 500 else None, 500)
    best: dict[int, int] = {}
    for number, done_bytes in steps:
        tally.watch(number, done_bytes)
        best[number] = max(best.get(number, 0), done_bytes)
        assert told[-1] == sum(best.values())
    assert told == sorted(set(told))


def test_what_was_told_is_not_taken_back_when_all_is_sent_again() -> None:
    told: list[int] = []
    tally = Tally(lambda done, _: told.append(done), None)
    tally.watch(1, 70)
    tally.anew()
    for done_bytes in (0, 50, 70, 90):
        tally.watch(1, done_bytes)
    assert told == [70, 90]


def test_without_somebody_to_tell_nothing_is_counted() -> None:
    tally = Tally(None, 10)
    tally.watch(1, 5)
    tally.anew([part(1)])
