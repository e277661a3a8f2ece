"""Every request of every way to create, over real sockets, loses its answer in every way: what is told is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import pytest

from faults.oss_world import (
    ACTED,
    CHECKED_FIRST,
    KINDS,
    LATE,
    NOT_ACTED,
    RIVAL,
    RIVAL_ID,
    CheckedFirst,
    Kind,
    Plot,
    When,
    World,
    side_by_side,
    world,
)
from storage_guard import (
    GuaranteeBroken,
    GuaranteeMissing,
    NotWritten,
    ObjectDamaged,
    ObjectExists,
    OutcomeUnknown,
    Receipt,
    RenameIncomplete,
    StorageGuardError,
    Store,
)
from storage_guard.names import WRITE_ID
from storage_guard.testing import FakeClock
from storage_guard.testing.server import Action, Answer, Asked, Cue, Hold, altered, cut_before_acting

SMALL, LARGE = bytes(range(50)), bytes(range(250))  # a copy of the one is one request, of the other two parts
DEADLINE_S = 120.0  # by a clock on which waiting takes no time: a busy machine loses more answers than were plotted


@dataclass(frozen=True)
class Way:
    """One way to create. `members`: its requests that change something, in their order."""

    data: bytes
    members: Sequence[str]
    create: Callable[[Store, str, str], Receipt]
    copies: bool = False
    moves: bool = False
    rewindable: bool = True


def _pieces(data: bytes) -> Iterator[bytes]:
    yield from (data[start : start + 70] for start in range(0, len(data), 70))


def _write(store: Store, key: str, data: bytes) -> Receipt:
    with store.open(key, "xb", deadline_s=DEADLINE_S) as file:
        for piece in _pieces(data):
            file.write(piece)
    assert file.receipt is not None
    return file.receipt


def _among_many(store: Store, key: str, data: bytes) -> Receipt:
    """Small, and no thread waits for the answer."""
    (told,) = store.create_many([(key, data)], in_flight=2, deadline_s=DEADLINE_S)
    if isinstance(told, Receipt):
        return told
    raise told


_PARTS = ("begin", "put_part", "finish_new")
_COPIED = ("begin", "copy_part", "finish_new")
WAYS: dict[str, Way] = {
    "small": Way(SMALL, ["put_new"], lambda store, key, _: store.create(key, SMALL, deadline_s=DEADLINE_S)),
    "among many": Way(SMALL, ["put_new"], lambda store, key, _: _among_many(store, key, SMALL)),
    "empty": Way(b"", ["put_new"], lambda store, key, _: store.create(key, b"", deadline_s=DEADLINE_S)),
    "parts": Way(LARGE, _PARTS, lambda store, key, _: store.create(key, LARGE, deadline_s=DEADLINE_S)),
    "stream": Way(
        LARGE,
        _PARTS,
        lambda store, key, _: store.create(key, _pieces(LARGE), deadline_s=DEADLINE_S),
        rewindable=False,
    ),
    "file": Way(SMALL, ["put_new"], lambda store, key, _: _write(store, key, SMALL)),
    "large file": Way(LARGE, _PARTS, lambda store, key, _: _write(store, key, LARGE), rewindable=False),
    "copy": Way(
        SMALL, ["copy_new"], lambda store, key, source: store.copy(source, key, deadline_s=DEADLINE_S), copies=True
    ),
    "copy in parts": Way(
        LARGE, _COPIED, lambda store, key, source: store.copy(source, key, deadline_s=DEADLINE_S), copies=True
    ),
    "rename": Way(
        SMALL,
        ["copy_new", "remove"],
        lambda store, key, source: store.rename(source, key, deadline_s=DEADLINE_S),
        copies=True,
        moves=True,
    ),
}


class Case:
    """One create under one plot, and what is there for those who know everything."""

    def __init__(self, there: World, name: str, way: Way, plot: Plot) -> None:
        self.world, self.way, self.plot, self.name = there, way, plot, name
        self.key, self.source = f"{name}/k", f"{name}/s"
        self.told: Receipt | StorageGuardError | None = None
        self.seen: bytes | None = None

    def create(self) -> None:
        waits = any(kind.late for _, kind, _ in self.plot.strikes)
        driver = self.world.hasty if waits else self.world.patient
        if self.way.copies:
            self.world.come(self.source, self.way.data)
        self.world.plots[self.name] = self.plot
        store = Store(driver, part_bytes=100, multipart_from_bytes=200, in_flight=1, clock=FakeClock())
        try:
            self.told = self.way.create(store, self.key, self.source)
        except StorageGuardError as exc:
            self.told = exc
        self.seen = self.data()

    def data(self, key: str | None = None) -> bytes | None:
        found = self.world.at(key or self.key)
        return None if found is None else found.data

    def judge(self) -> str:
        """Hold what was told against what was there at that moment, and what is there when all is over."""
        told, finally_there = self.told, self.world.at(self.key)
        assert told is not None
        replaced = [each for each in self.world.ledger.landings if each.key == self.key and each.replaced]
        assert not replaced, "an object was overwritten"
        if self.way.moves:
            self.judge_source(told)
        receipt = told.receipt if isinstance(told, RenameIncomplete) else told
        match receipt:
            case Receipt():
                assert finally_there is not None
                assert self.seen == finally_there.data == self.way.data
                assert (receipt.outcome, receipt.size_bytes) == ("created", len(finally_there.data))
                assert receipt.etag is not None
                assert (receipt.write_id, receipt.etag.lower()) == (finally_there.write_id, finally_there.etag)
            case ObjectExists():
                assert finally_there is not None
                assert self.seen == finally_there.data == RIVAL
                assert receipt.existing is not None
                assert receipt.existing.write_id == finally_there.write_id
            case NotWritten():
                assert self.seen in (None, RIVAL)
                assert self.data() in (None, RIVAL), "not written, and then it appeared"
            case OutcomeUnknown():
                self.settle(receipt)
            case _:
                pytest.fail(f"unexpected: {told!r}")
        self.judge_uploads(told)
        return type(told).__name__

    def judge_source(self, told: Receipt | StorageGuardError) -> None:
        if isinstance(told, Receipt):
            assert self.data(self.source) is None
        elif not isinstance(told, RenameIncomplete):
            assert self.data(self.source) == self.way.data, "nothing was written, and the source is gone"

    def judge_uploads(self, told: Receipt | StorageGuardError) -> None:
        """What is open when all is over was told of, by its name where it was known."""
        notes = told.notes if isinstance(told, Receipt) else getattr(told, "__notes__", [])
        ticket = told.ticket if isinstance(told, OutcomeUnknown) else None
        for upload in self.world.bucket.uploads.values():
            if upload.key == self.key:
                named = any(upload.upload_id in note or "opening an upload" in note for note in notes)
                assert named or ticket is not None, f"upload {upload.upload_id} is left open and not told: {notes}"

    def settle(self, told: OutcomeUnknown) -> None:
        assert told.ticket is not None
        del self.world.plots[self.name]
        honest = Store(self.world.patient, clock=FakeClock())
        try:
            receipt = honest.settle(told.ticket)
        except ObjectExists:
            assert self.data() == RIVAL
        except (NotWritten, OutcomeUnknown):
            assert self.data() is None
        else:
            found = self.world.at(self.key)
            assert found is not None
            assert (found.data, found.write_id) == (self.way.data, told.write_id)
            assert receipt.write_id == told.write_id
            assert receipt.resolved


def run(there: World, cases: Sequence[Case]) -> Counter[str]:
    side_by_side([case.create for case in cases])
    there.settle_down()
    told: Counter[str] = Counter()
    for case in cases:
        try:
            what = case.judge()
        except BaseException as exc:
            exc.add_note(f"{case.name}: {_words(case.plot)}, told {case.told!r}")
            raise
        told[what] += 1
    return told


def _words(plot: Plot) -> str:
    strikes = ", ".join(f"{member} {kind.words} x {times}" for member, kind, times in plot.strikes)
    return f"{strikes}; rival {plot.rival}, released {plot.released}"


RIVALS: tuple[When, ...] = ("never", "before", "after")
RELEASES: tuple[Literal["next", "end"], ...] = ("next", "end")


def plots(members: Sequence[str]) -> Iterator[Plot]:
    for member, kind, rival in product(members, KINDS, RIVALS):
        if kind.suits(member):
            for released in RELEASES if kind.late else RELEASES[:1]:
                about = "s" if member == "remove" else "k"
                yield Plot([(member, kind, 1)], "never" if about == "s" else rival, released, about)


FINISHES = [(name, each) for name, way in WAYS.items() for each in CHECKED_FIRST[: 1 + ("finish_new" in way.members)]]


@pytest.mark.parametrize(("name", "checked_first"), FINISHES)
def test_one_lost_answer_leaves_no_doubt(name: str, checked_first: CheckedFirst) -> None:
    way = WAYS[name]
    with world(checked_first=checked_first) as there:
        cases = [Case(there, f"c{number}", way, plot) for number, plot in enumerate(plots(way.members))]
        told = run(there, cases)
    assert all(case.plot.struck == 1 for case in cases)
    expected = {"Receipt", "ObjectExists"}
    # What cannot be read again is not sent again, where it is known that it did not land.
    assert set(told) == expected if way.rewindable else expected <= set(told) <= {*expected, "StoreUnavailable"}


def two_at_a_time(commit: str) -> Iterator[Plot]:
    """The answer to a commit is lost, and then what is asked about it: once, or for ever."""
    asked = ("head", "abort", "scan_parts") if commit == "finish_new" else ("head",)
    kinds = [kind for kind in KINDS if not any(word in kind.words for word in ("closed", "503", "midway"))]
    for first, look, kind, times, rival in product((ACTED, NOT_ACTED, LATE), asked, kinds, (1, None), RIVALS[:2]):
        if kind.suits(look) and not (kind.late and times is None):
            yield Plot([(commit, first, 1), (look, kind, times)], rival, "next" if kind.late else "end")


@pytest.mark.parametrize(("name", "commit"), [("small", "put_new"), ("parts", "finish_new"), ("copy", "copy_new")])
def test_lost_answers_to_those_who_look_are_no_verdict(name: str, commit: str) -> None:
    with world() as there:
        cases = [Case(there, f"c{number}", WAYS[name], plot) for number, plot in enumerate(two_at_a_time(commit))]
        told = run(there, cases)
    for case in [each for each in cases if isinstance(each.told, OutcomeUnknown)]:
        _, (look, kind, times) = case.plot.strikes
        # An abort that finds nothing may have been late: a finish may have taken the upload, and be at work.
        assert times is None or (look == "abort" and kind.acts), f"it can be known: {_words(case.plot)}"
    assert set(told) == {"Receipt", "ObjectExists", "OutcomeUnknown"}


def never_answered(commit: str) -> Iterator[Plot]:
    for kind, rival in product(KINDS, RIVALS):
        if kind.suits(commit) and not kind.late:
            yield Plot([(commit, kind, None), ("head", NOT_ACTED, None)], rival)


@pytest.mark.parametrize("name", ["small", "parts", "stream", "copy in parts", "large file"])
def test_a_write_that_is_never_answered_is_settled_later(name: str) -> None:
    way = WAYS[name]
    with world() as there:
        plots = enumerate(never_answered(way.members[-1]))
        cases = [Case(there, f"c{number}", way, plot) for number, plot in plots]
        told = run(there, cases)
    assert set(told) == {"OutcomeUnknown"}


# Answers that end before their time


def _in_the_services_order(answer: Answer) -> Answer:
    """As the pages show an answer: what frames it first, the user's metadata last."""
    assert isinstance(answer.body, bytes)
    length = len(answer.body) if answer.body_bytes is None else answer.body_bytes
    first = {"Date": "Sun, 22 Nov 2026 12:00:05 GMT", "Content-Length": str(length), "Connection": "keep-alive"}
    kept = sorted(answer.headers.items(), key=lambda each: each[0].lower().startswith("x-oss-meta-"))
    return replace(answer, headers={**first, **dict(kept)})


