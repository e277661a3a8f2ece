"""Who won: what is known after each answer of a store, and what to do next. A pure state machine.

`Store` holds a `Write`, does what its `doing` says, and feeds the answer to `step` until there is a `verdict`. Time
comes in as the answer LATE: whenever `pause` is set the caller waits first, or says that there is no time left.

The reasoning, once and for all:

- A commit request (`put_new`, `copy_new`, `finish_new`) whose answer is lost makes the write *suspect*: it may have
  landed, and it may land later. Only seeing the object with our id proves that it landed.
- A single request cannot be called back, so a suspect write never ends in "not written": the same id is sent again
  until somebody's object is at the key, or time is up and the outcome is unknown.
- An upload can be called back. Once an abort was accepted and the store no longer knows the upload, no finish of it
  can land any more: the write is *fenced*, and what HEAD says then is final. An abort that finds nothing fences
  nothing: the finish may have taken the upload away and still be at work.
- "Exists" is not yet "another's": a proxy may have sent our request twice. HEAD tells, unless the driver knows that
  the request went out exactly once and none was lost before (`sole`).

tests/properties/test_outcome_worlds.py drives this code through every interleaving of small worlds.
"""

from __future__ import annotations

from enum import Enum, auto
from functools import cache
from typing import Literal, NamedTuple

IfExists = Literal["error", "same", "skip"]

MAX_MIRAGES = 3  # "exists", and HEAD sees nothing: how often the commit is sent again
MAX_RESTARTS = 3  # how often all parts are sent again in a new upload
MAX_ABORTS = 3  # parts in flight can outlive an abort (S3: AbortMultipartUpload), so it is repeated


class Doing(Enum):
    """The next request."""

    BEGIN = auto()  # open an upload
    PARTS = auto()  # send all parts
    COMMIT = auto()  # put_new, copy_new or finish_new
    ABORT = auto()
    LIST = auto()  # does the store still know the upload?
    HEAD = auto()
    COMPARE = auto()  # are the bytes at the key the caller's bytes?
    NOTHING = auto()  # there is a verdict


class Answer(Enum):
    """What came back, as far as it matters here."""

    DONE = auto()
    EXISTS = auto()  # the key is taken; the request may have been sent twice
    EXISTS_SOLE = auto()  # the key is taken, and this request was sent once
    LOST = auto()
    BUSY = auto()  # nobody wrote; again later
    CONFLICT = auto()  # nobody wrote; this upload is spoilt
    GONE = auto()  # the upload is unknown; the request may have been sent twice
    GONE_SOLE = auto()
    REFUSED = auto()  # any other definite no, the caller's own data failing included
    UNSYNCED = auto()
    BROKEN = auto()
    DAMAGED = auto()  # the object carries our id, and its bytes are not ours
    OURS = auto()  # HEAD: the object carries our id
    THEIRS = auto()
    ABSENT = auto()
    FORBIDDEN = auto()  # not allowed to look
    FAILED = auto()  # a question without an answer
    OPEN = auto()  # LIST: the upload is still known
    EQUAL = auto()
    UNEQUAL = auto()
    LATE = auto()  # there was a pause to make, and no time for it


class Verdict(Enum):
    """What the caller is told."""

    CREATED = auto()
    EXISTS = auto()
    PRESENT = auto()  # if_exists="skip": something is there
    SAME = auto()  # if_exists="same": another's object with the same bytes
    NOT_WRITTEN = auto()
    UNKNOWN = auto()
    UNSYNCED = auto()
    BROKEN = auto()
    DAMAGED = auto()


class Why(Enum):
    """What made us look: decides what an absent object means."""

    EXISTS = auto()
    LOST = auto()
    GONE = auto()
    GONE_SOLE = auto()
    CONFLICT = auto()
    REFUSED = auto()
    REPLAY = auto()  # a 200 to a commit when an earlier one was lost
    ASKED = auto()  # settle: look once


