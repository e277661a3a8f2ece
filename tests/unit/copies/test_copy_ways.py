"""Which way a copy takes, what it costs, and where its source may be."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from storage_guard import (
    AccessDenied,
    GuaranteeMissing,
    InvalidKey,
    NotWritten,
    ObjectNotFound,
    OutcomeUnknown,
    Receipt,
    Store,
    StoreUnavailable,
    Unsupported,
    schemes,
    signals,
)
from storage_guard.driver import Body, Capabilities, Driver, Limits, Part, PartSlot, Vouch
from storage_guard.engine import copying, remote
from storage_guard.memory import MemoryDriver
from storage_guard.testing import (
    BUSY,
    LOST_AFTER,
    LOST_BEFORE,
    REFUSED,
    FakeClock,
    Fault,
    FaultyDriver,
    Member,
    Request,
    answers,
)
from storage_guard_local import LocalDriver
from unit.copies.copy_ends import (
    FROM_BYTES,
    LIMITS,
    PAIRS,
    PART_BYTES,
    SIZES,
    WRITES,
    Elsewhere,
    Ends,
    data_of,
    ends_of,
    seen,
    store_of,
)

T = TypeVar("T")


# Which way


def calls_of(ends: Ends, copy: Callable[[], Receipt]) -> set[str]:
    """The members that a copy called, but for the looks."""
    before = ends.calls()
    copy()
    after = ends.calls()
    called = {name for name, count in after.items() if count > before.get(name, 0)}
    return {name for name in called if name not in ("home head", "home capabilities")}


@pytest.mark.parametrize("pair", PAIRS[:2])
@pytest.mark.parametrize("size_bytes", SIZES)
def test_one_service_copies_by_itself(pair: str, size_bytes: int, tmp_path: Path) -> None:
    ends = ends_of(pair, tmp_path)
    ends.source.create("k", data_of(size_bytes))
    called = calls_of(ends, lambda: ends.target.copy((ends.source, "k"), "copy"))
    if size_bytes <= FROM_BYTES:
        assert called == {"home copy_new", "away head"}
    else:
        assert called == {"home begin", "home copy_part", "home finish_new", "away head"}


@pytest.mark.parametrize("pair", PAIRS[2:])
@pytest.mark.parametrize("size_bytes", SIZES)
def test_the_bytes_pass_through_here_between_services(pair: str, size_bytes: int, tmp_path: Path) -> None:
    ends = ends_of(pair, tmp_path)
    ends.source.create("k", data_of(size_bytes))
    called = calls_of(ends, lambda: ends.target.copy((ends.source, "k"), "copy"))
    if size_bytes < FROM_BYTES:
        assert called == {"home put_new", "away head", "away read"}
    else:
        assert called == {"home begin", "home put_part", "home finish_new", "away head", "away read"}


class Vouched(MemoryDriver):
    """Memory that keeps the condition for some operations only."""

    def __init__(self, *, copy: Vouch, finish: Vouch = "documented", put: Vouch = "documented") -> None:
        super().__init__(limits=LIMITS)
        self._can = replace(super().capabilities(), copy=copy, finish=finish, put=put)

    def capabilities(self) -> Capabilities:
        return self._can


def vouched(**vouches: Vouch) -> Ends:
    below = MemoryDriver(limits=LIMITS)
    away, home = FaultyDriver(below), FaultyDriver(Vouched(**vouches))
    return Ends(below, away, home, store_of(away), store_of(home, prefix="there"))


@pytest.mark.parametrize("size_bytes", [1, 50_000])
def test_without_a_guarded_copy_parts_are_copied_and_finished_under_guard(size_bytes: int) -> None:
    ends = vouched(copy="missing")
    ends.source.create("k", data_of(size_bytes))
    called = calls_of(ends, lambda: ends.target.copy((ends.source, "k"), "copy"))
    assert called == {"home begin", "home copy_part", "home finish_new", "away head"}
    assert ends.target.read("copy") == data_of(size_bytes)


def test_an_empty_object_has_no_parts_to_copy() -> None:
    ends = vouched(copy="missing")
    ends.source.create("k", b"")
    called = calls_of(ends, lambda: ends.target.copy((ends.source, "k"), "copy"))
    assert called == {"home put_new", "away head", "away read"}


@pytest.mark.parametrize("size_bytes", [0, 1, FROM_BYTES, 60_000])
def test_without_guarded_copies_at_all_the_bytes_pass_through_here(size_bytes: int) -> None:
    ends = vouched(copy="missing", finish="missing")
    ends.source.create("k", data_of(size_bytes))
    called = calls_of(ends, lambda: ends.target.copy((ends.source, "k"), "copy"))
    assert called == {"home put_new", "away head", "away read"}
    assert ends.target.read("copy") == data_of(size_bytes)


def test_without_a_guarded_finish_a_copy_is_one_request_as_long_as_it_can_be() -> None:
    ends = vouched(copy="documented", finish="missing")
    ends.source.create("k", data_of(60_000))
    assert calls_of(ends, lambda: ends.target.copy((ends.source, "k"), "copy")) == {"home copy_new", "away head"}


@pytest.mark.parametrize("size_bytes", [0, 1, 50_000])
def test_where_nothing_is_guarded_nothing_is_written(size_bytes: int) -> None:
    ends = vouched(copy="missing", finish="missing", put="missing")
    ends.source.create("k", data_of(size_bytes))
    before = dict(ends.away.calls)
    with pytest.raises(GuaranteeMissing):
        ends.target.copy((ends.source, "k"), "copy")
    assert not set(WRITES) & ends.home.calls.keys()
    assert ends.away.calls == before, "and the source is not asked for"


def test_where_nothing_is_guarded_nobody_is_asked_for_what_is_renamed() -> None:
    driver = FaultyDriver(Vouched(copy="missing", finish="missing", put="missing"))
    with pytest.raises(GuaranteeMissing):
        store_of(driver).rename("not there", "copy")
    assert set(driver.calls) == {"capabilities"}


def test_a_name_that_no_object_there_can_carry_is_refused_before_anybody_is_asked() -> None:
    class Nameless(MemoryDriver):
        def capabilities(self) -> Capabilities:
            return replace(super().capabilities(), write_ids=False)

    away, home = FaultyDriver(Elsewhere()), FaultyDriver(Nameless(limits=LIMITS))
    with pytest.raises(Unsupported, match="write_id"):
        store_of(home).copy((store_of(away), "k"), "copy", write_id="job")
    assert (dict(away.calls), set(home.calls)) == ({}, {"capabilities"})


def test_an_unproven_copy_is_believed_by_who_trusts_and_the_receipt_says_so() -> None:
    ends = vouched(copy="unproven")
    ends.source.create("k", b"x")
    trusting = store_of(ends.home, enforcement="trust")
    with pytest.warns(UserWarning, match="trust"):
        receipt = trusting.copy((ends.source, "k"), "copy")
    assert receipt.guarantee == "trusted"
    assert ends.home.calls["copy_new"] == 1


DECLINES = [answers(lambda: signals.Unsupported("not from there")), REFUSED]


@pytest.mark.parametrize("fault", DECLINES, ids=["unsupported", "access-denied"])
@pytest.mark.parametrize(("size_bytes", "member"), [(1, "copy_new"), (50_000, "copy_part")])
@pytest.mark.parametrize("pair", PAIRS[:2])
def test_what_the_service_declines_to_copy_passes_through_here(
    pair: str, size_bytes: int, member: Member, fault: Fault, tmp_path: Path
) -> None:
    ends = ends_of(pair, tmp_path)
    ends.source.create("k", data_of(size_bytes))
    ends.home.plan(member, [None, fault] if member == "copy_part" else [fault])
    told: list[int] = []
    receipt = ends.target.copy((ends.source, "k"), "copy", progress=lambda done, total: told.append(done))
    assert ends.target.read("copy") == data_of(size_bytes)
    assert seen(ends.target, "copy").write_id == receipt.write_id
    assert list(ends.home.scan_uploads("")) == []
    assert told == sorted(told)
    assert told[-1] == size_bytes
    assert any("passed through here" in note for note in receipt.notes)


def test_an_upload_that_a_declined_copy_left_open_is_told() -> None:
    ends = vouched(copy="missing")
    ends.source.create("k", b"x")
    ends.home.plan("copy_part", [REFUSED])
    ends.home.plan("abort", [REFUSED])
    receipt = ends.target.copy((ends.source, "k"), "copy")
    (left,) = ends.home.scan_uploads("")
    assert any(left.upload_id in note for note in receipt.notes)


def test_a_copy_that_may_have_landed_is_not_read_and_written_again() -> None:
    ends = ends_of(PAIRS[0], Path())
    ends.source.create("k", b"x")
    ends.home.plan("copy_new", [LOST_BEFORE, *DECLINES[:1]])
    with pytest.raises(OutcomeUnknown):
        ends.target.copy((ends.source, "k"), "copy")
    assert not ends.home.calls["put_new"]
    assert not ends.away.calls["read"]


def test_a_source_that_may_only_be_read_is_copied(ends: Ends) -> None:
    ends.source.create("k", data_of(FROM_BYTES))
    for member in WRITES:
        ends.away.plan(member, [REFUSED] * 99)
    ends.target.copy((ends.source, "k"), "copy")
    assert ends.target.read("copy") == data_of(FROM_BYTES)


# Limits, memory and time


@pytest.mark.parametrize("make", [MemoryDriver, Elsewhere])
def test_what_is_too_large_for_the_target_is_refused_before_the_first_byte(
    make: Callable[..., MemoryDriver],
) -> None:
    small = replace(LIMITS, max_object_bytes=40_000)
    home, away = FaultyDriver(make(limits=small)), FaultyDriver(MemoryDriver(limits=LIMITS))
    source = store_of(away)
    source.create("k", data_of(40_001))
    with pytest.raises(NotWritten, match="40001 bytes"):
        store_of(home).copy((source, "k"), "copy")
    assert not set(WRITES) & home.calls.keys()
    assert not away.calls["read"]


def test_parts_grow_until_they_suffice(ends: Ends) -> None:
    data = data_of(300_000)
    ends.source.create("k", data)
    receipt = ends.target.copy((ends.source, "k"), "copy")
    assert receipt.parts == 20
    assert ends.target.read("copy") == data


class Counting(MemoryDriver):
    """Counts the bytes that were read and have not been taken by a target yet."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        super().__init__(limits=limits)
        self._lock = threading.Lock()
        self.held_bytes = self.most_bytes = 0

    def count(self, more_bytes: int) -> None:
        with self._lock:
            self.held_bytes += more_bytes
            self.most_bytes = max(self.most_bytes, self.held_bytes)

    def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
        self.count(stop - start)
        return super().read(key, start, stop, etag)


