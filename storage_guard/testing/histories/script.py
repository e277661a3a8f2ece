"""A script: what each client is going to do, what goes wrong, and whose turn it is; drawn, or written down."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from storage_guard.testing.faults import Member
from storage_guard.testing.histories.data import FORMS
from storage_guard.testing.histories.keeping import Sweep, Uploads
from storage_guard.testing.histories.operations import (
    Head,
    IfExists,
    OpenRead,
    Operation,
    Read,
    Remove,
    Scan,
    Settle,
    Stream,
)
from storage_guard.testing.histories.writing import ENDS, Copy, Create, CreateMany, Open, Rename, Resume

SIZES = ("empty", "small", "parts", "exact")
TAGS = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class Step:
    """One operation; its number is its name in the whole history."""

    number: int
    operation: Operation


@dataclass(frozen=True, slots=True)
class Turn:
    """Lets the client that is at operation `number` go on to its next request, or, with `late`, lets the late request
    that was the `late`-th of that operation reach the store."""

    number: int
    late: int | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """`faults` are named by operation and request (the n-th of it). Those and the turns are drawn on the way from the
    seed where they are None; a script that was played says them all.

    `spared` are faults that are not drawn. `shared`: the clients are threads of one program, with one driver;
    otherwise each has its own. `pauses`: others have a turn before a put reads its body.

    `in_flight` and `forgetful` are for clients that run freely: how many parts are sent at once, and whether uploads
    are said to stay when their writer forgets them. On a turnstile requests come one by one, or their order would not
    be known.
    """

    seed: int
    clients: tuple[tuple[Step, ...], ...]
    fault_rate: float = 0.0
    restless: float = 1.0  # how often another client goes on
    shared: bool = False
    pauses: bool = True
    in_flight: int | None = 1
    forgetful: bool = False
    spared: Sequence[tuple[Member, str]] = ()
    faults: Mapping[tuple[int, int], str] | None = None
    turns: tuple[Turn, ...] | None = None

    @property
    def steps(self) -> list[Step]:
        return sorted((step for client in self.clients for step in client), key=lambda step: step.number)

    def only(self, numbers: Iterable[int]) -> Script:
        """The same without all other operations, and what belongs to them."""
        kept = set(numbers)
        clients = tuple(tuple(step for step in client if step.number in kept) for client in self.clients)
        faults = self.faults and {at: name for at, name in self.faults.items() if at[0] in kept}
        turns = self.turns and tuple(turn for turn in self.turns if turn.number in kept)
        return replace(self, clients=tuple(client for client in clients if client), faults=faults, turns=turns)

    def with_operation(self, number: int, operation: Operation) -> Script:
        """The same with another operation of that number."""
        clients = tuple(
            tuple(replace(step, operation=operation) if step.number == number else step for step in client)
            for client in self.clients
        )
        return replace(self, clients=clients)


@dataclass(frozen=True, slots=True)
class Mix:
    """What histories are made of. Ranges are inclusive.

    `weights`: how often each kind of operation is drawn. Half of the histories have no removals, and as many rates of
    faults are tried as are named; those without any fault are held to stricter laws. `spared`: what a member is not to
    meet, such as `("put_new", "BROKEN")`. `pauses`: others have a turn when a put is about to read its body; not for a
    driver that holds a lock meanwhile.
    """

    operations: int = 50
    clients: tuple[int, int] = (2, 4)
    keys: tuple[int, int] = (1, 24)
    fault_rates: tuple[float, ...] = (0.0, 0.05, 0.15, 0.3)
    spared: Sequence[tuple[Member, str]] = ()
    pauses: bool = True
    weights: Mapping[str, float] = field(
        default_factory=lambda: {
            "create": 10.0,
            "create-many": 2.0,
            "settle": 3.0,
            "head": 2.0,
            "read": 2.0,
            "stream": 1.0,
            "scan": 1.0,
            "remove": 2.0,
            "open": 4.0,
            "open-read": 2.0,
            "copy": 2.0,
            "rename": 1.5,
            "resume": 4.0,
            "sweep": 1.5,
            "uploads": 0.5,
        }
    )


def draw(seed: int, mix: Mix, part_bytes: int) -> Script:
    """The script of a seed. Keys come in turn, so that clients meet at each of them while it is young."""
    rng = random.Random(f"script/{seed}")
    clients = rng.randint(*mix.clients)
    keys = [f"k{number}" if number % 3 else f"dir/k{number}" for number in range(rng.randint(*mix.keys))]
    weights = dict(mix.weights)
    weights["remove"] = weights.get("remove", 0.0) * rng.choice((0, 0, 1, 3))
    named = rng.random() * 0.5
    number = 0
    all_steps: list[list[Step]] = [[] for _ in range(clients)]
    for place in range(-(-mix.operations // clients)):
        for steps in all_steps:
            if number == mix.operations:
                break
            near = place * len(keys) * clients // mix.operations + rng.choice((-1, 0, 0, 0, 1))
            key = keys[min(max(near, 0), len(keys) - 1)]
            kind = rng.choices(list(weights), list(weights.values()))[0]
            steps.append(Step(number, DRAWN[kind](rng, Near(key, keys, named, part_bytes))))
            number += 1
    return Script(
        seed,
        tuple(tuple(steps) for steps in all_steps),
        fault_rate=rng.choice(mix.fault_rates),
        restless=rng.choice((0.1, 0.5, 1.0)),
        shared=rng.random() < 0.3,
        pauses=mix.pauses,
        spared=tuple(mix.spared),
        in_flight=rng.choice((1, 3, None)),
        forgetful=rng.random() < 0.5,
    )


@dataclass(frozen=True, slots=True)
class Near:
    """Where an operation is drawn for: its key, those of the whole history, and how many writes bear a caller's id."""

    key: str
    keys: Sequence[str]
    named: float
    part_bytes: int

    def two_keys(self, rng: random.Random) -> tuple[str, str]:
        """From and to: this key, and one that was busy a little earlier, in either order; now and then the same."""
        place = self.keys.index(self.key)
        other = self.keys[max(0, place - rng.choice((0, 1, 1, 2)))] if place else self.keys[-1]
        return (self.key, other) if rng.random() < 0.4 else (other, self.key)