def _always(action: Action) -> Callable[[Hold], Action]:
    return lambda _: action


def cut_at_every_byte(*before: tuple[str, Kind, int | None], member: str, reset: bool) -> Iterator[Plot]:
    for cut_bytes in range(1, 480, 3):
        action = Action(answer=_in_the_services_order, cut_answer_bytes=cut_bytes, reset=reset)
        kind = Kind(f"acted, then cut at byte {cut_bytes}", _always(action))
        yield Plot([*before, (member, kind, 1)])


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("member", ["put_new", "head"])
def test_an_answer_that_ends_anywhere_says_nothing_wrong(member: str, reset: bool) -> None:
    before = [("put_new", ACTED, 1)] if member == "head" else []
    with world() as there:
        plots = cut_at_every_byte(*before, member=member, reset=reset)
        told = run(there, [Case(there, f"c{number}", WAYS["small"], plot) for number, plot in enumerate(plots)])
    assert set(told) == {"Receipt"}


# Answers that say what must not be


OTHER_CRC = 17


def _of_other_bytes(answer: Answer) -> Answer:
    crc = "x-oss-hash-crc64ecma"
    if answer.status != 200:
        return answer
    changed = {name: str(OTHER_CRC) if name == crc else value for name, value in answer.headers.items()}
    assert crc in answer.headers
    return replace(answer, headers=changed)


