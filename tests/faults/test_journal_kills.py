"""Whoever is killed at the journal leaves every upload whole or absent, and held by nobody.

    python test_journal_kills.py FOLDER PLANT

bears the workers: for each line of JSON, a `Shift`, it forks some, lets them work for so long, and kills them with
signal 9. Each worker writes to a diary what it found and what it is about to do, while it holds the upload; so the
lines about an upload are in order, and the diary says what may be recorded when all are dead.
"""

from __future__ import annotations

import io
import json
import os
import random
import secrets
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from storage_guard.testing import race_processes, winners
from storage_guard.uploads import journal as journal_module
from storage_guard.uploads import ownfile
from storage_guard.uploads.journal import Entry, Held, HeldElsewhere, Journal, SourceIdentity
from telling import Tell

TESTS = Path(__file__).resolve().parents[1]
URL = "file:///some/where"
KEYS = ("a", "b/c")
WORKERS = 3
KILLS = 40  # in `make test`; fifty times that in `make soak`
ROUNDS = 200
BORN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Shift:
    number: int
    seed: int
    work_s: float


def entry_for(key: str, number: int) -> Entry:
    """What is recorded as `number`: every field follows from it, and some entries fill several blocks."""
    return Entry(
        store_url=URL,
        key=key,
        upload_id=f"u-{number}",
        write_id=f"w-{number}",
        named=bool(number % 2),
        part_bytes=number,
        started=BORN + timedelta(seconds=number),
        source=SourceIdentity("file", number, name=f"{number}/" * (1, 30, 3000)[number % 3]),
        options=f"{number:064x}",
    )


def number_of(entry: Entry | None) -> int | None:
    """Which entry it is. AssertionError if it is not whole."""
    assert entry is None or entry == entry_for(entry.key, entry.part_bytes)
    return None if entry is None else entry.part_bytes


# What the instruments must find out


def record_by_renaming(held: Held, entry: Entry) -> None:
    """The new entry gets the name, and the lock stays with the old file."""
    new = f"{held.path}.{os.getpid()}"
    Path(new).write_bytes(journal_module._HEADER + journal_module._line(entry))  # pyright: ignore[reportPrivateUsage]
    os.replace(new, held.path)
    held.entry = entry


def record_over_the_old(held: Held, entry: Entry) -> None:
    """The old entry is given up before the new one is there."""
    with open(held.path, "r+b", buffering=0) as file:
        file.truncate(0)
        os.fsync(file.fileno())
        file.write(journal_module._HEADER + journal_module._line(entry))  # pyright: ignore[reportPrivateUsage]
        os.fsync(file.fileno())
    held.entry = entry


def no_lock(file: io.FileIO) -> None:
    assert not file.closed


@contextmanager
def planted(plant: str) -> Generator[None]:
    if plant == "no lock":
        with patch.object(ownfile, "_lock", no_lock):
            yield
    elif plant:
        with patch.object(Held, "record", {"renaming": record_by_renaming, "over": record_over_the_old}[plant]):
            yield
    else:
        yield


# At work


