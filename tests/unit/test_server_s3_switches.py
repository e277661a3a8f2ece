"""S3 that is not what it claims: each switch does what it says, over the wire, and AWS's way does not."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from storage_guard.testing.server import (
    Answer,
    Cue,
    Hold,
    Server,
    altered,
    cut_after_acting,
    cut_in_answer,
    held,
    refused,
    refused_after_acting,
    running,
    subprocess_running,
)
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.dialects import Options, dialect
from storage_guard.testing.server.s3 import S3Dialect
from storage_guard.testing.server.s3_switches import Keeping, Switches, windows
from unit.s3_calls import NEW, XMLNS, complete_document, nvme

WRITERS = 6
Write = Literal["put", "complete", "copy"]
WRITES: tuple[Write, ...] = ("put", "complete", "copy")
MEMBERS = {"put": "put_new", "complete": "finish_new", "copy": "copy_new"}


@dataclass(frozen=True)
class Told:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def code(self) -> str:
        return self.field("Code") if b"<Error>" in self.body else ""

    def field(self, name: str) -> str:
        return ElementTree.fromstring(self.body.replace(XMLNS, b"")).findtext(name) or ""


class Wire:
    """A client that knows nothing, on a connection for each call."""

    def __init__(self, server: Server | str) -> None:
        self._address = (server if isinstance(server, str) else server.url).removeprefix("http://")

    def __call__(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | Iterable[bytes] = b""
    ) -> Told:
        """A body in pieces comes with its length among the headers."""
        given = {"content-length": str(len(body))} if isinstance(body, bytes) else {}
        with contextlib.closing(http.client.HTTPConnection(self._address, timeout=30)) as connection:
            connection.request(method, path, body, {**given, **(headers or {})})
            answer = connection.getresponse()
            return Told(answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()})

    def get(self, key: str) -> bytes | None:
        told = self("GET", f"/bkt/{key}")
        return told.body if told.status == 200 else None

    def begin(self, key: str, data: bytes, headers: dict[str, str] | None = None) -> tuple[str, bytes]:
        """The path of an upload with one part, and the document that completes it."""
        upload_id = self("POST", f"/bkt/{key}?uploads", headers).field("UploadId")
        path = f"/bkt/{key}?uploadId={upload_id}"
        etag = self("PUT", f"{path}&partNumber=1", {}, data).headers["etag"]
        return path, complete_document([(1, etag)])

    def write(self, write: Write, key: str, data: bytes, headers: dict[str, str] | None = None) -> Callable[[], Told]:
        """A write of `data`, ready to be sent."""
        headers = NEW if headers is None else headers
        match write:
            case "put":
                return lambda: self("PUT", f"/bkt/{key}", headers, data)
            case "complete":
                path, document = self.begin(key, data)
                return lambda: self("POST", path, headers, document)
            case "copy":
                source = f"source/{data.decode()}"
                self("PUT", f"/bkt/{source}", {}, data)
                return lambda: self("PUT", f"/bkt/{key}", {**headers, "x-amz-copy-source": quote(f"/bkt/{source}")})


@contextlib.contextmanager
def served(switches: Switches | None = None, **options: Any) -> Generator[tuple[Wire, Server]]:
    switches = switches or Switches()
    state = Buckets(["bkt", "far"])
    with running(S3Dialect(state, switches=switches, **options), cues=windows(switches)) as server:
        yield Wire(server), server


def switched(write: Write, keeping: Keeping) -> Switches:
    plain = Switches(window_s=0.1)
    match write:
        case "put":
            return replace(plain, put=keeping)
        case "complete":
            return replace(plain, complete=keeping)
        case "copy":
            return replace(plain, copy=keeping)


def others(write: Write) -> list[Write]:
    return [each for each in WRITES if each != write]


@pytest.mark.parametrize("write", WRITES)
def test_ignored_overwrites_without_a_word(write: Write) -> None:
    with served(switched(write, "ignored")) as (wire, _):
        assert wire.write(write, "k", b"first")().status == 200
        assert wire.write(write, "k", b"second")().status == 200
        assert wire.get("k") == b"second"
        for other in others(write):
            assert wire.write(other, "k", b"third")().code == "PreconditionFailed"
        assert wire.get("k") == b"second"


@pytest.mark.parametrize("write", WRITES)
def test_overwritten_refuses_and_replaces(write: Write) -> None:
    with served(switched(write, "overwritten")) as (wire, _):
        assert wire.write(write, "k", b"first")().status == 200
        told = wire.write(write, "k", b"second")()
        assert (told.status, told.code, wire.get("k")) == (412, "PreconditionFailed", b"second")
        for other in others(write):
            assert wire.write(other, "k", b"third")().code == "PreconditionFailed"
        assert wire.get("k") == b"second"


@pytest.mark.parametrize("write", WRITES)
def test_unsupported_is_501_and_writes_without_the_condition(write: Write) -> None:
    with served(switched(write, "unsupported")) as (wire, _):
        told = wire.write(write, "k", b"first")()
        assert (told.status, told.code, told.field("Header")) == (501, "NotImplemented", "If-None-Match")
        assert wire.get("k") is None
        assert wire.write(write, "k", b"first", {"if-match": "*"})().code == "NotImplemented"
        assert wire.write(write, "k", b"first", {})().status == 200
        for other in others(write):
            assert wire.write(other, "k", b"third")().code == "PreconditionFailed"


def test_of_source_refuses_every_copy() -> None:
    with served(Switches(copy="of_source")) as (wire, _):
        assert wire.write("copy", "k", b"first")().code == "PreconditionFailed"
        assert wire.get("k") is None
        assert wire.write("copy", "k", b"first", {})().status == 200
        assert wire.write("put", "k", b"second")().code == "PreconditionFailed"


def race(wire: Wire, write: Write) -> list[int]:
    """The statuses that writers get who start together. Puts meet at their last byte."""
    together = threading.Barrier(WRITERS)

    def contender(number: int) -> Callable[[], Told]:
        data = f"writer-{number}".encode()
        if write != "put":
            send = wire.write(write, "k", data)

            def start() -> Told:
                together.wait(30)
                return send()

            return start

        def pieces() -> Generator[bytes]:
            yield data[:-1]
            together.wait(30)
            yield data[-1:]

        return lambda: wire("PUT", "/bkt/k", {**NEW, "content-length": str(len(data))}, pieces())

    sends = [contender(number) for number in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as pool:
        results = [pool.submit(send) for send in sends]
        return sorted(result.result(60).status for result in results)


@pytest.mark.parametrize("write", WRITES)
def test_raced_lets_several_win_and_one_after_the_other_only_one(write: Write) -> None:
    with served(switched(write, "raced")) as (wire, _):
        statuses = race(wire, write)
        assert statuses.count(200) > 1
        assert set(statuses) <= {200, 412}
        assert wire.write(write, "k", b"late")().code == "PreconditionFailed"
    with served(switched(write, "raced")) as (wire, _):
        assert [wire.write(write, "k", data)().status for data in (b"first", b"second")] == [200, 412]
        assert wire.get("k") == b"first"


@pytest.mark.parametrize("write", WRITES)
def test_kept_has_one_winner(write: Write) -> None:
    with served() as (wire, _):
        for _ in range(5):
            assert race(wire, write) == [200] + [412] * (WRITERS - 1)
            wire("DELETE", "/bkt/k")


@pytest.mark.parametrize("write", WRITES)
def test_held_requests_race_where_they_are_raced(write: Write) -> None:
    """Without a window: both were judged when they came, and written when they were let go."""
    cases: list[tuple[Keeping, list[int]]] = [("raced", [200, 200]), ("kept", [200, 412])]
    for keeping, statuses in cases:
        hold = Hold()
        with served(replace(switched(write, keeping), window_s=0)) as (wire, server):
            server.cues.add(Cue(held(hold), member=MEMBERS[write], key="k", times=2))
            sends = [wire.write(write, "k", data) for data in (b"first", b"second")]
            with ThreadPoolExecutor(2) as pool:
                results = [pool.submit(send) for send in sends]
                hold.wait_for(2)
                hold.release()
                assert sorted(result.result(30).status for result in results) == statuses


@pytest.mark.parametrize("write", WRITES)
def test_a_removal_on_the_way_is_a_conflict_unless_that_is_off(write: Write) -> None:
    for conflicts, status in ((True, 409), (False, 200)):
        hold = Hold()
        with served(Switches(conflicts=conflicts)) as (wire, server):
            send = wire.write(write, "k", b"late")
            wire("PUT", "/bkt/k", {}, b"first")
            server.cues.add(Cue(held(hold), member=MEMBERS[write], key="k"))
            with ThreadPoolExecutor(1) as pool:
                late = pool.submit(send)
                hold.wait_for()
                wire("DELETE", "/bkt/k")
                hold.release()
                told = late.result(30)
            assert (told.status, told.code) == (status, "ConditionalRequestConflict" if conflicts else "")
            assert wire.get("k") == (None if conflicts else b"late")


def test_a_complete_that_comes_again() -> None:
    cases: list[tuple[Literal["done", "unknown", "judged"], int, str]] = [
        ("done", 200, ""),
        ("unknown", 404, "NoSuchUpload"),
        ("judged", 412, "PreconditionFailed"),
    ]
    for replayed, status, code in cases:
        with served(Switches(replayed=replayed)) as (wire, server):
            server.cues.add(Cue(cut_after_acting(), member="finish_new"))
            send = wire.write("complete", "k", b"data")
            with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
                send()
            again = send()
            assert (again.status, again.code, wire.get("k")) == (status, code, b"data")
            # A replay is not another write, even if the object is gone.
            wire("DELETE", "/bkt/k")
            assert (send().status, wire.get("k")) == (200 if replayed == "done" else 404, None)


def test_a_complete_that_comes_again_with_other_parts_is_of_nothing() -> None:
    with served() as (wire, _):
        path, document = wire.begin("k", b"data")
        wire("PUT", "/bkt/k", {}, b"rival")
        assert wire("POST", path, NEW, document).status == 412
        wire("PUT", f"{path}&partNumber=2", {}, b"more")
        assert wire("POST", path, {}, document).status == 200
        assert wire("POST", path, {}, document.replace(b"<PartNumber>1<", b"<PartNumber>2<")).code == "NoSuchUpload"
        assert wire("POST", path.replace("/k?", "/other?"), {}, document).code == "NoSuchUpload"


@pytest.mark.parametrize(("late_abort", "status"), [("unknown", 404), ("accepted", 204)])
def test_an_abort_that_comes_too_late(late_abort: Any, status: int) -> None:
    with served(Switches(late_abort=late_abort)) as (wire, _):
        path, document = wire.begin("k", b"data")
        assert wire("POST", path, NEW, document).status == 200
        assert wire("DELETE", path).status == status
        assert wire("DELETE", path.replace("/k?", "/other?")).status == 404
        assert (wire("GET", path).code, wire.get("k")) == ("NoSuchUpload", b"data")


def test_what_comes_early_stands_in_a_200() -> None:
    with served(Switches(early=True)) as (wire, _):
        wire("PUT", "/bkt/k", {}, b"first")
        for write in others("put"):
            told = wire.write(write, "k", b"second")()
            assert (told.status, told.code, told.field("Condition")) == (200, "PreconditionFailed", "If-None-Match")
            assert b"?>      " in told.body
            other = wire.write(write, f"new-{write}", b"second")()
            assert (other.status, b"?>      " in other.body, other.field("ETag") != "") == (200, True, True)
        assert wire.write("put", "k", b"second")().status == 412
        assert wire.get("k") == b"first"


def test_errors_in_a_200_on_cue() -> None:
    with served() as (wire, server):
        server.cues.add(Cue(refused(200, "InternalError"), member="finish_new", key="a"))
        server.cues.add(Cue(refused_after_acting(200, "InternalError"), member="finish_new", key="b"))
        for key, data in (("a", None), ("b", b"data")):
            told = wire.write("complete", key, b"data")()
            assert (told.status, told.code, wire.get(key)) == (200, "InternalError", data)
        server.cues.add(Cue(refused(409, "ConditionalRequestConflict"), member="finish_new", key="c"))
        told = wire.write("complete", "c", b"data")()
        assert (told.status, told.code, wire.get("c")) == (409, "ConditionalRequestConflict", None)
        server.cues.add(Cue(cut_in_answer(), member="finish_new", key="d"))
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            wire.write("complete", "d", b"data")()
        assert wire.get("d") == b"data"
        server.cues.add(Cue(altered(lambda answer: Answer(answer.status, {}, b"")), member="finish_new", key="e"))
        told = wire.write("complete", "e", b"data")()
        assert (told.status, told.body, wire.get("e")) == (200, b"", b"data")


SUM = {"x-amz-checksum-crc64nvme": nvme(b"data")}


def test_a_store_that_knows_nothing_of_checksums() -> None:
    with served(Switches(checksums="unknown")) as (wire, _):
        put = wire("PUT", "/bkt/k", {"x-amz-checksum-crc64nvme": nvme(b"other")}, b"data")
        head = wire("HEAD", "/bkt/k", {"x-amz-checksum-mode": "ENABLED"})
        path, document = wire.begin("m", b"data", {"x-amz-checksum-algorithm": "CRC64NVME"})
        done = wire("POST", path, {"x-amz-checksum-crc64nvme": nvme(b"other")}, document)
        assert (put.status, done.status, b"Checksum" in done.body) == (200, 200, False)
        for told in (put, head, done, wire("GET", "/bkt/?list-type=2")):
            assert not [name for name in told.headers if "checksum" in name]
            assert b"Checksum" not in told.body
        assert wire("PUT", "/bkt/k", {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, b"data").code == "BadDigest"


@pytest.mark.parametrize(
    ("checksums", "status", "code"), [("invalid", 400, "InvalidArgument"), ("unsupported", 501, "NotImplemented")]
)
def test_a_gateway_that_refuses_checksums(checksums: Any, status: int, code: str) -> None:
    with served(Switches(checksums=checksums)) as (wire, _):
        for headers in (SUM, {"x-amz-sdk-checksum-algorithm": "CRC32"}, {"x-amz-trailer": "x-amz-checksum-crc32"}):
            told = wire("PUT", "/bkt/k", headers, b"data")
            assert (told.status, told.code, wire.get("k")) == (status, code, None)
        assert wire("POST", "/bkt/k?uploads", {"x-amz-checksum-algorithm": "CRC64NVME"}).code == code
        plain = wire("PUT", "/bkt/k", {}, b"data")
        assert (plain.status, [name for name in plain.headers if "checksum" in name]) == (200, [])


def test_a_store_that_wants_a_checksum_with_each_part() -> None:
    for switches, status in ((Switches(), 200), (Switches(part_checksums="required"), 400)):
        with served(switches) as (wire, _):
            begun = wire("POST", "/bkt/k?uploads", {"x-amz-checksum-algorithm": "CRC64NVME"}).field("UploadId")
            path = f"/bkt/k?partNumber=1&uploadId={begun}"
            assert wire("PUT", path, {}, b"data").status == status
            assert wire("PUT", path, SUM, b"data").status == 200


def test_a_gateway_that_hashes_every_body() -> None:
    with served(Switches(unsigned_payload=False)) as (wire, _):
        told = wire("PUT", "/bkt/k", {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, b"data")
        assert (told.status, told.code, wire("HEAD", "/bkt/k").status) == (400, "XAmzContentSHA256Mismatch", 400)


def test_what_is_forbidden_is_denied() -> None:
    with served(Switches(forbidden=frozenset({"head", "scan", "versioning"}))) as (wire, _):
        assert wire.write("put", "k", b"data")().status == 200
        assert (wire("HEAD", "/bkt/k").status, wire("HEAD", "/bkt/none").status) == (403, 403)
        assert (wire.get("k"), wire("GET", "/bkt/none").code) == (b"data", "AccessDenied")
        assert wire("GET", "/bkt/").code == wire("GET", "/bkt/?versioning").code == "AccessDenied"


def test_a_bucket_elsewhere_says_where() -> None:
    with served(Switches(elsewhere={"far": "eu-west-1"})) as (wire, _):
        told = wire("PUT", "/far/k", NEW, b"data")
        assert (told.status, told.code) == (301, "PermanentRedirect")
        assert told.field("Endpoint") == "far.s3.eu-west-1.amazonaws.com"
        head = wire("HEAD", "/far")
        assert (head.status, head.headers["x-amz-bucket-region"]) == (301, "eu-west-1")
        assert wire.write("put", "k", b"data")().status == 200


def test_switches_are_read_from_words() -> None:
    given = {
        "put": "ignored",
        "complete": "raced",
        "copy": "of_source",
        "window_s": "0.5",
        "conflicts": "no",
        "early": "yes",
        "replayed": "judged",
        "late_abort": "accepted",
        "checksums": "unknown",
        "part_checksums": "required",
        "unsigned_payload": "no",
        "forbidden": "head,scan",
        "elsewhere": "far=eu-west-1",
    }
    assert Switches.parsed(given) == Switches(
        put="ignored",
        complete="raced",
        copy="of_source",
        window_s=0.5,
        conflicts=False,
        early=True,
        replayed="judged",
        late_abort="accepted",
        checksums="unknown",
        part_checksums="required",
        unsigned_payload=False,
        forbidden=frozenset({"head", "scan"}),
        elsewhere={"far": "eu-west-1"},
    )
    for wrong in (
        {"put": "broken"},
        {"put": "of_source"},
        {"none": "x"},
        {"early": "maybe"},
        {"window_s": "x"},
        {"window_s": "-1"},
        {"elsewhere": "far"},
    ):
        with pytest.raises(ValueError, match=r"\w"):
            Switches.parsed(wrong)
    with pytest.raises(ValueError, match="no switches"):
        dialect("oss", Options(switches={"put": "ignored"}))
    with pytest.raises(ValueError, match="of an access key"):
        dialect("s3", Options(token="t"))


def test_the_program_serves_s3_with_its_switches() -> None:
    arguments = ("--dialect", "s3", "--bucket", "bkt", "--versioning", "enabled")
    with subprocess_running(
        *arguments, "--switch", "copy=raced", "--switch", "put=ignored", "--region", "x-1"
    ) as child:
        wire = Wire(child.url)
        assert [wire.write("put", "k", data)().status for data in (b"1", b"2")] == [200, 200]
        assert wire("HEAD", "/bkt").headers["x-amz-bucket-region"] == "x-1"
        assert wire("HEAD", "/bkt/k").headers["x-amz-version-id"]
        assert race(wire, "copy").count(200) == 0
        wire("DELETE", "/bkt/k")
        assert race(wire, "copy").count(200) > 1
    with subprocess_running(
        *("--dialect", "s3", "--bucket", "bkt", "--access-key-id", "AKIA", "--access-key-secret", "s"),
        *("--session-token", "t", "--expires-in-s", "-1"),
    ) as child:
        assert Wire(child.url)("PUT", "/bkt/k", {}, b"").code == "AccessDenied"
    with subprocess_running("--dialect", "s3", "--bucket", "bkt", "--discard") as child:
        wire = Wire(child.url)
        assert wire.write("put", "k", b"1")().status == 200
        assert wire.get("k") == b"\0"
