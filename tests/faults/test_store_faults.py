"""Every fault at every call of a create: whatever the store does to us, what we are told is true."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from storage_guard import (
    AccessDenied,
    NotWritten,
    ObjectDamaged,
    ObjectExists,
    OutcomeUnknown,
    Receipt,
    StorageGuardError,
    Store,
    StoreUnavailable,
    signals,
    ticket_of,
)
from storage_guard import answers as meanings
from storage_guard.driver import Body, Busy, Limits, Lost, ObjectInfo, Part, Signal, Unsynced, WriteMeta
from storage_guard.memory import MemoryDriver
from storage_guard.outcome import Answer
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
from storage_guard.ticket import Ticket, parse

T = TypeVar("T")
LIMITS = Limits(
    max_put_bytes=1 << 20, min_part_bytes=100, max_part_bytes=1 << 20, max_parts=100, max_object_bytes=1 << 30
)
OURS = bytes(range(250))  # three parts of 100
RIVAL = b"another's"


class _RivalFirst(Fault):
    """Somebody else creates the object just before this request arrives."""

    def strike(self, request: Request[T], /) -> T:
        try:
            request.driver.put_new("k", BytesBody(RIVAL), WriteMeta("rival"))
        except Exception:  # noqa: BLE001 - the key was taken already
            pass
        return request.act()


class _RivalAndLost(_RivalFirst):
    def strike(self, request: Request[T], /) -> T:
        super().strike(request)
        raise Lost("the answer was lost, whatever it was")


RIVAL_FIRST, RIVAL_AND_LOST = _RivalFirst(), _RivalAndLost()
WRITING = (LOST_AFTER, LOST_BEFORE, LATE, CUT, TWICE, BUSY, CONFLICT, REFUSED, RIVAL_FIRST, RIVAL_AND_LOST)
ASKING = (LOST_BEFORE, BUSY, REFUSED, RIVAL_FIRST)
FAULTS: dict[Member, Sequence[Fault]] = {
    "put_new": WRITING,
    "begin": (LOST_AFTER, LOST_BEFORE, BUSY, REFUSED, RIVAL_FIRST),
    "put_part": (LOST_AFTER, LOST_BEFORE, LATE, CUT, BUSY, CONFLICT, GONE, REFUSED, RIVAL_FIRST),
    "finish_new": (*WRITING, GONE, CONFLICT_RESTART),
    "abort": (LOST_AFTER, LOST_BEFORE, LATE, BUSY, REFUSED, GONE),
    "scan_parts": ASKING,
    "head": ASKING,
}
SINGLE: tuple[Member, ...] = ("put_new", "head")
MULTIPART: tuple[Member, ...] = ("begin", "put_part", "finish_new", "abort", "scan_parts", "head")


class World:
    """One key, one store, and a create on it that meets `faults`."""

    def __init__(self, faults: Sequence[tuple[Member, Fault | None]], *, multipart: bool, early: bool) -> None:
        self.inner = MemoryDriver(limits=LIMITS, refuse_at_begin=early)
        self.driver = FaultyDriver(self.inner)
        for member, fault in faults:
            self.driver.plan(member, [fault])
        self.store = Store(
            self.driver, part_bytes=100, multipart_from_bytes=200 if multipart else 1 << 20, clock=FakeClock()
        )

    def data(self) -> bytes | Iterator[bytes]:
        return OURS

    def create(self) -> Receipt | StorageGuardError:
        try:
            return self.store.create("k", self.data())
        except StorageGuardError as exc:
            return exc

    def at_key(self) -> bytes | None:
        return self.inner.read("k", 0, 1 << 30, None) if self.inner.head("k") else None

    def judge(self, told: Receipt | StorageGuardError) -> str:
        """Hold what was told against what is there, now and after late requests have arrived."""
        seen = self.at_key()
        self.driver.deliver()
        finally_there = self.at_key()
        notes = told.notes if isinstance(told, Receipt) else getattr(told, "__notes__", [])
        for upload in self.inner.scan_uploads(""):
            assert any(upload.upload_id in note or "may be left open" in note for note in notes), (
                f"upload left and not told: {notes}"
            )
        match told:
            case Receipt():
                info = self.inner.head("k")
                assert seen == finally_there == OURS
                assert info is not None
                assert info.write_id == told.write_id
                assert (info.etag, info.size_bytes) == (told.etag, told.size_bytes)
            case ObjectExists():
                assert seen == finally_there == RIVAL
                assert told.existing is None or told.existing.write_id == "rival"
            case NotWritten():
                assert seen in (None, RIVAL)
                assert finally_there in (None, RIVAL), "not written, and then it appeared"
            case OutcomeUnknown():
                self.settle(told)
            case _:
                pytest.fail(f"unexpected: {told!r}")
        return type(told).__name__

    def interrupt(self) -> bool:
        """Create until Ctrl-C; whether it carried a ticket. What it did not reach is judged as ever."""
        interrupt: KeyboardInterrupt | None = None
        try:
            told = self.create()
        except KeyboardInterrupt as exc:
            interrupt = exc
        else:
            self.judge(told)
        if interrupt is None:
            return False
        ticket = ticket_of(interrupt)
        for upload in self.inner.scan_uploads(""):
            assert any(upload.upload_id in note or "may be left open" in note for note in interrupt.__notes__)
        if ticket is not None:
            self.settle(OutcomeUnknown("", ticket=ticket, write_id=parse(ticket).write_id))
            return True
        assert self.at_key() in (None, RIVAL)
        self.driver.deliver()
        assert self.at_key() in (None, RIVAL), "no doubt, and then it appeared"
        return False

    def settle(self, told: OutcomeUnknown) -> None:
        assert told.ticket is not None
        assert ticket_of(told) == told.ticket
        honest = Store(self.inner, clock=FakeClock())
        try:
            receipt = honest.settle(told.ticket)
        except ObjectExists:
            assert self.at_key() == RIVAL
        except NotWritten:
            assert self.at_key() is None
            self.driver.deliver()
            assert self.at_key() is None
        except OutcomeUnknown:
            assert self.at_key() is None
        else:
            assert self.at_key() == OURS
            assert receipt.write_id == told.write_id
            assert receipt.resolved


def sequences(members: tuple[Member, ...]) -> Iterator[tuple[tuple[Member, Fault], ...]]:
    """Every fault alone, and every two of them, at the same call or at different ones."""
    single: list[tuple[Member, Fault]] = [(member, fault) for member in members for fault in FAULTS[member]]
    yield from ((each,) for each in single)
    yield from itertools.product(single, single)


Faults = Sequence[tuple[Member, Fault]]
TOLD = {"Receipt", "ObjectExists", "OutcomeUnknown", "AccessDenied"}  # at the least, of many faults


def told_of(each_faults: Iterable[Faults], world_of: Callable[[Faults], World]) -> set[str]:
    """The names of what creates were told, a world for each; all of it was judged."""
    told: set[str] = set()
    for faults in each_faults:
        world = world_of(faults)
        try:
            told.add(world.judge(world.create()))
        except BaseException as exc:
            exc.add_note(f"faults: {faults}")
            raise
    return told


@pytest.mark.parametrize("early", [True, False], ids=["refuses-at-begin", "refuses-at-finish"])
@pytest.mark.parametrize("multipart", [False, True], ids=["one-request", "multipart"])
def test_what_is_told_is_true_for_every_one_and_two_faults(multipart: bool, early: bool) -> None:
    faults = sequences(MULTIPART if multipart else SINGLE)
    assert told_of(faults, partial(World, multipart=multipart, early=early)) >= TOLD


class StreamWorld(World):
    """The same create, of a stream that is read while its upload is begun, and never again."""

    def data(self) -> Iterator[bytes]:
        return (OURS[start : start + 50] for start in range(0, len(OURS), 50))


@pytest.mark.parametrize("early", [True, False], ids=["refuses-at-begin", "refuses-at-finish"])
def test_what_is_told_of_a_stream_is_true_for_every_fault_of_its_begin_and_another(early: bool) -> None:
    faults = (each for each in sequences(MULTIPART) if "begin" in (member for member, _ in each))
    assert told_of(faults, partial(StreamWorld, multipart=True, early=early)) >= TOLD


def many_faults(seed: int) -> None:
    chance = random.Random(seed)
    multipart = chance.random() < 0.7
    members = MULTIPART if multipart else SINGLE
    faults: list[tuple[Member, Fault | None]] = []
    for _ in range(chance.randrange(3, 12)):
        member = chance.choice(members)
        faults.append((member, chance.choice([*FAULTS[member], None])))
    world = World(faults, multipart=multipart, early=chance.random() < 0.5)
    try:
        world.judge(world.create())
    except BaseException as exc:
        exc.add_note(f"seed {seed}, faults: {faults}")
        raise


def test_what_is_told_is_true_for_many_faults() -> None:
    for seed in range(2_000):
        many_faults(seed)


@pytest.mark.soak
def test_what_is_told_is_true_for_very_many_faults() -> None:
    for seed in range(2_000, 100_000):
        many_faults(seed)


EVERY_SIGNAL: tuple[Signal, ...] = (
    signals.Exists(sole=True),
    signals.Exists(sole=False),
    signals.Gone(sole=True),
    signals.Absent(),
    signals.Changed(),
    signals.Conflict(restart=False),
    signals.Conflict(restart=True),
    signals.Busy(),
    signals.Corrupt(),
    signals.Unsupported(),
    signals.Unguarded(),
    signals.Refused(why="access"),
    signals.Refused(why="key"),
    signals.Refused(why="request"),
    signals.Lost(),
    signals.Unsynced(),
    signals.Broken(),
    signals.Damaged(),
)


def saying(signal: Signal) -> Fault:
    return answers(lambda: signal)


@pytest.mark.parametrize("multipart", [False, True], ids=["one-request", "multipart"])
def test_no_signal_reaches_a_user_wherever_a_driver_raises_it(multipart: bool) -> None:
    for member in MULTIPART if multipart else SINGLE:
        for signal in EVERY_SIGNAL:
            for before in (None, LOST_AFTER, LOST_BEFORE):
                commit: Member = "finish_new" if multipart else "put_new"
                world = World([(commit, before), (member, saying(signal))], multipart=multipart, early=True)
                try:
                    told = world.create()
                except BaseException as exc:
                    exc.add_note(f"{before} then {signal!r} from {member}")
                    raise
                if isinstance(told, Receipt) and told.outcome == "created":
                    assert world.at_key() == OURS
                if isinstance(told, NotWritten):
                    assert world.at_key() is None


@pytest.mark.parametrize(
    ("misread", "answer"),
    [
        (signals.Lost, Answer.REFUSED),
        (signals.Lost, Answer.DONE),
        (signals.Exists, Answer.REFUSED),
        (signals.Gone, Answer.DONE),
    ],
)
def test_the_instrument_catches_a_store_that_misreads_signals(
    misread: type[Signal], answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = meanings.answer_for

    def planted(signal: Signal) -> Answer:
        return answer if isinstance(signal, misread) else honest(signal)

    def hunt() -> None:
        for seed in range(2_000):
            many_faults(seed)

    monkeypatch.setattr(meanings, "answer_for", planted)
    with pytest.raises((AssertionError, StorageGuardError)):
        hunt()


@pytest.mark.parametrize("multipart", [False, True])
def test_our_own_write_is_never_called_a_conflict(multipart: bool) -> None:
    member: Member = "finish_new" if multipart else "put_new"
    for fault in (LOST_AFTER, TWICE):
        world = World([(member, fault)], multipart=multipart, early=True)
        receipt = world.store.create("k", OURS)
        assert receipt.outcome == "created"
        assert receipt.resolved
        assert world.at_key() == OURS


@pytest.mark.parametrize("multipart", [False, True])
def test_a_checksum_that_is_wrong_behind_the_commit_is_never_called_created_nor_not_written(multipart: bool) -> None:
    member: Member = "finish_new" if multipart else "put_new"
    world = World([(member, saying(signals.Damaged("the store says 12")))], multipart=multipart, early=True)
    told = world.create()
    assert isinstance(told, ObjectDamaged)
    assert not isinstance(told, NotWritten)
    assert "remove it" in str(told)
    assert "the store says 12" in str(told)
    assert world.at_key() == OURS


class MisjoinsParts(MemoryDriver):
    """Publishes the parts of an upload with the bytes of the first one turned around."""

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        slot = parts[0].slot
        turned = self.put_part(key, upload_id, slot, BytesBody(OURS[: slot.size_bytes][::-1]))
        return super().finish_new(key, upload_id, [turned, *parts[1:]], meta)


def test_an_upload_whose_answer_was_lost_is_created_only_if_its_bytes_are_those_that_were_sent() -> None:
    driver = FaultyDriver(MisjoinsParts(limits=LIMITS))
    driver.plan("finish_new", [LOST_AFTER])
    with pytest.raises(ObjectDamaged, match="crc64xz"):
        Store(driver, part_bytes=100, multipart_from_bytes=200, clock=FakeClock()).create("k", OURS)


class TurnsPuts(MemoryDriver):
    """Stores the bytes of a put turned around."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        data = b"".join(body.windows())
        return super().put_new(key, BytesBody(data[::-1]), meta)


