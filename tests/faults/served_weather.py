"""Histories whose faults strike on the wire, below the driver: drawn, counted, and what they did is known."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from faults.served_world import HASTY_S, Kind, Landing, World
from storage_guard.driver import Driver
from storage_guard.testing import Mix, SubmittingDriver
from storage_guard.testing.histories import Act, History, LeftUpload, Played, Violation, check, draw, play, show
from storage_guard.testing.histories.history import NEVER
from storage_guard.testing.server import Action, Asked, Hold

RATES = (0.0, 0.05, 0.15, 0.3)
MIX = Mix(fault_rates=(0.0,))  # at the drivers' edge

_RELEASE_RATE = 0.2
_LATE_WEIGHT = 0.3  # each costs somebody the time of an answer


class Weather:
    """What befalls the requests to a server, drawn from a seed: what befalls those of its world, and `more`, which is
    refused and done with. `struck` counts it by its kind, over all seeds."""

    def __init__(self, world: World, more: Sequence[Kind]) -> None:
        self._world = world
        self._kinds = (*world.kinds, *more)
        self._chance = random.Random(0)
        self._rate = 0.0
        self._holds: list[Hold] = []
        self.struck: Counter[str] = Counter()
        world.server.cues.on_request = self._meet

    def begin(self, seed: int) -> float:
        """How many of the requests meet something, from now on."""
        self._chance = random.Random(f"weather/{seed}")
        self._rate = self._chance.choice(RATES)
        return self._rate

    def calm(self) -> None:
        """No more; and what was late is over."""
        self._rate = 0.0
        self._release()
        self._world.server.wait_idle()

    def _release(self) -> None:
        held, self._holds = self._holds, []
        for hold in held:
            hold.release()

    def _meet(self, asked: Asked) -> Action | None:
        if self._holds and self._chance.random() < _RELEASE_RATE:
            self._release()
        if self._chance.random() >= self._rate:
            return None
        kinds = [kind for kind in self._kinds if kind.suits(asked.member)]
        kind = self._chance.choices(kinds, [_LATE_WEIGHT if kind.late else 1.0 for kind in kinds])[0]
        self.struck[kind.words] += 1
        hold = Hold()
        if kind.late:
            self._holds.append(hold)
        return kind.action(hold)


def exact(
    history: History,
    landings: Sequence[Landing],
    begun: dict[str, str | None],
    faults: int,
    told_etag: Callable[[str], str] = str,
) -> History:
    """A history whose doubts are replaced by what the server knows: a request that was not answered has landed, or it
    has not, and what a copy has landed is known. What landed and no driver has told of is in it, too."""
    acts = [act for act in history.acts if act.kind != "land"]
    lands = [act for act in history.acts if act.kind == "land"]
    contents = dict(history.contents)
    names = {data: name for name, data in contents.items()}
    for landing in landings:
        key, etag = landing.key.partition("/")[2], told_etag(landing.etag)
        name = names.setdefault(landing.data, f"landed-{len(names)}")
        contents[name] = landing.data
        of_it = [act for act in lands if (act.key, act.write_id) == (key, landing.write_id)]
        told = next((act for act in of_it if act.certain and act.etag == etag), None)
        if told is not None:
            lands.remove(told)
            acts.append(replace(told, content=name))
            continue
        unsure = [act for act in of_it if not act.certain]
        numbers = {act.number for act in unsure}
        began = min((act.began for act in unsure), default=0)
        number = numbers.pop() if len(numbers) == 1 else -1
        acts.append(Act("land", key, began, NEVER, write_id=landing.write_id, etag=etag, number=number, content=name))
    acts += [act for act in lands if act.certain]
    return replace(history, acts=tuple(acts), contents=contents, left=tuple(_attributed(history, begun)), faults=faults)


def _attributed(history: History, begun: dict[str, str | None]) -> Iterator[LeftUpload]:
    """The uploads that are left; those whose opening was not answered, too, are somebody's."""
    writers: dict[str | None, set[int]] = {}
    for call in history.calls:
        for write_id in call.write_ids:
            writers.setdefault(write_id, set()).add(call.number)
    for each in history.left:
        numbers = writers.get(begun.get(each.upload_id), set())
        if each.number is None and len(numbers) == 1:
            yield replace(each, number=min(numbers))
        else:
            yield each


@dataclass
class Tried:
    """How much was tried."""

    histories: int = 0
    operations: int = 0
    requests: int = 0
    replaced: int = 0
    struck: Counter[str] = field(default_factory=Counter[str])

    def __str__(self) -> str:
        kinds = "".join(f"\n  {count:6} {words}" for words, count in sorted(self.struck.items()))
        return (
            f"{self.operations} operations in {self.histories} histories, {self.requests} requests, "
            f"{sum(self.struck.values())} faults on the wire{kinds}"
        )


MakeDriver = Callable[[float], Driver]
"""Of the seconds until it gives up."""


def carried(driver: Driver, seed: int) -> Driver:
    """In every other history puts go through the loop."""
    return SubmittingDriver(driver) if seed % 2 else driver


def played(world: World, weather: Weather, seed: int, make_driver: MakeDriver, mix: Mix, *, freely: bool) -> Played:
    rate, before = weather.begin(seed), sum(weather.struck.values())
    first = len(world.ledger.landings)
    read_timeout_s = HASTY_S if rate else 60.0
    script = draw(seed, mix, world.patient.limits.min_part_bytes)
    found = play(
        script,
        lambda: carried(make_driver(read_timeout_s), seed),
        fresh_listings=True,
        freely=freely,
        calm=weather.calm,
    )
    # Whoever is hasty may lose an answer that was only slow.
    faults = sum(weather.struck.values()) - before + (rate > 0)
    landings = world.ledger.landings[first:]
    return replace(found, history=exact(found.history, landings, world.ledger.begun, faults, world.told_etag))


def histories(
    world: World,
    weather: Weather,
    seeds: Iterable[int],
    *,
    make_driver: MakeDriver | None = None,
    mix: Mix = MIX,
    freely: bool = False,
    tried: Tried | None = None,
) -> tuple[int, list[Violation], str] | None:
    """The first seed whose history breaks a law, with the laws, and the history for people; None if all keep them."""
    tried = tried or Tried()

    def usual(read_timeout_s: float) -> Driver:
        return world.driver(read_timeout_s=read_timeout_s)

    for seed in seeds:
        requests, landings = len(world.server.requests), len(world.ledger.landings)
        struck = Counter(weather.struck)
        found = played(world, weather, seed, make_driver or usual, mix, freely=freely)
        tried.histories += 1
        tried.operations += sum(call.client != "end" for call in found.history.calls)
        tried.requests += len(world.server.requests) - requests
        tried.struck += weather.struck - struck
        tried.replaced += sum(each.replaced for each in world.ledger.landings[landings:])
        violations = check(found.history)
        if violations:
            return seed, violations, show(found.history, violations)
    return None
