"""Tasks side by side: bounded, stopped by the first failure, and over when they are said to be over, Ctrl-C or not."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import pytest

from storage_guard.clock import Clock, SystemClock
from storage_guard.engine.concurrency import Concurrency
from storage_guard.engine.lanes import Crew, Inline, Lanes, Task, Threads, beside
from telling import Tell

NAME = "storage-guard-part"
LONG_S = 60.0
CREWS: tuple[type[Crew[Any]], ...] = (Threads, Inline)


def threads() -> list[threading.Thread]:
    """Those that run: one whose start was interrupted may be listed for ever, and never come to life."""
    return [thread for thread in threading.enumerate() if thread.name == NAME and thread.ident is not None]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    assert not threads()
    yield
    assert not threads()


class Gate:
    """What tasks wait at, and how many were there at a time."""

    def __init__(self, lanes: Lanes[int] | None = None) -> None:
        self.lanes = lanes
        self.most = 0
        self._open = threading.Event()
        self._lock = threading.Lock()
        self._inside = 0
        self._came = threading.Semaphore(0)

    def task(self, number: int, *, held_bytes: int = 0) -> Task[int]:
        return Task(lambda: self._pass(number), 1, held_bytes)

    def _pass(self, number: int) -> int:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        self._came.release()
        while not self._open.wait(0.001):
            if self.lanes is not None and self.lanes.stopping:
                raise InterruptedError(number)
        with self._lock:
            self._inside -= 1
        return number

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self._came.acquire(timeout=LONG_S)

    def open(self) -> None:
        self._open.set()


def new_lanes(
    took: Callable[[int], None] = lambda _: None,
    *,
    crew: type[Crew[int]] = Threads,
    most: int = 4,
    memory_bytes: int | None = None,
    clock: Clock | None = None,
) -> Lanes[int]:
    return Lanes(crew(), Concurrency(most=most), clock or SystemClock(), took, memory_bytes=memory_bytes)


def fail(error: BaseException) -> int:
    raise error


def fail_with(kind: type[BaseException], *held: object) -> int:  # noqa: ARG001
    raise kind


def say(number: int) -> Task[int]:
    return Task(lambda: number, 1)


@pytest.mark.parametrize("crew", CREWS)
def test_every_result_arrives_once_in_the_coordinators_thread(crew: type[Crew[int]]) -> None:
    taken: list[tuple[int, int]] = []
    lanes = new_lanes(lambda result: taken.append((result, threading.get_ident())), crew=crew)
    for number in range(50):
        assert lanes.room()
        lanes.start(say(number))
    assert lanes.drain()
    lanes.stop()
    assert sorted(taken) == [(number, threading.get_ident()) for number in range(50)]


@pytest.mark.parametrize("threads_there_are", [0, 1, 2])
def test_where_the_system_gives_no_more_threads_those_that_there_are_do_the_work(
    threads_there_are: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, started = threading.Thread.start, itertools.count()

    def few(thread: threading.Thread) -> None:
        if next(started) >= threads_there_are:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", few)
    taken: list[int] = []
    lanes = new_lanes(taken.append, most=4)
    for number in range(20):
        assert lanes.room()
        lanes.start(say(number))
    assert lanes.drain()
    lanes.stop()
    assert sorted(taken) == list(range(20))


def test_no_more_are_under_way_than_allowed() -> None:
    lanes = new_lanes(most=3)
    gate = Gate()
    for number in range(3):
        assert lanes.room()
        lanes.start(gate.task(number))
    gate.wait_for(3)
    assert len(threads()) == 3
    gate.open()
    for number in range(20):
        assert lanes.room()
        lanes.start(gate.task(number))
    assert lanes.drain()
    assert gate.most == 3
    assert len(threads()) == 3, "they are used again"
    lanes.stop()


def test_room_is_made_by_one_that_ends_and_not_by_a_batch() -> None:
    taken: list[int] = []
    lanes = new_lanes(taken.append, most=2)
    slow, fast = Gate(), Gate()
    lanes.start(slow.task(1))
    lanes.start(fast.task(2))
    fast.open()
    assert lanes.room()
    assert taken == [2]
    slow.open()
    lanes.stop()


def test_they_hold_no_more_memory_together_than_is_allowed_and_one_may_always_go() -> None:
    lanes = new_lanes(most=10, memory_bytes=100)
    held = most = 0
    lock = threading.Lock()

    def hold(size_bytes: int) -> int:
        nonlocal held, most
        with lock:
            held += size_bytes
            most = max(most, held)
        with lock:
            held -= size_bytes
        return size_bytes

    for size_bytes in [30, 30, 40, 1, 100, 60, 50, 250, 10] * 10:
        assert lanes.room(size_bytes)
        lanes.start(Task(partial(hold, size_bytes), size_bytes, size_bytes))
    assert lanes.drain()
    lanes.stop()
    assert most == 250, "what is larger than all the memory goes alone"
    gate = Gate()
    for size_bytes in (60, 40):
        assert lanes.room(size_bytes)
        lanes.start(gate.task(size_bytes, held_bytes=size_bytes))
    gate.wait_for(2)
    gate.open()
    assert lanes.room(1)
    lanes.stop()


@pytest.mark.parametrize("crew", CREWS)
def test_behind_the_first_failure_none_begins_and_what_came_before_is_kept(crew: type[Crew[int]]) -> None:
    taken: list[int] = []
    lanes = new_lanes(taken.append, crew=crew, most=1)
    trouble = ValueError("broken")
    assert lanes.room()
    lanes.start(Task(lambda: 1, 1))
    assert lanes.room()
    lanes.start(Task(lambda: fail(trouble), 1))
    assert not lanes.room()
    assert (lanes.failure, lanes.stopping) == (trouble, True)
    assert not lanes.room(), "nor later"
    assert not lanes.drain()
    lanes.stop()
    assert taken == [1]


def test_a_failure_tells_the_others_to_give_up_and_theirs_is_not_the_one_that_counts() -> None:
    lanes = new_lanes(most=4)
    gate = Gate(lanes)
    for number in range(3):
        lanes.start(gate.task(number))
    gate.wait_for(3)
    lanes.start(Task(lambda: fail(ValueError("first")), 1))
    assert not lanes.drain()
    lanes.stop()
    assert isinstance(lanes.failure, ValueError)


def test_what_was_done_when_all_was_stopped_is_kept() -> None:
    taken: list[int] = []
    lanes = new_lanes(taken.append, most=4)
    gate = Gate(lanes)
    done = threading.Semaphore(0)

    def do(number: int) -> int:
        done.release()
        return number

    for number in (1, 2):
        lanes.start(Task(partial(do, number), 1))
    lanes.start(gate.task(3))
    gate.wait_for(1)
    for _ in range(2):
        assert done.acquire(timeout=LONG_S)
    lanes.stop()
    assert sorted(taken) == [1, 2]
    assert lanes.failure is None, "what the third raised for being told is no failure"


def test_stop_joins_every_thread_and_behind_it_all_can_begin_anew() -> None:
    taken: list[int] = []
    lanes = new_lanes(taken.append, most=5)
    for turn in range(3):
        gate = Gate(lanes)
        for number in range(5):
            lanes.start(gate.task(number))
        gate.wait_for(5)
        assert len(threads()) == 5
        lanes.start(say(turn))
        lanes.stop()
        assert not threads()
        lanes.go_on()
        assert lanes.room()
    lanes.stop()
    lanes.stop()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_wants_the_program_to_end_surfaces_from_a_thread(error: type[BaseException]) -> None:
    lanes = new_lanes(most=3)
    gate = Gate(lanes)
    lanes.start(gate.task(1))
    gate.wait_for(1)
    lanes.start(Task(lambda: fail(error()), 1))
    with pytest.raises(error):
        lanes.drain()
    assert lanes.stopping
    lanes.stop()


def test_busy_is_handed_on_by_the_coordinator_with_how_many_are_under_way() -> None:
    told: list[tuple[float, float, int]] = []

    class Told(Concurrency):
        def busy(self, sent_s: float, now_s: float, under_way: int) -> None:
            told.append((sent_s, now_s, under_way))

    lanes = Lanes[int](Inline(), Told(), SystemClock(), lambda _: None)
    lanes.busy(1.0)
    lanes.busy(2.0)
    for _ in range(3):
        lanes.start(Task(lambda: 0, 1))
    assert told == []
    lanes.take_one()
    assert [(sent_s, under_way) for sent_s, _, under_way in told] == [(1.0, 2), (2.0, 2)]
    assert lanes.drain()
    assert len(told) == 2


def test_only_what_carried_bytes_counts_and_a_failure_does_not() -> None:
    sizes: list[int] = []

    class Told(Concurrency):
        def done(self, size_bytes: int, now_s: float) -> None:  # noqa: ARG002
            sizes.append(size_bytes)

    lanes = Lanes[int](Inline(), Told(), SystemClock(), lambda _: None)
    for size_bytes in (5, 0, 7):
        lanes.start(Task(lambda: 0, size_bytes))
    lanes.start(Task(lambda: fail(ValueError()), 9))
    assert not lanes.drain()
    assert sizes == [5, 7]


class Held:
    """Something that a task keeps alive."""

    def __call__(self) -> int:
        return 1


@contextmanager
def no_collector() -> Generator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("crew", CREWS)
def test_nothing_of_a_task_that_is_done_is_kept(crew: type[Crew[int]]) -> None:
    with no_collector():
        lanes = new_lanes(crew=crew, most=2)
        dead: list[weakref.ref[Held]] = []
        for _ in range(2):
            held = Held()
            dead.append(weakref.ref(held))
            lanes.start(Task(held, 1))
            del held
        assert lanes.drain()
        # An idle thread lets go a moment behind its answer: when it has begun to wait for the next task.
        for _ in range(2):
            lanes.start(Task(lambda: 0, 1))
        assert lanes.drain()
        assert [ref() for ref in dead] == [None, None]
        lanes.stop()


@pytest.mark.parametrize("crew", CREWS)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_when_all_is_over_no_cycle_keeps_the_callers_buffer(crew: type[Crew[int]], error: type[BaseException]) -> None:
    buffer = bytearray(100)

    def failing() -> None:
        lanes = new_lanes(crew=crew, most=4)
        try:
            for number in range(4):
                lanes.start(Task(partial(len, memoryview(buffer)[number:]), 1))
            lanes.start(Task(partial(fail_with, error, memoryview(buffer)), 1))
            lanes.drain()
        finally:
            lanes.stop()
            lanes.go_on()

    with no_collector():
        try:
            failing()
        except KeyboardInterrupt:
            assert error is KeyboardInterrupt
        buffer.append(1)  # BufferError while somebody holds a view of it


def test_lanes_that_a_clock_interrupts_are_stopped_all_the_same() -> None:
    class Interrupting(SystemClock):
        left = 5

        def now_s(self) -> float:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
            return super().now_s()

    lanes = new_lanes(clock=Interrupting())
    with pytest.raises(KeyboardInterrupt):
        work(lanes)
    lanes.stop()


# Ctrl-C at every bytecode


@pytest.mark.parametrize("crew", CREWS)
def test_what_goes_on_beside_is_over_when_it_returns_and_raises_what_either_raises(crew: type[Crew[int]]) -> None:
    came: list[str] = []

    def run() -> int:
        came.append("beside")
        return 1

    beside(crew(), run, lambda _: came.append("here"))
    assert sorted(came) == ["beside", "here"]
    with pytest.raises(ZeroDivisionError):
        beside(crew(), partial(fail_with, ZeroDivisionError), lambda _: came.append("here"))
    assert came.count("here") == 2
    with pytest.raises(IndexError):
        beside(crew(), partial(fail_with, ZeroDivisionError), lambda _: fail_with(IndexError))


def test_who_works_meanwhile_is_told_when_the_other_is_done() -> None:
    gate = Gate()
    seen: list[bool] = []

    def meanwhile(done: Callable[[], bool]) -> None:
        gate.wait_for(1)
        seen.append(done())
        gate.open()
        while not done():
            pass
        seen.append(True)

    beside(Threads[int](), gate.task(1).run, meanwhile)
    assert seen == [False, True]


class CtrlC:
    """KeyboardInterrupt at the n-th bytecode that the coordinator executes in our modules, or call of `threading` from
    there; what `threading` does with its own locks when it is interrupted is not ours."""

    OURS: tuple[str, ...] = ("lanes.py", "concurrency.py")

    def __init__(self, after: int) -> None:
        self.left = after

    def _trace(self, frame: FrameType, event: str, arg: object) -> Any:  # noqa: ARG002
        ours = self._is_ours(frame)
        from_ours = frame.f_code.co_filename == threading.__file__ and self._is_ours(frame.f_back)
        if not ours and not from_ours:
            return None
        frame.f_trace_opcodes = ours
        frame.f_trace_lines = False
        if event == ("opcode" if ours else "call"):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self._trace

    def _is_ours(self, frame: FrameType | None) -> bool:
        return frame is not None and frame.f_code.co_filename.endswith(self.OURS)

    def interrupts(self, run: Callable[[], None]) -> bool:
        """Whether it came before `run` was over."""
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            run()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False


def work(lanes: Lanes[int]) -> None:
    for number in range(4):
        lanes.room(1)
        lanes.start(say(number))
    lanes.drain()


def over() -> None:
    """One that was interrupted while it was started ends by itself."""
    for thread in threads():
        thread.join(LONG_S)
        assert not thread.is_alive()


def interrupted_at_every(stride: int) -> int:
    for count, after in enumerate(itertools.count(1, stride)):
        lanes = new_lanes(most=2)
        came = CtrlC(after).interrupts(partial(work, lanes))
        lanes.stop()
        over()
        if not came:
            return count
    raise AssertionError


def stop_interrupted_at_every(stride: int) -> int:
    for count, after in enumerate(itertools.count(1, stride)):
        taken: list[int] = []
        lanes = new_lanes(taken.append, most=4)
        gate = Gate(lanes)
        for number in range(2):
            lanes.start(gate.task(number))
        gate.wait_for(2)
        came = CtrlC(after).interrupts(lanes.stop)
        lanes.stop()
        over()
        if not came:
            return count
    raise AssertionError


def beside_interrupted_at_every(stride: int) -> int:
    for count, after in enumerate(itertools.count(1, stride)):
        began: list[int] = []
        ended: list[int] = []

        def run() -> int:
            began.append(1)  # noqa: B023 - it has ended when the next turn begins
            ended.append(1)  # noqa: B023
            return 1

        came = CtrlC(after).interrupts(lambda: beside(Threads[int](), run, lambda _: None))
        assert began == ended
        assert came or began == [1]
        over()
        if not came:
            return count
    raise AssertionError


def test_ctrl_c_at_any_moment_loses_no_thread_and_stop_ends(tell: Tell) -> None:
    points, in_stop, in_beside = interrupted_at_every(7), stop_interrupted_at_every(3), beside_interrupted_at_every(3)
    tell(f"{points} moments at work, {in_stop} while stopping, {in_beside} with one thread beside")
    assert points > 50
    assert in_beside > 10
    assert in_stop > 3  # an interpreter counts its own moments: 3.13 has a third of those of 3.11


@pytest.mark.soak
def test_ctrl_c_at_every_single_bytecode_loses_no_thread_and_stop_ends() -> None:
    assert interrupted_at_every(1) > 400
    assert beside_interrupted_at_every(1) > 40
    assert stop_interrupted_at_every(1) > 60
