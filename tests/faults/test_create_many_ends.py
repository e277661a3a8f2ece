# pyright: reportPrivateUsage=false
"""How `create_many` ends before its time: Ctrl-C at any moment, a close, a fork; and what a store that is throttled or
dead has to do with it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any
from unittest import mock

import pytest

from properties.simulated_link import Link, LinkCrew, LinkDriver, Road, on
from storage_guard import NotWritten, Receipt, StorageGuardError, Store, ticket_of
from storage_guard.driver import Body, Busy, Limits, Lost, ObjectInfo, Part, PartSlot, WriteMeta
from storage_guard.engine import many
from storage_guard.engine.lanes import Lanes
from storage_guard.engine.many import Many
from storage_guard.memory import MemoryDriver
from storage_guard.testing import LOST_BEFORE, FakeClock, faulty
from unit.test_create_many import LIMITS, Watched, carried, eventually, every_way, no_thread_is_left, numbered
from unit.test_lanes import CtrlC, over, threads

Result = Receipt | StorageGuardError
__all__ = ["carried", "no_thread_is_left"]  # fixtures


def notes_of(exc: BaseException) -> list[str]:
    return list(getattr(exc, "__notes__", []))


def check_told(driver: MemoryDriver, heard: list[Result], exc: BaseException, asked: list[str]) -> None:
    """What is there was told, by its result, by a note, or by the ticket that the exception carries; and what is told
    is true."""
    known = {str(each.key) for each in heard}
    assert len(known) == len(heard)
    for key in asked:
        info = driver.head(key)
        spoken = [note for note in notes_of(exc) if note.startswith(repr(key))]
        assert not (info and key not in known and not spoken), f"{key!r} is there, and nobody was told"
        for note in spoken:
            if "was written:" in note:
                assert info is not None
                assert str(info.write_id) in note
            elif "was not written" in note:
                assert info is None, note
            else:
                assert "settle(" in note, note
                ticket = note.split("settle('")[1].split("'")[0] if "settle('" in note else ticket_of(exc)
                assert ticket is not None
                if info is not None:
                    assert Store(driver).settle(ticket).write_id == info.write_id


# Ctrl-C at every bytecode of the coordinator


class CtrlCInMany(CtrlC):
    OURS: tuple[str, ...] = ("lanes.py", "concurrency.py", "/many.py", "submitted.py", "results.py", "replies.py")

    def strikes(self, run: Callable[[], None]) -> KeyboardInterrupt | None:
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            run()
        except KeyboardInterrupt as exc:
            return exc
        finally:
            sys.settrace(before)
        return None


def interrupted_at_every(stride: int, way: dict[str, Any], first: int = 1) -> int:
    for count, after in enumerate(itertools.count(first, stride)):
        driver = Watched()
        heard: list[Result] = []
        results = Store(driver, clock=FakeClock()).create_many(numbered(4), **way)

        def consume(results: Iterator[Result] = results, heard: list[Result] = heard) -> None:
            heard.extend(each for each in results)

        struck = CtrlCInMany(after).strikes(consume)
        assert driver.under_way == 0
        came = list(driver.came)
        over()
        assert driver.came == came
        if struck is None:
            assert len(heard) == 4
            return count
        check_told(driver, heard, struck, [f"k{number}" for number in range(4)])
        assert list(results) == []
    raise AssertionError


SHORT: list[dict[str, Any]] = [{"in_flight": 1}, {"in_flight": 2}, {"in_flight": 2, "ordered": True}]


@pytest.mark.parametrize("way", SHORT, ids=str)
def test_ctrl_c_at_any_moment_leaves_nothing_under_way_and_nothing_untold(way: dict[str, Any]) -> None:
    assert interrupted_at_every(17, way) > 25


@pytest.mark.soak
@pytest.mark.parametrize("way", SHORT, ids=str)
def test_ctrl_c_at_every_single_bytecode_leaves_nothing_under_way_and_nothing_untold(way: dict[str, Any]) -> None:
    assert interrupted_at_every(1, way) > 500


# From elsewhere


def interrupting(driver: Watched, count: int, error: BaseException) -> Iterator[tuple[str, bytes]]:
    yield from numbered(count)
    driver.let_go_when(lambda: driver.under_way > 0)
    raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=repr)
@pytest.mark.parametrize("ordered", [False, True])
def test_ctrl_c_while_items_are_taken_begins_nothing_more_and_waits_for_what_is_on_its_way(
    ordered: bool, error: BaseException
) -> None:
    driver = Watched("k0", "k1", "k2")
    heard: list[Result] = []
    error = type(error)(*error.args)
    with pytest.raises(type(error)) as caught:
        heard.extend(Store(driver).create_many(interrupting(driver, 3, error), ordered=ordered))
    assert caught.value is error
    assert driver.under_way == 0
    assert not threads()
    check_told(driver, heard, error, ["k0", "k1", "k2"])
    assert len(heard) + len(notes_of(error)) == 3


def test_what_the_consumer_throws_in_comes_out_with_notes_of_what_it_was_not_given() -> None:
    driver = Watched()
    results = Store(driver).create_many(numbered(10), in_flight=4)
    first = next(results)
    trouble = ValueError("enough")
    with pytest.raises(ValueError, match="enough") as caught:
        results.throw(trouble)
    assert caught.value is trouble
    assert trouble.__cause__ is None
    assert driver.under_way == 0
    check_told(driver, [first], trouble, driver.came)
    assert len(driver.came) <= 5


@pytest.mark.parametrize("end", ["close", "drop", "break", "never begun"])
def test_a_close_begins_nothing_more_and_waits_for_what_is_on_its_way(end: str) -> None:
    driver = Watched()
    store = Store(driver)
    if end == "break":
        for _ in store.create_many(numbered(1000), in_flight=4):
            break
    else:
        results = store.create_many(numbered(1000), in_flight=4)
        if end != "never begun":
            next(results)
        if end == "close":
            results.close()
        del results
    assert driver.under_way == 0
    assert not threads()
    assert len(driver.came) <= 4 + 1
    assert (driver.came == []) == (end == "never begun")


class LosesTheSecond(Watched):
    """Writes it, and then answers nothing any more."""

    deaf = False

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        info = super().put_new(key, body, meta)
        if key == "k1":
            self.deaf = True
            raise Lost("cut")
        return info

    def head(self, key: str, /) -> ObjectInfo | None:
        if self.deaf:
            raise Lost("cut")
        return super().head(key)


def test_a_close_warns_of_what_is_in_doubt_and_was_not_given_and_of_nothing_else() -> None:
    driver = LosesTheSecond("k0", "k1")
    results = Store(driver, clock=FakeClock()).create_many(numbered(2), ordered=True, in_flight=2)
    driver.let_go_when(lambda: driver.under_way == 2)
    assert isinstance(next(results), Receipt)
    with pytest.warns(RuntimeWarning, match=r"closed before it gave.*'k\d'.*settle\('") as warned:
        results.close()
    assert len(warned) == 1
    assert {each.filename for each in warned} == {__file__}
    ticket = str(warned[0].message).split("settle('")[1].split("'")[0]
    driver.deaf = False
    assert Store(driver).settle(ticket).outcome == "created"
    given = Store(faulty(MemoryDriver(), "put_new", [LOST_BEFORE] * 10_000), clock=FakeClock()).create_many(
        [("k", b"")]
    )
    next(given)
    given.close()  # it was given: no warning, and those are errors here


class KilledByData(BaseException):
    """What no `except Exception` catches."""


@every_way
def test_what_ends_a_thread_ends_the_call_and_says_what_became_of_the_others(way: dict[str, Any]) -> None:
    def data() -> Iterator[bytes]:
        yield b"half"
        raise KilledByData

    driver = Watched()
    heard: list[Result] = []
    items: list[tuple[str, Any]] = [*numbered(3), ("bad", data()), *((f"l{number}", b"") for number in range(50))]
    with pytest.raises(KilledByData) as caught:
        heard.extend(Store(driver).create_many(items, **way))
    assert driver.under_way == 0
    assert driver.head("bad") is None
    check_told(driver, heard, caught.value, [key for key, _ in items])


def test_two_that_end_their_threads_leave_both_their_tickets() -> None:
    class Deadly(Watched):
        def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
            super().put_new(key, body, meta)
            raise KilledByData

    driver = Deadly("k0", "k1")
    driver.let_go_when(lambda: driver.under_way == 2)
    with pytest.raises(KilledByData) as caught:
        list(Store(driver).create_many(numbered(2)))
    check_told(driver, [], caught.value, ["k0", "k1"])
    own = ticket_of(caught.value)
    assert own is not None
    other = [note.split("settle('")[1].split("'")[0] for note in notes_of(caught.value) if "settle('" in note]
    assert {Store(driver).settle(each).key for each in (own, *other)} == {"k0", "k1"}


def lanes_of(results: Any) -> Lanes[int]:
    one: Many = results.gi_frame.f_locals["self"]
    return one._lanes


def test_results_that_are_there_are_given_before_the_next_item_is_asked_for_in_threads_too() -> None:
    given: list[Result] = []

    def items() -> Iterator[tuple[str, bytes]]:
        yield "k0", b""
        eventually(lanes_of(results)._crew.has_done)
        yield "k1", b""
        assert given, "a slow iterator would hold it back"

    results = Store(MemoryDriver()).create_many(items())
    given.append(next(results))
    given.extend(results)
    assert {each.key for each in given} == {"k0", "k1"}


@pytest.mark.parametrize("way", SHORT, ids=str)
def test_trouble_of_our_own_ends_the_call_and_is_not_silent(
    way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble, taken = LookupError("a bug"), list[int]()

    def no_words(*_: object) -> StorageGuardError:
        raise trouble

    monkeypatch.setattr(many, "as_result", no_words)
    items: list[tuple[str, Any]] = [("bad", 7), *numbered(2)]

    def offered() -> Iterator[tuple[str, Any]]:
        yield from items
        yield from numbered(1000, taken)

    with pytest.raises(LookupError) as caught:
        list(Store(MemoryDriver(limits=LIMITS)).create_many(offered(), **way))
    assert caught.value is trouble
    assert len(taken) < 20


def test_ctrl_c_while_it_is_closed_is_not_lost() -> None:
    driver = Watched()
    results = Store(driver).create_many(numbered(10), in_flight=2)
    next(results)
    lanes = lanes_of(results)
    real = lanes.stop
    struck = iter([KeyboardInterrupt()])

    def stop() -> None:
        for each in struck:
            raise each
        real()

    with mock.patch.object(lanes, "stop", stop), pytest.raises(KeyboardInterrupt):
        results.close()
    assert driver.under_way == 0


def test_a_second_ctrl_c_does_not_wait_and_says_what_may_be_on_its_way() -> None:
    driver = Watched("k0")
    results = Store(driver).create_many(numbered(2), in_flight=2)
    first = next(results)
    lanes = lanes_of(results)
    with (
        mock.patch.object(lanes, "stop", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        results.throw(KeyboardInterrupt())
    assert first.key == "k1"
    assert any("may still be on their way" in note for note in notes_of(caught.value))
    (note,) = [note for note in notes_of(caught.value) if note.startswith("'k0'")]
    assert "may have been written" in note
    driver.let_go()
    lanes.stop()
    assert Store(driver).settle(note.split("settle('")[1].split("'")[0]).outcome == "created"


FORK = """
import os, sys, threading
from storage_guard_local import LocalDriver
from storage_guard import Store

