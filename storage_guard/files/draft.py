"""The life of a file that is being written: open, and then committed, discarded or failed, and nothing twice."""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, Unpack

from storage_guard import caller
from storage_guard.files.pouring import Pour
from storage_guard.model import Receipt

# How long a file that nobody closed may keep a collection, or the end of the program, waiting for its abort.
GRACE_S = 10.0

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")
_SEEN = "_storage_guard_seen"
_drafts: weakref.WeakSet[Draft] = weakref.WeakSet()
_adding = threading.Lock()


class Draft:
    """An object in the making, and whether it will be published. What files have in common, of bytes and of text.

    Nothing here refers to the file, so that a file that is dropped is collected at once. Calls from several threads
    take turns. A process that was forked meanwhile has a copy that neither publishes nor discards.
    """

    def __init__(self, pour: Pour, key: str, url: str) -> None:
        self.key = key
        self._lock = threading.Lock()
        self._turn_of = 0  # the thread that holds the lock
        self.receipt: Receipt | None = None
        self.discarded = False
        self.sealed = False
        self._failure: BaseException | None = None
        self._pour = pour
        self._url = url
        self._place = caller.place()
        self._process = os.getpid()
        self._in_flight = _in_flight()
        with _adding:
            _drafts.add(self)

    @property
    def ended(self) -> bool:
        """Whether it is decided: nothing can be written any more."""
        return self.discarded or self.receipt is not None or self._failure is not None

    @property
    def state(self) -> str:
        """In one word."""
        if self.receipt is not None:
            return "committed"
        if self._failure is not None:
            return "failed"
        return "discarded" if self.discarded else "sealed" if self.sealed else "open"

    def check_open(self) -> None:
        """Raises ValueError that says why nothing can be written."""
        self._check_process()
        if self.receipt is not None:
            raise ValueError(f"{self.key!r} is committed: nothing more can be written to it")
        if self._failure is not None:
            raise ValueError(f"{self.key!r} was given up: {self._told(self._failure)}") from self._failure
        if self.discarded:
            raise ValueError(f"{self.key!r} was discarded: nothing more can be written to it")
        if self.sealed:
            raise ValueError(f"{self.key!r} is closed, and not committed yet: nothing more can be written to it")

    def turn(self, call: Callable[[Unpack[_Args]], _T], *args: *_Args) -> _T:
        """Call it alone. Raises ValueError in a forked process: there the lock may be held by a thread that is not."""
        self._check_process()
        if self._turn_of == threading.get_ident() and self._lock.locked():
            raise RuntimeError(f"{self.key!r}: its file was called from within a call of it, by progress or a signal")
        with self._lock:
            self._turn_of = threading.get_ident()
            try:
                return call(*args)
            finally:
                self._turn_of = 0

    def put(self, data: memoryview) -> None:
        """Take more bytes, in a turn. Whatever this raises ends the draft."""
        self.check_open()
        try:
            self._pour.pour(data)
        except BaseException as exc:
            self.fail(exc)
            raise

    def commit(self, rest: Callable[[], None]) -> Receipt:
        """Publish it, behind what `rest` still writes. A second call returns, or raises, what the first did."""
        return self.turn(self._commit, rest)

    def _commit(self, rest: Callable[[], None]) -> Receipt:
        if self.receipt is not None:
            return self.receipt
        if self._failure is not None:
            raise self._failure
        if not self.sealed:
            self.check_open()
        try:
            if not self.sealed:
                rest()
            self.receipt = self._pour.finish()
        except BaseException as exc:
            self.fail(exc)
            raise
        return self.receipt

    def discard(self) -> list[str]:
        """Publish nothing, and say what trouble there was. Does nothing when it has ended."""
        return [] if self._is_foreign() else self.turn(self._discard)

    def _discard(self) -> list[str]:
        if self.ended:
            return []
        self.discarded = True
        return self._pour.discard()

    def close(self, rest: Callable[[], None], *, held: bool) -> None:
        """Commit (`held`: seal), unless it has ended, or an exception is in flight that was not when it was opened."""
        if self.ended or (held and self.sealed):
            return
        if self._is_foreign():
            self.discarded = True
            warn(f"{self.key!r} was not written by this process: its file belongs to process {self._process}")
            return
        exc = self._interrupting()
        if exc is None:
            self.seal(rest) if held else self.commit(rest)
            return
        self.note(self.discard(), exc)
        warn(
            f"{self.key!r} was not written to {self._url}: its file was closed while {type(exc).__name__} was in "
            "flight, and so was discarded; commit() publishes all the same"
        )

    def seal(self, rest: Callable[[], None]) -> None:
        """Take what `rest` still writes, and nothing more; whether it is published is decided later."""
        self.turn(self._seal, rest)

    def _seal(self, rest: Callable[[], None]) -> None:
        if self.sealed and not self.ended:
            return
        self.check_open()
        try:
            rest()
        except BaseException as exc:
            self.fail(exc)
            raise
        self.sealed = True

    def fail(self, exc: BaseException) -> None:
        """End it, because of `exc`."""
        if not self.ended:
            self._failure = exc
            self.note(self._pour.give_up(exc), exc)

    def drop(self, why: str) -> None:
        """Discard what nobody closed, and warn of it. Called in any thread, at any moment, while any lock is held."""
        if self._is_foreign() or not self._lock.acquire(timeout=GRACE_S):
            return  # somebody is at work with it in a thread that ends with the program
        try:
            if self.ended:
                return
            self.discarded = True
            notes = _discard_within(self._pour)
        finally:
            self._lock.release()
        warn(
            "; ".join(
                [f"{self.key!r} was not written to {self._url}: its file, opened at {self._place}, {why}", *notes]
            ),
            ResourceWarning,
        )

    @staticmethod
    def note(notes: list[str], exc: BaseException) -> None:
        for note in notes:
            exc.add_note(note)

    def _check_process(self) -> None:
        if self._is_foreign():
            raise ValueError(
                f"{self.key!r}: this file belongs to process {self._process}, and a copy of it in another process "
                "writes nothing"
            )

    def _is_foreign(self) -> bool:
        return os.getpid() != self._process

    def _interrupting(self) -> BaseException | None:
        exc = sys.exception()
        return None if exc is None or exc.__dict__.get(_SEEN) in self._in_flight else exc

    def _told(self, exc: BaseException) -> str:
        return f"{type(exc).__name__}: {exc}"


