"""A store at the end of a link, in virtual time: the engine itself runs on it, and a gigabyte takes milliseconds.

A request takes one latency, and then its bytes at a fair share of the link. Each task of a crew has a thread, but only
one thread runs at any time: who has to wait hands the turn on, and when nobody can go on, the clock jumps to the next
event. So a run is the same every time, and nothing in it is as slow as it says.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import mmap
import random
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from unittest import mock

from storage_guard import Store
from storage_guard.driver import Body, Busy, Limits, ObjectInfo, Part, PartSlot, WriteMeta
from storage_guard.engine.lanes import Crew, Task
from storage_guard.memory import MemoryDriver
from storage_guard.model import KiB

T = TypeVar("T")


@dataclass(frozen=True)
class Road:
    """How far and how wide: seconds for an answer, bytes a second over one connection and over all of them, and how
    many requests the store serves at a time before it says Busy."""

    latency_s: float
    connection_rate: float
    total_rate: float
    connections: int | None = None

    def least_s(self, size_bytes: int, most: int) -> float:
        """How long an object takes at best: its bytes, and the latencies of begin, a part and finish."""
        lanes = min(most, self.connections or most)
        return size_bytes / min(self.total_rate, self.connection_rate * lanes) + 3 * self.latency_s


class Actor:
    """Something that can wait."""

    def __init__(self) -> None:
        self.turn = threading.Semaphore(0)


class Link:
    """Time and the wire. Also the engine's clock."""

    def __init__(self, road: Road, seed: int = 0) -> None:
        self.road = road
        self.most_open = 0
        self.answers_busy = 0
        self.open_s: dict[int, float] = {}  # how long so many requests were open
        self._random = random.Random(seed)
        self._now_s = 0.0
        self._running = Actor()
        self._ready: deque[Actor] = deque()
        self._timers: list[tuple[float, int, Actor]] = []
        self._order = itertools.count()
        self._flows: dict[Actor, float] = {}
        self._open = 0

    # A clock

    def now_s(self) -> float:
        return self._now_s

    def sleep(self, seconds: float, /) -> None:
        heapq.heappush(self._timers, (self._now_s + seconds, next(self._order), self._running))
        self.wait()

    def chance(self) -> float:
        return self._random.random()

    # A wire

    def request(self, size_bytes: int) -> None:
        """Send so many bytes and have the answer. Raises Busy when too many others do."""
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        try:
            refused = self.road.connections is not None and self._open > self.road.connections
            self.sleep(self.road.latency_s)
            if refused:
                self.answers_busy += 1
                raise Busy("too many at once")
            if size_bytes:
                self._flows[self._running] = float(size_bytes)
                self.wait()
        finally:
            self._open -= 1

    # Turns

    @property
    def running(self) -> Actor:
        """Whose turn it is."""
        return self._running

    def wake(self, actor: Actor) -> None:
        """It can go on."""
        self._ready.append(actor)

    def wait(self) -> None:
        """Let others have the turn, until somebody wakes us."""
        me = self._running
        self.leave()
        me.turn.acquire()

    def leave(self) -> None:
        """Hand the turn on for good."""
        while not self._ready:
            self._jump()
        self._running = self._ready.popleft()
        self._running.turn.release()

    def _jump(self) -> None:
        """To the next moment at which somebody can go on."""
        rate = min(self.road.connection_rate, self.road.total_rate / max(1, len(self._flows)))
        ends_s = [self._now_s + min(self._flows.values()) / rate] if self._flows else []
        ends_s += [self._timers[0][0]] if self._timers else []
        assert ends_s, "everybody waits, and for nothing"
        passed_s = min(ends_s) - self._now_s
        self.open_s[self._open] = self.open_s.get(self._open, 0.0) + passed_s
        self._now_s = min(ends_s)
        for actor in list(self._flows):
            self._flows[actor] -= rate * passed_s
            if self._flows[actor] < 1e-3:  # of a byte
                del self._flows[actor]
                self.wake(actor)
        while self._timers and self._timers[0][0] <= self._now_s:
            self.wake(heapq.heappop(self._timers)[2])


