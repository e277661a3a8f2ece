"""Crashes of the machine, on a disk that forgets what was not synced: every Receipt that was given still stands.

Random histories of creates, repetitions, removals, killed processes and restarts, each of which may begin in the middle
of another. The machine crashes at every change of the disk and at every receipt, each time in several ways.
"""

from __future__ import annotations

import itertools
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pytest

from faults.forgetting_disk import Choice, File, Folder, ForgettingDisk, Killed, Node, Process, choices
from storage_guard import Receipt, StorageGuardError, Store, ticket_of
from storage_guard.testing.clock import FakeClock
from storage_guard_local import LocalDriver
from storage_guard_local.folders import Folders, Place
from storage_guard_local.objects import Opened
from storage_guard_local.publish import Publisher
from telling import Tell

if TYPE_CHECKING:
    from typing_extensions import Buffer

ROOT = "/srv/data/root"
KEYS = ("k", "l", "a/k", "a/b/k", "a/b/c/d/k", "e/f/k", "e/f/l")
SIZES = (0, 10, 4096, 5000, 9000, 20_000)
WAYS: dict[str, tuple[str, ...]] = {"anonymous": (), "link": ("anonymous",), "rename": ("anonymous", "link")}
NESTED = 2
DISKS: dict[str, dict[str, bool]] = {
    "journal": {"journaling": True, "reuse": True},
    "no journal": {"journaling": False, "reuse": False},
}


@dataclass
class Counts:
    points: int = 0
    crashes: int = 0
    judged: int = 0  # receipts after crashes
    recoveries: int = 0
    receipts: Counter[str] = field(default_factory=Counter[str])
    violations: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.receipts.items()))
        return (
            f"{self.points} crash points, {self.crashes} crashes; receipts: {kinds}, judged {self.judged} times; "
            f"{self.recoveries} recoveries; {len(self.violations)} violations"
        )


