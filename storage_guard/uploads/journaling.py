"""Diaries that are kept in the journal of this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from storage_guard.uploads.diary import Diary
from storage_guard.uploads.journal import Entry, Held, Journal, JournalError, Unusable


class SweepDiary(Diary):
    """For an upload that nobody could go on with, in a store that keeps what is forgotten: a sweep is to find it."""

    def __init__(self, journal: Journal, entry: Entry) -> None:
        super().__init__()
        self._journal = journal
        self._entry = entry
        self._held: Held | None = None

    def begun(self, upload_id: str) -> None:
        self.closed()
        try:
            self._held = self._journal.add(replace(self._entry, upload_id=upload_id))
        except Unusable as exc:
            self.notes.append(f"if this process had died, no sweep would have found upload {upload_id}: {exc}")

    def closed(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            _forget(held, self.notes)

    def left(self) -> None:
        held, self._held = self._held, None  # what is aborted after all, a sweep will not find, and forget
        if held is not None:
            held.release()


class ResumeDiary(Diary):
    """For an upload that another `create` can go on with. `held` is claimed already."""

    def __init__(self, held: Held, entry: Entry) -> None:
        super().__init__()
        self._held = held
        self._entry = entry
        self._done = False

    @property
    def resumable(self) -> bool:
        written = self._held.entry
        return written is not None and written.upload_id == self._entry.upload_id

    @property
    def knows_id(self) -> bool:
        written = self._held.entry
        return written is not None and written.write_id == self._entry.write_id

    def begun(self, upload_id: str) -> None:
        self._entry = replace(self._entry, upload_id=upload_id, committing=False)
        self._record()

    def committing(self) -> None:
        if not self._entry.committing:
            self._entry = replace(self._entry, committing=True)
            self._record()

    def closed(self) -> None:
        if not self._done:
            self._done = True
            _forget(self._held, self.notes)

    def left(self) -> None:
        self._done = True
        self._held.release()

    def abandoned(self) -> None:
        if not self._done:
            self._entry = replace(self._entry, source=None)
            self._record()
            self.left()

    def _record(self) -> None:
        try:
            self._held.record(self._entry)
        except Unusable as exc:
            self.notes.append(f"if this process had died, nobody could have gone on with its upload: {exc}")


def sweep_diary(folder: Callable[[], str], *, store_url: str, key: str, write_id: str, named: bool) -> Diary:
    """For an upload of the store's own driver; where there can be no journal, a note says so."""
    entry = Entry(
        store_url=store_url,
        key=key,
        upload_id="",
        write_id=write_id,
        named=named,
        part_bytes=0,
        started=datetime.now(UTC),
        source=None,
        options="",
    )
    try:
        return SweepDiary(Journal(folder()), entry)
    except JournalError as exc:
        diary = Diary()
        diary.notes.append(str(exc))
        return diary


def _forget(held: Held, notes: list[str]) -> None:
    try:
        held.remove()
    except Unusable as exc:
        notes.append(str(exc))
    except ValueError:
        # Collected with the rest of a file that was dropped, it has let go already. A sweep finds nothing to abort, and
        # forgets it.
        pass
