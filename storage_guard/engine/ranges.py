"""One object in pieces: side by side where that pays, in order, of no other object, and never short.

A range is cut into pieces of 4 MiB. Over a connection that is 30 ms away and moves 40 MB/s, such a request spends four
fifths of its time moving bytes, and sixteen of them fill a link of 400 MB/s with 64 MiB of memory. Smaller pieces wait
more than they move, larger ones only hold more.

Memory: `min(in_flight * 4 MiB, memory_bytes)` for the pieces that are under way or wait for their turn, never less than
one piece; and what the caller holds: all the bytes of a `read`, one piece of a `stream`. Where `memory_bytes` is below
4 MiB, pieces are as small as it is, down to 256 KiB.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Generator

from storage_guard import signals
from storage_guard.access import Access
from storage_guard.answers import asked_s
from storage_guard.engine.concurrency import MOST, START, Concurrency
from storage_guard.engine.lanes import Inline, Lanes, Task, Threads
from storage_guard.engine.sending import Bounds
from storage_guard.errors import ObjectNotFound
from storage_guard.model import KiB, MiB, ObjectInfo
from storage_guard.translate import as_error

PIECE_BYTES = 4 * MiB
LEAST_PIECE_BYTES = 256 * KiB

# A store that answers sooner is a disk, or in this machine: many threads cost it more than they bring, so it is begun
# with few, and has more as soon as they pay.
NEAR_S = 0.002
NEAR_START = 2

_Piece = tuple[int, bytes]  # where it begins in the object, and what is there


def piece_bytes(bounds: Bounds) -> int:
    """How much is asked for in one request, at most."""
    return min(PIECE_BYTES, max(LEAST_PIECE_BYTES, bounds.memory_bytes))


def pin(access: Access, bounds: Bounds, key: str) -> tuple[ObjectInfo, Pinned]:
    """The object that is at the key now, with its key in the store. Raises ObjectNotFound, and what `head` raises."""
    full_key = access.full(key)
    clock = access.clock

    def look() -> tuple[ObjectInfo | None, float]:
        asked_s = clock.now_s()
        return access.driver.head(full_key), clock.now_s() - asked_s

    info, took_s = access.patiently(look, f"{key!r} could not be read", key=key)
    if info is None:
        raise ObjectNotFound(f"{key!r} is not in {access.url}", key=key)
    pinned = Pinned(access, bounds, key, info.etag, at_first=NEAR_START if took_s < NEAR_S else START)
    return access.relative(info), pinned


def filled(size_bytes: int, fill: Callable[[memoryview], None]) -> bytes:
    """Bytes that `fill` writes, without a second copy of them."""
    out = io.BytesIO()
    if size_bytes:
        out.seek(size_bytes - 1)
        out.write(b"\0")
    with out.getbuffer() as view:
        fill(view)
    return out.getvalue()  # hands its own buffer over


class Pinned:
    """An object, told by its etag from all others that are ever at its key.

    Its methods raise ObjectChanged when another object is at the key, ObjectNotFound when none is, AccessDenied, and
    StoreUnavailable when no piece came for so long. When they raise, or are interrupted, nothing is under way any more.
    `at_first`: how many pieces to begin with at once.
    """

    def __init__(self, access: Access, bounds: Bounds, key: str, etag: str, *, at_first: int = START) -> None:
        self.access = access
        self.bounds = bounds
        self.key = key
        self.full_key = access.full(key)
        self.etag = etag
        self.at_first = at_first
        self.piece_bytes = piece_bytes(bounds)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to, not including, `stop`, which must not be behind the object's end."""
        return filled(stop - start, lambda view: self.read_into(start, view))

    def read_into(self, start: int, view: memoryview) -> None:
        """Fill `view`, a writable one of bytes, from the object's byte `start` on."""

        def took(piece: _Piece) -> None:
            at, data = piece
            view[at - start : at - start + len(data)] = data

        _Fetching(self, range(start, start + len(view), self.piece_bytes), took).all_of_them()

    def stream(self, start: int, stop: int, *, at_first: int | None = None) -> Generator[bytes, None, None]:
        """The same bytes in pieces. Nothing is asked for before the first is, and what is under way when the caller
        has had enough is waited for."""
        arrived: dict[int, bytes] = {}

        def took(piece: _Piece) -> None:
            at, data = piece
            arrived[at] = data

        fetching = _Fetching(self, range(start, stop, self.piece_bytes), took, at_first)
        return fetching.in_order(arrived)


