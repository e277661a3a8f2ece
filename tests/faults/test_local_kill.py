"""A writer that is killed at any moment leaves its object whole, or the key free, and nothing else."""

from __future__ import annotations

import json
import os
import random
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from faults.local_systems import files_below
from faults.nursery import Death, Job, store_for
from storage_guard import ObjectInfo, Store
from storage_guard.checksum import as_checksum, crc64xz
from storage_guard.model import KiB, MiB
from telling import Tell

TESTS = Path(__file__).resolve().parents[1]
SIZES = (0, 1, 4 * KiB, 300 * KiB, MiB, 4 * MiB)
# By what the disk lacks: how often a writer is killed in `make test`; ten times that in `make soak`.
WAYS = {"": 50, "anonymous": 20, "anonymous link": 20}


class Nursery:
    """The process that bears the writers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def bear(self, job: Job) -> Death:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()
        return Death(**json.loads(self._process.stdout.readline()))


@contextmanager
def nursery(root: Path) -> Generator[Nursery]:
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "faults" / "nursery.py"), str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    with process:
        yield Nursery(process)


@pytest.mark.parametrize("lacks", WAYS)
def test_a_killed_writer_leaves_the_object_whole_or_the_key_free(lacks: str, tmp_path: Path, tell: Tell) -> None:
    kill_writers(tmp_path / "root", tuple(lacks.split()), WAYS[lacks], tell)


@pytest.mark.soak
@pytest.mark.parametrize("lacks", WAYS)
def test_of_many_killed_writers_each_leaves_its_object_whole_or_the_key_free(
    lacks: str, tmp_path: Path, tell: Tell
) -> None:
    kill_writers(tmp_path / "root", tuple(lacks.split()), 10 * WAYS[lacks], tell)


def test_the_same_killing_finds_out_who_writes_under_the_name_itself(tmp_path: Path, tell: Tell) -> None:
    """After 3 to 4 kills in the median of 20 hunts, 17 at worst."""
    with pytest.raises(AssertionError):
        kill_writers(tmp_path / "root", ("care",), 200, tell)


def kill_writers(root: Path, lacks: tuple[str, ...], kills: int, tell: Tell) -> None:
    seed = secrets.randbits(32)
    dice = random.Random(seed)
    store = store_for(str(root), lacks)
    durations_s: dict[tuple[int, bool], float] = {}
    found: Counter[str] = Counter()
    numbers = iter(range(10**6))
    keys: set[str] = set()
    with nursery(root) as writers:
        for _ in range(kills):
            job = Job(next(numbers), dice.choice(SIZES), dice.random() < 0.5, lacks)
            shape = (job.size_bytes, job.in_parts)
            while shape not in durations_s:
                unhurried = replace(job, number=next(numbers))
                death = writers.bear(unhurried)
                assert death.answered, death
                durations_s[shape] = death.elapsed_s
                keys.add(unhurried.key)
            death = writers.bear(replace(job, delay_s=dice.uniform(0, 1.3 * durations_s[shape])))
            assert (death.status, death.trouble) == (-9, "")
            found[judge(store, job, death)] += 1
            keys.add(job.key)
    disk = f"a disk without {' and '.join(lacks)}" if lacks else "a disk that has everything"
    tell(f"{kills} kills, {disk}: {dict(found)}")
    check_nothing_else(root, lacks, keys)
    assert found["free"] > 0, f"seed {seed}"
    assert found["whole, unanswered"] + found["whole, answered"] > 0, f"seed {seed}"


def judge(store: Store, job: Job, death: Death) -> str:
    info = store.head(job.key)
    if info is None:
        assert not death.answered, f"{job} had its receipt, and the object is gone"
        assert job.key not in listed(store)
        receipt = store.create(job.key, job.data, write_id=job.write_id)
        assert (receipt.outcome, receipt.resolved) == ("created", False)
        info = store.head(job.key)
        check_whole(store, job, info)
        return "free"
    check_whole(store, job, info)
    assert job.key in listed(store)
    return "whole, answered" if death.answered else "whole, unanswered"


def check_whole(store: Store, job: Job, info: ObjectInfo | None) -> None:
    assert info is not None
    assert info.write_id == job.write_id
    assert info.size_bytes == job.size_bytes
    assert info.checksum == as_checksum(crc64xz(job.data))
    assert store.read(job.key) == job.data


def listed(store: Store) -> set[str]:
    return {each.key for each in store.scan()}


def check_nothing_else(root: Path, lacks: tuple[str, ...], keys: set[str]) -> None:
    store = store_for(str(root), lacks)
    store.create("the-next-writer", b"cleans up behind the dead")
    keys = keys | {"the-next-writer"}
    assert listed(store) == keys
    assert set(files_below(root)) - {os.path.dirname(key) for key in keys} == keys
