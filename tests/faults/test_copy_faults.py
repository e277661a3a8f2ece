"""Every fault at every call of a copy and of a rename, at both ends: what is told is true, and the source is whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar

import pytest

from storage_guard import (
    NotWritten,
    ObjectExists,
    ObjectNotFound,
    OutcomeUnknown,
    Receipt,
    RenameIncomplete,
    SourceChanged,
    StorageGuardError,
    Store,
    Unsupported,
    signals,
    ticket_of,
)
from storage_guard.driver import Driver, Limits, Location, ObjectInfo, ObjectRef, WriteMeta
from storage_guard.engine import remote
from storage_guard.memory import MemoryDriver
from storage_guard.testing import (
    BUSY,
    CONFLICT,
    CONFLICT_RESTART,
    CUT,
    GONE,
    LATE,
    LOST_AFTER,
    LOST_BEFORE,
    REFUSED,
    TWICE,
    BytesBody,
    FakeClock,
    Fault,
    FaultyDriver,
    Member,
    Request,
    answers,
)
from storage_guard_local import LocalDriver

T = TypeVar("T")
LIMITS = Limits(
    max_put_bytes=1 << 20, min_part_bytes=100, max_part_bytes=1 << 20, max_parts=100, max_object_bytes=1 << 30
)
OURS = bytes(range(250))  # three parts of 100
RIVAL = b"another's"
NEW_LIFE = b"?" * 250
UNSUPPORTED = answers(lambda: signals.Unsupported("not here"))


class _RivalFirst(Fault):
    """Somebody else creates the target just before this request arrives."""

    def strike(self, request: Request[T], /) -> T:
        try:
            _below(request.driver).target.put_new("new", BytesBody(RIVAL), WriteMeta("rival"))
        except signals.Exists:
            pass
        return request.act()


class Interrupted(Fault):
    """Ctrl-C, before the request or behind it."""

    def __init__(self, *, acts: bool) -> None:
        self.acts = acts

    def strike(self, request: Request[T], /) -> T:
        if self.acts:
            try:
                request.act()
            except signals.Signal:
                pass
        raise KeyboardInterrupt


class _Changing(Fault):
    """Somebody removes the source, or replaces it, just before this request arrives."""

    def __init__(self, *, replaces: bool) -> None:
        self.replaces = replaces

    def strike(self, request: Request[T], /) -> T:
        source = _below(request.driver).source
        if source.head("old") is not None:
            source.remove("old", None)
        if self.replaces:
            source.put_new("old", BytesBody(NEW_LIFE), WriteMeta("new-life"))
        return request.act()


RIVAL_FIRST = _RivalFirst()
SOURCE_REMOVED, SOURCE_REPLACED = _Changing(replaces=False), _Changing(replaces=True)
CHANGING = (SOURCE_REMOVED, SOURCE_REPLACED)
COMMITTING = (LOST_AFTER, LOST_BEFORE, LATE, TWICE, BUSY, CONFLICT, REFUSED, RIVAL_FIRST, *CHANGING)
ASKING = (LOST_BEFORE, BUSY, REFUSED, RIVAL_FIRST, *CHANGING)
SENDING = (LOST_AFTER, LOST_BEFORE, LATE, BUSY, CONFLICT, GONE, REFUSED, RIVAL_FIRST, *CHANGING)
FAULTS: dict[Member, Sequence[Fault]] = {
    "copy_new": (*COMMITTING, UNSUPPORTED),
    "put_new": (*COMMITTING, CUT),
    "begin": (LOST_AFTER, LOST_BEFORE, BUSY, REFUSED, UNSUPPORTED, RIVAL_FIRST, *CHANGING),
    "copy_part": (*SENDING, UNSUPPORTED),
    "put_part": (*SENDING, CUT),
    "finish_new": (*COMMITTING, GONE, CONFLICT_RESTART),
    "abort": (LOST_AFTER, LOST_BEFORE, LATE, BUSY, REFUSED, GONE),
    "scan_parts": ASKING,
    "head": ASKING,
    "read": ASKING,
    "remove": (LOST_AFTER, LOST_BEFORE, BUSY, REFUSED, *CHANGING),
}


@dataclass(frozen=True)
class Way:
    """How the copy goes, and which members it calls where nothing goes wrong or much does."""

    name: str
    how: Literal["by-the-service", "through-here"]
    cut: Literal["whole", "parts"]
    source: tuple[Member, ...]
    target: tuple[Member, ...]


UPLOADING: tuple[Member, ...] = ("begin", "finish_new", "abort", "scan_parts", "head")
WAYS = [
    Way("copied-whole", "by-the-service", "whole", ("head",), ("copy_new", "head", "put_new")),
    Way("copied-in-parts", "by-the-service", "parts", ("head",), ("copy_part", *UPLOADING)),
    Way("read-whole", "through-here", "whole", ("head", "read"), ("put_new", "head")),
    Way("read-in-parts", "through-here", "parts", ("head", "read"), ("put_part", *UPLOADING)),
]


class Below(FaultyDriver):
    """What lies below the faults of an end: `elsewhere`, it is another service to who looks at it from the other end.

    Faults change the source through it, whichever end they strike. `looked` is the source as it was first seen.
    """

    def __init__(self, inner: Driver, source: Driver, target: Driver, *, elsewhere: bool = False) -> None:
        super().__init__(inner)
        self.source = source
        self.target = target
        self.looked: ObjectInfo | None = None
        self._elsewhere = elsewhere

    @property
    def location(self) -> Location:
        location = super().location
        return replace(location, endpoint="elsewhere") if self._elsewhere else location

    def head(self, key: str, /) -> ObjectInfo | None:
        info = super().head(key)
        if key == "old" and self.looked is None:
            self.looked = info
        return info


def _below(driver: Driver) -> Below:
    assert isinstance(driver, Below)
    return driver


Planned = tuple[str, Member, int, Fault]  # which end, which member, at which of its calls, what


@dataclass
class World:
    """An object at "old" in one store, and "new" free in another; or both in one, for a rename."""

    kind: str
    root: Path
    way: Way
    faults: Sequence[Planned] = ()
    one_store: bool = False
    in_flight: int = 1
    before: ObjectInfo = field(init=False)

    def __post_init__(self) -> None:
        origin = self._driver("from")
        home = origin if self.one_store else self._driver("to")
        self.before = origin.put_new("old", BytesBody(OURS), WriteMeta("theirs"))
        self.origin, self.home = origin, home
        self.below = self.seen_home = Below(origin, origin, home)
        self.away_faults = self.home_faults = FaultyDriver(self.below)
        if not self.one_store:
            self.seen_home = Below(home, origin, home, elsewhere=self.way.how == "through-here")
            self.home_faults = FaultyDriver(self.seen_home)
        self.source = self._store(self.away_faults)
        self.target = self.source if self.one_store else self._store(self.home_faults)
        for end, member, call, fault in self.faults:
            driver = self.home_faults if end == "target" else self.away_faults
            driver.plan(member, [*[None] * call, fault])

    def _driver(self, name: str) -> Driver:
        if self.kind == "memory":
            return MemoryDriver(limits=self._limits())
        return LocalDriver(self.root / name, limits=self._limits(), durable=False)

    def _limits(self) -> Limits:
        return replace(LIMITS, max_put_bytes=1000, max_part_bytes=1000)

    def _store(self, driver: Driver) -> Store:
        from_bytes = 200 if self.way.cut == "parts" else 1 << 20
        return Store(
            driver, part_bytes=100, multipart_from_bytes=from_bytes, in_flight=self.in_flight, clock=FakeClock()
        )

    def copy(self) -> Receipt | StorageGuardError:
        try:
            return self.target.copy((self.source, "old"), "new")
        except StorageGuardError as exc:
            return exc

    def rename(self) -> Receipt | StorageGuardError:
        try:
            return self.target.rename("old", "new")
        except StorageGuardError as exc:
            return exc

    def at(self, driver: Driver, key: str) -> bytes | None:
        return driver.read(key, 0, 1 << 20, None) if driver.head(key) else None

    def source_changed(self) -> bool:
        """Whether it is no longer what it was when it was looked at."""
        now, looked = self.origin.head("old"), self.below.looked
        return now is None or looked is None or now.etag != looked.etag

    @property
    def meant(self) -> bytes | None:
        """The bytes of what was looked at: a source that changes before that is copied as it is by then."""
        looked = self.below.looked
        if looked is None:
            return None
        return OURS if looked.etag == self.before.etag else NEW_LIFE

    @property
    def meddled(self) -> bool:
        return any(isinstance(fault, _Changing) for _, _, _, fault in self.faults)

    def judge_source(self) -> None:
        """Nobody but a fault has touched the source."""
        meddled = self.meddled
        if not meddled:
            assert self.origin.head("old") == replace(self.before, verified_by=None)
        assert self.at(self.origin, "old") in ((OURS, NEW_LIFE, None) if meddled else (OURS,))

    def judge(self, told: Receipt | StorageGuardError) -> str:
        """Hold what was told against what is there, now and after late requests have arrived."""
        seen = self.at(self.home, "new")
        self.home_faults.deliver()
        later = self.at(self.home, "new")
        self.judge_uploads(told.notes if isinstance(told, Receipt) else getattr(told, "__notes__", []))
        match told:
            case Receipt():
                self.judge_receipt(told, seen, later)
            case ObjectExists():
                assert seen == later == RIVAL
                assert told.existing is None or told.existing.write_id == "rival"
            case RenameIncomplete():
                assert told.receipt is not None
                self.judge_receipt(told.receipt, seen, later)
            case NotWritten() | ObjectNotFound() | Unsupported():
                assert seen in (None, RIVAL)
                assert later in (None, RIVAL), "not written, and then it appeared"
                assert not isinstance(told, SourceChanged | ObjectNotFound) or self.source_changed()
            case OutcomeUnknown():
                assert told.ticket is not None
                self.settle(told.ticket)
            case _:
                pytest.fail(f"unexpected: {told!r}")
        return type(told).__name__

    def judge_receipt(self, told: Receipt, seen: bytes | None, later: bytes | None) -> None:
        info = self.home.head("new")
        assert info is not None
        assert seen == later == self.meant, "something else than the source was copied"
        assert info.write_id == told.write_id
        assert info.write_id not in ("theirs", "new-life"), "the write id of the source was copied"
        assert (info.etag, info.size_bytes) == (told.etag, told.size_bytes)

    def judge_uploads(self, notes: Sequence[str]) -> None:
        for upload in self.home.scan_uploads(""):
            assert any(upload.upload_id in note or "may be left open" in note for note in notes), notes

    def settle(self, ticket: str) -> None:
        honest = Store(self.seen_home, clock=FakeClock())
        try:
            receipt = honest.settle(ticket)
        except ObjectExists:
            assert self.at(self.home, "new") == RIVAL
        except NotWritten:
            assert self.at(self.home, "new") is None
            self.home_faults.deliver()
            assert self.at(self.home, "new") is None
        except OutcomeUnknown:
            assert self.at(self.home, "new") is None
        else:
            assert self.at(self.home, "new") == self.meant
            assert receipt.write_id not in ("theirs", "new-life")


def every_one(way: Way, calls: int) -> Iterator[Planned]:
    """Every fault at each of the first `calls` calls of each member, at both ends."""
    for end, members in (("source", way.source), ("target", way.target)):
        for member in members:
            for call in range(calls):
                for fault in FAULTS[member]:
                    yield end, member, call, fault


def pairs(way: Way) -> Iterator[tuple[Planned, Planned]]:
    """Every two faults, at the first calls, or at the first and the second of one member."""
    single = list(every_one(way, 1))
    for first in single:
        for second in single:
            yield first, second


def try_all(worlds: Iterator[World]) -> set[str]:
    told: set[str] = set()
    for world in worlds:
        try:
            told.add(world.judge(world.copy()))
            world.judge_source()
        except BaseException as exc:
            exc.add_note(f"faults: {world.faults}")
            raise
    return told


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("kind", ["memory", "local"])
def test_what_is_told_is_true_for_every_fault_at_every_call(kind: str, way: Way, tmp_path: Path) -> None:
    told = try_all(World(kind, tmp_path / str(n), way, [fault]) for n, fault in enumerate(every_one(way, 4)))
    assert told >= {"Receipt", "ObjectExists", "AccessDenied", "SourceChanged", "ObjectNotFound"}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_what_is_told_is_true_for_every_two_faults(way: Way, tmp_path: Path) -> None:
    told = try_all(World("memory", tmp_path, way, both) for both in pairs(way))
    assert told >= {"Receipt", "ObjectExists", "OutcomeUnknown", "AccessDenied", "SourceChanged"}


@pytest.mark.parametrize("way", [WAYS[1], WAYS[3]], ids=lambda way: way.name)
def test_what_is_told_is_true_with_parts_side_by_side(way: Way, tmp_path: Path) -> None:
    worlds = (World("memory", tmp_path, way, [fault], in_flight=4) for fault in every_one(way, 3))
    assert try_all(worlds) >= {"Receipt", "ObjectExists", "AccessDenied", "SourceChanged"}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("kind", ["memory", "local"])
def test_ctrl_c_at_any_call_leaves_a_ticket_or_nothing(kind: str, way: Way, tmp_path: Path) -> None:
    number = tickets = 0
    for end, members in (("source", way.source), ("target", way.target)):
        for member in members:
            for call in range(3):
                for acts in (True, False):
                    number += 1
                    planned: Planned = (end, member, call, Interrupted(acts=acts))
                    tickets += interrupt(World(kind, tmp_path / str(number), way, [planned]))
    assert tickets


def interrupt(world: World) -> bool:
    """Copy until Ctrl-C; whether it carried a ticket. What it did not reach is judged as ever."""
    interrupt: KeyboardInterrupt | None = None
    try:
        told = world.copy()
    except KeyboardInterrupt as exc:
        interrupt = exc
    else:
        world.judge(told)
    world.judge_source()
    if interrupt is None:
        return False
    world.judge_uploads(getattr(interrupt, "__notes__", []))
    ticket = ticket_of(interrupt)
    if ticket is None:
        assert world.at(world.home, "new") is None
        return False
    world.settle(ticket)
    return True


# Renames

RENAMING = {
    "one-request": Way(
        "copied-whole", "by-the-service", "whole", (), ("head", "copy_new", "put_new", "read", "remove")
    ),
    "multipart": Way("copied-in-parts", "by-the-service", "parts", (), ("copy_part", "read", "remove", *UPLOADING)),
}


def judge_rename(world: World) -> str:
    """The object is at one of both keys, at least; and whoever took it from the old one was told."""
    told = world.rename()
    kind = world.judge(told)
    old, new = world.at(world.home, "old"), world.at(world.home, "new")
    match told:
        case Receipt():
            assert old is None or old != new, "the source is still there"
            assert old is None or world.meddled
        case RenameIncomplete():
            assert new == world.meant
        case OutcomeUnknown():
            pass  # settled above
        case _:
            assert old == OURS or world.meddled
    assert OURS in (old, new) or world.meddled, "the object is lost"
    return kind


@pytest.mark.parametrize("how", RENAMING)
@pytest.mark.parametrize("kind", ["memory", "local"])
def test_a_rename_is_told_as_it_is_for_every_fault_at_every_call(kind: str, how: str, tmp_path: Path) -> None:
    way, told = RENAMING[how], set[str]()
    for number, planned in enumerate(every_one(way, 4)):
        world = World(kind, tmp_path / str(number), way, [planned], one_store=True)
        try:
            told.add(judge_rename(world))
        except BaseException as exc:
            exc.add_note(f"faults: {world.faults}")
            raise
    assert told >= {"Receipt", "ObjectExists", "AccessDenied", "SourceChanged", "RenameIncomplete"}


@pytest.mark.parametrize("how", RENAMING)
def test_a_rename_is_told_as_it_is_for_every_two_faults(how: str, tmp_path: Path) -> None:
    way, told = RENAMING[how], set[str]()
    for both in pairs(way):
        world = World("memory", tmp_path, way, both, one_store=True)
        try:
            told.add(judge_rename(world))
        except BaseException as exc:
            exc.add_note(f"faults: {world.faults}")
            raise
    assert told >= {"Receipt", "ObjectExists", "OutcomeUnknown", "SourceChanged", "RenameIncomplete"}


# Planted


def planted(way: Way, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        try_all(World("memory", tmp_path, way, [fault]) for fault in every_one(way, 4))


def unknown_crc(_original: object, _algorithm: str) -> None:
    """Of no source is a checksum known."""


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_planted_an_unpinned_source_is_caught(way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unpinned(location: Location, key: str, **_: object) -> ObjectRef:
        return ObjectRef(location, key)

    pinned = MemoryDriver.read

    def unpinned_read(self: MemoryDriver, key: str, start: int, stop: int, _etag: str | None, /) -> bytes:
        return pinned(self, key, start, stop, None)

    monkeypatch.setattr(remote, "ObjectRef", unpinned)
    monkeypatch.setattr(MemoryDriver, "read", unpinned_read)
    monkeypatch.setattr(remote.Original, "crc_of", unknown_crc)  # what is mixed would be found out by its checksum
    planted(way, tmp_path)


def test_planted_an_inherited_write_id_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = MemoryDriver.copy_new

    def inheriting(self: MemoryDriver, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        return honest(self, source, key, replace(meta, write_id="theirs"))

    monkeypatch.setattr(MemoryDriver, "copy_new", inheriting)
    planted(WAYS[0], tmp_path)
