"""Bytes that come bit by bit, at their producer's pace, on their way into one object: cut into parts as they come."""

from __future__ import annotations

from dataclasses import dataclass

from storage_guard import outcome
from storage_guard.body import WINDOW_BYTES, BytesBody
from storage_guard.checksum import Counts, Crc64
from storage_guard.driver import Driver
from storage_guard.engine.creation import Creation, PushedCreation
from storage_guard.engine.payload import Payload, Piece, Pieces, SmallStream, Watch, sender
from storage_guard.engine.policy import Policy, Wanted
from storage_guard.engine.sending import Progress
from storage_guard.engine.source import BytesSource
from storage_guard.errors import NotWritten, StorageGuardError, ticket_of
from storage_guard.files.compression import Compressor
from storage_guard.model import Capabilities, Guarantee, ObjectInfo, PartSlot, Receipt, WriteMeta
from storage_guard.retry import Patience
from storage_guard.ticket import parse


@dataclass(frozen=True)
class Task:
    """One write, as it was asked for and allowed. `guarantee` is that of a single request."""

    policy: Policy
    wanted: Wanted
    can: Capabilities
    guarantee: Guarantee
    patience: Patience
    progress: Progress | None


class _Poured(Payload):
    """What went up in parts. It is gone, but for its checksum, and that speaks for all of it only at the end."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self.ended = False

    @property
    def size_bytes(self) -> None:
        return None

    @property
    def rewindable(self) -> bool:
        return False

    def put(self, driver: Driver, key: str, meta: WriteMeta, watch: Watch) -> ObjectInfo:
        raise AssertionError(f"parts are not put whole: {driver}, {key}, {meta}, {watch}")

    def pieces(self) -> Pieces:
        raise AssertionError("parts are pushed")

    def digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        return self.counts.of(algorithm) if self.ended else None


class Pour:
    """Takes bytes, sends each part as soon as it is full, and publishes at the end. One caller at a time.

    In memory: the part that is being filled, and what `Bounds` allows for those on their way. Less than one part is
    sent in one request, at the end; and so is everything where a finish is not guarded: then all of it is in memory, up
    to `Policy.one_request_bytes`. After an error there is nothing more to do here but `discard`.
    """

    def __init__(self, task: Task, compressor: Compressor | None) -> None:
        policy, key = task.policy, task.wanted.key
        self._task = task
        self._limits = policy.access.driver.limits
        self._plan = policy.plan_stream(key)
        self._reach_bytes = self._plan.reach_bytes(self._limits)
        self._compressor = compressor
        self._opened_s = policy.access.clock.now_s()
        self._block = bytearray()
        self._want_bytes = self._plan.part_bytes(1)
        self._in_one_request = False  # because a finish is not guarded here
        self._number = 0  # of the last part that was sent
        self._offset_bytes = 0
        self._poured = _Poured(Counts.for_comparing() if task.wanted.compares else Counts())
        self._creation: PushedCreation | None = None
        self._receipt: Receipt | None = None

    def pour(self, data: memoryview) -> None:
        """Take bytes. Raises what `create` raises, as soon as it is known, and what `progress` raises."""
        compressor = self._compressor
        if compressor is None:
            self._fill(data)
            return
        for start in range(0, data.nbytes, WINDOW_BYTES):  # a bound on what comes out at a time
            self._fill(memoryview(compressor.compress(data[start : start + WINDOW_BYTES])))

    def finish(self) -> Receipt:
        """All has been poured: publish it. Raises what `create` raises."""
        if self._compressor is not None:
            self._fill(memoryview(self._compressor.flush()))
        if self._receipt is not None:
            return self._receipt
        if self._creation is None and len(self._block) <= self._limits.max_put_bytes:
            return self._put()
        if self._block:
            self._send(last=True)
        return self._receipt or self._finish(self._upload())

    def discard(self) -> list[str]:
        """Throw away what was sent, and say what trouble there was, if any."""
        self._block = bytearray()
        creation, self._creation = self._creation, None
        if creation is None:
            return [] if self._receipt is None else list(self._receipt.notes)
        self._task.patience.progress()  # the store is asked only now
        creation.discard()
        return creation.notes

    def give_up(self, exc: BaseException) -> list[str]:
        """The same after `exc`, which may have told it already, and which may need what was sent in order to settle."""
        ticket = ticket_of(exc)
        if ticket is not None and parse(ticket).write_id == self._task.wanted.write_id:
            return []
        told = getattr(exc, "__notes__", [])
        return [note for note in self.discard() if note not in told]

    @property
    def has_sent(self) -> bool:
        """Whether the store holds something of it, so that discarding takes requests."""
        return self._creation is not None

    def _fill(self, data: memoryview) -> None:
        if self._receipt is not None:
            return  # the verdict is in: the rest does not matter
        self._check_reach(data.nbytes)
        while data.nbytes and self._receipt is None:
            taken_bytes = min(data.nbytes, self._want_bytes - len(self._block))
            self._block += data[:taken_bytes]
            data = data[taken_bytes:]
            if len(self._block) < self._want_bytes:
                continue
            if self._goes_in_parts():
                self._send(last=False)
            else:
                self._check_reach(data.nbytes)

    def _check_reach(self, more_bytes: int) -> None:
        if self._offset_bytes + len(self._block) + more_bytes <= self._reach_bytes:
            return
        policy, key = self._task.policy, self._task.wanted.key
        if self._in_one_request:
            raise policy.not_in_parts(key, self._task.can)
        raise NotWritten(policy.too_long(key, self._plan), key=key)

    def _goes_in_parts(self) -> bool:
        """Whether what has become larger than a part may: else it is kept until the end, and goes in one request."""
        policy = self._task.policy
        if self._creation is None and not policy.guards("finish", self._task.can):
            self._in_one_request = True
            self._reach_bytes = policy.one_request_bytes
            self._want_bytes = self._reach_bytes + 1
        return not self._in_one_request

    def _send(self, *, last: bool) -> None:
        """Hand the block over as a part, and begin the next one."""
        block, self._block = self._block, bytearray()
        creation = self._upload()
        self._poured.counts.update(block)
        self._number += 1
        slot = PartSlot(self._number, self._offset_bytes, len(block))
        self._offset_bytes += len(block)
        self._want_bytes = self._plan.part_bytes(self._number + 1)
        piece = Piece(slot, len(block), last, sender(slot, BytesBody(block)))
        try:
            self._receipt = creation.push(piece)
        except StorageGuardError:
            self._creation = None  # a verdict: it has cleaned up, and tells what it could not. Of others nobody knows
            raise
        if self._receipt is not None:
            self._creation = None

    def _finish(self, creation: PushedCreation) -> Receipt:
        self._poured.ended = True
        try:
            return creation.finish()  # and nothing behind it: Ctrl-C must not find the receipt on its way
        except StorageGuardError:
            self._creation = None
            raise

    def _upload(self) -> PushedCreation:
        if self._creation is not None:
            return self._creation
        task = self._task
        guarantee = task.policy.vouch("finish", task.can, task.wanted)
        task.patience.progress()  # it is the producer who let the time pass
        self._creation = PushedCreation(
            task.policy.target(task.wanted, task.can, guarantee),
            task.patience,
            self._poured,
            task.wanted.meta,
            write=self._write(multipart=True),
            bounds=task.policy.bounds,
            diary=task.policy.diary(task.wanted, task.can),
            progress=task.progress,
        )
        self._creation.began_s = self._opened_s
        return self._creation

    def _put(self) -> Receipt:
        task = self._task
        task.patience.progress()
        block, self._block = self._block, bytearray()
        creation = Creation(
            task.policy.target(task.wanted, task.can, task.guarantee),
            task.patience,
            SmallStream(BytesSource(memoryview(block)), BytesBody(block)),
            task.wanted.meta,
            multipart=False,
            bounds=task.policy.bounds,
            progress=task.progress,
        )
        creation.began_s = self._opened_s
        return creation.create(self._write(multipart=False))

    def _write(self, *, multipart: bool) -> outcome.Write:
        wanted = self._task.wanted
        return outcome.start(
            multipart=multipart, if_exists=wanted.if_exists, named=wanted.named, rewindable=not multipart
        )
