"""Playing a script: on a turnstile, where it replays exactly, or freely, where only what is done is drawn."""

from __future__ import annotations

import random
import secrets
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from storage_guard import Store
from storage_guard.driver import Driver
from storage_guard.testing.histories.history import History
from storage_guard.testing.histories.operations import Head, Operation, Read, Scan, Settle
from storage_guard.testing.histories.player import DELIVERY_RATE, MakeStore, Player, Record
from storage_guard.testing.histories.script import Script, Turn
from storage_guard.testing.histories.turns import Turnstile
from storage_guard.testing.histories.warned import listening
from storage_guard.testing.races import race

MakeDriver = Callable[[], Driver]


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
    calm: Callable[[], None] | None = None,
) -> Played:
    """Play a script below a prefix of its own, deliver what is late, settle every ticket, and look at every key.

    One client's requests reach the store at a time, in the order that the script's turns or its seed say; `freely`
    the clients are threads that nobody holds back. `calm()` is called when the clients have done everything: from
    then on nothing goes wrong any more that went wrong beyond the driver, and nothing is under way there.
    """
    record = Record(f"h{script.seed}-{secrets.token_hex(6)}")
    drivers = [make_driver()]
    drivers += [make_driver() for _ in script.clients[1:] if not script.shared]
    with tempfile.TemporaryDirectory() as folder, listening():
        player = partial(Player, script=script, record=record, make_store=make_store, machine=Path(folder))
        players = [
            player(_name(place), driver=drivers[place % len(drivers)], freely=freely)
            for place in range(len(script.clients))
        ]
        if freely:
            for result in race(_lives(script, players)):
                if result is not None:
                    raise result
        elif players:
            _take_turns(script, players, record)
        if calm is not None:
            calm()
        finish(
            script, players, record, player("end", script=replace(script, faults={}), driver=drivers[0], freely=freely)
        )
    record.look_for_uploads(drivers)
    for driver in drivers:
        driver.close()
    played = replace(script, faults=dict(record.struck), turns=None if freely else tuple(record.turns))
    return Played(played, history_of(record, fresh_listings=fresh_listings))


def history_of(record: Record, *, fresh_listings: bool) -> History:
    return History(
        calls=tuple(sorted(record.calls, key=lambda call: call.began)),
        acts=tuple(record.acts),
        left=tuple(record.left),
        touches=tuple(record.touches),
        contents=dict(record.contents),
        arrivals=tuple(record.arrivals),
        faults=len(record.struck),
        fresh_listings=fresh_listings,
    )


def finish(script: Script, players: Sequence[Player], record: Record, last: Player) -> None:
    """What is late arrives; then `last`, whom nothing befalls, settles every ticket and looks at every key."""
    for player in players:
        for turn in list(player.late):
            player.deliver(turn)
    operations: list[Operation] = [Settle(0.0, ticket=ticket) for ticket in list(record.tickets)]
    asked = {key for call in record.calls for key in (call.asked.key, call.asked.source) if key is not None}
    for key in sorted(asked):
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
        if late and chance.random() < DELIVERY_RATE:
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