@pytest.mark.parametrize("memory_bytes", [PART_BYTES, 3 * PART_BYTES])
def test_parts_that_pass_through_here_stay_within_memory_bytes(memory_bytes: int) -> None:
    away = Counting()

    class Target(Elsewhere):
        def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
            part = super().put_part(key, upload_id, slot, body)
            away.count(-slot.size_bytes)
            return part

    source, target = store_of(away), store_of(Target(), memory_bytes=memory_bytes, in_flight=8)
    source.create("k", data_of(200_000))
    target.copy((source, "k"), "copy")
    assert target.read("copy") == data_of(200_000)
    assert away.most_bytes <= memory_bytes


@pytest.mark.parametrize(("memory_bytes", "block_bytes"), [(1, 256 * 1024), (1 << 20, 512 * 1024)])
def test_what_is_larger_than_memory_bytes_is_read_block_by_block(memory_bytes: int, block_bytes: int) -> None:
    limits = replace(LIMITS, max_put_bytes=1 << 21, max_object_bytes=1 << 21)
    asked: list[int] = []

    class Source(MemoryDriver):
        def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
            asked.append(stop - start)
            return super().read(key, start, stop, etag)

    data = data_of(1_300_001)
    source = store_of(Source(limits=limits), multipart_from_bytes=1 << 21)
    target = store_of(Elsewhere(limits), multipart_from_bytes=1 << 21, memory_bytes=memory_bytes)
    source.create("k", data)
    target.copy((source, "k"), "copy")
    assert target.read("copy") == data
    assert max(asked) == block_bytes
    assert sum(asked) == len(data)


