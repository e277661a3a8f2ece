"""No false conflict, no double creation, no false "not written": outcome.py itself, in every order of small worlds."""

from __future__ import annotations

import inspect
import itertools
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from properties.worlds import Creator, Explorer, LawBroken, Step, World
from storage_guard import outcome
from telling import Tell

PUT = Creator(multipart=False)
PARTS = Creator(multipart=True)
PAIRS = ((PUT, PUT), (PARTS, PUT), (PARTS, PARTS))
LEFT = replace(PARTS, left="open")
BEHIND = replace(PARTS, left="finishing")
FAULTS = ("losses", "blind", "twice", "busy", "conflicts", "refusals", "rivals", "sweeps", "removals")


def plain_worlds() -> Iterator[World]:
    """Every pair of creators, with every two kinds of trouble, the first of them twice."""
    for pair, (first, second) in itertools.product(PAIRS, itertools.permutations(FAULTS, 2)):
        budgets: dict[str, Any] = {first: 2, second: 1}
        yield World(pair, **budgets)


def odd_worlds() -> Iterator[World]:
    """The variants of `create`, with a loss, a resend, a rival and a removal in each."""
    variants = [
        replace(PUT, if_exists="skip"),
        replace(PUT, if_exists="same"),
        replace(PUT, if_exists="same", data="y"),
        replace(PUT, may_look=False),
        replace(PUT, write_id="job-7"),
        replace(PUT, write_id="job-7", data="y"),
        replace(PUT, write_id="job-7", if_exists="skip"),
        replace(PARTS, write_id="job-7"),
        replace(PARTS, write_id="job-7", data="y"),
        replace(PARTS, rewindable=False),
        replace(PARTS, if_exists="same"),
        replace(PARTS, may_look=False),
    ]
    for pair in itertools.combinations_with_replacement(variants, 2):
        yield World(pair, losses=1, twice=1, rivals=1)
        yield World(pair, losses=1, blind=1, removals=1)


def watchful_worlds() -> Iterator[World]:
    """Uploads that look at the key while their parts are sent."""
    for creator, other in itertools.product(
        (PARTS, replace(PARTS, if_exists="same"), replace(PARTS, if_exists="skip"), replace(PARTS, write_id="job-7")),
        (PUT, PARTS, replace(PUT, write_id="job-7")),
    ):
        yield World((creator, other), looks=2, rivals=1, removals=1)
        yield World((creator, other), looks=1, losses=1, refusals=1)
    yield World((replace(PARTS, if_exists="same"),), looks=2, losses=2, rivals=2, removals=2, blind=1)


def left_worlds(*others: Creator) -> Iterator[World]:
    """Uploads gone on with behind a process that died, with every two kinds of trouble."""
    for creator, other, (first, second) in itertools.product((LEFT, BEHIND), others, itertools.combinations(FAULTS, 2)):
        budgets: dict[str, Any] = {first: 1, second: 1}
        yield World((creator, other), looks=1, **budgets)
    variants: list[dict[str, Any]] = [
        {"if_exists": "skip"},
        {"if_exists": "same"},
        {"if_exists": "same", "data": "y"},
        {"may_look": False},
        {"write_id": "job-7"},
        {"write_id": "job-7", "data": "y"},
        {"write_id": "job-7", "if_exists": "same"},
    ]
    for creator, variant, other in itertools.product((LEFT, BEHIND), variants, (PUT, replace(PUT, write_id="job-7"))):
        yield World((replace(creator, **variant), other), looks=1, losses=1, removals=1)


def short_left_worlds() -> Iterator[World]:
    return left_worlds(PUT)


def deep_worlds() -> Iterator[World]:
    yield from left_worlds(PARTS, LEFT, BEHIND)
    for creator, (first, second, third) in itertools.product((LEFT, BEHIND), itertools.permutations(FAULTS, 3)):
        budgets: dict[str, Any] = {first: 2, second: 2, third: 1}
        yield World((creator,), looks=1, **budgets)
    for pair in PAIRS:
        yield World(pair, losses=3, rivals=1, removals=1)
        yield World(pair, losses=2, blind=1, twice=1, sweeps=1)
    yield World((PARTS,), losses=3, blind=2, twice=1, conflicts=2, busy=1, refusals=1, rivals=1, removals=1, sweeps=1)
    yield World((PUT,), losses=3, blind=2, twice=2, conflicts=1, busy=1, refusals=1, rivals=1, removals=2)


WORLDS = (plain_worlds, odd_worlds, watchful_worlds, short_left_worlds)


def explored(worlds: Iterator[World], step: Step = outcome.step) -> tuple[int, int]:
    counts = [Explorer(world, step).explore() for world in worlds]
    return len(counts), sum(counts)


def in_turn(many: Iterable[Iterator[World]]) -> Iterator[World]:
    """One of each, then the next of each: a defect that shows in some of them shows soon."""
    return (world for each in itertools.zip_longest(*many) for world in each if world is not None)


def halves() -> Iterator[Any]:
    """Of the many worlds every second one always, and the others with --soak; the few all."""
    for worlds in WORLDS:
        many = worlds in (plain_worlds, odd_worlds)
        yield pytest.param(worlds, 0, 1 + many, id=worlds.__name__)
        if many:
            yield pytest.param(worlds, 1, 2, id=f"other_{worlds.__name__}", marks=pytest.mark.soak)


