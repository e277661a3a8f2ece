"""What an object is made of, and which requests carry it: the caller's bytes, or another object on the same service."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from storage_guard import signals
from storage_guard.body import Body, WatchedBody
from storage_guard.checksum import Crc64
from storage_guard.driver import Driver
from storage_guard.engine.source import Source
from storage_guard.errors import NotWritten
from storage_guard.model import MiB, ObjectInfo, ObjectRef, Part, PartSlot, WriteMeta
from storage_guard.plan import StreamPlan, slots

_T = TypeVar("_T")

_QUICK_BYTES = 64 * MiB  # a ticket may be wanted while Ctrl-C is on its way out: no long reading then

Watch = Callable[[int], None]
"""Called with how many bytes of a request are done; what it raises ends the request."""


def unwatched(_done_bytes: int) -> None:
    """Nobody wants to know."""


class DataFailed(signals.Definite):
    """The caller's own data raised while it was read; `trouble` is what it raised."""

    def __init__(self, trouble: Exception) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Piece:
    """One part, ready to be sent, as often as it takes: `send(driver, key, upload_id, watch)`. `held_bytes` is what it
    keeps in memory."""

    slot: PartSlot
    held_bytes: int
    last: bool
    send: Callable[[Driver, str, str, Watch], Part]


class Pieces(ABC):
    """The parts of one pass over a payload, in order."""

    @abstractmethod
    def next_held_bytes(self) -> int:
        """What the next piece will keep in memory, at most."""

    @abstractmethod
    def next(self) -> Piece | None:
        """The next piece, None behind the last. May read the caller's data, and raise what that raises."""


class Payload(ABC):
    """What becomes the object."""

    @property
    @abstractmethod
    def size_bytes(self) -> int | None:
        """None when only the end tells."""

    @property
    @abstractmethod
    def rewindable(self) -> bool:
        """Whether all of it can be sent a second time in parts."""

    @abstractmethod
    def put(self, driver: Driver, key: str, meta: WriteMeta, watch: Watch) -> ObjectInfo:
        """All of it in one request."""

    @abstractmethod
    def pieces(self) -> Pieces:
        """All of it in parts, from the first; asked again only where `rewindable`."""

    def ahead(self) -> StreamPieces | None:
        """The pieces that `pieces` will return, where it takes its time to read them; None from the second call on."""
        return None

    def let_go(self) -> None:  # noqa: B027 - most hold nothing
        """`pieces` will not be called any more: hold nothing for it."""

    @abstractmethod
    def digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        """Size and checksum of all the bytes, None where they cannot be had. Uses up what is left of a stream."""

    def quick_digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        """The same, None where it would take long: a stream has been read to its end before its commit."""
        size_bytes = self.size_bytes
        return None if size_bytes is not None and size_bytes > _QUICK_BYTES else self.digest(algorithm)


class KnownPieces(Pieces):
    """Of a size that is known. `held` says what a part of some size keeps in memory, `cut` what sends one."""

    def __init__(self, size_bytes: int, part_bytes: int, held: Callable[[int], int], cut: Cut) -> None:
        self._size_bytes = size_bytes
        self._slots = slots(size_bytes, part_bytes)
        self._part_bytes = part_bytes
        self._held = held
        self._cut = cut

    def next_held_bytes(self) -> int:
        return self._held(self._part_bytes)

    def next(self) -> Piece | None:
        slot = next(self._slots, None)
        if slot is None:
            return None
        last = slot.offset_bytes + slot.size_bytes == self._size_bytes
        return Piece(slot, self._held(slot.size_bytes), last, self._cut(slot))


Cut = Callable[[PartSlot], Callable[[Driver, str, str, Watch], Part]]