def test_a_part_is_read_once_however_often_it_is_sent() -> None:
    away, home = FaultyDriver(MemoryDriver(limits=LIMITS)), FaultyDriver(Elsewhere())
    source, target = store_of(away), store_of(home, in_flight=1)
    source.create("k", data_of(50_000))
    home.plan("put_part", [LostOnTheWay(), LOST_AFTER, BUSY, LOST_AFTER])
    target.copy((source, "k"), "copy")
    assert target.read("copy") == data_of(50_000)
    assert away.calls["read"] == 5


def test_nobody_waits_for_a_source_that_is_no_longer_wanted() -> None:
    driver = FaultyDriver(MemoryDriver(limits=LIMITS))
    source = store_of(driver)
    source.create("k", b"x")
    driver.plan("read", [LOST_BEFORE] * 1000)
    access = copying.find("k", source._access).access  # pyright: ignore[reportPrivateUsage]
    original = remote.look(access, "k", "'copy' was not written", 300.0)
    with pytest.raises(StoreUnavailable):
        original.read(0, 1, lambda: True)
    assert driver.calls["read"] == 1


def test_a_source_that_never_answers_is_named_and_nothing_is_written(ends: Ends) -> None:
    ends.source.create("k", b"x")
    ends.away.plan("head", [BUSY] * 1000)
    with pytest.raises(StoreUnavailable, match=r"the source 'k' in .* could not be looked up"):
        ends.target.copy((ends.source, "k"), "copy", deadline_s=60)
    assert ends.is_untouched()


