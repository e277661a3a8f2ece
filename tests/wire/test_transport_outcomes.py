"""What an exchange that fails says: whether anything of it was sent."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from storage_guard.body import BytesBody
from storage_guard.driver import Busy, Lost, Refused
from storage_guard.wire.messages import Request
from storage_guard.wire.settings import Settings
from storage_guard.wire.transport import Transport
from wire.scripted import OK, Heard, closed_port, scripted

LARGE = b"x" * 700_000
BODIES = {"none": None, "empty": b"", "small": b"small", "windows": BytesBody(LARGE)}


def reset(sock: socket.socket) -> None:
    """From now on, to close it resets the connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize(
    ("method", "body"),
    [
        *((method, body) for method in ("PUT", "POST") for body in BODIES),
        ("GET", "none"),
        ("HEAD", "none"),
        ("DELETE", "none"),
    ],
)
def test_a_request_on_a_reused_connection_that_dies_is_sent_once(method: str, body: str, resets: bool) -> None:
    def script(heard: Heard) -> bytes | None:
        if (heard.connection, heard.number) != (1, 2):
            return OK[:-2] if heard.line.startswith("HEAD") else OK
        if resets:
            reset(heard.sock)
        return None

    with scripted(script) as server:
        transport = Transport(Settings())
        request = Request(method, server.url + "/k", {}, BODIES[body])
        transport.exchange(request)
        with pytest.raises(Lost):
            transport.exchange(request)
        assert [(heard.connection, heard.number) for heard in server.heard] == [(1, 1), (1, 2)]
        assert transport.exchange(request).status == 200
        assert len(server.heard) == 3


def test_a_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    closed = threading.Event()

    def script(heard: Heard) -> bytes | None:
        if heard.number == 1 and heard.connection == 1:
            heard.sock.sendall(OK)
            heard.sock.shutdown(socket.SHUT_RDWR)
            closed.set()
        return OK

    with scripted(script) as server:
        transport = Transport(Settings())
        transport.exchange(Request("PUT", server.url + "/k", {}, b"x"))
        assert closed.wait(10)
        threading.Event().wait(0.05)  # as long as a connection rests before it is looked at, and more
        assert transport.exchange(Request("PUT", server.url + "/k", {}, b"y")).status == 200
        assert [heard.body for heard in server.heard] == [b"x", b"y"]


