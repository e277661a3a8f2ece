"""TLS, proxies, and what connections are kept: as few as can be, and none that another process has."""

from __future__ import annotations

import functools
import http.server
import os
import ssl
import threading
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import oss2
import pytest

from storage_guard.driver import Exists, Lost, ObjectRef, PartSlot, Refused, Signal
from storage_guard.testing import BytesBody, race
from storage_guard.testing.server import Cue, Link, cut_after_acting
from storage_guard_oss import OSSDriver
from unit.certificates import CERTIFICATE, KEY
from unit.oss_served import BUCKET, KEY_ID, REGION, SECRET, Served, begun, fresh, put, served

LARGE = 1_500_000


@pytest.fixture
def world() -> Iterator[Served]:
    with served() as world:
        yield world


# TLS


@contextmanager
def secure(tmp_path: Path) -> Generator[tuple[Served, Path]]:
    both = tmp_path / "both.pem"
    both.write_text(KEY + CERTIFICATE)
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    with served(tls=context) as world:
        yield world, tmp_path / "ca.pem"


def test_a_certificate_that_does_not_verify_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with secure(tmp_path) as (world, ca):
        with pytest.raises(Refused, match="certificate does not verify") as refusal:
            put(world.driver(), "k")
        assert refusal.value.why == "access"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
        put(world.driver(), "k")
        assert world.driver().read("k", 0, 99, None) == b"something"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "not-there.pem"))
        with pytest.raises(Refused, match=r"not-there\.pem"):
            put(world.driver(), "l")
        session = oss2.Session()
        session.session.verify = str(ca)
        auth = oss2.AuthV4(KEY_ID, SECRET)
        driver = OSSDriver(oss2.Bucket(auth, world.server.url, BUCKET, region=REGION, session=session))
        put(driver, "l")
        world.cues.add(Cue(cut_after_acting(), member="put_new"))
        with pytest.raises(Lost):  # behind the handshake
            put(driver, "m")
        assert driver.head("m") is not None


def test_who_speaks_no_tls_has_been_sent_nothing(world: Served) -> None:
    with pytest.raises(Refused, match="no TLS"):
        put(world.driver(endpoint=world.server.url.replace("http:", "https:")), "k")


# A proxy


class Denying(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self) -> None:
        self.send_error(407)

    def do_PUT(self) -> None:
        self.send_error(407)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        assert format, args


def test_a_proxy_that_wants_credentials_is_told_and_its_password_is_not() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Denying) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            way = f"http://user:{SECRET}@127.0.0.1:{proxy.server_port}"
            for scheme in ("http", "https"):
                endpoint = f"{scheme}://oss-cn-hangzhou.aliyuncs.com"
                auth = oss2.AuthV4(KEY_ID, SECRET)
                driver = OSSDriver(oss2.Bucket(auth, endpoint, BUCKET, region=REGION, proxies={scheme: way}))
                with pytest.raises(Refused, match="proxy wants credentials") as refusal:
                    put(driver, "k")
                assert SECRET not in str(refusal.value)
                driver.close()
        finally:
            proxy.shutdown()
            thread.join()


# Connections


def test_refusals_use_one_connection(world: Served) -> None:
    driver = world.driver()
    put(driver, "k")
    caught: list[Signal] = []
    for _ in range(200):
        try:
            put(driver, "k", b"other")
        except Exists as exc:
            caught.append(exc)  # what is kept of them keeps no connection
    assert len(caught) == 200
    assert (world.server.connections, world.server.open_connections) == (1, 1)


def test_finishes_copies_and_heads_use_one_connection(world: Served) -> None:
    driver = world.driver()
    put(driver, "source")
    kept: list[object] = []
    for number in range(50):
        upload_id, parts = begun(driver, f"k{number}", meta := fresh())
        kept.append(driver.finish_new(f"k{number}", upload_id, parts, meta))
        kept.append(driver.copy_new(ObjectRef(driver.location, "source"), f"c{number}", fresh()))
        kept.append(driver.head("nothing"))
        kept.append(list(driver.scan("k", "", "")))
    assert (world.server.connections, world.server.open_connections) == (1, 1)


def test_threads_keep_their_connections(world: Served) -> None:
    driver = world.driver()
    upload_id = driver.begin("k", fresh())

    def send(number: int) -> None:
        for turn in range(3):
            driver.put_part("k", upload_id, PartSlot(number, 0, 10 + turn), BytesBody(bytes(10 + turn)))

    for _ in range(2):
        assert race([functools.partial(send, number) for number in range(1, 65)]) == [None] * 64
    assert world.server.connections <= 66


def test_a_closed_driver_holds_no_connection(world: Served) -> None:
    driver = world.driver()
    put(driver, "k")
    driver.close()
    driver.close()
    with served() as other:
        other.driver().close()
    for _ in range(100):
        if world.server.open_connections == 0:
            break
        threading.Event().wait(0.02)
    assert world.server.open_connections == 0
    put(driver, "l")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_child_has_connections_of_its_own(world: Served) -> None:
    driver = world.driver()
    put(driver, "parent")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the server's thread is the parent's alone
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            put(driver, "child")
            driver.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    put(driver, "parent again")
    by = {seen.asked.key: seen.connection for seen in world.server.requests}
    assert by["parent"] == by["parent again"] != by["child"]


def test_a_slow_line_does_not_time_a_send_out() -> None:
    with served(link=Link(total_bytes_per_s=4e6)) as world:
        driver = world.driver(connect_timeout_s=0.05, read_timeout_s=20.0)
        assert put(driver, "k", bytes(LARGE)).size_bytes == LARGE
