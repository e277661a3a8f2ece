"""The two ends of a driver: where a Store's requests meet their trouble, and where what took effect is written down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeVar

from storage_guard.driver import (
    Body,
    Broken,
    Capabilities,
    Definite,
    Driver,
    Location,
    ObjectInfo,
    ObjectRef,
    Part,
    PartSlot,
    Signal,
    Unsynced,
    WriteMeta,
)
from storage_guard.testing.bodies import BytesBody
from storage_guard.testing.faults import Fault, FaultyDriver, Member, Request
from storage_guard.testing.histories.history import NEVER, Act, Touch

T = TypeVar("T")
What = Literal["begin", "part", "finish", "abort"]


class Journal(Protocol):
    """Where the store's end is written down."""

    def tick(self) -> int: ...
    def acted(self, act: Act, /) -> None: ...
    def touched(self, touch: Touch, /) -> None: ...
    def name_of(self, data: bytes, /) -> str: ...


class StoreEnd(FaultyDriver):
    """Adds no fault: it writes down what took effect, and for which operation: `number`, but for late requests, which
    are delivered within `as_late`. `copies` are the operations whose landed bytes are looked at. `parts` are those of
    operations that are several, by the number of the whole and the key: they have numbers of their own."""

    def __init__(self, inner: Driver, journal: Journal) -> None:
        super().__init__(inner)
        self._journal = journal
        self._delivering = threading.local()
        self.number = -1
        self.copies: set[int] = set()
        self.parts: dict[tuple[int, str], int] = {}

    @contextmanager
    def as_late(self, number: int) -> Generator[None]:
        """What this thread sends is a late request of operation `number`."""
        self._delivering.number = number
        try:
            yield
        finally:
            del self._delivering.number

    @contextmanager
    def _acting(self, act: Act) -> Generator[list[ObjectInfo]]:
        answer: list[ObjectInfo] = []
        number: int = getattr(self._delivering, "number", self.number)
        act = replace(act, began=self._journal.tick(), number=self.parts.get((number, act.key), number))
        done: Act | None = replace(act, ended=NEVER, certain=False)  # unless we learn more
        try:
            yield answer
            done = replace(act, ended=self._journal.tick(), etag=answer[0].etag if answer else act.etag)
        except Definite:
            done = None
            raise
        except (Unsynced, Broken) as signal:
            done = replace(act, ended=self._journal.tick())
            if isinstance(signal, Broken):
                self._journal.acted(Act("remove", act.key, act.began, NEVER, certain=False))
            raise
        finally:
            if done is not None:
                self._journal.acted(self._looked_at(done) if answer and done.number in self.copies else done)

    def _looked_at(self, act: Act) -> Act:
        try:
            data = self._inner.read(act.key, 0, 1 << 40, act.etag)
        except Signal:  # somebody has removed it already
            return act
        return replace(act, content=self._journal.name_of(data))

    @contextmanager
    def _touching(self, what: What, key: str, upload_id: str) -> Generator[None]:
        began, number = self._journal.tick(), self.number
        try:
            yield
        except Definite:
            if what != "abort":
                self._touched(what, key, upload_id, began, number)
            raise
        else:
            self._touched(what, key, upload_id, began, number)

    def _touched(self, what: What, key: str, upload_id: str, began: int, number: int, *, lasting: bool = False) -> None:
        """`number`: what was done when the request began; of a file that was dropped some are answered later."""
        late = getattr(self._delivering, "number", None)
        number = number if late is None else late
        number = self.parts.get((number, key), number)
        ended = self._journal.tick()
        self._journal.touched(Touch(what, upload_id, key, number, began, ended, late=late is not None, lasting=lasting))

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        with self._acting(Act("land", key, 0, write_id=meta.write_id)) as answer:
            answer.append(super().put_new(key, body, meta))
            return answer[0]

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        with (
            self._touching("finish", key, upload_id),
            self._acting(Act("land", key, 0, write_id=meta.write_id)) as answer,
        ):
            answer.append(super().finish_new(key, upload_id, parts, meta))
            return answer[0]

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        with self._acting(Act("land", key, 0, write_id=meta.write_id)) as answer:
            answer.append(super().copy_new(source, key, meta))
            return answer[0]

    def remove(self, key: str, etag: str | None, /) -> None:
        with self._acting(Act("remove", key, 0, etag=etag)):
            super().remove(key, etag)

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        began, number = self._journal.tick(), self.number
        upload_id = super().begin(key, meta)
        self._touched("begin", key, upload_id, began, number, lasting=meta.lasting)
        return upload_id

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        with self._touching("part", key, upload_id):
            return super().put_part(key, upload_id, slot, body)

    def copy_part(self, key: str, upload_id: str, slot: PartSlot, source: ObjectRef, start: int, /) -> Part:
        with self._touching("part", key, upload_id):
            return super().copy_part(key, upload_id, slot, source, start)

    def abort(self, key: str, upload_id: str, /) -> None:
        with self._touching("abort", key, upload_id):
            super().abort(key, upload_id)


@dataclass(frozen=True)
class Trouble:
    """What one request meets: a fault, and where it goes if it is late."""

    fault: Fault
    later: Callable[[Callable[[], object]], None]


class Client(Protocol):
    """What the client's end asks of the client it belongs to, in any of its threads."""

    def arrive(self, member: Member, /) -> Trouble | None:
        """Wait for a turn; the trouble that the request meets."""
        ...

    def pause_in_body(self) -> None:
        """Others may have their turn, in the middle of a request."""
        ...

    def bears(self, write_id: str, key: str, /) -> None:
        """The operation writes to this key under this id."""
        ...


class ClientEnd(FaultyDriver):
    """The driver of a client's Store. `forgetful`: it says that uploads stay when their writer forgets them."""

    def __init__(self, inner: Driver, client: Client, *, forgetful: bool = False) -> None:
        super().__init__(inner)
        self._client = client
        self._forgetful = forgetful

    def _pass(
        self,
        member: Member,
        perform: Callable[[Body], T],
        *,
        key: str = "",
        upload_id: str | None = None,
        body: Body | None = None,
    ) -> T:
        trouble = self._client.arrive(member)
        if member == "put_new" and body is not None:
            body = _PausingBody(body, self._client.pause_in_body)
        body = body or BytesBody(b"")
        if trouble is None:
            return perform(body)
        return trouble.fault.strike(Request(self._inner, key, upload_id, body, perform, trouble.later))

    @property
    def inner(self) -> Driver:
        """What is behind it."""
        return self._inner

    def capabilities(self) -> Capabilities:
        can = super().capabilities()
        return replace(can, uploads_stay=True) if self._forgetful else can

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        self._client.bears(meta.write_id, key)
        return super().put_new(key, body, meta)

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        self._client.bears(meta.write_id, key)
        return super().begin(key, meta)

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        self._client.bears(meta.write_id, key)
        return super().finish_new(key, upload_id, parts, meta)

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        self._client.bears(meta.write_id, key)
        return super().copy_new(source, key, meta)


class Elsewhere(ClientEnd):
    """A client's end of another service, from which nobody copies but through the client."""

    @property
    def location(self) -> Location:
        return replace(self._inner.location, endpoint="elsewhere")


class _PausingBody:
    """A body before whose bytes others have their turn: what a driver decides before it reads is outdated then."""

    def __init__(self, body: Body, pause: Callable[[], None]) -> None:
        self._body = body
        self._pause = pause

    @property
    def size_bytes(self) -> int:
        return self._body.size_bytes

    def windows(self) -> Iterator[memoryview]:
        self._pause()
        yield from self._body.windows()
