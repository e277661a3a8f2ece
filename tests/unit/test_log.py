"""What the logger "storage_guard" is told: trouble and how it ended, nothing of a plain write, and nothing secret."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from storage_guard import ObjectExists, OutcomeUnknown, Store, StoreUnavailable, ticket_of
from storage_guard.driver import Capabilities, Lost, Refused
from storage_guard.memory import MemoryDriver
from storage_guard.testing import BUSY, LOST_AFTER, FakeClock, FaultyDriver, Member, answers

SECRET = "AKIA-the-secret"  # which a service may repeat in its words


def store_of(driver: MemoryDriver | FaultyDriver) -> Store:
    return Store(driver, clock=FakeClock(), part_bytes=1 << 20, multipart_from_bytes=1 << 21)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert {each.name for each in caplog.records} <= {"storage_guard"}
    return [f"{each.levelname} {each.getMessage()}" for each in caplog.records]


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="storage_guard")


def test_a_plain_write_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store = store_of(MemoryDriver("log-plain"))
    store.create("k", b"x")
    store.create("large", bytes(3 << 20))
    list(store.create_many([("a", b"x"), ("b", b"y")]))
    store.copy("k", "copied")
    with store.open("file", "xb") as file:
        file.write(b"x")
    with pytest.raises(ObjectExists):
        store.create("k", b"y")
    assert store.read("k") == b"x"
    assert told(caplog) == []


def test_a_program_that_meets_no_trouble_does_not_even_load_logging(tmp_path: Path) -> None:
    code = "import sys; from storage_guard import open_store; open_store('f').create('k', b'x'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "storage_guard.log" in done.stdout.split()
    assert "logging" not in done.stdout.split()


LEFT_OPEN = """
from storage_guard import Store
from storage_guard.driver import Refused
from storage_guard.memory import MemoryDriver
from storage_guard.testing import answers, faulty

no = answers(lambda: Refused("no", why="access"))
try:
    Store(faulty(MemoryDriver(), {"put_part": [no], "abort": [no]}), multipart_from_bytes=1).create("k", bytes(3 << 20))
except PermissionError as error:
    print(error.__notes__)
"""


def test_a_program_that_has_set_up_no_logging_is_told_by_the_error_and_not_on_standard_error() -> None:
    done = subprocess.run([sys.executable, "-c", LEFT_OPEN], capture_output=True, text=True, check=True)
    assert "is left open" in done.stdout
    assert done.stderr == ""


def test_a_lost_answer_is_told_and_what_became_of_it(caplog: pytest.LogCaptureFixture) -> None:
    driver = FaultyDriver(MemoryDriver("log-lost"))
    driver.plan("put_new", [LOST_AFTER])
    assert store_of(driver).create("k", b"x").resolved
    lost, created = told(caplog)
    assert lost.startswith("INFO memory://log-lost/k: commit: Lost")
    assert created == "INFO memory://log-lost/k: created, sent 1 times"


@pytest.mark.parametrize("member", ["put_new", "begin", "put_part", "finish_new", "capabilities"])
def test_a_request_that_is_repeated_is_told_by_its_name(member: Member, caplog: pytest.LogCaptureFixture) -> None:
    driver = FaultyDriver(MemoryDriver())
    driver.plan(member, [BUSY, BUSY])
    store_of(driver).create("k", b"x" if member == "put_new" else bytes(3 << 20))
    request = {"put_new": "commit", "begin": "begin", "finish_new": "commit", "capabilities": "ask"}.get(
        member, "part "
    )
    busy = [line for line in told(caplog) if ": Busy" in line]
    assert len(busy) == 2
    assert all(f": {request}" in line for line in busy)


def test_what_stays_in_the_store_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    driver = FaultyDriver(MemoryDriver("log-left"))
    driver.plan("put_part", [answers(partial(Refused, "no", why="access"))])
    driver.plan("abort", [answers(partial(Refused, "no", why="access"))])
    with pytest.raises(PermissionError):
        store_of(driver).create("k", bytes(3 << 20))
    (warning,) = [line for line in told(caplog) if line.startswith("WARNING")]
    assert warning.startswith("WARNING memory://log-left/k: upload ")
    assert warning.endswith(" is left open; Store.sweep removes it")


def test_what_cannot_be_told_is_told_as_that(caplog: pytest.LogCaptureFixture) -> None:
    driver = FaultyDriver(MemoryDriver("log-unknown"))
    driver.plan("put_new", [LOST_AFTER])
    driver.plan("head", [answers(partial(Refused, "no", why="access"))])
    with pytest.raises(OutcomeUnknown) as caught:
        store_of(driver).create("k", b"x")
    assert told(caplog)[-1] == "INFO memory://log-unknown/k: unknown, sent 1 times"
    ticket = ticket_of(caught.value)
    assert ticket is not None
    assert ticket not in caplog.text


@pytest.mark.parametrize("member", ["put_new", "head", "begin", "put_part", "finish_new", "abort", "capabilities"])
def test_the_words_of_a_service_are_never_told(member: Member, caplog: pytest.LogCaptureFixture) -> None:
    driver = FaultyDriver(MemoryDriver())
    lost = answers(partial(Lost, f"cannot use {SECRET}", status=500, code="InternalError", request_id="r-1"))
    driver.plan(member, [lost] * 3)
    if member in ("head", "abort"):
        driver.plan("put_new", [LOST_AFTER])
        driver.plan("finish_new", [LOST_AFTER])
    for key, data in (("k", b"x"), ("large", bytes(3 << 20))):
        store_of(driver).create(key, data)
    assert "Lost 500 InternalError r-1" in caplog.text
    assert SECRET not in caplog.text


def test_what_an_examination_found_is_told(caplog: pytest.LogCaptureFixture) -> None:
    class Unproven(MemoryDriver):
        def capabilities(self) -> Capabilities:
            return replace(super().capabilities(), put="unproven")

    Store(Unproven("log-examined")).create("k", b"x")
    assert told(caplog) == ["INFO memory://log-examined: put was examined: raced"]


def test_a_question_that_stays_unanswered_is_told_each_time(caplog: pytest.LogCaptureFixture) -> None:
    driver = FaultyDriver(MemoryDriver("log-ask"))
    driver.plan("head", [BUSY] * 1000)
    with pytest.raises(StoreUnavailable):
        store_of(driver).head("k")
    lines = told(caplog)
    assert len(lines) > 5
    assert all(line.startswith("INFO memory://log-ask/k: ask: Busy") for line in lines)
