"""The examination over HTTP of stores that only claim to speak S3, each with one fault of the loopback server.

Rounds of 16 writers until the race showed, in 20 examinations of each, 10 for copies and completes:

| the server | rounds with small bodies | with larger ones |
|---|---|---|
| judges a put when its head has come, and writes when its body has | not in 8 | 1 |
| and 1 ms passes between the two | 1 or 2 | 1 or 2 |
| judges a complete, and writes at once or up to 50 ms later | 1 | |
| the same of a copy | 1 or 2 | |

The driver reads a small body before it sends it, so nothing of that can be held on its way.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from contract.test_s3 import opened, serving
from storage_guard import GuaranteeMissing, ObjectExists, Store
from storage_guard.doctor import examine
from storage_guard.driver import Driver
from storage_guard.model import KiB
from storage_guard.testing.server import Server, running
from storage_guard.testing.server.s3_switches import Switches, windows

LARGE_BYTES = 300 * KiB
WAYS = {"ignored": "is ignored", "raced": "at one moment", "overwritten": "and replaced", "unsupported": "501"}


@contextmanager
def bad(**switches: Any) -> Generator[tuple[Driver, Store, Server]]:
    asked = Switches(**switches)
    with running(serving(asked), cues=windows(asked) if asked.window_s else None) as server:
        driver = opened(server)
        yield driver, Store(driver, part_bytes=64 * KiB, multipart_from_bytes=128 * KiB), server
        driver.close()


def nothing_left(driver: Driver, *kept: str) -> bool:
    keys = {each.key for each in driver.scan("", "", "")} - {".storage-guard/guarantee.json"}
    return keys == set(kept) and not list(driver.scan_uploads(""))


@pytest.mark.parametrize("way", WAYS)
def test_where_puts_do_not_hold_nothing_is_written(way: str) -> None:
    with bad(put=way) as (driver, store, _):
        with pytest.raises(GuaranteeMissing, match=WAYS[way]):
            store.create("k", b"x")
        assert nothing_left(driver)


def test_a_gap_that_is_only_as_long_as_a_body_takes_is_found_by_bodies_that_can_be_held() -> None:
    with bad(put="raced", window_s=0.0) as (driver, store, _):
        with pytest.raises(GuaranteeMissing, match="at one moment"):
            store.create("k", b"x")
        assert nothing_left(driver)


@pytest.mark.parametrize("way", WAYS)
def test_where_completes_do_not_hold_objects_go_in_one_request(way: str) -> None:
    with bad(complete=way) as (driver, store, _):
        receipt = store.create("k", bytes(LARGE_BYTES))
        assert (receipt.guarantee, receipt.parts) == ("raced", 0)
        with pytest.raises(ObjectExists):
            store.create("k", bytes(LARGE_BYTES))
        assert nothing_left(driver, "k")


@pytest.mark.parametrize("way", [*WAYS, "of_source"])
def test_where_copies_do_not_hold_their_parts_are_copied(way: str) -> None:
    with bad(copy=way) as (driver, store, server):
        store.create("k", bytes(LARGE_BYTES))
        receipt = store.copy("k", "copy")
        assert receipt.guarantee == "raced"
        assert receipt.parts >= 1
        assert server.requests[-1].asked.member != "copy_new"
        assert store.read("copy") == bytes(LARGE_BYTES)
        assert nothing_left(driver, "k", "copy")


@pytest.mark.parametrize("operation", ["put", "complete", "copy"])
@pytest.mark.parametrize("way", ["ignored", "raced"])
def test_the_doctor_names_the_fault_and_leaves_nothing(operation: str, way: str) -> None:
    with bad(**{operation: way}) as (driver, store, _):
        report = examine(store, rounds=2)
        first = next(row for row in report.rows if row.holds is False)
        assert first.operation == {"put": "put", "complete": "finish", "copy": "copy"}[operation]
        assert WAYS[way] in first.evidence
        assert list(driver.scan("", "", "")) == []
        assert nothing_left(driver)


def test_a_good_store_holds_and_says_its_name() -> None:
    with bad() as (driver, store, _):
        report = examine(store, rounds=2)
        assert report.holds, str(report)
        assert report.server
        can = store.check()
        assert (can.put, can.finish, can.copy) == ("raced", "raced", "raced")
        assert nothing_left(driver)
