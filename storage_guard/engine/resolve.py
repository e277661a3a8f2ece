"""Finding out who won: carries out the questions that `outcome` asks, and puts its verdict into words."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Literal

from storage_guard import answers, log, outcome, signals
from storage_guard.checksum import ALGORITHMS, Crc64, RunningCrc64, countable, crc_of
from storage_guard.clock import Clock
from storage_guard.driver import Driver
from storage_guard.errors import GuaranteeBroken, ObjectDamaged, ObjectExists, OutcomeUnknown, StorageGuardError
from storage_guard.model import Guarantee, MiB, ObjectInfo, Receipt
from storage_guard.outcome import Answer, Doing, Verdict, Write
from storage_guard.retry import Patience
from storage_guard.ticket import Ticket
from storage_guard.translate import as_error

_COMPARE_BYTES = 4 * MiB
_ABOUT_QUESTIONS: dict[type[signals.Signal], Answer] = {
    signals.Lost: Answer.FAILED,
    signals.Busy: Answer.FAILED,
    signals.Gone: Answer.GONE,
    signals.Absent: Answer.ABSENT,
    signals.Changed: Answer.ABSENT,
}
_TOLD = (Answer.LOST, Answer.BUSY, Answer.CONFLICT)


@dataclass(slots=True)
class Target:
    """One key of one store, and whose write it is about. `key` is the caller's, `full_key` the driver's.

    Never changed once made; made for every write, and a frozen class takes three times as long to make.
    """

    driver: Driver
    clock: Clock
    store_url: str
    key: str
    full_key: str
    write_id: str
    named: bool
    write_ids: bool  # whether objects of this store carry ids at all
    guarantee: Guarantee

    @property
    def url(self) -> str:
        return self.driver.location.url(self.full_key)

    def whose(self, seen: ObjectInfo | None) -> Answer:
        """OURS, THEIRS, ABSENT, or FORBIDDEN where what is there cannot tell."""
        if seen is None:
            return Answer.ABSENT
        if seen.write_id == self.write_id:
            return Answer.OURS
        if seen.write_id is None and not self.write_ids:
            return Answer.FORBIDDEN
        return Answer.THEIRS

    def glance(self) -> Glance:
        """Who has the key, asked once, beside other requests: trouble says nothing. Called in any thread."""
        try:
            seen = self.driver.head(self.full_key)
        except signals.Signal:
            return Glance(Answer.FAILED, None)
        return Glance(self.whose(seen), seen)


@dataclass(frozen=True, slots=True)
class Glance:
    """Who was seen at a key."""

    answer: Answer
    seen: ObjectInfo | None

    @property
    def taken(self) -> bool:
        return self.answer in (Answer.OURS, Answer.THEIRS)


class Resolver(ABC):
    """Runs one `Write` to its verdict. `Creation` adds the requests that write."""

    def __init__(self, target: Target, patience: Patience, upload_id: str | None = None) -> None:
        self.target = target
        self.patience = patience
        self.upload_id = upload_id  # an upload that may still be open
        self.asked_s = 0.0  # how long the store asked us to wait
        self.trouble: BaseException | None = None  # what went wrong last
        self.seen: ObjectInfo | None = None  # the object that the verdict is about
        self.notes: list[str] = []
        self.attempts = 0
        self.part_count = 0
        self.direct = False  # the commit's own answer said so
        self.began_s = target.clock.now_s()
        self.write: Write | None = None

    def run(self, write: Write, *, until: Collection[Doing] = ()) -> Write:
        """Ask and answer until there is a verdict, or one of `until` is what is to be done next."""
        while not write.decided and write.doing not in until:
            if write.pause and not self.patience.wait(self.asked_s):
                write = outcome.step(write, Answer.LATE)
                continue
            self.asked_s = 0.0
            self.write = write
            write = outcome.step(write, self.do(write.doing))
        if not write.decided:
            self.write = write
        return write

    def do(self, doing: Doing) -> Answer:
        """The answer to the next request."""
        match doing:
            case Doing.ABORT:
                return self._abort()
            case Doing.LIST:
                return self._list()
            case Doing.HEAD:
                return self._head()
            case Doing.COMPARE:
                return self._compare()
            case _:
                raise AssertionError(f"{type(self).__name__} does not write: {doing}")

    @abstractmethod
    def digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        """Size and checksum of the caller's bytes, None where they cannot be had, or not in that algorithm."""

    @abstractmethod
    def sent_digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        """The same of the bytes that were sent, None where nobody has counted them."""

    @abstractmethod
    def quick_digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        """The same of the caller's bytes, where it takes no long reading, None otherwise."""

    def at_hand(self) -> Crc64:
        """The algorithm in which the caller's bytes are told soonest, if at all."""
        return "crc64xz"

    def ask(self, question: Callable[[], Answer], sense: Collection[Answer], otherwise: Answer) -> Answer:
        """The answer to a question that changes no object; trouble becomes an answer too.

        What makes no `sense` as an answer to this question becomes `otherwise`, which proves nothing.
        """
        try:
            answer = question()
        except signals.Signal as signal:
            self._troubled(signal)
            answer = _ABOUT_QUESTIONS.get(type(signal), otherwise)
        return answer if answer in sense else otherwise

    def _troubled(self, signal: signals.Signal) -> None:
        self.trouble = signal
        self.asked_s = answers.asked_s(signal)
        if self.write is not None and answers.answer_for(signal) in _TOLD:
            log.troubled(self.target.url, self.write.doing.name.lower(), signal)

    def _head(self) -> Answer:
        seen = (Answer.OURS, Answer.DAMAGED, Answer.THEIRS, Answer.ABSENT, Answer.FAILED)
        return self.ask(self._look, seen, Answer.FORBIDDEN)

    def _look(self) -> Answer:
        self.seen = self.target.driver.head(self.target.full_key)
        whose = self.target.whose(self.seen)
        if whose is Answer.FORBIDDEN and self.write is not None and self.write.sole:
            return Answer.THEIRS  # it cannot tell us whose it is, but the refusal does
        if whose is Answer.OURS and not self.target.named and self.is_damaged(self.seen):
            return Answer.DAMAGED  # under a caller's id other bytes are another's, and are compared
        return whose

    def is_damaged(self, seen: ObjectInfo | None) -> bool:
        """Whether an object that is ours is known to have other bytes than were sent."""
        if seen is None:
            return False
        algorithm: Crc64 = "crc64nvme" if crc_of(seen.checksum, "crc64nvme") is not None else "crc64xz"
        sent = self.sent_digest(algorithm)
        if sent is None:
            return False
        theirs = crc_of(seen.checksum, algorithm)
        return seen.size_bytes != sent[0] or (theirs is not None and theirs != sent[1])

    def _abort(self) -> Answer:
        return self.ask(self._abort_now, (Answer.DONE, Answer.GONE, Answer.FAILED), Answer.REFUSED)

    def _abort_now(self) -> Answer:
        if self.upload_id is None:
            return Answer.GONE
        self.target.driver.abort(self.target.full_key, self.upload_id)
        return Answer.DONE

    def _list(self) -> Answer:
        answer = self.ask(self._list_now, (Answer.OPEN, Answer.GONE, Answer.FAILED), Answer.FORBIDDEN)
        if answer is Answer.GONE:
            self.upload_id = None
        return answer

    def _list_now(self) -> Answer:
        if self.upload_id is not None:
            for _ in self.target.driver.scan_parts(self.target.full_key, self.upload_id):
                break
        return Answer.OPEN

    def _compare(self) -> Answer:
        algorithm = (None if self.seen is None else countable(self.seen.checksum)) or self.at_hand()
        try:
            ours = self.digest(algorithm)
            if ours is None and algorithm != self.at_hand():
                algorithm = self.at_hand()  # what is there is read, then
                ours = self.digest(algorithm)
        except StorageGuardError as exc:
            self.trouble = exc
            return Answer.FORBIDDEN  # the caller's bytes are no longer what they were
        if ours is None:
            return Answer.FORBIDDEN
        size_bytes, crc = ours
        compared = (Answer.EQUAL, Answer.UNEQUAL, Answer.ABSENT, Answer.FAILED)
        return self.ask(lambda: self._equal(size_bytes, crc, algorithm), compared, Answer.FORBIDDEN)

    def _equal(self, size_bytes: int, crc: int, algorithm: Crc64) -> Answer:
        seen = self.seen
        if seen is None:
            return Answer.ABSENT
        if seen.size_bytes != size_bytes:
            return Answer.UNEQUAL
        theirs = crc_of(seen.checksum, algorithm)
        if theirs is not None:
            return Answer.EQUAL if theirs == crc else Answer.UNEQUAL
        running = RunningCrc64(algorithm)
        while running.size_bytes < seen.size_bytes:
            stop = min(running.size_bytes + _COMPARE_BYTES, seen.size_bytes)
            piece = self.target.driver.read(self.target.full_key, running.size_bytes, stop, seen.etag)
            if not piece:
                return Answer.UNEQUAL
            running.update(piece)
            self.patience.progress()
        return Answer.EQUAL if running.crc == crc else Answer.UNEQUAL

    # The verdict in words

    def conclude(self, write: Write) -> Receipt:
        """The receipt, or the error, for a decided write."""
        if write.verdict in (Verdict.CREATED, Verdict.SAME, Verdict.PRESENT):
            self.trouble = None  # it was overcome; and its traceback knows us, and would keep the caller's data
        if write.verdict is not None and (self.attempts > 1 or write.suspect):
            log.decided(self.target.url, write.verdict.name.lower().replace("_", " "), self.attempts)
        match write.verdict:
            case Verdict.CREATED:
                return self._receipt("created")
            case Verdict.SAME:
                return self._receipt("same")
            case Verdict.PRESENT:
                return self._receipt("present")
            case _:
                error = self._error(write)
                self.trouble = None
                for note in self.notes:
                    error.add_note(note)
                try:
                    raise error
                finally:
                    del error

    def _error(self, write: Write) -> BaseException:
        match write.verdict:
            case Verdict.EXISTS:
                return self._exists()
            case Verdict.UNKNOWN:
                return self._unknown("may be there, or may yet appear; settle(ticket) asks again", write)
            case Verdict.UNSYNCED:
                return self._unknown("is there, but is not known to survive a crash; settle(ticket) tells", write)
            case Verdict.BROKEN:
                return self._broken()
            case Verdict.DAMAGED:
                return self._damaged()
            case _:
                return self._not_written()

    def _not_written(self) -> BaseException:
        """The error for a write that is known not to be there."""
        sentence = f"{self.target.key!r} was not written to {self.target.store_url}"
        if isinstance(self.trouble, signals.Signal):
            return as_error(self.trouble, sentence, key=self.target.key)
        if self.trouble is not None:
            return self.trouble
        return as_error(signals.Busy("nothing of it is there and nothing will appear"), sentence, key=self.target.key)

    def ticket(self) -> Ticket:
        digest: tuple[int, int] | None = None
        algorithm = self.at_hand()
        with contextlib.suppress(Exception):  # a source that cannot be read now must not hide why a ticket is wanted
            for algorithm in dict.fromkeys((self.at_hand(), *ALGORITHMS)):
                digest = self.quick_digest(algorithm)
                if digest is not None:
                    break
        target = self.target
        return Ticket(
            target.store_url,
            target.key,
            target.write_id,
            self.upload_id,
            target.named,
            digest,
            algorithm,
            target.driver.location.endpoint,
        )

    def _unknown(self, what: str, write: Write) -> OutcomeUnknown:
        signal = self.trouble if isinstance(self.trouble, signals.Signal) else None
        words = f": {self.trouble}" if self.trouble is not None else ""
        again = f"; to create again with write_id={self.target.write_id!r}" if write.rewindable else ""
        error = OutcomeUnknown(
            f"{self.target.key!r} in {self.target.store_url}: our object {what}"
            f"{again + ' and the same data is safe' if again else ''}{words}",
            key=self.target.key,
            ticket=str(self.ticket()),
            write_id=self.target.write_id,
            status=signal.status if signal else None,
            code=signal.code if signal else None,
            request_id=signal.request_id if signal else None,
        )
        error.__cause__ = self.trouble
        return error

    def _exists(self) -> ObjectExists:
        seen = self.seen
        about = f" ({seen.size_bytes} bytes, etag {seen.etag}, {seen.modified:%Y-%m-%d %H:%M:%S} UTC)" if seen else ""
        signal = self.trouble if isinstance(self.trouble, signals.Exists) else None
        return ObjectExists(
            f"{self.target.key!r} exists in {self.target.store_url}{about}: another's object has the key, "
            "ours was not written",
            key=self.target.key,
            existing=self._shown(),
            status=signal.status if signal else None,
            code=signal.code if signal else None,
            request_id=signal.request_id if signal else None,
        )

    def _broken(self) -> StorageGuardError:
        sentence = (
            f"{self.target.key!r} was written to {self.target.store_url} WITHOUT the create-only condition, "
            "and may have replaced another's object"
        )
        if isinstance(self.trouble, signals.Signal):
            return as_error(self.trouble, sentence, key=self.target.key)
        return GuaranteeBroken(sentence, key=self.target.key)

    def _damaged(self) -> StorageGuardError:
        sentence = (
            f"{self.target.key!r} in {self.target.store_url}: our object is there, and its bytes are not those that "
            "were sent; remove it and create it again"
        )
        if isinstance(self.trouble, signals.Damaged):
            return as_error(self.trouble, sentence, key=self.target.key)
        checksum = self.seen.checksum if self.seen else None
        return ObjectDamaged(f"{sentence}: the store says {checksum}", key=self.target.key)

    def _shown(self) -> ObjectInfo | None:
        return None if self.seen is None else replace(self.seen, key=self.target.key)

    def _receipt(self, result: Literal["created", "same", "present"]) -> Receipt:
        target, seen = self.target, self.seen
        return Receipt(
            key=target.key,
            url=target.url,
            size_bytes=seen.size_bytes if seen else None,
            etag=seen.etag if seen else None,
            version_id=seen.version_id if seen else None,
            checksum=seen.checksum if seen else None,
            verified_by=seen.verified_by if seen else None,
            guarantee=target.guarantee,
            write_id=target.write_id if result == "created" else seen.write_id if seen else None,
            outcome=result,
            resolved=result == "created" and not self.direct,
            attempts=self.attempts,
            parts=self.part_count if result == "created" else 0,
            elapsed_s=target.clock.now_s() - self.began_s,
            notes=tuple(self.notes),
        )


class Settling(Resolver):
    """`settle`: looks, and calls an open upload back, but never writes."""

    def __init__(self, target: Target, patience: Patience, ticket: Ticket) -> None:
        super().__init__(target, patience, ticket.upload_id)
        self._ticket = ticket

    def settle(self) -> Receipt:
        ticket = self._ticket
        return self.conclude(self.run(outcome.resume(multipart=ticket.upload_id is not None, named=ticket.named)))

    def digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        return self._ticket.digest if algorithm == self._ticket.algorithm else None

    def at_hand(self) -> Crc64:
        return self._ticket.algorithm

    def sent_digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:  # noqa: ARG002
        return None  # that of the ticket may be of what the caller's data had become by then

    def quick_digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        return self.digest(algorithm)
