"""TLS, proxies, and what connections are kept: as few as can be, and none that another process has. Of each service."""

from __future__ import annotations

import functools
import http.server
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import oss2
import pytest
from botocore.config import Config

from storage_guard.driver import Driver, Exists, Lost, ObjectRef, PartSlot, Refused, Signal
from storage_guard.testing import BytesBody, SubmittingDriver, race
from storage_guard.testing.server import Cue, Link, cut_after_acting
from storage_guard_oss import OSSDriver, open_url
from storage_guard_s3 import S3Driver
from unit import oss_served, s3_served
from unit.certificates import server_tls
from unit.oss_served import begun, fresh, put

LARGE = 1_500_000
World = oss_served.Served | s3_served.Served


@dataclass(frozen=True)
class Service:
    """A service on the loopback, and ways to it. `at`: by its URL; `trusting`: the same, and whom a file vouches for;
    `behind`: over a scheme, through a proxy. `trusted`: the variable that names such a file. `secret`: of the key."""

    served: Callable[..., AbstractContextManager[World]]
    at: Callable[[str], Driver]
    trusting: Callable[[str, str], Driver]
    behind: Callable[[str, str], Driver]
    trusted: str
    secret: str


def oss_at(url: str) -> Driver:
    driver, _ = open_url(
        f"oss://{oss_served.BUCKET}",
        endpoint=url,
        region=oss_served.REGION,
        access_key_id=oss_served.KEY_ID,
        access_key_secret=oss_served.SECRET,
    )
    return driver


def over_oss2(endpoint: str, session: oss2.Session | None = None, proxies: dict[str, str] | None = None) -> OSSDriver:
    auth = oss2.AuthV4(oss_served.KEY_ID, oss_served.SECRET)
    bucket = oss2.Bucket(auth, endpoint, oss_served.BUCKET, region=oss_served.REGION, session=session, proxies=proxies)
    return OSSDriver(bucket)


def oss_trusting(url: str, file: str) -> OSSDriver:
    session = oss2.Session()
    session.session.verify = file
    return over_oss2(url, session)


def oss_behind(scheme: str, proxy: str) -> OSSDriver:
    return over_oss2(f"{scheme}://oss-cn-hangzhou.aliyuncs.com", proxies={scheme: proxy})


def s3_at(url: str) -> S3Driver:
    return S3Driver(s3_served.SESSION.client("s3", endpoint_url=url), s3_served.BUCKET)


def s3_trusting(url: str, file: str) -> S3Driver:
    return S3Driver(s3_served.SESSION.client("s3", endpoint_url=url, verify=file), s3_served.BUCKET)


def s3_behind(scheme: str, proxy: str) -> S3Driver:
    config = Config(proxies={scheme: proxy})
    return S3Driver(s3_served.SESSION.client("s3", use_ssl=scheme == "https", config=config), s3_served.BUCKET)


SERVICES = {
    "oss": Service(oss_served.served, oss_at, oss_trusting, oss_behind, "REQUESTS_CA_BUNDLE", oss_served.SECRET),
    "s3": Service(s3_served.served, s3_at, s3_trusting, s3_behind, "AWS_CA_BUNDLE", s3_served.SECRET),
}


@pytest.fixture(params=list(SERVICES.values()), ids=list(SERVICES))
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.param
    return found


@pytest.fixture
def world(service: Service) -> Iterator[World]:
    with service.served() as world:
        yield world


# TLS


def test_a_certificate_that_does_not_verify_is_refused(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, trusted = server_tls(tmp_path)
    with service.served(tls=tls) as world:
        url = world.server.url
        with pytest.raises(Refused, match="certificate does not verify") as refusal:
            put(service.at(url), "k")
        assert refusal.value.why == "access"
        assert world.server.requests == []
        monkeypatch.setenv(service.trusted, trusted)
        put(service.at(url), "k")
        assert service.at(url).read("k", 0, 99, None) == b"something"
        monkeypatch.setenv(service.trusted, str(tmp_path / "not-there.pem"))
        with pytest.raises(Refused, match=r"not-there\.pem"):
            put(service.at(url), "l")
        driver = service.trusting(url, trusted)
        put(driver, "l")
        world.cues.add(Cue(cut_after_acting(), member="put_new"))
        with pytest.raises(Lost):  # behind the handshake
            put(driver, "m")
        assert driver.head("m") is not None


def test_who_speaks_no_tls_has_been_sent_nothing(service: Service, world: World) -> None:
    with pytest.raises(Refused, match="no TLS"):
        put(service.at(world.server.url.replace("http:", "https:")), "k")


# A proxy


class Denying(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self) -> None:
        self.send_error(407)

    def do_PUT(self) -> None:
        self.send_error(407)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        assert format, args


def test_a_proxy_that_wants_credentials_is_told_and_its_password_is_not(service: Service) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Denying) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            for scheme in ("http", "https"):
                driver = service.behind(scheme, f"http://user:{service.secret}@127.0.0.1:{proxy.server_port}")
                with pytest.raises(Refused, match="proxy wants credentials") as refusal:
                    put(driver, "k")
                assert service.secret not in str(refusal.value) + repr(refusal.value) + repr(driver)
                driver.close()
        finally:
            proxy.shutdown()
            thread.join()


# Connections


def test_refusals_use_one_connection(world: World) -> None:
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


def test_finishes_copies_and_heads_use_one_connection(world: World) -> None:
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


def test_threads_keep_their_connections(world: World) -> None:
    driver = world.driver()
    upload_id = driver.begin("k", fresh())

    def send(number: int) -> None:
        for turn in range(3):
            driver.put_part("k", upload_id, PartSlot(number, 0, 10 + turn), BytesBody(bytes(10 + turn)))

    for _ in range(2):
        assert race([functools.partial(send, number) for number in range(1, 65)]) == [None] * 64
    assert world.server.connections <= 64 + 8  # those of the loop, and of as many threads as are no crowd


@pytest.mark.parametrize("submitted", [False, True])
def test_a_closed_driver_holds_no_connection(world: World, submitted: bool) -> None:
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


def test_a_driver_that_was_never_used_can_be_closed(world: World) -> None:
    world.driver().close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_child_has_connections_of_its_own(world: World) -> None:
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


def test_a_slow_line_does_not_time_a_send_out(service: Service) -> None:
    with service.served(link=Link(total_bytes_per_s=4e6)) as world:
        driver = world.driver(connect_timeout_s=0.05, read_timeout_s=20.0)
        assert put(driver, "k", bytes(LARGE)).size_bytes == LARGE
