"""The way to S3 ends behind any byte of a create, of its head, its body or its answer: sent once, and told truly."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from faults.byte_cuts import WAYS, Way
from faults.relay import relayed
from storage_guard_s3 import S3Driver
from unit.oss_served import put
from unit.s3_served import BUCKET, SESSION, served


@pytest.mark.parametrize("used", [True, False], ids=["used", "new"])
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("name", WAYS)
def test_behind_any_byte_a_create_is_sent_once(name: str, reset: bool, used: bool) -> None:
    with served() as world, relayed(urlsplit(world.server.url).port or 0) as relay:
        driver = S3Driver(SESSION.client("s3", endpoint_url=relay.url), BUCKET)
        put(driver, "first")  # it learns what the store compares, and from then on requests are of one size
        Way(name, world.server, relay, driver=driver, direct=world.driver()).check_all(reset=reset, used=used)