class LinkCrew(Crew[T]):
    """Tasks that take their time on a link. The coordinator's thread is one actor, each task another."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._done: deque[tuple[Task[T], T | None]] = deque()
        self._threads: list[threading.Thread] = []
        self._under_way = 0
        self._waiting: Actor | None = None

    def start(self, task: Task[T]) -> None:
        self._under_way += 1
        actor = Actor()
        thread = threading.Thread(target=self._work, args=(actor, task), daemon=True)
        thread.start()
        self._threads.append(thread)
        self._link.wake(actor)

    def _work(self, actor: Actor, task: Task[T]) -> None:
        actor.turn.acquire()
        result = None
        try:
            result = task.run()
        except BaseException as exc:  # noqa: BLE001 - as `lanes.Threads` does
            task.error = exc
        self._under_way -= 1
        self._done.append((task, result))
        if self._waiting is not None:
            self._link.wake(self._waiting)
            self._waiting = None
        self._link.leave()

    def next_done(self) -> tuple[Task[T], T | None]:
        while not self._done:
            self._wait()
        return self._done.popleft()

    def has_done(self) -> bool:
        return bool(self._done)

    def join(self) -> list[tuple[Task[T], T | None]]:
        while self._under_way:
            self._wait()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        done = list(self._done)
        self._done.clear()
        return done

    def _wait(self) -> None:
        self._waiting = self._link.running
        self._link.wait()


class LinkDriver(MemoryDriver):
    """A store that takes time and keeps no bytes."""

    def __init__(self, link: Link, limits: Limits) -> None:
        super().__init__(limits=limits)
        self._link = link
        self.part_sizes: list[int] = []
        self.most_held_bytes = 0  # of a stream: read, and not arrived yet
        self._open: dict[str, str] = {}

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        self._link.request(body.size_bytes)
        return _info(key, body.size_bytes, meta)

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        self._link.request(0)
        upload_id = super().begin(key, meta)
        self.part_sizes.clear()
        self._open[upload_id] = key
        return upload_id

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        assert self._open[upload_id] == key
        self._link.request(body.size_bytes)
        self.part_sizes.append(body.size_bytes)
        return Part(slot, f"etag {slot.number}")

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        self._link.request(0)
        assert self._open.pop(upload_id) == key
        assert [part.slot.number for part in parts] == list(range(1, len(self.part_sizes) + 1))
        return _info(key, sum(part.slot.size_bytes for part in parts), meta)

    def head(self, key: str, /) -> ObjectInfo | None:
        self._link.request(0)
        return super().head(key)


def _info(key: str, size_bytes: int, meta: WriteMeta) -> ObjectInfo:
    return ObjectInfo(key, size_bytes, "etag", datetime(2000, 1, 1, tzinfo=UTC), write_id=meta.write_id)


@contextlib.contextmanager
def on(link: Link) -> Generator[None]:
    """The engine's threads live on the link."""

    class Threads(LinkCrew[T]):
        def __init__(self) -> None:
            super().__init__(link)

    with (
        mock.patch("storage_guard.engine.sending.Threads", Threads),
        mock.patch("storage_guard.engine.creation.Threads", Threads),
    ):
        yield


def create_stream(
    link: Link, size_bytes: int, limits: Limits, *, memory_bytes: int, source_rate: float | None = None
) -> LinkDriver:
    """The same of a stream, whose length only its end tells. Reading it takes no time, or goes at `source_rate` bytes
    a second, in the thread that writes."""
    driver = LinkDriver(link, limits)
    piece = bytes(256 * KiB)

    def pieces() -> Iterator[bytes]:
        for number in range(1, size_bytes // len(piece) + 1):
            if source_rate is not None:
                link.sleep(len(piece) / source_rate)
            driver.most_held_bytes = max(driver.most_held_bytes, number * len(piece) - sum(driver.part_sizes))
            yield piece

    with on(link), Store(driver, clock=link, memory_bytes=memory_bytes) as store:
        receipt = store.create("k", pieces())
    assert receipt.size_bytes == size_bytes == sum(driver.part_sizes)
    return driver


def create(link: Link, size_bytes: int, limits: Limits, *, in_flight: int | None = None) -> LinkDriver:
    """Create one object of that size over the link; `link.now_s` tells how long it took."""
    driver = LinkDriver(link, limits)
    data = mmap.mmap(-1, size_bytes)
    with on(link), Store(driver, clock=link, in_flight=in_flight) as store:
        receipt = store.create("k", data)
    data.close()
    assert receipt.size_bytes == size_bytes == sum(driver.part_sizes)
    return driver
