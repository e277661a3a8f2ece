"""The benchmarks beside the peers run, with our own client alone, and their figures are what they are said to be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.environment import command
from benchmarks.harness.figures import Target, judged, judged_over, ratios, shuffled, spread
from benchmarks.harness.peers import OURS
from benchmarks.harness.processes import Server, serving, target_of, working

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20


def lines_of(out: Path, module: str, *arguments: str) -> list[dict[str, Any]]:
    """What a benchmark writes."""
    asked = [sys.executable, "-m", module, "--peers", "storage-guard", "--rounds", "1", "--out", str(out), *arguments]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in out.read_text().splitlines()]


def runs_of(lines: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(line["scheme"], line["side"]): line for line in lines if line["kind"] == "run"}


@pytest.mark.parametrize("service", ["oss", "s3"])
def test_large_files_are_measured_on_both_schemes(tmp_path: Path, service: str) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    lines = lines_of(
        tmp_path / "out",
        "benchmarks.large_files",
        *("--service", service, "--mib", "17", "--memory-mib", "1", "--folder", str(folder)),
    )
    runs = runs_of(lines)
    assert {scheme for scheme, _ in runs} == {"http", "https"}
    for (_, side), run in runs.items():
        sent_mib = 17 if side == "storage-guard, a file" else 1
        assert run["mib_per_s"] == pytest.approx(sent_mib / run["wall_s"], rel=1e-3)
        assert run["cpu_s_per_gib"] == pytest.approx(run["cpu_s"] * 1024 / sent_mib, rel=1e-3)
        assert run["server_cpu_s"] > 0
        # 17 MiB are more than one put, and 1 MiB is one.
        assert (run["requests"] > 1) == (sent_mib == 17)
    assert [line["kind"] for line in lines].count("target") == 2
    assert not list(folder.iterdir())
    assert str(tmp_path) not in (tmp_path / "out").read_text()


@pytest.mark.parametrize("service", ["oss", "s3"])
def test_small_creates_are_counted_by_client_and_server_alike(tmp_path: Path, service: str) -> None:
    arguments = ("--service", service, "--seconds", "0.2", "--threads", "2", "--schemes", "http")
    lines = lines_of(tmp_path / "out", "benchmarks.small_creates", *arguments)
    runs = runs_of(lines)
    assert {side for _, side in runs} == {"storage-guard, threads", "storage-guard, create_many"}
    for run in runs.values():
        assert run["requests"] == run["created"] > 0
        assert run["creates_per_s"] == pytest.approx(run["created"] / run["wall_s"], rel=1e-3)
        assert run["cpu_us"] == pytest.approx(run["cpu_s"] / run["created"] * 1e6, rel=1e-3)
    assert lines[0]["command"] == (
        f"python -m benchmarks.small_creates --service {service} --bytes 4096 --seconds 0.2 --threads 2 --rounds 1 "
        "--schemes http --peers storage-guard --seed 1"
    )


@pytest.mark.parametrize("service", ["oss", "s3"])
def test_a_filesystem_pipes_all_objects_and_puts_the_file(tmp_path: Path, service: str) -> None:
    arguments = ("--service", service, "--objects", "20", "--mib", "17", "--schemes", "http")
    runs = runs_of(lines_of(tmp_path / "out", "benchmarks.filesystems", *arguments))
    pipe, put = runs["http", f"guard{service}: pipe"], runs["http", f"guard{service}: put"]
    assert len(runs) == 2
    assert pipe["requests"] == pipe["created"] == 20
    assert pipe["creates_per_s"] == pytest.approx(20 / pipe["wall_s"], rel=1e-3)
    assert put["created"] == 1
    assert put["mib_per_s"] == pytest.approx(17 / put["wall_s"], rel=1e-3)


def test_a_store_is_examined_before_anything_is_measured() -> None:
    options = {"examined": True}
    with (
        serving(None, service="s3", examined=True) as server,
        working(OURS, sys.executable, target_of(server, "s3"), options, None) as worker,
    ):
        examined = server.forget().requests
        assert examined > 10
        for number in range(2):
            assert worker.carry_out({"do": "held", "key": f"k{number}"})["failed"] == 0
        assert server.used().requests == examined + 2


def test_a_target_is_judged_over_the_scheme_that_it_names() -> None:
    named, unnamed = Target("t", "a", "cpu_s", "at most", 1, over="https"), Target("u", "a", "cpu_s", "at most", 1)
    assert judged_over("https", [named, unnamed]) == [named, unnamed]
    assert judged_over("http", [named, unnamed]) == [unnamed]


@pytest.mark.parametrize("wrong", [("--peers", "nobody"), ("--schemes", "ftp")])
def test_an_unknown_word_is_refused(wrong: tuple[str, str]) -> None:
    asked = [sys.executable, "-m", "benchmarks.small_creates", *wrong]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert f"no {wrong[1]!r}" in done.stderr
    assert not done.stdout


def test_a_create_that_fails_is_told() -> None:
    with serving(None) as server, working(OURS, sys.executable, server, {}, None) as worker:
        job = {"do": "threads", "key": "k", "bytes": 1, "seconds": 0.05, "threads": 1}
        assert worker.carry_out(job)["failed"] == 0
        again = worker.carry_out(job)
        assert again["created"] == 0
        assert again["failed"] > 0
        assert "ObjectExists" in again["failures"][0]


def test_what_the_server_forgot_is_free_again() -> None:
    with serving(None) as server, working(OURS, sys.executable, server, {}, None) as worker:
        for _ in range(2):
            assert worker.carry_out({"do": "held", "key": "k"})["failed"] == 0
            server.forget()


def test_memory_is_the_growth_over_an_idle_client() -> None:
    with serving(None) as server, working(OURS, sys.executable, server, {}, None) as worker:
        held_bytes = 64 * MIB
        idle = worker.carry_out({"do": "settle", "key": "s", "hold_bytes": held_bytes})
        assert idle["idle_bytes"] > held_bytes
        assert worker.carry_out({"do": "held", "key": "k"})["growth_bytes"] < held_bytes


def test_a_server_counts_what_it_has_used() -> None:
    with serving(None) as server, working(OURS, sys.executable, server, {}, None) as worker:
        before = server.used()
        worker.carry_out({"do": "threads", "key": "k", "bytes": 1, "seconds": 0.05, "threads": 1})
        after = server.used()
        assert after.requests > before.requests
        assert after.cpu_s > before.cpu_s
        assert isinstance(server, Server)


def test_a_process_that_has_ended_is_named() -> None:
    with serving(None) as server, pytest.raises(RuntimeError, match="the worker of storage-guard has ended"):
        with working(OURS, sys.executable, server, {}, None) as worker:
            worker.carry_out({"do": "nothing that it knows"})


def test_a_seed_gives_one_order_and_each_round_has_every_side() -> None:
    orders = shuffled("abcdef", 20, seed=7)
    assert orders == shuffled("abcdef", 20, seed=7)
    assert {"".join(sorted(order)) for order in orders} == {"abcdef"}
    assert len({tuple(order) for order in orders}) > 1


def test_ratios_are_of_the_same_round() -> None:
    ours = [{"cpu_s": 1.0}, {"cpu_s": 10.0}]
    theirs = [{"cpu_s": 2.0}, {"cpu_s": 20.0}]
    assert ratios(ours, theirs, "cpu_s") == [0.5, 0.5]
    with pytest.raises(ValueError, match="shorter"):
        ratios(ours, theirs[:1], "cpu_s")


def test_the_spread_is_the_quartiles_or_the_ends_of_few() -> None:
    few, more = spread([3.0, 1.0, 2.0]), spread([1.0, 2.0, 3.0, 4.0, 100.0])
    assert (few.low, few.median, few.high) == (1, 2, 3)
    assert (more.low, more.median, more.high) == (2, 3, 4)


@pytest.mark.parametrize(
    ("relation", "bound", "met"), [("at most", 0.5, True), ("at most", 0.4, False), ("at least", 0.6, False)]
)
def test_the_median_of_the_ratios_decides(relation: Any, bound: float, met: bool) -> None:
    target = Target("t", "a", "cpu_s", relation, bound, "b")
    runs = {"a": [{"cpu_s": 1.0}], "b": [{"cpu_s": 2.0}]}
    verdict = judged(target, runs)
    assert verdict is not None
    assert (verdict.measured.median, verdict.met) == (0.5, met)


def test_nothing_is_judged_that_was_not_measured() -> None:
    runs = {"a": [{"cpu_s": 1.0}]}
    assert judged(Target("t", "a", "cpu_s", "at most", 1, "b"), runs) is None
    assert judged(Target("t", "b", "cpu_s", "at most", 1), runs) is None
    assert judged(Target("t", "a", "growth_mib", "at most", 1), runs) is None
    own = judged(Target("t", "a", "cpu_s", "at most", 1), runs)
    assert own is not None
    assert own.met


def test_a_command_says_nothing_of_this_machine() -> None:
    given = {"mib": 3, "folder": "/home/somebody", "cache": "/there", "out": "f", "plain": None, "fast": True}
    given |= {"x_y": "a b", "z": ["a", "b"]}
    assert command("benchmarks.b", given) == "python -m benchmarks.b --mib 3 --fast --x-y 'a b' --z a,b"
