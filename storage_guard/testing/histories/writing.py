"""What a client can write with a Store: an object from data, from a file that it fills bit by bit, from another object,
or from a file whose sending somebody has begun."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Literal

from storage_guard import NewObject, Receipt, RenameIncomplete, Store, ticket_of
from storage_guard.files.opening import ObjectTextWriter, ObjectWriter
from storage_guard.testing.histories.data import Form, OwnDataError, handed_over
from storage_guard.testing.histories.history import Asked, Seen, Told, What
from storage_guard.testing.histories.operations import (
    Desk,
    IfExists,
    Operation,
    told_of_receipt,
    told_of_write,
    words_of,
)

End = Literal["block", "close", "commit", "discard", "raise", "drop"]
ENDS: tuple[End, ...] = ("block", "block", "close", "commit", "discard", "raise", "drop")


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
class CreateMany(Operation):
    """Several creates in one call, to as many keys; each is judged as one of its own."""

    items: tuple[Create, ...]
    ordered: bool = False
    if_exists: IfExists = "error"
    deadline_s: float = 300.0

    @property
    def asked(self) -> Asked:
        return self.several()[0].asked

    def several(self) -> Sequence[Create]:
        return [
            _OneOfMany(each.key, each.content, each.form, self.if_exists, each.write_id, self.deadline_s, of=self)
            for each in self.items
        ]

    def perform(self, store: Store, desk: Desk) -> Told:  # noqa: ARG002
        raise AssertionError("they are told of one by one")

    def perform_each(self, store: Store, desk: Desk, hear: Callable[[int, Told], None]) -> None:
        places = {each.key: place for place, each in enumerate(self.items)}
        with ExitStack() as stack:
            results = store.create_many(
                self._objects(desk, stack), ordered=self.ordered, if_exists=self.if_exists, deadline_s=self.deadline_s
            )
            for result in results:
                told = told_of_receipt(result) if isinstance(result, Receipt) else told_of_write(result)
                hear(places.pop(str(result.key)), told)
        if places:
            raise AssertionError(f"no results of {sorted(places)}")

    def _objects(self, desk: Desk, stack: ExitStack) -> Iterator[NewObject]:
        for each in self.items:
            desk.turn()
            data, close = handed_over(each.form, desk.contents[each.content], desk.spill)
            stack.callback(close)
            yield NewObject(each.key, data, write_id=each.write_id)

    def told_of_each(self, exc: BaseException, place: int) -> Told:
        """It has a note on each that was begun, and perhaps a ticket of the one at which it came."""
        key = self.items[place].key
        if not isinstance(exc, KeyboardInterrupt):
            return Told("wrong", words=words_of(exc))
        notes: tuple[str, ...] = (*getattr(exc, "__notes__", ()),)
        ticket = ticket_of(exc)
        if ticket is not None and any(f"{key!r} may have been written: settle(ticket_of" in note for note in notes):
            return Told("unknown", ticket=ticket, notes=notes, words=words_of(exc))
        own = [note for note in notes if note.startswith(repr(key))]
        written = [note for note in own if f"{key!r} was written: " in note]
        if written:
            outcome, _, write_id = written[0].partition("was written: ")[2].partition(", write ")
            return Told(_RECEIPTS[outcome], (Seen(key, None, write_id, None),), notes=notes, words=written[0])
        asked = [note.rpartition("settle('")[2].partition("')")[0] for note in own if "settle('" in note]
        if asked:
            return Told("unknown", ticket=asked[0], notes=notes, words=own[0])
        if any(f"{key!r} exists in " in note for note in own):
            return Told("exists", notes=notes, words=own[0])
        if any("WITHOUT the create-only condition" in note for note in own):
            return Told("broken", notes=notes, words=own[0])
        return Told("not written", notes=notes, words=own[0] if own else "never taken")

    def simpler(self) -> Iterator[Operation]:
        for place in range(len(self.items) if len(self.items) > 1 else 0):
            yield replace(self, items=(*self.items[:place], *self.items[place + 1 :]))
        if len(self.items) == 1:
            yield from (replace(each, if_exists=self.if_exists, deadline_s=self.deadline_s) for each in self.items)
        plain = tuple(Create(each.key, each.content) for each in self.items)
        for other in (CreateMany(plain), replace(self, items=plain)):
            if other != self:
                yield other


_RECEIPTS: Mapping[str, What] = {"created": "created", "same": "same", "present": "present"}


@dataclass(frozen=True)
class _OneOfMany(Create):
    """One of them, for the record."""

    of: CreateMany | None = None

    @property
    def asked(self) -> Asked:
        asked = super().asked
        beside = len(self.of.items) - 1 if self.of is not None else 0
        ordered = ", in order" if self.of is not None and self.of.ordered else ""
        return replace(asked, words=f"{asked.words} beside {beside} others{ordered}")


@dataclass(frozen=True)
class Open(Operation):
    """Writes an object as a file, in `pieces` calls between which others have their turns; then commits it, or not."""

    key: str
    content: str
    end: End = "block"
    pieces: int = 3
    text: bool = False
    packed: bool = False
    if_exists: IfExists = "error"
    write_id: str | None = None

    @property
    def asked(self) -> Asked:
        words = [f"open {self.key} to write {self.content} in {self.pieces}, {self.end}"]
        words += ["text"] if self.text else []
        words += ["gzip"] if self.packed else []
        words += [f"if_exists={self.if_exists}"] if self.if_exists != "error" else []
        words += [f"write_id={self.write_id}"] if self.write_id else []
        content = f"{self.content}.gz" if self.packed else self.content
        return Asked(
            "create", self.key, " ".join(words), content=content, sound=self.end in ("block", "close", "commit")
        )

    def perform(self, store: Store, desk: Desk) -> Told:
        file = self._opened(store)
        match self.end:
            case "block" | "raise":
                with file:
                    self._write(file, desk)
                    if self.end == "raise":
                        raise OwnDataError("the caller changed its mind")
            case "drop":
                self._write(file, desk)
                dropped = weakref.ref(file)
                del file
                if dropped() is not None:
                    gc.collect()  # else it would be collected later, in whatever thread
                return Told("discarded")
            case "discard":
                self._write(file, desk)
                file.discard()
                return Told("discarded")
            case "close":
                self._write(file, desk)
                file.close()
            case "commit":
                self._write(file, desk)
                file.commit()
        assert file.receipt is not None
        return told_of_receipt(file.receipt)

    def _opened(self, store: Store) -> ObjectWriter | ObjectTextWriter:
        packing: Literal["gzip"] | None = "gzip" if self.packed else None
        if not self.text:
            return store.open(self.key, "xb", compression=packing, if_exists=self.if_exists, write_id=self.write_id)
        return store.open(
            self.key,
            "xt",
            compression=packing,
            encoding="latin-1",
            newline="",
            if_exists=self.if_exists,
            write_id=self.write_id,
        )

    def _write(self, file: ObjectWriter | ObjectTextWriter, desk: Desk) -> None:
        data = desk.contents[self.content]
        step_bytes = len(data) // self.pieces + 1
        for start in range(0, len(data), step_bytes):
            desk.turn()
            piece = data[start : start + step_bytes]
            if isinstance(file, ObjectTextWriter):
                file.write(piece.decode("latin-1"))
            else:
                file.write(piece)
        desk.turn()

    def told_of(self, exc: BaseException) -> Told:
        told = told_of_write(exc)
        return replace(told, what="discarded") if isinstance(exc, OwnDataError) and told.what == "not written" else told

    def simpler(self) -> Iterator[Operation]:
        plain = replace(self, text=False, packed=False, pieces=2)
        for each in (replace(plain, if_exists="error", write_id=None), plain):
            if each != self:
                yield each


@dataclass(frozen=True)
class Copy(Operation):
    """Copies another key of the store, or, with `far`, what another store has: where the two are one service or not."""

    source: str
    key: str
    far: bool | None = None
    if_exists: IfExists = "error"
    write_id: str | None = None
    deadline_s: float = 300.0

    @property
    def asked(self) -> Asked:
        where = "" if self.far is None else " of another service" if self.far else " of another store"
        words = [f"copy {self.source}{where} to {self.key}"]
        words += [f"if_exists={self.if_exists}"] if self.if_exists != "error" else []
        words += [f"write_id={self.write_id}"] if self.write_id else []
        words += [f"deadline_s={self.deadline_s:g}"] if self.deadline_s != 300.0 else []
        told = " ".join(words)
        if self.far is not None:
            return Asked("create", self.key, told, content=self.source)
        return Asked("create", self.key, told, source=self.source, sound=False)

    def perform(self, store: Store, desk: Desk) -> Told:
        source = self.source if self.far is None else desk.elsewhere(self.source, far=self.far)
        return told_of_receipt(
            store.copy(source, self.key, if_exists=self.if_exists, write_id=self.write_id, deadline_s=self.deadline_s)
        )

    def told_of(self, exc: BaseException) -> Told:
        return told_of_write(exc)

    def simpler(self) -> Iterator[Operation]:
        plain = Copy(self.source, self.key, self.far)
        if self != plain:
            yield plain


@dataclass(frozen=True)
class Rename(Operation):
    source: str
    key: str
    deadline_s: float = 300.0

    @property
    def asked(self) -> Asked:
        return Asked(
            "create", self.key, f"rename {self.source} to {self.key}", source=self.source, moves=True, sound=False
        )

    def perform(self, store: Store, desk: Desk) -> Told:  # noqa: ARG002
        return told_of_receipt(store.rename(self.source, self.key, deadline_s=self.deadline_s))

    def told_of(self, exc: BaseException) -> Told:
        if isinstance(exc, RenameIncomplete) and exc.receipt is not None:
            return replace(told_of_receipt(exc.receipt), incomplete=True, words=words_of(exc))
        told = told_of_write(exc)
        # Ctrl-C may have come behind the copy, and only a note can say so.
        if isinstance(exc, KeyboardInterrupt) and any(" is there (" in note for note in told.notes):
            return replace(told, what="created", incomplete=True)
        return told

    def simpler(self) -> Iterator[Operation]:
        yield Copy(self.source, self.key)


@dataclass(frozen=True)
class Resume(Operation):
    """Sends a file so that whoever comes after a failure goes on with it, and goes on with what was left."""

    key: str
    content: str
    if_exists: IfExists = "error"
    write_id: str | None = None
    deadline_s: float = 300.0

    @property
    def asked(self) -> Asked:
        words = [f"create or resume {self.key} {self.content}"]
        words += [f"if_exists={self.if_exists}"] if self.if_exists != "error" else []
        words += [f"write_id={self.write_id}"] if self.write_id else []
        words += [f"deadline_s={self.deadline_s:g}"] if self.deadline_s != 300.0 else []
        return Asked("create", self.key, " ".join(words), content=self.content, resume=True)

    def perform(self, store: Store, desk: Desk) -> Told:  # noqa: ARG002
        receipt = desk.machine_store(self.key).create(
            self.key,
            desk.shared_file(self.content),
            resume=True,
            if_exists=self.if_exists,
            write_id=self.write_id,
            deadline_s=self.deadline_s,
        )
        return told_of_receipt(receipt)

    def told_of(self, exc: BaseException) -> Told:
        return told_of_write(exc)

    def simpler(self) -> Iterator[Operation]:
        for each in (Resume(self.key, self.content), Create(self.key, self.content, "path")):
            if each != self:
                yield each
