"""Faults on cue: what the client sees, and whether the service acted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from storage_guard.clock import SystemClock
from storage_guard.testing.server import (
    HALF,
    Action,
    Answer,
    Asked,
    Cue,
    Cues,
    Hold,
    Refusal,
    Server,
    altered,
    cut_after_acting,
    cut_before_acting,
    cut_in_answer,
    cut_in_request,
    delayed,
    held,
    refused,
    refused_after_acting,
    running,
)
from unit.small_dialect import SmallDialect, client_of, get, put

BODY = bytes(range(256)) * 16
CHUNKED = b"PUT /k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + BODY[:1024] + b"\r\n"


@pytest.fixture
def small() -> SmallDialect:
    return SmallDialect()


@pytest.fixture
def server(small: SmallDialect) -> Iterator[Server]:
    with running(small) as server:
        yield server


def told(server: Server, sent: bytes) -> tuple[int, bytes] | str:
    """What one request comes to, on a connection of its own: status and body, "reset" or "closed", and after how much
    of an answer."""
    with client_of(server) as client:
        client.send(sent)
        try:
            status, _, body = client.answer(bodiless=sent.startswith(b"HEAD"))
            return status, body
        except ConnectionResetError:
            return "reset"
        except EOFError as exc:
            return f"closed {exc}"


CUTS: dict[str, tuple[Callable[..., Action], bool]] = {
    "before acting": (cut_before_acting, False),
    "after acting": (cut_after_acting, True),
    "in the request": (cut_in_request, False),
}


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize(("cut", "acts"), CUTS.values(), ids=CUTS.keys())
def test_a_cut_leaves_no_answer(
    server: Server, small: SmallDialect, cut: Callable[..., Action], acts: bool, reset: bool
) -> None:
    server.cues.add(Cue(cut(reset=reset)))
    assert told(server, put("k", BODY)) == ("reset" if reset else "closed after 0 bytes")
    server.wait_idle()
    assert small.objects == ({"k": BODY} if acts else {})
    assert len(small.cuts) == (not acts)
    assert [seen.status for seen in server.requests] == [None]
    assert told(server, put("k")) == (409, b"There for /k") if acts else (200, b"")


@pytest.mark.parametrize("after_bytes", [HALF, 0, 1, 4095, 4096, 5000])
def test_a_request_is_cut_where_the_cue_says(server: Server, small: SmallDialect, after_bytes: int) -> None:
    server.cues.add(Cue(cut_in_request(after_bytes)))
    assert told(server, put("k", BODY)) == "reset"
    expected = 2048 if after_bytes == HALF else min(after_bytes, 4096)
    assert small.cuts == [f"PUT k {expected}"]
    assert small.acted == []


@pytest.mark.parametrize(("after_bytes", "expected"), [(HALF, 1), (0, 0), (1000, 1000), (1024, 1024), (2000, 1024)])
def test_a_request_in_chunks_is_cut_where_the_cue_says(
    server: Server, small: SmallDialect, after_bytes: int, expected: int
) -> None:
    server.cues.add(Cue(cut_in_request(after_bytes)))
    assert told(server, CHUNKED + b"0\r\n\r\n") == "reset"
    assert small.cuts == [f"PUT k {expected}"]


def test_a_request_is_cut_before_the_rest_is_sent(server: Server, small: SmallDialect) -> None:
    server.cues.add(Cue(cut_in_request(1024, reset=False)))
    with client_of(server) as client:
        client.send(put("k", BODY)[:-3072])
        assert client.rest() == b""
    assert small.cuts == ["PUT k 1024"]


@pytest.mark.parametrize("size", [10, 500_000])
@pytest.mark.parametrize("after_bytes", [1, 20, HALF, 300])
def test_an_answer_is_cut_where_the_cue_says(server: Server, small: SmallDialect, after_bytes: int, size: int) -> None:
    small.objects["k"] = bytes(size)
    with client_of(server) as client:
        client.send(get("k", "Connection: close"))
        whole = client.rest()
    server.cues.add(Cue(cut_in_answer(after_bytes, reset=False)))
    expected = len(whole) // 2 if after_bytes == HALF else min(after_bytes, len(whole))
    with client_of(server) as client:
        client.send(get("k", "Connection: close"))
        assert len(client.rest()) == expected
    assert [seen.status for seen in server.requests] == [200, 200]


def test_an_answer_that_is_cut_by_a_reset_was_no_whole_answer(server: Server, small: SmallDialect) -> None:
    small.objects["k"] = bytes(5_000_000)
    server.cues.add(Cue(cut_in_answer(), times=None))
    for _ in range(5):
        with client_of(server) as client:
            client.send(get("k"))
            with pytest.raises(ConnectionResetError):
                client.rest()


def test_an_answer_to_a_write_is_cut_after_the_write(server: Server, small: SmallDialect) -> None:
    server.cues.add(Cue(cut_in_answer(17, reset=False)))
    assert told(server, put("k")) == "closed after 17 bytes"
    assert small.objects == {"k": b"data"}


@pytest.mark.parametrize(
    ("action", "acts"), [(refused(503, "SlowDown"), False), (refused_after_acting(500, "Oh"), True)]
)
def test_a_refusal_is_the_services_own(server: Server, small: SmallDialect, action: Action, acts: bool) -> None:
    server.cues.add(Cue(action))
    assert isinstance(action.answer, Refusal)
    with client_of(server) as client:
        client.send(put("k"))
        status, headers, body = client.answer()
        assert (status, headers["x-code"]) == (action.answer.status, action.answer.code)
        assert body == f"{action.answer.code} for /k".encode()
        client.send(get("k"))  # the connection goes on
        assert client.answer()[0] == (200 if acts else 404)
    assert small.cuts == ([] if acts else ["PUT k 4"])


def test_an_answer_is_altered(server: Server, small: SmallDialect) -> None:
    server.cues.add(Cue(altered(lambda answer: replace(answer, headers={"ETag": "wrong"}, body=b"<no xml"))))
    with client_of(server) as client:
        client.send(put("k"))
        status, headers, body = client.answer()
    assert (status, headers["etag"], body) == (200, "wrong", b"<no xml")
    assert small.objects == {"k": b"data"}


def test_a_body_that_is_altered_to_be_short_ends_with_its_connection(server: Server, small: SmallDialect) -> None:
    small.objects["k"] = BODY
    server.cues.add(Cue(altered(lambda answer: Answer(200, {}, BODY[:10], answer.body_bytes))))
    with client_of(server) as client:
        client.send(get("k"))
        answer = client.rest()
    assert f"Content-Length: {len(BODY)}".encode() in answer
    assert answer.endswith(b"\r\n\r\n" + BODY[:10])


def test_a_cue_that_fails_is_raised_at_the_end(small: SmallDialect) -> None:
    with pytest.raises(ZeroDivisionError), running(small, cues=Cues(Cue(altered(lambda answer: 1 // 0)))) as server:  # type: ignore[arg-type, return-value]
        assert told(server, put("k"))[0] == 500


def test_delays_come_before_and_after_the_act(server: Server, small: SmallDialect) -> None:
    clock = SystemClock()
    server.cues.add(Cue(delayed(before_s=0.1, after_s=0.1)))
    started_s = clock.now_s()
    assert told(server, put("k")) == (200, b"")
    assert clock.now_s() - started_s >= 0.2
    server.cues.add(Cue(delayed(before_s=60)))
    server.cues.add(Cue(delayed(after_s=60)))
    with client_of(server) as early, client_of(server) as late:
        early.send(get("early"))
        while len(small.requests) < 2:
            clock.sleep(0.001)
        late.send(get("late"))
        while "GET late" not in small.acted:
            clock.sleep(0.001)
        assert "GET early" not in small.acted


def test_a_request_that_is_held_acts_after_its_client_gave_up(server: Server, small: SmallDialect) -> None:
    hold = Hold()
    server.cues.add(Cue(held(hold), member="put_new"))
    with client_of(server) as client:
        client.send(put("k"))
        hold.wait_for()
    assert told(server, get("k"))[0] == 404
    with pytest.raises(TimeoutError):
        server.wait_idle(0.05)
    hold.release()
    server.wait_idle()
    assert small.objects == {"k": b"data"}
    assert told(server, put("k"))[0] == 409
    assert [seen.status for seen in server.requests] == [404, 200, 409]  # gone, or waiting: nobody can tell


def test_requests_that_are_held_go_on_in_their_order(server: Server, small: SmallDialect) -> None:
    hold = Hold()
    server.cues.add(Cue(held(hold, then=cut_after_acting()), times=None))
    with ThreadPoolExecutor(8) as pool:
        verdicts: list[Future[tuple[int, bytes] | str]] = []
        for number in range(8):
            verdicts.append(pool.submit(told, server, put("k", b"%d" % number)))
            hold.wait_for(number + 1)
        hold.release()
        assert [verdict.result() for verdict in verdicts] == ["reset"] * 8
        assert told(server, put("k")) == "reset"  # a hold that is released holds nobody
    assert small.objects == {"k": b"0"}


def test_nobody_waits_for_requests_for_ever() -> None:
    with pytest.raises(TimeoutError, match="0 of 1"):
        Hold().wait_for(timeout_s=0.01)


@pytest.mark.parametrize(
    ("cue", "struck"),
    [
        (Cue(refused(503, "S")), [0]),
        (Cue(refused(503, "S"), times=None), [0, 1, 2, 3, 4, 5]),
        (Cue(refused(503, "S"), skip=2, times=3), [2, 3, 4]),
        (Cue(refused(503, "S"), member="read"), [1]),
        (Cue(refused(503, "S"), key="b", times=None), [2, 3]),
        (Cue(refused(503, "S"), member="read", key="b", skip=1), []),
        (Cue(refused(503, "S"), bucket="bucket", member="put_new", times=2), [0, 2]),
        (Cue(refused(503, "S"), bucket="another"), []),
    ],
)
def test_a_cue_strikes_whom_it_names(server: Server, cue: Cue, struck: list[int]) -> None:
    server.cues.add(cue)
    with client_of(server) as client:
        statuses: list[int] = []
        for name in "abc":
            for request in (put(name), get(name)):
                client.send(request)
                statuses.append(client.answer()[0])
    assert [number for number, status in enumerate(statuses) if status == 503] == struck
    assert len(server.cues.struck) == len(struck)
    assert all(strike.cue is cue and strike.action is cue.action for strike in server.cues.struck)


def test_of_two_cues_the_first_strikes_and_the_second_waits() -> None:
    first, second = Cue(refused(503, "1"), skip=1), Cue(refused(503, "2"), times=2)
    cues = Cues(first, second)
    asked = Asked("read")
    assert [cues.strike(asked) for _ in range(4)] == [second.action, first.action, second.action, None]


def test_a_cue_that_is_removed_strikes_nobody() -> None:
    cues = Cues()
    cue = cues.add(Cue(refused(503, "S"), times=None))
    assert cues.strike(Asked("read")) is cue.action
    cues.remove(cue)
    assert cues.strike(Asked("read")) is None
    with pytest.raises(ValueError, match="not among"):
        cues.remove(cue)
    cues.add(cue)

    def decide(asked: Asked) -> Action | None:
        return cue.action if asked.member else None

    cues.on_request = decide
    cues.clear()
    assert cues.strike(Asked("read")) is None
    assert len(cues.struck) == 1


def test_a_hook_decides_about_what_no_cue_struck(small: SmallDialect) -> None:
    heard: list[Asked] = []

    def decide(asked: Asked) -> Action | None:
        heard.append(asked)
        return cut_after_acting() if asked.key == "b" else None

    with running(small, cues=Cues(Cue(refused(503, "S"), key="a"), on_request=decide)) as server:
        assert [told(server, put(name)) for name in "ab"] == [(503, b"S for /a"), "reset"]
        assert told(server, put("c")) == (200, b"")
    assert [asked.key for asked in heard] == ["b", "c"]
    assert [strike.cue is None for strike in server.cues.struck] == [False, True]
    assert small.objects == {"b": b"data", "c": b"data"}


def test_each_of_many_threads_is_struck_as_often_as_said(small: SmallDialect) -> None:
    cues = Cues()
    cue = Cue(refused(503, "S"), times=50)
    with running(small, cues=cues) as server, ThreadPoolExecutor(8) as pool:
        adding = threading.Thread(target=lambda: [cues.add(cue) for _ in range(4)])
        adding.start()
        adding.join()
        verdicts = list(pool.map(told, [server] * 400, [put(f"k{number}") for number in range(400)]))
    assert sum(verdict == (200, b"") for verdict in verdicts) == 200
    assert len(cues.struck) == 200


@pytest.mark.parametrize(
    "make",
    [
        lambda: Action(acts=False),
        lambda: Action(acts=False, answer=lambda answer: answer),
        lambda: Action(cut_request_bytes=HALF),
        lambda: Action(acts=False, cut_request_bytes=1, delay_before_s=1),
        lambda: Action(acts=False, cut_request_bytes=1, cut_answer_bytes=1),
        lambda: Action(cut_answer_bytes=0, answer=Refusal(500, "S")),
        lambda: Action(reset=False),
        lambda: Action(delay_after_s=-1),
        lambda: cut_in_answer(-2),
        lambda: held(Hold(), cut_in_request()),
    ],
)
def test_an_action_that_says_what_cannot_be_done_is_refused(make: Callable[[], Action]) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()
