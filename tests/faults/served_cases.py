"""One create of every way, under one plot: what was told is held against what was there, and what is in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import pytest

from faults.served_world import ACTED, LATE, NOT_ACTED, RIVAL, Kind, Plot, When, World, side_by_side
from storage_guard import (
    NotWritten,
    ObjectExists,
    OutcomeUnknown,
    Receipt,
    RenameIncomplete,
    StorageGuardError,
    Store,
)
from storage_guard.testing import FakeClock
from storage_guard.testing.server import Action, Answer, Hold

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
    """What was told, and how often. Raises AssertionError for what was told wrongly."""
    side_by_side([case.create for case in cases])
    there.settle_down()
    told: Counter[str] = Counter()
    for case in cases:
        try:
            what = case.judge()
        except BaseException as exc:
            exc.add_note(f"{case.name}: {words_of(case.plot)}, told {case.told!r}")
            raise
        told[what] += 1
    return told


def words_of(plot: Plot) -> str:
    strikes = ", ".join(f"{member} {kind.words} x {times}" for member, kind, times in plot.strikes)
    return f"{strikes}; rival {plot.rival}, released {plot.released}"


RIVALS: tuple[When, ...] = ("never", "before", "after")
RELEASES: tuple[Literal["next", "end"], ...] = ("next", "end")


def plots(kinds: Sequence[Kind], members: Sequence[str]) -> Iterator[Plot]:
    for member, kind, rival in product(members, kinds, RIVALS):
        if kind.suits(member):
            for released in RELEASES if kind.late else RELEASES[:1]:
                about = "s" if member == "remove" else "k"
                yield Plot([(member, kind, 1)], "never" if about == "s" else rival, released, about)


def stays_unknown(there: World, case: Case) -> bool:
    """Whether it does when nothing else runs: who is hasty may lose answers that no plot took, to a busy machine."""
    for attempt in range(3):
        plot = replace(case.plot, struck=0, holds=[], met={})
        again = Case(there, f"{case.name}-{attempt}", case.way, plot)
        run(there, [again])
        if not isinstance(again.told, OutcomeUnknown):
            return False
    return True


def two_at_a_time(kinds: Sequence[Kind], commit: str) -> Iterator[Plot]:
    """The answer to a commit is lost, and then what is asked about it: once, or for ever."""
    asked = ("head", "abort", "scan_parts") if commit == "finish_new" else ("head",)
    kinds = [kind for kind in kinds if not any(word in kind.words for word in ("closed", "503", "midway"))]
    for first, look, kind, times, rival in product((ACTED, NOT_ACTED, LATE), asked, kinds, (1, None), RIVALS[:2]):
        if kind.suits(look) and not (kind.late and times is None):
            yield Plot([(commit, first, 1), (look, kind, times)], rival, "next" if kind.late else "end")


def never_answered(kinds: Sequence[Kind], commit: str) -> Iterator[Plot]:
    for kind, rival in product(kinds, RIVALS):
        if kind.suits(commit) and not kind.late:
            yield Plot([(commit, kind, None), ("head", NOT_ACTED, None)], rival)


def _in_the_services_order(answer: Answer) -> Answer:
    """As the pages show an answer: what frames it first, the user's metadata last."""
    assert isinstance(answer.body, bytes)
    length = len(answer.body) if answer.body_bytes is None else answer.body_bytes
    first = {"Date": "Sun, 22 Nov 2026 12:00:05 GMT", "Content-Length": str(length), "Connection": "keep-alive"}
    kept = sorted(answer.headers.items(), key=lambda each: "-meta-" in each[0].lower())
    return replace(answer, headers={**first, **dict(kept)})


def _always(action: Action) -> Callable[[Hold], Action]:
    return lambda _: action


def cut_at_every_byte(*before: tuple[str, Kind, int | None], member: str, reset: bool) -> Iterator[Plot]:
    for cut_bytes in range(1, 480, 3):
        action = Action(answer=_in_the_services_order, cut_answer_bytes=cut_bytes, reset=reset)
        kind = Kind(f"acted, then cut at byte {cut_bytes}", _always(action))
        yield Plot([*before, (member, kind, 1)])
