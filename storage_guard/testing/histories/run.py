"""Playing a script: on a turnstile, where it replays exactly, or freely, where only what is done is drawn."""

from __future__ import annotations

import itertools
import random
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

from storage_guard import Store
from storage_guard.driver import Driver, Signal
from storage_guard.testing.clock import FakeClock
from storage_guard.testing.faults import Fault, Member
from storage_guard.testing.histories.edge import ClientEnd, StoreEnd
from storage_guard.testing.histories.history import Act, Arrival, Call, History, LeftUpload
from storage_guard.testing.histories.operations import Head, Operation, Read, Scan, Settle
from storage_guard.testing.histories.script import SIZES, TAGS, Script, Step, Turn
from storage_guard.testing.histories.troubles import SUITED, TROUBLES
from storage_guard.testing.histories.turns import Turnstile
from storage_guard.testing.races import race
from storage_guard.ticket import parse

MakeDriver = Callable[[], Driver]
MakeStore = Callable[..., Store]

_LEAST_PART_BYTES = 64
_DELIVERY_RATE = 0.15


def part_bytes_of(driver: Driver) -> int:
    """The size of the parts of a history: the smallest that the store takes, so that many are cheap."""
    return max(driver.limits.min_part_bytes, _LEAST_PART_BYTES)


