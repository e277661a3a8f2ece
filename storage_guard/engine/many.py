"""Very many creates, side by side: one iterator in, one out, and no failure stops the others."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from storage_guard.engine import writing
from storage_guard.engine.concurrency import MOST, Concurrency
from storage_guard.engine.lanes import Inline, Lanes, Task, Threads
from storage_guard.engine.policy import Policy
from storage_guard.engine.sending import Bounds
from storage_guard.errors import NotWritten, OutcomeUnknown, StorageGuardError, ticket_of
from storage_guard.model import ObjectOptions, Receipt
from storage_guard.outcome import IfExists
from storage_guard.retry import Patience

if TYPE_CHECKING:
    from typing_extensions import Buffer

_REQUESTS = 64  # of all creates together, parts included
_AHEAD = 4  # in order, so many times as many creates may be begun as are under way, and wait for one that takes long


class NewObject(NamedTuple):
    """One object for `Store.create_many`; a plain `(key, data)` will do. `options` None: those of the call."""

    key: str
    data: Buffer | os.PathLike[str] | IO[bytes] | Iterable[Buffer]
    options: ObjectOptions | None = None
    write_id: str | None = None


_Numbered = tuple[int, Receipt | StorageGuardError]


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
        bounds = policy.bounds
        most = in_flight or bounds.in_flight or MOST
        # What one create may use is for all of them together; but no stream can do with less than two parts.
        each_bytes = max(bounds.memory_bytes // most, 2 * policy.access.driver.limits.min_part_bytes)
        self._policy = replace(
            policy,
            bounds=Bounds(
                min(bounds.in_flight or MOST, max(1, _REQUESTS // most)), min(each_bytes, bounds.memory_bytes)
            ),
        )
        self._options = options
        self._if_exists: IfExists = if_exists
        self._ordered = ordered
        self._deadline_s = deadline_s
        self._lanes: Lanes[_Numbered] = Lanes(
            Inline() if most == 1 else Threads(), Concurrency(most=most), policy.access.clock, self._took
        )
        self._ahead = _AHEAD * most
        self._begun = self._given = 0
        self._ready: deque[Receipt | StorageGuardError] = deque()
        self._early: dict[int, Receipt | StorageGuardError] = {}

    def results(self, items: Iterable[tuple[Any, ...]]) -> Iterator[Receipt | StorageGuardError]:
        """As `Store.create_many` says."""
        try:
            yield from self._results(items)
        except BaseException as exc:
            self._lanes.stop()
            self._tell(exc)
            raise

    def _results(self, items: Iterable[tuple[Any, ...]]) -> Iterator[Receipt | StorageGuardError]:
        source = iter(items)
        trouble: Exception | None = None
        while trouble is None:
            self._lanes.take_done()
            yield from self._give()
            if not self._lanes.may_start() or (self._ordered and self._begun - self._given >= self._ahead):
                self._lanes.take_one()
                continue
            try:
                item = NewObject(*next(source))
            except StopIteration:
                break
            except Exception as exc:  # noqa: BLE001 - raised again when those that were begun are told
                trouble = exc
                break
            number = self._begun
            self._begun += 1
            self._lanes.start(Task(partial(self._run, number, item), 1))
            del item  # or its data lives until the next one comes
        while self._lanes.under_way:
            self._lanes.take_one()
            yield from self._give()
        self._lanes.stop()
        yield from self._give()
        if trouble is not None:
            raise trouble

    def _run(self, number: int, item: NewObject) -> _Numbered:
        """In any thread."""
        return number, self._create(item)

    def _create(self, item: NewObject) -> Receipt | StorageGuardError:
        policy = self._policy
        try:
            wanted = policy.wanted(
                item.key, if_exists=self._if_exists, write_id=item.write_id, options=item.options or self._options
            )
            access = policy.access
            patience = Patience(access.clock, access.retry, self._deadline_s, stopped=lambda: self._lanes.stopping)
            return writing.create(policy, wanted, item.data, patience=patience, throttled=self._lanes.busy)
        except StorageGuardError as exc:
            return exc
        except Exception as exc:  # noqa: BLE001 - the caller's own data may raise anything, and the others go on
            return _told(exc, item.key, policy.url)

    def _took(self, result: _Numbered) -> None:
        if not self._ordered:
            self._ready.append(result[1])
            return
        self._early[result[0]] = result[1]
        while (found := self._early.pop(self._given + len(self._ready), None)) is not None:
            self._ready.append(found)

    def _give(self) -> Iterator[Receipt | StorageGuardError]:
        while self._ready:
            self._given += 1
            yield self._ready.popleft()

    def _tell(self, exc: BaseException) -> None:
        """What was done and nobody has heard of yet."""
        for result in (*self._ready, *self._early.values()):
            if isinstance(result, OutcomeUnknown):
                exc.add_note(f"{result}; settle({result.ticket!r}) tells")
            elif isinstance(result, StorageGuardError):
                exc.add_note(str(result))
            else:
                exc.add_note(f"{result.key!r} was written: {result.outcome}, write {result.write_id}")


def _told(exc: Exception, key: str, url: str) -> StorageGuardError:
    """An exception that is not one of ours, as a result that names its key."""
    error: StorageGuardError
    ticket = ticket_of(exc)
    if ticket is None:
        error = NotWritten(f"{key!r} was not written to {url}: {type(exc).__name__}: {exc}", key=key)
    else:
        error = OutcomeUnknown(
            f"{key!r} may have been written to {url}: {type(exc).__name__}: {exc}; settle(ticket) tells",
            key=key,
            ticket=ticket,
        )
    error.__cause__ = exc
    return error