def test_a_connection_of_which_the_server_said_that_it_closes_is_not_used_again() -> None:
    with scripted(lambda heard: OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as server:
        transport = Transport(Settings())
        for body in (b"x", b"y"):
            assert transport.exchange(Request("PUT", server.url + "/k", {}, body)).status == 200
        assert [(heard.connection, heard.body) for heard in server.heard] == [(1, b"x"), (2, b"y")]


def test_an_answer_that_nobody_waits_for_is_nobodys() -> None:
    sent = threading.Event()

    def script(heard: Heard) -> bytes:
        if len(heard.body) > 1:
            return OK
        heard.sock.sendall(OK)
        # Later than the first, so that it is not read along with it.
        threading.Event().wait(0.05)
        heard.sock.sendall(b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n")
        sent.set()
        return b""

    with scripted(script) as server:
        transport = Transport(Settings())
        assert transport.exchange(Request("PUT", server.url + "/k", {}, b"x")).status == 200
        assert sent.wait(10)
        assert transport.exchange(Request("PUT", server.url + "/k", {}, b"yy")).status == 200


ANSWERS_THAT_ARE_NONE = {
    "nothing": b"",
    "not http": b"SSH-2.0-OpenSSH\r\n\r\n",
    "http 0.9": b"hello",
    "half a status line": b"HTTP/1.1 20",
    "cut behind the status line": b"HTTP/1.1 200 OK\r\n",
    "cut in the head": b"HTTP/1.1 200 OK\r\nETag: 1\r\nContent-Le",
    "cut behind a header": b"HTTP/1.1 200 OK\r\nETag: 1\r\n",
    "cut behind an empty-bodied head's last header": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
    "cut in the body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    "cut in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    "cut before the last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    "chunks that are none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n0\r\n\r\n",
    "no end": b"HTTP/1.1 200 OK\r\n\r\nuntil the connection ends",
    "no end, as was said": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the connection ends",
    "no end, as of old": b"HTTP/1.0 200 OK\r\n\r\nuntil the connection ends",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\nok",
    "two ways to end": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nk\r\n0\r\n\r\n",
    "no number for a length": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "no colon": b"HTTP/1.1 200 OK\r\nContent-Length 2\r\n\r\nok",
    "a NUL": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "another version": b"HTTP/2 200\r\nContent-Length: 2\r\n\r\nok",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
    "a status that is none": b"HTTP/1.1 999 OK\r\nContent-Length: 2\r\n\r\nok",
    "only an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 -\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    "two answers": OK + OK,
    "a yes and a no": OK + b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n",
    "a no and a yes": b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n" + OK,
    "a body where there is none": b"HTTP/1.1 204 -\r\n\r\nbody",
    "more headers than anybody needs": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 2000 + b"Content-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("answer", ANSWERS_THAT_ARE_NONE)
def test_an_answer_that_cannot_be_understood_is_none(answer: str) -> None:
    def script(heard: Heard) -> None:
        heard.sock.sendall(ANSWERS_THAT_ARE_NONE[answer])

    with scripted(script) as server:
        for body in (b"small", BytesBody(LARGE)):
            with pytest.raises(Lost):
                Transport(Settings()).exchange(Request("PUT", server.url + "/k", {}, body))
        assert len(server.heard) == 2


def flood(piece: bytes, start: bytes) -> Iterator[bytes]:
    yield start
    yield from itertools.repeat(piece * 1000, 20_000)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-Long: " + b"y" * 90 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 100),
        (b"", b"HTTP/1.1 100 Continue\r\nX: " + b"y" * 70 + b"\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"20\r\n" + b"y" * 32 + b"\r\n"),
        (b"HTTP/1.1 500 -\r\nTransfer-Encoding: chunked\r\n\r\n", b"20\r\n" + b"y" * 32 + b"\r\n"),
    ],
)
def test_an_answer_without_end_is_cut_off(start: bytes, piece: bytes) -> None:
    sent_bytes = 0

    def script(heard: Heard) -> None:
        nonlocal sent_bytes
        for each in flood(piece, start):
            heard.sock.sendall(each)  # fails when the client has gone
            sent_bytes += len(each)

    with scripted(script) as server:
        with pytest.raises(Lost):
            Transport(Settings()).exchange(Request("GET", server.url + "/k", {}, answer_bytes=1000))
    assert sent_bytes < 50_000_000


def test_a_refusal_before_the_body_has_come_is_an_answer_and_consent_is_not() -> None:
    for status in (200, 403):
        listener = socket.create_server(("127.0.0.1", 0))

        def answer_early(listener: socket.socket = listener, status: int = status) -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(1000)
                sock.sendall(b"HTTP/1.1 %d -\r\nContent-Length: 2\r\n\r\nno" % status)
                while status == 403 and sock.recv(65536):
                    pass

        thread = threading.Thread(target=answer_early)
        thread.start()
        with listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/k"
            transport = Transport(Settings(idle_timeout_s=1))
            request = Request("PUT", url, {}, BytesBody(bytes(100_000_000)))
            if status == 403:
                assert transport.exchange(request).status == 403
            else:
                with pytest.raises(Lost):
                    transport.exchange(request)
            transport.close()
            thread.join(10)


def test_nothing_was_sent_where_nobody_listens() -> None:
    with pytest.raises(Busy):
        Transport(Settings()).exchange(Request("PUT", f"http://127.0.0.1:{closed_port()}/k", {}, b"x"))


def test_nothing_was_sent_to_a_host_without_address() -> None:
    with pytest.raises(Busy):
        Transport(Settings()).exchange(Request("PUT", "http://nobody.invalid/k", {}, b"x"))


def test_nothing_was_sent_over_a_handshake_that_failed() -> None:
    def script(heard: Heard) -> None:
        raise AssertionError(heard)

    with scripted(script) as server:
        # What comes back is no TLS.
        url = server.url.replace("http:", "https:") + "/k"
        with pytest.raises(Busy):
            Transport(Settings(connect_timeout_s=0.3)).exchange(Request("PUT", url, {}, b"x"))
        assert server.heard == []


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://h/k", "file:///etc/passwd", "h/k", "http:///k", "http://h:port/k", "http://user:pw@h/k", ""),
        *("http://h:65536/k", "http://[:::1:]/k", f"http://{'a' * 64}.invalid/k", "http://a..invalid/k"),
        *("http://h/a b", "http://h/a\r\nX: y", "http://h/\u00e9", "http://h/k#f", "http://h\\@i/k", "http://h/\0"),
    ],
)
def test_a_url_that_would_be_sent_as_something_else_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(Refused) as caught:
        Transport(Settings()).exchange(Request("PUT", url, {}, b"x"))
    assert caught.value.why == "request"
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        *(
            {"X": "a\r\nY: b"},
            {"X": "a\nb"},
            {"X\r\nY": "a"},
            {"X: a\r\nY": "b"},
            {"": "a"},
            {"X": "a\0"},
            {"X": "\u00e9"},
        ),
        *({"Transfer-Encoding": "chunked"}, {"Connection": "close"}, {"Expect": "100-continue"}, {"Cookie": "a=b"}),
        *({"Proxy-Authorization": "Basic eA=="}, {"Content-Length": "7"}, {"content-length": "x"}, {"X": "a\0"}),
    ],
)
def test_headers_that_would_not_stay_what_they_are_are_refused(headers: dict[str, str]) -> None:
    def script(heard: Heard) -> bytes:
        raise AssertionError(heard)

    with scripted(script) as server:
        with pytest.raises(Refused) as caught:
            Transport(Settings()).exchange(Request("PUT", server.url + "/k", headers, b"x"))
        assert caught.value.why == "request"
        with pytest.raises(Refused):
            Transport(Settings()).exchange(Request("PUT /k HTTP/1.1\r\n", server.url + "/k", {}, b"x"))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_only_asks_has_no_body(method: str) -> None:
    with pytest.raises(Refused):
        Transport(Settings()).exchange(Request(method, f"http://127.0.0.1:{closed_port()}/k", {}, b"x"))


