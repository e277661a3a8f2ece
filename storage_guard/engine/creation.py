"""One `create`, from the first byte to the verdict: sends what `outcome` asks to be sent, and cleans up behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Generator
from functools import partial

from storage_guard import answers, log, outcome, signals
from storage_guard.checksum import Crc64, combine
from storage_guard.engine.lanes import Task, Threads, beside
from storage_guard.engine.payload import DataFailed, Payload, Piece, Pieces, StreamPieces, unwatched
from storage_guard.engine.resolve import Glance, Resolver, Target
from storage_guard.engine.sending import Bounds, Progress, Sending, Tally
from storage_guard.errors import NotWritten, SourceChanged, StorageGuardError, attach_ticket
from storage_guard.model import ObjectInfo, Part, Receipt, WriteMeta
from storage_guard.outcome import Answer, Doing, Verdict, Write
from storage_guard.retry import Patience
from storage_guard.uploads.diary import Diary

_ABORT_TRIES = 3
_BEGIN_ANSWERS = (Answer.DONE, Answer.EXISTS, Answer.EXISTS_SOLE, Answer.LOST, Answer.BUSY, Answer.CONFLICT)


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
    """Memory: what `Bounds` allows for parts, one window of a file otherwise."""

    def __init__(
        self,
        target: Target,
        patience: Patience,
        payload: Payload,
        meta: WriteMeta,
        *,
        multipart: bool,
        bounds: Bounds,
        diary: Diary | None = None,
        progress: Progress | None = None,
        throttled: Callable[[float], None] | None = None,
    ) -> None:
        super().__init__(target, patience)
        self._throttled = throttled
        self._payload = payload
        self.meta = meta
        self._multipart = multipart
        self._bounds = bounds
        self._diary = diary or Diary()
        self._tally = Tally(progress, payload.size_bytes)
        self._sending: Sending | None = None
        self._pieces: Pieces | None = None
        self._kept = False  # the upload is left for another `create`
        self._verdict_told = False

    def create(self, write: Write) -> Receipt:
        """Run to the verdict; what interrupts it after a commit was sent carries a ticket."""
        self.patience.progress()  # a source may have taken its time until here
        with self.interruptible():
            return self.end(self.run(write))

    @contextlib.contextmanager
    def interruptible(self) -> Generator[None]:
        """What leaves this, Ctrl-C too, leaves nothing on its way, no upload open, and no doubt without a ticket."""
        try:
            yield
        except BaseException as exc:
            if not (self._verdict_told and isinstance(exc, Exception)):
                self._interrupted(exc)
            raise

    def end(self, write: Write) -> Receipt:
        """Behind the verdict, and within `interruptible`: clean up, and put it into words."""
        self.write = write
        in_doubt = write.verdict in (Verdict.UNKNOWN, Verdict.UNSYNCED)
        if not ((in_doubt or write.verdict is Verdict.NOT_WRITTEN) and self._keeps_upload(in_doubt=in_doubt)):
            self._clean_up(tries=_ABORT_TRIES)
        self._close_diary(in_doubt=in_doubt)
        self._payload.let_go()  # who keeps the error must not keep what was read for nothing
        self._verdict_told = True  # the next error is the verdict itself
        if write.verdict is not Verdict.NOT_WRITTEN:
            return self.conclude(write)
        with note_failed_data(self.target.key, self.target.store_url):
            return self.conclude(write)

    def _interrupted(self, exc: BaseException) -> None:
        write = self.write
        try:
            if self._sending is not None:
                self._sending.stop()
        except BaseException:  # noqa: BLE001 - a second Ctrl-C; the first is on its way already
            self.notes.append("some of its parts may still be on their way")
        if write is not None and write.doing is Doing.BEGIN and self.upload_id is None:
            self._note_lost_upload()
        if write is not None and write.in_doubt:
            if not self._keeps_upload(in_doubt=True):
                self._note_upload("it may be wanted to settle")
            self._close_diary(in_doubt=True)
            self._tell(exc, in_doubt=True)
            return
        try:
            if not self._keeps_upload(in_doubt=False):
                self._clean_up(tries=1)
        except BaseException:  # noqa: BLE001 - a second Ctrl-C; the first is on its way already
            self._note_upload("aborting it was interrupted")
        self._close_diary(in_doubt=False)
        self._tell(exc, in_doubt=False)

    def _keeps_upload(self, *, in_doubt: bool) -> bool:
        """Whether the upload is left for another `create` to go on with."""
        if self.upload_id is None or not self._diary.resumable:
            return False
        if not in_doubt and isinstance(self.trouble, SourceChanged | signals.Gone):
            return False  # nobody has that data any more, or there is no upload
        self._kept = True
        self._note_upload("create with resume=True, the same key and the same data goes on with it")
        return True

    def _close_diary(self, *, in_doubt: bool) -> None:
        # In doubt another `create` needs to know our id, or it would take our object for another's.
        if self.upload_id is None and not (in_doubt and self._diary.knows_id):
            self._diary.closed()
        elif in_doubt or self._kept:
            self._diary.left()
        else:
            self._diary.abandoned()
        self.notes += self._diary.notes
        self._diary.notes.clear()

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
                return self.send_parts()
            case Doing.COMMIT:
                return self._commit()
            case _:
                return super().do(doing)

    def digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        return self._payload.digest(algorithm)

    def quick_digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        return self._payload.quick_digest(algorithm) or self.sent_digest(algorithm)

    def sent_digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        if not self._multipart:
            try:  # where an answer was lost: else the driver has compared it
                return None if self.direct else self._payload.quick_digest(algorithm)
            except Exception:  # noqa: BLE001 - a source that has changed, or cannot be read now, proves nothing
                return None
        if self.write is None or not self.write.sent:
            return None  # some parts are missing yet
        parts = self._parts()
        whole = combine(((part.checksum, part.slot.size_bytes) for part in parts), algorithm)
        return (sum(part.slot.size_bytes for part in parts), int(whole.value, 16)) if whole and parts else None

    # What writes

    def _begin(self) -> Answer:
        if self.upload_id is not None:
            self._clean_up(tries=_ABORT_TRIES)  # one that was begun while a rival had the key
        # Not the guard, only kindness: a key that is taken should not cost the upload of all the parts.
        if self._bounds.in_flight == 1:
            return Answer.EXISTS if self.target.glance().taken else self._begun(self.send(self._begin_now))
        looking = Threads[Glance]()
        looking.start(Task(self.target.glance, 0))
        try:
            answer = self._begun(self.send(self._begin_now))
            glance = looking.next_done()[1]
        finally:
            looking.join()
        return Answer.EXISTS if glance is not None and glance.taken else answer

    def _begun(self, answer: Answer) -> Answer:
        if answer is Answer.LOST:
            self._note_lost_upload()
        return answer if answer in _BEGIN_ANSWERS else Answer.REFUSED

    def _begin_now(self) -> None:
        self.upload_id = None
        self._sending = self._pieces = None
        ahead = None if self._bounds.in_flight == 1 else self._payload.ahead()
        if ahead is None:
            self._open()
        else:
            beside(Threads[None](), self._open, partial(self._read_ahead, ahead))
        self._diary.begun(self._open_upload())
        self.patience.progress()

    def _open(self) -> None:
        self.upload_id = self.target.driver.begin(self.target.full_key, self.meta)

    def _read_ahead(self, ahead: StreamPieces, done: Callable[[], bool]) -> None:
        """What the first parts are made of, while `begin` is on its way: a stream is read by one thread, one part
        behind the other, and a link that takes many at once would wait for them."""
        if ahead.read_ahead(self._bounds.at_first, self._bounds.memory_bytes, done):
            self.patience.progress()  # it is the caller's data that took the time

    def take_over(self, upload_id: str, write: Write) -> None:
        """Of an upload that another process has left: so that an interruption knows."""
        self.upload_id = upload_id
        self.write = write

    def go_on(self, have: Collection[Part], write: Write) -> Receipt:
        """With the parts of the upload that was taken over, to the verdict."""
        with self.interruptible():
            self.sending(have)
            glance = self.target.glance()
        if not glance.taken:
            return self.create(write)
        self.seen = glance.seen
        return self.create(outcome.step(write, glance.answer))

    def sending(self, have: Collection[Part] = ()) -> Sending:
        """The parts of the open upload."""
        if self._sending is None:
            self._tally.anew(have)
            self._sending = Sending(
                self.target.driver,
                self.target.full_key,
                self._open_upload(),
                clock=self.target.clock,
                patience=self.patience,
                bounds=self._bounds,
                tally=self._tally,
                look=self.target.glance,
                have=have,
                throttled=self._throttled,
            )
        return self._sending

    def send_parts(self) -> Answer:
        """Send what is left to send."""
        sending = self.sending()
        if self._pieces is None:
            self._pieces = self._payload.pieces()
        return self.sent(sending.send(self._pieces))

    def sent(self, answer: Answer) -> Answer:
        """Note how the parts ended."""
        sending = self.sending()
        if sending.trouble is not None:
            self.trouble, sending.trouble = sending.trouble, None
        if sending.rival is not None:
            self.seen = sending.rival.seen
        self.part_count = len(sending.parts)
        return answer

    def _parts(self) -> list[Part]:
        parts = self._sending.parts if self._sending is not None else {}
        return [parts[number] for number in sorted(parts)]

    def _commit(self) -> Answer:
        self.attempts += 1
        return self.send(self._finish if self._multipart else self._put)

    def _put(self) -> None:
        watch = partial(self._tally.watch, 1) if self._tally.told else unwatched
        self.published(self._payload.put(self.target.driver, self.target.full_key, self.meta, watch))

    def _finish(self) -> None:
        parts = self._parts()
        self._diary.committing()
        info = self.target.driver.finish_new(self.target.full_key, self._open_upload(), parts, self.meta)
        self.upload_id = None
        self.published(info)

    def published(self, info: ObjectInfo) -> None:
        """The commit's own answer. Raises Damaged."""
        self.seen = info
        # Behind a lost finish a 200 may be a replay, and is asked about.
        self.direct = not (self._multipart and self.write is not None and self.write.suspect)
        if self.direct and self.is_damaged(info):
            raise signals.Damaged(f"the store answers {info.size_bytes} bytes and {info.checksum}")

    def _open_upload(self) -> str:
        if self.upload_id is None:
            raise signals.Gone("there is no open upload")
        return self.upload_id

    def send(self, request: Callable[[], None], sent_s: float | None = None) -> Answer:
        """The answer to a request that changes something, sent now or at `sent_s`. What is no signal at all is not
        caught: see `create`."""
        if sent_s is None:
            sent_s = self.target.clock.now_s() if self._throttled is not None else 0.0
        try:
            request()
        except DataFailed as failed:
            self.trouble = failed.trouble
            return Answer.REFUSED
        except signals.Signal as signal:
            self._troubled(signal)
            if self._throttled is not None and isinstance(signal, signals.Busy):
                self._throttled(sent_s)
            return answers.answer_for(signal)
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
        note = f"upload {self.upload_id} of {self.target.key!r} is left open: {why}"
        if self.upload_id is not None and note not in self.notes:
            self.notes.append(note)
            log.left_open(self.target.url, self.upload_id)

    def _note_lost_upload(self) -> None:
        self.notes.append(f"opening an upload of {self.target.key!r} was not answered: one may be left open")
        log.left_open(self.target.url, None)


