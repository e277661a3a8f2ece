"""The way to OSS ends behind any byte of a create, of its head, its body or its answer: sent once, and told truly."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from faults.relay import Cut, Direction, Relay, relayed
from storage_guard.driver import Lost, ObjectInfo
from storage_guard.testing import SubmittingDriver
from storage_guard_oss import OSSDriver
from unit.oss_served import Served, begun, fresh, put, served

LARGE = 1_500_000
SIZES_BYTES = (0, 4096, LARGE)  # none, at once, and window by window


def _finish(driver: OSSDriver, key: str) -> Callable[[], ObjectInfo]:
    upload_id, parts = begun(driver, key, meta := fresh())
    return lambda: driver.finish_new(key, upload_id, parts, meta)


def _put(size_bytes: int, driver: OSSDriver, key: str) -> Callable[[], ObjectInfo]:
    return lambda: put(driver, key, bytes(size_bytes))


def _submit(size_bytes: int, driver: OSSDriver, key: str) -> Callable[[], ObjectInfo]:
    return lambda: put(SubmittingDriver(driver), key, bytes(size_bytes))


WAYS: dict[str, Callable[[OSSDriver, str], Callable[[], ObjectInfo]]] = {
    **{f"put {size_bytes}": functools.partial(_put, size_bytes) for size_bytes in SIZES_BYTES},
    **{f"submit {size_bytes}": functools.partial(_submit, size_bytes) for size_bytes in SIZES_BYTES[:2]},
    "finish": _finish,
}


class Way:
    """A create over a relay, again and again, each under a key of its own and with as many bytes."""

    def __init__(self, world: Served, relay: Relay, name: str) -> None:
        self._world, self._relay = world, relay
        self._make = WAYS[name]
        self._submits = name.startswith("submit")
        self._direct = world.driver()
        self._driver = world.driver(endpoint=relay.url)
        self._number = 0

    def close(self) -> None:
        self._driver.close()

    def _next(self, *, used: bool) -> tuple[str, Callable[[], ObjectInfo]]:
        """`used`: over a connection that was used before."""
        self._number += 1
        key = f"k{self._number:06}"
        create = self._make(self._driver, key)
        if used:
            self._use()
        else:
            self._driver.close()
        return key, create

    def _use(self) -> None:
        """Make a connection, of those that the create will go over."""
        if self._submits:
            put(SubmittingDriver(self._driver), f"before/{self._number}", b"")
        else:
            assert self._driver.head("nothing") is None

    def sizes(self) -> dict[Direction, int]:
        """Of a request with its head, and of its answer."""
        _, create = self._next(used=True)
        self._relay.begin()
        create()
        return dict(self._relay.passed)

    def check(self, cut: Cut, *, used: bool, sizes: dict[Direction, int]) -> None:
        key, create = self._next(used=used)
        acts = cut.direction == "down" or cut.after_bytes == sizes["up"]
        self._relay.begin(cut)
        with pytest.raises(Lost):
            create()
        assert self._relay.struck
        self._world.server.wait_idle()
        seen = [each for each in self._world.server.requests if each.asked.key == key]
        publishing = [each for each in seen if each.asked.member in ("put_new", "finish_new")]
        assert len(publishing) <= 1, "it was sent twice"
        assert (self._direct.head(key) is not None) is acts


@pytest.fixture
def world() -> Iterator[Served]:
    with served() as world:
        yield world


@pytest.mark.parametrize("used", [True, False], ids=["used", "new"])
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("name", WAYS)
def test_behind_any_byte_a_create_is_sent_once(world: Served, name: str, reset: bool, used: bool) -> None:
    with relayed(urlsplit(world.server.url).port or 0) as relay:
        way = Way(world, relay, name)
        sizes = way.sizes()
        up, down = sizes["up"], sizes["down"]
        body = 0 if name == "finish" else int(name.partition(" ")[2])
        head = up - body
        for after in sorted({1, 4, head // 2, head - 2, head - 1, head, head + 1, head + body // 2, up - 1, up}):
            if after <= up:
                way.check(Cut("up", after, reset), used=used, sizes=sizes)
        for after in (1, 5, 9, 12, 13, 14, 15, 16, 17, 18, down // 3, down // 2, down - 2, down - 1):
            way.check(Cut("down", after, reset), used=used, sizes=sizes)
        way.close()
