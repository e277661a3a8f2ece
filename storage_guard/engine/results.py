"""What became of each of very many creates: who was begun, what they came to, and in which order it is told."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from types import FrameType
from typing import IO, TYPE_CHECKING, NamedTuple

from storage_guard import signals
from storage_guard.engine.policy import Wanted
from storage_guard.engine.submitted import SubmittedCreation
from storage_guard.errors import NotWritten, OutcomeUnknown, StorageGuardError, ticket_of
from storage_guard.model import ObjectOptions, Receipt
from storage_guard.ticket import Ticket, parse

if TYPE_CHECKING:
    from typing_extensions import Buffer

Result = Receipt | StorageGuardError


class NewObject(NamedTuple):
    """One object for `Store.create_many`; a plain `(key, data)` will do. `options` None: those of the call."""

    key: str
    data: Buffer | os.PathLike[str] | IO[bytes] | Iterable[Buffer]
    options: ObjectOptions | None = None
    write_id: str | None = None


@dataclass(slots=True)
class Begun:
    """A create whose result nobody was given yet. `wanted` as soon as something of it may be sent."""

    key: str
    item: NewObject | None  # until it begins, and nowhere else: results and their tracebacks must not keep data alive
    wanted: Wanted | None = None
    submitted: SubmittedCreation | None = None  # until it is answered, or goes on
    result: Result | None = None

    def note(self, store_url: str, service: str) -> str:
        """What is known of it."""
        result = self.result
        match result:
            case Receipt():
                return f"{self.key!r} was written: {result.outcome}, write {result.write_id}"
            case OutcomeUnknown():
                return f"{result}; settle({result.ticket!r}) tells"
            case StorageGuardError():
                return str(result)
            case None:
                pass
        if self.wanted is None:
            return f"{self.key!r} was not written to {store_url}: it was not begun"
        ticket = str(Ticket(store_url, self.key, self.wanted.write_id, named=self.wanted.named, service=service))
        return f"{self.key!r} may have been written to {store_url}: settle({ticket!r}) tells"


class Results:
    """Who was begun, and in which order results are given out. Apart from `Many`, which holds the lanes that hold
    this: a cycle of references would keep them all until the next garbage collection."""

    def __init__(self, *, ordered: bool) -> None:
        self.begun: dict[int, Begun] = {}  # and not given out
        self.ready: deque[int] = deque()
        self._ordered = ordered
        self._next = 0

    def took(self, number: int) -> None:
        """It has its result."""
        if not self._ordered:
            self.ready.append(number)
            return
        while (begun := self.begun.get(self._next)) is not None and begun.result is not None:
            self.ready.append(self._next)
            self._next += 1

    def first(self) -> Result:
        """Of those that are ready."""
        result = self.begun[self.ready[0]].result
        if result is None:
            raise AssertionError("it is ready, and has no result")
        return result

    def gave(self) -> None:
        """The first of those that are ready was given out."""
        self.begun.pop(self.ready.popleft())


def as_result(exc: BaseException, key: str, url: str) -> StorageGuardError:
    """An exception as the result of the create at `key`. One of ours is it by itself, unless it is about another."""
    ticket = ticket_about(exc, key, url)
    elsewhere = isinstance(exc, OutcomeUnknown) and ticket is None
    if isinstance(exc, StorageGuardError) and exc.key in (None, key) and not elsewhere:
        exc.key = key
        if isinstance(exc, OSError):
            exc.filename = key
        return exc
    try:
        words = f"{type(exc).__name__}: {exc}"
    except Exception:  # noqa: BLE001 - it cannot even say what it is
        words = type(exc).__name__
    error: StorageGuardError
    if ticket is None:
        error = NotWritten(f"{key!r} was not written to {url}: {words}", key=key)
    else:
        error = OutcomeUnknown(
            f"{key!r} may have been written to {url}: {words}; settle(ticket) tells",
            key=key,
            ticket=ticket,
            write_id=parse(ticket).write_id,
        )
    for note in getattr(exc, "__notes__", ()):
        error.add_note(note)
    error.__cause__ = exc
    return error


def ticket_about(exc: BaseException, key: str, url: str) -> str | None:
    """The ticket that it carries, if it is about the create at `key`: the caller's data may come from other writes."""
    ticket = ticket_of(exc)
    if ticket is None:
        return None
    try:
        asked = parse(ticket)
    except ValueError:
        return None
    return ticket if (asked.key, asked.store_url) == (key, url) else None


def let_go(error: BaseException) -> None:
    """Forget what the frames held that `error` and its causes came through, and those that called them, up to who is
    still at work: the caller may keep errors, and each would keep its object's data. Of exceptions that are not ours
    it is still told where they were raised."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        trace = each.__traceback__
        while trace is not None:
            _clear(trace.tb_frame)
            trace = trace.tb_next
        if isinstance(each, StorageGuardError | signals.Signal):
            each.__traceback__ = None  # frames know their functions too, and these what they enclose
        todo += [each.__context__, each.__cause__]
        if isinstance(each, BaseExceptionGroup):
            todo.extend(each.exceptions)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def _clear(frame: FrameType | None) -> None:
    """This one, and who called it."""
    while frame is not None:
        caller_frame = frame.f_back
        try:
            frame.clear()
        except RuntimeError:  # at work
            return
        frame = caller_frame