@pytest.mark.parametrize("data", [OURS, [OURS[:5], OURS[5:]]], ids=["bytes", "stream"])
def test_a_put_whose_answer_was_lost_is_created_only_if_its_bytes_are_those_that_were_sent(data: Any) -> None:
    driver = FaultyDriver(TurnsPuts())
    driver.plan("put_new", [LOST_AFTER])
    with pytest.raises(ObjectDamaged, match="crc64xz"):
        Store(driver, clock=FakeClock()).create("k", data)


def test_a_file_that_changed_when_the_answer_to_its_put_was_lost_proves_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(OURS)

    class Changes(MemoryDriver):
        def head(self, key: str, /) -> ObjectInfo | None:
            path.write_bytes(OURS[::-1] + b"more")
            return super().head(key)

    driver = FaultyDriver(Changes())
    driver.plan("put_new", [LOST_AFTER])
    receipt = Store(driver, clock=FakeClock()).create("k", path)
    assert (receipt.outcome, receipt.resolved) == ("created", True)
    assert driver.read("k", 0, len(OURS), None) == OURS


def test_a_store_that_stays_silent_is_given_up_with_a_ticket_and_never_called_not_written() -> None:
    lost: tuple[Member, Fault] = ("put_new", LOST_BEFORE)
    world = World([lost] * 1000, multipart=False, early=True)
    told = world.create()
    assert isinstance(told, OutcomeUnknown)
    world.settle(told)


