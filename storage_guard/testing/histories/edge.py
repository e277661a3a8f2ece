"""The two ends of a driver: where a Store's requests meet their trouble, and where what took effect is written down."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol, TypeVar

from storage_guard.driver import (
    Body,
    Broken,
    Definite,
    Driver,
    ObjectInfo,
    ObjectRef,
    Part,
    Unsynced,
    WriteMeta,
)
from storage_guard.testing.faults import Fault, FaultyDriver, Member, Request
from storage_guard.testing.histories.history import NEVER, Act

T = TypeVar("T")


class Journal(Protocol):
    """Where the store's end is written down."""

    def tick(self) -> int: ...
    def acted(self, act: Act, /) -> None: ...
    def began(self, key: str, upload_id: str, number: int, /) -> None: ...


class StoreEnd(FaultyDriver):
    """Adds no fault: it writes down what took effect, and for which operation (`number`)."""

    def __init__(self, inner: Driver, journal: Journal) -> None:
        super().__init__(inner)
        self._journal = journal
        self.number = -1

    @contextmanager
    def _acting(self, act: Act) -> Generator[list[ObjectInfo]]:
        answer: list[ObjectInfo] = []
        act = replace(act, began=self._journal.tick(), number=self.number)
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
                self._journal.acted(done)

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        with self._acting(Act("land", key, 0, write_id=meta.write_id)) as answer:
            answer.append(super().put_new(key, body, meta))
            return answer[0]

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        with self._acting(Act("land", key, 0, write_id=meta.write_id)) as answer:
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
        upload_id = super().begin(key, meta)
        self._journal.began(key, upload_id, self.number)
        return upload_id


class Client(Protocol):
    """What the client's end asks of the client it belongs to."""

    def arrive(self, member: Member, /) -> Fault | None:
        """Wait for a turn; the fault that the request meets."""
        ...

    def pause_in_body(self) -> None:
        """Others may have their turn, in the middle of a request."""
        ...

    def later(self, perform: Callable[[], object], /) -> None:
        """Let the request reach the store at another time."""
        ...

    def bears(self, write_id: str, /) -> None:
        """The operation writes under this id."""
        ...


class ClientEnd(FaultyDriver):
    """The driver of a client's Store."""

    def __init__(self, inner: Driver, client: Client) -> None:
        super().__init__(inner)
        self._client = client

    def _pass(
        self,
        member: Member,
        perform: Callable[[Body], T],
        *,
        key: str = "",
        upload_id: str | None = None,
        body: Body | None = None,
    ) -> T:
        fault = self._client.arrive(member)
        if member == "put_new" and body is not None:
            body = _PausingBody(body, self._client.pause_in_body)
        if fault is None:
            return super()._pass(member, perform, key=key, upload_id=upload_id, body=body)
        self.plan(member, [_Postponing(fault, self._client.later)])
        return super()._pass(member, perform, key=key, upload_id=upload_id, body=body)

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        self._client.bears(meta.write_id)
        return super().put_new(key, body, meta)

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        self._client.bears(meta.write_id)
        return super().begin(key, meta)

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        self._client.bears(meta.write_id)
        return super().finish_new(key, upload_id, parts, meta)

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        self._client.bears(meta.write_id)
        return super().copy_new(source, key, meta)


class _Postponing(Fault):
    """A fault whose late requests go where the history can see them."""

    def __init__(self, fault: Fault, later: Callable[[Callable[[], object]], None]) -> None:
        self._fault = fault
        self._later = later

    def strike(self, request: Request[T], /) -> T:
        return self._fault.strike(replace(request, later=self._later))


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
