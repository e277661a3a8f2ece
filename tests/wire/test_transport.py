"""What an exchange sends, and what it brings back."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from storage_guard.body import WINDOW_BYTES, Body, BytesBody
from storage_guard.driver import Lost, Refused
from storage_guard.wire.messages import Answer, Request
from storage_guard.wire.settings import Settings
from storage_guard.wire.transport import Transport
from wire.bodies import Windows
from wire.scripted import OK, Heard, scripted

LARGE = 700_000  # several windows


def ok(_heard: Heard) -> bytes:
    return OK


def test_the_answer_is_the_servers() -> None:
    answer = b'HTTP/1.1 404 No\r\nX-One: a\r\nx-one:  b \r\nETag: "e"\r\nContent-Length: 3\r\n\r\nno!'
    with scripted(lambda heard: answer) as server:
        got = Transport(Settings()).exchange(Request("GET", server.url + "/k", {}))
    assert got == Answer(404, {"x-one": "a, b", "etag": '"e"', "content-length": "3"}, b"no!")


def test_the_length_that_a_head_tells_is_no_bodys() -> None:
    size_bytes = 48 * 2**40
    with scripted(lambda heard: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size_bytes) as server:
        transport = Transport(Settings())
        for _ in range(2):
            got = transport.exchange(Request("HEAD", server.url + "/k", {}))
            assert (got.status, got.headers["content-length"]) == (200, str(size_bytes))
        with pytest.raises(Lost, match="bytes"):
            transport.exchange(Request("GET", server.url + "/k", {}))


@pytest.mark.parametrize("path", ["/b/%2E%2E/x", "/b/../x", "/b/./x", "//x", "/b/a%2Fb%20c+d~*()?x=%2F&y", "/?a"])
def test_a_path_arrives_as_it_was_given(path: str) -> None:
    with scripted(ok) as server:
        Transport(Settings()).exchange(Request("PUT", server.url + path, {}, b"x"))
        assert server.heard[0].line == f"PUT {path} HTTP/1.1"


@pytest.mark.parametrize("method", ["PUT", "POST", "GET", "HEAD", "DELETE"])
def test_nothing_is_sent_that_was_not_asked_for(method: str) -> None:
    with scripted(lambda heard: b"HTTP/1.1 204 -\r\n\r\n") as server:
        transport = Transport(Settings(user_agent="me"))
        transport.exchange(Request(method, server.url + "/k", {"Date": "now", "X-Empty": "", "X-Space": " "}))
    lines = server.heard[0].head.split("\r\n")[1:-1]
    names = [line.partition(":")[0] for line in lines]
    assert names == ["Host", "User-Agent", "Date", "X-Empty", "X-Space"] + ["Content-Length"] * (method[0] == "P")
    assert lines[1:3] == ["User-Agent: me", "Date: now"]


@pytest.mark.parametrize("size_bytes", [0, 1, WINDOW_BYTES, WINDOW_BYTES + 1, LARGE, 5_000_000])
def test_a_body_arrives_whole(size_bytes: int) -> None:
    data = bytes(range(251)) * (size_bytes // 251 + 1)
    data = data[:size_bytes]
    with scripted(ok) as server:
        transport = Transport(Settings())
        for body in (BytesBody(data), data):
            transport.exchange(Request("PUT", server.url + "/k", {"Content-Type": "a/b"}, body))
        assert [heard.body == data for heard in server.heard] == [True, True]
        assert "Content-Type: a/b" in server.heard[0].head
        assert "xpect" not in server.heard[0].head
        assert server.connections == 1


def test_one_connection_carries_every_kind_of_request_in_any_order() -> None:
    kinds = [("PUT", b"x" * LARGE), ("HEAD", None), ("PUT", b""), ("GET", None), ("POST", b"abc"), ("DELETE", None)]
    order = kinds + kinds[::-1] + kinds[::2] + kinds[1::2]
    with scripted(lambda heard: OK[:-2] if heard.line.startswith("HEAD") else OK) as server:
        transport = Transport(Settings())
        for method, data in order:
            body = None if data is None else BytesBody(data)
            answer = transport.exchange(Request(method, server.url + "/k", {}, body))
            assert answer.body == (b"" if method == "HEAD" else b"ok")
        assert [(heard.line.split()[0], heard.body) for heard in server.heard] == [
            (method, data or b"") for method, data in order
        ]
        assert server.connections == 1


@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_a_large_answer_comes_whole(framing: str) -> None:
    data = b"0123456789abcdef" * (1 << 20)
    if framing == "sized":
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data
    else:
        answer = (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(data) + data + b"\r\n0\r\nX: y\r\n\r\n"
        )
    with scripted(lambda heard: answer) as server:
        transport = Transport(Settings())
        request = Request("GET", server.url + "/k", {}, answer_bytes=len(data))
        assert transport.exchange(request).body == data
        assert transport.exchange(request)._replace(body=b"").headers.keys() <= {"content-length", "transfer-encoding"}
        with pytest.raises(Lost):
            transport.exchange(request._replace(answer_bytes=len(data) - 1))


def test_the_bound_of_an_answer_is_not_that_of_an_error() -> None:
    answers = iter(
        [b"HTTP/1.1 200 -\r\nContent-Length: 5\r\n\r\n12345", b"HTTP/1.1 400 -\r\nContent-Length: 5\r\n\r\n12345"]
    )
    with scripted(lambda heard: next(answers)) as server:
        transport = Transport(Settings())
        request = Request("GET", server.url + "/k", {}, answer_bytes=4)
        with pytest.raises(Lost) as caught:
            transport.exchange(request)
        assert caught.value.status == 200
        assert transport.exchange(request).body == b"12345"


def test_interim_answers_are_passed_over() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nX: 1\r\n\r\n"
    with scripted(lambda heard: interim + OK) as server:
        answer = Transport(Settings()).exchange(Request("PUT", server.url + "/k", {}, b"x"))
    assert answer == Answer(200, {"content-length": "2"}, b"ok")


def test_credentials_do_not_follow_a_redirect() -> None:
    with scripted(ok) as other:
        answer = f"HTTP/1.1 307 -\r\nLocation: {other.url}/k\r\nContent-Length: 0\r\n\r\n".encode()
        with scripted(lambda heard: answer) as server:
            got = Transport(Settings()).exchange(Request("PUT", server.url + "/k", {"Authorization": "s"}, b"x"))
        assert got.status == 307
        assert (len(server.heard), other.connections) == (1, 0)


def test_what_a_server_sets_is_not_sent_back() -> None:
    with scripted(lambda heard: OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\n\r\n")) as server:
        transport = Transport(Settings())
        for _ in range(2):
            transport.exchange(Request("GET", server.url + "/k", {}))
        assert "a=b" not in server.heard[1].head


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("difference", [-1, 1])
def test_a_body_of_another_length_is_never_sent_whole(small: bool, difference: int) -> None:
    size_bytes = 2000 if small else LARGE
    piece = b"x" * 250
    there = [piece] * ((size_bytes + difference * 1000) // 250)
    with scripted(ok) as server:
        body = Windows(size_bytes, there)
        with pytest.raises(Refused) as caught:
            Transport(Settings()).exchange(Request("PUT", server.url + "/k", {}, body))
    assert caught.value.why == "request"
    assert (server.heard, body.closed) == ([], 1)


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("failure", [OSError("gone"), KeyboardInterrupt(), SystemExit(3), Lost("mine")])
def test_what_a_body_raises_comes_out_as_it_is_and_nothing_is_whole(small: bool, failure: BaseException) -> None:
    size_bytes = 2000 if small else LARGE
    some, all_of_them = [b"x" * 500], [b"x" * 500] * (size_bytes // 500)
    for pieces in (some, all_of_them):
        body = Windows(size_bytes, pieces, failure)
        with scripted(ok) as server:
            transport = Transport(Settings())
            with pytest.raises(type(failure)) as caught:
                transport.exchange(Request("PUT", server.url + "/k", {}, body))
            assert caught.value is failure
            assert (server.heard, body.closed) == ([], 1)
            transport.exchange(Request("PUT", server.url + "/k", {}, b"next"))
            assert [heard.body for heard in server.heard] == [b"next"]


def test_the_log_tells_what_happened_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "storage_guard.wire")
    answers = iter([OK, None])
    with scripted(lambda heard: next(answers)) as server:
        transport = Transport(Settings())
        request = Request("PUT", server.url + "/k?Signature=SECRET", {"Authorization": "SECRET"}, b"SECRET")
        transport.exchange(request)
        with pytest.raises(Lost):
            transport.exchange(request)
    done, failed = caplog.messages
    assert re.fullmatch(rf"PUT {server.url}/k: 200, 6 bytes sent, 2 received, [\d.]+ ms", done)
    assert re.fullmatch(rf"PUT {server.url}/k: Lost, 6 bytes to send, [\d.]+ ms", failed)
    assert "SECRET" not in repr(request)


def test_nothing_is_logged_unless_somebody_listens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "storage_guard.wire")
    with scripted(ok) as server:
        Transport(Settings()).exchange(Request("GET", server.url + "/k", {}))
    assert caplog.records == []


def test_a_body_may_be_read_over_the_same_transport() -> None:
    there = b"0123456789" * 100_000

    def script(heard: Heard) -> bytes:
        if heard.line.startswith("PUT"):
            return OK
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(there) + there

    with scripted(script) as server:
        transport = Transport(Settings())

        class Remote(Body):
            @property
            def size_bytes(self) -> int:
                return 2 * len(there)

            def windows(self) -> Iterator[memoryview]:
                for _ in range(2):
                    got = transport.exchange(Request("GET", server.url + "/k", {})).body
                    yield from BytesBody(got).windows()

        assert transport.exchange(Request("PUT", server.url + "/k", {}, Remote())).status == 200
        assert [heard.body for heard in server.heard if heard.body] == [there * 2]
