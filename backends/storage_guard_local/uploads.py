"""Open multipart uploads: which parts one has, and who may touch its file when. No input or output.

Parts are written straight into the one unpublished file, so a writer that is late would change a published object: a
finish or an abort first waits for all of them and lets no new one begin. Once a finish was begun, parts are written
again only if it is certain that the file did not get its name.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime

from storage_guard.driver import Checksum, Definite, Gone, Part, PartSlot, Refused, WriteMeta
from storage_guard_local.folders import Place
from storage_guard_local.staging import Staged


class OpenUpload:
    """`_turn` guards all that changes."""

    def __init__(self, key: str, meta: WriteMeta, started: datetime, place: Place, staged: Staged) -> None:
        self.key = key
        self.meta = meta
        self.started = started
        self.place = place  # left; for the folders that were made for it
        self.staged = staged
        self._turn = threading.Condition()
        self._parts: dict[int, Part] = {}
        self._writing: list[PartSlot] = []
        self._held = False
        self._over = False
        self._finishing = False

    def is_of(self, key: str, meta: WriteMeta) -> bool:
        """Whether it was begun like this. `lasting` was a wish, and is no part of what is written."""
        return (self.key, self.meta.write_id, self.meta.options) == (key, meta.write_id, meta.options)

    @contextmanager
    def writing(self, slot: PartSlot) -> Generator[None]:
        """The right to write one slot. Parts recorded where it will write are forgotten.

        Raises Gone, and Refused ("Finishing") while nobody knows whether the file has its name.
        """
        with self._turn:
            self._turn.wait_for(lambda: self._over or not (self._held or self._is_busy(slot)))
            self._refuse_over()
            if self._finishing:
                raise Refused(
                    f"a finish of {self.key!r} was begun, and how it ended is not known: finish or abort it",
                    why="request",
                    code="Finishing",
                )
            for number in [number for number, part in self._parts.items() if _overlap(part.slot, slot)]:
                del self._parts[number]
            self._parts.pop(slot.number, None)
            self._writing.append(slot)
        try:
            yield
        finally:
            with self._turn:
                self._writing.remove(slot)
                self._turn.notify_all()

    def record(self, slot: PartSlot, checksum: Checksum, modified: datetime) -> Part:
        """Within `writing`: the part is there. Raises Refused."""
        part = Part(slot, f"{checksum.value}-{slot.size_bytes:x}", checksum, modified)
        self.note_part(part)
        with self._turn:
            self._parts[slot.number] = part
        return part

    def note_part(self, part: Part) -> None:
        """For uploads that last: called before the part counts, by many threads at once. Raises Refused."""

    def note_finishing(self, *, begun: bool) -> None:
        """For uploads that last: the file may get its name from now on, or certainly did not. Raises Refused."""

    @contextmanager
    def publishing(self, size_bytes: int) -> Generator[None]:
        """Within `alone`, around what cuts the file to its size and gives it its name."""
        in_doubt, self._finishing = self._finishing, True
        try:
            self.note_finishing(begun=True)
            self._forget_behind(size_bytes)
            yield
        except Definite:
            if not in_doubt:
                self._finishing = False
                self._note_not_finished()
            raise

    def _forget_behind(self, size_bytes: int) -> None:
        with self._turn:
            for number, part in list(self._parts.items()):
                if part.slot.offset_bytes + part.slot.size_bytes > size_bytes:
                    del self._parts[number]

    def _note_not_finished(self) -> None:
        try:
            self.note_finishing(begun=False)
        except Refused:
            pass  # then only others believe that it may be finishing

    @contextmanager
    def alone(self) -> Generator[None]:
        """The right to finish or abort: nobody writes, nobody begins to. Raises Gone."""
        with self._turn:
            self._turn.wait_for(lambda: self._over or not self._held)
            self._refuse_over()
            self._held = True
        try:
            with self._turn:
                self._turn.wait_for(lambda: not self._writing)
            yield
        finally:
            with self._turn:
                self._held = False
                self._turn.notify_all()

    def end(self) -> None:
        """Within `alone`: finished or aborted, whoever waits is told `Gone`."""
        with self._turn:
            self._over = True

    def parts(self) -> list[Part]:
        with self._turn:
            self._refuse_over()
            return [self._parts[number] for number in sorted(self._parts)]

    def chosen(self, parts: Sequence[Part]) -> list[Part]:
        """Within `alone`: the parts of the object, as they are here. Raises Refused unless they are what is listed."""
        chosen: list[Part] = []
        for part in parts:
            here = self._parts.get(part.slot.number)
            if here is None or (here.slot, here.etag) != (part.slot, part.etag):
                raise Refused(f"part {part.slot.number} is not here as it is listed", why="request")
            chosen.append(here)
        return chosen

    def _is_busy(self, slot: PartSlot) -> bool:
        return any(other.number == slot.number or _overlap(other, slot) for other in self._writing)

    def _refuse_over(self) -> None:
        if self._over:
            raise Gone("the upload was finished or aborted, or its driver is closed", sole=True)


class Uploads:
    """The open uploads of one driver. `_lock` guards the table."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, OpenUpload] = {}

    def add(self, upload_id: str, upload: OpenUpload) -> None:
        with self._lock:
            self._open[upload_id] = upload

    def get(self, upload_id: str) -> OpenUpload | None:
        with self._lock:
            return self._open.get(upload_id)

    def forget(self, upload_id: str) -> None:
        with self._lock:
            self._open.pop(upload_id, None)

    def all(self) -> list[tuple[str, OpenUpload]]:
        """Sorted by key, then age."""
        with self._lock:
            found = list(self._open.items())
        return sorted(found, key=lambda each: (each[1].key, each[1].started))


def _overlap(one: PartSlot, other: PartSlot) -> bool:
    return (
        one.offset_bytes < other.offset_bytes + other.size_bytes
        and other.offset_bytes < one.offset_bytes + one.size_bytes
    )
