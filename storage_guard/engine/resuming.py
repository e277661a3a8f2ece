"""Going on with an upload that a process of this machine has left: `Store.create(resume=True)`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from storage_guard import outcome, signals
from storage_guard.checksum import RunningCrc64, countable
from storage_guard.engine.creation import Creation
from storage_guard.engine.payload import KnownData
from storage_guard.engine.policy import Policy, Wanted
from storage_guard.engine.sending import Progress
from storage_guard.engine.source import FileSource, Source
from storage_guard.errors import NotWritten, SourceChanged
from storage_guard.model import Capabilities, Guarantee, Part, PartSlot, Receipt
from storage_guard.outcome import Answer
from storage_guard.plan import slots
from storage_guard.retry import Patience
from storage_guard.uploads.journal import Entry, Held, Journal, JournalError, SourceIdentity, options_digest
from storage_guard.uploads.journaling import ResumeDiary

_ABORT_TRIES = 3


@dataclass(frozen=True)
class Resumable:
    """One `create` that can be gone on with, not begun yet."""

    policy: Policy
    wanted: Wanted
    source: Source
    identity: SourceIdentity
    part_bytes: int
    can: Capabilities
    guarantee: Guarantee
    patience: Patience
    progress: Progress | None

    def create(self) -> Receipt:
        """Take over what was left of this key, if it is of the same data; otherwise begin."""
        try:
            held = Journal(self.policy.journal_folder()).claim(
                self.policy.access.driver.location.place, self.wanted.full_key
            )
        except JournalError as exc:
            raise NotWritten(
                f"{self.wanted.key!r} was not written to {self.policy.url}: {exc}", key=self.wanted.key
            ) from exc
        with held:  # lets go of it if we fail before there is a diary
            return self._go_on(held)

    def _go_on(self, held: Held) -> Receipt:
        left = held.entry
        if left is None:
            return self.begin(held, self.wanted)
        if not self._fits(left):
            return self.begin(held, self.wanted, self._throw_away(left))
        mine = replace(self, wanted=replace(self.wanted, write_id=left.write_id), part_bytes=left.part_bytes)
        write = outcome.go_on(committing=left.committing, if_exists=self.wanted.if_exists, named=self.wanted.named)
        creation = mine.creation(ResumeDiary(held, left))
        creation.take_over(left.upload_id, write)
        found, have = mine.look_at(left, creation)
        if found is None:
            # Aborted by somebody, or finished by who died. With the same id it is safe to begin anew.
            return mine.begin(held, mine.wanted, suspect=left.committing)
        if creation.trouble is not None:
            return creation.create(outcome.step(write, Answer.REFUSED))
        if left.committing and len(have) < len(list(mine.slots())):
            # Behind a finish not every store takes parts. If there are parts that are not of our data, this is another
            # write; if the store has lost some, that finish was ours.
            note = self._throw_away(left)
            another = len(have) < len(found)
            return self.begin(held, self.wanted, note) if another else mine.begin(held, mine.wanted, note, suspect=True)
        return creation.go_on(have, write)

    def look_at(self, left: Entry, creation: Creation) -> tuple[Sequence[Part] | None, Sequence[Part]]:
        """The parts that the store has, None if it does not know the upload; and those of our data.

        If that cannot be told, nothing, and `creation` knows why.
        """
        with creation.interruptible():
            try:
                found = self._parts_of(left)
                return found, self.ours_of(found or ())
            except signals.Signal as signal:
                creation.trouble = signal
                return (), ()
            except SourceChanged as exc:
                creation.trouble = exc
                raise

    def begin(self, held: Held, wanted: Wanted, note: str = "", *, suspect: bool = False) -> Receipt:
        """Open an upload of our own; `suspect`: a finish of an earlier one may have landed."""
        entry = Entry(
            store_url=self.policy.access.driver.location.place,
            key=wanted.full_key,
            upload_id="",
            write_id=wanted.write_id,
            named=wanted.named,
            part_bytes=self.part_bytes,
            started=datetime.now(UTC),
            source=self.identity,
            options=options_digest(wanted.options),
        )
        creation = self.creation(ResumeDiary(held, entry))
        if note:
            creation.notes.append(note)
        write = outcome.start(multipart=True, if_exists=wanted.if_exists, named=wanted.named)
        return creation.create(write._replace(suspect=True) if suspect else write)

    def creation(self, diary: ResumeDiary) -> Creation:
        """What runs it, with an upload that outlives this process."""
        return Creation(
            self.policy.target(self.wanted, self.can, self.guarantee),
            self.patience,
            KnownData(self.source, self.identity.size_bytes, self.part_bytes),
            replace(self.wanted.meta, lasting=True),
            multipart=True,
            bounds=self.policy.bounds,
            diary=diary,
            progress=self.progress,
        )

    def _fits(self, left: Entry) -> bool:
        """Whether what was left is this very write."""
        same_id = left.write_id == self.wanted.write_id if self.wanted.named else True
        return (
            same_id
            and left.named == self.wanted.named
            and left.source == self.identity
            and left.options == options_digest(self.wanted.options)
        )

    def _throw_away(self, left: Entry) -> str:
        """Abort an upload of other data; a note about it. What cannot be aborted is left to a sweep."""
        what = f"upload {left.upload_id} of {self.wanted.key!r}, left of other data or with other options,"
        trouble = self._abort(left)
        if trouble is None:
            return f"{what} was thrown away"
        try:
            Journal(self.policy.journal_folder()).add(replace(left, source=None)).release()
        except JournalError as exc:
            return f"{what} is left open, and no sweep will find it: aborting it failed: {trouble}; {exc}"
        return f"{what} is left open, for a sweep: aborting it failed: {trouble}"

    def _abort(self, left: Entry) -> signals.Signal | None:
        """Why it could not be done."""
        trouble: signals.Signal | None = None
        for _ in range(_ABORT_TRIES):
            try:
                self.policy.access.driver.abort(left.key, left.upload_id)
            except signals.Gone:
                return None
            except signals.Signal as signal:
                trouble = signal
                if not (isinstance(signal, signals.Busy | signals.Lost) and self.patience.wait()):
                    break
            else:
                return None
        return trouble

    def slots(self) -> Iterator[PartSlot]:
        return slots(self.identity.size_bytes, self.part_bytes)

    def _parts_of(self, left: Entry) -> list[Part] | None:
        while True:
            try:
                found = list(self.policy.access.driver.scan_parts(left.key, left.upload_id))
            except signals.Gone:
                return None
            except (signals.Busy, signals.Lost):
                if not self.patience.wait():
                    raise
            else:
                self.patience.progress()
                return found

    def ours_of(self, found: Sequence[Part]) -> list[Part]:
        """Those of our data."""
        ours = {slot.number: slot for slot in self.slots()}
        return [
            replace(part, slot=ours[part.slot.number])
            for part in found
            if part.slot.number in ours and self._is_ours(part, ours[part.slot.number])
        ]

    def _is_ours(self, part: Part, slot: PartSlot) -> bool:
        """Whether a part has the size, and where the store says it the checksum, of our bytes at that place."""
        if part.slot.size_bytes != slot.size_bytes:
            return False
        algorithm = countable(part.checksum)
        if algorithm is None:
            return True  # the file was not touched since, as far as its time of change tells
        running = RunningCrc64(algorithm)
        for window in self.source.take(slot.offset_bytes, slot.size_bytes).windows():
            running.update(window)
        return running.checksum() == part.checksum


def resumable(
    policy: Policy,
    wanted: Wanted,
    source: Source,
    can: Capabilities,
    *,
    patience: Patience,
    progress: Progress | None,
) -> Resumable | None:
    """A write that can be gone on with; None if it is made of one request. Raises ValueError for a stream."""
    if source.size_bytes is None:
        raise ValueError(f"{wanted.key!r}: resume=True needs a file or bytes; what was sent of a stream is gone")
    plan = policy.plan(source.size_bytes, wanted.key, can)
    if plan.part_bytes is None:
        return None
    guarantee = policy.vouch("finish", can, wanted)
    return Resumable(policy, wanted, source, _identify(source), plan.part_bytes, can, guarantee, patience, progress)


def _identify(source: Source) -> SourceIdentity:
    """Whose bytes these are."""
    if isinstance(source, FileSource):
        found = source.opened
        return SourceIdentity(
            "file",
            source.size_bytes,
            name=source.path,
            device=found.st_dev,
            inode=found.st_ino,
            mtime_ns=found.st_mtime_ns,
            start=source.start,
        )
    counted = source.digest()
    if counted is None:
        raise AssertionError("only what is gone of a stream cannot be counted")
    return SourceIdentity("bytes", counted[0], crc=counted[1])
