"""What a client can do with a Store. A new method of `Store` is a new subclass here, and a weight in `script.draw`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from storage_guard import (
    GuaranteeBroken,
    InvalidKey,
    NotWritten,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    OutcomeUnknown,
    Receipt,
    StorageGuardError,
    Store,
    Unsupported,
    ticket_of,
)
from storage_guard.driver import ObjectInfo
from storage_guard.testing.histories.data import Form, OwnDataError, handed_over
from storage_guard.testing.histories.history import Asked, Seen, Told

IfExists = Literal["error", "same", "skip"]


class Desk(Protocol):
    """What an operation may use of the history it is in."""

    @property
    def contents(self) -> Mapping[str, bytes]:
        """The bytes behind each name."""
        ...

    @property
    def tickets(self) -> Sequence[tuple[int, str | None, str]]:
        """(number of the call, key, ticket), as they were given out so far, to whomever."""
        ...

    @property
    def etags(self) -> Mapping[str, Sequence[str]]:
        """The etags that this client was told of each key, in order."""
        ...

    def another_store(self) -> Store:
        """The store, opened anew."""
        ...

    def spill(self, data: bytes) -> Path:
        """A file with these bytes."""
        ...


class Operation(ABC):
    """Frozen dataclasses, so that they print, compare and pickle."""

    def ready(self, desk: Desk) -> Operation | None:  # noqa: ARG002 - some need it
        """The operation as it can be done now, or None where it makes no sense (yet)."""
        return self

    @property
    @abstractmethod
    def asked(self) -> Asked: ...

    @abstractmethod
    def perform(self, store: Store, desk: Desk) -> Told:
        """Do it. What it raises is put into words by `told_of`."""

    def simpler(self) -> Iterator[Operation]:
        """Operations that are easier to read and may fail alike."""
        yield from ()

    def told_of(self, exc: BaseException) -> Told:
        """What an exception of `perform` says."""
        match exc:
            case ObjectNotFound():
                what: Any = "absent"
            case ObjectChanged():
                what = "changed"
            case NotWritten() | KeyboardInterrupt():
                what = "failed"
            case _:
                what = "wrong"
        return Told(what, words=_words(exc))


@dataclass(frozen=True)
class Create(Operation):
    key: str
    content: str
    form: Form = "bytes"
    if_exists: IfExists = "error"
    write_id: str | None = None
    deadline_s: float = 300.0

    @property
    def asked(self) -> Asked:
        words = [f"create {self.key} {self.content}"]
        words += [self.form] if self.form != "bytes" else []
        words += [f"if_exists={self.if_exists}"] if self.if_exists != "error" else []
        words += [f"write_id={self.write_id}"] if self.write_id else []
        words += [f"deadline_s={self.deadline_s:g}"] if self.deadline_s != 300.0 else []
        return Asked("create", self.key, " ".join(words), content=self.content, sound=self.form != "failing")

    def perform(self, store: Store, desk: Desk) -> Told:
        data, close = handed_over(self.form, desk.contents[self.content], desk.spill)
        try:
            receipt = store.create(
                self.key, data, if_exists=self.if_exists, write_id=self.write_id, deadline_s=self.deadline_s
            )
        finally:
            close()
        return told_of_receipt(receipt)

    def told_of(self, exc: BaseException) -> Told:
        return told_of_write(exc)

    def simpler(self) -> Iterator[Operation]:
        plain = Create(self.key, self.content)
        short = "small-" + self.content.rpartition("-")[2]
        for each in (Create(self.key, short), plain, Create(self.key, short, "bytes", self.if_exists, self.write_id)):
            if each != self:
                yield each


@dataclass(frozen=True)
class Settle(Operation):
    """Settles one of the tickets that were given out so far: `pick`, from 0 to 1, says which. `anew`: with a Store
    that was not used before, as another program would."""

    pick: float
    deadline_s: float = 30.0
    anew: bool = False
    ticket: tuple[int, str | None, str] | None = None

    def ready(self, desk: Desk) -> Operation | None:
        if self.ticket is not None:
            return self
        if not desk.tickets:
            return None
        return replace(self, ticket=desk.tickets[int(self.pick * len(desk.tickets))])

    @property
    def asked(self) -> Asked:
        number, key, _ = self.ticket or (-1, None, "")
        return Asked("settle", key, f"settle the ticket of #{number}", about=number)

    def perform(self, store: Store, desk: Desk) -> Told:
        _, _, ticket = self.ticket or (-1, None, "")
        if self.anew:
            store = desk.another_store()
        return told_of_receipt(store.settle(ticket, deadline_s=self.deadline_s))

    def told_of(self, exc: BaseException) -> Told:
        if isinstance(exc, KeyboardInterrupt):
            return Told("failed", words=_words(exc))
        return told_of_write(exc)


@dataclass(frozen=True)
class Head(Operation):
    key: str

    @property
    def asked(self) -> Asked:
        return Asked("head", self.key, f"head {self.key}")

    def perform(self, store: Store, desk: Desk) -> Told:  # noqa: ARG002
        info = store.head(self.key)
        return Told("absent") if info is None else Told("found", (_seen(info),))


@dataclass(frozen=True)
class Read(Operation):
    """`pinned`: with the etag that this client was told last."""

    key: str
    start: int = 0
    stop: int | None = None
    pinned: bool = False
    etag: str | None = None

    def ready(self, desk: Desk) -> Operation | None:
        if not self.pinned:
            return self
        return replace(self, etag=desk.etags.get(self.key, (None,))[-1])

    @property
    def asked(self) -> Asked:
        words = f"read {self.key}" + (f" {self.start}:{self.stop}" if (self.start, self.stop) != (0, None) else "")
        words += f" etag={self.etag}" if self.etag else ""
        return Asked("read", self.key, words, start=self.start, stop=self.stop, etag=self.etag)

    def perform(self, store: Store, desk: Desk) -> Told:  # noqa: ARG002
        return Told("bytes", data=store.read(self.key, self.start, self.stop, etag=self.etag))

    def simpler(self) -> Iterator[Operation]:
        if self != Read(self.key):
            yield Read(self.key)


@dataclass(frozen=True)
class Stream(Operation):
    key: str
    start: int = 0
    stop: int | None = None

    @property
    def asked(self) -> Asked:
        words = f"stream {self.key}" + (f" {self.start}:{self.stop}" if (self.start, self.stop) != (0, None) else "")
        return Asked("read", self.key, words, start=self.start, stop=self.stop)

    def perform(self, store: Store, desk: Desk) -> Told:  # noqa: ARG002
        pieces: list[bytes] = []
        try:
            pieces.extend(store.stream(self.key, self.start, self.stop))
        except BaseException as exc:  # noqa: BLE001 - what came before it is told too
            told = self.told_of(exc)
            return Told(told.what, data=b"".join(pieces) if pieces else None, words=told.words)
        return Told("bytes", data=b"".join(pieces))


@dataclass(frozen=True)
class Scan(Operation):
    @property
    def asked(self) -> Asked:
        return Asked("scan", None, "scan")

    def perform(self, store: Store, desk: Desk) -> Told:  # noqa: ARG002
        return Told("listed", tuple(_seen(each) for each in store.scan() if isinstance(each, ObjectInfo)))


@dataclass(frozen=True)
class Remove(Operation):
    """`pinned`: to the last etag that this client was told, or to the first, which may be long out of date."""

    key: str
    pinned: Literal["first", "last"] | None = None
    etag: str | None = None

    def ready(self, desk: Desk) -> Operation | None:
        if self.pinned is None:
            return self
        return replace(self, etag=desk.etags.get(self.key, (None,))[0 if self.pinned == "first" else -1])

    @property
    def asked(self) -> Asked:
        return Asked(
            "remove", self.key, f"remove {self.key}" + (f" etag={self.etag}" if self.etag else ""), etag=self.etag
        )

    def perform(self, store: Store, desk: Desk) -> Told:  # noqa: ARG002
        store.remove(self.key, etag=self.etag)
        return Told("removed")

    def told_of(self, exc: BaseException) -> Told:
        if isinstance(exc, OutcomeUnknown | KeyboardInterrupt):
            return Told("unknown", words=_words(exc))
        return super().told_of(exc)


def told_of_receipt(receipt: Receipt) -> Told:
    seen = Seen(receipt.key, receipt.etag, receipt.write_id, receipt.size_bytes)
    return Told(receipt.outcome, (seen,), notes=receipt.notes, words="resolved" if receipt.resolved else "")


def told_of_write(exc: BaseException) -> Told:
    """What an exception of a create or a settle says. One of the caller's own is definite, if it carries no ticket."""
    notes = tuple(getattr(exc, "__notes__", ()))
    ticket = ticket_of(exc)
    words = _words(exc)
    if ticket is not None:
        return Told("unknown", ticket=ticket, notes=notes, words=words)
    match exc:
        case ObjectExists():
            return Told("exists", (_seen(exc.existing),) if exc.existing else (), notes=notes, words=words)
        case GuaranteeBroken():
            what: Any = "broken"
        case NotWritten() | InvalidKey() | Unsupported() | OwnDataError() | KeyboardInterrupt():
            what = "not written"
        case _:
            what = "wrong"
    return Told(what, notes=notes, words=words)


def _seen(info: ObjectInfo) -> Seen:
    return Seen(info.key, info.etag, info.write_id, info.size_bytes)


def _words(exc: BaseException) -> str:
    message = exc.message if isinstance(exc, StorageGuardError) else str(exc)
    return f"{type(exc).__name__}: {message}" if message else type(exc).__name__
