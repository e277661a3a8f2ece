"""Very many creates, side by side: one iterator in, one out, and no failure stops the others."""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from storage_guard import amounts, caller
from storage_guard.driver import Outcome, Reply, submits
from storage_guard.engine import writing
from storage_guard.engine.concurrency import MOST, Concurrency
from storage_guard.engine.lanes import Inline, Lanes, Sent, Task, Threads
from storage_guard.engine.policy import Policy, Wanted
from storage_guard.engine.results import Begun, NewObject, Result, Results, as_result, let_go, ticket_about
from storage_guard.engine.sending import Bounds
from storage_guard.engine.submitted import Submit, is_small, submitted
from storage_guard.errors import NotWritten, OutcomeUnknown, StorageGuardError
from storage_guard.model import ObjectOptions
from storage_guard.outcome import IfExists
from storage_guard.retry import Patience

_REQUESTS = 64  # of all creates together, parts included
_AHEAD = 4  # in order, so many times as many creates may be begun as are under way, and wait for one that takes long


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
        if in_flight is not None:
            amounts.check_whole("in_flight", in_flight, least=1)
        policy.check(if_exists=if_exists, options=options)
        access = policy.access
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
        self._examining = access.patience(deadline_s)  # of all items together
        self._results = Results(ordered=ordered)
        submitting = access.driver if most > 1 and submits(access.driver) else None
        self._put: Submit | None = None if submitting is None else submitting.submit_new
        self._lanes: Lanes[int] = Lanes(
            Inline() if most == 1 else Threads(),
            Concurrency(most=most),
            access.clock,
            self._results.took,
            flush=None if submitting is None else submitting.flush,
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
                if results.ready:
                    self._lanes.flush()  # it may take a while until more is submitted
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

    def _taken(self, given: tuple[Any, ...]) -> Begun:
        if not isinstance(given, tuple) or not 2 <= len(given) <= len(NewObject._fields):
            raise TypeError(f"item {self._count} is {type(given).__name__}, and not (key, data) or NewObject")
        return Begun(given[0], given if isinstance(given, NewObject) else NewObject(*given))

    def _begin(self, begun: Begun) -> None:
        number = self._count
        self._results.begun[number] = begun
        self._count += 1
        if self._each is None:
            if not number:
                self._examining.progress()  # the source may have taken its time until here
            try:
                # Here, where Ctrl-C comes: in a thread the others would wait for it, each as long again.
                self._policy.examine(self._examining)
            except Exception as exc:  # noqa: BLE001 - the next one may be luckier
                begun.item = None
                begun.result = as_result(exc, begun.key, self._policy.url)
                self._results.took(number)
                return
            self._each = replace(self._policy, bounds=self._bounds)
        task = Task(partial(self._carry_out, self._each, number, begun), 1)
        if self._put is not None and self._prepare(self._each, begun):
            task.sent = Sent(partial(self._submit, self._put, begun), partial(self._take, self._each, number, begun))
        self._lanes.start(task)

    def _prepare(self, policy: Policy, begun: Begun) -> bool:
        """Whether no thread needs to wait for its first answer."""
        item = begun.item
        if item is None or not is_small(item.data):
            return False
        try:
            wanted = self._wanted(policy, item)
            begun.submitted = submitted(
                policy, wanted, item.data, patience=self._patience(policy), throttled=self._lanes.busy
            )
        except Exception:  # noqa: BLE001 - raised again where it is told
            return False
        if begun.submitted is None:
            return False
        begun.item = None
        return True

    @staticmethod
    def _submit(put: Submit, begun: Begun, reply: Reply) -> None:
        if begun.submitted is None:
            raise AssertionError("it was not prepared")
        begun.wanted = begun.submitted.wanted  # of which something may be sent from here on
        begun.submitted.submit(put, reply)

    def _take(self, policy: Policy, number: int, begun: Begun, outcome: Outcome) -> int | None:
        """Its number when it has its result; None if it goes on."""
        if begun.submitted is None:
            raise AssertionError("it was not submitted")
        try:
            begun.result = begun.submitted.take(outcome)
        except Exception as exc:  # noqa: BLE001 - as in `_create`
            begun.result = as_result(exc, begun.key, policy.url)
        if begun.result is None:
            return None
        begun.submitted = None
        if isinstance(begun.result, StorageGuardError):
            let_go(begun.result)
        return number

    def _wanted(self, policy: Policy, item: NewObject) -> Wanted:
        return policy.wanted(
            item.key, if_exists=self._if_exists, write_id=item.write_id, options=item.options or self._options
        )

    def _patience(self, policy: Policy) -> Patience:
        access = policy.access
        return Patience(access.clock, access.retry, self._deadline_s, stopped=lambda: self._lanes.stopping)

    def _carry_out(self, policy: Policy, number: int, begun: Begun) -> int:
        """In any thread."""
        try:
            begun.result = self._create(policy, begun)
        except BaseException as exc:
            # It ends the call. Of several only one surfaces, and what a ticket is for must not be lost with the others.
            if ticket_about(exc, begun.key, policy.url) or f"{begun.key!r} was not written" in getattr(
                exc, "__notes__", ()
            ):
                begun.result = as_result(exc, begun.key, policy.url)
            raise
        if isinstance(begun.result, StorageGuardError):
            let_go(begun.result)
        return number

    def _create(self, policy: Policy, begun: Begun) -> Result:
        item, begun.item, key = begun.item, None, begun.key
        creation, begun.submitted = begun.submitted, None
        try:
            if creation is not None:
                return creation.go_on()
            if item is None:
                raise AssertionError("it is begun twice")
            begun.wanted = wanted = self._wanted(policy, item)
            # Behind `wanted`, so that who stops us and finds none knows that none will come.
            if self._lanes.stopping:
                begun.wanted = None
                raise NotWritten(f"{key!r} was not written to {policy.url}: it was not begun", key=key)
            return writing.create(
                policy, wanted, item.data, patience=self._patience(policy), throttled=self._lanes.busy
            )
        except Exception as exc:  # noqa: BLE001 - the caller's own data may raise anything, and the others go on
            return as_result(exc, key, policy.url)

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
        url, service = self._policy.url, self._policy.access.driver.location.endpoint
        if isinstance(exc, GeneratorExit):
            # Of which nobody sees notes.
            doubts = [begun.note(url, service) for begun in left if isinstance(begun.result, OutcomeUnknown)]
            if doubts:
                words = "; ".join(["create_many was closed before it gave these results", *doubts])
                warnings.warn(words, RuntimeWarning, stacklevel=caller.level())
            return exc
        for begun in left:
            if not (isinstance(begun.result, StorageGuardError) and begun.result.__cause__ is exc):
                exc.add_note(begun.note(url, service))
        return exc
