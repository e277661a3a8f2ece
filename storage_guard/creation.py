"""One `create`, from the first byte to the verdict: sends what `outcome` asks to be sent, and cleans up behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

from storage_guard import signals
from storage_guard.body import Body, Source, WatchedBody
from storage_guard.checksum import combine
from storage_guard.errors import NotWritten, StorageGuardError, attach_ticket
from storage_guard.model import MiB, ObjectInfo, Part, PartSlot, Receipt, WriteMeta
from storage_guard.outcome import Answer, Doing, Verdict, Write
from storage_guard.plan import Plan, slots
from storage_guard.resolve import Resolver, Target
from storage_guard.retry import Patience

Progress = Callable[[int, int | None], None]
_T = TypeVar("_T")
_ABORT_TRIES = 3
# A ticket may be wanted while Ctrl-C is on its way out: no long reading then.
_TICKET_READS_BYTES = 64 * MiB


_BEGIN_ANSWERS = (Answer.DONE, Answer.EXISTS, Answer.EXISTS_SOLE, Answer.LOST, Answer.BUSY, Answer.CONFLICT)


class DataFailed(signals.Definite):
    """The caller's own data raised while it was read; `trouble` is what it raised."""

    def __init__(self, trouble: Exception) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


@contextlib.contextmanager
def note_failed_data(key: str, store_url: str) -> Generator[None]:
    """What a caller's data raises passes through; a note says which key it was about."""
    try:
        yield
    except StorageGuardError:
        raise  # names the key itself
    except Exception as exc:
        exc.add_note(f"{key!r} was not written to {store_url}: reading its data raised this")
        raise