store = Store(LocalDriver(sys.argv[1]))
def items():
    for number in range(50):
        yield f"k{number}", b"%d" % number
results = store.create_many(items(), in_flight=INFLIGHT)
next(results)
sys.stdout.flush()
child = os.fork()
if child == 0:
    if "GOES" == "on":
        try:
            list(results)
        except RuntimeError as exc:
            assert "goes on in process" in str(exc), exc
        else:
            raise AssertionError("it went on")
    else:
        results.close()
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert len(list(results)) == 49
assert len(list(store.scan())) == 50
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("goes", ["on", "away"])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_a_forked_copy_goes_no_further_and_the_original_knows_nothing_of_it(
    tmp_path: Any, goes: str, in_flight: int
) -> None:
    script = FORK.replace("GOES", goes).replace("INFLIGHT", str(in_flight))
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


# Stores that throttle, or are dead: in virtual time


@contextmanager
def many_on(link: Link) -> Generator[None]:
    class Threads(LinkCrew[Any]):
        def __init__(self) -> None:
            super().__init__(link)

    with on(link), mock.patch("storage_guard.engine.many.Threads", Threads):
        yield


WIDE = Road(latency_s=0.05, connection_rate=10e6, total_rate=1e9)


def busy_seconds(link: Link, more_than: int) -> float:
    return sum(seconds for count, seconds in link.open_s.items() if count > more_than) / sum(link.open_s.values())


