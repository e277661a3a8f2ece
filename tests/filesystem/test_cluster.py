"""A cluster of dask.distributed, whose workers are processes, and which does everything more than once."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from filesystem.tasks import data_of, write, write_and_fail_behind_it
from filesystem.worlds import WORLDS, World
from storage_guard import ObjectExists

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    distributed: Any = importlib.import_module("distributed")
    with (
        distributed.LocalCluster(
            n_workers=4, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(params=["file", "oss", "s3"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return WORLDS[request.param](tmp_path)


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.soak)])
def test_of_duplicated_tasks_one_wins_each_key_and_every_other_is_told(client: Any, world: World, count: int) -> None:
    keys = [f"{number:03}" for number in range(count)]
    # In turn, as a scheduler that is in a hurry may give them all to one.
    workers_in_turn = itertools.cycle(client.scheduler_info()["workers"])
    tasks = [
        client.submit(write, world.url(), key, attempt, world.options, pure=False, workers=next(workers_in_turn))
        for key in keys
        for attempt in range(3)
    ]
    winners: dict[str, int] = {}
    workers: set[int] = set()
    told = 0
    for task in tasks:
        error = task.exception()
        if error is None:
            key, attempt, process = task.result()
            assert key not in winners
            winners[key] = attempt
            workers.add(process)
        else:
            assert isinstance(error, ObjectExists)
            told += 1
    assert (sorted(winners), told) == (keys, 2 * count)
    assert len(workers) > 1
    assert {name: world.read(name) for name in world.names()} == {
        key: data_of(key, attempt) for key, attempt in winners.items()
    }


@pytest.mark.parametrize("count", [20, pytest.param(500, marks=pytest.mark.soak)])
def test_a_retried_task_succeeds_on_its_own_work(client: Any, world: World, count: int, tmp_path: Path) -> None:
    keys = [f"{number:03}" for number in range(count)]
    (tmp_path / "seen").mkdir()
    options = world.with_options(if_exists="same")
    tasks = [
        client.submit(
            write_and_fail_behind_it, world.url(), key, str(tmp_path / "seen"), options, retries=1, pure=False
        )
        for key in keys
    ]
    assert client.gather(tasks) == keys
    assert {name: world.read(name) for name in world.names()} == {key: data_of(key, 0) for key in keys}


def test_a_retried_task_without_it_is_told(client: Any, world: World, tmp_path: Path) -> None:
    (tmp_path / "seen").mkdir()
    task = client.submit(
        write_and_fail_behind_it, world.url(), "k", str(tmp_path / "seen"), world.options, retries=1, pure=False
    )
    assert isinstance(task.exception(), FileExistsError)
    assert world.read("k") == data_of("k", 0)
