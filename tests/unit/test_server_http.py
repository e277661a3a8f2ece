"""The server's HTTP: what it takes, what it refuses, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage_guard.clock import SystemClock
from storage_guard.testing.server import (
    Answer,
    Cue,
    Cues,
    Hold,
    Receiving,
    Request,
    Server,
    altered,
    held,
    running,
    subprocess_running,
)
from storage_guard.testing.server.__main__ import main
from storage_guard.testing.server.answering import WrongLength
from storage_guard.testing.server.dialects import Options, dialect
from storage_guard.testing.server.heads import parse
from storage_guard.testing.server.serving import Connection
from storage_guard.testing.server.shared import Shared
from unit.small_dialect import SmallDialect, client_of, get, put

CHUNKED = b"PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = b'5;name="v"\r\nhello\r\n1 \r\n \r\n00005\r\nworld\r\n0\r\nX-Sum: 1\r\nX-More: \r\n\r\n'


@pytest.fixture
def small() -> SmallDialect:
    return SmallDialect()


@pytest.fixture
def server(small: SmallDialect) -> Iterator[Server]:
    with running(small) as server:
        yield server


def test_a_client_of_the_library_reads_what_it_wrote(server: Server, small: SmallDialect) -> None:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    large = os.urandom(3_000_000)
    for name, body in {"empty": b"", "small": b"x", "large": large}.items():
        connection.request("PUT", f"/{name}", body)
        assert connection.getresponse().read() == b""
        connection.request("HEAD", f"/{name}")
        answer = connection.getresponse()
        assert (answer.read(), answer.headers["Content-Length"]) == (b"", str(len(body)))
        connection.request("GET", f"/{name}")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, body)
        assert answer.headers["Date"].endswith("GMT")
    connection.request("DELETE", "/small")
    assert connection.getresponse().status == 204
    connection.close()
    assert set(small.objects) == {"empty", "large"}
    assert server.connections == 1
    assert [(seen.asked.member, seen.status, seen.body_bytes) for seen in server.requests[:3]] == [
        ("put_new", 200, 0),
        ("head", 200, 0),
        ("read", 200, 0),
    ]
    assert server.requests[6].body_bytes == len(large)


class Wire(asyncio.Transport):
    """Where a connection writes to when its pieces are fed by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data


def fed(*pieces: bytes) -> tuple[SmallDialect, bytes]:
    """What a dialect holds, and what was answered, after requests that came in these pieces."""
    small, wire = SmallDialect(), Wire()
    shared = Shared(small, Cues(), None, 10)
    connection = Connection(shared, secure=False)
    connection.connection_made(wire)
    for piece in pieces:
        connection.get_buffer(-1)[: len(piece)] = piece
        connection.buffer_updated(len(piece))
    assert not shared.failures
    return small, bytes(wire.written)


@pytest.mark.parametrize(
    "whole",
    [put("c", b"hello world", "X-Twice: a", "x-twice: b"), CHUNKED + CHUNKS, b"\r\n" + CHUNKED + CHUNKS],
    ids=["sized", "chunked", "after an empty line"],
)
def test_it_does_not_matter_where_requests_are_split(whole: bytes) -> None:
    two = whole + get("c")
    singly = [two[at : at + 1] for at in range(len(two))]
    for pieces in [singly, *([two[:at], two[at:]] for at in range(1, len(two)))]:
        small, answered = fed(*pieces)
        assert small.objects == {"c": b"hello world"}
        assert answered.count(b"HTTP/1.1 200 OK\r\n") == 2
        assert answered.endswith(b"\r\n\r\nhello world")


def test_names_of_fields_are_in_lower_case_and_their_values_joined() -> None:
    small, _ = fed(put("c", b"", "X-Twice: a ", "x-TWICE:\tb"))
    assert small.requests[0].headers["x-twice"] == "a, b"


