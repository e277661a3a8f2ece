"""Stores that do not keep the condition: refused, or worked around, before any user data is sent.

How many rounds of 16 writers a race needs before it shows, in 20 examinations of each planted store (two busy cores):

| the store | rounds |
|---|---|
| looks before it reads the body (puts) | 1 |
| reads, looks, and writes 1 ms later: puts, finishes, copies | 1 |
| the same 0.1 ms later | 1 |
| a lock for each kind of write, 0.1 or 1 ms between look and write: puts against finishes, or against copies | 1 |
| looks and writes with nothing in between, threads of one process taking turns | over 100; sometimes never |

The last one is no server's: what is found there is found by the interpreter's switches between threads.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from faults.bad_stores import LIMITS, BadStore, Switches
from storage_guard import (
    GuaranteeMissing,
    GuaranteeWarning,
    ObjectExists,
    OutcomeUnknown,
    Receipt,
    Store,
    StoreUnavailable,
    Unsupported,
)
from storage_guard.model import KiB
from storage_guard.testing import (
    BUSY,
    CONFLICT,
    LOST_AFTER,
    LOST_BEFORE,
    REFUSED,
    TWICE,
    FakeClock,
    Fault,
    FaultyDriver,
    Member,
    faulty,
)

MARKER = ".storage-guard/guarantee.json"
FROM_BYTES = 8 * KiB
LARGE_BYTES = 20 * KiB
WRITES: tuple[Member, ...] = ("put_new", "begin", "put_part", "copy_part", "finish_new", "copy_new")

BAD_PUTS = {
    "ignores": (Switches(put="ignores"), "accepted"),
    "overwrites while refusing": (Switches(put="overwrites"), "refused, and replaced"),
    "looks before the body": (Switches(put="looks early"), "at one moment"),
    "looks after the body": (Switches(put="looks late", gap_s=1e-3), "at one moment"),
    "501": (Switches(put="unsupported", finish="unsupported", copy="unsupported"), "501"),
    "stale heads": (Switches(stale_heads=True), "head is stale"),
}
BAD_FINISHES = {
    "ignores": (Switches(finish="ignores"), "accepted"),
    "overwrites while refusing": (Switches(finish="overwrites"), "refused, and replaced"),
    "looks and writes": (Switches(finish="looks late", gap_s=1e-3), "at one moment"),
    "501": (Switches(finish="unsupported"), "501"),
    # Each excludes its like, and not the other.
    "a lock for each": (Switches(put="own lock", finish="own lock", gap_s=1e-3), "at one moment"),
}
BAD_COPIES = {
    "ignores": (Switches(copy="ignores"), "accepted"),
    "overwrites while refusing": (Switches(copy="overwrites"), "refused, and replaced"),
    "looks and writes": (Switches(copy="looks late", gap_s=1e-3), "at one moment"),
    "501": (Switches(copy="unsupported"), "501"),
    "a lock for each": (Switches(put="own lock", copy="own lock", gap_s=1e-3), "at one moment"),
}


def store_of(driver: Any, **options: Any) -> Store:
    return Store(driver, part_bytes=4 * KiB, multipart_from_bytes=FROM_BYTES, **options)


def examined(driver: BadStore, **options: Any) -> tuple[FaultyDriver, Store]:
    """A Store that knows what it needs, and what is asked from now on."""
    examining = store_of(driver, **options)
    with contextlib.suppress(GuaranteeMissing):
        examining.check()
    asked = FaultyDriver(driver)
    return asked, store_of(asked, **options)


def keys_of(driver: Any) -> set[str]:
    return {each.key for each in driver.scan("", "", "")}


def cleaned_up(driver: Any) -> bool:
    return keys_of(driver) <= {MARKER} and not list(driver.scan_uploads(""))


def wrote(asked: FaultyDriver) -> set[Member]:
    return {member for member in WRITES if asked.calls[member]}


# Puts


def creates(store: Store, taken: list[int]) -> Iterator[Callable[[], object]]:
    def data() -> Iterator[bytes]:
        taken.append(1)
        yield b"x"

    yield lambda: store.create("k", data())
    yield lambda: store.create("k", bytes(LARGE_BYTES))
    yield lambda: store.create("k", bytes(LARGE_BYTES), resume=True)
    yield lambda: store.open("k", "xb")
    yield lambda: store.open("k", "xt")
    yield store.check


@pytest.mark.parametrize("name", BAD_PUTS)
def test_a_store_whose_puts_do_not_hold_is_refused_before_any_data_is_taken(name: str) -> None:
    switches, words = BAD_PUTS[name]
    driver = BadStore(switches)
    taken: list[int] = []
    for create in creates(store_of(driver), taken):
        with pytest.raises(GuaranteeMissing, match=words):
            create()
    (result,) = store_of(driver).create_many([("k", b"x")])
    assert isinstance(result, GuaranteeMissing)
    assert not taken
    assert cleaned_up(driver)


@pytest.mark.parametrize("name", sorted(BAD_PUTS.keys() - {"501"}))  # which keeps no verdict either
def test_another_process_reads_the_verdict_and_writes_nothing(name: str) -> None:
    asked, store = examined(BadStore(BAD_PUTS[name][0]))
    with pytest.raises(GuaranteeMissing):
        store.create("k", b"x")
    assert dict(asked.calls) == {"capabilities": 1, "read": 1}


# Finishes


@pytest.mark.parametrize("name", BAD_FINISHES)
def test_where_a_finish_does_not_hold_objects_go_in_one_request(name: str) -> None:
    switches, _ = BAD_FINISHES[name]
    driver = BadStore(switches)
    store = store_of(driver)
    sizes = [0, FROM_BYTES, LARGE_BYTES, LIMITS.max_put_bytes]
    for size_bytes in sizes:
        receipt = store.create(f"bytes {size_bytes}", bytes(size_bytes))
        assert (receipt.parts, receipt.guarantee) == (0, "raced")
        receipt = store.create(f"stream {size_bytes}", iter([bytes(size_bytes)]))
        assert (receipt.parts, receipt.guarantee) == (0, "raced")
        with store.open(f"file {size_bytes}", "xb") as file:
            file.write(bytes(size_bytes))
        for kind in ("bytes", "stream", "file"):
            assert store.read(f"{kind} {size_bytes}") == bytes(size_bytes)
            with pytest.raises(ObjectExists):
                store.create(f"{kind} {size_bytes}", bytes(size_bytes))
    assert list(driver.scan_uploads("")) == []


@pytest.mark.parametrize("name", BAD_FINISHES)
def test_what_is_too_large_for_one_request_is_refused_before_any_of_it_is_sent(name: str) -> None:
    switches, words = BAD_FINISHES[name]
    asked, store = examined(BadStore(switches))
    too_large = LIMITS.max_put_bytes + 1
    with pytest.raises(GuaranteeMissing, match=rf"{LIMITS.max_put_bytes} bytes.*{words}"):
        store.create("k", bytes(too_large))
    with pytest.raises(GuaranteeMissing, match=rf"longer than {LIMITS.max_put_bytes} bytes.*{words}"):
        store.create("k", iter([bytes(too_large)]))
    file = store.open("k", "xb")
    with pytest.raises(GuaranteeMissing, match=rf"longer than {LIMITS.max_put_bytes} bytes.*{words}"):
        file.write(bytes(too_large))
    file.discard()
    assert wrote(asked) == set()
    assert keys_of(asked) == {MARKER}


def test_a_stream_that_must_go_in_one_request_is_held_within_memory() -> None:
    _, store = examined(BadStore(Switches(finish="ignores")), memory_bytes=64 * KiB)
    assert store.create("k", iter([bytes(64 * KiB)])).size_bytes == 64 * KiB
    with pytest.raises(GuaranteeMissing, match="memory_bytes=65536"):
        store.create("larger", iter([bytes(64 * KiB), b"x"]))


# Copies


@pytest.mark.parametrize("name", BAD_COPIES)
@pytest.mark.parametrize("size_bytes", [1, LARGE_BYTES])
def test_where_a_copy_does_not_hold_its_parts_are_copied_and_finished_under_guard(name: str, size_bytes: int) -> None:
    asked, store = examined(BadStore(BAD_COPIES[name][0]))
    store.create("k", bytes(size_bytes))
    store.create("taken", b"theirs")
    before = wrote(asked)
    assert store.copy("k", "copy").guarantee == "raced"
    assert wrote(asked) - before <= {"begin", "copy_part", "finish_new"}
    assert asked.calls["copy_new"] == 0
    assert store.read("copy") == bytes(size_bytes)
    with pytest.raises(ObjectExists):
        store.copy("k", "taken")
    assert store.read("taken") == b"theirs"


@pytest.mark.parametrize("size_bytes", [0, 1, LARGE_BYTES])
def test_where_neither_holds_the_bytes_of_a_copy_pass_through_here(size_bytes: int) -> None:
    asked, store = examined(BadStore(Switches(copy="ignores", finish="ignores")))
    store.create("k", bytes(size_bytes))
    assert store.copy("k", "copy").guarantee == "raced"
    assert wrote(asked) == {"put_new"}
    assert store.read("copy") == bytes(size_bytes)


# What holds


def test_a_good_store_is_examined_once_and_everything_is_used() -> None:
    driver = BadStore()
    asked = FaultyDriver(driver)
    store = store_of(asked)
    assert store.create("small", b"x").guarantee == "raced"
    assert asked.calls["begin"] == asked.calls["copy_new"] == 0, "what is not used is not examined"
    receipt = store.create("large", bytes(LARGE_BYTES))
    assert (receipt.guarantee, receipt.parts) == ("raced", 5)
    assert asked.calls["copy_new"] == 0
    assert store.copy("small", "copy").guarantee == "raced"
    done = sum(asked.calls.values())
    store.create("again", b"x")
    assert sum(asked.calls.values()) == done + 1
    can = store.check()
    assert (can.put, can.finish, can.copy) == ("raced", "raced", "raced")
    assert keys_of(driver) == {"small", "large", "copy", "again", MARKER}
    assert [each.key for each in store.scan()] == ["again", "copy", "large", "small"]
    assert list(driver.scan_uploads("")) == []


def test_check_tells_what_was_found_and_why() -> None:
    can = store_of(BadStore(Switches(finish="ignores", copy="overwrites"), reason="nobody knows it")).check()
    assert (can.put, can.finish, can.copy) == ("raced", "missing", "missing")
    assert can.reason.startswith("nobody knows it; finish: ")
    assert "copy: " in can.reason


def test_who_trusts_examines_nothing() -> None:
    asked = FaultyDriver(BadStore(Switches(put="ignores")))
    store = store_of(asked, enforcement="trust")
    with pytest.warns(GuaranteeWarning):
        assert store.create("k", b"x").guarantee == "trusted"
    assert dict(asked.calls) == {"capabilities": 1, "put_new": 1}


# Ids


def test_where_ids_are_lost_a_doubt_stays_a_doubt() -> None:
    driver = BadStore(Switches(loses_ids=True))
    store = store_of(driver, clock=FakeClock())
    assert store.create("k", b"x").guarantee == "raced"
    assert store.check().write_ids is False
    with pytest.raises(Unsupported, match="write_id"):
        store.create("named", b"x", write_id="job")
    with pytest.raises(ObjectExists):
        store.create("k", b"x")
    lossy = store_of(faulty(driver, "put_new", [LOST_AFTER]), clock=FakeClock())
    with pytest.raises(OutcomeUnknown):  # and not ObjectExists: it is our own object
        lossy.create("ours", b"x")
    assert store.read("ours") == b"x"


def test_a_callers_id_that_would_be_lost_is_refused_before_anything_is_written() -> None:
    driver = BadStore(Switches(loses_ids=True))
    with pytest.raises(Unsupported, match="write_id"):
        store_of(driver).create("named", b"x", write_id="job")
    with pytest.raises(Unsupported, match="write_id"):
        store_of(driver).open("named", "xb", write_id="job")
    assert cleaned_up(driver)


# What cannot be told


UNDECIDED: dict[str, tuple[Member, Fault]] = {
    "no access to remove": ("remove", REFUSED),
    "no access to head": ("head", REFUSED),
    "no access to read": ("read", REFUSED),
    "every put is lost": ("put_new", LOST_BEFORE),
    "every put takes place and is lost, and nobody may look": ("head", REFUSED),
    "no access to put": ("put_new", REFUSED),
    "every put is in conflict": ("put_new", CONFLICT),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_cannot_be_told_is_refused_with_the_reason(name: str) -> None:
    member, fault = UNDECIDED[name]
    driver = faulty(BadStore(), member, [fault] * 1000)
    store = store_of(driver, clock=FakeClock())
    with pytest.raises(GuaranteeMissing, match="could not be told") as caught:
        store.create("k", b"x")
    assert "put: " in str(caught.value)
    assert "k" not in keys_of(driver)
    left = keys_of(driver) - {MARKER}
    assert len(left) <= 1
    assert all(any(key in note for note in caught.value.__notes__) for key in left), "what is left behind is said"
    assert MARKER not in keys_of(driver), "only what was found is kept"


@pytest.mark.parametrize(
    ("member", "fault"), [("put_new", BUSY), ("head", LOST_BEFORE), ("read", LOST_BEFORE), ("read", BUSY)]
)
def test_a_store_that_does_not_answer_is_unavailable_and_asked_again(member: Member, fault: Fault) -> None:
    driver = faulty(BadStore(), member, [fault] * 40)
    store = store_of(driver, clock=FakeClock(chance=0.99))
    with pytest.raises(StoreUnavailable):
        store.create("k", b"x")
    while driver.left:
        with contextlib.suppress(StoreUnavailable):
            store.create("other", b"x")
    assert store.create("k", b"x").guarantee == "raced"
    store.remove("other")
    assert keys_of(driver) == {"k", MARKER}


def test_a_doubt_that_may_pass_is_asked_about_again_after_a_while() -> None:
    clock = FakeClock()
    driver = faulty(BadStore(), "put_new", [LOST_BEFORE] * 20)
    store = store_of(driver, clock=clock)
    results: list[object] = []
    for _ in range(20):
        try:
            results.append(store.create(f"k{len(results)}", b"x"))
        except GuaranteeMissing as exc:
            results.append(exc)
        clock.advance(61)
    assert isinstance(results[0], GuaranteeMissing)
    assert isinstance(results[-1], Receipt)


def test_a_copy_that_nobody_may_make_is_made_another_way() -> None:
    driver = faulty(BadStore(), "copy_new", [REFUSED] * 1000)
    store = store_of(driver, clock=FakeClock())
    store.create("k", b"x")
    store.copy("k", "copy")
    assert store.read("copy") == b"x"


NOISE: list[Fault | None] = [LOST_AFTER, None, BUSY, LOST_BEFORE, None, None, CONFLICT, None, TWICE, None]


@pytest.mark.parametrize("shift", range(5))
def test_lost_answers_and_throttling_change_no_verdict_and_leave_nothing(shift: int) -> None:
    noisy: tuple[Member, ...] = ("put_new", "begin", "put_part", "finish_new", "copy_new", "abort", "remove", "head")
    faults = list(itertools.islice(itertools.cycle(NOISE), shift, shift + 30))
    harmless = [None if fault in (CONFLICT, TWICE) else fault for fault in faults]
    commits = ("put_new", "finish_new", "copy_new")
    driver = faulty(BadStore(), {member: faults if member in commits else harmless for member in noisy})
    can = store_of(driver, clock=FakeClock()).check()
    assert (can.put, can.finish, can.copy) == ("raced", "raced", "raced")
    assert cleaned_up(driver)


class Interrupted(BaseException):
    pass


class Interrupting(FaultyDriver):
    """Raises at one of its calls."""

    def __init__(self, inner: BadStore, at: int) -> None:
        super().__init__(inner)
        self._until = at

    def _pass(self, member: Member, perform: Any, **about: Any) -> Any:
        self._until -= 1
        if self._until == 0:
            raise Interrupted
        return super()._pass(member, perform, **about)


@pytest.mark.parametrize("at", [*range(2, 40, 3), *range(60, 1500, 97)])
def test_an_examination_that_is_interrupted_leaves_nothing_behind(at: int) -> None:
    driver = Interrupting(BadStore(), at)
    with contextlib.suppress(Interrupted):
        store_of(driver).check()
    assert cleaned_up(driver)


def test_a_store_below_a_prefix_is_examined_there() -> None:
    driver = BadStore()
    store = store_of(driver, prefix="a/b")
    store.create("k", b"x")
    assert keys_of(driver) == {"a/b/k", f"a/b/{MARKER}"}
    assert [each.key for each in store.scan()] == ["k"]


def test_a_write_is_settled_by_what_is_known_of_its_store_and_nothing_is_examined_for_that() -> None:
    driver = BadStore()
    lossy = store_of(driver, clock=FakeClock())
    lossy.create("first", b"x")
    with pytest.raises(OutcomeUnknown) as caught:
        store_of(faulty(driver, {"put_new": [LOST_AFTER], "head": [LOST_BEFORE] * 1000}), clock=FakeClock()).create(
            "k", b"x"
        )
    assert caught.value.ticket is not None
    for kept, guarantee in ((True, "raced"), (False, "trusted")):
        if not kept:
            driver.remove(MARKER, None)
        asked = FaultyDriver(driver)
        assert store_of(asked).settle(caught.value.ticket).guarantee == guarantee
        assert wrote(asked) == set()


def test_who_says_documented_is_believed() -> None:
    driver = BadStore(Switches(put="ignores"))
    driver.can = replace(driver.can, put="documented")
    asked = FaultyDriver(driver)
    assert store_of(asked).create("k", b"x").guarantee == "documented"
    assert dict(asked.calls) == {"capabilities": 1, "put_new": 1}
