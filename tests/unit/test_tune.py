"""`storage_guard.tune`: what it measures on links whose best is known, what it recommends, and that nothing stays."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.simulated_link import Link, LinkDriver, Road, on
from storage_guard import AccessDenied, ObjectNotFound, Store, open_store
from storage_guard.memory import MemoryDriver
from storage_guard.model import GiB, KiB, Limits, MiB, TiB
from storage_guard.testing import REFUSED, faulty
from storage_guard.tune import DEFAULT, Setting, Timed, Tuning, measure
from storage_guard.tune import __main__ as program
from storage_guard.tune.settings import first_settings, next_settings, recommended

OSS = Limits(5 * GiB, 100 * KiB, 5 * GiB, 10_000, 48 * TiB)
USUAL = Road(0.030, 40e6, 400e6)
STERN = Road(0.030, 40e6, 400e6, connections=4)  # it says Busy to more


def on_link(road: Road, **options: Any) -> tuple[Tuning, Link]:
    link = Link(road)
    with on(link):
        return measure(Store(LinkDriver(link, OSS), clock=link), **options), link


def test_where_the_default_is_good_nothing_is_recommended() -> None:
    found, _ = on_link(USUAL)
    assert found.default_is_good
    assert found.recommended == DEFAULT
    assert 1.0 <= found.default_ratio <= 1.10
    assert found.latency_s == pytest.approx(0.030)
    assert found.complete
    assert len(found.default.wall_s) == 3
    assert [each.median_s for each in found.timed] == sorted(each.median_s for each in found.timed)
    assert "say nothing" in str(found)


def test_where_another_setting_is_better_it_is_found_and_said() -> None:
    found, _ = on_link(STERN)
    assert not found.default_is_good
    assert found.recommended.in_flight is not None
    assert found.recommended.in_flight <= 4
    assert found.default_ratio == pytest.approx(found.default.median_s / found.best.median_s)
    assert f"in_flight={found.recommended.in_flight}: the default takes {found.default_ratio:.2f}" in str(found)


def test_no_run_begins_when_the_time_is_over() -> None:
    found, link = on_link(USUAL, budget_s=2.0)
    assert not found.complete
    assert "no time for all settings" in str(found)
    assert link.now_s() < 4.0
    assert found.default.wall_s


def test_everything_is_removed_and_what_was_there_stays() -> None:
    driver = MemoryDriver()
    store = Store(driver, prefix="p")
    store.create("mine", b"x")
    told: list[str] = []
    found = measure(store, size_bytes=2 * MiB, rounds=1, name=lambda: "n", told=told.append)
    assert [each.key for each in driver.scan("", "", "")] == ["p/mine"]
    assert len(told) == sum(len(each.wall_s) for each in found.timed)
    assert not found.left
    assert pickle.loads(pickle.dumps(found)) == found
    assert json.loads(found.as_json())["recommended"].keys() == {"part_bytes", "in_flight"}


def test_what_cannot_be_removed_is_named() -> None:
    driver = faulty(MemoryDriver(), "remove", [REFUSED] * 10_000)
    with pytest.raises(AccessDenied) as caught:
        measure(Store(driver), size_bytes=2 * MiB, name=lambda: "n")
    assert any("'storage-guard-tune-n/1' may have been left" in note for note in caught.value.__notes__)


def test_an_interrupted_measurement_leaves_nothing() -> None:
    driver = MemoryDriver()

    def stop(_line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(Store(driver), size_bytes=2 * MiB, told=stop)
    assert not list(driver.scan("", "", ""))
    assert not list(driver.scan_uploads(""))


def test_somebody_else_may_remove_the_objects_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = MemoryDriver()
    store = Store(driver)
    remove = driver.remove

    def twice(key: str, etag: str | None, /) -> None:
        remove(key, etag)
        remove(key, etag)

    monkeypatch.setattr(driver, "remove", twice)
    measure(store, size_bytes=2 * MiB, rounds=1)
    with pytest.raises(ObjectNotFound):
        store.read("anything")


@pytest.mark.parametrize("options", [{"rounds": 0}, {"budget_s": 0.0}, {"size_bytes": 0}, {"size_bytes": 1}])
def test_what_tells_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at least one round|has one part"):
        measure(Store(MemoryDriver()), **options)


@given(
    size_bytes=st.integers(2, 10 * GiB),
    least_bytes=st.integers(1, 8 * MiB),
    usual_bytes=st.integers(1, 64 * MiB),
)
def test_every_setting_is_one_that_the_store_takes_and_is_tried_once(
    size_bytes: int, least_bytes: int, usual_bytes: int
) -> None:
    limits = Limits(5 * GiB, least_bytes, 5 * GiB, 10_000, 48 * TiB)
    tried = first_settings(usual_bytes, size_bytes, limits)
    tried += next_settings([Timed(each, (1.0,)) for each in tried], size_bytes, limits)
    assert len(tried) == len(set(tried))
    for each in tried:
        assert each.part_bytes is not None
        assert each.in_flight is not None
        parts = -(-size_bytes // each.part_bytes)
        assert least_bytes <= each.part_bytes
        assert 2 <= parts <= 10_000
        assert 1 <= each.in_flight <= min(parts, 64)


def test_of_settings_that_are_as_good_the_one_that_asks_least_is_recommended() -> None:
    timed = [
        Timed(Setting(4 * MiB, 32), (1.0,)),
        Timed(Setting(4 * MiB, 8), (1.02,)),
        Timed(Setting(8 * MiB, 8), (1.04,)),
        Timed(Setting(16 * MiB, 4), (1.2,)),
    ]
    assert recommended(timed) == Setting(8 * MiB, 8)


def test_the_program_says_it_by_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = str(tmp_path / "store")
    code = program.main([url, "--mib", "2", "--rounds", "1", "--seconds", "5", "--option", "durable:=false", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == (0 if told["default_is_good"] else 3)
    assert told["size_bytes"] == 2 * MiB
    assert not [each for each in (tmp_path / "store").rglob("*") if each.is_file()]


@pytest.mark.parametrize(
    "arguments", [["nowhere://x"], ["memory://x", "--mib", "0"], ["memory://x", "--option", "secret"]]
)
def test_wrong_use_is_told_without_secrets(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(arguments) == 2
    told = capsys.readouterr()
    assert "storage_guard.tune: " in told.err
    assert not told.out
    assert "secret" not in told.err


def test_a_store_that_cannot_be_reached_is_an_error_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    asked = [sys.executable, "-W", "error", "-m", "storage_guard.tune", str(tmp_path / "file"), "--json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["default_is_good"] is None


def test_a_store_is_examined_once_and_before_anything_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store("memory://tuned")
    asked: list[object] = []
    capabilities = store.driver.capabilities

    def counted() -> Any:
        asked.append(None)
        return capabilities()

    monkeypatch.setattr(store.driver, "capabilities", counted)
    measure(store, size_bytes=2 * MiB, rounds=1)
    assert len(asked) == 1