class Machine:
    """Three processes on one disk, and what they were told."""

    def __init__(
        self,
        seed: int,
        lacks: tuple[str, ...],
        counts: Counts,
        *,
        process: type[Process] = Process,
        ways_to_crash: int = 4,
        journaling: bool = True,
        reuse: bool = True,
    ) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.lacks = lacks
        self.counts = counts
        self.disk = ForgettingDisk(journaling=journaling, reuse=reuse)
        self._process = process
        self._ways_to_crash = ways_to_crash
        self._judged: tuple[int, int] = (-1, -1)
        self._events = 0
        self._depth = 0
        self._still = False
        self.fuses: dict[Process, int] = {}
        # All that was tried: the bytes that may be found with an id, and where.
        self.tried: dict[str, tuple[str, set[bytes]]] = {}
        self.standing: dict[str, tuple[str, str, bytes]] = {}  # by key: what a receipt says is there
        self.gone: set[str] = set()  # ids whose removal was reported
        self._under_way: Counter[str] = Counter()  # ids
        self._tried_at: dict[str, int] = {}
        self._removing: Counter[str] = Counter()  # keys
        self._removed_at: dict[str, int] = {}
        self._make_parents(self.chance.randrange(4))
        self.disk.before = self._before
        self.slots = [self._start() for _ in range(3)]

    def _make_parents(self, depth: int) -> None:
        folder = self.disk.root
        for part in ROOT.strip("/").split("/")[:depth]:
            below = self.disk.folder(folder)
            folder.entries[part] = below
            folder = below

    def _start(self) -> tuple[Process, Store]:
        process = self._process(self.disk, *self.lacks)
        store = open_store(process)
        still, self._still = self._still, True
        try:
            store.check()  # under a lock: nothing else of this process then
        finally:
            self._still = still
        return process, store

    # Histories

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()
        self._judge()

    def step(self) -> None:
        slot = self.chance.randrange(len(self.slots))
        process, store = self.slots[slot]
        if process.dead or self.chance.random() < 0.1:
            self.slots[slot] = self._start()
            process, store = self.slots[slot]
        if self.chance.random() < 0.12:
            self.fuses[process] = self.chance.randrange(90)
        try:
            if self.chance.random() < 0.25:
                self._remove(store)
            else:
                self._create(store)
        except (StorageGuardError, Killed):
            pass

    def _create(self, store: Store) -> None:
        chance = self.chance
        key = chance.choice(KEYS)
        known = [write_id for write_id, (place, _) in self.tried.items() if place == key]
        if known and chance.random() < 0.4:
            write_id = chance.choice(known)
            data = chance.choice(sorted(self.tried[write_id][1])) if chance.random() < 0.9 else b"other bytes"
        else:
            write_id = f"w{len(self.tried)}"
            data = write_id.encode().ljust(8, b".") * (chance.choice(SIZES) // 8)
            if known and chance.random() < 0.3:
                data = chance.choice(sorted(self.tried[chance.choice(known)][1]))
        self.tried.setdefault(write_id, (key, set()))[1].add(data)
        self.gone.discard(write_id)
        self._events += 1
        began = self._tried_at[write_id] = self._events
        self._under_way[write_id] += 1
        try:
            receipt = store.create(
                key, data, write_id=write_id, if_exists=chance.choice(("error", "error", "same", "skip"))
            )
        finally:
            self._under_way[write_id] -= 1
        self._told(key, data, receipt, began)

    def _told(self, key: str, data: bytes, receipt: Receipt, began: int) -> None:
        self._events += 1
        self.counts.receipts[receipt.outcome] += 1
        if self._removing[key] or self._removed_at.get(key, -1) > began or receipt.write_id is None:
            return
        if receipt.outcome == "present":
            place, found = self.tried[receipt.write_id]
            assert place == key
            if len(found) > 1:
                return
            (data,) = found
        self.standing[key] = (receipt.write_id, receipt.outcome, data)

    def _remove(self, store: Store) -> None:
        key = self.chance.choice(KEYS)
        self._events += 1
        began = self._events
        self._removing[key] += 1
        stood = self.standing.pop(key, None)
        try:
            store.remove(key)
            if stood is not None and not self._under_way[stood[0]] and self._tried_at[stood[0]] < began:
                self.gone.add(stood[0])
        finally:
            self._events += 1
            self._removing[key] -= 1
            self._removed_at[key] = self._events

    # Between two system calls

    def _before(self, process: Process, _call: str) -> None:
        if (self.disk.changes, self._events) != self._judged:
            self._judged = (self.disk.changes, self._events)
            self._judge()
        if process in self.fuses:
            self.fuses[process] -= 1
            if self.fuses[process] < 0:
                del self.fuses[process]
                process.kill()
        if not self._still and self._depth < NESTED and self.chance.random() < 0.02:
            self._depth += 1
            try:
                self.step()
            finally:
                self._depth -= 1

    def _judge(self) -> None:
        if self.counts.violations:
            return
        self.counts.points += 1
        for number, choice in enumerate(choices(self.seed * 10_000 + self.counts.points, self._ways_to_crash)):
            after = self.disk.crash(choice)
            self.counts.crashes += 1
            self._judge_found(after, f"seed {self.seed}, point {self.counts.points}, crash {number}")
            if self.counts.points % 40 == 0:
                self._recover(after, f"seed {self.seed}, point {self.counts.points}, after crash {number}")

    def _judge_found(self, after: ForgettingDisk, when: str) -> None:
        found: dict[str, tuple[str, bytes]] = {}
        for path, file in after.walk(ROOT):
            if path.startswith(".storage-guard/"):
                continue
            write_id = id_of(file)
            place, tried = self.tried.get(write_id, ("", set()))
            if path != place or bytes(file.data) not in tried:
                self._violated(f"{when}: {path} is torn: {len(file.data)} bytes, id {write_id!r}")
            if write_id in self.gone:
                self._violated(f"{when}: {path} of {write_id} was removed, and is there again")
            found[path] = (write_id, bytes(file.data))
        for key, (write_id, outcome, data) in self.standing.items():
            self.counts.judged += 1
            if found.get(key) != (write_id, data):
                self._violated(f"{when}: {key} of {write_id} was {outcome}, and {found.get(key, ('nothing',))[0]} is")

    def _violated(self, what: str) -> None:
        self.counts.violations.append(what)

    def _recover(self, after: ForgettingDisk, when: str) -> None:
        """The next writer on what is left: it can go on, and what it is told stands a crash at once."""
        self.counts.recoveries += 1
        process = Process(after, *self.lacks)
        store = open_store(process)
        for key, write_id in [(key, write_id) for write_id, (key, _) in self.tried.items()][-4:]:
            head = store.head(key)
            data = min(self.tried[write_id][1])
            try:
                receipt = store.create(key, data, write_id=write_id)
            except StorageGuardError:
                if head is None or (head.write_id == write_id and store.read(key) == data):
                    self._violated(f"{when}: {key} of {write_id} cannot be created")
                continue
            again = dict(after.crash(Choice(0, 0, 0)).walk(ROOT))
            if key not in again or id_of(again[key]) != receipt.write_id or bytes(again[key].data) != data:
                self._violated(f"{when}: {key} of {write_id} was created again, and does not stand")
        store.check()  # sweeps, if it has to use names
        litter = [path for path, _ in after.walk(f"{ROOT}/.storage-guard/tmp")]
        if litter and self.lacks:
            self._violated(f"{when}: temporary files are left: {litter}")


def open_store(process: Process) -> Store:
    driver = LocalDriver(ROOT, system=process)
    # One request after the other: the disk asks at every call what a crash would leave, and is no place for threads.
    return Store(driver, part_bytes=3000, multipart_from_bytes=9000, in_flight=1, clock=FakeClock())


def id_of(file: File) -> str:
    try:
        return str(json.loads(file.attributes["user.storage_guard"])["id"])
    except (KeyError, ValueError):
        return ""


def histories(way: str, seeds: range, steps: int, **more: Any) -> Counts:
    counts = Counts()
    for seed in seeds:
        Machine(seed, WAYS[way], counts, **more).run(steps)
        if counts.violations:
            break
    return counts


# The laws


@pytest.mark.parametrize("disk", DISKS)
@pytest.mark.parametrize("way", WAYS)
def test_every_receipt_stands_a_crash_of_the_machine(way: str, disk: str, tell: Tell) -> None:
    counts = histories(way, range(6), 25, **DISKS[disk])
    tell(f"{way}, {disk}: {counts}")
    assert counts.violations == []
    assert counts.receipts["created"] > 0


@pytest.mark.soak
@pytest.mark.parametrize("disk", DISKS)
@pytest.mark.parametrize("way", WAYS)
def test_every_receipt_stands_many_crashes_of_the_machine(way: str, disk: str, tell: Tell) -> None:
    counts = histories(way, range(1000, 1040), 40, ways_to_crash=8, **DISKS[disk])
    tell(f"{way}, {disk}: {counts}")
    assert counts.violations == []
    assert min(counts.receipts[each] for each in ("created", "same", "present")) > 0


def test_a_folder_made_again_under_its_old_number_is_forgotten_by_a_disk_without_a_journal() -> None:
    """The limit that docs/backends/local.md names: when this fails, it is gone, and may be taken out there."""
    disk = ForgettingDisk(journaling=False, reuse=True)
    one, two = open_store(Process(disk)), open_store(Process(disk))
    one.create("a/k", b"data")
    two.remove("a/k")
    process = Process(disk)
    process.mkdir("a", dir_fd=process.open(ROOT, os.O_RDONLY))  # as a writer does that dies then
    one.create("a/l", b"data")
    assert list(disk.crash(Choice(0, 0, 0)).walk(ROOT)) == []


# What was found once


@pytest.mark.parametrize("way", WAYS)
def test_a_dead_writers_object_is_synced_before_head_shows_it(way: str) -> None:
    """A multipart create looks before it begins, and `settle` only looks: what they see must stand."""
    for size in (10, 10_000):
        disk = ForgettingDisk(**DISKS["journal"])
        writer = Process(disk, *WAYS[way])

        def kill_when_linked(process: Process, call: str, disk: ForgettingDisk = disk) -> None:
            if call == "fsync" and "a/k" in dict(disk.walk(ROOT)):
                process.kill()

        disk.before = kill_when_linked
        with pytest.raises(Killed) as caught:
            open_store(writer).create("a/k", bytes(size), write_id="w")
        disk.before = lambda _process, _call: None
        assert list(disk.crash(Choice(0, 0, 0)).walk(ROOT)) == []
        store = open_store(Process(disk, *WAYS[way]))
        if size == 10:
            receipt = store.settle(str(ticket_of(caught.value)))
        else:
            receipt = store.create("a/k", bytes(size), write_id="w")
        assert (receipt.outcome, receipt.write_id) == ("created", "w")
        assert "a/k" in dict(disk.crash(Choice(0, 0, 0)).walk(ROOT))


def test_folders_above_the_root_that_a_dead_writer_made_are_synced_by_the_next() -> None:
    disk = ForgettingDisk(**DISKS["no journal"])
    process = Process(disk)
    for folder in ("/srv", "/srv/data", ROOT):
        process.mkdir(folder)
    open_store(Process(disk)).create("k", b"data")
    assert [path for path, _ in disk.crash(Choice(0, 0, 0)).walk(ROOT)] == ["k"]


# The instrument, proved on planted defects


class Planted(Process):
    """Knows which descriptor is what."""

    def __init__(self, disk: ForgettingDisk, *lacks: str) -> None:
        super().__init__(disk, *lacks)
        self.paths: dict[int, str] = {}
        self.linked_into: Node | None = None

    def open(self, path: str, flags: int, *, dir_fd: int | None = None) -> int:
        fd = super().open(path, flags, dir_fd=dir_fd)
        self.paths[fd] = path
        return fd

    def link_fd(self, fd: int, name: str, *, dir_fd: int) -> None:
        super().link_fd(fd, name, dir_fd=dir_fd)
        self.linked_into = self._node(dir_fd)

    def link(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
        super().link(source, name, source_fd=source_fd, dir_fd=dir_fd)
        self.linked_into = self._node(dir_fd)

    def rename_noreplace(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
        super().rename_noreplace(source, name, source_fd=source_fd, dir_fd=dir_fd)
        self.linked_into = self._node(dir_fd)

    def fsync(self, fd: int) -> None:
        if self.syncs(fd, self._node(fd)):
            super().fsync(fd)

    def syncs(self, fd: int, node: Node) -> bool:  # noqa: ARG002 - for those that override it
        return True


class NoSyncOfTheFile(Planted):
    def syncs(self, fd: int, node: Node) -> bool:  # noqa: ARG002 - as the base has it
        return isinstance(node, Folder)


class NoSyncOfTheFolder(Planted):
    def syncs(self, fd: int, node: Node) -> bool:  # noqa: ARG002 - as the base has it
        return node is not self.linked_into


class NoSyncOfTheFoldersAbove(Planted):
    def syncs(self, fd: int, node: Node) -> bool:
        above_root = self.paths[fd] == ".." or (self.paths[fd].startswith("/") and self.paths[fd] != ROOT)
        return isinstance(node, File) or node is self.linked_into or above_root


class NoSyncOfTheRootsParents(Planted):
    def syncs(self, fd: int, node: Node) -> bool:  # noqa: ARG002 - as the base has it
        return self.paths[fd] != ".." and (not self.paths[fd].startswith("/") or self.paths[fd] == ROOT)


class NoSyncOfARemoval(Planted):
    unlinked_in: Node | None = None

    def unlink(self, name: str, *, dir_fd: int) -> None:
        super().unlink(name, dir_fd=dir_fd)
        self.unlinked_in = self._node(dir_fd)

    def syncs(self, fd: int, node: Node) -> bool:  # noqa: ARG002 - as the base has it
        skipped, self.unlinked_in = self.unlinked_in, None
        return node is not skipped


class AttributesAfterTheSync(Planted):
    def __init__(self, disk: ForgettingDisk, *lacks: str) -> None:
        super().__init__(disk, *lacks)
        self.held: dict[int, tuple[str, bytes]] = {}

    def setxattr(self, fd: int, name: str, value: bytes) -> None:
        self.held[fd] = (name, value)

    def fsync(self, fd: int) -> None:
        super().fsync(fd)
        if fd in self.held:
            super().setxattr(fd, *self.held.pop(fd))


class SyncBeforeTheLastWrite(Planted):
    def __init__(self, disk: ForgettingDisk, *lacks: str) -> None:
        super().__init__(disk, *lacks)
        self.held: dict[int, tuple[bytes, int]] = {}

    def _write_held(self, fd: int) -> None:
        if fd in self.held:
            super().pwrite(fd, *self.held.pop(fd))

    def pwrite(self, fd: int, data: Buffer, offset_bytes: int) -> int:
        self._write_held(fd)
        self.held[fd] = (bytes(data), offset_bytes)
        return len(bytes(data))

    def fsync(self, fd: int) -> None:
        super().fsync(fd)
        self._write_held(fd)


class LinkBeforeTheSync(Planted):
    def __init__(self, disk: ForgettingDisk, *lacks: str) -> None:
        super().__init__(disk, *lacks)
        self.held: set[int] = set()

    def syncs(self, fd: int, node: Node) -> bool:
        if isinstance(node, File):
            self.held.add(fd)
            return False
        for each in sorted(self.held & self._mine):  # behind the link, before the folder
            Process.fsync(self, each)
        self.held.clear()
        return True


class Believing(Folders):
    def sync(self, place: Place) -> None:
        """Believes a folder for ever by its name, although it may be removed and made again."""
        self._system.fsync(place.fd)
        if "/".join(place.folders) not in BELIEVED.setdefault(self, set()):
            self._sync_above(place.folders)
            BELIEVED[self].add("/".join(place.folders))


BELIEVED: WeakKeyDictionary[Folders, set[str]] = WeakKeyDictionary()


def no_sync(_self: Publisher, _place: Place, _opened: Opened) -> None: ...


PLANTED: dict[str, tuple[type[Process], Callable[[pytest.MonkeyPatch], None] | None]] = {
    "no sync of the file": (NoSyncOfTheFile, None),
    "attributes after the sync": (AttributesAfterTheSync, None),
    "the sync before the last write": (SyncBeforeTheLastWrite, None),
    "the link before the sync": (LinkBeforeTheSync, None),
    "no sync of the folder": (NoSyncOfTheFolder, None),
    "no sync of the folders above": (NoSyncOfTheFoldersAbove, None),
    "no sync of the root's parents": (NoSyncOfTheRootsParents, None),
    "no sync of a removal": (NoSyncOfARemoval, None),
    "taken, and not synced": (Process, lambda patch: patch.setattr(Publisher, "make_durable", no_sync)),
    "a folder made again is believed": (Process, lambda patch: patch.setattr(Folders, "sync", Believing.sync)),
}


@pytest.mark.parametrize(("way", "defect"), list(itertools.product(WAYS, PLANTED)))
def test_a_driver_with_a_planted_defect_is_caught(
    way: str, defect: str, monkeypatch: pytest.MonkeyPatch, tell: Tell
) -> None:
    process, patch = PLANTED[defect]
    if patch is not None:
        patch(monkeypatch)
    counts = histories(way, range(40), 25, process=process, **DISKS["no journal"])
    assert counts.violations, f"{defect} was not noticed in {counts.crashes} crashes"
    if way == "anonymous":
        tell(f"{defect}: caught in crash {counts.crashes}: {counts.violations[0]}")