class Write(NamedTuple):
    """Everything that is known about one logical write. A tuple, as a changed one is made at each step."""

    doing: Doing
    multipart: bool
    if_exists: IfExists = "error"
    named: bool = False  # the id is the caller's: an equal id needs equal bytes to be the same write
    rewindable: bool = True  # all the bytes can be sent again
    pause: bool = False
    begun: bool = False  # an upload is open, or was when last heard of
    sent: bool = False  # it has all its parts
    suspect: bool = False  # a commit may have landed, or may yet
    fenced: bool = False  # no commit can land any more
    sole: bool = False  # what is at the key cannot be ours
    ours: bool = False  # whose object is being compared
    why: Why = Why.LOST
    mirages: int = 0
    restarts: int = 0
    aborts: int = 0
    late: bool = False
    verdict: Verdict | None = None

    @property
    def decided(self) -> bool:
        return self.verdict is not None

    @property
    def in_doubt(self) -> bool:
        """Whether ours may be there, or may yet appear, if nobody asks any further."""
        if self.verdict is not None:
            return self.verdict not in (Verdict.NOT_WRITTEN, Verdict.EXISTS)
        return self.suspect or ((self.begun or not self.multipart) and self.doing is not Doing.PARTS)


@cache
def start(*, multipart: bool, if_exists: IfExists = "error", named: bool = False, rewindable: bool = True) -> Write:
    """A write of which nothing was sent yet."""
    doing = Doing.BEGIN if multipart else Doing.COMMIT
    return Write(doing, multipart, if_exists=if_exists, named=named, rewindable=rewindable)


def go_on(*, committing: bool, if_exists: IfExists = "error", named: bool = False) -> Write:
    """A write that another process has begun and left, with its upload still open. `committing`: it may have sent a
    finish."""
    return Write(Doing.PARTS, multipart=True, if_exists=if_exists, named=named, begun=True, suspect=committing)


def resume(*, multipart: bool, named: bool) -> Write:
    """A write whose commit may have been sent, long ago, by somebody: what `settle` starts from."""
    doing = Doing.ABORT if multipart else Doing.HEAD
    return Write(doing, multipart, named=named, rewindable=False, suspect=True, why=Why.ASKED)


def step(write: Write, answer: Answer) -> Write:
    """What is known after `answer` came to what `write.doing` asked for."""
    if write.decided:
        raise ValueError(f"the verdict is in: {write.verdict}")
    if answer is Answer.LATE:
        return _out_of_time(write._replace(late=True, pause=False))
    after = _STEPS[write.doing](write._replace(pause=False) if write.pause else write, answer)
    if after.pause and after.late:
        return _out_of_time(after._replace(pause=False))
    return after


def _begun(write: Write, answer: Answer) -> Write:
    match answer:
        case Answer.DONE:
            return write._replace(doing=Doing.PARTS, begun=True)
        case Answer.EXISTS | Answer.EXISTS_SOLE:
            return _taken(write, answer)
        case Answer.LOST | Answer.BUSY | Answer.CONFLICT:
            # An upload that nobody knows of may be left open; it holds no object.
            return write._replace(pause=True)
        case Answer.REFUSED:
            return _definite(write)
        case _:
            raise _senseless(write, answer)


def _parts_sent(write: Write, answer: Answer) -> Write:
    match answer:
        case Answer.DONE:
            return write._replace(doing=Doing.COMMIT, sent=True)
        case Answer.OURS | Answer.THEIRS:
            # Somebody looked meanwhile, and the key is taken: no use in sending the rest.
            return _seen(write._replace(why=Why.EXISTS, sole=False), answer)
        case Answer.GONE | Answer.GONE_SOLE if write.suspect:
            # It was gone on with, and the finish of the one before us may have used it up.
            return write._replace(doing=Doing.HEAD, why=Why.GONE)
        case Answer.REFUSED | Answer.GONE | Answer.GONE_SOLE:
            return _definite(write)
        case _:
            raise _senseless(write, answer)