@pytest.mark.parametrize("size_bytes", [1, FROM_BYTES])
def test_a_source_that_stops_answering_is_named_and_nothing_is_written(size_bytes: int) -> None:
    away, home = FaultyDriver(MemoryDriver(limits=LIMITS)), FaultyDriver(Elsewhere())
    source, target = store_of(away), store_of(home, in_flight=1)
    source.create("k", data_of(size_bytes))
    away.plan("read", [LOST_BEFORE] * 1000)
    with pytest.raises(StoreUnavailable, match=r"the source 'k' in .* could not be read"):
        target.copy((source, "k"), "copy", deadline_s=60)
    assert home.head("copy") is None
    assert list(home.scan_uploads("")) == []


def test_a_source_that_may_not_be_read_is_named(ends: Ends) -> None:
    ends.source.create("k", b"x")
    ends.away.plan("head", [REFUSED])
    with pytest.raises(AccessDenied, match="the source 'k'"):
        ends.target.copy((ends.source, "k"), "copy")
    assert ends.is_untouched()


def test_a_slow_source_does_not_use_up_the_time_of_the_target() -> None:
    clock = FakeClock()

    class Slow(MemoryDriver):
        def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
            clock.advance(400)
            return super().read(key, start, stop, etag)

    source = store_of(Slow(limits=LIMITS))
    source.create("k", data_of(FROM_BYTES))
    home = FaultyDriver(Elsewhere())
    home.plan("put_part", [LostOnTheWay(), BUSY, LOST_AFTER])
    target = store_of(home, in_flight=1, clock=clock)
    target.copy((source, "k"), "copy")
    assert target.read("copy") == data_of(FROM_BYTES)


class LostOnTheWay(Fault):
    """All of the body is read, and nothing arrives."""

    def strike(self, request: Request[T], /) -> T:
        for _ in request.body.windows():
            pass
        raise signals.Lost("the request was lost")