@pytest.mark.parametrize(("worlds", "first", "step"), list(halves()))
def test_no_order_of_events_in_a_small_world_breaks_a_law(
    worlds: Callable[[], Iterator[World]], first: int, step: int, tell: Tell
) -> None:
    count, states = explored(itertools.islice(worlds(), first, None, step))
    tell(f"{count} worlds, {states:,} states")


@pytest.mark.soak
def test_no_order_of_events_in_a_deep_world_breaks_a_law(tell: Tell) -> None:
    count, states = explored(deep_worlds())
    tell(f"{count} worlds, {states:,} states")


def test_without_trouble_exactly_one_of_two_creators_wins() -> None:
    for pair in PAIRS:
        explorer = Explorer(World(pair))
        explorer.explore()
        finals = {write.verdict for write in explorer.writes if write.decided}
        assert finals == {outcome.Verdict.CREATED, outcome.Verdict.EXISTS}


# The instrument is tried on planted defects: each replaces one passage of outcome.py. The law that must catch it stands
# beside it.
DEFECTS = {
    "a lost commit is forgotten": (
        "why=Why.LOST, suspect=True)",
        "why=Why.LOST)",
        "not written",
    ),
    "exists is believed unasked": (
        "    return write._replace(doing=Doing.HEAD, why=Why.EXISTS, sole=sole)",
        "    return _decide(write, Verdict.EXISTS)",
        "told EXISTS about its own write",
    ),
    "sole counts after a loss": (
        "sole = answer is Answer.EXISTS_SOLE and not write.suspect and",
        "sole = answer is Answer.EXISTS_SOLE and",
        "told PRESENT about its own write",
    ),
    "an accepted abort fences unasked": (
        "            return write._replace(doing=Doing.LIST, aborts=write.aborts + 1)",
        "            return write._replace(doing=Doing.HEAD, fenced=True)",
        "not written",
    ),
    "an abort that finds nothing fences": (
        "            return write._replace(doing=Doing.HEAD, aborts=write.aborts + 1)\n        case Answer.LOST",
        "            return write._replace(doing=Doing.HEAD, fenced=True)\n        case Answer.LOST",
        "not written",
    ),
    "a failing HEAD counts as absent": (
        "        case Answer.ABSENT:\n            return _unseen(write)",
        "        case Answer.ABSENT | Answer.FAILED:\n            return _decide(write, Verdict.NOT_WRITTEN)",
        "not written",
    ),
    "a refusal is believed of a suspect write": (
        "    if write.suspect:\n        return write._replace(doing=Doing.HEAD, why=Why.REFUSED)\n",
        "",
        "not written",
    ),
    "one absent HEAD ends a lost put": (
        "            return write._replace(doing=Doing.COMMIT, pause=True)\n        case Why.GONE_SOLE",
        "            return _decide(write, Verdict.NOT_WRITTEN)\n        case Why.GONE_SOLE",
        "not written",
    ),
    "an equal id of other bytes is ours": (
        "        case Answer.OURS if write.named:",
        "        case Answer.OURS if False:",
        "told created, and nothing of its landed",
    ),
    "no time left means not written": (
        "            return _decide(write, Verdict.UNKNOWN if write.suspect else Verdict.NOT_WRITTEN)",
        "            return _decide(write, Verdict.NOT_WRITTEN)",
        "not written",
    ),
    "sending the rest makes up for a finish that may be on its way": (
        "return write._replace(doing=Doing.COMMIT, sent=True)",
        "return write._replace(doing=Doing.COMMIT, sent=True, suspect=False)",
        "not written",
    ),
    "an upload without its parts is finished": (
        "    if not write.multipart or write.sent:",
        "    if not write.multipart or write.begun:",
        "finishes an upload that has not got its parts",
    ),
    "a new upload is taken for as whole as the old one": (
        "                sent=False,\n",
        "",
        "finishes an upload that has not got its parts",
    ),
    "whoever is seen beside the parts is us": (
        "return _seen(write._replace(why=Why.EXISTS, sole=False), answer)",
        "return _decide(write, Verdict.CREATED)",
        "told created, and nothing of its landed",
    ),
    "whoever is seen beside the parts is another": (
        "return _seen(write._replace(why=Why.EXISTS, sole=False), answer)",
        "return _seen(write, Answer.THEIRS)",
        "told EXISTS about its own write",
    ),
    "a part of an upload that is gone proves that nothing landed": (
        "            return write._replace(doing=Doing.HEAD, why=Why.GONE)",
        "            return _decide(write, Verdict.NOT_WRITTEN)",
        "not written",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_in_the_state_machine_is_found(defect: str) -> None:
    old, new, law = DEFECTS[defect]
    source = inspect.getsource(outcome)
    assert source.count(old) == 1, "the passage to spoil is no longer there"
    spoilt = types.ModuleType("spoilt_outcome")
    # Annotations and enums must be those of the real module, so only the functions are made anew.
    spoilt.__dict__.update({name: value for name, value in vars(outcome).items() if isinstance(value, type)})
    body = source[source.index("@cache\ndef start(") :].replace(old, new)
    exec(
        "from __future__ import annotations\nfrom dataclasses import replace\nfrom functools import cache\n"
        + _constants()
        + body,
        spoilt.__dict__,
    )
    with pytest.raises(LawBroken) as caught:
        explored(in_turn(each() for each in WORLDS), spoilt.step)
    assert law in str(caught.value)
    assert len(str(caught.value).splitlines()) > 1, "the story of how it came about is missing"


def _constants() -> str:
    return "".join(f"{name} = {value!r}\n" for name, value in vars(outcome).items() if name.startswith("MAX_"))
