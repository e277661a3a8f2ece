"""The parts of one upload on their way: side by side, each repeated until its time is up, and joined at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from storage_guard import answers, log, signals
from storage_guard.clock import Clock
from storage_guard.driver import Driver
from storage_guard.engine.concurrency import MOST, START, Concurrency
from storage_guard.engine.lanes import Inline, Lanes, Task, Threads
from storage_guard.engine.payload import DataFailed, Piece, Pieces
from storage_guard.engine.resolve import Glance
from storage_guard.model import Part
from storage_guard.outcome import Answer
from storage_guard.plan import DEFAULT_MEMORY_BYTES
from storage_guard.retry import Patience

Progress = Callable[[int, int | None], None]
Look = Callable[[], Glance]

_CORRUPT_TRIES = 3  # a line damages a part now and then; what damages it every time will not stop
_LOOK_EVERY_S = 10.0  # for how long a rival that has the key already can make us send in vain


@dataclass(frozen=True)
class Bounds:
    """`in_flight`: how many parts at once, None for as many as pay; 1 uses no threads. `memory_bytes`: what the parts
    on their way may hold together. `start`: how many parts at once before it is known what pays."""

    in_flight: int | None = None
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    start: int = START

    @property
    def at_first(self) -> int:
        """How many parts go out before the first answer."""
        return min(self.in_flight or MOST, self.start)


class Tally:
    """Adds up what the requests of a write have done, and tells the caller: in whole, never backwards, one call at a
    time. Called by all threads."""

    def __init__(self, progress: Progress | None, total_bytes: int | None) -> None:
        self._progress = progress
        self._total_bytes = total_bytes
        self._lock = threading.Lock()
        self._done: dict[int, int] = {}
        self._sum_bytes = 0
        self._told_bytes = -1

    @property
    def told(self) -> bool:
        """Whether anybody is."""
        return self._progress is not None

    def anew(self, have: Collection[Part] = ()) -> None:
        """All requests are made again, but for the parts that the store has. What was told is not taken back."""
        with self._lock:
            self._done = {part.slot.number: part.slot.size_bytes for part in have}
            self._sum_bytes = sum(self._done.values())
        if have:
            self.watch(0, 0)  # no request has this number: it tells of what is there

    def watch(self, number: int, done_bytes: int) -> None:
        """Request `number` has done so much. Raises what the caller's function raises."""
        if self._progress is None:
            return
        with self._lock:
            more_bytes = done_bytes - self._done.get(number, 0)
            if more_bytes > 0:
                self._done[number] = done_bytes
                self._sum_bytes += more_bytes
            if self._sum_bytes > self._told_bytes:
                self._told_bytes = self._sum_bytes
                self._progress(self._sum_bytes, self._total_bytes)


class PartFailed(Exception):
    """A part could not be sent: what that means to the write, and the trouble."""

    def __init__(self, answer: Answer, trouble: Exception) -> None:
        super().__init__(str(trouble))
        self.answer = answer
        self.trouble = trouble


class Stopped(Exception):
    """Another part failed, or the caller has had enough."""


class _Arrived:
    """What the requests brought. Apart from `Sending`, because a cycle of references would keep the caller's buffer
    exported until the next garbage collection."""

    def __init__(self, have: Collection[Part], patience: Patience) -> None:
        self.parts = {part.slot.number: part for part in have}
        self.rival: Glance | None = None
        self.looking = False
        self._patience = patience

    def take(self, result: Part | Glance) -> None:
        if isinstance(result, Part):
            self.parts[result.slot.number] = result
            self._patience.progress()
            return
        self.looking = False
        if result.taken:
            self.rival = result


