"""Open uploads: which there are, and throwing the forgotten ones away. `Store.uploads` and `Store.sweep`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from storage_guard import amounts, names, signals
from storage_guard.access import Access
from storage_guard.answers import asked_s
from storage_guard.errors import NotWritten, StorageGuardError
from storage_guard.model import Swept, Upload
from storage_guard.translate import as_error
from storage_guard.uploads.journal import Held, Journal, JournalError


def uploads(access: Access, prefix: str) -> Iterator[Upload]:
    """The open uploads below a prefix, with keys as users know them."""
    hidden = f"{access.prefix}{names.RESERVED}/"
    patience = access.patience()
    seen: set[tuple[str, str]] = set()
    while True:
        try:
            for each in access.driver.scan_uploads(access.prefix + prefix):
                patience.progress()
                if each.key.startswith(hidden) or (each.key, each.upload_id) in seen:
                    continue
                seen.add((each.key, each.upload_id))
                yield replace(each, key=each.key.removeprefix(access.prefix))
            return
        except signals.Signal as signal:
            if not (isinstance(signal, signals.Busy | signals.Lost) and patience.wait(asked_s(signal))):
                raise as_error(signal, f"the uploads of {access.url} could not be listed", key=None) from signal


def sweep(access: Access, folder: str, named: Iterable[Upload], older_than_s: float, now: datetime) -> Swept:
    """Abort what the journal says is ours and dead, and those of `named` whose newest part is old enough."""
    amounts.check_seconds("older_than_s", older_than_s)
    before = now - timedelta(seconds=older_than_s)
    broom = _Broom(access, before)
    try:
        journal = Journal(folder)
        for held in journal.dead(access.driver.location.place):
            broom.sweep_ours(held)
        notes = [str(each) for each in journal.unreadable(access.driver.location.place)]
    except JournalError as exc:
        raise NotWritten(f"our own uploads to {access.url} are not known: {exc}") from exc
    for upload in named:
        broom.sweep_named(upload)
    return Swept(tuple(broom.removed), tuple(broom.kept), tuple(notes))


class _Broom:
    def __init__(self, access: Access, before: datetime) -> None:
        self.removed: list[Upload] = []
        self.kept: list[tuple[Upload, str]] = []
        self._access = access
        self._before = before

    def sweep_ours(self, held: Held) -> None:
        """An upload whose process is dead. The journal forgets it once the store has."""
        entry = held.entry
        if entry is None or entry.started > self._before or not entry.key.startswith(self._access.prefix):
            return
        key = entry.key.removeprefix(self._access.prefix)
        if not entry.upload_id:
            held.remove()  # it died before there was an upload
        elif self._abort(Upload(key, entry.upload_id, entry.started), entry.key):
            held.remove()

    def sweep_named(self, upload: Upload) -> None:
        """An upload that may be somebody's: its age is that of its newest part."""
        full_key = self._access.prefix + upload.key  # unchecked: another program may use keys that we would not
        try:
            newest = self._newest(full_key, upload)
        except StorageGuardError as exc:
            self.kept.append((upload, str(exc)))
            return
        if newest is None:
            return
        if newest > self._before:
            self.kept.append((upload, f"it got a part at {newest:%Y-%m-%d %H:%M:%S} UTC"))
            return
        self._abort(upload, full_key)

    def _newest(self, full_key: str, upload: Upload) -> datetime | None:
        """When somebody last worked on an upload; None if it is gone."""

        def ask() -> datetime | None:
            try:
                times = [part.modified for part in self._access.driver.scan_parts(full_key, upload.upload_id)]
            except signals.Gone:
                return None
            return max([upload.started, *(each for each in times if each is not None)])

        sentence = f"the parts of upload {upload.upload_id} of {upload.key!r} could not be listed"
        return self._access.patiently(ask, sentence, key=upload.key)

    def _abort(self, upload: Upload, full_key: str) -> bool:
        """Whether the upload is gone now."""

        def ask() -> bool:
            try:
                self._access.driver.abort(full_key, upload.upload_id)
            except signals.Gone:
                return False
            return True

        sentence = f"upload {upload.upload_id} of {upload.key!r} could not be aborted"
        try:
            if self._access.patiently(ask, sentence, key=upload.key):
                self.removed.append(upload)
        except StorageGuardError as exc:
            self.kept.append((upload, str(exc)))
            return False
        return True
