"""The contract is an instrument: it must fail on drivers that are known to be bad, and by the law that speaks of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from contract.planted import ONLY_A_RACE_TELLS, PLANTED, Planted
from storage_guard.driver import Driver
from storage_guard.testing import DriverContract

HERE = Path(__file__).parent
LAWS = sorted(name for name in dir(DriverContract) if name.startswith("test_"))

RAN = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)

Failed = Mapping[str, set[str]]


pytestmark = pytest.mark.timeout(700)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Failed:
    """The laws that failed, without their parameters, by the name of the planted driver."""
    folder = tmp_path_factory.mktemp("planted")
    report, printed = folder / "report.xml", folder / "out.txt"
    code = _run(report, printed)
    assert code in RAN, f"the planted drivers were not all tried, exit code {code}:\n{_end_of(printed)}"
    failed: dict[str, set[str]] = defaultdict(set)
    cases = list(ElementTree.parse(report).iter("testcase"))
    assert len(cases) > len(LAWS) * len(PLANTED), f"the planted drivers were not all tried:\n{_end_of(printed)}"
    for case in cases:
        assert case.find("error") is None, f"{case.get('classname')}::{case.get('name')} could not be run"
        if case.find("failure") is not None:
            driver = case.get("classname", "").rpartition(".Test")[2]
            failed[driver].add(case.get("name", "").partition("[")[0])
    return failed


def _run(report: Path, printed: Path) -> int:
    # A planted driver may hang: that is a failure of one law, shown with every thread's stack, not of this instrument.
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", "-o", "timeout=60"]
    with printed.open("wb") as out:
        try:
            return subprocess.run(
                [*command, f"--junitxml={report}", str(HERE / "planted.py")],
                cwd=HERE.parents[1],
                check=False,
                env={**os.environ, "CI": "true"},  # nothing is shortened there, and a failure must still be cheap
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                timeout=300,
            ).returncode
        except subprocess.TimeoutExpired:
            pytest.fail(f"the planted drivers took over 300 s:\n{_end_of(printed)}")


def _end_of(printed: Path) -> str:
    return printed.read_text(errors="replace")[-8000:]


def test_the_driver_that_the_planted_ones_are_made_of_is_sound(failed: Failed) -> None:
    assert Planted.__name__ not in failed


@pytest.mark.parametrize(("driver", "laws"), PLANTED.items(), ids=[driver.__name__ for driver in PLANTED])
def test_a_planted_fault_is_caught_by_its_law(failed: Failed, driver: type[Planted], laws: tuple[str, ...]) -> None:
    assert set(laws) <= failed[driver.__name__]


@pytest.mark.parametrize("driver", ONLY_A_RACE_TELLS)
def test_what_only_a_race_tells_is_told_by_the_races(failed: Failed, driver: type[Planted]) -> None:
    assert failed[driver.__name__]
    assert all(law.startswith("test_of_racing_") for law in failed[driver.__name__])


class _Departs:
    """Runs one law of a contract class by hand."""

    def __init__(self, contract: type[DriverContract]) -> None:
        self._contract = contract()

    def run(self, law: str, driver: Driver) -> None:
        getattr(self._contract, law)(driver=driver)


def _contract(departures: Mapping[str, str], **members: Any) -> type[DriverContract]:
    return type("TestIt", (DriverContract,), {"departures": departures, **members})


LAW = "test_nothing_cannot_be_removed"


def test_a_departure_that_is_true_passes() -> None:
    class RemovesNothing(Planted):
        def remove(self, key: str, etag: str | None, /) -> None:
            if self.head(key):
                super().remove(key, etag)

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        _Departs(_contract({})).run(LAW, RemovesNothing())
    _Departs(_contract({LAW: "removing nothing is no error here"})).run(LAW, RemovesNothing())


def test_a_departure_that_is_stale_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"stale departure.*because it was so once"):
        _Departs(_contract({LAW: "it was so once"})).run(LAW, Planted())


def test_a_departure_from_what_is_no_law_is_an_error() -> None:
    with pytest.raises(TypeError, match="departs from what is not a law: test_nothing_of_the_kind"):
        _contract({"test_nothing_of_the_kind": "why not"})


def test_a_departure_without_a_reason_is_an_error() -> None:
    with pytest.raises(TypeError, match=f"departs from {LAW} without a reason"):
        _contract({LAW: " "})


def _passes(_self: object) -> None:
    """A test that asks nothing."""


@pytest.mark.parametrize("instead", [None, _passes], ids=["none", "another-test"])
def test_a_law_cannot_be_taken_away_silently(instead: Callable[[object], None] | None) -> None:
    with pytest.raises(TypeError, match=f"overrides {LAW}"):
        _contract({}, **{LAW: instead})


def test_a_departure_is_not_inherited_by_those_who_do_not_declare_it() -> None:
    parent = _contract({LAW: "it was so once"})
    child: type[DriverContract] = type("TestChild", (parent,), {"departures": {}})
    _Departs(child).run(LAW, Planted())


def test_a_departure_keeps_the_parameters_of_its_law() -> None:
    law = "test_an_option_is_kept_or_refused"
    departed = getattr(_contract({law: "no options"}), law)
    assert departed.pytestmark == getattr(DriverContract, law).pytestmark


def test_a_skip_is_not_a_departure() -> None:
    law = "test_unequal_parts_are_refused_where_they_must_be_equal"
    with pytest.raises(pytest.skip.Exception):
        getattr(_contract({law: "said without need"})(), law)(driver=Planted(), rival=Planted())
