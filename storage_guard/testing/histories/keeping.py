"""What a client can do about open uploads: list them, and throw away the forgotten ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

from storage_guard import Store
from storage_guard.testing.histories.history import Asked, Told
from storage_guard.testing.histories.operations import Desk, Operation


@dataclass(frozen=True)
class Uploads(Operation):
    @property
    def asked(self) -> Asked:
        return Asked("uploads", None, "uploads")

    def perform(self, store: Store, desk: Desk) -> Told:  # noqa: ARG002
        return Told("uploads", uploads=tuple(each.upload_id for each in store.uploads()))


@dataclass(frozen=True)
class Sweep(Operation):
    """Throws away what this machine has forgotten of a key; `naming`: and every upload of it that is open by now."""

    key: str
    naming: bool = False
    older_than_s: float = 0.0

    @property
    def asked(self) -> Asked:
        words = f"sweep {self.key} older_than_s={self.older_than_s:g}" + (" naming all" if self.naming else "")
        return Asked("sweep", None, words, older_than_s=self.older_than_s)

    def perform(self, store: Store, desk: Desk) -> Told:
        store = desk.machine_store(self.key)
        found = [each for each in store.uploads(self.key) if each.key == self.key] if self.naming else []
        found.sort(key=lambda upload: upload.started)
        named = tuple(each.upload_id for each in found)
        desk.turn()
        try:
            swept = store.sweep(older_than_s=self.older_than_s, uploads=found)
        except BaseException as exc:  # noqa: BLE001 - what it was to do is told too
            return replace(self.told_of(exc), named=named)
        notes = tuple(f"{upload.upload_id}: {why}" for upload, why in swept.kept)
        removed = tuple(each.upload_id for each in swept.removed)
        return Told("swept", swept=removed, named=named, notes=(*notes, *swept.notes))
