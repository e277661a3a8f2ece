"""`create_many`: every item one result with its key, in bounded steps, and nothing stops the others."""

from __future__ import annotations

import gc
import io
import pickle
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from posting import teach
from storage_guard import (
    AccessDenied,
    GuaranteeMissing,
    InvalidKey,
    NewObject,
    NotWritten,
    ObjectExists,
    ObjectNotFound,
    ObjectOptions,
    OutcomeUnknown,
    Receipt,
    SourceMissing,
    StorageGuardError,
    Store,
    StoreUnavailable,
    Unsupported,
    signals,
)
from storage_guard.driver import Body, Busy, Capabilities, Limits, ObjectInfo, Part, PartSlot, WriteMeta
from storage_guard.memory import MemoryDriver
from storage_guard.testing import BUSY, LOST_AFTER, LOST_BEFORE, REFUSED, FakeClock, answers, faulty, race
from storage_guard.testing.faults import FaultyDriver
from unit.test_lanes import LONG_S, threads

Result = Receipt | StorageGuardError
LIMITS = Limits(
    max_put_bytes=1 << 20, min_part_bytes=100, max_part_bytes=1 << 20, max_parts=1000, max_object_bytes=1 << 30
)
WAYS: list[dict[str, Any]] = [
    {},
    {"in_flight": 1},
    {"in_flight": 3},
    {"ordered": True},
    {"ordered": True, "in_flight": 2},
]
every_way = pytest.mark.parametrize("way", WAYS, ids=str)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    assert not threads()
    yield
    assert not threads()