Draw = Callable[[random.Random, Near], Operation]
IF_EXISTS: tuple[IfExists, ...] = ("error", "error", "same", "skip")


def _content(rng: random.Random) -> str:
    return f"{rng.choice(SIZES)}-{rng.choice(TAGS)}"


def _write_id(rng: random.Random, near: Near) -> str | None:
    return f"mine-{rng.randint(1, 3)}" if rng.random() < near.named else None


def _deadline_s(rng: random.Random) -> float:
    return rng.choice((300.0, 300.0, 30.0, 1.0, 0.0))


def _create(rng: random.Random, near: Near) -> Operation:
    return Create(
        near.key,
        _content(rng),
        rng.choice(("bytes", "bytes", *FORMS)),
        rng.choice(IF_EXISTS),
        _write_id(rng, near),
        _deadline_s(rng),
    )


def _create_many(rng: random.Random, near: Near) -> Operation:
    """Of this key and its neighbours, so that they are others' too."""
    place = near.keys.index(near.key)
    keys = [near.key, *near.keys[max(0, place - 2) : place], *near.keys[place + 1 : place + 3]][: rng.randint(2, 4)]
    rng.shuffle(keys)
    items = tuple(
        Create(key, _content(rng), rng.choice(("bytes", "bytes", *FORMS)), write_id=_write_id(rng, near))
        for key in keys
    )
    return CreateMany(items, rng.random() < 0.5, rng.choice(IF_EXISTS), _deadline_s(rng))


def _open(rng: random.Random, near: Near) -> Operation:
    return Open(
        near.key,
        _content(rng),
        rng.choice(ENDS),
        rng.randint(1, 5),
        text=rng.random() < 0.2,
        packed=rng.random() < 0.2,
        if_exists=rng.choice(IF_EXISTS),
        write_id=_write_id(rng, near),
    )


def _copy(rng: random.Random, near: Near) -> Operation:
    far = rng.choice((None, None, None, True, False))
    source, key = near.two_keys(rng)
    if far is not None:
        source, key = _content(rng), near.key
    return Copy(source, key, far, rng.choice(IF_EXISTS), _write_id(rng, near), _deadline_s(rng))


def _rename(rng: random.Random, near: Near) -> Operation:
    return Rename(*near.two_keys(rng), _deadline_s(rng))


def _resume(rng: random.Random, near: Near) -> Operation:
    content = f"{rng.choice(('parts', 'exact', *SIZES))}-{rng.choice(TAGS[:2])}"
    return Resume(near.key, content, rng.choice(IF_EXISTS), _write_id(rng, near), _deadline_s(rng))


def _sweep(rng: random.Random, near: Near) -> Operation:
    return Sweep(near.key, naming=rng.random() < 0.3, older_than_s=rng.choice((0.0, 0.0, 3600.0)))


def _uploads(rng: random.Random, near: Near) -> Operation:
    del rng, near
    return Uploads()


def _range(rng: random.Random, near: Near) -> tuple[int, int | None]:
    if rng.random() < 0.5:
        return 0, None
    start, stop = sorted((rng.randrange(3 * near.part_bytes), rng.randrange(3 * near.part_bytes)))
    return start, rng.choice((stop, None))


def _read(rng: random.Random, near: Near) -> Operation:
    return Read(near.key, *_range(rng, near), pinned=rng.random() < 0.3)


def _stream(rng: random.Random, near: Near) -> Operation:
    return Stream(near.key, *_range(rng, near))


def _open_read(rng: random.Random, near: Near) -> Operation:
    most_bytes = 3 * near.part_bytes
    places = [
        (rng.choice((None, rng.randrange(most_bytes))), rng.choice((-1, rng.randrange(most_bytes))))
        for _ in range(rng.randint(1, 4))
    ]
    return OpenRead(near.key, tuple(places), text=rng.random() < 0.2)


def _remove(rng: random.Random, near: Near) -> Operation:
    return Remove(near.key, rng.choice((None, None, "first", "last")))


def _settle(rng: random.Random, near: Near) -> Operation:
    del near
    return Settle(rng.random(), rng.choice((30.0, 1.0)), anew=rng.random() < 0.5)


def _head(rng: random.Random, near: Near) -> Operation:
    del rng
    return Head(near.key)


def _scan(rng: random.Random, near: Near) -> Operation:
    del rng, near
    return Scan()


DRAWN: Mapping[str, Draw] = {
    "create": _create,
    "create-many": _create_many,
    "settle": _settle,
    "head": _head,
    "read": _read,
    "stream": _stream,
    "scan": _scan,
    "remove": _remove,
    "open": _open,
    "open-read": _open_read,
    "copy": _copy,
    "rename": _rename,
    "resume": _resume,
    "sweep": _sweep,
    "uploads": _uploads,
}
"""How an operation of each kind is drawn."""
