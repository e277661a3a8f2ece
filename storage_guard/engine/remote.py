"""Another object as data: read through its own store, pinned, and asked for again until that store gives it.

Memory: all of a body of up to `BLOCK_BYTES`, and two such blocks of a larger one, one being sent and one being read.
Blocks are smaller, down to 256 KiB, where two of them would be more than `memory_bytes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from storage_guard import signals
from storage_guard.access import Access
from storage_guard.answers import asked_s
from storage_guard.body import WINDOW_BYTES, Body, WatchedBody
from storage_guard.checksum import Crc64, RunningCrc64, countable, crc_of
from storage_guard.driver import Driver
from storage_guard.engine.payload import DataFailed, KnownPieces, Payload, Pieces, Watch
from storage_guard.errors import ChecksumMismatch, ObjectNotFound, SourceChanged
from storage_guard.model import Checksum, MiB, ObjectInfo, ObjectRef, Part, PartSlot, WriteMeta
from storage_guard.retry import Patience
from storage_guard.translate import as_error

_T = TypeVar("_T")
BLOCK_BYTES = 8 * MiB
"""How much of the source is asked for at once: one request for most parts."""


@dataclass(frozen=True)
class Original:
    """The source of a copy, as it was when it was looked at: anything else at its key is another object.

    `failed` begins every error about it: it names the copy that was not written. `deadline_s`: its store is given up
    when it has not answered for so long.
    """

    access: Access
    key: str
    full_key: str
    info: ObjectInfo
    failed: str
    deadline_s: float

    @property
    def where(self) -> str:
        """The source, for people."""
        return f"the source {self.key!r} in {self.access.url}"

    @property
    def ref(self) -> ObjectRef:
        """The source for a service that copies by itself: this life of it, and no other."""
        return ObjectRef(
            self.access.driver.location, self.full_key, version_id=self.info.version_id, etag=self.info.etag
        )

    @property
    def counted_in(self) -> Crc64 | None:
        """The algorithm of a checksum of all the bytes that the source's store knows, and that can be compared here."""
        algorithm = countable(self.info.checksum)
        return algorithm if algorithm is not None and self.crc_of(algorithm) is not None else None

    def crc_of(self, algorithm: Crc64) -> int | None:
        """The checksum of all the bytes, where the source's store knows it."""
        return crc_of(self.info.checksum, algorithm)

    def changed(self, how: str) -> SourceChanged:
        return SourceChanged(f"{self.failed}: {self.where} {how} while it was copied", key=self.key)

    def damaged(self) -> ChecksumMismatch:
        return ChecksumMismatch(
            f"{self.failed}: the bytes that came from {self.where} do not have the checksum that its store says; "
            "try again",
            key=self.key,
        )

    def about_source(self, signal: signals.Signal) -> SourceChanged | None:
        """What a signal says of the source: that it is no longer what it was. None for any other."""
        match signal:
            case signals.Absent():
                error = self.changed("was removed")
            case signals.Changed():
                error = self.changed("was replaced")
            case _:
                return None
        error.status, error.code, error.request_id = signal.status, signal.code, signal.request_id
        error.__cause__ = signal
        return error

    def read(self, start: int, stop: int, stopped: Callable[[], bool] | None = None) -> bytes:
        """The bytes from `start` up to `stop`, all of them. Gives up soon when `stopped` begins to say so.

        Raises SourceChanged, AccessDenied, StoreUnavailable.
        """
        patience = self.access.patience(self.deadline_s)
        while True:
            try:
                block = self.access.driver.read(self.full_key, start, stop, self.info.etag)
            except signals.Signal as signal:
                if isinstance(signal, signals.Busy | signals.Lost) and patience.wait(asked_s(signal), stopped=stopped):
                    continue
                sentence = f"{self.failed}: {self.where} could not be read"
                raise (self.about_source(signal) or as_error(signal, sentence, key=self.key)) from signal
            if len(block) != stop - start:
                raise self.changed(f"gave {len(block)} bytes where {stop - start} were asked for, and has changed")
            return block

    def digest(self, algorithm: Crc64) -> tuple[int, int]:
        """Size and checksum of all the bytes, read through here if the store does not know. Raises as `read`."""
        size_bytes, known = self.info.size_bytes, self.crc_of(algorithm)
        if known is not None:
            return size_bytes, known
        running = RunningCrc64(algorithm)
        for start in range(0, size_bytes, BLOCK_BYTES):
            running.update(self.read(start, min(start + BLOCK_BYTES, size_bytes)))
        return size_bytes, running.crc


def look(access: Access, key: str, failed: str, deadline_s: float) -> Original:
    """The source as it is now. `failed` begins the error's message.

    Raises ObjectNotFound, AccessDenied, StoreUnavailable.
    """
    full_key = access.full(key)
    patience = access.patience(deadline_s)
    where = f"the source {key!r} in {access.url}"
    while True:
        try:
            info = access.driver.head(full_key)
        except signals.Signal as signal:
            if isinstance(signal, signals.Busy | signals.Lost) and patience.wait(asked_s(signal)):
                continue
            raise as_error(signal, f"{failed}: {where} could not be looked up", key=key) from signal
        if info is None:
            raise ObjectNotFound(f"{failed}: {where} is not there", key=key)
        return Original(access, key, full_key, info, failed, deadline_s)


