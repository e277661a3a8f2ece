"""Faults: a driver around a driver that fails on cue, and never in a way that no store could.

    driver = faulty(MemoryDriver(), "finish_new", [LOST_AFTER, None, BUSY])

The first `finish_new` takes place and its answer is lost, the second is left alone, the third is turned away.
"""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, get_args, overload

from storage_guard.driver import (
    Body,
    Broken,
    Busy,
    Capabilities,
    Conflict,
    Damaged,
    Driver,
    Exists,
    Gone,
    Limits,
    Location,
    Lost,
    ObjectInfo,
    ObjectRef,
    Part,
    PartSlot,
    Prefix,
    Refused,
    Signal,
    Unsynced,
    Upload,
    WriteMeta,
)
from storage_guard.testing.bodies import BytesBody

T = TypeVar("T")

Member = Literal[
    "capabilities",
    "put_new",
    "begin",
    "put_part",
    "copy_part",
    "finish_new",
    "abort",
    "copy_new",
    "head",
    "read",
    "scan",
    "remove",
    "scan_uploads",
    "scan_parts",
    "presign",
]


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """One call on its way to the inner driver. `act` performs it there; `later` puts it off until `deliver`."""

    driver: Driver
    key: str
    upload_id: str | None
    body: Body
    perform: Callable[[Body], T]
    later: Callable[[Callable[[], object]], None]

    def act(self) -> T:
        return self.perform(self.body)


class Fault(ABC):
    """What goes wrong with one request. A subclass of yours must be honest too: see `signals` for who has acted."""

    @abstractmethod
    def strike(self, request: Request[T], /) -> T: ...

    def __repr__(self) -> str:
        return type(self).__name__.strip("_")


class _LostAfter(Fault):
    def strike(self, request: Request[T], /) -> T:
        with contextlib.suppress(Signal):
            request.act()
        raise Lost("the answer was lost")


class _LostBefore(Fault):
    def strike(self, request: Request[T], /) -> T:
        raise Lost(f"the request for {request.key!r} was lost")


class _Late(Fault):
    def strike(self, request: Request[T], /) -> T:
        body = BytesBody(b"".join(bytes(window) for window in request.body.windows()))
        perform = request.perform  # of the request nothing else stays: its body holds on to who sends it
        request.later(lambda: perform(body))
        raise Lost("the answer was lost, and the request is under way")


class _Cut(Fault):
    def strike(self, request: Request[T], /) -> T:
        done_bytes = 0
        for window in request.body.windows():
            done_bytes += window.nbytes
            if done_bytes >= request.body.size_bytes / 2:
                break
        raise Lost(f"cut after {done_bytes} of {request.body.size_bytes} bytes")


class _Twice(Fault):
    def strike(self, request: Request[T], /) -> T:
        with contextlib.suppress(Signal):
            request.act()
        try:
            return request.act()
        except (Exists, Gone) as exc:
            # Whoever resends for us cannot vouch that the request was sent once.
            exc.sole = False
            raise


class _Gone(Fault):
    def strike(self, request: Request[T], /) -> T:
        # An upload that is unknown stays unknown: it expired, or somebody else aborted it.
        if request.upload_id is not None:
            with contextlib.suppress(Signal):
                request.driver.abort(request.key, request.upload_id)
        raise Gone(f"the upload of {request.key!r} is unknown", sole=False)


@dataclass(frozen=True, slots=True)
class _Answers(Fault):
    make: Callable[[], Signal]

    def __repr__(self) -> str:
        return f"answers({self.make()!r})"  # the same in every process: tests are named by it

    def strike(self, request: Request[T], /) -> T:
        signal = self.make()
        if isinstance(signal, Broken):
            try:
                request.act()
            except Exists:
                request.driver.remove(request.key, None)  # that is what "replaced another's" comes to
                request.act()
        elif isinstance(signal, Unsynced | Damaged):
            request.act()
        try:
            raise signal
        finally:
            del signal  # or it and this frame keep each other, and all who called, until a collection


def answers(make: Callable[[], Signal]) -> Fault:
    """A request that is answered with the signal `make()` returns.

    `Unsynced`, `Broken` and `Damaged` say that the store acted, so it does; after a `Definite` signal, and after
    `Lost`, it has not (`LOST_AFTER` is the other half of the doubt).
    """
    return _Answers(make)


LOST_AFTER: Fault = _LostAfter()
"""The store acts, then its answer is lost."""
LOST_BEFORE: Fault = _LostBefore()
"""The request is lost: the store does not act. The caller cannot tell this from `LOST_AFTER`."""
LATE: Fault = _Late()
"""The caller hears `Lost` now, and the store acts when `FaultyDriver.deliver` is called."""
CUT: Fault = _Cut()
"""The connection is cut when half the body has been read: the store does not act."""
TWICE: Fault = _Twice()
"""A proxy sends the request twice and hands on the second answer."""
GONE: Fault = _Gone()
"""The upload is unknown, now and for good; nothing is done but that."""
BUSY: Fault = answers(lambda: Busy("throttled"))
"""Turned away: the store does not act."""
CONFLICT: Fault = answers(lambda: Conflict("conflicting requests", restart=False))
"""Turned away; the same request may be sent again."""
CONFLICT_RESTART: Fault = answers(lambda: Conflict("conflicting requests", restart=True))
"""Turned away; of an upload, it is spoilt: every later finish of it is answered the same way."""
REFUSED: Fault = answers(lambda: Refused("access denied", why="access"))
"""Turned away for good."""


