"""Creates whose way to the service ends behind any byte of their head, their body or their answer."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from faults.relay import Cut, Direction, Relay
from storage_guard.driver import Driver, Lost, ObjectInfo
from storage_guard.testing import SubmittingDriver
from storage_guard.testing.server import Server
from unit.oss_served import begun, fresh, put

LARGE = 1_500_000
SIZES_BYTES = (0, 4096, LARGE)  # none, at once, and window by window


def _finish(driver: Driver, key: str) -> Callable[[], ObjectInfo]:
    upload_id, parts = begun(driver, key, meta := fresh())
    return lambda: driver.finish_new(key, upload_id, parts, meta)


def _put(size_bytes: int, driver: Driver, key: str) -> Callable[[], ObjectInfo]:
    return lambda: put(driver, key, bytes(size_bytes))


def _submit(size_bytes: int, driver: Driver, key: str) -> Callable[[], ObjectInfo]:
    return lambda: put(SubmittingDriver(driver), key, bytes(size_bytes))


WAYS: dict[str, Callable[[Driver, str], Callable[[], ObjectInfo]]] = {
    **{f"put {size_bytes}": functools.partial(_put, size_bytes) for size_bytes in SIZES_BYTES},
    **{f"submit {size_bytes}": functools.partial(_submit, size_bytes) for size_bytes in SIZES_BYTES[:2]},
    "finish": _finish,
}


class Way:
    """A create by `driver`, over a relay, again and again, each under a key of its own and with as many bytes. `direct`
    goes to the server itself."""

    def __init__(self, name: str, server: Server, relay: Relay, *, driver: Driver, direct: Driver) -> None:
        self._server, self._relay = server, relay
        self._make = WAYS[name]
        self._name = name
        self._submits = name.startswith("submit")
        self._driver, self._direct = driver, direct
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
        self._relay.wait_over()
        self._server.wait_idle()
        seen = [each for each in self._server.requests if each.asked.key == key]
        publishing = [each for each in seen if each.asked.member in ("put_new", "finish_new")]
        assert len(publishing) <= 1, "it was sent twice"
        assert (self._direct.head(key) is not None) is acts

    def check_all(self, *, reset: bool, used: bool) -> None:
        sizes = self.sizes()
        up, down = sizes["up"], sizes["down"]
        body = 0 if self._name == "finish" else int(self._name.partition(" ")[2])
        head = up - body
        for after in sorted({1, 4, head // 2, head - 2, head - 1, head, head + 1, head + body // 2, up - 1, up}):
            if after <= up:
                self.check(Cut("up", after, reset), used=used, sizes=sizes)
        for after in (1, 5, 9, 12, 13, 14, 15, 16, 17, 18, down // 3, down // 2, down - 2, down - 1):
            self.check(Cut("down", after, reset), used=used, sizes=sizes)
        self.close()