class RemoteData(Payload):
    """The bytes of another object, which pass through here. `part_bytes` None: in one request.

    `patience` is that of the write: what the source's store gives is progress. `checksums` has those of the parts as
    they were read, by number, where the source has one to compare the whole with.
    """

    def __init__(self, original: Original, part_bytes: int | None, memory_bytes: int, patience: Patience) -> None:
        self.checksums: dict[int, Checksum] = {}
        self._original = original
        self._part_bytes = part_bytes
        self._block_bytes = min(BLOCK_BYTES, max(WINDOW_BYTES, memory_bytes // 2))
        self._patience = patience
        self._whole: RemoteBody | None = None

    @property
    def size_bytes(self) -> int:
        return self._original.info.size_bytes

    @property
    def rewindable(self) -> bool:
        return True

    def put(self, driver: Driver, key: str, meta: WriteMeta, watch: Watch) -> ObjectInfo:
        if self._whole is None:
            self._whole = self._body(PartSlot(1, 0, self.size_bytes), self._check_whole)
        return self._whole.send(lambda body: driver.put_new(key, body, meta), watch)

    def pieces(self) -> Pieces:
        # Nothing is read before a piece is sent, so that the parts are read side by side.
        return KnownPieces(self.size_bytes, self._part_bytes or self.size_bytes, self._held_bytes, self._cut)

    def digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int]:
        return self._original.digest(algorithm)

    def _held_bytes(self, size_bytes: int) -> int:
        return min(size_bytes, 2 * self._block_bytes)

    def _cut(self, slot: PartSlot) -> Callable[[Driver, str, str, Watch], Part]:
        ours = self._body(slot, partial(self._note, slot.number))

        def send(driver: Driver, key: str, upload_id: str, watch: Watch) -> Part:
            return ours.send(lambda body: driver.put_part(key, upload_id, slot, body), watch)

        return send

    def _body(self, slot: PartSlot, whole: Callable[[Checksum], None]) -> RemoteBody:
        compared = None if self._original.counted_in is None else whole
        return RemoteBody(self._original, slot, self._block_bytes, self._patience.beside().progress, compared)

    def _check_whole(self, read: Checksum) -> None:
        if read != self._original.info.checksum:
            raise self._original.damaged()

    def _note(self, number: int, read: Checksum) -> None:
        self.checksums[number] = read


class RemoteBody:
    """A range of the source, read block by block. `arrived` is called for each block that was read; `whole`, where
    given, with the checksum of the range, of the kind that the source's store knows, before its last block goes out:
    behind that a store may have published."""

    def __init__(
        self,
        original: Original,
        slot: PartSlot,
        block_bytes: int,
        arrived: Callable[[], None],
        whole: Callable[[Checksum], None] | None,
    ) -> None:
        self._original = original
        self._slot = slot
        self._block_bytes = block_bytes
        self._arrived = arrived
        self._whole = whole
        self._watch: Watch | None = None
        self._kept: bytes | None = None  # the only block, for who sends it again

    def send(self, request: Callable[[Body], _T], watch: Watch) -> _T:
        """Let `request` read this body; what goes wrong with the source becomes DataFailed. One request at a time."""
        self._watch = watch
        watched = WatchedBody(self, watch)
        try:
            return request(watched)
        except Exception as exc:
            if exc is watched.failure:
                raise DataFailed(exc) from exc
            raise

    @property
    def size_bytes(self) -> int:
        return self._slot.size_bytes

    def windows(self) -> Iterator[memoryview]:
        running = RunningCrc64(self._original.counted_in or "crc64xz")
        done_bytes = 0
        while True:
            stop_bytes = min(done_bytes + self._block_bytes, self.size_bytes)
            block = self._block(done_bytes, stop_bytes)
            if self._whole is not None:
                running.update(block)
                if stop_bytes == self.size_bytes:
                    self._whole(running.checksum())
            view = memoryview(block)
            for start in range(0, len(block), WINDOW_BYTES):
                yield view[start : start + WINDOW_BYTES]
            if stop_bytes == self.size_bytes:
                return
            done_bytes = stop_bytes

    def _block(self, start: int, stop: int) -> bytes:
        if self._kept is not None:
            return self._kept
        # An empty source is read too: it may have been replaced like any other.
        offset_bytes = self._slot.offset_bytes
        block = self._original.read(offset_bytes + start, offset_bytes + stop, partial(self._stopped, start))
        self._arrived()
        if stop - start == self.size_bytes:
            self._kept = block
        return block

    def _stopped(self, done_bytes: int) -> bool:
        """Whether there is no use in waiting any longer: `watch` raises then, here as between windows."""
        try:
            if self._watch is not None:
                self._watch(done_bytes)
        except Exception:  # noqa: BLE001 - whoever asks for the next window hears of it
            return True
        return False
