"""What happens to a request of OSS on its way: cut, stalled, redirected, answered by somebody else, or wrongly."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import oss2
import pytest

from storage_guard.driver import (
    Broken,
    Busy,
    Corrupt,
    Damaged,
    Exists,
    Gone,
    Limits,
    Lost,
    ObjectRef,
    PartSlot,
    Refused,
)
from storage_guard.testing import BytesBody
from storage_guard.testing.server import (
    Action,
    Answer,
    Cue,
    Hold,
    altered,
    cut_after_acting,
    cut_before_acting,
    cut_in_answer,
    cut_in_request,
    held,
    refused,
    running,
)
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credentials
from storage_guard.testing.server.oss import OSSDialect
from storage_guard_oss import OSSDriver
from unit.oss_served import BUCKET, KEY_ID, REGION, SECRET, Served, begun, fresh, put, served

LARGE = 1_500_000


@pytest.fixture
def world() -> Iterator[Served]:
    with served() as world:
        yield world


@dataclass
class Way:
    """One way to create an object at "k"; what must be there first is."""

    member: str
    create: Callable[[], object]


def ways(driver: OSSDriver) -> list[Way]:
    put(driver, "source")
    meta = fresh()
    upload_id, parts = begun(driver, "k", meta)
    return [
        Way("put_new", lambda: put(driver, "k")),
        Way("put_new", lambda: put(driver, "k", b"x" * LARGE)),
        Way("finish_new", lambda: driver.finish_new("k", upload_id, parts, meta)),
        Way("copy_new", lambda: driver.copy_new(ObjectRef(driver.location, "source"), "k", fresh())),
    ]


# Lost, and not lost

CUTS: dict[str, tuple[Action, bool]] = {
    "before acting": (cut_before_acting(), False),
    "before acting, closed": (cut_before_acting(reset=False), False),
    "after acting": (cut_after_acting(), True),
    "after acting, closed": (cut_after_acting(reset=False), True),
    "in the answer's head": (cut_in_answer(20), True),
    "after one byte": (cut_in_answer(1, reset=False), True),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_request_that_was_cut_may_have_acted(world: Served, name: str) -> None:
    action, acted = CUTS[name]
    driver = world.driver(read_timeout_s=5.0)
    for way in ways(driver):
        world.cues.add(Cue(action, member=way.member))
        before = world.asked(way.member)
        with pytest.raises(Lost):
            way.create()
        assert world.asked(way.member) == before + 1, "it was sent once"
        assert (driver.head("k") is not None) is acted
        if acted:
            driver.remove("k", None)


def test_a_body_that_was_cut_is_lost(world: Served) -> None:
    driver = world.driver()
    world.cues.add(Cue(cut_in_request(), member="put_new"))
    with pytest.raises(Lost):
        put(driver, "k", bytes(LARGE))
    upload_id = driver.begin("k", fresh())
    world.cues.add(Cue(cut_in_request(), member="put_part"))
    with pytest.raises(Lost):
        driver.put_part("k", upload_id, PartSlot(1, 0, LARGE), BytesBody(bytes(LARGE)))
    assert driver.head("k") is None


def test_a_service_that_does_not_answer_in_time_may_act_later(world: Served) -> None:
    driver = world.driver(read_timeout_s=0.15)
    for way in ways(driver):
        hold = Hold()
        world.cues.add(Cue(held(hold), member=way.member))
        with pytest.raises(Lost, match="nothing moved"):
            way.create()
        assert driver.head("k") is None
        hold.release()
        world.server.wait_idle()
        assert driver.head("k") is not None
        driver.remove("k", None)


def test_an_answer_that_does_not_come_is_lost_and_its_connection_too(world: Served) -> None:
    driver = world.driver(read_timeout_s=0.15)
    put(driver, "k", bytes(LARGE))
    hold = Hold()
    world.cues.add(Cue(held(hold), member="read"))
    with pytest.raises(Lost):
        driver.read("k", 0, LARGE, None)
    assert driver.read("k", 0, LARGE, None) == bytes(LARGE), "the next one has a connection of its own"
    hold.release()


def test_a_read_that_is_cut_is_lost_and_not_short(world: Served) -> None:
    driver = world.driver()
    put(driver, "k", bytes(LARGE))
    for action in (cut_in_answer(), cut_in_answer(reset=False), cut_in_answer(600, reset=False)):
        world.cues.add(Cue(action, member="read"))
        with pytest.raises(Lost):
            driver.read("k", 0, LARGE, None)


def test_a_connection_that_is_refused_has_sent_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        driver = OSSDriver(oss2.Bucket(oss2.AuthV4(KEY_ID, SECRET), url, BUCKET, region=REGION))
        for call in (lambda: put(driver, "k"), lambda: driver.head("k"), driver.capabilities):
            with pytest.raises(Busy, match="nothing was sent"):
                call()


def test_a_host_that_has_no_address_has_been_sent_nothing() -> None:
    driver = OSSDriver(oss2.Bucket(oss2.AuthV4(KEY_ID, SECRET), "http://nowhere.invalid", BUCKET, region=REGION))
    with pytest.raises(Busy, match="nothing was sent"):
        put(driver, "k")


def test_a_host_that_does_not_answer_the_connection_has_been_sent_nothing() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        queued = [socket.socket() for _ in range(4)]
        for each in queued:
            each.settimeout(0)
            each.connect_ex(full.getsockname())
        driver = OSSDriver(oss2.Bucket(oss2.AuthV4(KEY_ID, SECRET), url, BUCKET, region=REGION), connect_timeout_s=0.2)
        with pytest.raises(Busy):
            put(driver, "k")
        for each in queued:
            each.close()


def test_an_idle_connection_that_was_closed_is_not_used(world: Served) -> None:
    driver = world.driver()
    world.alter("head", headers={"Connection": "close"})
    assert driver.head("k") is None
    put(driver, "k")
    assert driver.head("k") is not None


# Answers that are not what they should be

ALTERED: dict[str, dict[str, Any]] = {
    "no request id": {"headers": {"x-oss-request-id": None}},
    "another success": {"status": 203},
    "a page": {"headers": {"x-oss-request-id": None, "ETag": None}, "body": b"<html>Please log in</html>"},
    "no etag": {"headers": {"ETag": None}, "body": b"<x/>"},
    "a checksum that is none": {"headers": {"x-oss-hash-crc64ecma": "none"}},
    "an error by status only": {"status": 500, "body": b""},
    "a proxy's error": {"status": 409, "headers": {"x-oss-request-id": None}, "body": b"<html>conflict</html>"},
}


@pytest.mark.parametrize("name", ALTERED)
def test_an_answer_that_cannot_be_understood_may_have_acted(world: Served, name: str) -> None:
    driver = world.driver()
    for way in ways(driver):
        world.alter(way.member, **ALTERED[name])
        with pytest.raises(Lost):
            way.create()
        assert driver.head("k") is not None
        driver.remove("k", None)


def test_an_answer_without_end_is_not_read() -> None:
    with served() as world:
        driver = world.driver()
        put(driver, "k", bytes(LARGE))

        def endless(answer: Answer) -> Answer:
            return Answer(200, answer.headers, bytes(70 * 1024 * 1024))

        world.cues.add(Cue(altered(endless), member="scan"))
        with pytest.raises(Lost, match="size exceeded"):
            print(list(driver.scan("", "", "")))
        world.alter("read", status=200, headers={"Content-Range": None})
        with pytest.raises(Lost):
            driver.read("k", 10, 20, None)


def test_other_bytes_at_the_store_are_told(world: Served) -> None:
    driver = world.driver()
    wrong = {"x-oss-hash-crc64ecma": "1"}
    for way in ways(driver):
        world.alter(way.member, headers=wrong)
        with pytest.raises(Damaged):
            way.create()
        assert driver.head("k") is not None, "it was published"
        driver.remove("k", None)
    upload_id = driver.begin("l", fresh())
    world.alter("put_part", headers=wrong)
    with pytest.raises(Corrupt):
        driver.put_part("l", upload_id, PartSlot(1, 0, 5), BytesBody(b"12345"))
    driver.abort("l", upload_id)


def test_versioning_that_comes_on_meanwhile_is_noticed(world: Served) -> None:
    driver = world.driver()
    assert driver.capabilities().put == "documented"
    made = ways(driver)
    world.state[BUCKET].versioning = "enabled"
    for way in made:
        with pytest.raises(Broken) as broken:
            way.create()
        assert broken.value.version_id
    world.state[BUCKET].versioning = "suspended"
    with pytest.raises(Broken) as broken:
        put(driver, "m")
    assert broken.value.version_id == "null"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(world: Served, status: int) -> None:
    driver = world.driver()
    with served() as other:
        there = {"Location": f"{other.server.url}/{BUCKET}/k"}
        world.alter("put_new", status=status, headers=there)
        with pytest.raises(Refused, match="not followed"):
            put(driver, "k")
        world.alter("put_new", status=status, headers={**there, "x-oss-request-id": None})
        with pytest.raises(Lost):
            put(driver, "l")
        assert other.server.requests == []


def test_a_throttled_request_is_busy(world: Served) -> None:
    driver = world.driver()
    for way in ways(driver):
        world.cues.add(Cue(refused(503, "TotalQpsLimitExceeded"), member=way.member))
        with pytest.raises(Busy):
            way.create()
        assert driver.head("k") is None


@pytest.mark.parametrize("first", ["upload", "condition"])
def test_a_finish_that_is_repeated_is_gone_or_taken(first: Any) -> None:
    state = Buckets([BUCKET])
    with running(OSSDialect(state, checked_first=first)) as server:
        driver = Served(server, state, Credentials()).driver()
        upload_id, parts = begun(driver, "k", meta := fresh())
        driver.finish_new("k", upload_id, parts, meta)
        with pytest.raises((Gone, Exists)) as again:
            driver.finish_new("k", upload_id, parts, meta)
        assert type(again.value) is (Gone if first == "upload" else Exists)
        assert again.value.sole


# Listings that go wrong


def test_a_listing_that_does_not_advance_ends(world: Served) -> None:
    driver = world.driver()
    put(driver, "a")
    upload_id, _ = begun(driver, "b", fresh())

    more = (
        b"<IsTruncated>true</IsTruncated><NextContinuationToken>T</NextContinuationToken>"
        b"<NextKeyMarker>b</NextKeyMarker><NextUploadIdMarker>U</NextUploadIdMarker>"
        b"<NextPartNumberMarker>1</NextPartNumberMarker>"
    )

    def stuck() -> Callable[[Answer], Answer]:
        first: list[Answer] = []

        def again(answer: Answer) -> Answer:
            assert isinstance(answer.body, bytes)
            body = answer.body.replace(b"<IsTruncated>false</IsTruncated>", more)
            first.append(Answer(answer.status, answer.headers, body))
            return first[0]

        return again

    for member in ("scan", "scan_uploads", "scan_parts"):
        world.cues.add(Cue(altered(stuck()), member=member, times=None))
    for listing in (driver.scan("", "", ""), driver.scan_uploads(""), driver.scan_parts("b", upload_id)):
        with pytest.raises(Lost, match="does not advance"):
            for _ in zip(range(10), listing, strict=False):
                pass


def test_long_listings_go_on(world: Served) -> None:
    driver = world.driver(limits=Limits(5 << 30, 1, 5 << 30, 10_000, 1 << 40))
    meta = fresh()
    keys = [f"up/{number:04} +%" for number in range(1003)]
    for key in keys:
        driver.begin(key, meta)
    assert [upload.key for upload in driver.scan_uploads("up/")] == keys
    upload_id = driver.begin("k", meta)
    for number in range(1, 1003):
        driver.put_part("k", upload_id, PartSlot(number, number - 1, 1), BytesBody(b"x"))
    parts = list(driver.scan_parts("k", upload_id))
    assert [part.slot for part in parts] == [PartSlot(number, number - 1, 1) for number in range(1, 1003)]