class KnownData(Payload):
    """The caller's bytes, of a size that is known. `part_bytes` None: one request."""

    def __init__(self, source: Source, size_bytes: int, part_bytes: int | None) -> None:
        self._source = source
        self._size_bytes = size_bytes
        self._part_bytes = part_bytes

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def rewindable(self) -> bool:
        return self._source.rewindable

    def put(self, driver: Driver, key: str, meta: WriteMeta, watch: Watch) -> ObjectInfo:
        body = self._source.take(0, self._size_bytes)
        if watch is unwatched and not self._source.window_bytes:  # nothing has to be read, so nothing can fail
            return driver.put_new(key, body, meta)
        return _watched(body, watch, lambda body: driver.put_new(key, body, meta))

    def pieces(self) -> Pieces:
        self._source.rewind()
        return KnownPieces(self._size_bytes, self._part_bytes or self._size_bytes, self._source.held_bytes, self._cut)

    def _cut(self, slot: PartSlot) -> Callable[[Driver, str, str, Watch], Part]:
        return sender(slot, self._source.take(slot.offset_bytes, slot.size_bytes))

    def digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        return self._source.digest(algorithm)


class SmallStream(Payload):
    """A stream that came to its end within one request."""

    def __init__(self, source: Source, body: Body) -> None:
        self._source = source
        self._body = body

    @property
    def size_bytes(self) -> None:
        return None

    @property
    def rewindable(self) -> bool:
        return True

    def put(self, driver: Driver, key: str, meta: WriteMeta, watch: Watch) -> ObjectInfo:
        return _watched(self._body, watch, lambda body: driver.put_new(key, body, meta))

    def pieces(self) -> Pieces:
        raise AssertionError("it is sent in one request")

    def digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        return self._source.digest(algorithm)


class Stream(Payload):
    """Bytes that come once, in blocks of a part each. `first` was read already, to see whether there is more."""

    def __init__(self, source: Source, plan: StreamPlan, max_parts: int, first: Body, too_long: str) -> None:
        self._source = source
        self._plan = plan
        self._max_parts = max_parts
        self._too_long = too_long
        pieces = self._from_the_first(first)
        self._unasked: StreamPieces | None = pieces
        self._ahead: StreamPieces | None = pieces

    @property
    def size_bytes(self) -> None:
        return None

    @property
    def rewindable(self) -> bool:
        return self._source.rewindable

    def put(self, driver: Driver, key: str, meta: WriteMeta, watch: Watch) -> ObjectInfo:
        raise AssertionError(f"a stream of more than one part is not put whole: {driver}, {key}, {meta}, {watch}")

    def pieces(self) -> Pieces:
        pieces, self._unasked = self._unasked, None
        if pieces is None:
            self._source.rewind()
            pieces = self._from_the_first(None)
        return pieces

    def _from_the_first(self, first: Body | None) -> StreamPieces:
        return StreamPieces(self._source, self._plan, self._max_parts, first, self._too_long)

    def ahead(self) -> StreamPieces | None:
        ahead, self._ahead = self._ahead, None
        return ahead

    def let_go(self) -> None:
        if self._unasked is not None:
            self._unasked.let_go()

    def digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        return self._source.digest(algorithm)


class StreamPieces(Pieces):
    """Of a stream, from its first byte or from `first`, which was read already."""

    def __init__(self, source: Source, plan: StreamPlan, max_parts: int, first: Body | None, too_long: str) -> None:
        self._source = source
        self._plan = plan
        self._max_parts = max_parts
        self._too_long = too_long
        self._number = 0  # of the last part that was read
        self._offset_bytes = 0  # how much was read
        self._ended = False
        self._ahead = deque[Piece]() if first is None else deque([self._piece(first)])
        self._failure: Exception | None = None  # behind `_ahead`

    def next_held_bytes(self) -> int:
        return self._ahead[0].held_bytes if self._ahead else self._plan.part_bytes(self._number + 1)

    def next(self) -> Piece | None:
        if self._ahead:
            return self._ahead.popleft()
        failure, self._failure = self._failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # it knows this frame: a cycle
        return self._read()

    def read_ahead(self, parts: int, memory_bytes: int, done: Callable[[], bool]) -> bool:
        """Before the first is asked for: read at most so many, which hold at most so much, until `done`. Whether there
        was any time for it. What the caller's data raises comes out of `next`, behind what was read before."""
        began = False
        most = min(parts, self._max_parts)
        while len(self._ahead) < most and self._failure is None and not self._ended and not done():
            next_bytes = self._plan.part_bytes(self._number + 1)
            if self._offset_bytes + next_bytes > memory_bytes:
                break
            began = True
            try:
                self._source.prepare(next_bytes, done)
                piece = None if done() else self._read()
            except Exception as exc:  # noqa: BLE001 - a caller's data may raise anything; it comes when it is due
                self._failure = exc
                break
            if piece is not None:
                self._ahead.append(piece)
        return began

    def let_go(self) -> None:
        """Forget what was read ahead."""
        self._ahead.clear()

    def _read(self) -> Piece | None:
        if self._ended:
            return None
        if self._number == self._max_parts:
            if self._source.take(self._offset_bytes, 1).size_bytes:
                raise NotWritten(self._too_long)
            self._ended = True
            return None
        body = self._source.take(self._offset_bytes, self._plan.part_bytes(self._number + 1))
        if not body.size_bytes and self._number:
            self._ended = True
            return None
        return self._piece(body)

    def _piece(self, body: Body) -> Piece:
        self._number += 1
        self._ended = body.size_bytes < self._plan.part_bytes(self._number)
        slot = PartSlot(self._number, self._offset_bytes, body.size_bytes)
        self._offset_bytes += body.size_bytes
        return Piece(slot, body.size_bytes, self._ended, sender(slot, body))


