"""Clients that do everything at the same time over real sockets, while requests and answers are lost on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import pytest

from faults.s3_world import SETTINGS, Vouched, world
from faults.served_weather import Tried, Weather, histories
from faults.served_world import PUBLISHING, Kind
from storage_guard.driver import Body, Driver, Lost, ObjectInfo, ObjectRef, Part, Refused, WriteMeta
from storage_guard.testing.server import refused
from storage_guard_s3 import S3Driver, asking
from telling import Tell

T = TypeVar("T")

TURNED_AWAY = (
    Kind("did not act, throttled", lambda _: refused(503, "SlowDown")),
    Kind("did not act, and said AccessDenied", lambda _: refused(403, "AccessDenied")),
    Kind("did not act, and said OperationAborted", lambda _: refused(409, "OperationAborted"), members=PUBLISHING),
)


def run(setting: str, seeds: range, *, freely: bool) -> Tried:
    """Plays them, and says how much that was."""
    tried = Tried()
    with world(setting) as there:
        broken = histories(there, Weather(there, TURNED_AWAY), seeds, freely=freely, tried=tried)
    assert broken is None, f"seed {broken[0]}\n{broken[2]}"
    assert tried.replaced == 0
    return tried


@pytest.mark.parametrize("freely", [False, True], ids=["in-turns", "freely"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_what_clients_are_told_is_true(setting: str, freely: bool) -> None:
    first = 10 * list(SETTINGS).index(setting) + 100 * freely
    tried = run(setting, range(first, first + (4 if freely else 2)), freely=freely)
    assert tried.operations > 80
    assert sum(tried.struck.values()) > 10


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("freely", [False, True], ids=["in-turns", "freely"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_what_clients_are_told_is_true_for_long(setting: str, freely: bool, tell: Tell) -> None:
    first = 10_000 * (1 + list(SETTINGS).index(setting))
    tried = run(setting, range(first, first + 85), freely=freely)
    tell(tried)
    assert tried.operations >= 3_400  # of which there are six
    assert len(tried.struck) >= 15


# Calibration: planted drivers


class _Retries(Vouched):
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


class _TakesSilenceForANo(Vouched):
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


class _GuardsPutsOnly(Vouched):
    """As boto3's upload_file, if it let the condition through: the complete goes without."""

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asking, "GUARD", {})
            return super().finish_new(key, upload_id, parts, meta)


PLANTED: Mapping[type[S3Driver], tuple[str, int, set[str]]] = {
    _Retries: ("judged", 60, {"ones_own_write_is_no_conflict", "a_taken_key_was_taken", "not_written_is_for_good"}),
    _TakesSilenceForANo: ("aws", 30, {"not_written_is_for_good"}),
    _GuardsPutsOnly: ("aws", 60, {"a_life_has_one_winner", "a_life_has_one_object", "what_is_there_stays"}),
}
"""Each planted driver: where, how many histories are enough, and the laws one of which must be among those broken."""


@pytest.mark.parametrize(("driver", "expected"), PLANTED.items(), ids=[each.__name__ for each in PLANTED])
def test_a_planted_driver_is_caught(driver: type[S3Driver], expected: tuple[str, int, set[str]]) -> None:
    setting, most, laws = expected
    with world(setting) as there:

        def make(read_timeout_s: float) -> Driver:
            return there.driver(driver, read_timeout_s=read_timeout_s)

        broken = histories(there, Weather(there, TURNED_AWAY), range(1000, 1000 + most), make_driver=make)
    assert broken is not None
    assert laws & {each.law for each in broken[1]}, broken[2]
