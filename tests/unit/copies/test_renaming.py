"""A rename is a guarded copy, and then the removal of what was copied, and of nothing else."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from storage_guard import (
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    ObjectOptions,
    OutcomeUnknown,
    Receipt,
    RenameIncomplete,
    SourceChanged,
)
from storage_guard.access import Access
from storage_guard.driver import Driver, WriteMeta
from storage_guard.engine import removal
from storage_guard.testing import (
    BUSY,
    LOST_AFTER,
    LOST_BEFORE,
    REFUSED,
    BytesBody,
    Fault,
    FaultyDriver,
    Request,
    race,
)
from unit.copies.copy_ends import FROM_BYTES, OPTIONS, SIZES, Meddling, data_of, driver_of, seen, store_of

T = TypeVar("T")


class World:
    """A store with an object at "old", and what lies below its faults."""

    def __init__(self, inner: Driver) -> None:
        self.inner = inner
        self.driver = FaultyDriver(inner)
        self.store = store_of(self.driver, in_flight=1)
        self.first = self.store.create("old", b"life", options=OPTIONS)

    def replace(self) -> None:
        self.inner.remove("old", None)
        self.inner.put_new("old", BytesBody(b"new life"), WriteMeta("new"))


@pytest.fixture(params=["memory", "local"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(driver_of(request.param, tmp_path))


class Raises(Fault):
    """The request is carried out, or not, and something that is no signal comes out."""

    def __init__(self, error: BaseException, *, acts: bool) -> None:
        self.error = error
        self.acts = acts

    def strike(self, request: Request[T], /) -> T:
        if self.acts:
            request.act()
        raise self.error


@pytest.mark.parametrize("size_bytes", SIZES)
@pytest.mark.parametrize("kind", ["memory", "local"])
def test_a_renamed_object_is_whole_at_its_new_key_and_gone_from_the_old_one(
    kind: str, size_bytes: int, tmp_path: Path
) -> None:
    store = store_of(driver_of(kind, tmp_path), prefix="pre/fix", defaults=ObjectOptions(content_type="text/html"))
    first = store.create("old", data_of(size_bytes), options=OPTIONS)
    receipt = store.rename("old", "deep/er/new")
    info = seen(store, "deep/er/new")
    assert store.read("deep/er/new") == data_of(size_bytes)
    assert info.options == OPTIONS
    assert (receipt.key, receipt.etag, receipt.write_id) == ("deep/er/new", info.etag, info.write_id)
    assert receipt.write_id != first.write_id
    assert [each.key for each in store.scan()] == ["deep/er/new"]


@pytest.mark.parametrize("size_bytes", [0, 1, FROM_BYTES + 1])
def test_a_taken_key_ends_a_rename_with_both_as_they_were(world: World, size_bytes: int) -> None:
    world.store.create("new", data_of(size_bytes))
    before = seen(world.store, "old"), seen(world.store, "new")
    with pytest.raises(ObjectExists):
        world.store.rename("old", "new")
    assert (seen(world.store, "old"), seen(world.store, "new")) == before
    assert not world.driver.calls["remove"]


def test_a_rename_onto_itself_removes_nothing(world: World) -> None:
    before = seen(world.store, "old")
    with pytest.raises(ObjectExists):
        world.store.rename("old", "old")
    assert seen(world.store, "old") == before
    assert not world.driver.calls["remove"]


def test_what_is_not_there_cannot_be_renamed(world: World) -> None:
    with pytest.raises(ObjectNotFound, match="the source 'none'"):
        world.store.rename("none", "new")
    assert world.store.head("new") is None


def test_a_copy_whose_outcome_is_unknown_removes_nothing(world: World) -> None:
    world.driver.plan("copy_new", [LOST_AFTER])
    world.driver.plan("head", [None, REFUSED])
    with pytest.raises(OutcomeUnknown):
        world.store.rename("old", "new")
    assert not world.driver.calls["remove"]
    assert world.store.read("old") == b"life"


def test_a_source_that_is_replaced_before_it_is_copied_is_left_alone(world: World) -> None:
    world.driver.plan("copy_new", [Meddling(world.replace)])
    with pytest.raises(SourceChanged):
        world.store.rename("old", "new")
    assert world.store.read("old") == b"new life"
    assert world.store.head("new") is None


# Between the copy and the removal


def incomplete(world: World) -> RenameIncomplete:
    """Rename, and hold what is told against what is there; the copy must be."""
    with pytest.raises(RenameIncomplete) as caught:
        world.store.rename("old", "new")
    told = caught.value
    assert told.key == "new"
    assert told.receipt is not None
    assert told.receipt.write_id == seen(world.store, "new").write_id
    assert world.store.read("new") == b"life"
    assert told.__cause__ is not None
    assert "'new'" in str(told)
    assert "'old'" in str(told)
    assert isinstance(pickle.loads(pickle.dumps(told)).receipt, Receipt)
    return told


def test_an_object_that_replaced_the_source_behind_the_copy_stays(world: World) -> None:
    world.driver.plan("remove", [Meddling(world.replace)])
    told = incomplete(world)
    assert isinstance(told.__cause__, ObjectChanged)
    assert "another object by now" in str(told)
    assert world.store.read("old") == b"new life"


def test_a_source_that_somebody_else_removed_is_removed(world: World) -> None:
    world.driver.plan("remove", [Meddling(lambda: world.inner.remove("old", None))])
    receipt = world.store.rename("old", "new")
    assert receipt.write_id == seen(world.store, "new").write_id
    assert world.store.head("old") is None


@pytest.mark.parametrize("fault", [LOST_AFTER, LOST_BEFORE, BUSY])
def test_a_removal_without_an_answer_is_repeated(world: World, fault: Fault) -> None:
    world.driver.plan("remove", [fault, fault])
    world.store.rename("old", "new")
    assert world.store.head("old") is None
    assert world.store.read("new") == b"life"


@pytest.mark.parametrize("fault", [REFUSED, BUSY], ids=["refused", "busy"])
def test_a_removal_that_is_refused_leaves_both_and_says_how_to_go_on(world: World, fault: Fault) -> None:
    world.driver.plan("remove", [fault] * 1000)
    told = incomplete(world)
    etag = seen(world.store, "old").etag
    assert "and so is the source 'old'" in str(told)
    assert f"remove('old', etag={etag!r})" in str(told)
    honest = store_of(world.inner)
    honest.remove("old", etag=etag)
    assert [info.key for info in honest.scan()] == ["new"]


@pytest.mark.parametrize("fault", [LOST_AFTER, LOST_BEFORE], ids=["removed", "not-removed"])
def test_a_removal_whose_answers_are_lost_is_told_as_a_doubt(world: World, fault: Fault) -> None:
    class Blinding(Fault):
        def strike(self, request: Request[T], /) -> T:
            world.driver.plan("head", [REFUSED])
            return fault.strike(request)

    world.driver.plan("remove", [Blinding()])
    told = incomplete(world)
    assert isinstance(told.__cause__, OutcomeUnknown)
    assert "the source 'old' in" in str(told)
    assert "may be, too" in str(told)


@pytest.mark.parametrize("acts", [True, False])
def test_any_trouble_of_a_removal_is_an_incomplete_rename(world: World, acts: bool) -> None:
    world.driver.plan("remove", [Raises(RuntimeError("a driver's own"), acts=acts)])
    told = incomplete(world)
    assert isinstance(told.__cause__, RuntimeError)
    assert "may be, too" in str(told)


@pytest.mark.parametrize("acts", [True, False])
def test_ctrl_c_between_copy_and_removal_says_what_is_true(world: World, acts: bool) -> None:
    world.driver.plan("remove", [Raises(KeyboardInterrupt(), acts=acts)])
    with pytest.raises(KeyboardInterrupt) as caught:
        world.store.rename("old", "new")
    write_id = seen(world.store, "new").write_id
    (note,) = caught.value.__notes__
    assert str(write_id) in note
    assert "'new'" in note
    assert "may be, too" in note
    assert "KeyboardInterrupt" in note


def test_of_eight_renames_of_one_object_to_eight_keys_all_that_succeed_have_it(world: World) -> None:
    def renaming(number: int) -> Callable[[], Receipt]:
        return lambda: world.store.rename("old", f"new-{number}")

    told = race([renaming(number) for number in range(8)])
    there = {info.key: world.store.read(info.key) for info in world.store.scan()}
    assert there
    assert set(there.values()) == {b"life"}, "a rename lost the object, or spoilt it"
    assert there.keys() == {each.key for each in told if isinstance(each, Receipt)}
    assert all(isinstance(each, Receipt | ObjectNotFound | SourceChanged) for each in told), told


def test_of_eight_renames_to_one_key_one_wins_and_the_others_lose_nothing(world: World) -> None:
    for number in range(8):
        world.store.create(f"old-{number}", bytes([number]))

    def renaming(number: int) -> Callable[[], Receipt]:
        return lambda: world.store.rename(f"old-{number}", "new")

    told = race([renaming(number) for number in range(8)])
    (winner,) = [number for number, each in enumerate(told) if isinstance(each, Receipt)]
    assert world.store.read("new") == bytes([winner])
    left = [info.key for info in world.store.scan("old-")]
    assert left == [f"old-{number}" for number in range(8) if number != winner]


# Planted


def test_planted_a_removal_without_the_etag_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    honest = removal.remove

    def unpinned(access: Access, key: str, _etag: str | None, *, deadline_s: float) -> None:
        honest(access, key, None, deadline_s=deadline_s)

    monkeypatch.setattr(removal, "remove", unpinned)
    world = World(driver_of("memory", tmp_path))
    world.driver.plan("head", [None, Meddling(world.replace)])  # the removal looks by itself, and too late
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        incomplete(world)
    assert world.store.head("old") is None, "the new life was taken"