def test_a_throttling_store_is_given_up_as_not_written() -> None:
    busy: tuple[Member, Fault] = ("put_new", BUSY)
    told = World([busy] * 1000, multipart=False, early=True).create()
    assert isinstance(told, StoreUnavailable)


def test_the_wait_a_store_asks_for_is_respected() -> None:
    clock = FakeClock(chance=0.0)
    driver = FaultyDriver(MemoryDriver())
    driver.plan("put_new", [answers(lambda: Busy("slow down", retry_after_s=17.0))])
    Store(driver, clock=clock).create("k", b"x")
    assert clock.now_s() == 17.0


def test_visible_but_not_durable_is_unknown_and_settle_believes_what_head_shows_later() -> None:
    world = World([("put_new", answers(lambda: Unsynced("fsync of the folder failed")))], multipart=False, early=True)
    told = world.create()
    assert isinstance(told, OutcomeUnknown)
    assert "crash" in str(told)
    assert told.ticket is not None
    assert world.store.settle(told.ticket).outcome == "created"


class Interrupted(Fault):
    """Ctrl-C just after the store has acted, or just before."""

    def __init__(self, *, acts: bool = True) -> None:
        self._acts = acts

    def strike(self, request: Request[T], /) -> T:
        if self._acts:
            request.act()
        raise KeyboardInterrupt