def test_to_a_store_that_throttles_fewer_are_sent_and_all_end_well() -> None:
    link = Link(Road(WIDE.latency_s, WIDE.connection_rate, WIDE.total_rate, connections=5))
    with many_on(link):
        results = list(Store(LinkDriver(link, LIMITS), clock=link).create_many(numbered(1000)))
    assert len(results) == 1000
    assert all(isinstance(each, Receipt) for each in results)
    assert link.answers_busy < 100
    assert busy_seconds(link, 6) < 0.1
    free = Link(WIDE)
    with many_on(free):
        assert len(list(Store(LinkDriver(free, LIMITS), clock=free).create_many(numbered(1000)))) == 1000
    assert free.most_open > 16, "where nothing is throttled it grows"
    assert busy_seconds(free, 10) > 0.8


class Moody(LinkDriver):
    """Answers each key's first requests with what `moods` says."""

    def __init__(self, link: Link, *moods: Exception, every: bool = False) -> None:
        super().__init__(link, Limits(1 << 20, 100, 1 << 20, 1000, 1 << 30))
        self._moods = moods
        self._every = every
        self.asked: list[tuple[str, float]] = []

    def _mood(self, key: str) -> None:
        self.asked.append((key, self._link.now_s()))
        before = sum(1 for asked, _ in self.asked if asked == key) - 1
        if self._every or before < len(self._moods):
            self._link.request(0)
            raise self._moods[before % len(self._moods)]

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        self._mood(key)
        return super().put_new(key, body, meta)

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        for _ in body.windows():
            pass
        self._mood(f"{key}#{slot.number}")
        return super().put_part(key, upload_id, slot, body)


