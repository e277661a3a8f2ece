"""A writer killed just before, and just after, each system call of its create: free or whole, and nothing in between.

One helper interpreter for each test forks a child for each kill. Systems without O_TMPFILE or hard links are made up.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from faults.killing import killed
from faults.local_systems import Quick, files_below
from storage_guard import ObjectExists, Store
from storage_guard_local import LocalDriver
from telling import Tell

KEY = "a/b/object"
WRITE_ID = "the-write"
SIZES = {"empty": 0, "small": 1000, "multipart": 9000}
WAYS: dict[str, tuple[str, ...]] = {"anonymous": (), "link": ("anonymous",), "rename": ("anonymous", "link")}
OLD = "a/old"

# Arguments: the folder of the roots, "fresh" or "existing", the size, what the disk lacks.
HELPER = """
import os, sys
from faults.killing import kill_at_each_call
from faults.test_local_every_kill import KEY, OLD, WRITE_ID, bytes_of, open_store

folder, root_is, size, *lacks = sys.argv[1:]
data = bytes_of(int(size))

def prepare(root):
    os.mkdir(root)
    if root_is == "existing":
        open_store(os.path.join(root, "deep", "root"), *lacks).create(OLD, b"old", write_id="old")

def work(root, system):
    open_store(os.path.join(root, "deep", "root"), *lacks, system=system).create(KEY, data, write_id=WRITE_ID)

kill_at_each_call(folder, lacks, work, prepare)
"""


def open_store(root: str, *lacks: str, system: Quick | None = None) -> Store:
    driver = LocalDriver(root, system=system or Quick(*lacks))
    # One request at a time: side by side they would number their calls differently in each child.
    return Store(driver, part_bytes=4000, multipart_from_bytes=9000, in_flight=1)


def bytes_of(size_bytes: int) -> bytes:
    return (bytes(range(251)) * 40)[:size_bytes]


@dataclass
class Counts:
    kills: int = 0
    found: Counter[str] = field(default_factory=Counter[str])
    killed_in: set[str] = field(default_factory=set[str])
    litter: int = 0


def cases() -> Iterator[Any]:
    """Every second one runs always, and all with --soak."""
    for (row, size), (column, way), (plane, root_is) in itertools.product(
        enumerate(SIZES), enumerate(WAYS), enumerate(("fresh", "existing"))
    ):
        always = (row + column) % 2 == plane
        yield pytest.param(size, way, root_is, marks=() if always else (pytest.mark.soak,))


@pytest.mark.parametrize(("size", "way", "root_is"), list(cases()))
def test_a_writer_killed_at_any_call_leaves_the_key_free_or_the_object_whole(
    size: str, way: str, root_is: str, tmp_path: Path, tell: Tell
) -> None:
    lacks = WAYS[way]
    data = bytes_of(SIZES[size])
    counts = Counts()
    for root, name in killed(HELPER, str(tmp_path), root_is, str(SIZES[size]), *lacks):
        if name:
            counts.kills += 1
            counts.killed_in.add(name)
            judge(Path(root) / "deep" / "root", name, data, way, old=root_is == "existing", counts=counts)
        else:
            assert open_store(f"{root}/deep/root", *lacks).read(KEY) == data
    assert min(counts.found["free"], counts.found["whole"]) > 0
    assert {"open", "fsync", "setxattr", "fstat", "lstat", "mkdir", "close"} <= counts.killed_in
    assert bool(counts.litter) == (way != "anonymous")
    tell(
        f"{size}, {way}, {root_is} root: {counts.kills} kills, {counts.found['free']} found free, "
        f"{counts.found['whole']} whole, {counts.litter} with a temporary file to sweep",
    )


def judge(root: Path, name: str, data: bytes, way: str, *, old: bool, counts: Counts) -> None:
    left = files_below(root) if root.exists() else []
    litter = [path for path in left if path.startswith(".storage-guard/")]
    assert set(left) - set(litter) <= {"a", "a/b", KEY, OLD}, (name, left)
    counts.litter += bool(litter)
    assert way != "anonymous" or not any(path.startswith(".storage-guard") for path in left), (name, left)

    store = open_store(str(root), *WAYS[way])  # the next writer
    others = [OLD] if old else []
    found = store.head(KEY)
    if found is None:
        counts.found["free"] += 1
        assert keys(store) == others
    else:
        counts.found["whole"] += 1
        assert found.write_id == WRITE_ID
        assert store.read(KEY) == data
        assert keys(store) == sorted([KEY, *others])
        with pytest.raises(ObjectExists):
            store.create(KEY, b"another's")
    again = store.create(KEY, data, write_id=WRITE_ID)  # the same write, asked for again
    assert (again.outcome, again.resolved) == ("created", found is not None), name
    with pytest.raises(ObjectExists):
        store.create(KEY, b"another's")
    assert store.read(KEY) == data
    assert sorted(set(files_below(root)) - {"a", "a/b"}) == sorted([KEY, *others]), (name, litter)


def keys(store: Store) -> list[str]:
    return [found.key for found in store.scan()]
