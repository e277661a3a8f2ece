"""Writers that are let go at one moment, with requests that lack nothing but their last byte.

A store that looks and then writes is found out only by writers that are in the gap between the two together. Threads
behind a barrier meet there seldom; requests whose last byte comes at the same moment meet there nearly always.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from storage_guard.body import WINDOW_BYTES

T = TypeVar("T")


class Holding:
    """Where contenders wait for each other: at stage 0 before they begin, at stage n before the last byte of the n-th
    time that their body is read.

    A stage opens, for good, when all that are still under way have come to it, or `together` of them; and when nobody
    came for `hold_s` seconds, because a driver may have fewer connections than there are contenders.
    """

    def __init__(self, contenders: int, *, hold_s: float, together: int | None = None) -> None:
        self._hold_s = hold_s
        self._together = together or contenders
        self._reached = dict.fromkeys(range(contenders), -1)  # of those under way
        self._room = threading.Condition()
        self._open = -1  # the last stage that nobody waits at any more
        self._came_s = time.monotonic()
        self.stages = 0  # how often a body was read, at most
        self.most = 0  # that were held before their last byte together
        self.gave_up = False  # somebody was let go because nobody else came

    def come(self, who: int, stage: int) -> None:
        with self._room:
            if who in self._reached:
                self._reached[who] = max(stage, self._reached[who])
            self._came_s = time.monotonic()
            self.stages = max(self.stages, stage)
            if stage and stage > self._open:
                self.most = max(self.most, self._waiting(stage))
            self._look(stage)
            while stage > self._open:
                left_s = self._came_s + self._hold_s - time.monotonic()
                if left_s <= 0:
                    self.gave_up = self.gave_up or stage > 0
                    self._let_go(stage)
                else:
                    self._room.wait(left_s)

    def leave(self, who: int) -> None:
        """It has its answer, and comes no more."""
        with self._room:
            self._reached.pop(who, None)
            if self._reached:
                self._look(min(self._reached.values()))

    def let_all_go(self) -> None:
        with self._room:
            self._hold_s = 0.0
            self._room.notify_all()

    def _waiting(self, stage: int) -> int:
        return sum(reached >= stage for reached in self._reached.values())

    def _look(self, stage: int) -> None:
        # Before they begin nobody needs a connection: all are waited for.
        wanted = len(self._reached) if stage == 0 else min(len(self._reached), self._together)
        if stage > self._open and self._waiting(stage) >= wanted:
            self._let_go(stage)

    def _let_go(self, stage: int) -> None:
        self._open = max(self._open, stage)
        self._room.notify_all()


class HeldBody:
    """Bytes whose last one waits until `come(pass)` returns, each time that they are read."""

    def __init__(self, data: bytes, come: Callable[[int], None]) -> None:
        self._view = memoryview(data)
        self._come = come
        self._passes = 0

    @property
    def size_bytes(self) -> int:
        return self._view.nbytes

    def windows(self) -> Iterator[memoryview]:
        self._passes += 1
        stage, last = self._passes, self.size_bytes - 1
        for start in range(0, last, WINDOW_BYTES):
            yield self._view[start : min(start + WINDOW_BYTES, last)]
        self._come(stage)
        yield self._view[last:]


class Crew:
    """Threads that do as many things at the same time as there are of them."""

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="storage-guard-examination")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def each(self, jobs: Sequence[Callable[[], T]]) -> list[T | Exception]:
        """What each of them returned or raised, when all are done."""
        return _outcomes([self._pool.submit(job) for job in jobs])

    def race(self, holding: Holding, jobs: Sequence[Callable[[], T]]) -> list[T | Exception]:
        """The same, when all have come to stage 0. Whatever interrupts the caller lets them go."""

        def run(who: int, job: Callable[[], T]) -> T:
            try:
                holding.come(who, 0)
                return job()
            finally:
                holding.leave(who)

        try:
            return _outcomes([self._pool.submit(run, who, job) for who, job in enumerate(jobs)])
        except BaseException:
            holding.let_all_go()
            raise


def _outcomes(futures: Sequence[Future[T]]) -> list[T | Exception]:
    outcomes: list[T | Exception] = []
    for future in futures:
        try:
            outcomes.append(future.result())
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is this one's result
            outcomes.append(exc)
    return outcomes
