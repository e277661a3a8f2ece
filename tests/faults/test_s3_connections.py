"""TLS, proxies, and what connections are kept: as few as can be, and none that another process has."""

from __future__ import annotations

import functools
import http.server
import os
import socket
import ssl
import threading
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from storage_guard.driver import Busy, Exists, Lost, ObjectRef, PartSlot, Refused, Signal
from storage_guard.testing import BytesBody, SubmittingDriver, race
from storage_guard.testing.server import Cue, Hold, Link, Server, cut_after_acting, held, running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.s3 import S3Dialect
from storage_guard_s3 import S3Driver
from unit.certificates import CERTIFICATE, KEY
from unit.oss_served import begun, fresh, put
from unit.s3_served import BUCKET, KEY_ID, REGION, SECRET, SESSION, Served, served

LARGE = 1_500_000
DOTTED = "with.dots"


@pytest.fixture
def world() -> Iterator[Served]:
    with served() as world:
        yield world


# TLS


@contextmanager
def secure(tmp_path: Path) -> Generator[tuple[Server, str]]:
    """A server, and the file of those who vouch for it."""
    (tmp_path / "both.pem").write_text(KEY + CERTIFICATE)
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    dialect = S3Dialect(Buckets([BUCKET, DOTTED]), credentials=Credentials([Credential(KEY_ID, SECRET)]), region=REGION)
    with running(dialect, tls=context) as server:
        yield server, str(tmp_path / "ca.pem")


def over(url: str, bucket: str = BUCKET, **options: Any) -> S3Driver:
    return S3Driver(SESSION.client("s3", endpoint_url=url, **options), bucket)


def test_a_certificate_that_does_not_verify_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with secure(tmp_path) as (server, ca):
        with pytest.raises(Refused, match="certificate does not verify") as refusal:
            put(over(server.url), "k")
        assert refusal.value.why == "access"
        assert server.requests == []
        monkeypatch.setenv("AWS_CA_BUNDLE", ca)
        put(over(server.url), "k")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "not-there.pem"))
        with pytest.raises((Refused, ValueError, OSError), match=r"not-there\.pem"):
            put(over(server.url), "l")
        monkeypatch.delenv("AWS_CA_BUNDLE")
        driver = over(server.url, verify=ca)
        put(driver, "l")
        server.cues.add(Cue(cut_after_acting(), member="put_new"))
        with pytest.raises(Lost):  # behind the handshake
            put(driver, "m")
        assert driver.head("m") is not None


@pytest.mark.parametrize("style", ["virtual", "path", "auto"])
def test_a_bucket_with_dots_goes_into_the_path_over_tls_and_no_certificate_is_in_its_way(
    tmp_path: Path, style: Any
) -> None:
    with secure(tmp_path) as (server, ca):
        driver = over(server.url, DOTTED, verify=ca, config=Config(s3={"addressing_style": style}))
        put(driver, "k", bytes(LARGE))
        assert driver.read("k", 0, LARGE, None) == bytes(LARGE)
        assert {seen.asked.bucket for seen in server.requests} == {DOTTED}


def test_who_speaks_no_tls_has_been_sent_nothing(world: Served) -> None:
    with pytest.raises(Refused, match="no TLS"):
        put(over(world.server.url.replace("http:", "https:")), "k")


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
                client = SESSION.client("s3", use_ssl=scheme == "https", config=Config(proxies={scheme: way}))
                driver = S3Driver(client, BUCKET)
                with pytest.raises(Refused, match="proxy wants credentials") as refusal:
                    put(driver, "k")
                assert SECRET not in str(refusal.value) + repr(refusal.value) + repr(driver)
                driver.close()
        finally:
            proxy.shutdown()
            thread.join()


def test_behind_a_proxy_no_refusal_is_that_of_the_only_request(world: Served) -> None:
    for driver, sole in ((world.driver(), True), (world.on_aws(), False)):
        key = f"sole-{sole}"
        put(driver, key)
        with pytest.raises(Exists) as taken:
            put(driver, key)
        assert taken.value.sole is sole


# Connections


def test_a_connection_that_is_refused_has_sent_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        driver = over(f"http://127.0.0.1:{taken.getsockname()[1]}")
        for call in (lambda: put(driver, "k"), lambda: driver.head("k"), driver.capabilities):
            with pytest.raises(Busy, match="nothing was sent"):
                call()


def test_a_host_that_has_no_address_has_been_sent_nothing() -> None:
    with pytest.raises(Busy, match="nothing was sent"):
        put(over("http://nowhere.invalid"), "k")


def test_a_service_that_does_not_answer_in_time_may_act_later(world: Served) -> None:
    driver = world.driver(read_timeout_s=0.15)
    put(driver, "first")
    hold = Hold()
    world.cues.add(Cue(held(hold), member="put_new"))
    with pytest.raises(Lost, match="nothing moved"):
        put(driver, "k")
    assert driver.head("k") is None
    hold.release()
    world.server.wait_idle()
    assert driver.head("k") is not None


def test_an_idle_connection_that_was_closed_is_not_used(world: Served) -> None:
    driver = world.driver()
    world.alter("head", headers={"Connection": "close"})
    assert driver.head("k") is None
    put(driver, "k")
    assert driver.head("k") is not None


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


@pytest.mark.parametrize("submitted", [False, True])
def test_a_closed_driver_holds_no_connection(world: Served, submitted: bool) -> None:
    driver = world.driver()
    carried = SubmittingDriver(driver) if submitted else driver
    put(carried, "first")
    put(carried, "k")
    driver.close()
    driver.close()
    for _ in range(200):
        if world.server.open_connections == 0:
            break
        threading.Event().wait(0.02)
    assert world.server.open_connections == 0
    put(carried, "l")
    driver.close()


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
    dialect = S3Dialect(Buckets([BUCKET]), credentials=Credentials([Credential(KEY_ID, SECRET)]), region=REGION)
    with running(dialect, link=Link(total_bytes_per_s=4e6)) as server:
        client = SESSION.client("s3", endpoint_url=server.url)
        driver = S3Driver(client, BUCKET, connect_timeout_s=0.05, read_timeout_s=20.0)
        assert put(driver, "k", bytes(LARGE)).size_bytes == LARGE
