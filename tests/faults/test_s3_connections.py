"""Connections to S3: buckets with dots behind TLS, the way through a proxy, and who is not there or says nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from storage_guard.driver import Busy, Exists, Lost
from storage_guard.testing.server import Cue, Hold, held
from storage_guard_s3 import S3Driver
from unit.certificates import server_tls
from unit.oss_served import put
from unit.s3_served import BUCKET, SESSION, Served, served

LARGE = 1_500_000
DOTTED = "with.dots"


@pytest.fixture
def world() -> Iterator[Served]:
    with served() as world:
        yield world


def over(url: str, bucket: str = BUCKET, **options: Any) -> S3Driver:
    return S3Driver(SESSION.client("s3", endpoint_url=url, **options), bucket)


@pytest.mark.parametrize("style", ["virtual", "path", "auto"])
def test_a_bucket_with_dots_goes_into_the_path_over_tls_and_no_certificate_is_in_its_way(
    tmp_path: Path, style: Any
) -> None:
    tls, trusted = server_tls(tmp_path)
    with served(tls=tls) as world:
        world.state.add_bucket(DOTTED)
        driver = over(world.server.url, DOTTED, verify=trusted, config=Config(s3={"addressing_style": style}))
        put(driver, "k", bytes(LARGE))
        assert driver.read("k", 0, LARGE, None) == bytes(LARGE)
        assert {seen.asked.bucket for seen in world.server.requests} == {DOTTED}


def test_behind_a_proxy_no_refusal_is_that_of_the_only_request(world: Served) -> None:
    for driver, sole in ((world.driver(), True), (world.on_aws(), False)):
        key = f"sole-{sole}"
        put(driver, key)
        with pytest.raises(Exists) as taken:
            put(driver, key)
        assert taken.value.sole is sole


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