@pytest.fixture(autouse=True, params=["in threads", "by post"])
def carried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether drivers take puts that no thread waits for."""
    if request.param == "by post":
        teach(monkeypatch, Watched, FaultyDriver)
    return str(request.param)


class Watched(MemoryDriver):
    """Knows which puts are under way, and holds those of some keys until they are let go."""

    def __init__(self, *held: str, limits: Limits = LIMITS) -> None:
        super().__init__(limits=limits)
        self.gates = {key: threading.Event() for key in held}
        self.came: list[str] = []
        self.under_way = self.most = 0
        self._changed = threading.Condition()

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        with self._changed:
            self.came.append(key)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self._changed.notify_all()
        try:
            if key in self.gates:
                assert self.gates[key].wait(LONG_S)
            return super().put_new(key, body, meta)
        finally:
            with self._changed:
                self.under_way -= 1
                self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, LONG_S)

    def let_go(self) -> None:
        for gate in self.gates.values():
            gate.set()

    def let_go_when(self, condition: Callable[[], bool], first: Callable[[], None] = lambda: None) -> threading.Thread:
        """In a thread: the caller waits for results meanwhile."""

        def run() -> None:
            self.wait_for(condition)
            first()
            self.let_go()

        thread = threading.Thread(target=run)
        thread.start()
        return thread


def numbered(count: int, taken: list[int] | None = None) -> Iterator[tuple[str, bytes]]:
    for number in range(count):
        if taken is not None:
            taken.append(number)
        yield f"k{number}", b"%d" % number


def told(results: Iterable[Result]) -> dict[str | None, str]:
    listed = list(results)
    assert max(Counter(each.key for each in listed).values(), default=1) == 1
    return {each.key: each.outcome if isinstance(each, Receipt) else type(each).__name__ for each in listed}


# One result each


class Unreadable(io.RawIOBase):
    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        raise OSError(5, f"broken at {size}")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


def raising(error: Exception) -> Iterator[bytes]:
    yield b"half"
    raise error


def bad_items(folder: Path) -> dict[str, tuple[NewObject, type[StorageGuardError], type[BaseException] | None]]:
    """What is wrong, and the result, and its cause where the result is only its wrapper."""
    wild: Any = 12
    wild_text: Any = ["text"]
    bad_options: Any = {"content_type": "text/plain"}
    return {
        "taken": (NewObject("taken", b"x"), ObjectExists, None),
        "invalid key": (NewObject("a//b", b"x"), InvalidKey, None),
        "no key at all": (NewObject(wild, b"x"), NotWritten, TypeError),
        "data of a wrong type": (NewObject("number", wild), NotWritten, TypeError),
        "text": (NewObject("text", wild_text), NotWritten, TypeError),
        "iterable that raises": (NewObject("raises", raising(ValueError("own"))), NotWritten, ValueError),
        "raises one of ours": (
            NewObject("ours", raising(ObjectNotFound("x", key="other"))),
            NotWritten,
            ObjectNotFound,
        ),
        "raises ours of no key": (NewObject("ours-2", raising(AccessDenied("x"))), AccessDenied, None),
        "raises what has no words": (NewObject("mute", raising(Mute())), NotWritten, Mute),
        "raises another's ticket": (
            NewObject("doubt", raising(OutcomeUnknown("x", key="doubt", ticket="none"))),
            NotWritten,
            OutcomeUnknown,
        ),
        "file that cannot be read": (NewObject("unreadable", Unreadable()), NotWritten, OSError),
        "file that is not there": (NewObject("vanished", folder / "vanished"), SourceMissing, None),
        "a folder": (NewObject("folder", folder), NotWritten, None),
        "options that cannot be held": (
            NewObject("options", b"x", ObjectOptions(metadata={"A B": "c"})),
            Unsupported,
            None,
        ),
        "options of a wrong type": (NewObject("no-options", b"x", bad_options), NotWritten, TypeError),
        "write id that cannot be held": (NewObject("id", b"x", None, "a b"), NotWritten, ValueError),
    }


@every_way
def test_whatever_is_wrong_with_an_item_it_has_one_result_with_its_key_and_the_others_are_written(
    way: dict[str, Any], tmp_path: Path
) -> None:
    store = Store(MemoryDriver(limits=LIMITS), clock=FakeClock())
    store.create("taken", b"first")
    bad = bad_items(tmp_path)
    items: list[Any] = []
    for number, (item, _, _) in enumerate(bad.values()):
        items += [(f"good-{number}", b"good"), item]
    results = list(store.create_many(items, **way))
    assert sorted(str(each.key) for each in results) == sorted(str(item[0]) for item in items)
    if way.get("ordered"):
        assert [each.key for each in results] == [item[0] for item in items]
    by_key = {each.key: each for each in results}
    for what, (item, kind, cause) in bad.items():
        result = by_key[item.key]
        assert type(result) is kind, what
        assert isinstance(result, StorageGuardError)
        assert cause is None or type(result.__cause__) is cause, what
        assert repr(item.key) in str(result) or what == "raises ours of no key"
        twin = pickle.loads(pickle.dumps(result))
        assert (type(twin), str(twin), twin.key) == (type(result), str(result), result.key)
    for number in range(len(bad)):
        assert store.read(f"good-{number}") == b"good"
    assert sum(1 for _ in store.scan()) == len(bad) + 1
    denied = by_key["ours-2"]
    assert isinstance(denied, AccessDenied)
    assert denied.filename == "ours-2"


SIGNALS: dict[str, tuple[Callable[[], signals.Signal], str]] = {
    "taken, and gone again": (lambda: signals.Exists(sole=True), "created"),
    "refused": (lambda: signals.Refused(why="access"), "AccessDenied"),
    "bad request": (lambda: signals.Refused(why="request"), "NotWritten"),
    "corrupt": (signals.Corrupt, "ChecksumMismatch"),
    "unsupported": (signals.Unsupported, "Unsupported"),
    "unguarded": (signals.Unguarded, "GuaranteeMissing"),
    "unsynced": (signals.Unsynced, "OutcomeUnknown"),
    "broken": (signals.Broken, "GuaranteeBroken"),
    "damaged": (signals.Damaged, "ObjectDamaged"),
    "busy": (signals.Busy, "created"),
    "lost": (signals.Lost, "created"),
}


@pytest.mark.parametrize("what", SIGNALS)
@every_way
def test_a_signal_is_about_the_one_that_it_met(way: dict[str, Any], what: str) -> None:
    make, answer = SIGNALS[what]
    driver = faulty(MemoryDriver(limits=LIMITS), "put_new", [None, None, answers(make)])
    expected = Counter({"created": 9, answer: 1} if answer != "created" else {"created": 10})
    assert Counter(told(Store(driver, clock=FakeClock()).create_many(numbered(10), **way)).values()) == expected


@every_way
def test_a_bug_in_a_driver_is_one_result_with_a_ticket_that_settles(way: dict[str, Any]) -> None:
    class Bug(MemoryDriver):
        def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
            info = super().put_new(key, body, meta)
            if key == "k3":
                raise ZeroDivisionError
            return info

    store = Store(Bug(limits=LIMITS), clock=FakeClock())
    results = {each.key: each for each in store.create_many(numbered(6), **way)}
    unknown = results.pop("k3")
    assert all(isinstance(each, Receipt) for each in results.values())
    assert isinstance(unknown, OutcomeUnknown)
    assert isinstance(unknown.__cause__, ZeroDivisionError)
    assert unknown.ticket is not None
    receipt = store.settle(unknown.ticket)
    assert (receipt.outcome, receipt.write_id) == ("created", unknown.write_id)


@every_way
def test_a_store_that_cannot_be_examined_is_a_result_each_and_one_that_later_can_be_is_examined_once(
    way: dict[str, Any],
) -> None:
    driver = faulty(MemoryDriver(limits=LIMITS), "capabilities", [REFUSED, REFUSED])
    store = Store(driver, clock=FakeClock())
    assert Counter(told(store.create_many(numbered(6), **way)).values()) == {"AccessDenied": 2, "created": 4}
    assert driver.calls["capabilities"] == 3
    assert list(store.create_many([], **way)) == []
    assert store.create("k", b"").outcome == "created"
    assert driver.calls["capabilities"] == 3


def test_a_store_without_the_guarantee_is_refused_before_the_first_byte() -> None:
    class Missing(MemoryDriver):
        def capabilities(self) -> Capabilities:
            return Capabilities(put="missing", finish="missing", copy="missing", write_ids=True)

    items: list[tuple[str, Any]] = [("a", raising(ValueError())), ("b", b"x")]
    results = list(Store(Missing(limits=LIMITS)).create_many(items))
    assert [type(each) for each in results] == [GuaranteeMissing] * 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"in_flight": 0}, ValueError),
        ({"deadline_s": -1}, ValueError),
        ({"if_exists": "overwrite"}, ValueError),
        ({"options": ObjectOptions(metadata={"A B": "c"})}, Unsupported),
    ],
    ids=str,
)
def test_senseless_options_of_the_call_are_refused_before_anything_is_taken(
    options: dict[str, Any], error: type[Exception]
) -> None:
    taken: list[int] = []
    with pytest.raises(error) as caught:
        Store(MemoryDriver()).create_many(numbered(3, taken), **options)
    assert getattr(caught.value, "key", None) is None
    assert not taken


def test_the_options_of_a_call_leave_room_for_short_keys_under_a_long_prefix() -> None:
    store = Store(MemoryDriver(), prefix="/".join(["x" * 100] * 10))
    assert told(store.create_many([("k", b"")])) == {"k": "created"}


def test_options_of_an_item_go_before_those_of_the_call_and_those_of_the_store_fill_in() -> None:
    store = Store(MemoryDriver(), defaults=ObjectOptions(content_type="a/a"))
    items: list[Any] = [NewObject("1", b"", ObjectOptions(content_type="c/c")), ("2", b"")]
    list(store.create_many(items, options=ObjectOptions(content_type="b/b")))
    list(store.create_many([("3", b"")]))
    infos = [store.head(key) for key in "123"]
    assert [info and info.options.content_type for info in infos] == ["c/c", "b/b", "a/a"]


@every_way
def test_whatever_is_there_or_the_same_bytes_will_do_for_each(way: dict[str, Any]) -> None:
    store = Store(MemoryDriver(limits=LIMITS))
    list(store.create_many([("a", b"a"), ("b", b"b")]))
    items: list[tuple[str, bytes]] = [("a", b"a"), ("b", b"other"), ("c", b"c")]
    assert told(store.create_many(items, if_exists="same", **way)) == {"a": "same", "b": "ObjectExists", "c": "created"}
    assert told(store.create_many(items, if_exists="skip", **way)) == dict.fromkeys("abc", "present")


def test_two_items_of_one_id_and_the_same_bytes_are_one_write_and_with_other_bytes_they_are_two() -> None:
    for turn in range(30):
        store = Store(MemoryDriver(limits=LIMITS))
        same = [NewObject("k", b"data", None, "job"), NewObject("k", b"data", None, "job")]
        receipts = list(store.create_many(same, ordered=turn % 2 == 0))
        assert [isinstance(each, Receipt) and each.outcome for each in receipts] == ["created", "created"]
        assert {each.write_id for each in receipts if isinstance(each, Receipt)} == {"job"}
        other = list(store.create_many([NewObject("k", b"other", None, "job")]))
        assert [type(each) for each in other] == [ObjectExists]


@pytest.mark.parametrize("lost", [False, True])
def test_of_equal_keys_one_wins_and_the_others_are_told_whose_it_is(lost: bool) -> None:
    for turn in range(20):
        driver = faulty(MemoryDriver(limits=LIMITS), "put_new", [LOST_AFTER] * (5 if lost else 0))
        items = [("k", b"%d" % (number % 3)) for number in range(9)]
        results = list(Store(driver, clock=FakeClock()).create_many(items, ordered=turn % 2 == 0))
        won = [each for each in results if isinstance(each, Receipt)]
        beaten = [each for each in results if isinstance(each, ObjectExists)]
        assert (len(won), len(beaten)) == (1, 8)
        assert {each.existing and each.existing.write_id for each in beaten} == {won[0].write_id}


def test_of_two_clients_with_the_same_keys_one_wins_each() -> None:
    for turn in range(10):
        driver = MemoryDriver(limits=LIMITS)

        def client(driver: MemoryDriver = driver, turn: int = turn) -> list[Result]:
            return list(Store(driver.client()).create_many(numbered(20), ordered=turn % 2 == 0))

        tables = race([client, client, client])
        won: Counter[str | None] = Counter()
        for table in tables:
            assert not isinstance(table, BaseException)
            assert len(table) == 20
            won.update(each.key for each in table if isinstance(each, Receipt))
            assert all(isinstance(each, Receipt | ObjectExists) for each in table)
        assert won == {f"k{number}": 1 for number in range(20)}


# In which order, and how far ahead


def test_results_come_as_they_finish_and_one_that_is_slow_holds_up_nobody() -> None:
    driver = Watched("k0")
    results = Store(driver).create_many(numbered(40), in_flight=3)
    first = [next(results).key for _ in range(39)]
    assert sorted(str(key) for key in first) == sorted(f"k{number}" for number in range(1, 40))
    assert driver.under_way == 1
    driver.let_go()
    assert [each.key for each in results] == ["k0"]


def test_in_order_one_that_is_slow_is_waited_for_and_what_runs_ahead_is_bounded() -> None:
    driver, taken = Watched("k0"), list[int]()
    results = Store(driver).create_many(numbered(40, taken), in_flight=3, ordered=True)
    thread = driver.let_go_when(lambda: len(driver.came) == 12)
    keys = [next(results).key]
    assert taken == list(range(12)), "4 * in_flight are begun, and none is given out"
    thread.join()
    keys += [each.key for each in results]
    assert keys == [f"k{number}" for number in range(40)]


@every_way
def test_items_are_taken_one_by_one_where_results_are_asked_for_and_never_far_ahead(way: dict[str, Any]) -> None:
    most = way.get("in_flight", 64) * (4 if way.get("ordered") else 1)
    given = taken = furthest = 0
    places: set[int] = set()

    def items() -> Iterator[tuple[str, bytes]]:
        nonlocal taken, furthest
        for number in range(400):
            places.add(threading.get_ident())
            taken += 1
            furthest = max(furthest, taken - given)
            yield f"k{number}", b""

    results = Store(MemoryDriver(limits=LIMITS)).create_many(items(), **way)
    assert taken == 0, "nothing before somebody asks"
    for _ in results:
        given += 1
        before = taken
        assert taken - given < most
        assert taken == before, "nor while nobody does"
    assert given == taken == 400
    assert furthest <= most
    assert places == {threading.get_ident()}


def test_no_more_are_under_way_than_allowed() -> None:
    driver = Watched("k0", "k1", "k2", "k3")
    driver.let_go_when(lambda: driver.under_way == 4)
    assert len(list(Store(driver).create_many(numbered(50), in_flight=4))) == 50
    assert driver.most == 4


def test_without_a_number_sixteen_begin() -> None:
    driver = Watched(*(f"k{number}" for number in range(16)))
    driver.let_go_when(lambda: driver.under_way == 16)
    assert len(list(Store(driver).create_many(numbered(16)))) == 16
    assert driver.most == 16


def test_a_consumer_that_takes_its_time_holds_back_intake() -> None:
    driver, taken = Watched(), list[int]()
    results = Store(driver).create_many(numbered(100, taken), in_flight=2)
    next(results)
    driver.wait_for(lambda: len(driver.came) == len(taken) and driver.under_way == 0)
    assert len(taken) <= 3
    results.close()
    assert len(driver.came) == len(taken)


def test_results_that_are_there_are_given_before_the_next_item_is_asked_for() -> None:
    given: list[str | None] = []

    def items() -> Iterator[tuple[str, bytes]]:
        for number in range(10):
            assert len(given) == number, "a slow iterator would hold it back"
            yield f"k{number}", b""

    given.extend(each.key for each in Store(MemoryDriver()).create_many(items(), in_flight=1))
    assert len(given) == 10


# How it ends


MALFORMED: list[Any] = ["ab", b"ab", ("key",), ("key", b"", None, None, None), {"key": b""}, None, 7, ["key", b""]]


@pytest.mark.parametrize("bad", MALFORMED, ids=repr)
@every_way
def test_what_is_no_item_comes_out_behind_the_results_of_all_that_were_begun(way: dict[str, Any], bad: Any) -> None:
    heard: list[Result] = []
    items: list[Any] = [*numbered(5), bad, ("never", b"")]
    store = Store(MemoryDriver(limits=LIMITS))
    with pytest.raises(TypeError, match=r"item 5 is \w+, and not \(key, data\)"):
        heard.extend(store.create_many(items, **way))
    for each in store.create_many(items[:5], if_exists="same"):
        assert isinstance(each, Receipt)
        assert each.outcome == "same"
    assert store.head("never") is None


@every_way
def test_what_items_raises_comes_out_behind_the_results_of_all_that_were_begun(way: dict[str, Any]) -> None:
    driver, heard, trouble = Watched("k3"), list[Result](), OSError("the list is broken")

    def items() -> Iterator[tuple[str, bytes]]:
        yield from numbered(5)
        driver.let_go()
        raise trouble

    if way.get("in_flight") == 1:
        driver.let_go()
    results = Store(driver).create_many(items(), **way)
    if way.get("in_flight") in (2, 3):
        driver.let_go()
    with pytest.raises(OSError, match="the list is broken") as caught:
        heard.extend(results)
    assert caught.value is trouble
    assert sorted(str(each.key) for each in heard) == [f"k{number}" for number in range(5)]
    assert not getattr(trouble, "__notes__", None)
    assert list(results) == [], "and that is the end"


def test_one_at_a_time_starts_no_thread_for_large_objects_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise AssertionError("a thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    store = Store(MemoryDriver(limits=LIMITS), part_bytes=100, multipart_from_bytes=100)
    results = list(store.create_many([("a", b"a"), ("b", bytes(1000)), ("c", iter([bytes(1000)]))], in_flight=1))
    assert [isinstance(each, Receipt) and each.parts for each in results] == [0, 10, 10]


def test_where_the_system_gives_no_threads_all_is_written_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert set(told(Store(MemoryDriver()).create_many(numbered(50))).values()) == {"created"}


# Memory


class Counting(MemoryDriver):
    """How many bytes of streams were made and are not sent yet."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits=limits)
        self.made = self.sent = self.most = 0
        self.lock = threading.Lock()

    def stream(self, pieces: int, piece_bytes: int) -> Iterator[bytes]:
        for _ in range(pieces):
            with self.lock:
                self.made += piece_bytes
                self.most = max(self.most, self.made - self.sent)
            yield bytes(piece_bytes)

    def _count(self, body: Body) -> None:
        with self.lock:
            self.sent += body.size_bytes

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        info = super().put_new(key, body, meta)
        self._count(body)
        return info

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        part = super().put_part(key, upload_id, slot, body)
        self._count(body)
        return part


