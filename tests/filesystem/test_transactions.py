"""What a transaction of fsspec is here: publishing is put off to its end, and an exception publishes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from filesystem.worlds import World, fsspec
from storage_guard import Store, Unsupported
from storage_guard.filesystem import GuardStore
from storage_guard.memory import MemoryDriver
from storage_guard.testing import REFUSED, faulty


def write_in_every_way(fs: Any, world: World, source: Path) -> None:
    source.write_bytes(b"put")
    with fs.open(world.path("binary"), "wb") as file:
        file.write(b"binary")
    with fs.open(world.path("text.gz"), "wt", compression="gzip") as file:
        file.write("text")
    with fsspec.core.OpenFile(fs, world.path("theirs"), "wt") as file:
        file.write("theirs")
    fs.pipe(world.path("piped"), b"piped")
    fs.pipe({world.path("many/1"): b"1", world.path("many/2"): b"2"})
    fs.put(str(source), world.path("put"))
    fs.touch(world.path("touched"))


WRITTEN = ["binary", "many/1", "many/2", "piped", "put", "text.gz", "theirs", "touched"]


def test_at_its_end_all_is_published_and_nothing_before(world: World, tmp_path: Path) -> None:
    fs = world.fs()
    with fs.transaction:
        write_in_every_way(fs, world, tmp_path / "source")
        assert world.names() == []
    assert world.names() == WRITTEN
    assert [world.read(name) for name in ("theirs", "put")] == [b"theirs", b"put"]
    fs.pipe(world.path("behind"), b"x")
    assert world.read("behind") == b"x"


def test_an_exception_publishes_nothing(world: World, tmp_path: Path) -> None:
    fs = world.fs()

    def fail() -> None:
        with fs.transaction:
            write_in_every_way(fs, world, tmp_path / "source")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert world.names() == []
    fs.pipe(world.path("behind"), b"x")
    assert world.names() == ["behind"]


def test_the_first_that_is_refused_ends_it_and_what_was_published_is_told(world: World) -> None:
    fs = world.fs()

    def meet_a_rival() -> None:
        with fs.transaction:
            for name in ("a", "b", "c"):
                fs.pipe(world.path(name), b"ours")
            world.create("b", b"the rival's")

    with pytest.raises(FileExistsError) as refused:
        meet_a_rival()
    assert "of the transaction's 3 files were published: ['" in refused.value.__notes__[-1]
    assert {name: world.read(name) for name in world.names()} == {"a": b"ours", "b": b"the rival's"}
    fs.pipe(world.path("c"), b"the key is free")


def test_a_taken_key_is_told_within_it(world: World) -> None:
    fs = world.fs()
    fs.pipe(world.path("k"), b"data")
    with fs.transaction, pytest.raises(FileExistsError):
        fs.pipe(world.path("k"), b"other")
    assert world.read("k") == b"data"


def test_a_file_that_failed_on_its_own_does_not_hold_up_the_others(local: World) -> None:
    fs = local.fs()

    def fail() -> None:
        with fs.open(local.path("bad"), "wb") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with fs.transaction:
        fs.pipe(local.path("good"), b"good")
        with pytest.raises(ZeroDivisionError):
            fail()
    assert local.names() == ["good"]


def test_a_file_that_is_open_at_the_end_is_not_whole_and_nothing_is_published(local: World) -> None:
    fs = local.fs()

    def forget_to_close() -> None:
        with fs.transaction:
            fs.pipe(local.path("closed"), b"x")
            fs.open(local.path("open"), "wb").write(b"half")

    with pytest.raises(ValueError, match="still open"):
        forget_to_close()
    assert local.names() == []


def test_it_can_be_begun_and_ended_by_hand(local: World) -> None:
    fs = local.fs()
    fs.start_transaction()
    fs.pipe(local.path("k"), b"data")
    assert local.names() == []
    fs.end_transaction()
    assert local.names() == ["k"]


def test_what_would_act_at_once_is_refused_and_a_removal_does(local: World) -> None:
    fs = local.fs()
    fs.pipe(local.path("k"), b"data")
    with fs.transaction:
        for call in (fs.cp, fs.mv):
            with pytest.raises(Unsupported, match="at once"):
                call(local.path("k"), local.path("l"))
        fs.rm(local.path("k"))
        assert local.names() == []


def test_a_file_may_be_left_to_a_commit_without_a_transaction(local: World) -> None:
    fs = local.fs()
    with fs.open(local.path("k"), "wb", autocommit=False) as file:
        file.write(b"data")
    assert (file.closed, file.state, local.names()) == (True, "sealed", [])
    with pytest.raises(ValueError, match="not committed yet"):
        file.write(b"more")
    file.commit()
    assert local.read("k") == b"data"


def test_a_file_that_is_held_and_forgotten_is_discarded_with_a_warning(local: World) -> None:
    def forget() -> None:
        with local.fs().open(local.path("k"), "wt", autocommit=False) as file:
            file.write("data")

    with pytest.warns(ResourceWarning, match="was not written"):
        forget()
    assert local.names() == []


def test_a_held_file_that_is_closed_while_an_exception_is_in_flight_is_discarded(local: World) -> None:
    fs = local.fs()
    with fs.transaction:
        with (
            pytest.warns(RuntimeWarning, match="in flight"),
            pytest.raises(ZeroDivisionError),
            fsspec.core.OpenFile(fs, local.path("k"), "wb"),
        ):
            raise ZeroDivisionError
        fs.pipe(local.path("good"), b"x")
    assert local.names() == ["good"]


def test_a_store_that_fails_at_the_end_discards_the_rest() -> None:
    driver = MemoryDriver()
    store = Store(faulty(driver, {"put_new": [None, REFUSED]}), in_flight=1)
    fs = GuardStore(store=store)

    def write() -> None:
        with fs.transaction:
            fs.pipe(dict.fromkeys("abc", b"x"))

    with pytest.raises(PermissionError):
        write()
    assert [each.key for each in Store(driver).scan()] == ["a"]