@pytest.mark.parametrize("early", [True, False], ids=["refuses-at-begin", "refuses-at-finish"])
@pytest.mark.parametrize("multipart", [False, True], ids=["one-request", "multipart"])
def test_ctrl_c_at_any_call_is_told_truly_behind_any_fault(multipart: bool, early: bool) -> None:
    seen: set[bool] = set()
    for faults in sequences(MULTIPART if multipart else SINGLE):
        for acts in (False, True):
            world = World(faults[:-1], multipart=multipart, early=early)
            world.driver.plan(faults[-1][0], [Interrupted(acts=acts)])
            try:
                seen.add(world.interrupt())
            except BaseException as exc:
                exc.add_note(f"faults: {faults[:-1]}, then Ctrl-C at {faults[-1][0]}, acted: {acts}")
                raise
    assert seen >= {True, False}


@pytest.mark.parametrize("early", [True, False], ids=["refuses-at-begin", "refuses-at-finish"])
def test_ctrl_c_while_a_stream_is_begun_is_told_truly_behind_any_fault(early: bool) -> None:
    for faults in (each for each in sequences(MULTIPART) if len(each) == 1):
        for acts in (False, True):
            world = StreamWorld(faults, multipart=True, early=early)
            world.driver.plan("begin", [Interrupted(acts=acts)])
            assert not world.interrupt()