@pytest.mark.parametrize(("in_flight", "least_bytes"), [(4, 100), (4, 2000), (20, 1000), (1, 100)])
def test_streams_hold_together_what_is_stated(in_flight: int, least_bytes: int) -> None:
    memory_bytes = 8000
    limits = Limits(1 << 20, least_bytes, 1 << 20, 1000, 1 << 30)
    driver, piece_bytes = Counting(limits), 50
    store = Store(driver, memory_bytes=memory_bytes)
    items = [(f"k{number}", driver.stream(400 if number % 2 else 3, piece_bytes)) for number in range(40)]
    assert set(told(store.create_many(items, in_flight=in_flight)).values()) == {"created"}
    assert driver.made == driver.sent == 20 * 403 * piece_bytes
    # A piece of a stream may have been made, and not be taken whole yet.
    assert driver.most <= max(memory_bytes, 2 * in_flight * least_bytes) + in_flight * piece_bytes
    assert driver.most >= min(memory_bytes, 2 * least_bytes) // 4, "it was measured at all"


class Data(bytearray):
    """Bytes of which one can know whether somebody holds them."""


@contextmanager
def no_collector() -> Generator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def eventually(condition: Callable[[], bool]) -> None:
    never = threading.Event()
    for _ in range(10_000):
        if condition():
            return
        never.wait(0.001)
    raise AssertionError("it never came true")


