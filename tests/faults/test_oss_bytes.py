"""The way to OSS ends behind any byte of a create, of its head, its body or its answer: sent once, and told truly."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from faults.byte_cuts import WAYS, Way
from faults.relay import relayed
from unit.oss_served import served


@pytest.mark.parametrize("used", [True, False], ids=["used", "new"])
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("name", WAYS)
def test_behind_any_byte_a_create_is_sent_once(name: str, reset: bool, used: bool) -> None:
    with served() as world, relayed(urlsplit(world.server.url).port or 0) as relay:
        way = Way(name, world.server, relay, driver=world.driver(endpoint=relay.url), direct=world.driver())
        way.check_all(reset=reset, used=used)
