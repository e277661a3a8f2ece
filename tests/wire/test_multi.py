# pyright: reportPrivateUsage=false
"""Many small requests, side by side."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
import time
import traceback
from pathlib import Path

import pytest

from storage_guard.body import BytesBody
from storage_guard.driver import Busy, Lost, Refused, Signal
from storage_guard.testing.server import running
from storage_guard.wire.connection import Connection
from storage_guard.wire.lines import Lines
from storage_guard.wire.messages import Answer, Request
from storage_guard.wire.multi import Loop
from storage_guard.wire.pending import Pending
from storage_guard.wire.settings import Settings
from unit.small_dialect import SmallDialect
from wire.scripted import OK, Heard, certificate, closed_port, ending_each, resolving, scripted

# Python 3.12 warns whoever forks among threads, which is what this is about.
FORKS = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def outcome(pending: Pending) -> Answer | Signal:
    try:
        return pending.result(30)
    except Signal as exc:
        return exc


def test_each_request_gets_its_own_answer() -> None:
    def script(heard: Heard) -> bytes:
        told = heard.line.split()[1].encode() + heard.body
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told

    with scripted(script) as server, Loop(Settings(), connections=4) as loop:
        sent = [(f"/{k}", b"%d" % k * (k % 7)) for k in range(600)]
        pending = [loop.submit(Request("PUT", server.url + path, {}, data)) for path, data in sent]
        assert [each.result(30).body for each in pending] == [path.encode() + data for path, data in sent]
        assert server.connections <= 4
        assert all(each.done for each in pending)


def test_kinds_of_requests_may_follow_each_other() -> None:
    with running(SmallDialect()) as server, Loop(Settings(), connections=1) as loop:
        kinds = [("PUT", b"x"), ("HEAD", None), ("GET", None), ("DELETE", None), ("PUT", b""), ("GET", None)]
        pending = [loop.submit(Request(method, server.url + "/k", {}, data)) for method, data in kinds]
        assert [each.result(30).body for each in pending] == [b"", b"", b"x", b"", b"", b""]
        assert server.connections == 1


def test_no_more_than_so_many_are_under_way_and_who_submits_too_many_waits() -> None:
    most, under_way = 0, 0
    lock, go_on, full = threading.Lock(), threading.Event(), threading.Event()

    def script(_heard: Heard) -> bytes:
        nonlocal most, under_way
        with lock:
            under_way += 1
            most = max(most, under_way)
            if under_way == 3:
                full.set()
        go_on.wait(20)
        with lock:
            under_way -= 1
        return OK

    with scripted(script) as server, Loop(Settings(), connections=3) as loop:
        pending: list[Pending] = []

        def submit() -> None:
            pending.extend(loop.submit(Request("PUT", server.url + "/k", {}, b"x")) for _ in range(500))

        submitter = threading.Thread(target=submit)
        submitter.start()
        assert full.wait(10)
        submitter.join(0.3)
        assert submitter.is_alive()
        go_on.set()
        submitter.join(20)
        assert [each.result(30).status for each in pending] == [200] * 500
    assert most == 3


def test_a_request_on_a_reused_connection_that_dies_is_sent_once() -> None:
    def script(heard: Heard) -> bytes | None:
        return None if (heard.connection, heard.number) == (1, 2) else OK

    with scripted(script) as server, Loop(Settings(), connections=1) as loop:
        for body in (b"x", b"", None):
            before, server.connections = len(server.heard), 0
            pending = [loop.submit(Request("PUT", server.url + "/k", {}, body)) for _ in range(3)]
            found = [type(outcome(each)) for each in pending]
            if body == b"x":
                assert found == [Answer, Lost, Answer]
            assert len(server.heard) - before == 3


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nETag: 1\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"hello"],
)
def test_an_answer_that_cannot_be_understood_is_none_and_few_others_suffer(answer: bytes) -> None:
    def script(heard: Heard) -> bytes | None:
        if heard.body != b"bad":
            return OK
        heard.sock.sendall(answer)
        return None

    with scripted(script) as server, Loop(Settings(), connections=4) as loop:
        bodies = [b"bad" if k % 10 == 0 else b"good" for k in range(40)]
        pending = [loop.submit(Request("PUT", f"{server.url}/{k}", {}, data)) for k, data in enumerate(bodies)]
        found = [(data, type(outcome(each))) for data, each in zip(bodies, pending, strict=True)]
        assert all(kind is Lost for data, kind in found if data == b"bad")
        # Of those that were given the same connection before it was known to be bad, one for each.
        assert sum(kind is Answer for data, kind in found if data == b"good") >= 32
        assert len(server.heard) == len({heard.line for heard in server.heard})


def test_a_connection_whose_answer_was_cut_is_not_used_again() -> None:
    def script(heard: Heard) -> bytes | None:
        if heard.body == b"good":
            return OK
        heard.sock.sendall(b"HTTP/1.1 200 OK\r\nETag: 1\r\n")
        return None

    with scripted(script) as server, Loop(Settings(), connections=1) as loop:
        bodies = [b"good", b"bad", b"good", b"bad", b"bad", b"good"]
        pending = [loop.submit(Request("PUT", server.url + "/k", {}, data)) for data in bodies]
        found = [type(outcome(each)) for each in pending]
    assert found == [Answer if data == b"good" else Lost for data in bodies]


def test_two_answers_are_none() -> None:
    answers = OK + OK.replace(b"200", b"409")
    with scripted(lambda heard: answers if heard.body == b"two" else OK) as server, Loop(Settings()) as loop:
        bodies = [b"two" if k % 3 == 0 else b"one" for k in range(60)]
        pending = [loop.submit(Request("PUT", server.url + "/k", {}, data)) for data in bodies]
        assert [type(outcome(each)) for each in pending] == [Lost if data == b"two" else Answer for data in bodies]


def test_a_refusal_before_all_was_sent_is_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # whose connections have it, too

        def refuse() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(1000)
                sock.sendall(b"HTTP/1.1 413 -\r\nContent-Length: 2\r\n\r\nno")
            # closed with bytes that nobody has read: what is sent behind that breaks the connection

        thread = threading.Thread(target=refuse)
        thread.start()
        with Loop(Settings(), connections=1) as loop:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/k"
            found = outcome(loop.submit(Request("PUT", url, {}, bytes(8_000_000))))
        thread.join(10)
    assert isinstance(found, Answer)
    assert (found.status, found.body) == (413, b"no")


def test_a_connection_that_ends_behind_its_answer_without_a_word_is_not_used_again() -> None:
    script, ended = ending_each()
    with scripted(script) as server, Loop(Settings(), connections=1) as loop:
        for _ in range(20):
            assert loop.submit(Request("PUT", server.url + "/k", {}, b"x")).result(30).status == 200
            assert ended.acquire(timeout=30)


def test_what_was_not_sent_is_told_apart(tmp_path: Path) -> None:
    made = certificate(tmp_path, "127.0.0.1")
    with scripted(lambda heard: OK, made.context) as server, Loop(Settings()) as loop:
        dead = f"http://127.0.0.1:{closed_port()}/k"
        kinds: list[tuple[str, dict[str, str], type[Signal]]] = [
            *((dead, {}, Busy), ("http://nobody.invalid/", {}, Busy), (server.url + "/k", {}, Refused)),
            *(("ftp://h/", {}, Refused), ("http://h:65536/", {}, Refused), (dead, {"X": "a\r\nY: b"}, Refused)),
        ]
        for url, headers, kind in kinds:
            pending = loop.submit(Request("PUT", url, headers, b"x"))
            with pytest.raises(kind):
                pending.result(30)
        assert server.heard == []
        with Loop(Settings(ca=made.ca)) as believing:
            assert believing.submit(Request("PUT", server.url + "/k", {}, b"x")).result(30).status == 200


def test_a_service_that_cannot_be_reached_is_told_to_its_own_requests_only(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "127.0.0.1")
    proxies = {"http://one": f"http://127.0.0.1:{closed_port()}", "http": ""}
    with scripted(lambda heard: OK) as server, Loop(Settings(proxies=proxies), connections=8) as loop:
        urls = ["http://one/k", *[f"http://one.invalid:{server.port}/k"] * 7]  # the first is how the others begin
        pending = [loop.submit(Request("PUT", url, {}, b"x"), at_once=False) for url in urls]
        loop.flush()
        assert isinstance(outcome(pending[0]), Busy)
        assert [each.result(30).status for each in pending[1:]] == [200] * 7


def test_a_body_that_has_to_be_read_is_for_others() -> None:
    with Loop(Settings()) as loop, pytest.raises(TypeError):
        loop.submit(Request("PUT", "http://h/", {}, BytesBody(b"x")))


def test_who_is_told_hears_it_once_and_may_submit_more(caplog: pytest.LogCaptureFixture) -> None:
    told: list[int] = []
    done = threading.Event()

    with scripted(lambda heard: OK) as server, Loop(Settings(), connections=2) as loop:
        request = Request("PUT", server.url + "/k", {}, b"x")

        def then(pending: Pending) -> None:
            told.append(pending.result(0).status)
            if len(told) < 300:
                loop.submit(request, then)
            else:
                done.set()
                raise ValueError("mine")

        loop.submit(request, then)
        assert done.wait(30)
        assert loop.submit(request).result(30).status == 200
    assert told == [200] * 300
    assert "ValueError: mine" in caplog.text


def test_a_loop_that_is_closed_leaves_nobody_waiting_and_nothing_behind() -> None:
    gc.collect()
    before, threads = len(os.listdir("/proc/self/fd")), set(threading.enumerate())
    arrived, over = threading.Event(), threading.Event()

    def script(_heard: Heard) -> None:
        arrived.set()
        over.wait(20)

    with scripted(script) as server:
        loop = Loop(Settings(), connections=1)
        request = Request("PUT", server.url + "/k", {}, b"x")
        pending = [loop.submit(request) for _ in range(3)]
        assert arrived.wait(10)
        with pytest.raises(TimeoutError):
            pending[0].result(0.01)
        loop.close()
        loop.close()
        assert [type(outcome(each)) for each in pending] == [Lost, Busy, Busy]
        with pytest.raises(RuntimeError):
            loop.submit(request)
        over.set()
    left = set(threading.enumerate()) - threads
    assert [thread.name for thread in left if thread.name.startswith("storage-guard")] == []
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_loop_without_work_rests() -> None:
    with scripted(lambda heard: OK) as server, Loop(Settings()) as loop:
        loop.submit(Request("PUT", server.url + "/k", {}, b"x")).result(30)
        used_s = time.process_time()
        threading.Event().wait(0.5)
        assert time.process_time() - used_s < 0.25  # of this process; a loop that turns takes all of it


def test_silence_ends_a_request() -> None:
    over = threading.Event()

    def script(_heard: Heard) -> None:
        over.wait(20)

    with scripted(script) as server, Loop(Settings(idle_timeout_s=1)) as loop:
        assert isinstance(outcome(loop.submit(Request("GET", server.url + "/k", {}))), Lost)
        over.set()


def test_an_interruption_reaches_who_waits() -> None:
    arrived, over = threading.Event(), threading.Event()

    def script(_heard: Heard) -> None:
        arrived.set()
        over.wait(20)

    def interrupt() -> None:
        arrived.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    with scripted(script) as server, Loop(Settings()) as loop:
        helper = threading.Thread(target=interrupt)
        helper.start()
        pending = loop.submit(Request("PUT", server.url + "/k", {}, b"x"))
        with pytest.raises(KeyboardInterrupt):
            pending.result(20)
        helper.join()
        over.set()


@FORKS
def test_a_child_has_a_loop_of_its_own_and_knows_nothing_of_its_parents_requests() -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def script(heard: Heard) -> bytes:
        if heard.body == b"parent":
            arrived.set()
            go_on.wait(20)
        return OK

    with scripted(script) as server, Loop(Settings(), connections=1) as loop:
        told: list[int] = []
        request = Request("PUT", server.url + "/k", {}, b"parent")
        theirs = [loop.submit(request, lambda _: told.append(os.getpid())) for _ in range(2)]
        assert arrived.wait(10)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                assert [type(outcome(each)) for each in theirs] == [Lost, Lost]
                assert told == []
                assert loop.submit(Request("PUT", server.url + "/k", {}, b"child")).result(10).status == 200
                loop.close()
                code = 0
            except BaseException:  # noqa: BLE001 - the child ends here
                traceback.print_exc()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        go_on.set()
        assert [each.result(30).status for each in theirs] == [200, 200]
    assert told == [os.getpid()] * 2


def test_what_is_submitted_when_the_loop_is_about_to_rest_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    pending: list[Pending] = []
    real = Lines.look

    def look(self: Lines) -> None:
        real(self)
        if not pending:
            pending.append(loop.submit(Request("PUT", server.url + "/late", {}, b"x"), at_once=False))

    monkeypatch.setattr(Lines, "look", look)
    with scripted(lambda heard: OK) as server, Loop(Settings()) as loop:
        loop._start()
        assert loop_waits_for(pending).result(10).status == 200


def loop_waits_for(pending: list[Pending]) -> Pending:
    give_up_s = time.monotonic() + 10
    while not pending and time.monotonic() < give_up_s:
        threading.Event().wait(0.01)
    return pending[0]


def test_a_loop_that_waits_for_a_connection_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(lambda heard: OK) as server, Loop(Settings(connect_timeout_s=1.0)) as loop:
        assert loop.submit(Request("PUT", server.url + "/k", {}, b"x")).result(30).status == 200
        over = threading.Event()
        resolving(monkeypatch, "127.0.0.1", wait=over)
        used_s = time.process_time()
        pending = loop.submit(Request("PUT", f"http://slow.invalid:{server.port}/k", {}, b"x"))
        threading.Event().wait(0.5)
        assert time.process_time() - used_s < 0.25  # of this process; a loop that turns takes all of it
        over.set()
        assert pending.result(30).status == 200


def test_threads_may_share_a_loop() -> None:
    with running(SmallDialect()) as server, Loop(Settings(), connections=8) as loop:
        statuses: list[int] = []

        def work(thread: int) -> None:
            for k in range(100):
                pending = loop.submit(Request("PUT", f"{server.url}/{thread}-{k}", {}, b"x"))
                statuses.append(pending.result(30).status)

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 1600
        assert server.connections <= 8


def test_a_loop_of_no_connections_is_none() -> None:
    with pytest.raises(ValueError, match="connections"):
        Loop(Settings(), connections=0)


@pytest.mark.parametrize("pause_s", [0.0, 0.05, 0.7], ids=["busy", "dozing", "asleep"])
def test_what_may_be_kept_back_goes_out_without_being_asked_for(pause_s: float) -> None:
    with scripted(lambda heard: OK) as server, Loop(Settings()) as loop:
        for _ in range(3):
            pending = loop.submit(Request("PUT", server.url + "/k", {}, b"x"), at_once=False)
            assert pending.result(30).status == 200
            threading.Event().wait(pause_s)


def test_what_was_kept_back_goes_out_when_it_is_asked_for() -> None:
    with scripted(lambda heard: OK) as server, Loop(Settings()) as loop:
        for _ in range(50):
            pending = [loop.submit(Request("PUT", server.url + "/k", {}, b"x"), at_once=False) for _ in range(5)]
            loop.flush()
            assert {each.result(30).status for each in pending} == {200}


def test_what_was_called_off_is_not_sent_and_does_not_hold_up_the_rest() -> None:
    heard: list[str] = []

    def script(message: Heard) -> bytes:
        heard.append(message.line)
        return OK

    told: list[Pending] = []
    with scripted(script) as server, Loop(Settings(), connections=1) as loop:
        called_off = [
            loop.submit(Request("PUT", server.url + "/off", {}, b"x"), told.append, lambda: False) for _ in range(3)
        ]
        sent = loop.submit(Request("PUT", server.url + "/on", {}, b"x"), told.append, lambda: True)
        assert sent.result(30).status == 200
        assert [type(outcome(each)) for each in called_off] == [Busy] * 3
    assert [line.split()[1] for line in heard] == ["/on"]
    assert told == [sent]


def test_a_loop_that_is_dropped_ends_its_thread() -> None:
    before = set(threading.enumerate())
    with scripted(lambda heard: OK) as server:
        loop = Loop(Settings())
        assert loop.submit(Request("PUT", server.url + "/k", {}, b"x")).result(30).status == 200
        (thread,) = [each for each in set(threading.enumerate()) - before if each.name == "storage-guard-wire"]
        del loop
        gc.collect()
        thread.join(10)
        assert not thread.is_alive()


def test_trouble_of_our_own_does_not_keep_from_who_waits_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def script(heard: Heard) -> bytes:
        if heard.body == b"held":
            arrived.set()
            assert go_on.wait(20)
        return OK

    def troubled(*_: object) -> bool:
        raise RuntimeError("of our own")

    trouble: list[object] = []

    def told(args: threading.ExceptHookArgs) -> None:
        trouble.append(args.exc_value)

    monkeypatch.setattr(threading, "excepthook", told)
    with scripted(script) as server, Loop(Settings(), connections=2) as loop:
        held = loop.submit(Request("PUT", server.url + "/k", {}, b"held"))
        assert arrived.wait(10)
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "receive_some", troubled)
            go_on.set()
            assert isinstance(outcome(held), Lost)
        assert loop.submit(Request("PUT", server.url + "/k", {}, b"x")).result(30).status == 200
    assert [str(each) for each in trouble] == ["of our own"]
