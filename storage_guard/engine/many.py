"""Very many creates, side by side: one iterator in, one out, and no failure stops the others."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from storage_guard import caller, signals
from storage_guard.engine import writing
from storage_guard.engine.concurrency import MOST, Concurrency
from storage_guard.engine.lanes import Inline, Lanes, Task, Threads
from storage_guard.engine.policy import Policy, Wanted
from storage_guard.engine.sending import Bounds
from storage_guard.errors import NotWritten, OutcomeUnknown, StorageGuardError, ticket_of
from storage_guard.model import ObjectOptions, Receipt
from storage_guard.outcome import IfExists
from storage_guard.retry import Patience
from storage_guard.ticket import Ticket, parse

if TYPE_CHECKING:
    from typing_extensions import Buffer

_REQUESTS = 64  # of all creates together, parts included
_AHEAD = 4  # in order, so many times as many creates may be begun as are under way, and wait for one that takes long

Result = Receipt | StorageGuardError


class NewObject(NamedTuple):
    """One object for `Store.create_many`; a plain `(key, data)` will do. `options` None: those of the call."""

    key: str
    data: Buffer | os.PathLike[str] | IO[bytes] | Iterable[Buffer]
    options: ObjectOptions | None = None
    write_id: str | None = None


@dataclass(slots=True)
class _Begun:
    """A create whose result nobody was given yet. `wanted` as soon as something of it may be sent."""

    key: str
    item: NewObject | None  # until it begins, and nowhere else: results and their tracebacks must not keep data alive
    wanted: Wanted | None = None
    result: Result | None = None

    def note(self, store_url: str) -> str:
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
        ticket = str(Ticket(store_url, self.key, self.wanted.write_id, named=self.wanted.named))
        return f"{self.key!r} may have been written to {store_url}: settle({ticket!r}) tells"


class _Results:
    """Who was begun, and in which order results are given out. Apart from `Many`, which holds the lanes that hold
    this: a cycle of references would keep them all until the next garbage collection."""

    def __init__(self, *, ordered: bool) -> None:
        self.begun: dict[int, _Begun] = {}  # and not given out
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


class Many:
    """One call. Its thread is the coordinator: it takes the items, and gives the results out."""

    def __init__(
        self,
        policy: Policy,
        *,
        options: ObjectOptions | None,
        if_exists: IfExists,
        in_flight: int | None,
        ordered: bool,
        deadline_s: float,
    ) -> None:
        """Raises what is wrong with the call itself: ValueError, Unsupported (options)."""
        if in_flight is not None and in_flight < 1:
            raise ValueError(f"in_flight must be at least 1, got {in_flight}")
        policy.check(if_exists=if_exists, options=options)
        access = policy.access
        access.patience(deadline_s)
        bounds = policy.bounds
        most = in_flight or bounds.in_flight or MOST
        # What one create may use is for all of them together; but no stream can do with less than two parts.
        each_bytes = max(bounds.memory_bytes // most, 2 * access.driver.limits.min_part_bytes)
        side_by_side = 1 if most == 1 else min(bounds.in_flight or MOST, max(1, _REQUESTS // most))
        self._bounds = Bounds(side_by_side, min(each_bytes, bounds.memory_bytes))
        self._policy = policy
        self._each: Policy | None = None  # of each create, when the store has been examined
        self._options = options
        self._if_exists: IfExists = if_exists
        self._deadline_s = deadline_s
        self._results = _Results(ordered=ordered)
        self._lanes: Lanes[int] = Lanes(
            Inline() if most == 1 else Threads(), Concurrency(most=most), access.clock, self._results.took
        )
        self._most_begun = _AHEAD * most
        self._count = 0
        self._all_taken = False
        self._trouble: Exception | None = None  # of the items
        self._process = 0

    def results(self, items: Iterable[Any]) -> Generator[Result]:
        """As `Store.create_many` says. One generator, and one `try`: a result that one generator hands on for another
        can be lost to Ctrl-C, and the interpreter has no handler at the very instruction at which a second one begins.
        """
        self._process = os.getpid()
        results = self._results
        try:
            source = iter(items)
            goes_on = True
            while goes_on:
                goes_on = self._step(source)
                self._lanes.take_done()
                while results.ready:
                    yield results.first()
                    if os.getpid() != self._process:
                        raise RuntimeError(f"create_many goes on in process {self._process}, and this is a copy of it")
                    # Not before: Ctrl-C may come on the way out, and then it is told in a note.
                    results.gave()
            self._raise_trouble()
        except BaseException as exc:
            ends = self._stopped(exc)
            if ends is exc:
                raise
            try:
                raise ends from exc
            finally:
                del ends

    def _step(self, source: Iterator[Any]) -> bool:
        """Begin one more, or wait for one that ends; False when all is over."""
        if self._lanes.failure is not None:
            self._all_taken = True
        if self._all_taken:
            if not self._lanes.under_way:
                self._lanes.stop()
                return False
            self._lanes.take_one()
        elif not self._lanes.may_start() or len(self._results.begun) >= self._most_begun:
            self._lanes.take_one()
        else:
            try:
                begun = self._taken(next(source))
            except StopIteration:
                self._all_taken = True
            except Exception as exc:  # noqa: BLE001 - raised again when those that were begun are told
                self._all_taken = True
                self._trouble = exc
            else:
                self._begin(begun)
        return True

    def _raise_trouble(self) -> None:
        trouble, self._trouble = self._trouble or self._lanes.failure, None
        try:
            if trouble is not None:
                raise trouble
        finally:
            del trouble  # it knows this frame

    def _taken(self, given: tuple[Any, ...]) -> _Begun:
        if not isinstance(given, tuple) or not 2 <= len(given) <= len(NewObject._fields):
            raise TypeError(f"item {self._count} is {type(given).__name__}, and not (key, data) or NewObject")
        return _Begun(given[0], given if isinstance(given, NewObject) else NewObject(*given))

    def _begin(self, begun: _Begun) -> None:
        number = self._count
        self._results.begun[number] = begun
        self._count += 1
        if self._each is None:
            try:
                # Here, where Ctrl-C comes: in a thread the others would wait for it, each as long again.
                self._policy.examine()
            except Exception as exc:  # noqa: BLE001 - the next one may be luckier
                begun.item = None
                begun.result = _as_result(exc, begun.key, self._policy.url)
                self._results.took(number)
                return
            self._each = replace(self._policy, bounds=self._bounds)
        self._lanes.start(Task(partial(self._carry_out, self._each, number, begun), 1))

    def _carry_out(self, policy: Policy, number: int, begun: _Begun) -> int:
        """In any thread."""
        try:
            begun.result = self._create(policy, begun)
        except BaseException as exc:
            # It ends the call. Of several only one surfaces, and what a ticket is for must not be lost with the others.
            if _ticket(exc, begun.key, policy.url) or f"{begun.key!r} was not written" in getattr(exc, "__notes__", ()):
                begun.result = _as_result(exc, begun.key, policy.url)
            raise
        if isinstance(begun.result, StorageGuardError):
            _let_go(begun.result)
        return number

    def _create(self, policy: Policy, begun: _Begun) -> Result:
        item, begun.item, key = begun.item, None, begun.key
        if item is None:
            raise AssertionError("it is begun twice")
        try:
            begun.wanted = wanted = policy.wanted(
                key, if_exists=self._if_exists, write_id=item.write_id, options=item.options or self._options
            )
            # Behind `wanted`, so that who stops us and finds none knows that none will come.
            if self._lanes.stopping:
                begun.wanted = None
                raise NotWritten(f"{key!r} was not written to {policy.url}: it was not begun", key=key)
            access = policy.access
            patience = Patience(access.clock, access.retry, self._deadline_s, stopped=lambda: self._lanes.stopping)
            return writing.create(policy, wanted, item.data, patience=patience, throttled=self._lanes.busy)
        except Exception as exc:  # noqa: BLE001 - the caller's own data may raise anything, and the others go on
            return _as_result(exc, key, policy.url)

    def _stopped(self, exc: BaseException) -> BaseException:
        """End it, begin nothing more, and tell in notes what was not given out. The exception to raise."""
        if os.getpid() != self._process:
            return exc  # what is under way is the other process's
        if isinstance(exc, GeneratorExit) and self._results.ready:
            self._results.gave()  # the one at which it was closed
        try:
            self._lanes.stop()
        except BaseException as more:  # noqa: BLE001 - one of the two is raised
            if isinstance(exc, Exception | GeneratorExit):
                return self._stopped(more)  # Ctrl-C, while it was closed
            exc.add_note("some creates may still be on their way")  # a second Ctrl-C; the first is on its way already
        left = [begun for _, begun in sorted(self._results.begun.items())]
        url = self._policy.url
        if isinstance(exc, GeneratorExit):
            # Of which nobody sees notes.
            doubts = [begun.note(url) for begun in left if isinstance(begun.result, OutcomeUnknown)]
            if doubts:
                words = "; ".join(["create_many was closed before it gave these results", *doubts])
                warnings.warn(words, RuntimeWarning, stacklevel=caller.level())
            return exc
        for begun in left:
            if not (isinstance(begun.result, StorageGuardError) and begun.result.__cause__ is exc):
                exc.add_note(begun.note(url))
        return exc


def _as_result(exc: BaseException, key: str, url: str) -> StorageGuardError:
    """An exception as the result of the create at `key`. One of ours is it by itself, unless it is about another."""
    ticket = _ticket(exc, key, url)
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


def _ticket(exc: BaseException, key: str, url: str) -> str | None:
    """The ticket that it carries, if it is about the create at `key`: the caller's data may come from other writes."""
    ticket = ticket_of(exc)
    if ticket is None:
        return None
    try:
        asked = parse(ticket)
    except ValueError:
        return None
    return ticket if (asked.key, asked.store_url) == (key, url) else None


def _let_go(error: BaseException) -> None:
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
