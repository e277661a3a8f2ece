"""Tasks side by side: bounded, the first failure stops, and nothing runs on when it is over.

One thread, the coordinator, holds the `Lanes`: it alone calls its methods, and results reach it there. Ctrl-C reaches
that thread too, so it never waits for anything that cannot be interrupted.
"""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, NoReturn, TypeVar

from storage_guard.clock import Clock
from storage_guard.driver import Outcome, Reply
from storage_guard.engine.concurrency import Concurrency

T = TypeVar("T")

_LATE_S = 1.0  # how long the system may take to bring a thread to life
_LATE_LOOKS = 100


@dataclass(slots=True)
class Sent(Generic[T]):
    """The first step of a task, for which no thread has to wait. Both are called by the coordinator.

    `submit` sends a request on its way, or raises a signal; `take` is given what came of it, and returns the result of
    the task, or None: then the task is run.
    """

    submit: Callable[[Reply], None]
    take: Callable[[Outcome], T | None]


@dataclass(slots=True, eq=False)
class Task(Generic[T]):
    """`run` is called in any thread. `held_bytes` is what it keeps in memory until it is done.

    With `sent`, and where there are threads, it begins with that, and `outcome` is there once its request is answered.
    """

    run: Callable[[], T]
    size_bytes: int
    held_bytes: int = 0
    error: BaseException | None = None
    began_s: float = 0.0
    sent: Sent[T] | None = None
    outcome: Outcome | None = None


class Crew(ABC, Generic[T]):
    """Who carries tasks out."""

    @abstractmethod
    def start(self, task: Task[T]) -> None:
        """Begin a task."""

    @abstractmethod
    def next_done(self) -> tuple[Task[T], T | None]:
        """Wait for the next task that ended: what it returned, or None and its `error`. One must be under way.

        One with `sent` has its `outcome` only, and goes on when it is started without.
        """

    @abstractmethod
    def has_done(self) -> bool:
        """Whether `next_done` would not wait."""

    @abstractmethod
    def join(self) -> list[tuple[Task[T], T | None]]:
        """Wait until nothing is at work, let the threads go, and return what nobody has asked `next_done` for."""


class Inline(Crew[T]):
    """The coordinator itself, one task after the other: for who wants no threads, or a known order."""

    def __init__(self) -> None:
        self._done: list[tuple[Task[T], T | None]] = []

    def start(self, task: Task[T]) -> None:
        task.sent = None  # there is nobody to do anything else meanwhile
        try:
            self._done.append((task, task.run()))
        except Exception as exc:  # noqa: BLE001 - handed on by next_done
            task.error = exc
            self._done.append((task, None))
        finally:
            del task  # its error knows this frame: a cycle that would keep what the task holds

    def next_done(self) -> tuple[Task[T], T | None]:
        return self._done.pop(0)

    def has_done(self) -> bool:
        return bool(self._done)

    def join(self) -> list[tuple[Task[T], T | None]]:
        done, self._done = self._done, []
        return done