class CopyPayload(Payload):
    """Another object of the same service, which copies it itself. `part_bytes` None: in one request.

    `means` gives the trouble that a signal is, where it is about the source: it ends the write like trouble of a
    caller's data, and the verdict raises it. None for a signal that is about the write.
    `known` gives the size and a checksum of the source, None where nobody wants them so much as to read it.
    """

    def __init__(
        self,
        source: ObjectRef,
        size_bytes: int,
        part_bytes: int | None,
        means: Callable[[signals.Signal], Exception | None],
        known: Callable[[Crc64], tuple[int, int] | None],
    ) -> None:
        self._source = source
        self._size_bytes = size_bytes
        self._part_bytes = part_bytes
        self._means = means
        self._known = known

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def rewindable(self) -> bool:
        return True

    def put(self, driver: Driver, key: str, meta: WriteMeta, watch: Watch) -> ObjectInfo:
        _told(watch, 0)
        # That it is done is told when it is certain: what the caller's function raises must not hide a copy.
        return self._asked(lambda: driver.copy_new(self._source, key, meta))

    def pieces(self) -> Pieces:
        return KnownPieces(self._size_bytes, self._part_bytes or self._size_bytes, lambda _: 0, self._cut)

    def _cut(self, slot: PartSlot) -> Callable[[Driver, str, str, Watch], Part]:
        def send(driver: Driver, key: str, upload_id: str, watch: Watch) -> Part:
            _told(watch, 0)
            part = self._asked(lambda: driver.copy_part(key, upload_id, slot, self._source, slot.offset_bytes))
            _told(watch, slot.size_bytes)
            return part

        return send

    def _asked(self, request: Callable[[], _T]) -> _T:
        try:
            return request()
        except signals.Definite as signal:
            trouble = self._means(signal)
            if trouble is None:
                raise
            raise DataFailed(trouble) from signal

    def digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        return self._known(algorithm)


def _told(watch: Watch, done_bytes: int) -> None:
    try:
        watch(done_bytes)
    except Exception as exc:
        raise DataFailed(exc) from exc


def sender(slot: PartSlot, body: Body) -> Callable[[Driver, str, str, Watch], Part]:
    """What sends `body` as the part `slot`, for a `Piece`."""
    return _Sender(slot, body)


@dataclass(frozen=True, slots=True)
class _Sender:
    """No closure: a frame of one, in the traceback of an error that somebody keeps, would hold the body for ever."""

    slot: PartSlot
    body: Body

    def __call__(self, driver: Driver, key: str, upload_id: str, watch: Watch) -> Part:
        return _watched(self.body, watch, lambda body: driver.put_part(key, upload_id, self.slot, body))


def _watched(body: Body, watch: Watch, request: Callable[[Body], _T]) -> _T:
    watched = WatchedBody(body, watch)
    try:
        return request(watched)
    except Exception as exc:
        if exc is watched.failure:
            raise DataFailed(exc) from exc
        raise
    finally:
        watched.failure = None
