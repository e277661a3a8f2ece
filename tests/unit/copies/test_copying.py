"""A copy is a create like any other: guarded, whole, with a write id of its own, and of the object that was meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from storage_guard import (
    ChecksumMismatch,
    ObjectDamaged,
    ObjectExists,
    ObjectInfo,
    ObjectNotFound,
    ObjectOptions,
    OutcomeUnknown,
    Receipt,
    SourceChanged,
    Store,
    Unsupported,
    ticket_of,
)
from storage_guard.driver import Body, Location, ObjectRef, Part, PartSlot, WriteMeta
from storage_guard.engine import remote
from storage_guard.memory import MemoryDriver
from storage_guard.testing import LOST_AFTER, REFUSED, BytesBody, Fault, FaultyDriver, Member, Request, race
from storage_guard_local import LocalDriver
from unit.copies.copy_ends import (
    FROM_BYTES,
    LIMITS,
    OPTIONS,
    PAIRS,
    PART_BYTES,
    SIZES,
    WRITES,
    Elsewhere,
    Ends,
    Meddling,
    data_of,
    driver_of,
    ends_of,
    seen,
    store_of,
)

T = TypeVar("T")


# What a copy is


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_copy_has_the_bytes_and_options_of_its_source_and_a_write_id_of_its_own(ends: Ends, size_bytes: int) -> None:
    data = data_of(size_bytes)
    ends.source.create("a/b", data, options=OPTIONS, write_id="theirs")
    before = seen(ends.source, "a/b")
    receipt = ends.target.copy((ends.source, "a/b"), "c/d")
    info = seen(ends.target, "c/d")
    assert ends.target.read("c/d") == data
    assert (info.options, info.checksum) == (before.options, before.checksum)
    assert (receipt.outcome, receipt.resolved, receipt.attempts) == ("created", False, 1)
    assert (receipt.size_bytes, receipt.etag, receipt.write_id) == (size_bytes, info.etag, info.write_id)
    assert receipt.write_id not in (None, "theirs")
    assert receipt.url.endswith("there/c/d")
    assert seen(ends.source, "a/b") == before
    assert list(ends.home.scan_uploads("")) == []


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_copy_within_a_store_changes_nothing_but_its_key(store: Store, size_bytes: int) -> None:
    data = data_of(size_bytes)
    first = store.create("a", data)
    second = store.copy("a", "b")
    third = store.copy("b", "deep/er")
    assert store.read("a") == store.read("b") == store.read("deep/er") == data
    assert len({first.write_id, second.write_id, third.write_id}) == 3
    assert [info.key for info in store.scan()] == ["a", "b", "deep/er"]


def test_the_defaults_of_the_target_are_for_creates_not_for_copies(ends: Ends) -> None:
    ends.source.create("k", b"x")
    target = store_of(ends.home, prefix="there", defaults=ObjectOptions(content_type="text/html"))
    target.copy((ends.source, "k"), "as it was")
    target.copy((ends.source, "k"), "as told", options=ObjectOptions(cache_control="no-store"))
    assert seen(target, "as it was").options == ObjectOptions()
    assert seen(target, "as told").options == ObjectOptions(cache_control="no-store")


def test_given_options_replace_all_those_of_the_source(ends: Ends) -> None:
    ends.source.create("k", b"x", options=OPTIONS)
    given = ObjectOptions(content_language="de", metadata={"to": "target"})
    ends.target.copy((ends.source, "k"), "copy", options=given)
    assert seen(ends.target, "copy").options == given
    ends.target.copy((ends.source, "k"), "bare", options=ObjectOptions())
    assert seen(ends.target, "bare").options == ObjectOptions()


class Says(MemoryDriver):
    """A source that says something of its objects that memory does not keep."""

    def __init__(self, **about: Any) -> None:
        super().__init__(limits=LIMITS)
        self._about = about

    def head(self, key: str, /) -> ObjectInfo | None:
        info = super().head(key)
        return info and replace(info, **self._about)


@pytest.mark.parametrize("size_bytes", [1, FROM_BYTES])
@pytest.mark.parametrize("kind", ["memory", "local"])
@pytest.mark.parametrize("options", [ObjectOptions(tags={"a": "b"}), ObjectOptions(metadata={"Upper": "case"})])
def test_an_option_of_the_source_that_cannot_be_held_is_refused_and_not_dropped(
    kind: str, options: ObjectOptions, size_bytes: int, tmp_path: Path
) -> None:
    source = store_of(Says(options=options))
    source.create("k", data_of(size_bytes))
    target = store_of(driver_of(kind, tmp_path))
    with pytest.raises(Unsupported) as caught:
        target.copy((source, "k"), "copy")
    assert any("options=" in note and "the source 'k'" in note for note in caught.value.__notes__)
    assert target.head("copy") is None
    assert list(target.driver.scan_uploads("")) == []
    target.copy((source, "k"), "copy", options=ObjectOptions())
    assert target.read("copy") == data_of(size_bytes)


# The guard


@pytest.mark.parametrize("size_bytes", [0, 1, FROM_BYTES])
@pytest.mark.parametrize("there_bytes", [0, 1, FROM_BYTES])
def test_a_copy_replaces_nothing(ends: Ends, size_bytes: int, there_bytes: int) -> None:
    ends.source.create("k", data_of(size_bytes))
    ends.target.create("copy", data_of(there_bytes))
    before = seen(ends.target, "copy")
    with pytest.raises(ObjectExists) as caught:
        ends.target.copy((ends.source, "k"), "copy")
    assert caught.value.existing == before
    assert seen(ends.target, "copy") == before
    assert list(ends.home.scan_uploads("")) == []


@pytest.mark.parametrize("size_bytes", [0, 1, FROM_BYTES])
def test_a_copy_onto_itself_is_a_copy_onto_what_exists(store: Store, size_bytes: int) -> None:
    store.create("k", data_of(size_bytes), options=OPTIONS)
    before = seen(store, "k")
    with pytest.raises(ObjectExists):
        store.copy("k", "k")
    assert store.copy("k", "k", if_exists="skip").outcome == "present"
    assert store.copy("k", "k", if_exists="same").outcome == "same"
    assert seen(store, "k") == before
    assert list(store.driver.scan_uploads("")) == []


@pytest.mark.parametrize("size_bytes", [0, 3, FROM_BYTES])
def test_what_is_there_already_is_accepted_as_asked(ends: Ends, size_bytes: int) -> None:
    data = data_of(size_bytes)
    ends.source.create("k", data)
    first = ends.target.create("same", data)
    ends.target.create("other", data[:-1] + b"!")
    assert ends.target.copy((ends.source, "k"), "other", if_exists="skip").outcome == "present"
    receipt = ends.target.copy((ends.source, "k"), "same", if_exists="same")
    assert (receipt.outcome, receipt.write_id) == ("same", first.write_id)
    with pytest.raises(ObjectExists):
        ends.target.copy((ends.source, "k"), "other", if_exists="same")


@pytest.mark.parametrize("size_bytes", [0, 3, FROM_BYTES])
def test_the_same_write_id_with_the_same_source_is_the_same_write(ends: Ends, size_bytes: int) -> None:
    ends.source.create("k", data_of(size_bytes))
    ends.source.create("other", data_of(size_bytes) + b"!")
    first = ends.target.copy((ends.source, "k"), "copy", write_id="job-7")
    again = ends.target.copy((ends.source, "k"), "copy", write_id="job-7")
    assert (first.resolved, again.resolved, again.outcome) == (False, True, "created")
    assert first.etag == again.etag
    with pytest.raises(ObjectExists):
        ends.target.copy((ends.source, "other"), "copy", write_id="job-7")


@pytest.mark.parametrize("source_kind", ["memory", "local"])
@pytest.mark.parametrize("size_bytes", [3, FROM_BYTES])
def test_bytes_without_a_checksum_are_compared_by_reading_them(
    source_kind: str, size_bytes: int, tmp_path: Path
) -> None:
    (tmp_path / "k").write_bytes(data_of(size_bytes))
    source, target = store_of(LocalDriver(tmp_path)), store_of(driver_of(source_kind, tmp_path / "to"))
    target.create("same", data_of(size_bytes))
    target.create("other", data_of(size_bytes)[:-1] + b"!")
    assert target.copy((source, "k"), "same", if_exists="same").outcome == "same"
    with pytest.raises(ObjectExists):
        target.copy((source, "k"), "other", if_exists="same")
    target.copy((source, "k"), "named", write_id="job-7")
    assert target.copy((source, "k"), "named", write_id="job-7").resolved


@pytest.mark.parametrize("size_bytes", [3, FROM_BYTES])
def test_of_eight_copies_and_eight_creates_one_wins(ends: Ends, size_bytes: int) -> None:
    data = data_of(size_bytes)
    ends.source.create("k", data)

    def copies() -> Receipt:
        return ends.target.copy((ends.source, "k"), "copy")

    def creates() -> Receipt:
        return ends.target.create("copy", b"!" + data)

    told = race([copies, creates] * 8)
    winners = [each for each in told if isinstance(each, Receipt)]
    assert len(winners) == 1, told
    assert [type(each) for each in told if not isinstance(each, Receipt)] == [ObjectExists] * 15
    assert seen(ends.target, "copy").write_id == winners[0].write_id
    assert ends.target.read("copy") == (data if told.index(winners[0]) % 2 == 0 else b"!" + data)
    assert list(ends.home.scan_uploads("")) == []


def test_a_lost_copy_is_settled_by_its_ticket(ends: Ends) -> None:
    ends.source.create("k", b"x")
    ends.home.plan("copy_new", [LOST_AFTER])
    ends.home.plan("put_new", [LOST_AFTER])
    ends.home.plan("head", [REFUSED])
    with pytest.raises(OutcomeUnknown) as caught:
        ends.target.copy((ends.source, "k"), "copy")
    assert caught.value.ticket is not None
    assert ends.target.settle(caught.value.ticket).write_id == caught.value.write_id
    assert ends.target.read("copy") == b"x"


# The source is pinned


def replace_source(ends: Ends) -> None:
    ends.below.remove("here/k", None)
    ends.below.put_new("here/k", BytesBody(b"?" * 50_000), WriteMeta("new-life"))


def remove_source(ends: Ends) -> None:
    ends.below.remove("here/k", None)


def check_pinned(ends: Ends, size_bytes: int, meddle: Callable[[Ends], None], side: str, member: Member) -> None:
    """A source that changes at the last moment is not copied, and what is told says so."""
    ends.source.create("k", data_of(size_bytes))
    driver = ends.home if side == "home" else ends.away
    calls = 2 if member in ("copy_part", "read") and size_bytes > 1 else 1
    driver.plan(member, [*[None] * (calls - 1), Meddling(lambda: meddle(ends))])
    with pytest.raises(SourceChanged, match=r"the source 'k' in .* was re") as caught:
        ends.target.copy((ends.source, "k"), "copy")
    assert not driver.left, "the source was never changed"
    assert caught.value.key == "k"
    assert ends.is_untouched()


@pytest.mark.parametrize("meddle", [replace_source, remove_source])
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("size_bytes", [0, 1, 50_000])
def test_a_source_that_is_replaced_or_removed_meanwhile_is_not_copied(
    pair: str, size_bytes: int, meddle: Callable[[Ends], None], tmp_path: Path
) -> None:
    ends = ends_of(pair, tmp_path, in_flight=1)
    if pair in PAIRS[2:]:
        check_pinned(ends, size_bytes, meddle, "away", "read")
    else:
        check_pinned(ends, size_bytes, meddle, "home", "copy_part" if size_bytes > FROM_BYTES else "copy_new")


def unknown_crc(_original: object, _algorithm: str) -> None:
    """Of no source is a checksum known."""


@pytest.fixture
def no_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what was mixed from two objects is found out by its checksum, too."""
    monkeypatch.setattr(remote.Original, "crc_of", unknown_crc)