class Creation(Resolver):
    """Memory: one window of a file, nothing for bytes, one part of a stream."""

    def __init__(
        self,
        target: Target,
        patience: Patience,
        source: Source,
        plan: Plan,
        meta: WriteMeta,
        *,
        first: Body | None = None,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(target, patience)
        self._source = source
        self._plan = plan
        self._meta = meta
        self._first = first  # what was read of a stream to see whether it is a small one
        self._cut_before = False
        self._progress = progress
        self._reported_bytes = -1
        self._parts: list[Part] = []

    def create(self, write: Write) -> Receipt:
        """Run to the verdict; what interrupts it after a commit was sent carries a ticket."""
        try:
            write = self.run(write)
        except BaseException as exc:
            self._interrupted(exc)
            raise
        try:
            self._clean_up(tries=_ABORT_TRIES)
        except BaseException as exc:
            self._note_upload("aborting it was interrupted")
            self._tell(exc, in_doubt=write.verdict not in (Verdict.NOT_WRITTEN, Verdict.EXISTS))
            raise
        if write.verdict is not Verdict.NOT_WRITTEN:
            return self.conclude(write)
        with note_failed_data(self.target.key, self.target.store_url):
            return self.conclude(write)

    def _interrupted(self, exc: BaseException) -> None:
        write = self.write
        if write is not None and write.in_doubt:
            self._note_upload("it may be wanted to settle")
            self._tell(exc, in_doubt=True)
            return
        if write is not None and write.doing is Doing.BEGIN and self.upload_id is None:
            self._note_lost_upload()
        try:
            self._clean_up(tries=1)
        except BaseException:  # noqa: BLE001 - a second Ctrl-C; the first is on its way already
            self._note_upload("aborting it was interrupted")
        self._tell(exc, in_doubt=False)

    def _tell(self, exc: BaseException, *, in_doubt: bool) -> None:
        if in_doubt:
            attach_ticket(exc, str(self.ticket()))
            exc.add_note(f"{self.target.key!r} may have been written: settle(ticket_of(error)) tells")
        else:
            exc.add_note(f"{self.target.key!r} was not written")
        for note in self.notes:
            exc.add_note(note)

    def do(self, doing: Doing) -> Answer:
        match doing:
            case Doing.BEGIN:
                return self._begin()
            case Doing.PARTS:
                return self._send_parts()
            case Doing.COMMIT:
                return self._commit()
            case _:
                return super().do(doing)

    def digest(self) -> tuple[int, int] | None:
        return self._source.digest()

    def quick_digest(self) -> tuple[int, int] | None:
        size_bytes = self._source.size_bytes
        # A stream has been read to its end before its commit, so its digest is at hand.
        if size_bytes is None or size_bytes <= _TICKET_READS_BYTES:
            return self._source.digest()
        whole = combine((part.checksum, part.slot.size_bytes) for part in self._parts)
        return (size_bytes, int(whole.value, 16)) if whole and self._parts else None

    # What writes

    def _begin(self) -> Answer:
        # Not the guard, only kindness: a key that is taken should not cost the upload of all the parts.
        if self._head() in (Answer.OURS, Answer.THEIRS):
            return Answer.EXISTS
        answer = self._send(self._begin_now)
        if answer is Answer.LOST:
            self._note_lost_upload()
        return answer if answer in _BEGIN_ANSWERS else Answer.REFUSED

    def _begin_now(self) -> None:
        self.upload_id = None
        self._parts = []
        self.upload_id = self.target.driver.begin(self.target.full_key, self._meta)
        self.patience.progress()

    def _send_parts(self) -> Answer:
        pieces = self._cut()
        while True:
            try:
                piece = next(pieces, None)
            except Exception as exc:  # noqa: BLE001 - a caller's stream may raise anything; `conclude` raises it again
                self.trouble = exc
                return Answer.REFUSED
            if piece is None:
                self.part_count = len(self._parts)
                return Answer.DONE
            answer = self._send_part(*piece)
            if answer is not Answer.DONE:
                return answer
            self.patience.progress()

    def _cut(self) -> Iterator[tuple[PartSlot, Body]]:
        part_bytes = self._plan.part_bytes or 0
        if self._cut_before:
            self._source.rewind()
            self._first = None
        self._cut_before = True
        if self._source.size_bytes is not None:
            for slot in slots(self._source.size_bytes, part_bytes):
                yield slot, self._source.take(slot.offset_bytes, slot.size_bytes)
            return
        max_parts = self.target.driver.limits.max_parts
        offset_bytes = 0
        for number in range(1, max_parts + 1):
            body = self._first or self._source.take(offset_bytes, part_bytes)
            self._first = None
            if body.size_bytes or number == 1:
                yield PartSlot(number, offset_bytes, body.size_bytes), body
            offset_bytes += body.size_bytes
            if body.size_bytes < part_bytes:
                return
        if self._source.take(offset_bytes, 1).size_bytes:
            raise NotWritten(
                f"{self.target.key!r} was not written: the stream is longer than {max_parts} parts of {part_bytes} "
                "bytes; give the Store a larger part_bytes",
                key=self.target.key,
            )

    def _send_part(self, slot: PartSlot, body: Body) -> Answer:
        while True:
            answer = self._send(lambda: self._put_part(slot, body))
            if answer in (Answer.LOST, Answer.BUSY, Answer.CONFLICT):  # a part may be sent again
                if self.patience.wait(self.asked_s):
                    continue
                return Answer.REFUSED
            return answer if answer in (Answer.DONE, Answer.GONE, Answer.GONE_SOLE) else Answer.REFUSED

    def _put_part(self, slot: PartSlot, body: Body) -> None:
        upload_id = self._open_upload()
        key = self.target.full_key
        part = self._with_body(
            body, slot.offset_bytes, lambda watched: self.target.driver.put_part(key, upload_id, slot, watched)
        )
        self._parts = [*(each for each in self._parts if each.slot.number != slot.number), part]

    def _commit(self) -> Answer:
        self.attempts += 1
        return self._send(self._finish if self._plan.multipart else self._put)

    def _put(self) -> None:
        body = self._first or self._source.take(0, self._source.size_bytes or 0)
        key = self.target.full_key
        info = self._with_body(body, 0, lambda watched: self.target.driver.put_new(key, watched, self._meta))
        self._published(info)

    def _finish(self) -> None:
        info = self.target.driver.finish_new(self.target.full_key, self._open_upload(), self._parts, self._meta)
        self.upload_id = None
        self._published(info)

    def _published(self, info: ObjectInfo) -> None:
        self.seen = info
        # Behind a lost finish a 200 may be a replay, and is asked about.
        self.direct = not (self._plan.multipart and self.write is not None and self.write.suspect)

    def _open_upload(self) -> str:
        if self.upload_id is None:
            raise signals.Gone("there is no open upload")
        return self.upload_id

    def _with_body(self, body: Body, offset_bytes: int, request: Callable[[Body], _T]) -> _T:
        watched = WatchedBody(body, lambda done_bytes: self._report(offset_bytes + done_bytes))
        try:
            return request(watched)
        except Exception as exc:
            if exc is watched.failure:
                raise DataFailed(exc) from exc
            raise

    def _report(self, done_bytes: int) -> None:
        # An attempt that begins anew does not take back what was reported.
        if self._progress is not None and done_bytes > self._reported_bytes:
            self._reported_bytes = done_bytes
            self._progress(done_bytes, self._source.size_bytes)

    def _send(self, request: Callable[[], None]) -> Answer:
        """The answer to a request that changes something. What is no signal at all is not caught: see `create`."""
        try:
            request()
        except DataFailed as failed:
            self.trouble = failed.trouble
            return Answer.REFUSED
        except signals.Signal as signal:
            self._troubled(signal)
            return answer_for(signal)
        return Answer.DONE

    def _clean_up(self, *, tries: int) -> None:
        """Abort what is still open; what cannot be aborted is told."""
        trouble: object = None
        for _ in range(tries):
            if self.upload_id is None:
                return
            try:
                self.target.driver.abort(self.target.full_key, self.upload_id)
            except signals.Gone:
                pass
            except signals.Signal as signal:
                trouble = signal
                if isinstance(signal, signals.Busy | signals.Lost) and self.patience.wait():
                    continue
                break
            self.upload_id = None
        self._note_upload(f"aborting it failed: {trouble}")

    def _note_upload(self, why: str) -> None:
        if self.upload_id is not None:
            self.notes.append(f"upload {self.upload_id} of {self.target.key!r} is left open: {why}")

    def _note_lost_upload(self) -> None:
        self.notes.append(f"opening an upload of {self.target.key!r} was not answered: one may be left open")


def answer_for(signal: signals.Signal) -> Answer:
    """What a signal means to `outcome`. What is none of the known ones may have acted."""
    match signal:
        case signals.Exists():
            return Answer.EXISTS_SOLE if signal.sole else Answer.EXISTS
        case signals.Gone():
            return Answer.GONE_SOLE if signal.sole else Answer.GONE
        case signals.Conflict():
            return Answer.CONFLICT if signal.restart else Answer.BUSY
        case signals.Busy():
            return Answer.BUSY
        case signals.Unsynced():
            return Answer.UNSYNCED
        case signals.Broken():
            return Answer.BROKEN
        case signals.Definite():
            return Answer.REFUSED
        case _:
            return Answer.LOST
