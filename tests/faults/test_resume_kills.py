"""Whoever is killed in a large file is gone on with: less than a part beyond the missing is sent again.

In each round a writer is killed at a random moment, sometimes two or three in a row, and then one may end in peace.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

import pytest

from faults.local_systems import files_below
from faults.resume_nursery import PART_BYTES, Death, Job, open_store
from storage_guard import ObjectInfo
from storage_guard.model import MiB
from storage_guard.uploads.journal import Entry, Journal
from storage_guard_local import LocalDriver
from telling import Tell

TESTS = Path(__file__).resolve().parents[1]
SIZES = (2 * MiB - 1, 3 * MiB, 5 * MiB + 77)
KILLS = 25  # in `make test`, a third of them durable; twenty times that in `make soak`

Bear = Callable[[Job], Death]


@contextmanager
def nursery(root: Path, journal: Path) -> Generator[Bear]:
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "faults" / "resume_nursery.py"), str(root), str(journal)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )

    def bear(job: Job) -> Death:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asdict(job)) + "\n")
        process.stdin.flush()
        return Death(**json.loads(process.stdout.readline()))

    with process:
        yield bear
        assert process.stdin is not None
        process.stdin.close()


class Watcher:
    """Looks at the key all the time, and remembers what it saw that was not whole."""

    def __init__(self, root: Path) -> None:
        self._driver = LocalDriver(root, durable=False)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.at: tuple[str, bytes] = ("", b"")  # a key, and what may be there
        self.looks = 0
        self.wrong: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.001):
            key, data = self.at
            if key:
                self._look(key, data)
                self.looks += 1

    def _look(self, key: str, data: bytes) -> None:
        size_bytes = len(data)
        for each in self._driver.scan("", "", ""):
            if isinstance(each, ObjectInfo) and each.key == key and each.size_bytes != size_bytes:
                self.wrong.append(f"{each} was listed")
        info = self._driver.head(key)
        if info is None:
            return
        if info.size_bytes != size_bytes:
            self.wrong.append(f"{info.size_bytes} bytes of {size_bytes}")
        if self._driver.read(key, size_bytes - 1, size_bytes, None) != data[-1:]:
            self.wrong.append("the last byte is another")


class Scene:
    """One root, one journal, and what is known of them."""

    def __init__(self, folder: Path, dice: random.Random, *, forgetful: bool) -> None:
        self.root, self.journal, self.folder = folder / "root", folder / "journal", folder
        self.dice = dice
        self.forgetful = forgetful
        self.found: Counter[str] = Counter()
        self.keys: set[str] = set()
        self._durations_s: dict[tuple[int, bool], float] = {}

    def entries(self) -> list[Entry]:
        url = open_store(LocalDriver(self.root), str(self.journal)).url
        return [held.entry for held in Journal(self.journal).dead(url) if held.entry is not None]

    def had_bytes(self, key: str) -> int:
        """What the store has of the upload that the journal knows. What it does not know is thrown away: nothing."""
        known = {entry.upload_id: entry for entry in self.entries()}
        driver = LocalDriver(self.root, durable=False)
        had = 0
        for upload in list(driver.scan_uploads("")):
            assert upload.key == key
            parts = list(driver.scan_parts(key, upload.upload_id))
            if upload.upload_id in known:
                had = sum(part.slot.size_bytes for part in parts)
            else:  # killed between its beginning and the journal
                assert parts == []
                driver.abort(key, upload.upload_id)
                self.found["begun, and not yet written down"] += 1
        driver.close()
        return had

    def duration_s(self, bear: Bear, job: Job, size_bytes: int) -> float:
        shape = (size_bytes, job.durable)
        if shape not in self._durations_s:
            unhurried = replace(job, key=f"{job.key}-unhurried")
            death = bear(unhurried)
            assert death.receipt, death
            assert death.receipt["last_bytes"] == size_bytes
            self._durations_s[shape] = death.elapsed_s
            self.keys.add(unhurried.key)
        return self._durations_s[shape]


def kill_once(scene: Scene, bear: Bear, job: Job, size_bytes: int) -> bool:
    """Whether it was killed before it had its receipt."""
    delay_s = scene.dice.uniform(0, 1.1 * scene.duration_s(bear, job, size_bytes))
    death = bear(replace(job, delay_s=delay_s))
    assert (death.status, death.trouble) == (-9, "")
    return not death.receipt


def play(scene: Scene, bear: Bear, watcher: Watcher, number: int) -> int:
    """One round; how many were killed."""
    size_bytes = scene.dice.choice(SIZES)
    data = scene.dice.randbytes(size_bytes)
    source = scene.folder / "source.bin"
    source.write_bytes(data)
    job = Job(f"folder-{number % 3}/{number}", str(source), durable=number % 3 == 0)
    scene.duration_s(bear, job, size_bytes)
    watcher.at = (job.key, data)
    scene.keys.add(job.key)
    kills, missing_bytes, answered = 0, size_bytes, False
    for _ in range(scene.dice.choice((1, 1, 2, 3))):
        kills += 1
        answered = not kill_once(scene, bear, job, size_bytes)
        missing_bytes = size_bytes - scene.had_bytes(job.key)
        if answered or LocalDriver(scene.root).head(job.key) is not None:
            break  # killed behind its last step, perhaps, when nothing is left of it but the object
    if answered:
        scene.found["answered"] += 1
    else:
        end_in_peace(scene, bear, job, data, missing_bytes)
    driver = LocalDriver(scene.root)
    assert driver.read(job.key, 0, size_bytes + 1, None) == data
    scene.had_bytes(job.key)
    assert list(driver.scan_uploads("")) == []
    return kills


def end_in_peace(scene: Scene, bear: Bear, job: Job, data: bytes, missing_bytes: int) -> None:
    published = LocalDriver(scene.root).head(job.key)
    known = scene.entries()
    if scene.forgetful:
        for path in scene.journal.iterdir():
            path.unlink()
    death = bear(job)
    if published is not None and not known:  # it was killed between the last line of the journal and its receipt
        assert "ObjectExists" in death.trouble
        return
    assert (death.status, death.trouble) == (-9, "")
    receipt = death.receipt
    assert receipt["outcome"] == "created"
    if known:
        assert receipt["write_id"] == known[0].write_id
    if published is not None:
        assert (receipt["write_id"], receipt["sent_bytes"]) == (published.write_id, 0)
        scene.found["published, unanswered"] += 1
        return
    assert receipt["sent_bytes"] < missing_bytes + PART_BYTES
    assert receipt["last_bytes"] == len(data)
    if known:
        assert receipt["first_bytes"] >= min(len(data) - missing_bytes, len(data))
    scene.found["free, with parts" if missing_bytes < len(data) else "free, without parts"] += 1


def kill_writers(folder: Path, kills: int, tell: Tell, *, forgetful: bool = False) -> None:
    seed = secrets.randbits(32)
    scene = Scene(folder, random.Random(seed), forgetful=forgetful)
    number = done = 0
    try:
        with nursery(scene.root, scene.journal) as bear, Watcher(scene.root) as watcher:
            while done < kills or (not scene.found["free, with parts"] and done < 10 * kills):
                done += play(scene, bear, watcher, number)
                number += 1
        assert watcher.wrong == []
        assert watcher.looks > number
        assert os.listdir(scene.journal) == []
        names = {each for each in files_below(scene.root) if not (scene.root / each).is_dir()}
        assert names == scene.keys
        assert scene.found["free, with parts"] > 0, "no writer was killed between two parts"
    except AssertionError as exc:
        exc.add_note(f"seed {seed}")
        raise
    tell(f"{done} kills in {number} files, {watcher.looks} looks: {dict(scene.found)}")


@pytest.mark.parametrize("kills", [KILLS, pytest.param(20 * KILLS, marks=pytest.mark.soak)])
def test_the_killed_are_gone_on_with_and_nothing_is_sent_twice(kills: int, tmp_path: Path, tell: Tell) -> None:
    kill_writers(tmp_path, kills, tell)


def test_the_same_killing_finds_out_who_loses_the_journal(tmp_path: Path, tell: Tell) -> None:
    with pytest.raises(AssertionError):
        kill_writers(tmp_path, 10 * KILLS, tell, forgetful=True)
