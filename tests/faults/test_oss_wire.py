"""What of the requests of OSS is OSS's own; what they share with S3's is in test_wire.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from faults.test_wire import ways
from storage_guard.driver import Broken, Exists, Gone, Lost
from storage_guard.testing.server import running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credentials
from storage_guard.testing.server.oss import OSSDialect
from unit.oss_served import BUCKET, Served, begun, fresh, put, served


@pytest.fixture
def world() -> Iterator[Served]:
    with served() as world:
        yield world


def test_an_answer_without_a_request_id_is_not_the_services(world: Served) -> None:
    driver = world.driver()
    for way in ways(driver):
        world.alter(way.member, headers={"x-oss-request-id": None})
        with pytest.raises(Lost):
            way.create()
        assert driver.head(way.key) is not None


def test_versioning_that_comes_on_meanwhile_is_noticed(world: Served) -> None:
    driver = world.driver()
    assert driver.capabilities().put == "documented"
    made = ways(driver)
    world.state[BUCKET].versioning = "enabled"
    for way in made:
        with pytest.raises(Broken) as broken:
            way.create()
        assert broken.value.version_id
    world.state[BUCKET].versioning = "suspended"
    with pytest.raises(Broken) as broken:
        put(driver, "m")
    assert broken.value.version_id == "null"


@pytest.mark.parametrize("first", ["upload", "condition"])
def test_a_finish_that_is_repeated_is_gone_or_taken(first: Any) -> None:
    state = Buckets([BUCKET])
    with running(OSSDialect(state, checked_first=first)) as server:
        driver = Served(server, state, Credentials()).driver()
        upload_id, parts = begun(driver, "k", meta := fresh())
        driver.finish_new("k", upload_id, parts, meta)
        with pytest.raises((Gone, Exists)) as again:
            driver.finish_new("k", upload_id, parts, meta)
        assert type(again.value) is (Gone if first == "upload" else Exists)
        assert again.value.sole