def _committed(write: Write, answer: Answer) -> Write:
    match answer:
        case Answer.DONE if write.multipart and write.suspect:
            # Some servers answer 200 to a repeated finish whatever became of the first.
            return write._replace(doing=Doing.HEAD, why=Why.REPLAY)
        case Answer.DONE:
            return _decide(write, Verdict.CREATED)
        case Answer.EXISTS_SOLE:
            return _taken(write, answer)
        case Answer.EXISTS:
            # Of two that a proxy made of it, the other may have landed, or may be on its way yet.
            return _taken(write._replace(suspect=True), answer)
        case Answer.BUSY:
            return write._replace(pause=True)
        case Answer.CONFLICT if not write.multipart:
            return write._replace(pause=True)
        case Answer.CONFLICT:
            return write._replace(doing=Doing.ABORT, why=Why.CONFLICT)
        case Answer.GONE | Answer.GONE_SOLE if write.multipart:
            why = Why.GONE_SOLE if answer is Answer.GONE_SOLE else Why.GONE
            return write._replace(doing=Doing.HEAD, why=why)
        case Answer.LOST | Answer.GONE | Answer.GONE_SOLE:
            doing = Doing.ABORT if write.multipart else Doing.HEAD
            return write._replace(doing=doing, why=Why.LOST, suspect=True)
        case Answer.REFUSED:
            return _definite(write)
        case Answer.UNSYNCED:
            return _decide(write, Verdict.UNSYNCED)
        case Answer.BROKEN:
            return _decide(write, Verdict.BROKEN)
        case Answer.DAMAGED:
            return _decide(write, Verdict.DAMAGED)
        case _:
            raise _senseless(write, answer)


def _aborted(write: Write, answer: Answer) -> Write:
    match answer:
        case Answer.DONE:
            return write._replace(doing=Doing.LIST, aborts=write.aborts + 1)
        case Answer.GONE | Answer.GONE_SOLE | Answer.REFUSED:
            return write._replace(doing=Doing.HEAD, aborts=write.aborts + 1)
        case Answer.LOST | Answer.BUSY | Answer.CONFLICT | Answer.FAILED:
            return write._replace(pause=True)
        case _:
            raise _senseless(write, answer)


def _listed(write: Write, answer: Answer) -> Write:
    match answer:
        case Answer.GONE | Answer.GONE_SOLE:
            return write._replace(doing=Doing.HEAD, fenced=True)
        case Answer.OPEN if write.aborts < MAX_ABORTS:
            return write._replace(doing=Doing.ABORT, pause=True)
        case Answer.OPEN | Answer.FORBIDDEN:
            return write._replace(doing=Doing.HEAD)
        case Answer.FAILED:
            return write._replace(pause=True)
        case _:
            raise _senseless(write, answer)


def _seen(write: Write, answer: Answer) -> Write:
    match answer:
        case Answer.OURS if write.named:
            return write._replace(doing=Doing.COMPARE, ours=True)
        case Answer.OURS:
            return _decide(write, Verdict.CREATED)
        case Answer.DAMAGED:
            return _decide(write, Verdict.DAMAGED)
        case Answer.THEIRS if write.if_exists == "same":
            return write._replace(doing=Doing.COMPARE, ours=False)
        case Answer.THEIRS:
            return _decide(write, Verdict.PRESENT if write.if_exists == "skip" else Verdict.EXISTS)
        case Answer.ABSENT:
            return _unseen(write)
        case Answer.FORBIDDEN if write.why is Why.EXISTS and write.sole:
            return _decide(write, Verdict.EXISTS)
        case Answer.FORBIDDEN:
            return _decide(write, Verdict.UNKNOWN)
        case Answer.FAILED:
            return write._replace(pause=True)
        case _:
            raise _senseless(write, answer)