class Sending:
    """Sends the parts of an upload. One thread, the coordinator, calls its methods.

    `look` asks who has the key, so that a rival is noticed before everything has been sent: then `rival` is set.
    `throttled` is told when a part was sent to which the store said Busy.
    `parts` are those that the store has, `trouble` is why it failed.
    """

    def __init__(
        self,
        driver: Driver,
        key: str,
        upload_id: str,
        *,
        clock: Clock,
        patience: Patience,
        bounds: Bounds,
        tally: Tally,
        look: Look,
        have: Collection[Part] = (),
        throttled: Callable[[float], None] | None = None,
    ) -> None:
        self.trouble: BaseException | None = None
        self.rival: Glance | None = None
        self._arrived = _Arrived(have, patience)
        self._driver = driver
        self._key = key
        self._upload_id = upload_id
        self._clock = clock
        self._patience = patience
        self._tally = tally
        self._look = look
        self._throttled = throttled
        self._inline = bounds.in_flight == 1
        self._lanes: Lanes[Part | Glance] = Lanes(
            Inline() if self._inline else Threads(),
            Concurrency(most=bounds.in_flight or MOST, start=bounds.start),
            clock,
            self._arrived.take,
            memory_bytes=bounds.memory_bytes,
        )
        self._put_back: Piece | None = None
        self._sent = 0
        self._looked_s = clock.now_s()

    @property
    def parts(self) -> dict[int, Part]:
        return self._arrived.parts

    def send(self, pieces: Pieces) -> Answer:
        """Send what is left of `pieces`; where it stopped before, it goes on."""
        put_back, self._put_back = self._put_back, None
        if put_back is not None and not self.offer(put_back):
            return self.finish()
        while True:
            if not self._lanes.room(pieces.next_held_bytes()):
                return self.finish()
            try:
                piece = pieces.next()
            except Exception as exc:  # noqa: BLE001 - a caller's data may raise anything; the verdict raises it again
                self._lanes.stop()
                self.trouble = exc
                return Answer.REFUSED
            if piece is None:
                return self.finish()
            if not self.offer(piece):
                return self.finish()
            del piece  # or its bytes are held while the next ones are read

    def offer(self, piece: Piece) -> bool:
        """Send one part, when there is room; False if there is no use in it any more: `finish` tells why."""
        if piece.slot.number in self.parts:
            self._tally.watch(piece.slot.number, piece.slot.size_bytes)
            return True
        if not self._lanes.room(piece.held_bytes) or self._rival_came(piece):
            self._put_back = piece
            return False
        self._sent += 1
        self._lanes.start(Task(partial(self._send, piece), piece.slot.size_bytes, piece.held_bytes))
        return True

    def finish(self) -> Answer:
        """Wait for all that were offered: DONE, or what stopped them. Nothing is on its way when this returns."""
        self._lanes.drain()
        failure = self._lanes.failure
        self.stop()
        if isinstance(failure, PartFailed):
            self.trouble = failure.trouble
            return failure.answer
        if failure is not None:
            try:
                raise failure
            finally:
                del failure
        self.rival, self._arrived.rival = self._arrived.rival, None
        if self.rival is not None:
            return self.rival.answer
        self._patience.progress()
        return Answer.DONE

    def stop(self) -> None:
        """Give up what is on its way, and wait until it has been given up."""
        self._lanes.stop()
        self._lanes.go_on()

    def _rival_came(self, piece: Piece) -> bool:
        """Whether somebody has the key by now. Asked beside the parts, now and then, and once more before the last."""
        if piece.last and self._sent and not self._all_at_once():
            self._begin_look()
            while self._arrived.looking and self._lanes.failure is None:
                self._lanes.take_one()
        elif self._clock.now_s() - self._looked_s > _LOOK_EVERY_S:
            self._begin_look()
        return self._arrived.rival is not None

    def _all_at_once(self) -> bool:
        """Whether all parts so far went out together, so that no rival can have come meanwhile."""
        return not self._inline and self._sent < self._lanes.concurrency.allowed

    def _begin_look(self) -> None:
        if not self._arrived.looking:
            self._arrived.looking = True
            self._looked_s = self._clock.now_s()
            self._lanes.start(Task(self._look, 0))

    def _send(self, piece: Piece) -> Part:
        """In any thread: send one part until the store has it."""
        patience = self._patience.beside()
        stopped = None if self._inline else lambda: self._lanes.stopping
        corrupt = 0
        while True:
            sent_s = self._clock.now_s()
            try:
                part = piece.send(
                    self._driver, self._key, self._upload_id, lambda done: self._watch(piece.slot.number, done)
                )
                patience.progress()
                return part
            except DataFailed as failed:
                raise PartFailed(Answer.REFUSED, failed.trouble) from failed
            except signals.Signal as signal:
                answer = answers.answer_for(signal)
                if isinstance(signal, signals.Busy):
                    self._lanes.busy(sent_s)
                    if self._throttled is not None:
                        self._throttled(sent_s)
                again = answer in (Answer.LOST, Answer.BUSY, Answer.CONFLICT)
                if isinstance(signal, signals.Corrupt):
                    corrupt += 1
                    again = corrupt < _CORRUPT_TRIES
                if again:
                    log.troubled(self._driver.location.url(self._key), f"part {piece.slot.number}", signal)
                if again and patience.wait(answers.asked_s(signal), stopped=stopped):
                    continue
                gone = answer in (Answer.GONE, Answer.GONE_SOLE)
                raise PartFailed(answer if gone else Answer.REFUSED, signal) from signal

    def _watch(self, number: int, done_bytes: int) -> None:
        if self._lanes.stopping or self._patience.over:
            raise Stopped("the call that it belongs to was ended")
        self._tally.watch(number, done_bytes)