@pytest.mark.usefixtures("no_checksums")
@pytest.mark.parametrize(("size_bytes", "member"), [(1, "copy_new"), (50_000, "copy_part")])
def test_planted_an_unpinned_copy_is_caught(
    size_bytes: int, member: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpinned(location: Location, key: str, **_: object) -> ObjectRef:
        return ObjectRef(location, key)

    monkeypatch.setattr(remote, "ObjectRef", unpinned)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        check_pinned(ends_of(PAIRS[0], tmp_path, in_flight=1), size_bytes, replace_source, "home", member)


@pytest.mark.usefixtures("no_checksums")
@pytest.mark.parametrize("size_bytes", [1, 50_000])
def test_planted_an_unpinned_read_is_caught(size_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = MemoryDriver.read

    def unpinned(self: MemoryDriver, key: str, start: int, stop: int, _etag: str | None, /) -> bytes:
        return pinned(self, key, start, stop, None)

    monkeypatch.setattr(MemoryDriver, "read", unpinned)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        check_pinned(ends_of(PAIRS[2], tmp_path, in_flight=1), size_bytes, replace_source, "away", "read")


def test_a_mixture_of_two_objects_is_found_out_by_its_checksum_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        remote.Original, "ref", property(lambda self: ObjectRef(self.access.driver.location, self.full_key))
    )
    with pytest.raises(ChecksumMismatch):
        check_pinned(ends_of(PAIRS[0], tmp_path, in_flight=1), 50_000, replace_source, "home", "copy_part")


def test_planted_an_inherited_write_id_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ends, honest = ends_of(PAIRS[0], tmp_path), MemoryDriver.copy_new

    def inheriting(self: MemoryDriver, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        found = ends.away.head(source.key)
        assert found is not None
        return honest(self, source, key, replace(meta, write_id=str(found.write_id)))

    monkeypatch.setattr(MemoryDriver, "copy_new", inheriting)
    with pytest.raises(AssertionError):
        test_a_copy_has_the_bytes_and_options_of_its_source_and_a_write_id_of_its_own(ends, 1)


def test_a_source_that_is_not_there_is_not_found_and_nothing_is_written(ends: Ends) -> None:
    with pytest.raises(ObjectNotFound, match="the source 'k' in") as caught:
        ends.target.copy((ends.source, "k"), "copy")
    assert caught.value.key == caught.value.filename == "k"
    assert ends.source.url in str(caught.value)
    assert not set(WRITES) & ends.home.calls.keys()


class Rotten(MemoryDriver):
    """What it gives, and what it copies, has one bit turned over."""

    def __init__(self, *, rotten_from: int, parts_without_checksum: bool = False) -> None:
        super().__init__(limits=LIMITS)
        self._rotten_from = rotten_from
        self._bare = parts_without_checksum

    def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
        good = super().read(key, start, stop, etag)
        return good if start < self._rotten_from or not good else good[:-1] + bytes([good[-1] ^ 1])

    def copy_part(self, key: str, upload_id: str, slot: PartSlot, source: ObjectRef, start: int, /) -> Part:
        data = self._source(source).data[start : start + slot.size_bytes]
        if start >= self._rotten_from:
            data = data[:-1] + bytes([data[-1] ^ 1])
        return super().put_part(key, upload_id, slot, BytesBody(data))

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        part = super().put_part(key, upload_id, slot, body)
        if not self._bare:
            return part
        upload = self._store.uploads[upload_id]
        bare = replace(part, checksum=None)
        return upload.take(bare, upload.parts[slot.number][1])


@pytest.mark.parametrize("size_bytes", [1, PART_BYTES, 50_000])
@pytest.mark.parametrize("kind", ["memory", "local"])
def test_bytes_that_rot_on_their_way_are_never_published(kind: str, size_bytes: int, tmp_path: Path) -> None:
    source = store_of(Rotten(rotten_from=0 if size_bytes < FROM_BYTES else PART_BYTES))
    source.create("k", data_of(size_bytes))
    target = store_of(Elsewhere() if kind == "memory" else driver_of(kind, tmp_path))
    with pytest.raises(ChecksumMismatch, match="the source 'k'"):
        target.copy((source, "k"), "copy")
    assert target.head("copy") is None
    assert list(target.driver.scan_uploads("")) == []


def test_parts_that_the_service_copies_wrongly_are_never_published() -> None:
    source = store_of(MemoryDriver(limits=LIMITS))
    source.create("k", data_of(50_000))
    target = store_of(Rotten(rotten_from=PART_BYTES))
    with pytest.raises(ChecksumMismatch):
        target.copy((source, "k"), "copy")
    assert target.head("copy") is None
    assert list(target.driver.scan_uploads("")) == []


@pytest.mark.parametrize("size_bytes", [1000, 50_000])
@pytest.mark.parametrize("lost", [False, True])
def test_what_the_service_copied_wrongly_by_itself_is_never_called_created(size_bytes: int, lost: bool) -> None:
    class Target(Rotten):
        def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
            data = self._source(source).data
            return super().put_new(key, BytesBody(data[:-1] + b"?"), meta)

        def copy_part(self, key: str, upload_id: str, slot: PartSlot, source: ObjectRef, start: int, /) -> Part:
            data = self._source(source).data[start : start + slot.size_bytes]
            return self.put_part(key, upload_id, slot, BytesBody(data[:-1] + b"?"))

    source = store_of(MemoryDriver(limits=LIMITS))
    source.create("k", data_of(size_bytes))
    driver = FaultyDriver(Target(rotten_from=0, parts_without_checksum=True))
    for member in ("copy_new", "finish_new"):
        driver.plan(member, [LOST_AFTER if lost else None])
    with pytest.raises(ObjectDamaged, match="remove it"):
        store_of(driver).copy((source, "k"), "copy")


def test_a_store_that_says_no_checksums_of_parts_is_served_by_those_of_what_was_read() -> None:
    class Target(Rotten):
        @property
        def location(self) -> Location:
            return replace(super().location, endpoint="elsewhere")

    source = store_of(Rotten(rotten_from=PART_BYTES))
    source.create("k", data_of(50_000))
    with pytest.raises(ChecksumMismatch):
        store_of(Target(rotten_from=1 << 30, parts_without_checksum=True)).copy((source, "k"), "copy")


def test_a_source_that_gives_less_than_it_has_is_no_source(tmp_path: Path) -> None:
    class Short(MemoryDriver):
        def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
            return super().read(key, start, stop, etag)[:-1]

    source, target = store_of(Short(limits=LIMITS)), store_of(LocalDriver(tmp_path))
    source.create("k", data_of(5))
    with pytest.raises(SourceChanged, match="gave 4 bytes where 5"):
        target.copy((source, "k"), "copy")
    assert target.head("copy") is None


# Progress


@pytest.mark.parametrize("size_bytes", SIZES)
def test_progress_never_goes_back_and_ends_at_the_total(ends: Ends, size_bytes: int) -> None:
    ends.source.create("k", data_of(size_bytes))
    told: list[tuple[int, int | None]] = []
    ends.target.copy((ends.source, "k"), "copy", progress=lambda done, total: told.append((done, total)))
    assert told == sorted(set(told))
    assert (told[0], told[-1]) == ((0, size_bytes), (size_bytes, size_bytes))


class Enough(Exception):
    pass


def enough_at(limit_bytes: int) -> Callable[[int, int | None], None]:
    def progress(done_bytes: int, _total_bytes: int | None) -> None:
        if done_bytes >= limit_bytes:
            raise Enough

    return progress


@pytest.mark.parametrize("size_bytes", [1, FROM_BYTES, 50_000])
def test_a_progress_that_raises_before_the_end_ends_the_copy(ends: Ends, size_bytes: int) -> None:
    ends.source.create("k", data_of(size_bytes))
    with pytest.raises(Enough):
        ends.target.copy((ends.source, "k"), "copy", progress=enough_at(0))
    assert ends.is_untouched()


@pytest.mark.parametrize("interrupt", [Enough, KeyboardInterrupt])
@pytest.mark.parametrize("pair", PAIRS[:2])
def test_a_progress_that_raises_behind_the_end_does_not_hide_the_copy(
    pair: str, interrupt: type[BaseException], tmp_path: Path
) -> None:
    ends = ends_of(pair, tmp_path)
    ends.source.create("k", b"xy")

    def progress(done_bytes: int, total_bytes: int | None) -> None:
        if done_bytes == total_bytes:
            raise interrupt

    with pytest.raises(interrupt) as caught:
        ends.target.copy((ends.source, "k"), "copy", progress=progress)
    write_id = seen(ends.target, "copy").write_id
    assert any("is there" in note and str(write_id) in note for note in caught.value.__notes__)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("size_bytes", [1, 50_000])
def test_an_interrupted_copy_carries_a_ticket_or_left_nothing(pair: str, size_bytes: int, tmp_path: Path) -> None:
    ends = ends_of(pair, tmp_path, in_flight=1)
    ends.source.create("k", data_of(size_bytes))

    class Interrupted(Fault):
        def strike(self, request: Request[T], /) -> T:
            request.act()
            raise KeyboardInterrupt

    commits: tuple[Member, ...] = ("copy_new", "put_new", "finish_new")
    for member in commits:
        ends.home.plan(member, [Interrupted()])
    with pytest.raises(KeyboardInterrupt) as caught:
        ends.target.copy((ends.source, "k"), "copy")
    ticket = ticket_of(caught.value)
    assert ticket is not None
    assert ends.target.settle(ticket).write_id == seen(ends.target, "copy").write_id