def _compared(write: Write, answer: Answer) -> Write:
    match answer:
        case Answer.EQUAL:
            return _decide(write, Verdict.CREATED if write.ours else Verdict.SAME)
        case Answer.UNEQUAL:
            return _decide(write, Verdict.EXISTS)
        case Answer.ABSENT:
            return write._replace(doing=Doing.HEAD, pause=True)
        case Answer.FORBIDDEN:
            return _decide(write, Verdict.UNKNOWN if write.ours else Verdict.EXISTS)
        case Answer.FAILED:
            return write._replace(pause=True)
        case _:
            raise _senseless(write, answer)


def _taken(write: Write, answer: Answer) -> Write:
    # Another process may have written under a caller's id, so then not even a sole request is proof.
    sole = answer is Answer.EXISTS_SOLE and not write.suspect and not write.named
    if sole and write.if_exists == "skip":
        return _decide(write, Verdict.PRESENT)
    return write._replace(doing=Doing.HEAD, why=Why.EXISTS, sole=sole)


def _unseen(write: Write) -> Write:
    """HEAD says that nothing is at the key."""
    if write.fenced:
        worth_it = write.why in (Why.LOST, Why.CONFLICT) and write.restarts < MAX_RESTARTS
        if worth_it and write.rewindable:
            return write._replace(
                doing=Doing.BEGIN,
                pause=True,
                begun=False,
                sent=False,
                suspect=False,
                fenced=False,
                aborts=0,
                restarts=write.restarts + 1,
            )
        return _decide(write, Verdict.NOT_WRITTEN)
    match write.why:
        case Why.EXISTS if write.mirages < MAX_MIRAGES:
            return write._replace(doing=_next_request(write), pause=True, mirages=write.mirages + 1)
        case Why.EXISTS if write.begun and not write.aborts:
            return write._replace(doing=Doing.ABORT)
        case Why.LOST if not write.multipart:
            return write._replace(doing=Doing.COMMIT, pause=True)
        case Why.GONE_SOLE if not write.suspect:
            return _decide(write, Verdict.NOT_WRITTEN)
        case Why.LOST | Why.GONE | Why.GONE_SOLE | Why.CONFLICT | Why.REPLAY:
            # A finish may still be at work (OSS goes on with it when the connection is cut): keep looking.
            return write._replace(pause=True)
        case Why.EXISTS | Why.REFUSED | Why.ASKED:
            return _decide(write, Verdict.UNKNOWN)


def _next_request(write: Write) -> Doing:
    """What was to be sent when the key was found to be taken."""
    if not write.multipart or write.sent:
        return Doing.COMMIT
    return Doing.PARTS if write.begun else Doing.BEGIN


def _definite(write: Write) -> Write:
    """This request was refused for good; an earlier one may still have landed."""
    if write.suspect:
        return write._replace(doing=Doing.HEAD, why=Why.REFUSED)
    return _decide(write, Verdict.NOT_WRITTEN)


def _out_of_time(write: Write) -> Write:
    match write.doing:
        case Doing.ABORT | Doing.LIST:
            return write._replace(doing=Doing.HEAD, aborts=write.aborts + 1)
        case Doing.COMPARE:
            return _decide(write, Verdict.UNKNOWN if write.ours else Verdict.EXISTS)
        case Doing.HEAD:
            return _decide(write, Verdict.UNKNOWN)
        case _:
            return _decide(write, Verdict.UNKNOWN if write.suspect else Verdict.NOT_WRITTEN)


def _decide(write: Write, verdict: Verdict) -> Write:
    return write._replace(doing=Doing.NOTHING, verdict=verdict)


def _senseless(write: Write, answer: Answer) -> AssertionError:
    return AssertionError(f"{answer} is no answer to {write.doing}")


_STEPS = {
    Doing.BEGIN: _begun,
    Doing.PARTS: _parts_sent,
    Doing.COMMIT: _committed,
    Doing.ABORT: _aborted,
    Doing.LIST: _listed,
    Doing.HEAD: _seen,
    Doing.COMPARE: _compared,
}
