"""Clients that do everything at the same time over real sockets, while requests and answers are lost on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import pytest

from faults.oss_world import CHECKED_FIRST, CheckedFirst, world
from faults.served_weather import Tried, Weather, histories
from faults.served_world import Kind
from storage_guard.driver import Body, Driver, Lost, ObjectInfo, ObjectRef, Part, Refused, WriteMeta
from storage_guard.testing.histories import Script, Step, check, play
from storage_guard.testing.histories.operations import Remove
from storage_guard.testing.histories.writing import Copy, Create, Rename
from storage_guard.testing.server import refused
from storage_guard_oss import OSSDriver, asking
from telling import Tell

T = TypeVar("T")

TURNED_AWAY = (
    Kind("did not act, throttled", lambda _: refused(503, "TotalQpsLimitExceeded")),
    Kind("did not act, and said AccessDenied", lambda _: refused(403, "AccessDenied")),
    Kind("did not act, and said StaleFile", lambda _: refused(409, "StaleFile"), members=("put_new", "finish_new")),
)


def run(checked_first: CheckedFirst, seeds: range, *, freely: bool) -> Tried:
    """Plays them, and says how much that was."""
    tried = Tried()
    with world(checked_first=checked_first) as there:
        broken = histories(there, Weather(there, TURNED_AWAY), seeds, freely=freely, tried=tried)
    assert broken is None, f"seed {broken[0]}\n{broken[2]}"
    assert tried.replaced == 0
    return tried


@pytest.mark.parametrize("freely", [False, True], ids=["in-turns", "freely"])
@pytest.mark.parametrize("checked_first", CHECKED_FIRST)
def test_what_clients_are_told_is_true(checked_first: CheckedFirst, freely: bool) -> None:
    first = 100 * CHECKED_FIRST.index(checked_first)
    tried = run(checked_first, range(first, first + 9), freely=freely)
    assert tried.operations > 350
    assert sum(tried.struck.values()) > 50


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("freely", [False, True], ids=["in-turns", "freely"])
@pytest.mark.parametrize("checked_first", CHECKED_FIRST)
def test_what_clients_are_told_is_true_for_long(checked_first: CheckedFirst, freely: bool, tell: Tell) -> None:
    first = 10_000 * (1 + CHECKED_FIRST.index(checked_first))
    tried = run(checked_first, range(first, first + 125), freely=freely)
    tell(tried)
    assert tried.operations >= 5_000  # of which there are four
    assert len(tried.struck) >= 15


def test_a_copy_of_what_was_removed_and_made_again_of_the_same_bytes_is_legal() -> None:
    """Etags here are made of the bytes, and two lives of a key may have the same."""
    operations = [Create("k", "small-a"), Remove("k"), Create("k", "small-a"), Copy("k", "copy"), Rename("k", "other")]
    steps = tuple(Step(number, operation) for number, operation in enumerate(operations))
    with world() as there:
        history = play(Script(0, (steps,)), there.driver).history
    assert [call.told.what for call in history.calls[:5] if call.told] == ["created", "removed", *["created"] * 3]
    assert not check(history)


# Calibration: planted drivers


class _Retries(OSSDriver):
    """Sends again what got no answer, as SDKs do, and believes the second answer."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        return _twice(lambda: super(_Retries, self).put_new(key, body, meta))

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        return _twice(lambda: super(_Retries, self).finish_new(key, upload_id, parts, meta))

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        return _twice(lambda: super(_Retries, self).copy_new(source, key, meta))


def _twice(send: Callable[[], T]) -> T:
    try:
        return send()
    except Lost:
        return send()


class _TakesSilenceForANo(OSSDriver):
    """No answer, so nothing was written."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        return _sure(lambda: super(_TakesSilenceForANo, self).put_new(key, body, meta))

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        return _sure(lambda: super(_TakesSilenceForANo, self).finish_new(key, upload_id, parts, meta))


def _sure(send: Callable[[], T]) -> T:
    try:
        return send()
    except Lost as exc:
        raise Refused(str(exc), why="request") from exc


class _GuardsTheBeginningOnly(OSSDriver):
    """As oss2.resumable_upload: the condition goes with the begin, and not with the finish."""

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asking, "GUARD", {})
            return super().finish_new(key, upload_id, parts, meta)


PLANTED: Mapping[type[OSSDriver], tuple[int, set[str]]] = {
    _Retries: (60, {"ones_own_write_is_no_conflict", "a_taken_key_was_taken", "not_written_is_for_good"}),
    _TakesSilenceForANo: (30, {"not_written_is_for_good"}),
    _GuardsTheBeginningOnly: (60, {"a_life_has_one_winner", "a_life_has_one_object", "what_is_there_stays"}),
}
"""Each planted driver: how many histories are enough, and the laws one of which must be among the first broken."""


@pytest.mark.parametrize(("driver", "expected"), PLANTED.items(), ids=[each.__name__ for each in PLANTED])
def test_a_planted_driver_is_caught(driver: type[OSSDriver], expected: tuple[int, set[str]]) -> None:
    most, laws = expected

    with world() as there:

        def make(read_timeout_s: float) -> Driver:
            return there.driver(driver, read_timeout_s=read_timeout_s)

        broken = histories(there, Weather(there, TURNED_AWAY), range(1000, 1000 + most), make_driver=make)
    assert broken is not None
    assert laws & {each.law for each in broken[1]}, broken[2]