@pytest.mark.parametrize("multipart", [False, True])
def test_ctrl_c_during_a_commit_carries_a_ticket_that_settles(multipart: bool) -> None:
    world = World([("finish_new" if multipart else "put_new", Interrupted())], multipart=multipart, early=True)
    with pytest.raises(KeyboardInterrupt) as caught:
        world.store.create("k", OURS)
    ticket = ticket_of(caught.value)
    assert ticket is not None
    assert world.store.settle(ticket).outcome == "created"


def test_ctrl_c_while_parts_go_up_leaves_no_upload_and_no_doubt() -> None:
    world = World([("put_part", Interrupted())], multipart=True, early=True)
    with pytest.raises(KeyboardInterrupt) as caught:
        world.store.create("k", OURS)
    assert ticket_of(caught.value) is None
    assert list(world.inner.scan_uploads("")) == []
    assert world.store.create("k", OURS).outcome == "created"


def test_a_bug_in_a_driver_during_a_commit_passes_through_with_a_ticket() -> None:
    class Bug(Fault):
        def strike(self, request: Request[T], /) -> T:
            request.act()
            raise ZeroDivisionError

    world = World([("put_new", Bug())], multipart=False, early=True)
    with pytest.raises(ZeroDivisionError) as caught:
        world.store.create("k", OURS)
    ticket = ticket_of(caught.value)
    assert ticket is not None
    assert world.store.settle(ticket).resolved


def test_settle_calls_an_upload_back_and_is_sure_then() -> None:
    faults: list[tuple[Member, Fault | None]] = [("finish_new", LATE), *[("abort", LOST_BEFORE) for _ in range(1000)]]
    world = World(faults, multipart=True, early=True)
    told = world.create()
    assert isinstance(told, OutcomeUnknown)
    assert told.ticket is not None
    assert len(list(world.inner.scan_uploads(""))) == 1
    with pytest.raises(NotWritten):
        Store(world.inner, clock=FakeClock()).settle(told.ticket)
    assert list(world.inner.scan_uploads("")) == []
    world.driver.deliver()
    assert world.at_key() is None


def test_a_settle_that_cannot_examine_the_store_says_nothing_about_the_write() -> None:
    world = World([], multipart=False, early=True)
    receipt = world.store.create("k", OURS)
    ticket = str(Ticket(world.store.url, "k", str(receipt.write_id)))
    world.driver.plan("capabilities", [REFUSED])
    stranger = Store(world.driver, clock=FakeClock())
    with pytest.raises(OutcomeUnknown) as caught:
        stranger.settle(ticket)
    assert caught.value.ticket == ticket
    assert stranger.settle(ticket).outcome == "created"


def test_an_abort_that_fails_is_told_beside_the_real_error() -> None:
    refused: tuple[Member, Fault] = ("abort", REFUSED)
    world = World([("put_part", REFUSED), refused, refused, refused], multipart=True, early=True)
    told = world.create()
    assert isinstance(told, AccessDenied)
    assert any("left open" in note for note in told.__notes__)