OTHER_BYTES = Kind("acted, and has other bytes", lambda _: altered(_of_other_bytes))
COMMITS = [(name, "copy_new" if way.moves else way.members[-1]) for name, way in WAYS.items()]


# What goes out in one put is not summed by a Store: there it is the driver that compares the answer.
LOOKED_FOR = [(name, commit, True) for name, commit in COMMITS if commit != "put_new"]


@pytest.mark.parametrize(("name", "commit", "lost"), [*((*each, False) for each in COMMITS), *LOOKED_FOR])
def test_another_checksum_behind_the_commit_is_never_created(name: str, commit: str, lost: bool) -> None:
    with world() as there:
        strikes = [(commit, ACTED, 1), ("head", OTHER_BYTES, None)] if lost else [(commit, OTHER_BYTES, 1)]
        case = Case(there, "c", WAYS[name], Plot(strikes))
        case.create()
        assert isinstance(case.told, ObjectDamaged)
        assert f"{OTHER_CRC:016x}" in str(case.told)
        assert case.data() is not None
        if WAYS[name].copies:
            assert case.data(case.source) == WAYS[name].data


@pytest.mark.parametrize("name", ["parts", "stream", "large file"])
@pytest.mark.parametrize(("times", "told"), [(1, "Receipt"), (None, "ChecksumMismatch")])
def test_a_part_of_another_checksum_becomes_no_object(name: str, times: int | None, told: str) -> None:
    with world() as there:
        case = Case(there, "c", WAYS[name], Plot([("put_part", OTHER_BYTES, times)]))
        assert run(there, [case]) == {told: 1}
        assert len(there.ledger.landings) == (told == "Receipt")
        assert not there.bucket.uploads


# Versioning


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