@lru_cache(maxsize=8)
def contents_of(part_bytes: int) -> Mapping[str, bytes]:
    """The bytes that histories write, by name. Those of one size and another tag differ."""
    sizes = dict(zip(SIZES, (0, part_bytes // 2, 2 * part_bytes + part_bytes // 2, 2 * part_bytes), strict=True))
    return {
        f"{size}-{tag}": random.Random(f"{tag}/{size_bytes}").randbytes(size_bytes)
        for size, size_bytes in sizes.items()
        for tag in TAGS
    }


@dataclass
class Record:
    """What is written down while a script is played. Every change of it is one step of the interpreter."""

    prefix: str
    tick: Callable[[], int] = field(default_factory=lambda: itertools.count().__next__)
    calls: list[Call] = field(default_factory=list[Call])
    acts: list[Act] = field(default_factory=list[Act])
    arrivals: list[Arrival] = field(default_factory=list[Arrival])
    begun: dict[str, int] = field(default_factory=dict[str, int])
    tickets: list[tuple[int, str | None, str]] = field(default_factory=list[tuple[int, str | None, str]])
    struck: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    turns: list[Turn] = field(default_factory=list[Turn])
    left: list[LeftUpload] = field(default_factory=list[LeftUpload])

    def acted(self, act: Act, /) -> None:
        self.acts.append(replace(act, key=act.key.removeprefix(f"{self.prefix}/")))

    def began(self, _key: str, upload_id: str, number: int, /) -> None:
        self.begun[upload_id] = number

    def look_for_uploads(self, drivers: Sequence[Driver]) -> None:
        known = {each.upload_id for each in self.left}
        for driver in drivers:
            for upload in driver.scan_uploads(f"{self.prefix}/"):
                if upload.upload_id not in known:
                    key = upload.key.removeprefix(f"{self.prefix}/")
                    self.left.append(LeftUpload(key, upload.upload_id, self.begun.get(upload.upload_id)))
                known.add(upload.upload_id)


class Player:
    """One client: does its steps, meets its faults, and writes down what it was told."""

    def __init__(
        self, name: str, script: Script, driver: Driver, record: Record, *, make_store: MakeStore, folder: Path
    ) -> None:
        self._name = name
        self._script = script
        self._record = record
        self._folder = folder
        self._make_store = make_store
        self.gate: Callable[[int], None] | None = None  # none: the client runs freely
        self.late: dict[Turn, tuple[str, Callable[[], object]]] = {}
        part_bytes = part_bytes_of(driver)
        self._contents = contents_of(part_bytes)
        self._options = {"part_bytes": part_bytes, "multipart_from_bytes": part_bytes, "prefix": record.prefix}
        self._end = StoreEnd(driver, record)
        self._driver = ClientEnd(self._end, self)
        self._store = self.another_store()
        self._etags: dict[str, list[str]] = {}
        self._number = -1
        self._requests = 0
        self._examinations = 0
        self._trace: list[str] = []
        self._write_ids: dict[str, None] = {}
        self._chance = random.Random(f"{script.seed}/{name}")

    # For operations

    @property
    def contents(self) -> Mapping[str, bytes]:
        return self._contents

    @property
    def tickets(self) -> Sequence[tuple[int, str | None, str]]:
        return self._record.tickets

    @property
    def etags(self) -> Mapping[str, Sequence[str]]:
        return self._etags

    def another_store(self) -> Store:
        return self._make_store(self._driver, clock=FakeClock(), in_flight=1, **self._options)

    def spill(self, data: bytes) -> Path:
        path = self._folder / f"{self._name}-{self._number}"
        path.write_bytes(data)
        return path

    # For the client's end of the driver

    def arrive(self, member: Member, /) -> Fault | None:
        self._pause()
        if member == "capabilities":  # only the first operation of a Store asks: the others' requests count from 0
            self._examinations += 1
            request = -self._examinations
        else:
            request = self._requests
            self._requests += 1
        self._end.number = self._number
        name = self._trouble(member, request)
        self._trace.append(f"{member}@{self._record.tick()}" + (f"!{name}" if name else ""))
        if name is None:
            return None
        self._record.struck[self._number, request] = name
        return TROUBLES[name]

    def pause_in_body(self) -> None:
        if self._script.pauses:
            self._pause()

    def _pause(self) -> None:
        if self.gate is not None:
            self.gate(self._number)
        elif self.late and self._chance.random() < _DELIVERY_RATE:
            self.deliver(self._chance.choice(list(self.late)))

    def later(self, perform: Callable[[], object], /) -> None:
        self.late[Turn(self._number, self._requests - 1)] = (self._trace[-1].partition("@")[0], perform)

    def bears(self, write_id: str, /) -> None:
        self._write_ids[write_id] = None

    def _trouble(self, member: Member, request: int) -> str | None:
        script = self._script
        if script.faults is not None:
            name = script.faults.get((self._number, request))
            return name if name in SUITED[member] else None
        if not script.fault_rate:
            return None
        chance = random.Random(f"{script.seed}/{self._number}/{request}")
        name = chance.choice(SUITED[member]) if chance.random() < script.fault_rate else None
        return None if (member, name) in script.spared else name

    # For whoever plays the script

    def deliver(self, turn: Turn) -> None:
        """Let a late request of this client reach the store."""
        words, perform = self.late.pop(turn)
        self._record.arrivals.append(Arrival(self._record.tick(), turn.number, words))
        before, self._end.number = self._end.number, turn.number
        with suppress(Signal):
            perform()
        self._end.number = before

    def live(self, steps: Sequence[Step]) -> None:
        for place, step in enumerate(steps):
            if place and self.gate is not None:
                self.gate(step.number)
            self.do(step.number, step.operation)

    def do(self, number: int, operation: Operation) -> None:
        """Do one operation, and write it down."""
        ready = operation.ready(self)
        if ready is None:
            return
        self._number, self._requests, self._examinations = number, 0, 0
        self._trace, self._write_ids = [], {}
        asked = ready.asked
        write_id = getattr(ready, "write_id", None)
        if write_id is not None:
            self.bears(write_id)
        began = self._record.tick()
        try:
            told = ready.perform(self._store, self)
        except BaseException as exc:  # noqa: BLE001 - whatever it is, it is what the client was told
            told = ready.told_of(exc)
        if told.ticket is not None:
            told = replace(told, upload_id=parse(told.ticket).upload_id)
        ended = self._record.tick()
        self._record.calls.append(
            Call(number, self._name, asked, began, ended, told, tuple(self._write_ids), tuple(self._trace))
        )
        if told.ticket is not None and asked.about is None:
            self._record.tickets.append((number, asked.key, told.ticket))
        for seen in told.seen:
            if seen.etag is not None:
                self._etags.setdefault(seen.key, []).append(seen.etag)


@dataclass(frozen=True)
class Played:
    """What happened, and the script that says it all: its faults, and its turns where it was played on a turnstile."""

    script: Script
    history: History


def play(
    script: Script,
    make_driver: MakeDriver,
    *,
    make_store: MakeStore = Store,
    fresh_listings: bool = False,
    freely: bool = False,
) -> Played:
    """Play a script below a prefix of its own, deliver what is late, settle every ticket, and look at every key.

    One client's requests reach the store at a time, in the order that the script's turns or its seed say; `freely`
    the clients are threads that nobody holds back.
    """
    record = Record(f"h{script.seed}-{secrets.token_hex(6)}")
    drivers = [make_driver()]
    drivers += [make_driver() for _ in script.clients[1:] if not script.shared]
    with tempfile.TemporaryDirectory() as folder:
        players = [
            Player(
                _name(place), script, drivers[place % len(drivers)], record, make_store=make_store, folder=Path(folder)
            )
            for place in range(len(script.clients))
        ]
        if freely:
            for result in race(_lives(script, players)):
                if result is not None:
                    raise result
        elif players:
            _take_turns(script, players, record)
        finish(script, players, record, drivers[0], folder=Path(folder), make_store=make_store)
    record.look_for_uploads(drivers)
    for driver in drivers:
        driver.close()
    played = replace(script, faults=dict(record.struck), turns=None if freely else tuple(record.turns))
    return Played(played, history_of(record, contents_of(part_bytes_of(drivers[0])), fresh_listings=fresh_listings))


def history_of(record: Record, contents: Mapping[str, bytes], *, fresh_listings: bool) -> History:
    return History(
        calls=tuple(sorted(record.calls, key=lambda call: call.began)),
        acts=tuple(record.acts),
        left=tuple(record.left),
        contents=contents,
        arrivals=tuple(record.arrivals),
        faults=len(record.struck),
        fresh_listings=fresh_listings,
    )


def finish(
    script: Script, players: Sequence[Player], record: Record, driver: Driver, *, folder: Path, make_store: MakeStore
) -> None:
    """What is late arrives; then somebody whom nothing befalls settles every ticket and looks at every key."""
    for player in players:
        for turn in list(player.late):
            player.deliver(turn)
    last = Player("end", replace(script, faults={}), driver, record, make_store=make_store, folder=folder)
    operations: list[Operation] = [Settle(0.0, ticket=ticket) for ticket in list(record.tickets)]
    for key in sorted({call.asked.key for call in record.calls if call.asked.key is not None}):
        operations += [Head(key), Read(key)]
    number = max((step.number for step in script.steps), default=-1) + 1
    for each in [*operations, Scan()]:
        last.do(number, each)
        number += 1


def _lives(script: Script, players: Sequence[Player]) -> list[Callable[[], None]]:
    return [partial(player.live, steps) for player, steps in zip(players, script.clients, strict=True)]


def _take_turns(script: Script, players: Sequence[Player], record: Record) -> None:
    owners = {step.number: player for steps, player in zip(script.clients, players, strict=True) for step in steps}
    choose = _drawn(script) if script.turns is None else _told(script.turns)

    def chosen(turns: Sequence[Turn]) -> Turn:
        turn = choose(turns)
        record.turns.append(turn)
        return turn

    turnstile = Turnstile(
        [steps[0].number for steps in script.clients],
        chosen,
        lambda: [turn for player in players for turn in player.late],
        lambda turn: owners[turn.number].deliver(turn),
    )
    for place, player in enumerate(players):
        player.gate = partial(turnstile.gate, place)
    turnstile.run(_lives(script, players))
    for player in players:
        player.gate = None


def _drawn(script: Script) -> Callable[[Sequence[Turn]], Turn]:
    chance = random.Random(f"turns/{script.seed}")
    last = Turn(-1)

    def choose(turns: Sequence[Turn]) -> Turn:
        nonlocal last
        late = [turn for turn in turns if turn.late is not None]
        if late and chance.random() < _DELIVERY_RATE:
            return chance.choice(late)
        if last not in turns or chance.random() < script.restless:
            last = chance.choice(turns[: len(turns) - len(late)])
        return last

    return choose


def _told(told: Sequence[Turn]) -> Callable[[Sequence[Turn]], Turn]:
    left = iter(told)

    def choose(turns: Sequence[Turn]) -> Turn:
        return next((turn for turn in left if turn in turns), turns[0])

    return choose


def _name(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else f"client-{place}"