@pytest.mark.parametrize(
    ("target", "field", "host", "path", "query"),
    [
        ("/a%20b?c&d=%2F?", "Bucket.Example:8080", "bucket.example", "/a%20b", "c&d=%2F?"),
        ("http://B.example:80/k?v", "other", "b.example", "/k", "v"),
        ("HTTP://b.example", "other", "b.example", "/", ""),
        ("http://b.example?v", "other", "b.example", "/", "v"),
        ("http://[::1]:80/k", "other", "[::1]", "/k", ""),
        ("//k//", "[::1]", "[::1]", "//k//", ""),
    ],
)
def test_host_path_and_query_are_those_of_the_target(target: str, field: str, host: str, path: str, query: str) -> None:
    request = parse(f"GET {target} HTTP/1.1\r\nHost: {field}\r\n", secure=True).request
    assert (request.host, request.raw_path, request.raw_query) == (host, path, query)
    assert request.secure


MALFORMED = {
    "no method": (b"\x16\x03\x01", 400),
    "no version": (b"GET /\r\nHost: h\r\n\r\n", 400),
    "a space in the target": (b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "another target": (b"GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "an https target": (b"GET https://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "no name in the target": (b"GET http:///k HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\n", 505),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: h\n\n", 400),
    "a bare line feed": (b"GET / HTTP/1.1\r\nHost: h\r\nA: b\nC: d\r\n\r\n", 400),
    "a bare carriage return": (b"GET / HTTP/1.1\r\nHost: h\r\nA: b\rC: d\r\n\r\n", 400),
    "a NUL": (b"GET / HTTP/1.1\r\nHost: h\r\nA: \0\r\n\r\n", 400),
    "a folded line": (b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", 400),
    "a space after a name": (b"GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", 400),
    "no colon": (b"GET / HTTP/1.1\r\nHost: h\r\nA\r\n\r\n", 400),
    "a negative length": (b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400),
    "two lengths": (b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "a length and chunks": (
        b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "chunks in HTTP/1.0": (b"PUT / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "a coding": (b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "an expectation": (b"PUT / HTTP/1.1\r\nHost: h\r\nExpect: wonders\r\nContent-Length: 1\r\n\r\n", 417),
    "a tunnel": (b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 501),
    "a head that is too large": (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    "a head without end": (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"a" * 70_000, 431),
    "a size that is no number": (CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk that is longer than its size": (CHUNKED + b"4\r\nhello\r\n0\r\n\r\n", 400),
    "a size without end": (CHUNKED + b"5;" + b"a" * 5000, 400),
    "a bare line feed after a size": (CHUNKED + b"5\nhello\r\n0\r\n\r\n", 400),
    "a trailer that is no field": (CHUNKED + b"0\r\nfold ed: 1\r\n\r\n", 400),
    "trailers without end": (CHUNKED + b"0\r\n" + (b"A: " + b"a" * 4000 + b"\r\n") * 20, 431),
}


@pytest.mark.parametrize(("sent", "status"), MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_malformed_is_answered_and_its_connection_closed(
    server: Server, small: SmallDialect, sent: bytes, status: int
) -> None:
    with client_of(server) as client:
        client.send(put("before"), sent)
        assert client.answer()[0] == 200
        answer = client.answer()
        assert answer[0] == status
        assert answer[1]["connection"] == "close"
        assert client.rest() == b""
    assert small.acted == ["PUT before"]
    assert small.cuts == [f"PUT {each.raw_path[1:]} {small.cuts[0].split()[-1]}" for each in small.requests[1:]]


def test_the_refusal_of_a_request_reaches_a_client_that_still_sends(server: Server) -> None:
    with client_of(server) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", bytes(5_000_000))
        assert client.answer()[0] == 400


def test_requests_that_come_together_are_answered_in_their_order(server: Server, small: SmallDialect) -> None:
    large = bytes(range(256)) * 8000
    small.objects["large"] = large
    count = 40
    with client_of(server) as client:
        sending = threading.Thread(target=client.send, args=[(get("large") + put("p") + get("p")) * count])
        sending.start()
        for number in range(count):
            assert client.answer()[2] == large
            assert client.answer()[0] == (409 if number else 200)
            assert client.answer()[2] == b"data"
        sending.join()


def test_requests_that_come_while_one_is_held_wait_for_it(small: SmallDialect) -> None:
    hold = Hold()
    with running(small, cues=Cues(Cue(held(hold), key="first"))) as server, client_of(server) as client:
        client.send(put("first"), *(put(f"p{number}", bytes(1000)) for number in range(200)))
        hold.wait_for()
        assert small.acted == []
        hold.release()
        assert [client.answer()[0] for _ in range(201)] == [200] * 201
    assert small.acted == ["PUT first", *(f"PUT p{number}" for number in range(200))]


def test_a_client_that_expects_leave_is_given_it(server: Server, small: SmallDialect) -> None:
    with client_of(server) as client:
        request = put("e", b"later", "Expect: 100-continue")
        client.send(request[:-5])
        assert client.answer()[0] == 100
        client.send(b"later")
        assert client.answer()[0] == 200
        client.send(put("none", b"", "Expect: 100-continue"))
        assert client.answer()[0] == 200
        client.send(put("with-it", b"now", "Expect: 100-continue"))
        assert client.answer()[0] == 200
        client.send(get("with-it", "Connection: close"))
        assert client.answer()[0] == 200
        assert client.rest() == b""
    assert small.objects == {"e": b"later", "none": b"", "with-it": b"now"}


def test_a_connection_is_kept_or_closed_as_the_client_says(server: Server, small: SmallDialect) -> None:
    small.objects["k"] = b"v"
    for sent, kept in [
        (get("k"), True),
        (get("k", "Connection: close"), False),
        (b"GET /k HTTP/1.0\r\n\r\n", False),
        (b"GET /k HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True),
    ]:
        with client_of(server) as client:
            client.send(sent)
            _, headers, body = client.answer()
            assert (headers["connection"], body) == ("keep-alive" if kept else "close", b"v")
            if kept:
                client.send(get("k", "Connection: close"))
                assert client.answer()[2] == b"v"
            assert client.rest() == b""


def test_a_client_that_says_it_is_done_is_answered_all_the_same(small: SmallDialect) -> None:
    hold = Hold()
    with running(small, cues=Cues(Cue(held(hold)))) as server, client_of(server) as client:
        client.send(put("a"), put("b"))
        client.sock.shutdown(socket.SHUT_WR)
        hold.wait_for()
        hold.release()
        assert [client.answer()[0], client.answer()[0]] == [200, 200]
        assert client.rest() == b""


def test_the_head_of_an_answer_is_the_dialects_where_it_says_so(small: SmallDialect) -> None:
    small.objects["k"] = b"v"
    headers = {"Server": "Mine", "DATE": "today", "connection": "Close", "X-A": "1"}
    with running(small, cues=Cues(Cue(altered(lambda answer: Answer(299, headers, answer.body))))) as server:
        with client_of(server) as client:
            client.send(get("k"))
            status, got, body = client.answer()
            assert client.rest() == b""
    assert (status, body) == (299, b"v")
    assert got == {"server": "Mine", "date": "today", "connection": "Close", "x-a": "1", "content-length": "1"}


@pytest.mark.parametrize("sent", [put("k", bytes(100))[:-1], CHUNKED + b"64\r\n" + bytes(99)], ids=["sized", "chunked"])
def test_a_body_that_stops_early_is_forgotten(server: Server, small: SmallDialect, sent: bytes) -> None:
    with client_of(server) as client:
        client.send(sent)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.rest() == b""
    server.wait_idle()
    assert small.objects == {}
    assert [cut.split()[-1] for cut in small.cuts] == ["99"]
    assert [(seen.status, seen.body_bytes) for seen in server.requests] == [(None, 99)]


def meeting_bugs(small: SmallDialect, count: int, then: Exception | None = None) -> None:
    with running(small) as server:
        for _ in range(count):
            with client_of(server) as client:
                client.send(get("k", method="POST"))
                assert client.answer()[0] == 500
                assert client.rest() == b""
        if then is not None:
            raise then


def test_a_bug_of_the_dialect_is_a_500_and_is_raised_at_the_end(small: SmallDialect) -> None:
    with pytest.raises(RuntimeError, match="a bug of the dialect"):
        meeting_bugs(small, 1)


def test_several_bugs_are_raised_as_a_group(small: SmallDialect) -> None:
    with pytest.raises(ExceptionGroup) as raised:
        meeting_bugs(small, 2)
    assert len(raised.value.exceptions) == 2


def test_a_bug_does_not_hide_what_the_block_raised(small: SmallDialect) -> None:
    with pytest.raises(KeyError, match="of the block") as raised:
        meeting_bugs(small, 1, KeyError("of the block"))
    assert "a bug of the dialect" in raised.value.__notes__[0]


class Liar(SmallDialect):
    """Its answer is not as long as it says."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer

    def receive(self, request: Request) -> Receiving:
        self.requests.append(request)
        return _Lying(self._answer)


class _Lying(Receiving):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def take(self, data: memoryview) -> None: ...

    def end(self) -> Answer:
        return self._answer

    def cut(self) -> None: ...


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, {}, b"abc", 4),
        Answer(200, {}, b"abc", 2),
        Answer(200, {}, [b"a", b"bc"], 2),
        Answer(200, {}, [b"abc"]),
        Answer(200, {}, bytes(100_000), 100_001),
        Answer(200, {}, bytes(100_000), 99_999),
        Answer(200, {}, [bytes(100_000), b"", b"b"], 100_000),
    ],
    ids=["shorter", "longer", "pieces", "pieces of no length", "large, shorter", "large, longer", "large pieces"],
)
def test_a_body_of_another_length_than_the_dialect_says_is_a_bug(answer: Answer) -> None:
    with pytest.raises(WrongLength), running(Liar(answer)) as server:
        ask_for(server, begun=(answer.body_bytes or 0) > 1000)


def ask_for(server: Server, *, begun: bool) -> None:
    with client_of(server) as client:
        client.send(get("k"))
        if begun:
            with pytest.raises(ConnectionResetError):
                client.rest()
        else:
            assert client.answer()[0] == 500


def test_what_a_request_does_is_one_step(server: Server, small: SmallDialect) -> None:
    def create(name: str) -> list[int]:
        with client_of(server) as client:
            client.send(*(put(f"k{number}", name.encode() * 100) for number in range(100)))
            return [client.answer()[0] for _ in range(100)]

    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(create, "abcdefgh"))
    for number in range(100):
        won = [name for name, each in zip("abcdefgh", verdicts, strict=True) if each[number] == 200]
        assert len(won) == 1
        assert small.objects[f"k{number}"] == won[0].encode() * 100
    assert len(small.threads) == 1


def test_thousands_of_connections_leave_no_descriptor_behind(server: Server) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(2000):
        with client_of(server) as client:
            client.send(put(f"k{number}") if number % 2 else put("cut", bytes(9))[:-1])
            if number % 2:
                assert client.answer()[0] == 200
    assert server.connections == 2000
    within(lambda: server.open_connections == 0)
    assert len(os.listdir("/proc/self/fd")) <= before


def within(law: Callable[[], bool], timeout_s: float = 20.0) -> None:
    clock = SystemClock()
    until_s = clock.now_s() + timeout_s
    while not law():
        assert clock.now_s() < until_s
        clock.sleep(0.005)


def test_the_server_stops_while_requests_hang(small: SmallDialect) -> None:
    hold = Hold()
    with contextlib.ExitStack() as stack:
        small.objects["large"] = bytes(50_000_000)
        with running(small, cues=Cues(Cue(held(hold), key="held"))) as server:
            clients = [stack.enter_context(client_of(server)) for _ in range(4)]
            clients[0].send(put("held"))
            clients[1].send(put("cut", bytes(10))[:-5])
            clients[2].send(get("large"))
            hold.wait_for()
            clients[2].sock.recv(1)
            within(lambda: len(small.requests) == 3)
        hold.release()
        for client in clients:
            with pytest.raises(ConnectionResetError):
                client.rest()
    assert small.acted == ["GET large"]
    assert sorted(small.cuts) == ["PUT cut 5", "PUT held 4"]


def test_a_port_that_is_taken_is_said_at_once(server: Server) -> None:
    with pytest.raises(OSError, match="in use"), running(SmallDialect(), port=server.port):
        pytest.fail("two servers on a port")


def test_what_is_remembered_is_bounded(small: SmallDialect) -> None:
    with running(small, remembered=3) as server, client_of(server) as client:
        for number in range(5):
            client.send(put(f"k{number}"))
            client.answer()
        assert [seen.asked.key for seen in server.requests] == ["k2", "k3", "k4"]


def test_a_child_serves_until_its_block_ends() -> None:
    with subprocess_running("--dialect", "oss", "--bucket", "bkt", "--latency-ms", "1") as child:
        connection = http.client.HTTPConnection("127.0.0.1", child.port, timeout=20)
        connection.request("PUT", "http://bkt.oss-cn-hangzhou.aliyuncs.com/key", b"data")
        assert connection.getresponse().read() == b""
        connection.request("GET", "/bkt/key")
        assert connection.getresponse().read() == b"data"
        connection.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", child.port), timeout=20)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dialect", "oss", "--bucket", "NO"],
        ["--dialect", "oss", "--access-key-id", "alone"],
        ["--dialect", "oss", "--store", "/no/such/folder"],
        ["--dialect", "oss", "--latency-ms", "-1"],
        ["--dialect", "oss", "--discard", "--access-key-id", "a", "--access-key-secret", "b"],
        ["--dialect", "oss", "--host", "192.0.2.1"],
        ["--dialect", "oss", "--switch", "put=ignored"],
        ["--dialect", "oss", "--session-token", "of nobody"],
        ["--dialect", "s3", "--switch", "put"],
        ["--dialect", "s3", "--switch", "put=broken"],
    ],
)
def test_the_program_says_what_it_cannot_do(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("storage_guard.testing.server: ")


def test_a_dialect_whose_library_is_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith(("storage_guard.testing.server.s3", "awscrt"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "awscrt", None)
    assert main(["--dialect", "s3", "--bucket", "bkt"]) == 2
    needs = "the dialect s3 needs awscrt: pip install 'storage-guard[s3]'"
    assert capsys.readouterr().err == f"storage_guard.testing.server: {needs}\n"


def test_a_child_that_cannot_start_is_an_error() -> None:
    said = r"^the server did not start; it said:\nstorage_guard\.testing\.server: .*NO"
    with pytest.raises(RuntimeError, match=said), subprocess_running("--dialect", "oss", "--bucket", "NO"):
        pytest.fail("it runs")


def test_what_a_child_says_is_heard_here_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), subprocess_running("--dialect", "oss", "--bucket", "NO"):
        pytest.fail("it runs")
    assert capsys.readouterr().err.startswith("storage_guard.testing.server: ")


def test_a_child_that_does_not_end_well_is_an_error_with_its_last_words() -> None:
    with pytest.raises(RuntimeError, match=r"^the server ended with -9$"):
        with subprocess_running("--dialect", "oss", "--bucket", "bkt") as child:
            os.kill(child.pid, signal.SIGKILL)


def test_a_child_that_says_much_is_quoted_by_its_end() -> None:
    with pytest.raises(RuntimeError, match="did not start") as caught, subprocess_running("--no-such-option"):
        pytest.fail("it runs")
    lines = str(caught.value).splitlines()
    assert len(lines) == 11  # of more, which the usage is
    assert "the following arguments are required" in lines[-1]


def test_what_a_block_raises_is_raised_whatever_becomes_of_the_child() -> None:
    def block() -> None:
        with subprocess_running("--dialect", "oss", "--bucket", "bkt") as child:
            os.kill(child.pid, signal.SIGKILL)
            raise KeyError

    with pytest.raises(KeyError):
        block()


def test_an_unknown_dialect_is_an_error() -> None:
    with pytest.raises(ValueError, match="no dialect 'ftp': there is oss, s3"):
        dialect("ftp", Options())
