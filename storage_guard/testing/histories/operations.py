"""What a client can ask of a Store, and how it is told.

A new method of `Store` is a new subclass of `Operation`, here or in `writing` or `keeping`, a row in `script.DRAWN`,
and a weight.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, Protocol

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
from storage_guard.testing.histories.data import OwnDataError
from storage_guard.testing.histories.history import Asked, Seen, Told

IfExists = Literal["error", "same", "skip"]
_ALL_BYTES = 1 << 40


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

    def machine_store(self, key: str) -> Store:
        """The store, with the journal that all clients of this machine have for open uploads of a key."""
        ...

    def elsewhere(self, content: str, *, far: bool) -> tuple[Store, str]:
        """Another store, and the key at which it has these bytes. `far`: it is another service."""
        ...

    def turn(self) -> None:
        """Others may have their turn."""
        ...

    def spill(self, data: bytes) -> Path:
        """A file with these bytes."""
        ...

    def shared_file(self, content: str) -> Path:
        """The file with these bytes that all clients of this machine send."""
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

    def several(self) -> Sequence[Operation]:
        """The operations it is made of, each of which is judged by itself: of most, itself."""
        return (self,)

    def perform_each(self, store: Store, desk: Desk, hear: Callable[[int, Told], None]) -> None:
        """Do it, and hear what becomes of each of them."""
        hear(0, self.perform(store, desk))

    def told_of_each(self, exc: BaseException, place: int) -> Told:  # noqa: ARG002 - some are several
        """What an exception of `perform_each` says about the one of which nothing was heard."""
        return self.told_of(exc)

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
        return Told(what, words=words_of(exc))


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
            return Told("failed", words=words_of(exc))
        return told_of_write(exc)


@dataclass(frozen=True)
class Head(Operation):
    key: str

    @property
    def asked(self) -> Asked:
        return Asked("head", self.key, f"head {self.key}")

    def perform(self, store: Store, desk: Desk) -> Told:  # noqa: ARG002
        info = store.head(self.key)
        return Told("absent") if info is None else Told("found", (seen_as(info),))


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
class OpenRead(Operation):
    """Reads an object as a file, at these places and so much at a time, while others have their turns in between. None:
    from where it stands. `text`: characters of one byte each, and all of them."""

    key: str
    places: tuple[tuple[int | None, int], ...] = ((None, -1),)
    text: bool = False

    @property
    def asked(self) -> Asked:
        words = [f"open {self.key}", "as text" if self.text else ""]
        words += [f"{'' if at is None else at}+{'' if size < 0 else size}" for at, size in self.places]
        return Asked("read", self.key, " ".join(word for word in words if word))

    def perform(self, store: Store, desk: Desk) -> Told:
        pieces: list[tuple[int, int, bytes]] = []
        try:
            if self.text:
                with store.open(self.key, "rt", encoding="latin-1", newline="") as lines:
                    desk.turn()
                    pieces.append((0, _ALL_BYTES, lines.read().encode("latin-1")))
            else:
                with store.open(self.key, "rb") as file:
                    pieces.extend(self._read(file, desk))
        except BaseException as exc:  # noqa: BLE001 - what came before it is told too
            told = self.told_of(exc)
            return replace(told, pieces=tuple(pieces))
        return Told("bytes", pieces=tuple(pieces))

    def _read(self, file: IO[bytes] | io.BufferedIOBase, desk: Desk) -> Iterator[tuple[int, int, bytes]]:
        for place, size in self.places:
            desk.turn()
            at = file.tell() if place is None else file.seek(place)
            yield at, _ALL_BYTES if size < 0 else size, file.read(size)

    def simpler(self) -> Iterator[Operation]:
        if self != OpenRead(self.key):
            yield OpenRead(self.key)


@dataclass(frozen=True)
class Scan(Operation):
    @property
    def asked(self) -> Asked:
        return Asked("scan", None, "scan")

    def perform(self, store: Store, desk: Desk) -> Told:  # noqa: ARG002
        return Told("listed", tuple(seen_as(each) for each in store.scan() if isinstance(each, ObjectInfo)))


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
            return Told("unknown", words=words_of(exc))
        return super().told_of(exc)


def told_of_receipt(receipt: Receipt) -> Told:
    seen = Seen(receipt.key, receipt.etag, receipt.write_id, receipt.size_bytes)
    return Told(receipt.outcome, (seen,), notes=receipt.notes, words="resolved" if receipt.resolved else "")


def told_of_write(exc: BaseException) -> Told:
    """What an exception of a create or a settle says. One of the caller's own is definite, if it carries no ticket."""
    notes = tuple(getattr(exc, "__notes__", ()))
    ticket = ticket_of(exc)
    words = words_of(exc)
    if ticket is not None:
        return Told("unknown", ticket=ticket, notes=notes, words=words)
    match exc:
        case ObjectExists():
            return Told("exists", (seen_as(exc.existing),) if exc.existing else (), notes=notes, words=words)
        case GuaranteeBroken():
            what: Any = "broken"
        case NotWritten() | InvalidKey() | Unsupported() | OwnDataError() | KeyboardInterrupt():
            what = "not written"
        case ObjectNotFound():
            what = "absent"
        case _:
            what = "wrong"
    return Told(what, notes=notes, words=words)


def seen_as(info: ObjectInfo) -> Seen:
    return Seen(info.key, info.etag, info.write_id, info.size_bytes)


def words_of(exc: BaseException) -> str:
    message = exc.message if isinstance(exc, StorageGuardError) else str(exc)
    return f"{type(exc).__name__}: {message}" if message else type(exc).__name__