@every_way
def test_data_is_let_go_when_it_is_written_whoever_keeps_the_results(way: dict[str, Any]) -> None:
    driver = faulty(MemoryDriver(limits=LIMITS), "put_new", [None, LOST_AFTER, LOST_BEFORE, BUSY, REFUSED, None])
    driver.plan("put_part", [LOST_AFTER, None, LOST_BEFORE, REFUSED])
    store = Store(driver, clock=FakeClock(), part_bytes=100, multipart_from_bytes=1000)
    store.create("k1", b"taken")
    alive: list[weakref.ref[Data]] = []

    def failing(data: Data) -> Iterator[bytes]:
        yield bytes(data[:10])
        raise ValueError("own")

    def item(number: int) -> tuple[str, Any]:
        data = Data(2000 if number % 8 == 5 else 50)
        alive.append(weakref.ref(data))
        return f"k{number % 38}", failing(data) if number % 8 == 6 else data

    with no_collector():
        results = store.create_many(map(item, range(40)), **way)
        kept = [next(results)]
        if way.get("in_flight") != 1:
            eventually(lambda: not any(ref() for ref in alive))  # those that wait to be given out hold nothing
        kept.extend(results)
        assert not any(ref() for ref in alive)
    assert len(kept) == 40
    kinds = {type(each) for each in kept}
    assert kinds >= {Receipt, ObjectExists, NotWritten, AccessDenied}
    for each in kept:
        if isinstance(each, NotWritten) and isinstance(each.__cause__, ValueError):
            trace: Any = each.__cause__.__traceback__
            while trace.tb_next is not None:
                trace = trace.tb_next
            assert trace.tb_frame.f_code.co_name == "failing", "where it failed is still told"