class Worker:
    """Claims, records, sweeps, lets go and removes, until it is killed."""

    def __init__(self, folder: str, name: str, dice: random.Random) -> None:
        self._journal = Journal(f"{folder}/journal")
        self._diary = os.open(f"{folder}/diary", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._dice = dice
        self._name = name
        self._added = 0

    def work(self) -> None:
        try:
            while True:
                self._dice.choice((self.go_on, self.go_on, self.add, self.sweep))()
        except BaseException:  # noqa: BLE001 - told to the judge
            self._write(self._name, "trouble", traceback.format_exc())

    def go_on(self) -> None:
        key = self._dice.choice(KEYS)
        try:
            held = self._journal.claim(URL, key)
        except HeldElsewhere:
            return
        self._write(key, "found", number_of(held.entry))
        for _ in range(self._dice.randrange(3)):
            number = self._dice.getrandbits(31)
            self._write(key, "recording", number)
            held.record(entry_for(key, number))
            self._write(key, "recorded", number)
        self._leave(held, key)

    def add(self) -> None:
        self._added += 1
        key, number = f"{self._name}-{self._added}", self._dice.getrandbits(31)
        self._write(key, "recording", number)
        held = self._journal.add(entry_for(key, number))
        self._write(key, "recorded", number)
        self._leave(held, key)

    def sweep(self) -> None:
        for held in self._journal.dead(URL):
            assert held.entry is not None
            self._write(held.entry.key, "found", number_of(held.entry))
            if self._dice.random() < 0.7:
                self._write(held.entry.key, "removing")
                held.remove()

    def _leave(self, held: Held, key: str) -> None:
        if self._dice.random() < 0.3:
            self._write(key, "removing")
            held.remove()
        else:
            held.release()

    def _write(self, key: str, what: str, about: int | str | None = None) -> None:
        os.write(self._diary, (json.dumps([key, what, about]) + "\n").encode())


def bear(folder: str, shift: Shift) -> int:
    """One shift, until its workers are dead; how many were."""
    ear, mouth = os.pipe()
    children: list[int] = []
    for number in range(WORKERS):
        child = os.fork()
        if child == 0:
            os.write(mouth, b"b")
            Worker(folder, f"{shift.number}-{number}", random.Random(shift.seed + number)).work()
            while True:
                signal.pause()
        children.append(child)
    heard = 0
    while heard < WORKERS:
        heard += len(os.read(ear, WORKERS))
    select.select([], [], [], shift.work_s)
    for child in children:
        os.kill(child, signal.SIGKILL)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    os.close(ear)
    os.close(mouth)
    return sum(os.waitstatus_to_exitcode(status) == -9 for status in statuses)


def main(folder: str, plant: str) -> None:
    with planted(plant):
        for line in sys.stdin:
            print(bear(folder, Shift(**json.loads(line))), flush=True)


# The judge


def kill_workers(folder: Path, kills: int, plant: str = "") -> Counter[str]:
    seed = secrets.randbits(32)
    dice = random.Random(seed)
    command = [sys.executable, __file__, str(folder), plant]
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    found: Counter[str] = Counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        try:
            may: dict[str, set[int | None]] = {}
            for number in range(kills):
                shift = Shift(number, dice.getrandbits(32), dice.uniform(0, 0.04))
                nursery.stdin.write(json.dumps(asdict(shift)) + "\n")
                nursery.stdin.flush()
                assert int(nursery.stdout.readline()) == WORKERS
                read_diary(folder, may, found)
                judge(Journal(folder / "journal"), may, found)
        except AssertionError as exc:
            exc.add_note(f"seed {seed}")
            raise
        finally:
            nursery.stdin.close()
    return found


def read_diary(folder: Path, may: dict[str, set[int | None]], found: Counter[str]) -> None:
    """What may be recorded for each key now, and whether the living found what could be there."""
    diary = folder / "diary"
    if not diary.exists():
        return
    for line in diary.read_text().splitlines():
        key, what, about = json.loads(line)
        now = may.setdefault(key, {None})
        assert what != "trouble", about
        if what == "recording":
            may[key] = now | {about}
        elif what == "removing":
            may[key] = now | {None}
        else:
            assert about in now, f"{key}: {what} {about}, where {now} could be"
            may[key] = {about}
        found[what] += 1
    diary.write_text("")


def judge(journal: Journal, may: dict[str, set[int | None]], found: Counter[str]) -> None:
    assert journal.unreadable(URL) == []
    there = {held.entry.key: number_of(held.entry) for held in journal.dead(URL) if held.entry is not None}
    for key in {*may, *there}:
        now = may.get(key, {None})
        assert there.get(key) in now, f"{key}: {there.get(key)} is recorded, where {now} could be"
        may[key] = {there.get(key)}
        found["after death: " + ("recorded" if key in there else "absent")] += len(now) > 1
        if key not in there:
            del may[key]
    for key in KEYS:
        with journal.claim(URL, key) as held:
            assert number_of(held.entry) == there.get(key)
    assert len(os.listdir(journal.folder)) == len(there), "something else was left behind"


@pytest.mark.parametrize("kills", [KILLS, pytest.param(50 * KILLS, marks=pytest.mark.soak)])
def test_the_killed_leave_every_upload_whole_or_absent_and_held_by_nobody(
    kills: int, tmp_path: Path, tell: Tell
) -> None:
    found = kill_workers(tmp_path, kills)
    tell(f"{kills} kills of {WORKERS} workers: {dict(found)}")
    assert min(found[what] for what in ("found", "recorded", "removing")) > 0


@pytest.mark.parametrize("plant", ["no lock", "renaming", "over"])
def test_the_same_killing_finds_out_a_journal_that(plant: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"could be|by hand|left behind"):
        kill_workers(tmp_path, 50 * KILLS, plant)


# The race


def claim_and_look(folder: str, plant: str, contender: int, number: int) -> int:
    """How many of a few claims were got. AssertionError if another had the upload at the same time.

    The witness is a socket's name, which dies with its process as the lock does.
    """
    dice = random.Random(8 * number + contender)
    got = 0
    with planted(plant):
        for _ in range(3):
            try:
                held = Journal(f"{folder}/journal").claim(URL, KEYS[0])
            except HeldElsewhere:
                continue
            with held, socket.socket(socket.AF_UNIX) as witness:
                try:
                    witness.bind("\0" + folder[-100:])
                except OSError as exc:
                    raise AssertionError("two holders") from exc
                got += 1
                number_of(held.entry)
                if dice.random() < 0.5:
                    held.record(entry_for(KEYS[0], dice.getrandbits(31)))
                witness.close()
                if dice.random() < 0.3:
                    held.remove()
    return got


def race_for_claims(folder: Path, rounds: int, plant: str = "") -> int:
    """How many claims were got, by one at a time."""
    claims = 0
    for results in race_processes(claim_and_look, [(str(folder), plant, each) for each in range(8)], rounds=rounds):
        raised = [each for each in results if isinstance(each, BaseException)]
        if raised:
            raise AssertionError(repr(raised))  # all of them: who explains an assert shows the first six
        got = winners(results)
        assert sum(got) > 0
        claims += sum(got)
    return claims


@pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(20 * ROUNDS, marks=pytest.mark.soak)])
def test_there_are_never_two_holders(rounds: int, tmp_path: Path) -> None:
    assert race_for_claims(tmp_path, rounds) >= rounds


@pytest.mark.parametrize("plant", ["no lock", "renaming"])
def test_the_same_race_finds_two_holders_of_a_journal_that(plant: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="two holders"):
        race_for_claims(tmp_path, ROUNDS, plant)


if __name__ == "__main__":
    main(*sys.argv[1:])