class _Fetching:
    """The pieces of one range on their way. One thread, the coordinator, calls its methods; `took` is told there.

    It holds no cycle of references: with one, whatever `took` fills would live until the next garbage collection.
    """

    def __init__(
        self, pinned: Pinned, starts: range, took: Callable[[_Piece], None], at_first: int | None = None
    ) -> None:
        bounds = pinned.bounds
        self._pinned = pinned
        self._starts = starts
        self._clock = pinned.access.clock
        self._patience = pinned.access.patience()
        self._inline = bounds.in_flight == 1 or len(starts) == 1
        self._most = max(1, bounds.memory_bytes // pinned.piece_bytes)
        self._begun = 0
        self._lanes: Lanes[_Piece] = Lanes(
            Inline() if self._inline else Threads(),
            Concurrency(most=bounds.in_flight or MOST, start=at_first or pinned.at_first),
            self._clock,
            took,
            memory_bytes=bounds.memory_bytes,
        )

    def all_of_them(self) -> None:
        """Bring all pieces, in any order."""
        try:
            while self._begun < len(self._starts) and self._begin():
                pass
            self._lanes.drain()
            self._check()
        finally:
            self._lanes.stop()

    def in_order(self, arrived: dict[int, bytes]) -> Generator[bytes, None, None]:
        """Yield the pieces, which `took` puts into `arrived`, one after the other."""
        try:
            for number, at in enumerate(self._starts):
                while at not in arrived:
                    self._begin_up_to(number)
                    self._lanes.take_one()
                    self._check()
                if not self._inline:
                    self._begin_up_to(number + 1)  # while the caller is busy with this one
                yield arrived.pop(at)
        finally:
            self._lanes.stop()
            arrived.clear()

    def _begin_up_to(self, number: int) -> None:
        """Have as many pieces under way, or waiting for their turn, as we may, if piece `number` is the next one."""
        ahead = min(self._lanes.concurrency.allowed, self._most)
        until = min(number + ahead, len(self._starts))
        while self._begun < until and self._begin():
            pass

    def _begin(self) -> bool:
        """Begin the next piece when there is room; False if one has failed."""
        start = self._starts[self._begun]
        stop = min(start + self._pinned.piece_bytes, self._starts.stop)
        if not self._lanes.room(stop - start):
            return False
        self._begun += 1
        self._lanes.start(Task(lambda: self._fetch(start, stop), stop - start, stop - start))
        return True

    def _check(self) -> None:
        """Raise why a piece failed, when all others have been given up."""
        failure = self._lanes.failure
        if failure is None:
            return
        self._lanes.stop()
        self._lanes.go_on()
        pinned = self._pinned
        try:
            if isinstance(failure, signals.Signal):
                sentence = f"{pinned.key!r} could not be read ({pinned.access.url})"
                raise as_error(failure, sentence, key=pinned.key) from failure
            raise failure
        finally:
            del failure  # else it would hold this frame, and the frame it

    def _fetch(self, start: int, stop: int) -> _Piece:
        """In any thread: ask for one piece until it comes."""
        pinned = self._pinned
        patience = self._patience.beside()
        stopped = None if self._inline else lambda: self._lanes.stopping
        while True:
            sent_s = self._clock.now_s()
            try:
                piece = pinned.access.driver.read(pinned.full_key, start, stop, pinned.etag)
                if len(piece) != stop - start:
                    raise signals.Lost(f"{len(piece)} bytes came where {stop - start} were asked for")
            except (signals.Busy, signals.Lost) as signal:
                if isinstance(signal, signals.Busy):
                    self._lanes.busy(sent_s)
                if not patience.wait(asked_s(signal), stopped=stopped):
                    raise
            else:
                patience.progress()
                return start, piece
