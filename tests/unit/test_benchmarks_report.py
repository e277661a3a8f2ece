"""The page says what the lines say: medians, floors, the advice, and where it is not understood. Nothing is fetched."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks.harness.roads import MIB, ROADS
from benchmarks.reporting import advice, beside, svg
from benchmarks.reporting.page import page
from benchmarks.reporting.rows import parsed
from benchmarks.reporting.summary import summary
from benchmarks.reporting.words import figure, size

ROOT = Path(__file__).resolve().parents[2]
REGION = ROADS["region"]


def run(wall_s: float, **more: Any) -> dict[str, Any]:
    line: dict[str, Any] = {
        "kind": "run",
        "service": "oss",
        "scheme": "http",
        "link": "region",
        "latency_ms": 30,
        "connection_mb_s": 40,
        "total_mb_s": 400,
        "side": "storage-guard",
        "do": "file",
        "size_mib": 64.0,
        "part": "default",
        "part_mib": 4.0,
        "in_flight": None,
        "round": 0,
        "wall_s": wall_s,
        "cpu_s": 0.1,
        "requests": 20,
        "server_busy": 0.1,
    } | more
    return line | {"mb_per_s": line["size_mib"] * MIB / 1e6 / wall_s}


def text(study: str, *lines: dict[str, Any]) -> str:
    first = {"kind": "environment", "study": study, "command": f"python -m benchmarks.{study}", "cpus": 2}
    return "".join(json.dumps(line) + "\n" for line in (first, *lines))


def grid(default_s: float) -> str:
    cells = [
        run(REGION.predicted_s(64 * MIB, mib * MIB, lanes), part="set", part_mib=float(mib), in_flight=lanes)
        for mib in (1, 4, 16)
        for lanes in (1, 8, 16)
    ]
    return text("parallel_parts", run(default_s), *cells)


def test_a_row_is_the_median_of_its_rounds_beside_the_floor_and_the_prediction() -> None:
    results = parsed([text("streams", *(run(wall_s, round=at) for at, wall_s in enumerate((0.3, 0.5, 0.2))))])
    (row,) = results.rows
    assert (row.rounds, row.wall_s.median, row.default) == (3, 0.3, True)
    assert row.floor_s == pytest.approx(64 * MIB / 400e6 + 0.09)
    assert row.ratio == pytest.approx(0.3 / REGION.floor_s(64 * MIB))
    assert row.gap == pytest.approx(0.3 / REGION.predicted_s(64 * MIB, 4 * MIB, 16) - 1)


def test_a_default_that_is_near_the_best_is_recommended_and_one_that_is_not_is_told() -> None:
    (good,) = advice.advices(parsed([grid(0.27)]))
    assert good.sufficient
    assert (good.modest.part_mib, good.modest.in_flight) == (4, 16)
    assert good.sentence.startswith("Tell it nothing.")
    (bad,) = advice.advices(parsed([grid(0.60)]))
    assert not bad.sufficient
    assert bad.sentence.startswith("Tell it: parts of 4 MiB, 16 at a time.")
    assert bad.to_best == pytest.approx(0.60 / REGION.predicted_s(64 * MIB, 4 * MIB, 16))


def test_where_the_machine_was_measured_nothing_follows_for_the_link() -> None:
    cell = run(0.60, part="set", part_mib=4.0, in_flight=16)
    (found,) = advice.advices(parsed([text("parallel_parts", run(0.90), cell)]))
    assert found.of_the_machine
    assert found.sentence.startswith("No advice")


def test_what_the_model_does_not_explain_is_said() -> None:
    results = parsed([grid(0.60)])
    assert [row.default for row in advice.off(results)] == [True]
    for told in (page(results), summary(results)):
        assert "1 of them are off by more than a tenth" in told
        assert re.search(r"\+13[0-9]%", told)


def test_the_page_alone_says_which_part_size_and_why() -> None:
    told = page(parsed([grid(0.27)]))
    for words in (
        "Tell it nothing.",
        "parts of 4 MiB, 16 at a time",
        "it takes 10 connections at once to fill it",
        "none of them over 6.4 MiB",
        "moves bytes for 47% of the time",
        "python -m benchmarks.parallel_parts",
    ):
        assert words in told


def test_the_page_needs_nothing_beside_itself_and_its_pictures_are_well_formed() -> None:
    told = page(parsed([grid(0.27), text("part_sizing", run(0.3), run(0.1, size_mib=1.0, part_mib=None))]))
    assert not re.findall(r"(?:src|href|url)\s*[=(]", told)
    pictures = re.findall(r"<svg.*?</svg>", told, re.DOTALL)
    assert len(pictures) == 3
    for picture in pictures:
        root = ET.fromstring(picture)
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"]


def test_a_stream_is_judged_by_the_file_of_its_size() -> None:
    runs = [run(0.30)]
    runs += [run(wall_s, do="stream", memory_mib=mib) for mib, wall_s in ((32.0, 0.6), (64.0, 0.32), (128.0, 0.31))]
    pairs = advice.stream_pairs(parsed([text("streams", *runs)]))
    assert len(pairs) == 3
    enough = advice.enough_memory(pairs)
    assert enough is not None
    assert enough.memory_mib == 64
    assert advice.enough_memory(pairs[:1]) is None


def test_peers_are_drawn_with_their_versions_and_those_without_a_promise_are_hatched() -> None:
    side = {"kind": "side", "service": "oss", "side": "other, no condition", "facts": {"other": "1.2"}}
    told = page(parsed([text("peers", run(0.3), side, run(0.2, side="other, no condition", part=None))]))
    assert "other 1.2" in told
    assert "stroke='#fff' stroke-width='2'/>" in told


def test_whoever_is_faster_than_ours_is_named_first_and_by_how_much() -> None:
    def other(wall_s: float, side: str) -> dict[str, Any]:
        return run(wall_s, side=side, part=None)

    slower = [run(0.3), other(0.6, "one"), other(0.31, "one, tuned")]
    told = page(parsed([text("peers", *slower)]))
    assert "Of 1 comparisons, in 1 no other as shipped was faster by more than 2%." in told
    assert "in 1 no other tuned was faster" in told
    results = parsed([text("peers", *slower, other(0.2, "two, no condition"))])
    for report in (page(results), summary(results)):
        assert "in 0 no other as shipped was faster by more than 2%. Faster: two, no condition at 64 MiB" in report
        assert "(0.67)." in report
    (row,) = beside.overview(results).rows
    assert row[3:] == ("two, no condition", "0.67", "one, tuned", "1.03")
    assert beside.overview(parsed([text("peers", other(0.2, "two"))])).rows == ()


@pytest.mark.parametrize(
    ("value", "words"), [(1030.4, "1,030"), (98.76, "98.8"), (0.9996, "1"), (0.0123, "0.0123"), (0.00123, "0.0012")]
)
def test_figures_have_three_digits_that_count_and_no_power(value: float, words: str) -> None:
    assert figure(value) == words


def test_sizes_are_said_in_the_unit_that_has_fewer_digits() -> None:
    assert [size(mib) for mib in (0.5, 64, 1000, 1024, 1536, 10240, 1025)] == [
        *("0.5 MiB", "64 MiB", "1000 MiB", "1 GiB", "1.5 GiB", "10 GiB", "1025 MiB")
    ]


def test_the_best_is_compared_with_the_default_of_the_same_round() -> None:
    pair = [run(wall_s, round=at) for at, wall_s in enumerate((0.30, 0.60, 0.90))]
    pair += [
        run(wall_s, round=at, part="set", part_mib=2.0, in_flight=8) for at, wall_s in enumerate((0.25, 0.60, 1.0))
    ]
    results = parsed([text("best_again", *pair)])
    (again,) = advice.again(results)
    assert (again.ratio.low, again.ratio.median, again.ratio.high) == pytest.approx((0.9, 1.0, 1.2))
    assert again.sufficient
    for told in (page(results), summary(results)):
        assert "1 of 1 are within a tenth of it" in told
        assert "1.00 (0.90 to 1.20)" in told


def test_a_best_that_was_lucky_is_not_recommended() -> None:
    cell = {"part": "set", "part_mib": 4.0, "in_flight": 16}
    first = text("parallel_parts", run(0.35), run(0.28, **cell))
    (lucky,) = advice.advices(parsed([first, text("best_again", run(0.30), run(0.29, **cell))]))
    assert lucky.to_best == pytest.approx(1.25)
    assert lucky.sufficient
    assert lucky.sentence.startswith("Tell it nothing.")
    assert "1.25 times as fast by chance" in lucky.sentence
    (better,) = advice.advices(parsed([first, text("best_again", run(0.36), run(0.29, **cell))]))
    assert better.sentence.startswith("Tell it: parts of 4 MiB")
    assert better.sentence.endswith("run again in pairs, was 1.24 times as fast.")


def test_copies_are_judged_by_the_pace_of_the_service_and_not_by_the_link() -> None:
    copied = {"do": "copy", "size_mib": 2048.0, "copy_mb_s": 90}
    default = run(1.7, **copied, part_mib=128.0)
    best = run(1.2, **copied, part="set", part_mib=32.0, in_flight=64)
    results = parsed([text("copies", default, best)])
    row = next(row for row in results.rows if row.default)
    assert row.floor_s == pytest.approx(2048 * MIB / (64 * 90e6) + 4 * 0.030)
    assert row.predicted_s == pytest.approx(128 * MIB / 90e6 + 4 * 0.030, rel=0.01)
    wide = next(row for row in results.rows if not row.default)
    assert wide.predicted_s == pytest.approx(32 * MIB / 90e6 + 4 * 0.030, rel=0.01)  # all 64 at once, from the start
    told = page(results)
    assert "90 MB/s a request" in told
    assert "1.42 times as long as the best that was tried: parts of 32 MiB, 64 at a time" in told


def test_the_number_of_objects_is_drawn_with_what_each_cost() -> None:
    lines = [
        run(count / 1000, do="count", size_mib=4096 / MIB, objects=count, creates_per_s=1000.0, cpu_us=140.0)
        for count in (1, 1000, 100000)
    ]
    results = parsed([text("many_objects", *lines)])
    assert {row.objects for row in results.rows} == {1, 1000, 100000}
    assert {row.floor_s for row in results.rows} == {None}
    told = page(results)
    assert told.count("<svg") == 2
    assert "| 100,000 | 100 s | 1,000 | 140 us |" in summary(results)


def test_what_was_left_out_stands_beside_what_was_measured() -> None:
    left = {"kind": "left out", "service": "oss", "scheme": "http", "link": "region", "size_mib": 64.0}
    results = parsed([text("peers", left | {"side": "slow", "least_s": 13.4}, run(0.3))])
    assert "| slow | left out: 13.4 s at least |" in summary(results)


def test_a_bucket_whose_link_nobody_knows_is_guessed_from_its_figures() -> None:
    lines = [json.loads(line) for line in grid(0.27).splitlines()]
    unknown: dict[str, Any] = {"link": None, "latency_ms": None, "connection_mb_s": None, "total_mb_s": None}
    results = parsed([text("parallel_parts", *(line | unknown for line in lines[1:]))])
    assert results.guessed == {"a bucket"}
    assert results.roads["a bucket"].total_mb_s == pytest.approx(400, rel=0.15)
    assert "guessed from the figures" in page(results)


@pytest.mark.parametrize("wrong", ["", "{", "[]", '{"kind": "run"}'])
def test_what_is_no_result_is_refused(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no runs|no JSON|no object"):
        parsed([wrong])
    (tmp_path / "f").write_text(wrong)
    asked = [sys.executable, "-m", "benchmarks.report", str(tmp_path / "f")]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")


def test_light_is_fast_and_its_ink_can_be_read() -> None:
    light, dark = svg.viridis(1), svg.viridis(0)
    assert sum(light) > sum(svg.viridis(0.5)) > sum(dark)
    drawn = svg.heat_map("t", ["1"], ["a", "b"], {(0, 0): svg.Spot(1.0), (1, 0): svg.Spot(9.0)}, across="x", down="y")
    inks = re.findall(r"fill='(#000|#fff)'>(1\.00|9\.00)<", drawn)
    assert inks == [("#000", "1.00"), ("#fff", "9.00")]
