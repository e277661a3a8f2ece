"""Clients that do everything at the same time over real sockets, while requests and answers are lost on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

import storage_guard_oss.asking
import storage_guard_s3.asking
from faults import oss_world, s3_world
from faults.served_places import PLACES, USUAL
from faults.served_weather import Tried, Weather, histories
from faults.served_world import PUBLISHING, Kind, World
from storage_guard.driver import Driver, Lost, Refused
from storage_guard.testing.histories import Script, Step, check, play
from storage_guard.testing.histories.operations import Remove
from storage_guard.testing.histories.writing import Copy, Create, Rename
from storage_guard.testing.server import refused
from telling import Tell


@dataclass(frozen=True)
class Tries:
    """What is tried at a place. `asking`: what its driver asks with. `turned_away`: how it refuses, besides.

    `in_turns`, `freely`: the seeds that are played in `make test`, each with at least so many operations, of which so
    many are `struck`; `for_long`: in `make soak`.
    """

    asking: ModuleType
    turned_away: Sequence[Kind]
    in_turns: range
    freely: range
    operations: int
    struck: int
    for_long: range
    operations_for_long: int

    def meet(self, there: World) -> Weather:
        return Weather(there, self.turned_away)


def turned_away(throttle: str, conflict: str, members: Sequence[str]) -> Sequence[Kind]:
    return (
        Kind("did not act, throttled", lambda _: refused(503, throttle)),
        Kind("did not act, and said AccessDenied", lambda _: refused(403, "AccessDenied")),
        Kind(f"did not act, and said {conflict}", lambda _: refused(409, conflict), members=members),
    )


def oss(number: int) -> Tries:
    seeds, long = 100 * number, 10_000 * (1 + number)
    return Tries(
        storage_guard_oss.asking,
        turned_away("TotalQpsLimitExceeded", "StaleFile", ("put_new", "finish_new")),
        in_turns=range(seeds, seeds + 9),
        freely=range(seeds, seeds + 9),
        operations=351,
        struck=51,
        for_long=range(long, long + 125),
        operations_for_long=5_000,
    )


def s3(number: int) -> Tries:
    seeds, long = 10 * number, 10_000 * (1 + number)
    return Tries(
        storage_guard_s3.asking,
        turned_away("SlowDown", "OperationAborted", PUBLISHING),
        in_turns=range(seeds, seeds + 2),
        freely=range(100 + seeds, 100 + seeds + 4),
        operations=81,
        struck=11,
        for_long=range(long, long + 85),
        operations_for_long=3_400,
    )


TRIES: Mapping[str, Tries] = {
    **{f"oss-{each}": oss(number) for number, each in enumerate(oss_world.CHECKED_FIRST)},
    **{f"s3-{each}": s3(number) for number, each in enumerate(s3_world.SETTINGS)},
}


def run(where: str, seeds: range, *, freely: bool) -> Tried:
    """Plays them, and says how much that was."""
    tried = Tried()
    with PLACES[where]() as there:
        broken = histories(there, TRIES[where].meet(there), seeds, freely=freely, tried=tried)
    assert broken is None, f"seed {broken[0]}\n{broken[2]}"
    assert tried.replaced == 0
    return tried


@pytest.mark.parametrize("freely", [False, True], ids=["in-turns", "freely"])
@pytest.mark.parametrize("where", PLACES)
def test_what_clients_are_told_is_true(where: str, freely: bool) -> None:
    tries = TRIES[where]
    tried = run(where, tries.freely if freely else tries.in_turns, freely=freely)
    assert tried.operations >= tries.operations
    assert sum(tried.struck.values()) >= tries.struck


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("freely", [False, True], ids=["in-turns", "freely"])
@pytest.mark.parametrize("where", PLACES)
def test_what_clients_are_told_is_true_for_long(where: str, freely: bool, tell: Tell) -> None:
    tries = TRIES[where]
    tried = run(where, tries.for_long, freely=freely)
    tell(tried)
    assert tried.operations >= tries.operations_for_long  # of four places of OSS, and six of S3
    assert len(tried.struck) >= 15


@pytest.mark.parametrize("where", USUAL)
def test_a_copy_of_what_was_removed_and_made_again_of_the_same_bytes_is_legal(where: str) -> None:
    """Etags here are made of the bytes, and two lives of a key may have the same."""
    operations = [Create("k", "small-a"), Remove("k"), Create("k", "small-a"), Copy("k", "copy"), Rename("k", "other")]
    steps = tuple(Step(number, operation) for number, operation in enumerate(operations))
    with PLACES[where]() as there:
        history = play(Script(0, (steps,)), there.driver).history
    assert [call.told.what for call in history.calls[:5] if call.told] == ["created", "removed", *["created"] * 3]
    assert not check(history)


# Calibration: planted drivers


def retries(send: Callable[[], Any], _: ModuleType) -> Any:
    """Sends again what got no answer, as SDKs do, and believes the second answer."""
    try:
        return send()
    except Lost:
        return send()


def takes_silence_for_a_no(send: Callable[[], Any], _: ModuleType) -> Any:
    """No answer, so nothing was written."""
    try:
        return send()
    except Lost as exc:
        raise Refused(str(exc), why="request") from exc


def guards_all_but_the_finish(send: Callable[[], Any], asking: ModuleType) -> Any:
    """As oss2.resumable_upload, whose condition goes with the begin, and as boto3's upload_file, if it took one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "GUARD", {})
        return send()


@dataclass(frozen=True)
class Planted:
    """How a driver does what it is called for by `members`. `most`: so many histories are enough to catch it. `laws`:
    one of which must be among the first broken. `where`: of each service."""

    how: Callable[[Callable[[], Any], ModuleType], Any]
    members: Sequence[str]
    most: int
    laws: frozenset[str]
    where: Sequence[str] = USUAL

    def plant(self, driver: Driver, asking: ModuleType) -> Driver:
        for member in self.members:
            setattr(driver, member, self._instead(getattr(driver, member), asking))
        return driver

    def _instead(self, plain: Callable[..., Any], asking: ModuleType) -> Callable[..., Any]:
        return lambda *given: self.how(lambda: plain(*given), asking)


PLANTED = (
    Planted(
        retries,
        PUBLISHING,
        60,
        frozenset({"ones_own_write_is_no_conflict", "a_taken_key_was_taken", "not_written_is_for_good"}),
        where=("oss-upload", "s3-judged"),  # of S3, where a finish that comes again meets the condition
    ),
    Planted(takes_silence_for_a_no, ("put_new", "finish_new"), 30, frozenset({"not_written_is_for_good"})),
    Planted(
        guards_all_but_the_finish,
        ("finish_new",),
        60,
        frozenset({"a_life_has_one_winner", "a_life_has_one_object", "what_is_there_stays"}),
    ),
)


@pytest.mark.parametrize(
    ("planted", "where"),
    [pytest.param(each, where, id=f"{each.how.__name__}-{where}") for each in PLANTED for where in each.where],
)
def test_a_planted_driver_is_caught(planted: Planted, where: str) -> None:
    tries = TRIES[where]
    with PLACES[where]() as there:

        def make(read_timeout_s: float) -> Driver:
            return planted.plant(there.driver(read_timeout_s=read_timeout_s), tries.asking)

        broken = histories(there, tries.meet(there), range(1000, 1000 + planted.most), make_driver=make)
    assert broken is not None
    assert planted.laws & {each.law for each in broken[1]}, broken[2]
