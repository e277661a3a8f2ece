"""Threads, children, interruptions, and what is left behind."""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage_guard.driver import Busy
from storage_guard.testing.server import running
from storage_guard.wire.messages import Request
from storage_guard.wire.settings import Settings
from storage_guard.wire.transport import Transport
from unit.small_dialect import SmallDialect
from wire.scripted import OK, Certificate, Heard, certificate, closed_port, ending_each, scripted

# Python 3.12 warns whoever forks among threads, which is what this is about.
FORKS = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("certificates"), "127.0.0.1")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def in_child(act: Callable[[], None]) -> int:
    """The exit code of a forked child that does it: 0 if it raised nothing."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            act()
            code = 0
        except BaseException:  # noqa: BLE001 - the child ends here
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_many_threads_leave_no_more_connections_than_the_pool_holds() -> None:
    threads, each, pool_size = 64, 200, 24
    gc.collect()
    before = descriptors()
    with running(SmallDialect()) as server:
        serving = descriptors()
        transport = Transport(Settings(pool_size=pool_size))

        def work(thread: int) -> list[int]:
            url = f"{server.url}/{thread}-"
            return [transport.exchange(Request("PUT", f"{url}{k}", {}, b"x" * 100)).status for k in range(each)]

        with ThreadPoolExecutor(threads) as pool:
            statuses = [status for found in pool.map(work, range(threads)) for status in found]
        assert statuses == [200] * (threads * each)
        assert server.connections < threads * each / 4  # those that the pool is too small for come and go
        gc.collect()
        server.wait_idle()
        # A server in this process has an end of each connection too, and lets go of it later.
        give_up_s = time.monotonic() + 10
        while descriptors() > serving + 2 * pool_size and time.monotonic() < give_up_s:
            threading.Event().wait(0.01)
        assert descriptors() <= serving + 2 * pool_size
        transport.close()
        transport.close()
        while descriptors() > serving and time.monotonic() < give_up_s:
            threading.Event().wait(0.01)
        assert descriptors() <= serving
        assert transport.exchange(Request("GET", f"{server.url}/0-0", {})).status == 200
        transport.close()
    assert descriptors() <= before + 1


def test_a_connection_in_use_is_closed_when_it_comes_back() -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def script(_heard: Heard) -> bytes:
        arrived.set()
        go_on.wait(10)
        return OK

    with scripted(script) as server, ThreadPoolExecutor(1) as pool:
        transport = Transport(Settings())
        request = Request("GET", server.url + "/k", {})
        answer = pool.submit(transport.exchange, request)
        assert arrived.wait(10)
        transport.close()
        go_on.set()
        assert answer.result(10).status == 200
        transport.exchange(request)
        assert server.connections == 2


def test_a_connection_that_rested_long_is_not_used_again() -> None:
    with scripted(lambda heard: OK) as server:
        transport = Transport(Settings(keep_idle_s=0.05))
        for _ in range(2):
            transport.exchange(Request("GET", server.url + "/k", {}))
            threading.Event().wait(0.1)
        assert server.connections == 2


def test_a_connection_that_ends_behind_its_answer_without_a_word_is_not_used_again() -> None:
    script, ended = ending_each()
    with scripted(script) as server:
        transport = Transport(Settings())
        for _ in range(20):
            assert transport.exchange(Request("PUT", server.url + "/k", {}, b"x")).status == 200
            assert ended.acquire(timeout=30)
        transport.close()


def test_what_came_behind_an_answer_is_not_taken_for_the_next_one() -> None:
    answered, sent = threading.Event(), threading.Event()

    def script(heard: Heard) -> bytes | None:
        if heard.connection > 1:
            return OK.replace(b"200", b"409")
        heard.sock.sendall(OK)
        assert answered.wait(30)
        heard.sock.sendall(OK)
        sent.set()
        assert not heard.sock.recv(1)
        return None

    with scripted(script) as server:
        transport = Transport(Settings())
        request = Request("PUT", server.url + "/k", {}, b"x")
        assert transport.exchange(request).status == 200
        answered.set()
        assert sent.wait(30)
        assert transport.exchange(request).status == 409
        assert [heard.connection for heard in server.heard] == [1, 2]
        transport.close()


def test_a_pool_of_none_keeps_none() -> None:
    with scripted(lambda heard: OK) as server:
        transport = Transport(Settings(pool_size=0))
        for _ in range(3):
            transport.exchange(Request("GET", server.url + "/k", {}))
        assert server.connections == 3


def test_hosts_do_not_share_connections() -> None:
    with scripted(lambda heard: OK) as one, scripted(lambda heard: OK) as two:
        transport = Transport(Settings())
        for server in (one, two, one, two):
            transport.exchange(Request("GET", server.url + "/k", {}))
        assert (one.connections, two.connections) == (1, 1)


def test_an_exchange_that_fails_leaves_no_descriptor() -> None:
    transport = Transport(Settings())
    request = Request("PUT", f"http://127.0.0.1:{closed_port()}/k", {}, b"x")
    with pytest.raises(Busy):
        transport.exchange(request)
    before = descriptors()
    for _ in range(20):
        with pytest.raises(Busy):
            transport.exchange(request)
    assert descriptors() == before


@pytest.mark.parametrize("body", [b"x" * 100, None])
def test_an_interruption_is_noticed_while_the_service_is_silent(body: bytes | None) -> None:
    arrived, over = threading.Event(), threading.Event()

    def script(_heard: Heard) -> None:
        arrived.set()
        over.wait(30)

    def interrupt() -> None:
        arrived.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    with scripted(script) as server:
        transport = Transport(Settings(idle_timeout_s=20))
        helper = threading.Thread(target=interrupt)
        helper.start()
        started_s = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            transport.exchange(Request("PUT", server.url + "/k", {}, body))
        assert time.monotonic() - started_s < 15  # about one; otherwise the idle timeout would have come
        over.set()
        helper.join()
        assert len(server.heard) == 1


@FORKS
def test_a_child_has_connections_of_its_own() -> None:
    with scripted(lambda heard: OK) as server:
        transport = Transport(Settings())
        request = Request("PUT", server.url + "/k", {}, b"x")
        transport.exchange(request)

        def act() -> None:
            transport.exchange(request)
            transport.exchange(request)
            transport.close()

        assert in_child(act) == 0
        assert transport.exchange(request).status == 200
        assert [heard.connection for heard in server.heard] == [1, 2, 2, 1]


@FORKS
def test_a_child_that_lets_go_of_all_says_no_goodbye(certified: Certificate) -> None:
    with scripted(lambda heard: OK, certified.context) as server:
        transports = [Transport(Settings(ca=certified.ca))]
        request = Request("PUT", server.url + "/k", {}, b"x")
        transports[0].exchange(request)

        def act() -> None:
            transports.clear()
            gc.collect()

        assert in_child(act) == 0
        assert transports[0].exchange(request).status == 200
        assert server.connections == 1


@FORKS
def test_a_child_does_not_wait_for_a_thread_that_it_does_not_have() -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def script(heard: Heard) -> bytes:
        if heard.connection == 1:
            arrived.set()
            go_on.wait(20)
        return OK

    with scripted(script) as server, ThreadPoolExecutor(1) as pool:
        transport = Transport(Settings())
        request = Request("PUT", server.url + "/k", {}, b"x")
        answer = pool.submit(transport.exchange, request)
        assert arrived.wait(10)

        def act() -> None:
            transport.exchange(request)
            transport.close()

        assert in_child(act) == 0
        go_on.set()
        assert answer.result(10).status == 200


def test_a_transport_that_is_forgotten_closes_its_connections() -> None:
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(1000)
            sock.sendall(OK)
            select.select([sock], [], [], 10)
            if not sock.recv(1000):
                ended.set()

    thread = threading.Thread(target=serve)
    thread.start()
    with listener:
        Transport(Settings()).exchange(Request("GET", f"http://127.0.0.1:{listener.getsockname()[1]}/k", {}))
        gc.collect()
        assert ended.wait(10)
        thread.join(10)