_NEEDS_DATA = (Doing.PARTS, Doing.COMPARE)


class PushedCreation(Creation):
    """The same for a caller who hands the parts over one by one, as they come to be."""

    def __init__(
        self,
        target: Target,
        patience: Patience,
        payload: Payload,
        meta: WriteMeta,
        *,
        write: Write,
        bounds: Bounds,
        diary: Diary | None = None,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(target, patience, payload, meta, multipart=True, bounds=bounds, diary=diary, progress=progress)
        self._state = write

    def push(self, piece: Piece) -> Receipt | None:
        """Send a part when there is room for it. Raises the verdict, or returns it, if there already is one.

        Where an object at the key is to be compared with ours, that waits for `finish`: ours is not whole yet.
        """
        with self.interruptible():
            self._state = self.run(self._state, until=_NEEDS_DATA)
            if self._state.doing is Doing.PARTS and not self.sending().offer(piece):
                self.patience.progress()  # a slow producer must not have used up the time of what is asked from here on
                self._state = self.run(outcome.step(self._state, self._stopped()), until=_NEEDS_DATA)
            if self._state.decided:
                return self.end(self._state)
            # It was overcome; and its traceback would keep the caller's frame, and in it a file that was dropped.
            self.trouble = None
            return None

    def finish(self) -> Receipt:
        """All parts were handed over."""
        with self.interruptible():
            self.patience.progress()
            self._state = self.run(self._state, until=_NEEDS_DATA)
            if self._state.doing is Doing.PARTS:
                self._state = outcome.step(self._state, self._stopped())
            self._state = self.run(self._state)
            return self.end(self._state)

    def _stopped(self) -> Answer:
        return self.sent(self.sending().finish())

    def send_parts(self) -> Answer:
        """The machine wants all parts sent again, and they are gone."""
        self.trouble = NotWritten(
            f"{self.target.key!r} was not written to {self.target.store_url}: its parts have to be sent again, and "
            "what was written to it is no longer at hand",
            key=self.target.key,
        )
        return Answer.REFUSED

    def discard(self) -> None:
        """Throw away what was sent."""
        with contextlib.suppress(Exception):
            if self._sending is not None:
                self._sending.stop()
        try:
            self._clean_up(tries=_ABORT_TRIES)
        except BaseException as exc:
            self._note_upload("aborting it was interrupted")
            self._close_diary(in_doubt=False)
            self._tell(exc, in_doubt=False)
            raise
        self._close_diary(in_doubt=False)
