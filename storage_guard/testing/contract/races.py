"""Of any number of creators that come at one moment, one wins, and what is there is the winner's."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from storage_guard.driver import (
    Body,
    Busy,
    Conflict,
    Driver,
    Exists,
    Gone,
    Lost,
    ObjectInfo,
    ObjectRef,
    Part,
    Signal,
    WriteMeta,
)
from storage_guard.testing.bodies import BytesBody, MeddlingBody
from storage_guard.testing.contract.base import (
    Laws,
    MakeDriver,
    begun,
    check_bytes,
    check_write_id,
    content,
    fresh,
    put,
    whole,
)
from storage_guard.testing.races import StartingGate, race


@dataclass
class Gate:
    """Holds contenders, at the last byte of their bodies if they send one, until all are there: then nothing but the
    commit is left, and who has looked for a rival before has seen none.

    A store that takes fewer at a time than there are would never get them all together, so it is asked once only.
    """

    parties: int
    broken: bool = False
    gate: StartingGate = field(init=False)

    def __post_init__(self) -> None:
        self.gate = StartingGate(self.parties, timeout_s=1.0)

    def hold(self, data: bytes) -> Body:
        return MeddlingBody(data, len(data) - 1, self.wait)

    def wait(self) -> None:
        try:
            if not self.broken:
                self.gate.wait()
        except threading.BrokenBarrierError:
            self.broken = True


@dataclass
class Contender:
    """One creator in one round. The first has nothing to write, because empty objects often go another way."""

    driver: Driver
    number: int
    key: str
    meta: WriteMeta = field(default_factory=fresh)
    upload_id: str = ""
    parts: Sequence[Part] = ()

    @property
    def data(self) -> bytes:
        return content(self.number * 100, self.number)

    def put(self, gate: Gate | None) -> Callable[[], ObjectInfo]:
        if gate is not None and self.data:
            body = gate.hold(self.data)
            return lambda: self.driver.put_new(self.key, body, self.meta)
        return self._after(gate, lambda: self.driver.put_new(self.key, BytesBody(self.data), self.meta))

    def begin(self) -> None:
        # No part may be empty everywhere.
        self.upload_id, self.parts = begun(self.driver, self.key, [self.data or b"0"], self.meta)

    def finish(self, gate: Gate | None = None) -> Callable[[], ObjectInfo]:
        return self._after(gate, lambda: self.driver.finish_new(self.key, self.upload_id, self.parts, self.meta))

    def _after(self, gate: Gate | None, create: Callable[[], ObjectInfo]) -> Callable[[], ObjectInfo]:
        def call() -> ObjectInfo:
            if gate is not None:
                gate.wait()
            return create()

        return call

    def copy(self) -> ObjectInfo:
        source = ObjectRef(self.driver.location, _source(self.number))
        return self.driver.copy_new(source, self.key, self.meta)

    @property
    def written(self) -> bytes:
        return self.data or (b"0" if self.upload_id else b"")


def _source(number: int) -> str:
    return f"race/source-{number}"


def judge(contenders: Sequence[Contender], results: Sequence[ObjectInfo | BaseException]) -> None:
    """One winner; what is there is the winner's; nobody was told a thing that no driver may say."""
    winner: Contender | None = None
    in_doubt = False
    for contender, result in zip(contenders, results, strict=True):
        if isinstance(result, ObjectInfo):
            assert winner is None, f"two creators of {contender.key!r} were told that it was theirs"
            winner = contender
        elif isinstance(result, Conflict | Busy | Lost):
            in_doubt = True
        elif not isinstance(result, Exists):
            raise result
    driver, key = contenders[0].driver, contenders[0].key
    found = driver.head(key)
    if winner is None:
        assert in_doubt, f"everybody was told that {key!r} exists, so nobody can have created it"
        maybe = [c.written for c, result in zip(contenders, results, strict=True) if isinstance(result, Lost)]
        assert found is None or whole(driver, key) in maybe, f"{key!r} is of one who was turned away"
        return
    assert found is not None, f"{key!r} was created, and head does not see it"
    check_bytes(whole(driver, key), winner.written, f"the bytes at {key!r} are not the winner's")
    check_write_id(driver.capabilities(), found, winner.meta)


class RaceLaws(Laws):
    @pytest.fixture
    def clients(self, make_driver: MakeDriver) -> Iterator[Sequence[Driver]]:
        clients = [make_driver() for _ in range(self.race_clients)]
        yield clients
        for client in clients:
            client.close()

    def _rounds(self, clients: Sequence[Driver]) -> Iterator[tuple[int, list[Contender]]]:
        for number in range(self.race_rounds):
            key = f"race/{number}"
            yield number, [Contender(client, each, key) for each, client in enumerate(clients)]

    def test_of_racing_puts_one_wins(self, clients: Sequence[Driver]) -> None:
        gate = Gate(len(clients))
        for number, contenders in self._rounds(clients):
            held = gate if number % 2 else None
            judge(contenders, race([contender.put(held) for contender in contenders]))

    def test_of_racing_finishes_one_wins(self, clients: Sequence[Driver]) -> None:
        for _, contenders in self._rounds(clients):
            for contender in contenders:
                contender.begin()
            results = race([contender.finish() for contender in contenders])
            judge(contenders, results)
            _abort_losers(contenders, results)

    def test_of_racing_puts_and_finishes_one_wins(self, clients: Sequence[Driver]) -> None:
        gate = Gate(len(clients))
        for number, contenders in self._rounds(clients):
            finishing = [contender for contender in contenders if (contender.number + number) % 2]
            for contender in finishing:
                contender.begin()
            held = gate if number % 8 < 6 else None
            calls = [each.finish(held) if each in finishing else each.put(held) for each in contenders]
            results = race(calls)
            judge(contenders, results)
            _abort_losers(contenders, results)

    def test_of_racing_copies_one_wins(self, clients: Sequence[Driver]) -> None:
        if clients[0].capabilities().copy == "missing":
            pytest.skip("nothing is copied here")
        for each, client in enumerate(clients):
            put(client, _source(each), Contender(client, each, "").data)
        for _, contenders in self._rounds(clients):
            judge(contenders, race([contender.copy for contender in contenders]))


def _abort_losers(contenders: Sequence[Contender], results: Sequence[ObjectInfo | BaseException]) -> None:
    for contender, result in zip(contenders, results, strict=True):
        if not contender.upload_id or isinstance(result, ObjectInfo):
            continue
        if isinstance(result, Exists):
            contender.driver.abort(contender.key, contender.upload_id)  # it stayed open
        else:
            with contextlib.suppress(Signal, Gone):
                contender.driver.abort(contender.key, contender.upload_id)