def _in_flight() -> list[object]:
    """Marks of the exceptions that are being handled. Not they themselves: they hold the frame that holds the file."""
    marks: list[object] = []
    exc = sys.exception()
    while exc is not None and exc.__dict__.get(_SEEN) not in marks:
        marks.append(exc.__dict__.setdefault(_SEEN, object()))
        exc = exc.__context__
    return marks


def _discard_within(pour: Pour) -> list[str]:
    """Discard within GRACE_S. In a thread of its own, because a collection may strike where this one holds a lock that
    a driver will ask for; and a bare one, because the threading module has locks too."""
    if not pour.has_sent:
        return pour.discard()
    if sys.is_finalizing():
        return ["its upload is left open"]
    notes: list[str] = []
    done = threading.Lock()
    done.acquire()

    def discard() -> None:
        try:
            notes.extend(pour.discard())
        finally:
            done.release()

    try:
        _thread.start_new_thread(discard, ())
    except RuntimeError:
        return ["its upload is left open: no thread could be started to abort it"]
    return notes if done.acquire(timeout=GRACE_S) else [f"its upload may be left open: no answer in {GRACE_S:g} s"]


def warn(message: str, category: type[Warning] = RuntimeWarning) -> None:
    warnings.warn(message, category, stacklevel=caller.level())


@atexit.register
def _drop_all() -> None:
    """While threads still run: later on nobody could wait for them."""
    with _adding:
        drafts = list(_drafts)
    for draft in drafts:
        draft.drop("was still open when the program ended")
