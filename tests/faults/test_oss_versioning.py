"""A bucket of OSS that has versions, or had: nothing is written there, and who learns of it too late says so."""

from __future__ import annotations

from typing import Literal

import pytest

from faults.oss_world import world
from faults.served_cases import WAYS, Case
from faults.served_world import KINDS, RIVAL_ID, Kind, Plot
from storage_guard import GuaranteeBroken, GuaranteeMissing
from storage_guard.names import WRITE_ID
from storage_guard.testing.server import Asked, Cue, Hold, cut_before_acting


@pytest.mark.parametrize("state", ["enabled", "suspended"])
@pytest.mark.parametrize("name", WAYS)
def test_a_bucket_that_had_versioning_is_refused_before_the_first_byte(
    name: str, state: Literal["enabled", "suspended"]
) -> None:
    with world() as there:
        there.bucket.versioning = state
        case = Case(there, "c", WAYS[name], Plot([]))
        case.create()
        assert isinstance(case.told, GuaranteeMissing)
        assert state in str(case.told)
        assert case.data() is None
        assert {seen.asked.member for seen in there.server.requests} <= {"versioning", "head"}
        assert not there.ledger.landings


@pytest.mark.parametrize("state", ["enabled", "suspended"])
@pytest.mark.parametrize("name", ["small", "empty", "parts", "file", "copy", "copy in parts"])
def test_versioning_behind_the_look_is_told_by_the_answer(name: str, state: Literal["enabled", "suspended"]) -> None:
    way = WAYS[name]
    with world() as there:
        case = Case(there, "c", way, Plot([]))

        def switch(asked: Asked) -> None:
            if asked.member == way.members[-1]:
                there.come(case.key)
                there.bucket.versioning = state

        there.server.cues.on_request = switch
        case.create()
        error, found = case.told, there.bucket.find(case.key)
        assert isinstance(error, GuaranteeBroken)
        assert case.data() == way.data
        assert error.version_id == found.version_id
        assert error.version_id is not None
        assert error.version_id in str(error)
        assert "may have replaced another's object" in str(error)
        if state == "enabled":
            assert there.bucket.find(case.key, "null").attributes.meta[WRITE_ID] == RIVAL_ID


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.late], ids=lambda kind: kind.words)
def test_a_bucket_that_cannot_be_looked_at_is_asked_again(kind: Kind) -> None:
    with world() as there:
        cue = there.server.cues.add(Cue(kind.action(Hold()), member="versioning"))
        case = Case(there, "c", WAYS["small"], Plot([]))
        case.create()
        assert case.judge() == "Receipt"
        assert [strike.cue for strike in there.server.cues.struck] == [cue]


@pytest.mark.parametrize("name", WAYS)
def test_a_bucket_that_is_never_looked_at_is_not_written_to(name: str) -> None:
    with world() as there:
        there.server.cues.add(Cue(cut_before_acting(), member="versioning", times=None))
        case = Case(there, "c", WAYS[name], Plot([]))
        case.create()
        assert case.judge() == "StoreUnavailable"
        assert {seen.asked.member for seen in there.server.requests} <= {"versioning", "head"}