class Threads(Crew[T]):
    """A thread for each task under way, started when first needed; fewer where the system gives no more.

    They are daemons, because an interpreter that exits with a writer still open must not wait for it for ever; who
    uses them joins them.
    """

    def __init__(self) -> None:
        self._todo: queue.SimpleQueue[Task[T] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Task[T], T | None]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._under_way = 0  # in threads
        self._replies: dict[Task[T], Reply] = {}

    def start(self, task: Task[T]) -> None:
        if task.sent is not None:
            self._submit(task, task.sent)
            return
        self._under_way += 1
        if self._under_way > len(self._threads):
            thread = threading.Thread(
                target=_work, args=(self._todo, self._done), name="storage-guard-part", daemon=True
            )
            # Before it starts: Ctrl-C may come while it does, and then it must be known to `join`.
            self._threads.append(thread)
            try:
                thread.start()
            except RuntimeError:  # this process may have no more threads: those that are there will do
                self._threads.pop()
        if self._threads:
            self._todo.put(task)
        else:
            _carry_out(task, self._done)

    def _submit(self, task: Task[T], sent: Sent[T]) -> None:
        # Into the one queue that is there now: `join` looks for no answer to what it has called off.
        reply = Reply(partial(_answered, task, self._done))
        self._replies[task] = reply  # first: Ctrl-C may come while it is sent
        try:
            sent.submit(reply)
        except Exception as exc:  # noqa: BLE001 - the task is told
            _answered(task, self._done, reply, partial(_raise, exc))

    def next_done(self) -> tuple[Task[T], T | None]:
        done = self._done.get()
        if done[0].sent is None:
            self._under_way -= 1
        else:
            self._replies.pop(done[0], None)
        return done

    def has_done(self) -> bool:
        return not self._done.empty()

    def join(self) -> list[tuple[Task[T], T | None]]:
        for task, reply in self._replies.items():
            outcome = reply.call_off()
            if outcome is not None:
                task.outcome = outcome
        self._todo.put(None)
        for thread in self._threads:
            # A crew that is dropped may be collected by one of its own threads.
            if thread is not threading.current_thread():
                _join(thread)
        self._threads.clear()
        self._todo = queue.SimpleQueue()  # the None is still in the old one
        self._under_way = 0
        done: list[tuple[Task[T], T | None]] = []
        for task in self._replies:
            # Not by counting what comes out of the queue: something may have come out that Ctrl-C has taken away.
            while task.outcome is None:
                done.append(self._done.get())
        while not self._done.empty():
            done.append(self._done.get())
        done = [each for each in done if each[0].sent is None] + [(task, None) for task in self._replies]
        self._replies = {}
        self._done = queue.SimpleQueue()
        return done


def _answered(
    task: Task[T], done: queue.SimpleQueue[tuple[Task[T], T | None]], _reply: Reply, outcome: Outcome
) -> None:
    task.outcome = outcome
    done.put((task, None))


def _raise(error: Exception) -> NoReturn:
    raise error


def _join(thread: threading.Thread) -> None:
    """Wait for it to end. One whose start was interrupted may come to life a moment later, or never.

    A late one finds no task: its crew's other threads end only when all tasks are taken, and without others there was
    none.
    """
    never = threading.Event()
    for _ in range(_LATE_LOOKS):
        try:
            thread.join()
            return
        except RuntimeError:  # not started, or not yet
            never.wait(_LATE_S / _LATE_LOOKS)


def _work(todo: queue.SimpleQueue[Task[T] | None], done: queue.SimpleQueue[tuple[Task[T], T | None]]) -> None:
    while True:
        task = todo.get()
        if task is None:
            todo.put(None)  # for the next one
            return
        _carry_out(task, done)
        del task  # else what it holds lives until the next one comes


def _carry_out(task: Task[T], done: queue.SimpleQueue[tuple[Task[T], T | None]]) -> None:
    result = None
    try:
        result = task.run()
    except BaseException as exc:  # noqa: BLE001 - the coordinator decides
        task.error = exc
    done.put((task, result))


def beside(crew: Crew[T], run: Callable[[], T], meanwhile: Callable[[Callable[[], bool]], object]) -> None:
    """Have `crew`, which has nothing else to do, carry out `run`, and call `meanwhile(done)` here, until both end.

    Raises what either raises; nothing runs on then.
    """
    try:
        try:
            crew.start(Task(run, 0))
            meanwhile(crew.has_done)
            task = crew.next_done()[0]
        finally:
            crew.join()
    finally:
        crew.join()  # Ctrl-C may have come while the other one waited
    error, task.error = task.error, None
    if error is not None:
        try:
            raise error
        finally:
            del error  # it knows this frame: a cycle


