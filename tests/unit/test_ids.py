"""Ids of writes: no two alike, in a child of the process neither."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage_guard.engine.ids import new_write_id


def test_no_two_ids_are_alike_in_many_threads() -> None:
    def many(count: int) -> list[str]:
        return [new_write_id() for _ in range(count)]

    with ThreadPoolExecutor(8) as pool:
        ids = [each for some in pool.map(many, [500] * 8) for each in some]
    assert len(set(ids)) == len(ids) == 4000
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # from Python 3.12 on: it forks among threads
def test_a_child_makes_ids_of_its_own() -> None:
    new_write_id()  # some are ready by now
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, "".join(new_write_id() for _ in range(100)).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        text = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    assert len(text) == 3200
    ids = {text[at : at + 32] for at in range(0, len(text), 32)}
    assert not ids & {new_write_id() for _ in range(100)}
