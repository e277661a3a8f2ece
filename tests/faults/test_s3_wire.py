"""What of the requests of S3 is S3's own; what they share with OSS's is in test_wire.py.

A complete answers 200 before it has decided anything, keeps the connection alive with blanks, and says in a document
how it went: docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from faults.test_wire import ways
from storage_guard.driver import Busy, Conflict, Exists, Gone, Lost, Part, PartSlot, Refused, Signal
from storage_guard_s3 import S3Driver
from unit.oss_served import fresh
from unit.s3_served import BUCKET, SESSION, Served, served
from wire.scripted import Heard, scripted

PARTS = [Part(PartSlot(1, 0, 5), "e1")]
DONE = b'<CompleteMultipartUploadResult><ETag>"e-1"</ETag></CompleteMultipartUploadResult>'


@pytest.fixture
def world() -> Iterator[Served]:
    with served() as world:
        yield world


def test_an_answer_without_a_request_id_may_be_that_of_a_store_that_says_none(world: Served) -> None:
    driver = world.driver()
    for way in ways(driver):
        world.alter(way.member, headers={"x-amz-request-id": None, "x-amz-id-2": None})
        way.create()
        assert driver.head(way.key) is not None


class Blanks:
    """Answers 200 at once, a blank now and then, and `end` at last; None: nothing more."""

    def __init__(self, blanks: int, end: bytes | None) -> None:
        self._blanks = blanks
        self._end = end

    def __call__(self, heard: Heard) -> bytes | None:
        heard.sock.sendall(b"HTTP/1.1 200 OK\r\nx-amz-request-id: R\r\nTransfer-Encoding: chunked\r\n\r\n")
        heard.sock.sendall(chunk(b'<?xml version="1.0" encoding="UTF-8"?>'))
        for _ in range(self._blanks):
            threading.Event().wait(0.1)
            heard.sock.sendall(chunk(b" "))
        return None if self._end is None else chunk(self._end) + chunk(b"")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def finish(url: str, read_timeout_s: float = 20.0) -> object:
    client = SESSION.client("s3", endpoint_url=url)
    with closing(S3Driver(client, BUCKET, read_timeout_s=read_timeout_s)) as driver:
        return driver.finish_new("k", "upload", PARTS, fresh())


def test_blanks_before_the_verdict_are_signs_of_life() -> None:
    """Of a large object they last for minutes."""
    with scripted(Blanks(25, DONE)) as server:
        assert finish(server.url, read_timeout_s=0.5)
        assert len(server.heard) == 1


@pytest.mark.parametrize(
    ("code", "signal"),
    [
        ("PreconditionFailed", Exists),
        ("ConditionalRequestConflict", Conflict),
        ("NoSuchUpload", Gone),
        ("SlowDown", Busy),
        ("InvalidPart", Refused),
        ("InternalError", Lost),
        ("SomethingNew", Lost),
    ],
)
def test_the_verdict_behind_the_blanks_counts_and_not_the_200(code: str, signal: type[Signal]) -> None:
    with scripted(Blanks(2, f"<Error><Code>{code}</Code></Error>".encode())) as server:
        with pytest.raises(signal) as told:
            finish(server.url)
        assert type(told.value) is signal
        assert len(server.heard) == 1


@pytest.mark.parametrize("end", [None, b"", b"<CompleteMultipart", b"<html/>"])
def test_without_a_verdict_nobody_knows(end: bytes | None) -> None:
    with scripted(Blanks(2, end)) as server:
        with pytest.raises(Lost):
            finish(server.url)
        assert len(server.heard) == 1