@every_way
def test_when_all_is_over_no_cycle_keeps_anything(way: dict[str, Any]) -> None:
    trouble, alive = OSError("the list is broken"), list[weakref.ref[Data]]()

    def items() -> Iterator[tuple[str, Any]]:
        data = Data(10)
        alive.append(weakref.ref(data))
        yield "k", data
        raise trouble

    with no_collector():
        store = Store(MemoryDriver(limits=LIMITS))
        with pytest.raises(OSError, match="broken"):
            list(store.create_many(items(), **way))
        trouble.__traceback__ = None  # its frames are the caller's to keep
        assert alive[0]() is None


# What is caught


def test_a_file_that_is_closed_behind_its_turn_is_written_if_it_could_be_read(tmp_path: Path) -> None:
    """As by a generator that opens each in a `with` block."""
    path = tmp_path / "data"
    path.write_bytes(b"data")
    driver = Watched("k0")
    with path.open("rb") as file:
        results = Store(driver).create_many([("k0", file)])
        driver.let_go_when(lambda: driver.under_way == 1, file.close)
        assert told(results) == {"k0": "created"}
    assert file.closed


def sequences(kinds: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for number in range(len(kinds) ** 3):
        yield (kinds[number % len(kinds)], kinds[number // len(kinds) % len(kinds)], kinds[number // len(kinds) ** 2])


def test_a_true_winner_is_told_whichever_answers_are_lost() -> None:
    faults = {"none": None, "after": LOST_AFTER, "before": LOST_BEFORE, "busy": BUSY}
    for first in sequences(list(faults)):
        inner = MemoryDriver(limits=LIMITS)
        driver = faulty(inner, "put_new", [faults[each] for each in first])
        driver.plan("head", [LOST_BEFORE, None, LOST_BEFORE])
        results = list(Store(driver, clock=FakeClock()).create_many([("a", b"1"), ("b", b"2"), ("a", b"3")]))
        assert sorted(str(each.key) for each in results) == ["a", "a", "b"]
        assert sum(isinstance(each, Receipt) for each in results) == 2
        for each in results:
            info = inner.head(str(each.key))
            assert info is not None
            if isinstance(each, Receipt):
                assert each.write_id == info.write_id
            else:
                assert isinstance(each, ObjectExists)


def test_a_store_that_stays_busy_is_given_up_for_each_by_itself() -> None:
    class Choosy(MemoryDriver):
        def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
            if key == "k3":
                raise Busy("never this one")
            return super().put_new(key, body, meta)

    results = {each.key: each for each in Store(Choosy(), clock=FakeClock()).create_many(numbered(30))}
    assert isinstance(results.pop("k3"), StoreUnavailable)
    assert all(isinstance(each, Receipt) for each in results.values())
