"""Connections to S3: buckets with dots behind TLS, and the way through a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from storage_guard.driver import Exists
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