class Lanes(Generic[T]):
    """At most `concurrency.allowed` tasks are under way, and they hold at most `memory_bytes` (None: no bound).

    `took` is told each result, in the coordinator's thread and in the order in which they come. `flush` is that of the
    driver, where tasks are `Sent`.
    """

    def __init__(
        self,
        crew: Crew[T],
        concurrency: Concurrency,
        clock: Clock,
        took: Callable[[T], None],
        *,
        memory_bytes: int | None = None,
        flush: Callable[[], None] | None = None,
    ) -> None:
        self.concurrency = concurrency
        self.failure: BaseException | None = None
        self._crew = crew
        self._clock = clock
        self._took = took
        self._memory_bytes = memory_bytes
        self._flush = flush
        self._under_way = 0
        self._held_bytes = 0
        self._stopping = False  # no Event: Ctrl-C can leave its lock taken for ever
        self._busy: deque[float] = deque()

    @property
    def stopping(self) -> bool:
        """Whether tasks should give up. Asked by tasks, in their threads."""
        return self._stopping

    def room(self, held_bytes: int = 0) -> bool:
        """Wait until one more task may begin that will hold `held_bytes`; False if one has failed: begin no more."""
        while self.failure is None and self._under_way and not self._fits(held_bytes):
            self.take_one()
        return self.failure is None

    @property
    def under_way(self) -> int:
        """How many tasks were begun, and not taken yet."""
        return self._under_way

    def may_start(self) -> bool:
        """Whether there is room for a task that holds nothing."""
        return not self._under_way or self._fits(0)

    def start(self, task: Task[T]) -> None:
        """Begin a task for which there is `room`."""
        task.began_s = self._clock.now_s()
        self.concurrency.began(task.began_s)
        self._under_way += 1
        self._held_bytes += task.held_bytes
        self._crew.start(task)

    def drain(self) -> bool:
        """Wait for all tasks; False if one has failed. After a failure the others are told to stop."""
        while self._under_way:
            self.take_one()
        return self.failure is None

    def busy(self, sent_s: float) -> None:
        """The store said Busy to a request that was sent at `sent_s`. Called by tasks, in their threads."""
        self._busy.append(sent_s)

    def stop(self) -> None:
        """Tell all tasks to give up, and wait until they have. What they raise for it is no failure.

        Counts nothing, because Ctrl-C may have come between a result and its being counted.
        """
        self._stopping = True
        self._took_all(self._crew.join())
        self._took_all(self._crew.join())  # of those that went on when their answers were there
        self._under_way = self._held_bytes = 0
        self.concurrency.idle()

    def _took_all(self, ended: list[tuple[Task[T], T | None]]) -> None:
        for task, found in ended:
            result = found if task.sent is None else self._take(task, task.sent)
            if result is not None:
                self._took(result)

    def go_on(self) -> None:
        """After a stop: begin anew."""
        self.failure = None
        self._stopping = False

    def _fits(self, held_bytes: int) -> bool:
        if self._under_way >= self.concurrency.allowed:
            return False
        return self._memory_bytes is None or self._held_bytes + held_bytes <= self._memory_bytes

    def take_done(self) -> None:
        """Take the results that are there, without waiting."""
        while self._under_way and self._crew.has_done():
            self.take_one()

    def flush(self) -> None:
        """Before anything is waited for: what was sent on its way goes out."""
        if self._flush is not None:
            self._flush()

    def take_one(self) -> None:
        """Wait for the next task that ends, or go on with the next one that was answered. One must be under way."""
        if self._flush is not None and not self._crew.has_done():
            self._flush()
        task, result = self._crew.next_done()
        if task.sent is not None:
            result = self._take(task, task.sent)
            if result is None and task.error is None:
                return
        self._under_way -= 1
        self._held_bytes -= task.held_bytes
        now_s = self._clock.now_s()
        while self._busy:
            self.concurrency.busy(self._busy.popleft(), now_s, self._under_way)
        if task.error is None and task.size_bytes:
            self.concurrency.done(task.size_bytes, now_s)
        if not self._under_way:
            self.concurrency.idle()
        if task.error is None:
            if result is not None:
                self._took(result)
            return
        error, task.error = task.error, None
        try:
            self._fail(error)
        finally:
            del error  # as above

    def _take(self, task: Task[T], sent: Sent[T]) -> T | None:
        """What a task that was answered comes to; None if it has failed, or goes on."""
        outcome, task.sent, task.outcome = task.outcome, None, None
        if outcome is None:
            raise AssertionError("it was not answered")
        try:
            result = sent.take(outcome)
        except Exception as exc:  # noqa: BLE001 - judged with those of all tasks
            task.error = exc
            return None
        if result is None:
            self._crew.start(task)
        return result

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
        self._stopping = True
        try:
            if not isinstance(error, Exception):
                raise error  # somebody wants the whole program to stop
        finally:
            del error
