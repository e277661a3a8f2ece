"""Each study runs in its smallest size, goes on where it was interrupted, and leaves nothing in a real bucket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.cells import ONE_PUT, Cell
from benchmarks.harness.copies import Copies
from benchmarks.harness.places import Url, remove_all
from storage_guard import open_store
from storage_guard.body import BytesBody
from storage_guard.driver import ObjectOptions, PartSlot, WriteMeta
from storage_guard.memory import MemoryDriver
from storage_guard.testing.server import Asked, Request, subprocess_running
from storage_guard.testing.server.buckets import Buckets

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
NEAR = ("--links", "1/500/1000", "--rounds", "1")
WALL = itemgetter("wall_s")


def done(module: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    asked = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    env = {**os.environ, **more}
    return subprocess.run(asked, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def runs_of(text: str) -> list[dict[str, Any]]:
    return [line for line in lines_of(text) if line["kind"] == "run"]


def test_part_sizes_are_measured_in_one_put_in_parts_and_as_nobody_says(tmp_path: Path) -> None:
    sizes = ("--sizes-mib", "1,17", "--parts-mib", "0.5", "--folder", str(tmp_path))
    found = done("part_sizing", *sizes, *NEAR)
    assert found.returncode == 0, found.stderr
    requests = {(run["size_mib"], run["part"], run["part_mib"]): run["requests"] for run in runs_of(found.stdout)}
    ends = 3  # begin, a look beside it, finish
    assert requests == {
        (1, "default", None): 1,
        (1, ONE_PUT, None): 1,
        (1, "set", 0.5): 2 + ends,
        (17, "default", 2): 9 + ends,
        (17, ONE_PUT, None): 1,
        (17, "set", 0.5): 34 + ends + 1,  # and a look before the last of more than sixteen
    }
    for run in runs_of(found.stdout):
        assert run["mb_per_s"] == pytest.approx(run["size_mib"] * MIB / 1e6 / run["wall_s"], rel=1e-3)
    assert "[6/6, 0 min left]" in found.stderr
    assert not list(tmp_path.iterdir())
    assert str(tmp_path) not in found.stdout


def test_an_interrupted_study_goes_on_where_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ("--sizes-mib", "1", "--parts-mib", "0.5", "--in-flight", "1,2", "--out", str(out), "--links", "1/500/1000")
    assert done("parallel_parts", *asked, "--rounds", "1").returncode == 0
    whole = out.read_text()
    assert len(runs_of(whole)) == 3
    out.write_text(whole[:-20])  # killed while it wrote the last one
    again = done("parallel_parts", *asked, "--rounds", "2")
    assert again.returncode == 0, again.stderr
    assert "2 runs are there already" in again.stderr
    assert out.read_text().startswith(whole[: whole.rindex("\n", 0, -1)])
    seen = [(run["part"], run["in_flight"], run["round"]) for run in runs_of(out.read_text())]
    assert len(seen) == len(set(seen)) == 6

    other = done("parallel_parts", *asked, "--rounds", "1", "--seed", "2")
    assert other.returncode == 2
    assert "of another command" in other.stderr
    assert len(runs_of(out.read_text())) == 6


def test_a_stream_is_measured_beside_the_file(tmp_path: Path) -> None:
    asked = ("--sizes-mib", "9", "--memory-mib", "16", "--out", str(tmp_path / "out"))
    found = done("streams", *asked, *NEAR, "--schemes", "https")
    assert found.returncode == 0, found.stderr
    runs = {run["do"]: run for run in runs_of((tmp_path / "out").read_text())}
    assert runs["stream"]["memory_mib"] == 16
    assert runs["stream"]["requests"] == 5 + 3  # parts of 2 MiB, the smallest
    assert runs["file"]["requests"] == 1
    assert {run["scheme"] for run in runs.values()} == {"https"}


def test_so_many_objects_are_created_in_one_call() -> None:
    found = done("many_objects", "--objects", "1,70", "--bytes", "512", *NEAR)
    assert found.returncode == 0, found.stderr
    runs = {run["objects"]: run for run in runs_of(found.stdout)}
    assert set(runs) == {1, 70}
    for count, run in runs.items():
        assert run["requests"] == count
        assert run["creates_per_s"] == pytest.approx(count / run["wall_s"], rel=1e-3)
        assert run["cpu_us"] == pytest.approx(run["cpu_s"] / count * 1e6, rel=1e-3)
        assert run["size_mib"] == 512 / MIB


def test_a_copy_takes_as_long_as_the_service_is_at_it() -> None:
    found = done("copies", "--sizes-mib", "20", "--copy-mb-s", "100", *NEAR)
    assert found.returncode == 0, found.stderr
    (run,) = runs_of(found.stdout)
    assert (run["do"], run["part"], run["copy_mb_s"]) == ("copy", "default", 100)
    assert 2 <= run["requests"] <= 3  # looks at the source, and the copy: what made the source is not counted
    assert run["wall_s"] >= 20 * MIB / 100e6


@pytest.mark.parametrize("name", ["x-oss-copy-source", "x-amz-copy-source"])
def test_only_copies_wait_and_as_long_as_they_are(name: str) -> None:
    copies = Copies(1000.0, Buckets(["bucket"]))
    for headers, waits_s in (
        ({}, None),
        ({name: "/bucket/k", f"{name}-range": "bytes=500-2499"}, 2.0),
        ({name: "/bucket/nothing"}, None),
        ({name: "nonsense"}, None),
    ):
        copies.see(Request("PUT", "h", "/bucket/c", "", headers))
        action = copies.action(Asked("copy_part"))
        assert (None if action is None else action.delay_before_s) == waits_s


def test_the_best_is_run_again_in_pairs_with_the_default(tmp_path: Path) -> None:
    first, out = tmp_path / "first.jsonl", tmp_path / "out.jsonl"
    sizes = ("--sizes-mib", "1,2", "--parts-mib", "0.5", "--in-flight", "1,2", "--out", str(first))
    assert done("parallel_parts", *sizes, *NEAR).returncode == 0
    asked = ("--of", str(first), "--sizes-mib", "2", "--links", "1/500/1000", "--rounds", "3", "--out", str(out))
    found = done("best_again", *asked)
    assert found.returncode == 0, found.stderr
    (start, *_), runs = lines_of(out.read_text()), runs_of(out.read_text())
    assert start["command"].startswith("python -m benchmarks.best_again --of first.jsonl --sizes-mib 2 ")
    assert "copy-mb-s" not in start["command"]
    assert [run["size_mib"] for run in runs] == [2.0] * 6
    assert sorted(run["round"] for run in runs if run["part"] == "default") == [0, 1, 2]
    fast = min((run for run in runs_of(first.read_text()) if run["part"] == "set" and run["size_mib"] == 2), key=WALL)
    assert {run["in_flight"] for run in runs if run["part"] == "set"} == {fast["in_flight"]}
    assert done("best_again", "--of", str(tmp_path / "missing")).returncode == 2


def test_peers_are_asked_for_the_same_on_both_services() -> None:
    found = done("peers", "--peers", "storage-guard", "--sizes-mib", "1", *NEAR)
    assert found.returncode == 0, found.stderr
    assert {(run["service"], run["side"]) for run in runs_of(found.stdout)} == {
        ("oss", "storage-guard"),
        ("s3", "storage-guard"),
    }


def test_the_defaults_are_measured_on_both_services_and_schemes() -> None:
    found = done("defaults", "--sizes-mib", "1", *NEAR)
    assert found.returncode == 0, found.stderr
    seen = {(run["service"], run["scheme"], run["part"]) for run in runs_of(found.stdout)}
    assert seen == {(service, scheme, "default") for service in ("oss", "s3") for scheme in ("http", "https")}


def test_a_cell_that_has_taken_long_enough_has_no_more_rounds(tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ("--sizes-mib", "1,4", "--links", "1/8/8", "--services", "oss", "--schemes", "http", "--rounds", "3")
    for _ in range(2):  # the second time there is nothing to be done
        found = done("defaults", *asked, "--enough-s", "0.4", "--out", str(out))
        assert found.returncode == 0, found.stderr
        sizes = [run["size_mib"] for run in runs_of(out.read_text())]
        assert sizes.count(4) == 1  # half a second
        assert sizes.count(1) == 3


def test_cells_that_take_too_long_are_left_out_and_told() -> None:
    found = done("part_sizing", "--sizes-mib", "1,64", "--parts-mib", "", "--links", "1/1/1", "--longest-s", "2")
    assert found.returncode == 2  # no sizes in ""
    asked = ("--sizes-mib", "1,64", "--parts-mib", "32", "--rounds", "1", "--links", "1/20/20", "--longest-s", "1")
    found = done("part_sizing", *asked)
    assert {run["size_mib"] for run in runs_of(found.stdout)} == {1}
    assert "left out, as it takes too long on 1/20/20: 64 MiB as a file" in found.stderr
    left = [line for line in lines_of(found.stdout) if line["kind"] == "left out"]
    assert {(line["size_mib"], line["least_s"]) for line in left} == {(64, 3.36)}
    # Of a peer too, where it is known to use one connection.
    asked = ("--peers", "oss2", "--services", "oss", "--sizes-mib", "1", "--links", "1/1/20", "--longest-s", "1")
    found = done("peers", *asked, "--cache", "/nonexistent")
    assert "1 MiB as a file, oss2, put_object_from_file" in found.stderr


SERVICES = {
    "oss": ("cn-hangzhou", {"OSS_ACCESS_KEY_ID": "an-id", "OSS_ACCESS_KEY_SECRET": "a-secret"}),
    "s3": ("us-east-1", {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": "a-secret"}),
}


# What is asked of each in a bucket, the estimate, and how many runs there are.
IN_A_BUCKET = {
    "parallel_parts": (
        ("--sizes-mib", "6", "--parts-mib", "5", "--in-flight", "2", "--rounds", "1"),
        "At most 157 requests and 0.0 GiB",
        2,
    ),
    "small_creates": (
        ("--objects", "40", "--threads", "3", "--rounds", "2", "--peers", "storage-guard"),
        "At most 736 requests and 0.0 GiB",
        4,
    ),
}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("module", IN_A_BUCKET)
def test_a_real_bucket_is_asked_after_an_estimate_and_nothing_is_left_there(
    module: str, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, estimate, runs = IN_A_BUCKET[module]
    region, login = SERVICES[service]
    key = ("--access-key-id", "an-id", "--access-key-secret", "a-secret")
    with subprocess_running("--dialect", service, "--bucket", "bucket-of-mine", "--region", region, *key) as server:
        url = f"{service}://bucket-of-mine/some/where"
        where = ("--region", region, "--endpoint", server.url)
        asked = (url, *where, *arguments)
        found = done(module, *asked, **login)
        assert found.returncode == 2
        assert estimate in found.stderr
        assert not found.stdout

        for name, value in login.items():
            monkeypatch.setenv(name, value)
        endpoint = {"oss": "endpoint", "s3": "endpoint_url"}[service]
        options: dict[str, Any] = {endpoint: server.url, "region": region, "path_style": True}
        with open_store(f"{service}://bucket-of-mine", enforcement="trust", **options) as store:
            driver = store.driver
            driver.put_new("some/where/else", BytesBody(b"x"), WriteMeta("w", ObjectOptions()))
            found = done(module, *asked, "--yes", **login)
            assert found.returncode == 0, found.stderr
            assert len(runs_of(found.stdout)) == runs
            assert [each.key for each in driver.scan("", "", "")] == ["some/where/else"]
            assert not list(driver.scan_uploads(""))
    for untold in ("bucket-of-mine", "some/where", "an-id", "a-secret", server.url):
        assert untold not in found.stdout


def test_small_creates_in_a_bucket_are_so_many_and_not_for_so_long() -> None:
    found = done("small_creates", "s3://bucket", "--seconds", "1")
    assert found.returncode == 2
    assert "has --objects and no --seconds" in found.stderr
    assert not found.stdout


@pytest.mark.parametrize("url", ["ftp://bucket", "oss://", "s3://who:what@bucket", "bucket"])
def test_what_is_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="the URL of a store is"):
        Url.of(url, endpoint=None, region="r")


def test_an_oss_bucket_wants_to_be_found() -> None:
    with pytest.raises(ValueError, match="--region"):
        Url.of("oss://bucket", endpoint=None, region=None)
    target = Url.of("s3://bucket/a/b/", endpoint=None, region=None).target("run")
    assert (target.prefix, target.path_style, target.login) == ("a/b/storage-guard-benchmark-run/", False, {})


def test_open_uploads_are_removed_with_the_objects_and_what_is_beside_stays() -> None:
    driver, meta = MemoryDriver(), WriteMeta("w", ObjectOptions())
    for key in ("mine/a", "mine/.storage-guard/marker", "other"):
        driver.put_new(key, BytesBody(b"x"), meta)
    for key in ("mine/c", "theirs"):
        driver.put_part(key, driver.begin(key, meta), PartSlot(1, 0, 1), BytesBody(b"x"))
    remove_all(driver, "mine/", keep="a")
    assert [each.key for each in driver.scan("", "", "")] == ["mine/a", "other"]
    remove_all(driver, "mine/")
    assert [each.key for each in driver.scan("", "", "")] == ["other"]
    assert [each.key for each in driver.scan_uploads("")] == ["theirs"]


def test_a_cell_knows_what_the_library_would_choose() -> None:
    assert Cell(15 * MIB).part_bytes is None
    assert Cell(64 * MIB).part_bytes == 4 * MIB
    assert Cell(64 * MIB, ONE_PUT).part_bytes is None
    assert Cell(64 * MIB, do="copy").part_bytes is None
    assert Cell(65 * MIB, do="copy").part_bytes == 16 * MIB
    assert Cell(1025 * MIB, ONE_PUT, do="copy").part_bytes is None
    assert Cell(64 * MIB, 2 * MIB, 3).settings == {"part_bytes": 2 * MIB, "in_flight": 3}


def test_a_setting_that_no_service_takes_is_not_measured_under_its_name() -> None:
    assert Cell(5 << 30, ONE_PUT).possible
    assert not Cell((5 << 30) + 1, ONE_PUT).possible
    assert Cell(10_000 * MIB, MIB).possible
    assert not Cell(10_000 * MIB + 1, MIB).possible
    assert Cell(48 << 40).possible
