"""An answer is the same however its bytes come in, and until the last has come it is none."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_guard.driver import Lost
from storage_guard.wire.heads import MAX_HEAD_BYTES
from storage_guard.wire.incoming import Incoming
from storage_guard.wire.messages import Answer

SIZED = b"HTTP/1.1 200 OK\r\nETag: e\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;name=value\r\nhel\r\n00002 \r\nlo\r\n0\r\nX-Trailer: t\r\n\r\n"
)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nA: b\r\n\r\n"
ANSWERS: dict[str, tuple[str, bytes, Answer]] = {
    "sized": ("PUT", SIZED, Answer(200, {"etag": "e", "content-length": "5"}, b"hello")),
    "chunked": ("GET", CHUNKED, Answer(404, {"transfer-encoding": "chunked"}, b"hello")),
    "behind interim ones": ("PUT", INTERIM + SIZED, Answer(200, {"etag": "e", "content-length": "5"}, b"hello")),
    "empty": ("PUT", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Answer(200, {"content-length": "0"}, b"")),
    "without a body": ("DELETE", b"HTTP/1.1 204 -\r\n\r\n", Answer(204, {}, b"")),
    "of a head": ("HEAD", SIZED[:-5], Answer(200, {"etag": "e", "content-length": "5"}, b"")),
    "empty chunks": (
        "GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Answer(200, {"transfer-encoding": "chunked"}, b""),
    ),
}


def fed(method: str, pieces: Iterator[bytes], *, answer_bytes: int = 1000) -> Incoming:
    """With all of the pieces, of which only the last may have been enough."""
    incoming = Incoming(method, answer_bytes, "a request")
    whole = False
    for piece in pieces:
        assert not whole, "it was whole before all had come"
        whole = incoming.feed(piece)
    assert whole, "all has come, and it is not whole"
    return incoming


def fails(data: bytes, places: list[int]) -> str:
    """What is said of one that comes in these pieces, and of which only the last is too much."""
    *before, last = cut(data, places)
    incoming = Incoming("GET", 1000, "")
    assert not any(incoming.feed(piece) for piece in before)
    with pytest.raises(Lost) as caught:
        incoming.feed(last)
    return caught.value.message


def cut(data: bytes, places: list[int]) -> Iterator[bytes]:
    for start, stop in itertools.pairwise([0, *places, len(data)]):
        yield data[start:stop]


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_the_same_in_every_two_pieces_and_byte_for_byte(name: str) -> None:
    method, data, answer = ANSWERS[name]
    for place in range(1, len(data)):
        assert fed(method, cut(data, [place])).answer() == answer
    assert fed(method, cut(data, list(range(1, len(data))))).answer() == answer
    assert fed(method, iter([data])).answer() == answer


@given(st.sampled_from(sorted(ANSWERS)), st.lists(st.integers(1, 300)), st.integers(0, 1 << 32))
def test_an_answer_is_the_same_in_any_pieces(name: str, places: list[int], seed: int) -> None:
    method, data, answer = ANSWERS[name]
    chance = random.Random(seed)
    chosen = sorted({each for each in places if each < len(data)} | {chance.randrange(1, len(data))})
    assert fed(method, cut(data, chosen)).answer() == answer


@pytest.mark.parametrize("name", ANSWERS)
def test_one_that_is_cut_anywhere_is_lost(name: str) -> None:
    method, data, _ = ANSWERS[name]
    for place in range(len(data)):
        incoming = Incoming(method, 1000, "put of 'k'")
        assert place == 0 or not incoming.feed(data[:place])
        assert isinstance(incoming.ended(), Lost)
        where = "within the" if place else "without an"
        assert str(incoming.ended()) == f"put of 'k': the connection broke {where} answer"


@pytest.mark.parametrize("name", ANSWERS)
def test_more_than_one_is_none_however_it_comes(name: str) -> None:
    method, data, _ = ANSWERS[name]
    for surplus in (b"x", b"\r\n", SIZED):
        with pytest.raises(Lost):
            Incoming(method, 1000, "").feed(data + surplus)
        incoming = fed(method, iter([data]))
        with pytest.raises(Lost):
            incoming.feed(surplus)


def test_a_connection_may_be_used_again_unless_the_head_says_that_it_closes() -> None:
    assert Incoming("PUT", 1000, "").closes
    for more, closes in ((b"", False), (b"Connection: close\r\n", True)):
        incoming = fed("PUT", iter([b"HTTP/1.1 204 -\r\n" + more + b"\r\n"]))
        assert (incoming.closes, incoming.status) == (closes, 204)


def test_no_answer_has_come_before_its_head_has() -> None:
    incoming = Incoming("PUT", 1000, "")
    incoming.feed(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(AssertionError):
        incoming.answer()


@pytest.mark.parametrize("start", [b"", INTERIM])
def test_what_begins_as_no_answer_does_is_not_waited_for(start: bytes) -> None:
    assert "begins with b'SSH-2.0'" in fails(start + b"SSH-2.0", [len(start)] if start else [])
    assert "begins with b'HTTP/2'" in fails(start + b"HTTP/2", [len(start) + 5])
    assert not Incoming("GET", 1000, "").feed(start + b"HTTP/1.")


def test_an_answer_that_ends_with_its_connection_is_not_waited_for() -> None:
    assert "nothing says" in fails(b"HTTP/1.1 200 OK\r\n\r\n", [])


@given(st.binary(max_size=400), st.sampled_from(["PUT", "HEAD", "GET"]))
def test_noise_is_an_answer_or_lost_and_nothing_else(noise: bytes, method: str) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", CHUNKED[:60]):
        incoming = Incoming(method, 100, "")
        try:
            if incoming.feed(start + noise):
                assert 200 <= incoming.answer().status <= 599
        except Lost:
            pass


@pytest.mark.parametrize(
    "chunks",
    [
        *(b"\r\n", b"x\r\n", b"-1\r\n", b"+1\r\nx\r\n", b"0x1\r\nx\r\n", b" 1\r\nx\r\n", b"1_0\r\n"),
        *(b"1" * 17 + b"\r\n", b"1 2\r\nx\r\n", b"1\r\nxy\r\n", b"1\r\nx\r\r\n"),
        *(b"1\r\nx\n0\r\n\r\n", b"0\r\nno trailer\r\n\r\n"),
        *(b"1\n\r\nx\r\n", b"1;n\nm\r\nx\r\n", b"1;n\rm\r\nx\r\n", b"0\r\nA: b\n\r\n", b"0\r\nA: b\rc\r\n"),
        *(b"1;" + b"n" * 2000, b"1" + b" " * 2000, b"0\r\n" + b"A: b\r\n" * (MAX_HEAD_BYTES // 4)),
    ],
)
def test_chunks_that_have_two_readings_are_none(chunks: bytes) -> None:
    with pytest.raises(Lost):
        Incoming("GET", 1000, "").feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)


def test_a_proxy_that_wants_credentials_need_not_say_where_its_page_ends() -> None:
    incoming = Incoming("PUT", 1000, "a request")
    assert incoming.feed(b"HTTP/1.0 407 Proxy Authentication Required\r\nServer: tiny\r\n\r\n<html>to be ")
    assert (incoming.answer().status, incoming.answer().body, incoming.closes) == (407, b"", True)


@pytest.mark.parametrize("status", [200, 400])
def test_a_body_that_is_too_long_is_not_waited_for(status: int) -> None:
    most = 10 if status == 200 else 1024 * 1024
    for body in (b"Content-Length: %d\r\n\r\n" % (most + 1), b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % (most + 1)):
        with pytest.raises(Lost, match="bytes and more"):
            Incoming("GET", 10, "").feed(b"HTTP/1.1 %d -\r\n" % status + body)
    many = b"1\r\nx\r\n" * (most + 1)
    with pytest.raises(Lost, match="bytes and more"):
        Incoming("GET", 10, "").feed(b"HTTP/1.1 %d -\r\nTransfer-Encoding: chunked\r\n\r\n" % status + many)


@pytest.mark.parametrize("status", [200, 299, 300])
def test_the_bound_is_told_by_how_much_it_is_passed(status: int) -> None:
    most = 1000 if status < 300 else 1024 * 1024
    head = b"HTTP/1.1 %d -\r\nTransfer-Encoding: chunked\r\n\r\n" % status
    chunks = b"%x\r\n" % most + b"x" * most + b"\r\n"
    assert len(fed("GET", iter([head + chunks + b"0\r\n\r\n"])).answer().body) == most
    assert "by 7 bytes" in fails(head + chunks + b"7\r\n", [len(head + chunks)])


def test_the_heads_of_an_answer_may_have_so_many_bytes_together_and_no_more() -> None:
    def heads(size_bytes: int) -> bytes:
        start, end = INTERIM + b"HTTP/1.1 204 -\r\nA: ", b"\r\n\r\n"
        return start + b"b" * (size_bytes - len(start) - len(end)) + end

    for places in ([], [MAX_HEAD_BYTES - 1], [len(INTERIM), MAX_HEAD_BYTES - 1]):
        assert fed("GET", cut(heads(MAX_HEAD_BYTES), places)).answer().status == 204
    for places in ([], [MAX_HEAD_BYTES], [len(INTERIM), MAX_HEAD_BYTES]):
        assert f"more than {MAX_HEAD_BYTES} bytes" in fails(heads(MAX_HEAD_BYTES + 1), places)
    without_end = heads(MAX_HEAD_BYTES + 9)[: MAX_HEAD_BYTES + 1]
    assert f"more than {MAX_HEAD_BYTES} bytes" in fails(without_end, [MAX_HEAD_BYTES])


def test_trailers_count_as_heads() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    first = b"A: " + b"b" * (MAX_HEAD_BYTES - len(head) - 7)
    start = head + b"0\r\n" + first + b"\r\n"
    assert fed("GET", iter([start + b"C: d\r\n\r\n"])).answer().body == b""
    assert "no trailer" in fails(start + b"C: de\r\n", [len(start)])


def test_the_line_of_a_chunk_may_have_so_many_bytes_and_no_more() -> None:
    line = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;" + b"n" * 1022
    for place in range(3):
        assert fed("GET", cut(line + b"\r\nx\r\n0\r\n\r\n", [len(line) + place])).answer().body == b"x"
    for data, places in ((line + b"n\r\n", []), (line + b"nn", [len(line) + 1])):
        assert "chunks" in fails(data, places)