class FaultyDriver:
    """`inner`, with faults that are used up call by call. Where none is left, nothing goes wrong.

    What a listing answers is collected before it is handed out, so that its faults strike on the first item.
    """

    def __init__(self, inner: Driver) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._plans: dict[Member, deque[Fault | None]] = {}
        self._calls: Counter[Member] = Counter()
        self._late: list[Callable[[], object]] = []
        self._spoilt: set[str] = set()

    def plan(self, member: Member, faults: Iterable[Fault | None], /) -> None:
        """Let the next calls of `member`, behind those already planned, meet these faults; None: no fault."""
        if member not in get_args(Member):
            raise ValueError(f"{member!r} is not a member of a driver that can fail: {', '.join(get_args(Member))}")
        with self._lock:
            self._plans.setdefault(member, deque()).extend(faults)

    @property
    def calls(self) -> Mapping[Member, int]:
        """How often each member was called so far, faults included. A member that was not called counts 0."""
        with self._lock:
            return Counter(self._calls)

    @property
    def left(self) -> Mapping[Member, Sequence[Fault | None]]:
        """The faults that have not struck yet; a test that expects them all asks that this is empty."""
        with self._lock:
            return {member: tuple(plan) for member, plan in self._plans.items() if plan}

    def deliver(self) -> list[object]:
        """Let the late requests arrive, in the order they were sent; what each was answered, signals included."""
        with self._lock:
            late, self._late = self._late, []
        heard: list[object] = []
        for perform in late:
            try:
                heard.append(perform())
            except Signal as exc:
                heard.append(exc)
        return heard

    def _pass(
        self,
        member: Member,
        perform: Callable[[Body], T],
        *,
        key: str = "",
        upload_id: str | None = None,
        body: Body | None = None,
    ) -> T:
        with self._lock:
            self._calls[member] += 1
            plan = self._plans.get(member)
            fault = plan.popleft() if plan else None
        request = Request(self._inner, key, upload_id, body or BytesBody(b""), perform, self._late.append)
        return request.act() if fault is None else fault.strike(request)

    @property
    def limits(self) -> Limits:
        return self._inner.limits

    @property
    def location(self) -> Location:
        return self._inner.location

    def capabilities(self) -> Capabilities:
        return self._pass("capabilities", lambda _: self._inner.capabilities())

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        return self._pass("put_new", lambda body: self._inner.put_new(key, body, meta), key=key, body=body)

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        return self._pass("begin", lambda _: self._inner.begin(key, meta), key=key)

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        def perform(body: Body) -> Part:
            return self._inner.put_part(key, upload_id, slot, body)

        return self._pass("put_part", perform, key=key, upload_id=upload_id, body=body)

    def copy_part(self, key: str, upload_id: str, slot: PartSlot, source: ObjectRef, start: int, /) -> Part:
        def perform(_: Body) -> Part:
            return self._inner.copy_part(key, upload_id, slot, source, start)

        return self._pass("copy_part", perform, key=key, upload_id=upload_id)

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        def perform(_: Body) -> ObjectInfo:
            return self._inner.finish_new(key, upload_id, parts, meta)

        if upload_id in self._spoilt:
            perform = _spoilt
        try:
            return self._pass("finish_new", perform, key=key, upload_id=upload_id)
        except Conflict as exc:
            if exc.restart:
                self._spoilt.add(upload_id)
            raise

    def abort(self, key: str, upload_id: str, /) -> None:
        return self._pass("abort", lambda _: self._inner.abort(key, upload_id), key=key, upload_id=upload_id)

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        return self._pass("copy_new", lambda _: self._inner.copy_new(source, key, meta), key=key)

    def head(self, key: str, /) -> ObjectInfo | None:
        return self._pass("head", lambda _: self._inner.head(key), key=key)

    def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
        return self._pass("read", lambda _: self._inner.read(key, start, stop, etag), key=key)

    def scan(self, prefix: str, delimiter: str, start_after: str, /) -> Iterator[ObjectInfo | Prefix]:
        yield from self._pass("scan", lambda _: list(self._inner.scan(prefix, delimiter, start_after)), key=prefix)

    def remove(self, key: str, etag: str | None, /) -> None:
        return self._pass("remove", lambda _: self._inner.remove(key, etag), key=key)

    def scan_uploads(self, prefix: str, /) -> Iterator[Upload]:
        yield from self._pass("scan_uploads", lambda _: list(self._inner.scan_uploads(prefix)), key=prefix)

    def scan_parts(self, key: str, upload_id: str, /) -> Iterator[Part]:
        def perform(_: Body) -> list[Part]:
            return list(self._inner.scan_parts(key, upload_id))

        yield from self._pass("scan_parts", perform, key=key, upload_id=upload_id)

    def presign(self, key: str, expires_s: float, /) -> str:
        return self._pass("presign", lambda _: self._inner.presign(key, expires_s), key=key)

    def close(self) -> None:
        self._inner.close()


def _spoilt(_: Body) -> ObjectInfo:
    raise Conflict("this upload met a conflict: a new one is needed", restart=True)


Plans = Mapping[Member, Iterable[Fault | None]]


@overload
def faulty(driver: Driver, member: Member, faults: Iterable[Fault | None], /) -> FaultyDriver: ...
@overload
def faulty(driver: Driver, plans: Plans, /) -> FaultyDriver: ...
def faulty(driver: Driver, plans: Member | Plans, faults: Iterable[Fault | None] = (), /) -> FaultyDriver:
    """`driver` with faults planned for one member or several. A `FaultyDriver` is not wrapped again, it gets more."""
    out = driver if isinstance(driver, FaultyDriver) else FaultyDriver(driver)
    if isinstance(plans, str):
        out.plan(plans, faults)
    else:
        for member, each in plans.items():
            out.plan(member, each)
    return out