def test_a_content_length_that_is_right_is_sent_once() -> None:
    with scripted(lambda heard: OK) as server:
        Transport(Settings()).exchange(Request("PUT", server.url + "/k", {"Content-Length": "1"}, b"x"))
        assert server.heard[0].head.lower().count("content-length") == 1


class Silent:
    """Never says a word, from the `stage` on."""

    def __init__(self, stage: str) -> None:
        self._over = threading.Event()
        self._stage = stage

    def __call__(self, heard: Heard) -> None:
        if self._stage == "body":
            heard.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        elif self._stage == "drip":
            heard.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
            while not self._over.wait(0.1):
                heard.sock.sendall(b".")
        self._over.wait(20)

    def release(self) -> None:
        self._over.set()


@pytest.mark.parametrize(
    ("stage", "body", "main"),
    [
        *(("head", "small", True), ("body", "windows", False)),
        ("head", "none", False),
    ],
)
def test_silence_ends_an_exchange(stage: str, body: str, main: bool) -> None:
    script = Silent(stage)
    outcome: list[object] = []
    with scripted(script) as server:
        transport = Transport(Settings(idle_timeout_s=0.2))

        def exchange() -> None:
            try:
                outcome.append(transport.exchange(Request("PUT", server.url + "/k", {}, BODIES[body])))
            except Lost as exc:
                outcome.append(exc)

        if main:
            exchange()
        else:
            thread = threading.Thread(target=exchange)
            thread.start()
            thread.join(20)
        script.release()
    assert isinstance(outcome[0], Lost)


@pytest.mark.parametrize("settings", [Settings(idle_timeout_s=0.5), Settings(idle_timeout_s=0.5, total_timeout_s=1.0)])
def test_a_drip_is_no_silence_and_has_its_own_bound(settings: Settings) -> None:
    script = Silent("drip")
    with scripted(script) as server:
        request = Request("GET", server.url + "/k", {})
        outcome: list[BaseException] = []

        def exchange() -> None:
            try:
                Transport(settings).exchange(request)
            except Lost as exc:
                outcome.append(exc)

        thread = threading.Thread(target=exchange)
        thread.start()
        thread.join(1.5 if settings.total_timeout_s is None else 20)
        assert bool(outcome) == (settings.total_timeout_s is not None)
        script.release()
        thread.join(20)
    assert isinstance(outcome[0], Lost)


def test_the_time_a_body_takes_is_not_the_services() -> None:
    class Slow(BytesBody):
        def windows(self) -> Iterator[memoryview]:
            for at, window in enumerate(super().windows()):
                if at == 1:
                    threading.Event().wait(1.2)
                yield window

    with scripted(lambda heard: OK) as server:
        transport = Transport(Settings(idle_timeout_s=0.6))
        assert transport.exchange(Request("PUT", server.url + "/k", {}, Slow(LARGE))).status == 200