# Where the source is


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was opened, and closed again."""
    events: list[str] = []
    honest = schemes.open_driver

    def opening(url: str, **options: Any) -> tuple[Driver, str]:
        driver, prefix = honest(url, **options)
        events.append(f"open {url}")
        monkeypatch.setattr(driver, "close", lambda: events.append(f"close {url}"))
        return driver, prefix

    monkeypatch.setattr(copying, "open_driver", opening)
    return events


@pytest.mark.parametrize("key", ["k", "deep/er/k", "with space & ü?#%2F.bin"])
@pytest.mark.parametrize("prefix", ["", "pre/fix ü"])
def test_a_url_names_its_object_in_memory(store: Store, key: str, prefix: str, opened: list[str]) -> None:
    driver = MemoryDriver("a store with a name")
    there = Store(driver, prefix=prefix)
    url = there.create(key, b"by its url", if_exists="skip").url
    store.copy(url, "copy")
    assert store.read("copy") == b"by its url"
    assert [event.partition(" ")[0] for event in opened] == ["open", "close"]


@pytest.mark.parametrize("key", ["k", "deep/er/k", "with space & ü?#%2F.bin"])
def test_a_url_names_its_object_on_a_disk(store: Store, key: str, tmp_path: Path, opened: list[str]) -> None:
    there = Store(LocalDriver(tmp_path / "a root ü"))
    store.copy(there.create(key, b"by its url").url, "copy")
    assert store.read("copy") == b"by its url"
    assert [event.partition(" ")[0] for event in opened] == ["open", "close"]


def test_what_was_opened_is_closed_when_the_copy_fails(store: Store, opened: list[str]) -> None:
    with pytest.raises(ObjectNotFound):
        store.copy("memory://some-store/k", "copy")
    with pytest.raises(InvalidKey):
        store.copy("memory://some-store/.storage-guard", "copy")
    with pytest.raises(InvalidKey):
        store.copy("memory://some-store/../k", "copy")
    assert [event.partition(" ")[0] for event in opened] == ["open", "close"] * 3


@pytest.mark.parametrize(
    ("url", "store_url", "key"),
    [
        ("memory://name/k", "memory://name/", "k"),
        ("memory://name/pre/fix/k", "memory://name/pre/fix/", "k"),
        ("file:///k", "file:///", "k"),
        ("file:///a/b%20c/d%20e", "file:///a/b%20c/", "d e"),
        ("oss://bucket/pre/k%3Fx", "oss://bucket/pre/", "k?x"),
        ("s3://bucket/k%2Fl", "s3://bucket/", "k/l"),
    ],
)
def test_the_last_segment_of_a_url_is_the_key(url: str, store_url: str, key: str) -> None:
    assert copying.split(url) == (store_url, key)


@pytest.mark.parametrize(
    "url",
    [
        *("memory://name", "memory://name/", "s3://bucket", "memory://name//k", "memory://name/k?version=1"),
        *("s3://b/k#x", "memory:///k", "nowhere://b/k", "S3://b/k", "memory://name/%FF"),
    ],
)
def test_a_url_that_names_no_object_is_refused(store: Store, url: str) -> None:
    with pytest.raises(ValueError, match=r"://|name|utf-8"):
        store.copy(url, "copy")
    assert store.head("copy") is None


@pytest.mark.parametrize("key", ["/a/path", "", "a//b", ".storage-guard/x"])
def test_a_source_must_be_a_key(store: Store, key: str) -> None:
    for source in (key, (store, key)):
        with pytest.raises(InvalidKey):
            store.copy(source, "copy")


@pytest.mark.parametrize("source", [b"k", Path("k"), None, 7, ("k",), ("store", "k"), ("a", "b", "c")])
def test_what_is_no_source_is_a_type_error(store: Store, source: Any) -> None:
    with pytest.raises(TypeError, match="the source of a copy is"):
        store.copy(source, "copy")
