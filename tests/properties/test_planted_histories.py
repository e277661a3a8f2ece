# pyright: reportPrivateUsage=false
"""Planted faults of what is newer than `create`: files, copies, renames, resumes, sweeps. Histories must see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from properties.planting import memory
from storage_guard.access import Access
from storage_guard.driver import ObjectRef
from storage_guard.engine import copying, ranges, removal, resuming
from storage_guard.engine.creation import Creation, PushedCreation
from storage_guard.engine.policy import Policy, Wanted
from storage_guard.engine.remote import Original
from storage_guard.files.draft import Draft
from storage_guard.model import Part, Receipt, Upload
from storage_guard.outcome import Answer
from storage_guard.testing import Mix
from storage_guard.testing.histories import Script, Step, Turn, check, draw, play
from storage_guard.testing.histories.operations import OpenRead, Operation, Remove, Stream
from storage_guard.testing.histories.writing import Copy, Create, Rename
from storage_guard.uploads import journal, ownfile, sweeping
from storage_guard.uploads.journal import Entry, Journal

Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def many_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small object takes several requests to read."""
    monkeypatch.setattr(ranges, "PIECE_BYTES", 50)


def unknown_crc(_original: object, _algorithm: str) -> None:
    """Of no source is a checksum known."""


def _copies_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies each part of whatever object is there, and does not compare."""

    def unpinned(self: Original) -> ObjectRef:
        return ObjectRef(self.access.driver.location, self.full_key)

    monkeypatch.setattr(Original, "ref", property(unpinned))
    monkeypatch.setattr(Original, "crc_of", unknown_crc)


def _renames_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes the source, whatever became of the copy."""
    sound = copying.rename

    def rename(policy: Policy, where: copying.Origin, wanted: Wanted, *, deadline_s: float) -> Receipt:
        try:
            return sound(policy, where, wanted, deadline_s=deadline_s)
        except Exception:
            try:
                original = copying._look(policy, where, wanted, deadline_s)
                removal.remove(where.access, where.key, original.info.etag, deadline_s=deadline_s)
            except Exception:  # noqa: BLE001 - what is told is the trouble before
                pass
            raise

    monkeypatch.setattr(copying, "rename", rename)


class _Unpinned:
    """`removal`, of whatever is there."""

    @staticmethod
    def remove(access: Access, key: str, etag: str, *, deadline_s: float) -> None:
        del etag
        removal.remove(access, key, None, deadline_s=deadline_s)


def _renames_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes what is at the source by then."""
    monkeypatch.setattr(copying, "removal", _Unpinned)


def _rename_forgets_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies, and says that it has renamed."""

    class Nothing:
        remove = staticmethod(lambda *_, **__: None)

    monkeypatch.setattr(copying, "removal", Nothing)


def _discard_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publishes what was to be thrown away."""

    def discard(self: Draft) -> list[str]:
        if not self.ended:
            self.discarded = True
            self._pour.finish()
        return []

    monkeypatch.setattr(Draft, "discard", discard)


def _resumes_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Goes on with an upload of other data."""

    def fits(self: resuming.Resumable, left: Entry) -> bool:
        del self, left
        return True

    def have(self: resuming.Resumable, found: list[Part]) -> list[Part]:
        slots = {slot.number: slot for slot in self.slots()}
        return [part for part in found if part.slot == slots.get(part.slot.number)]

    monkeypatch.setattr(resuming.Resumable, "_fits", fits)
    monkeypatch.setattr(resuming.Resumable, "ours_of", have)


def _keeps_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps an upload for whoever comes, and does not say so."""
    sound = Creation._keeps_upload

    def keeps(self: Creation, *, in_doubt: bool) -> bool:
        before = list(self.notes)
        kept = sound(self, in_doubt=in_doubt)
        self.notes[:] = before
        return kept

    monkeypatch.setattr(Creation, "_keeps_upload", keeps)


def _discards_only_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stops sending, and leaves the upload."""

    def discard(self: PushedCreation) -> None:
        if self._sending is not None:
            self._sending.stop()

    monkeypatch.setattr(PushedCreation, "discard", discard)


@dataclass
class _Free:
    """An entry that nobody has locked."""

    entry: Entry
    path: str

    def remove(self) -> None:
        Path(self.path).unlink(missing_ok=True)


