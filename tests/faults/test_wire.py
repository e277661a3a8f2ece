"""What happens to a request on its way: cut, stalled, redirected, answered by somebody else, or wrongly. Of each
service."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import oss2
import pytest

from storage_guard.driver import Busy, Corrupt, Damaged, Driver, Limits, Lost, ObjectRef, PartSlot, Refused
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
)
from storage_guard_oss import OSSDriver
from storage_guard_s3 import S3Driver
from unit import oss_served, s3_served
from unit.oss_served import begun, changed, fresh, put
from wire.scripted import Heard, scripted

LARGE = 1_500_000
World = oss_served.Served | s3_served.Served


@dataclass(frozen=True)
class Service:
    """A service on the loopback. `at`: a driver of what is at a URL. `saying`: an answer that says another checksum, as
    `wrong` is of any bytes here. `request_id`: the header by which an answer is known for the service's own.
    `throttled`: its code. `refusal`: what it answers where the key is taken."""

    served: Callable[[], AbstractContextManager[World]]
    at: Callable[..., Driver]
    saying: Callable[[Answer, str], Answer]
    wrong: str
    request_id: str
    throttled: str
    refusal: tuple[int, str]


def oss_at(url: str, **options: Any) -> Driver:
    auth = oss2.AuthV4(oss_served.KEY_ID, oss_served.SECRET)
    return OSSDriver(oss2.Bucket(auth, url, oss_served.BUCKET, region=oss_served.REGION), **options)


def s3_at(url: str, **options: Any) -> Driver:
    return S3Driver(s3_served.SESSION.client("s3", endpoint_url=url), s3_served.BUCKET, **options)


def oss_saying(answer: Answer, checksum: str) -> Answer:
    return changed(answer, headers={"x-oss-hash-crc64ecma": checksum})


def s3_saying(answer: Answer, checksum: str) -> Answer:
    """In a header where that says it, else in the document."""
    if "x-amz-checksum-crc64nvme" in answer.headers:
        return changed(answer, headers={"x-amz-checksum-crc64nvme": checksum})
    assert isinstance(answer.body, bytes)
    tag = b"ChecksumCRC64NVME>"
    before, found, behind = answer.body.partition(tag)
    assert found
    return changed(answer, body=before + found + checksum.encode() + b"</" + tag + behind.partition(b"</" + tag)[2])


SERVICES = {
    "oss": Service(
        oss_served.served,
        oss_at,
        oss_saying,
        "1",
        "x-oss-request-id",
        "TotalQpsLimitExceeded",
        (409, "FileAlreadyExists"),
    ),
    "s3": Service(
        s3_served.served, s3_at, s3_saying, "AAAAAAAAAAE=", "x-amz-request-id", "SlowDown", (412, "PreconditionFailed")
    ),
}


@pytest.fixture(params=list(SERVICES.values()), ids=list(SERVICES))
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.param
    return found


@pytest.fixture
def world(service: Service) -> Iterator[World]:
    with service.served() as world:
        yield world


@dataclass
class Way:
    """One way to create an object at `key`; what must be there first is."""

    member: str
    key: str
    create: Callable[[], object]


def ways(driver: Driver) -> list[Way]:
    put(driver, "source")
    meta = fresh()
    upload_id, parts = begun(driver, "finished", meta)
    return [
        Way("put_new", "small", lambda: put(driver, "small")),
        Way("put_new", "large", lambda: put(driver, "large", b"x" * LARGE)),
        Way("finish_new", "finished", lambda: driver.finish_new("finished", upload_id, parts, meta)),
        Way("copy_new", "copy", lambda: driver.copy_new(ObjectRef(driver.location, "source"), "copy", fresh())),
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
def test_a_request_that_was_cut_may_have_acted(world: World, name: str) -> None:
    action, acted = CUTS[name]
    driver = world.driver(read_timeout_s=5.0)
    for way in ways(driver):
        world.cues.add(Cue(action, member=way.member))
        before = world.asked(way.member)
        with pytest.raises(Lost):
            way.create()
        assert world.asked(way.member) == before + 1, "it was sent once"
        assert (driver.head(way.key) is not None) is acted


def test_a_body_that_was_cut_is_lost(world: World) -> None:
    driver = world.driver()
    world.cues.add(Cue(cut_in_request(), member="put_new"))
    with pytest.raises(Lost):
        put(driver, "k", bytes(LARGE))
    upload_id = driver.begin("k", fresh())
    world.cues.add(Cue(cut_in_request(), member="put_part"))
    with pytest.raises(Lost):
        driver.put_part("k", upload_id, PartSlot(1, 0, LARGE), BytesBody(bytes(LARGE)))
    assert driver.head("k") is None


def test_a_service_that_does_not_answer_in_time_may_act_later(world: World) -> None:
    driver = world.driver(read_timeout_s=0.15)
    for way in ways(driver):
        hold = Hold()
        world.cues.add(Cue(held(hold), member=way.member))
        with pytest.raises(Lost, match="nothing moved"):
            way.create()
        assert driver.head(way.key) is None
        hold.release()
        world.server.wait_idle()
        assert driver.head(way.key) is not None


def test_an_answer_that_does_not_come_is_lost_and_its_connection_too(world: World) -> None:
    driver = world.driver(read_timeout_s=0.15)
    put(driver, "k", bytes(LARGE))
    hold = Hold()
    world.cues.add(Cue(held(hold), member="read"))
    with pytest.raises(Lost):
        driver.read("k", 0, LARGE, None)
    assert driver.read("k", 0, LARGE, None) == bytes(LARGE), "the next one has a connection of its own"
    hold.release()


def test_a_read_that_is_cut_is_lost_and_not_short(world: World) -> None:
    driver = world.driver()
    put(driver, "k", bytes(LARGE))
    for action in (cut_in_answer(), cut_in_answer(reset=False), cut_in_answer(600, reset=False)):
        world.cues.add(Cue(action, member="read"))
        with pytest.raises(Lost):
            driver.read("k", 0, LARGE, None)


def test_a_connection_that_is_refused_has_sent_nothing(service: Service) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        driver = service.at(f"http://127.0.0.1:{taken.getsockname()[1]}")
        for call in (lambda: put(driver, "k"), lambda: driver.head("k"), driver.capabilities):
            with pytest.raises(Busy, match="nothing was sent"):
                call()


def test_a_host_that_has_no_address_has_been_sent_nothing(service: Service) -> None:
    with pytest.raises(Busy, match="nothing was sent"):
        put(service.at("http://nowhere.invalid"), "k")


def test_a_host_that_does_not_answer_the_connection_has_been_sent_nothing(service: Service) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        queued = [socket.socket() for _ in range(4)]
        for each in queued:
            each.settimeout(0)
            each.connect_ex(full.getsockname())
        driver = service.at(url, connect_timeout_s=0.2)
        with pytest.raises(Busy):
            put(driver, "k")
        for each in queued:
            each.close()


def test_an_idle_connection_that_was_closed_is_not_used(world: World) -> None:
    driver = world.driver()
    world.alter("head", headers={"Connection": "close"})
    assert driver.head("k") is None
    put(driver, "k")
    assert driver.head("k") is not None


# Byte by byte

DATA = b"something"


def created(service: Service) -> bytes:
    """What a service answers to a put of `DATA`."""
    etag = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    lines = ("HTTP/1.1 200 OK", f"{service.request_id}: R1", f'ETag: "{etag}"', "Content-Length: 0")
    return "\r\n".join((*lines, "", "")).encode()


def taken(service: Service) -> bytes:
    status, code = service.refusal
    body = f"<Error><Code>{code}</Code></Error>"
    lines = (f"HTTP/1.1 {status} No", f"{service.request_id}: R2", f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", body)).encode()


def test_an_answer_that_drips_is_waited_for(service: Service) -> None:
    def drip(heard: Heard) -> bytes:
        for byte in created(service)[:-1]:
            heard.sock.sendall(bytes([byte]))
            threading.Event().wait(0.002)
        return created(service)[-1:]

    with scripted(drip) as server:
        driver = service.at(server.url, read_timeout_s=5.0)
        assert put(driver, "k", DATA).size_bytes == len(DATA)
        assert len(server.heard) == 1
        driver.close()


@pytest.mark.parametrize("surplus", ["an answer", "bytes"])
def test_more_than_an_answer_may_be_anybodys(service: Service, surplus: str) -> None:
    more = taken(service) if surplus == "an answer" else b"and more"
    with scripted(lambda _: created(service) + more) as server:
        driver = service.at(server.url)
        with pytest.raises(Lost, match="more came than one answer"):
            put(driver, "k", DATA)
        assert len(server.heard) == 1
        driver.close()


@pytest.mark.parametrize("surplus", ["an answer", "bytes"])
def test_what_comes_behind_an_answer_is_nobodys(service: Service, surplus: str) -> None:
    """Were it taken for that to the next request, its key would be said to be taken."""
    sent = threading.Event()

    def two(heard: Heard) -> bytes:
        if heard.connection == 1:
            heard.sock.sendall(created(service))
            threading.Event().wait(0.05)  # so that it is not read along with it
            heard.sock.sendall(taken(service) if surplus == "an answer" else b"and more")
            sent.set()
            return b""
        return created(service)

    with scripted(two) as server:
        driver = service.at(server.url)
        put(driver, "k", DATA)
        assert sent.wait(10)
        threading.Event().wait(0.05)  # as long as a connection rests before it is looked at, and more
        put(driver, "l", DATA)
        assert [(heard.connection, heard.number) for heard in server.heard] == [(1, 1), (2, 1)]
        driver.close()


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("size_bytes", [0, len(DATA), LARGE])
def test_a_reused_connection_that_dies_has_carried_a_request_once(
    service: Service, size_bytes: int, reset: bool
) -> None:
    """libcurl and urllib3 would send it again, and be told that the key is taken: by themselves."""

    def dying(heard: Heard) -> bytes | None:
        if heard.number == 1:
            return created(service)
        if reset:
            heard.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return None

    with scripted(dying) as server:
        driver = service.at(server.url)
        put(driver, "k", DATA)
        with pytest.raises(Lost):
            put(driver, "l", bytes(size_bytes))
        assert [(heard.connection, heard.number) for heard in server.heard] == [(1, 1), (1, 2)]
        driver.close()


# Answers that are not what they should be

ALTERED: dict[str, Callable[[Service, Answer], Answer]] = {
    "another success": lambda _, answer: changed(answer, status=203),
    "a page": lambda of, answer: changed(
        answer, headers={of.request_id: None, "ETag": None}, body=b"<html>Log in!</html>"
    ),
    "no etag": lambda _, answer: changed(answer, headers={"ETag": None}, body=b"<x/>"),
    "a checksum that is none": lambda of, answer: of.saying(answer, "none"),
    "an error by status only": lambda _, answer: changed(answer, status=500, body=b""),
    "a proxy's error": lambda of, answer: changed(answer, status=409, headers={of.request_id: None}, body=b"<html/>"),
}


@pytest.mark.parametrize("name", ALTERED)
def test_an_answer_that_cannot_be_understood_may_have_acted(service: Service, world: World, name: str) -> None:
    driver = world.driver()
    for way in ways(driver):
        world.cues.add(Cue(altered(partial(ALTERED[name], service)), member=way.member))
        with pytest.raises(Lost):
            way.create()
        assert driver.head(way.key) is not None


def test_an_answer_without_end_is_not_read(service: Service) -> None:
    with service.served() as world:
        driver = world.driver()
        put(driver, "k", bytes(LARGE))

        def endless(answer: Answer) -> Answer:
            return Answer(200, answer.headers, bytes(70 * 1024 * 1024))

        world.cues.add(Cue(altered(endless), member="scan"))
        with pytest.raises(Lost, match="bytes and more"):
            print(list(driver.scan("", "", "")))
        world.alter("read", status=200, headers={"Content-Range": None})
        with pytest.raises(Lost):
            driver.read("k", 10, 20, None)


def test_other_bytes_at_the_store_are_told(service: Service, world: World) -> None:
    driver = world.driver()
    for way in ways(driver):
        world.cues.add(Cue(altered(lambda answer: service.saying(answer, service.wrong)), member=way.member))
        with pytest.raises(Damaged):
            way.create()
        assert driver.head(way.key) is not None, "it was published"
    upload_id = driver.begin("l", fresh())
    world.cues.add(Cue(altered(lambda answer: service.saying(answer, service.wrong)), member="put_part"))
    with pytest.raises(Corrupt):
        driver.put_part("l", upload_id, PartSlot(1, 0, 5), BytesBody(b"12345"))
    driver.abort("l", upload_id)


@pytest.mark.parametrize("own", [True, False], ids=["of the service", "of a stranger"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_no_credentials_leave_for_another_host(
    service: Service, world: World, status: int, own: bool
) -> None:
    driver = world.driver()
    with service.served() as other:
        there = {"Location": f"{other.server.url}/bucket/k"} | ({} if own else {service.request_id: None})
        for way in ways(driver):
            world.alter(way.member, status=status, headers=there, body=b"")
            with pytest.raises((Refused, Lost)) as told:
                way.create()
            assert isinstance(told.value, Refused if own else Lost)
        for look in (lambda: driver.head("small"), lambda: driver.read("small", 0, 5, None)):
            world.alter("head", status=status, headers=there)
            world.alter("read", status=status, headers=there, body=b"")
            with pytest.raises((Refused, Lost)):
                look()
        assert other.server.connections == 0


def test_a_throttled_request_is_busy(service: Service, world: World) -> None:
    driver = world.driver()
    for way in ways(driver):
        world.cues.add(Cue(refused(503, service.throttled), member=way.member))
        with pytest.raises(Busy):
            way.create()
        assert driver.head(way.key) is None


# Listings that go wrong


def test_a_listing_that_does_not_advance_ends(world: World) -> None:
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


def test_long_listings_go_on(world: World) -> None:
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
