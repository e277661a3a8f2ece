"""Uploads that outlive their process, and crashes of the machine, on a disk that forgets what was not synced.

Whoever comes after the crash finishes the upload from the parts that are listed, and sends the rest: the object is
whole. An object that is there after the crash is whole at once, and stays as it is.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from faults.forgetting_disk import Choice, ForgettingDisk, Process
from faults.lasting_worlds import DATA, KEY, check_that_nothing_is_written_late, go_on, write
from storage_guard.driver import Part
from storage_guard_local import LocalDriver
from storage_guard_local.kept import Kept
from storage_guard_local.lasting import LastingUpload, LastingUploads
from telling import Tell

ROOT = "/data"
DISKS: dict[str, dict[str, bool]] = {
    "journal": {"journaling": True, "reuse": True},
    "no journal": {"journaling": False, "reuse": False},
}
WAYS: dict[str, tuple[str, ...]] = {"link": (), "rename": ("link",)}
# What is kept of bytes and of names; the last are by chance, another for each crash.
CHANCES = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.5, 0.6), (0.2, 1.0), (0.8, 0.9))


def ids_on(disk: ForgettingDisk) -> set[str]:
    return {path.partition(".")[0] for path, _ in disk.walk(f"{ROOT}/.storage-guard/uploads")}


class Worlds:
    """One upload from its beginning to its end, and all crashes on the way."""

    def __init__(
        self,
        lacks: tuple[str, ...],
        disk: dict[str, bool],
        process: type[Process] = Process,
        *,
        goes_on: bool = True,
    ) -> None:
        self.found: Counter[str] = Counter()
        self._lacks = lacks
        self._process = process
        self._goes_on = goes_on
        self._changes = -1
        self._crashes = 0
        self.disk = ForgettingDisk(**disk)

    def run(self) -> None:
        self.disk.before = lambda _process, _call: self.crash()
        write(ROOT, self._process(self.disk, *self._lacks))
        self._changes = -1
        self.crash(finished=True)

    def crash(self, *, finished: bool = False) -> None:
        if self.disk.changes == self._changes:
            return
        self._changes = self.disk.changes
        for data, names in CHANCES:
            self._crashes += 1
            after, same = (self.disk.crash(Choice(self._crashes, data, names)) for _ in range(2))
            objects = [path for path, _ in after.walk(ROOT) if not path.startswith(".")]
            assert objects in ([], [KEY])
            assert objects or not finished, "a finish was answered, and the object is gone"
            late = LocalDriver(ROOT, system=self._process(same, *self._lacks))
            check_that_nothing_is_written_late(late, ids_on(same))
            if not self._goes_on:
                continue
            driver = LocalDriver(ROOT, system=self._process(after, *self._lacks))
            outcome = go_on(driver)
            assert outcome == "none" or not objects
            self.found["whole" if objects else outcome] += 1
            driver.close()
            assert ids_on(after) == set()
            self._crash_again(after, is_there=outcome == "finished")

    def _crash_again(self, after: ForgettingDisk, *, is_there: bool) -> None:
        """What was finished after the crash stands another one."""
        found = dict(after.crash(Choice(0, 0, 0)).walk(ROOT))
        assert KEY in found or not is_there
        assert KEY not in found or bytes(found[KEY].data) == DATA


@pytest.mark.parametrize("disk", DISKS)
@pytest.mark.parametrize("way", WAYS)
def test_an_upload_stands_every_crash_of_the_machine_or_is_gone(way: str, disk: str, tell: Tell) -> None:
    worlds = Worlds(WAYS[way], DISKS[disk])
    worlds.run()
    assert sorted(worlds.found) == ["finished", "none", "whole"]  # and never "lost"
    tell(f"{way}, {disk}: {dict(worlds.found)}")


# The instrument, proved on planted defects


def trusts(_self: LastingUploads, _fd: int, _part: Part) -> bool:
    return True


class OneName(Process):
    """To who looks at a hidden file it seems to have no other name."""

    def lstat(self, path: str, *, dir_fd: int | None = None) -> os.stat_result:
        found = super().lstat(path, dir_fd=dir_fd)
        if not path.endswith(".data"):
            return found
        return os.stat_result((*found[:3], 1, *found[4:10]), {"st_mtime_ns": found.st_mtime_ns})


def says_nothing(_self: LastingUpload, *, begun: bool) -> None:
    pass


@pytest.mark.parametrize("way", WAYS)
def test_a_driver_that_trusts_the_ledger_is_caught(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LastingUploads, "_is_there", trusts)
    with pytest.raises(AssertionError):
        Worlds(WAYS[way], DISKS["no journal"]).run()


def test_a_driver_that_does_not_see_that_a_file_is_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LastingUpload, "note_finishing", says_nothing)
    with pytest.raises(AssertionError, match="upload that is out"):
        Worlds((), DISKS["journal"], OneName).run()


def test_a_disk_that_counts_names_wrongly_after_a_crash_changes_no_object() -> None:
    """The ledger alone says that a finish was begun: it was synced before the name."""
    for disk in DISKS.values():
        Worlds((), disk, OneName, goes_on=False).run()


def does_nothing(_self: Kept) -> None:
    pass


def test_a_driver_that_notes_a_finish_before_the_bytes_are_safe_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """No object is torn, but an upload is lost."""
    monkeypatch.setattr(Kept, "sync", does_nothing)
    worlds = Worlds((), DISKS["journal"])
    worlds.run()
    assert worlds.found["lost"] > 0