def _sweeps_the_living(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does not ask who is at work."""

    def dead(self: Journal, store_url: str) -> Iterator[_Free]:
        for path in self._paths(store_url):
            with ownfile.open_unlocked(path) as file:
                entry, _ = journal._read(file, path)
            if entry is not None:
                yield _Free(entry, path)

    monkeypatch.setattr(Journal, "dead", dead)


def _sweeps_the_young(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does not ask how old an upload is."""

    def newest(self: Any, full_key: str, upload: Upload) -> datetime:
        del self, full_key
        return upload.started.replace(year=2000)

    monkeypatch.setattr(sweeping._Broom, "_newest", newest)


def _sweeps_with_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Says that it has aborted, and has not."""

    def abort(self: Any, upload: Upload, full_key: str) -> bool:
        del full_key
        self.removed.append(upload)
        return True

    monkeypatch.setattr(sweeping._Broom, "_abort", abort)


def _reads_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads each piece of whatever object is there."""
    sound = ranges._Fetching._fetch

    def fetch(self: ranges._Fetching, start: int, stop: int) -> Any:
        monkeypatch.setattr(self._pinned, "etag", None)
        return sound(self, start, stop)

    monkeypatch.setattr(ranges._Fetching, "_fetch", fetch)


def _a_lost_finish_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes a finish of a copy whose answer was lost for one that did not take place."""
    sound = copying._Checked._commit

    def commit(self: Any) -> Answer:
        answer = sound(self)
        return Answer.REFUSED if answer is Answer.LOST else answer

    monkeypatch.setattr(copying._Checked, "_commit", commit)


def mix(*rates: float, keys: tuple[int, int] = (1, 3), **weights: float) -> Mix:
    return Mix(keys=keys, fault_rates=rates, weights={name.replace("_", "-"): each for name, each in weights.items()})


def replaced_during(operation: Operation) -> Callable[[int], Script]:
    """What an operation works on is replaced by something of the same size, when it has had `seed` turns. As often as
    chance would have it, that is too rare to wait for."""
    turns = [(0, 12), (1, 0), (2, 4), (3, 12), (1, 20)]
    first = (Step(0, Create("source", "parts-a")), Step(1, operation))
    rival = (Step(2, Remove("source")), Step(3, Create("source", "parts-b")))

    def script(seed: int) -> Script:
        taken = [Turn(number) for number, times in turns for _ in range(times or seed)]
        return Script(seed, (first, rival), turns=tuple(taken))

    return script


COPIES = mix(0.0, 0.1, keys=(2, 3), create=4, copy=5, remove=3)
RENAMES = mix(0.1, 0.3, keys=(2, 8), create=4, rename=5, remove=2)
FILES = mix(0.1, keys=(8, 24), open=5, head=1)
RESUMES = mix(0.3, keys=(2, 8), resume=6, sweep=1, read=2, open_read=1)
SWEEPS = mix(0.0, 0.1, keys=(2, 8), resume=6, sweep=4, open=2)
PLACES = ((0, 40), (100, 40))
WHOLE = {"a_reader_gets_one_whole_object"}

Plan = tuple[Mix | Callable[[int], Script], int, set[str]]
DEFECTS: Sequence[tuple[Plant, Plan]] = [
    (_copies_what_is_there, (replaced_during(Copy("source", "copy")), 20, {"a_copy_is_of_one_life"})),
    (_renames_what_is_there, (replaced_during(Rename("source", "copy")), 20, {"a_rename_loses_nothing"})),
    (_renames_by_force, (RENAMES, 20, {"a_rename_loses_nothing"})),
    (_rename_forgets_the_source, (RENAMES, 20, {"a_rename_loses_nothing"})),
    (_discard_commits, (FILES, 20, {"a_discarded_file_publishes_nothing"})),
    (_discards_only_the_parts, (FILES, 20, {"a_left_upload_is_reported"})),
    (_resumes_anything, (RESUMES, 20, {"a_resumed_write_is_one_write"})),
    (_keeps_in_silence, (RESUMES, 20, {"a_left_upload_is_reported"})),
    (_sweeps_the_living, (SWEEPS, 40, {"a_sweep_takes_what_is_forgotten"})),
    (_sweeps_the_young, (SWEEPS, 40, {"a_sweep_takes_what_is_forgotten"})),
    (_sweeps_with_words, (SWEEPS, 40, {"a_sweep_takes_what_is_forgotten"})),
    (_reads_what_is_there, (replaced_during(OpenRead("source", PLACES)), 20, WHOLE)),
    (_reads_what_is_there, (replaced_during(Stream("source")), 20, WHOLE)),
    (_a_lost_finish_is_none, (COPIES, 60, {"not_written_is_for_good"})),
]
"""Each planted defect: the histories that favour it, how many are enough, and the laws one of which must be broken."""


def met_after(plan: Plan) -> int | None:
    """How many histories it took."""
    favoured, histories, laws = plan
    for seed in range(histories):
        script = draw(seed, favoured, 64) if isinstance(favoured, Mix) else favoured(seed)
        played = play(script, memory(), fresh_listings=True)
        if laws & {violation.law for violation in check(played.history)}:
            return seed + 1
    return None


@pytest.mark.parametrize(("plant", "plan"), DEFECTS, ids=[each.__name__ for each, _ in DEFECTS])
def test_a_planted_defect_is_caught(plant: Plant, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert met_after(plan) is not None


@pytest.mark.parametrize("plan", {id(plan): plan for _, (plan, _, _) in DEFECTS}.values())
def test_without_a_defect_no_law_is_broken(plan: Mix | Callable[[int], Script]) -> None:
    laws = {law for _, (_, _, laws) in DEFECTS for law in laws}
    assert met_after((plan, 20, laws)) is None
