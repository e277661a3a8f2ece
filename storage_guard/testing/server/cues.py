"""Faults on cue: which requests are struck, and what becomes of them. No I/O: `serving` does as an `Action` says.

cues.add(Cue(cut_after_acting(), member="put_new", key="a"))         # it is written, and nobody hears of it
cues.add(Cue(refused(503, "SlowDown"), member="put_part", skip=2, times=3))
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from storage_guard.testing.server.exchange import Answer, Asked

HALF: Final = -1  # of the body, or of the answer, instead of a number of bytes
_REMEMBERED = 100_000


class Hold:
    """Requests wait here, whole and not acted upon, until `release`; then they go on in the order they came, and all
    later ones pass. One hold may serve several cues. Any thread may call it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._released = False
        self._arrived = 0
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def release(self) -> None:
        with self._changed:
            self._released = True
            waiting, self._waiting = self._waiting, []
        for loop, future in waiting:
            with contextlib.suppress(RuntimeError):  # the server has stopped meanwhile
                loop.call_soon_threadsafe(_wake, future)

    def wait_for(self, count: int = 1, timeout_s: float = 10.0) -> None:
        """Returns once `count` requests altogether have come here. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._arrived >= count, timeout_s):
                raise TimeoutError(f"{self._arrived} of {count} requests came in {timeout_s} s")

    async def passed(self) -> None:
        """For the server: returns once the hold is released."""
        with self._changed:
            self._arrived += 1
            self._changed.notify_all()
            if self._released:
                return
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            self._waiting.append((loop, future))
        await future


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@dataclass(frozen=True)
class Refusal:
    """An error in the form of the service."""

    status: int
    code: str


@dataclass(frozen=True, kw_only=True)
class Action:
    """What becomes of a request; the functions below make the usual ones.

    Its body is received, then it waits `delay_before_s` and for `hold`, is acted upon if `acts`, waits `delay_after_s`,
    and is answered with what came of it, or with `answer`. It is cut instead where `cut_request_bytes` of its body have
    come (at its end if it is shorter; it is not acted upon), or where `cut_answer_bytes` of the answer's head and body
    have gone out (after all of it if it is shorter; 0: nothing). Cut means that the connection is reset, or closed with
    a FIN where `reset` is false. After a reset the client may find less of the answer than went out.
    """

    acts: bool = True
    answer: Refusal | Callable[[Answer], Answer] | None = None
    delay_before_s: float = 0.0
    delay_after_s: float = 0.0
    hold: Hold | None = None
    cut_request_bytes: int | None = None
    cut_answer_bytes: int | None = None
    reset: bool = True

    def __post_init__(self) -> None:
        if min(self.delay_before_s, self.delay_after_s) < 0:
            raise ValueError("a delay is negative")
        for cut in (self.cut_request_bytes, self.cut_answer_bytes):
            if cut is not None and cut < 0 and cut != HALF:
                raise ValueError("a cut is after HALF, or after a number of bytes")
        more = (self.acts, self.answer, self.delay_before_s, self.delay_after_s, self.hold, self.cut_answer_bytes)
        if self.cut_request_bytes is not None and more != (False, None, 0, 0, None, None):
            raise ValueError("a request that is cut is not acted upon, not delayed, and not answered")
        if self.cut_request_bytes is None and self.cut_answer_bytes is None and not self.reset:
            raise ValueError("nothing is cut, so nothing is closed")
        if self.cut_answer_bytes == 0 and self.answer is not None:
            raise ValueError("an answer is given, and none is sent")
        answered = isinstance(self.answer, Refusal) or self.cut_answer_bytes == 0
        if not self.acts and self.cut_request_bytes is None and not answered:
            raise ValueError("a request that is not acted upon is cut, or answered with a Refusal")


def delayed(*, before_s: float = 0.0, after_s: float = 0.0) -> Action:
    """Answered as always, with time before and after it is acted upon."""
    return Action(delay_before_s=before_s, delay_after_s=after_s)


def held(hold: Hold, then: Action | None = None) -> Action:
    """Acted upon once the hold is released, whether or not the client is still there; then as `then` says."""
    return replace(then or Action(), hold=hold)


def cut_before_acting(*, reset: bool = True) -> Action:
    """The whole request is received, nothing is done, and the connection is cut."""
    return Action(acts=False, cut_answer_bytes=0, reset=reset)


def cut_after_acting(*, reset: bool = True) -> Action:
    """The whole request is received and acted upon, and the connection is cut without an answer."""
    return Action(cut_answer_bytes=0, reset=reset)


def cut_in_request(after_bytes: int = HALF, *, reset: bool = True) -> Action:
    """Cut when so much of the body has come; half of a body in chunks is its first byte."""
    return Action(acts=False, cut_request_bytes=after_bytes, reset=reset)


def cut_in_answer(after_bytes: int = HALF, *, reset: bool = True) -> Action:
    """Acted upon, and cut when so much of the answer, its head included, has gone out."""
    return Action(cut_answer_bytes=after_bytes, reset=reset)


def refused(status: int, code: str) -> Action:
    """Received, not acted upon, and answered with an error."""
    return Action(acts=False, answer=Refusal(status, code))


def refused_after_acting(status: int, code: str) -> Action:
    """Acted upon, and answered with an error all the same."""
    return Action(answer=Refusal(status, code))


def altered(change: Callable[[Answer], Answer]) -> Action:
    """Acted upon, and answered with what `change` makes of the answer. A body that is shorter than its `body_bytes` is
    sent, and the connection closed where it ends."""
    return Action(answer=change)


@dataclass(frozen=True)
class Cue:
    """Strikes requests for a member, bucket and key (None: any): not the first `skip`, then `times` (None: always)."""

    action: Action
    member: str | None = None
    bucket: str | None = None
    key: str | None = None
    skip: int = 0
    times: int | None = 1

    def fits(self, asked: Asked) -> bool:
        return (
            self.member in (None, asked.member)
            and self.bucket in (None, asked.bucket)
            and self.key in (None, asked.key)
        )


@dataclass(frozen=True)
class Strike:
    """A request was struck: by a cue, or by `on_request`, where `cue` is None."""

    asked: Asked
    action: Action
    cue: Cue | None


@dataclass
class _Counted:
    cue: Cue
    seen: int = field(default=0)


class Cues:
    """The cues of a server, in the order they were added. Any thread may call it.

    The first cue that fits and is due strikes. Cues before it that fit and still skip have counted the request, those
    after it never hear of it. `on_request` is asked about the requests that no cue struck; it is called in the server's
    thread, and must not wait.
    """

    def __init__(self, *cues: Cue, on_request: Callable[[Asked], Action | None] | None = None) -> None:
        self._lock = threading.Lock()
        self._counted = [_Counted(cue) for cue in cues]
        self._struck: deque[Strike] = deque(maxlen=_REMEMBERED)
        self.on_request = on_request

    def add(self, cue: Cue) -> Cue:
        """The cue, so that it can be removed. One that is added twice counts twice."""
        with self._lock:
            self._counted.append(_Counted(cue))
        return cue

    def remove(self, cue: Cue) -> None:
        """Raises ValueError if it is not there (any more: `clear`)."""
        with self._lock:
            place = next((place for place, each in enumerate(self._counted) if each.cue is cue), None)
            if place is None:
                raise ValueError(f"{cue} is not among the cues")
            del self._counted[place]

    def clear(self) -> None:
        """No cue and no hook any more. What was struck stays known."""
        with self._lock:
            self._counted.clear()
            self.on_request = None

    @property
    def struck(self) -> list[Strike]:
        """The latest 100,000, oldest first."""
        with self._lock:
            return list(self._struck)

    def strike(self, asked: Asked) -> Action | None:
        """For the server: what becomes of this request, if it is not simply answered."""
        hook = self.on_request
        if not self._counted and hook is None:
            return None
        with self._lock:
            for each in self._counted:
                if each.cue.fits(asked):
                    each.seen += 1
                    past = each.seen - each.cue.skip
                    if past > 0 and (each.cue.times is None or past <= each.cue.times):
                        self._struck.append(Strike(asked, each.cue.action, each.cue))
                        return each.cue.action
        action = None if hook is None else hook(asked)
        if action is not None:
            with self._lock:
                self._struck.append(Strike(asked, action, None))
        return action