def test_nothing_is_sent_again_before_the_store_wants_it() -> None:
    link = Link(WIDE)
    driver = Moody(link, Busy(retry_after_s=30.0))
    with many_on(link):
        results = list(Store(driver, clock=link).create_many(numbered(20)))
    assert all(isinstance(each, Receipt) for each in results)
    for number in range(20):
        first, second = (at_s for key, at_s in driver.asked if key == f"k{number}")
        assert second - first >= 30.0


def interrupted_at_end(items: Iterator[tuple[str, bytes]], link: Link, after_s: float) -> Iterator[tuple[str, bytes]]:
    yield from items
    link.sleep(after_s)
    raise KeyboardInterrupt


@pytest.mark.parametrize("mood", [Busy(), Lost(), Busy(retry_after_s=100.0)], ids=["busy", "lost", "asks for long"])
@pytest.mark.parametrize("size_bytes", [10, 2000], ids=["one request", "parts"])
@pytest.mark.parametrize("in_flight", [4, 64])
def test_ctrl_c_does_not_wait_for_the_deadline_of_a_dead_store(
    mood: Exception, size_bytes: int, in_flight: int
) -> None:
    link = Link(WIDE)
    driver = Moody(link, mood, every=True)
    store = Store(driver, clock=link, part_bytes=100, multipart_from_bytes=1000)
    items = ((f"k{number}", bytes(size_bytes)) for number in range(3))
    with many_on(link), pytest.raises(KeyboardInterrupt) as caught:
        list(store.create_many(interrupted_at_end(items, link, 5.0), in_flight=in_flight))
    assert link.now_s() < 8.0
    notes = notes_of(caught.value)
    for number in range(3):
        assert sum(note.startswith(f"'k{number}'") for note in notes) == 1
    if isinstance(mood, Lost) and size_bytes == 10:
        assert sum("settle(" in note for note in notes) == 3


@pytest.mark.parametrize(
    ("in_flight", "of_store", "parts"),
    [(4, None, 16), (8, None, 8), (64, None, 1), (4, 3, 3), (None, 2, 2), (100, None, 1)],
)
def test_what_all_send_together_is_shared_out_among_them(
    in_flight: int | None, of_store: int | None, parts: int
) -> None:
    link = Link(WIDE)
    store = Store(LinkDriver(link, LIMITS), clock=link, part_bytes=1000, multipart_from_bytes=1000, in_flight=of_store)
    with many_on(link):
        (receipt,) = store.create_many([("k", bytes(60_000))], in_flight=in_flight)
    assert isinstance(receipt, Receipt)
    assert receipt.parts == 60
    assert parts <= link.most_open <= parts + 1, "one more to look who has the key"


@pytest.mark.parametrize("in_flight", [4, 64])
def test_ctrl_c_ends_a_large_object_between_two_of_its_parts(in_flight: int) -> None:
    link = Link(Road(latency_s=0.1, connection_rate=100.0, total_rate=1e9))  # a second for a part of 100 bytes
    driver = Moody(link)
    store = Store(driver, clock=link, part_bytes=100, multipart_from_bytes=1000)
    with many_on(link), pytest.raises(KeyboardInterrupt) as caught:
        list(store.create_many(interrupted_at_end(iter([("k", bytes(100_000))]), link, 5.0), in_flight=in_flight))
    assert link.now_s() < 10.0
    assert any("'k' was not written" in note for note in notes_of(caught.value))
    assert list(driver.scan_uploads("")) == []


def test_closing_behind_a_failure_is_how_a_batch_is_given_up() -> None:
    driver = faulty(MemoryDriver(limits=LIMITS), {})
    items = [*numbered(3), ("k0", b"again"), *((f"l{number}", b"") for number in range(100))]
    with closing(Store(driver).create_many(items, in_flight=1)) as results:
        failed = next(each for each in results if not isinstance(each, Receipt))
    assert failed.key == "k0"
    assert not isinstance(failed, NotWritten)
    assert driver.calls["put_new"] == 4
