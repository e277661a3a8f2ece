"""Races end, say what everybody got, and leave nobody behind."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import pytest

from storage_guard.driver import Exists
from storage_guard.testing import RemoteError, race, race_processes, winners


def test_everybody_gets_a_result_in_order() -> None:
    def fail() -> int:
        raise ValueError("no")

    results = race([lambda: 1, fail, lambda: 3])
    assert results[0] == 1
    assert isinstance(results[1], ValueError)
    assert results[2] == 3
    assert winners(results) == [1, 3]


def test_contenders_run_at_the_same_time() -> None:
    met = threading.Barrier(8, timeout=5.0)
    assert len(winners(race([met.wait] * 8))) == 8


def test_even_an_exit_is_a_result() -> None:
    def leave() -> NoReturn:
        raise SystemExit(1)

    (result,) = race([leave])
    assert isinstance(result, SystemExit)


def test_a_contender_that_does_not_come_back_ends_the_race() -> None:
    release = threading.Event()
    with pytest.raises(TimeoutError, match=r"contenders \[1\] of 2"):
        race([lambda: True, release.wait], timeout_s=0.3)
    release.set()


def test_a_race_puts_the_interpreter_back_as_it_was() -> None:
    before = sys.getswitchinterval()
    race([lambda: None])
    assert sys.getswitchinterval() == before


def make_file(folder: str, contender: int, number: int) -> int:
    os.close(os.open(f"{folder}/{number}", os.O_CREAT | os.O_EXCL))
    return contender


def look_then_make(folder: str, contender: int, number: int) -> int:
    if os.path.exists(f"{folder}/{number}"):
        raise FileExistsError(number)
    Path(f"{folder}/{number}").touch()
    return contender


def refuse(number: int) -> NoReturn:
    raise Exists(f"round {number}", sole=True)


def die(contender: int, number: int) -> int:
    if contender == 1 and number == 1:
        os._exit(7)
    return contender


def hang(contender: int, _: int) -> int:
    if contender == 1:
        threading.Event().wait()
    return contender


def process_id(_: int) -> tuple[int, float]:
    return os.getpid(), time.monotonic()


def test_processes_race_for_hundreds_of_rounds(tmp_path: Path) -> None:
    rounds = race_processes(make_file, [(str(tmp_path), each) for each in range(8)], rounds=500)
    assert len(rounds) == 500
    for results in rounds:
        assert len(results) == 8
        (winner,) = winners(results)
        assert results[winner] == winner
        assert all(isinstance(result, FileExistsError) for result in results if result != winner)


def test_processes_catch_who_looks_and_then_writes(tmp_path: Path) -> None:
    for attempt in range(10):  # on a machine with other work, processes that start together need not run together
        folder = tmp_path / f"{attempt}"
        folder.mkdir()
        rounds = race_processes(look_then_make, [(str(folder), each) for each in range(4)], rounds=500)
        if any(len(winners(results)) > 1 for results in rounds):
            return
    pytest.fail("who looks first and then writes won every race alone")


def test_processes_live_through_all_rounds() -> None:
    rounds = race_processes(process_id, [()] * 2, rounds=20)
    pids = {tuple(result[0] for result in winners(results)) for results in rounds}
    assert len(pids) == 1
    assert os.getpid() not in pids.pop()


def test_an_error_of_another_process_comes_back_with_where_it_was_raised() -> None:
    ((result,),) = race_processes(refuse, [()], rounds=1)
    assert isinstance(result, Exists | RemoteError)
    assert "round 0" in str(result)
    assert "in refuse" in "".join(result.__notes__)


def test_a_process_that_dies_ends_the_race() -> None:
    with pytest.raises(RuntimeError, match="contender 1 died"):
        race_processes(die, [(each,) for each in range(3)], rounds=3)
    assert multiprocessing.active_children() == []


def test_processes_that_take_too_long_are_ended() -> None:
    started_s = time.monotonic()
    with pytest.raises(TimeoutError):
        race_processes(hang, [(each,) for each in range(2)], rounds=2, timeout_s=4.0)
    assert time.monotonic() - started_s < 20
    assert multiprocessing.active_children() == []
