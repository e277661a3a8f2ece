"""`overwrite_ok`: what may be replaced, what that promises, and what it does not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from filesystem.worlds import World
from storage_guard import NotWritten, Store, Unsupported
from storage_guard.filesystem import GuardFile, GuardOSS, GuardStore
from storage_guard.filesystem.rewriting import Patterns, replace
from storage_guard.memory import MemoryDriver
from storage_guard.testing import REFUSED, faulty


def stripping(kind: Any) -> Callable[[str], str]:
    return cast("Callable[[str], str]", kind._strip_protocol)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("zarr.json", "b/x.zarr/zarr.json", True),
        ("zarr.json", "b/x.zarr/not-zarr.json", False),
        ("*.json", "b/zarr.json", True),
        ("b/*.json", "b/zarr.json", True),
        ("b/*.json", "b/c/zarr.json", False),
        ("b/**/*.json", "b/c/d/zarr.json", True),
        (".z*", "b/.zattrs", True),
        (".z*", "b/.zattrs/c", False),
        ("guardoss://b/x/*", "b/x/k", True),
        ("guardoss://b/x/*", "c/x/k", False),
        ("**/x/*", "b/c/x/k", True),
    ],
)
def test_a_pattern_is_for_a_name_or_for_a_whole_path(pattern: str, path: str, *, matches: bool) -> None:
    assert Patterns([pattern], stripping(GuardOSS)).match(path) is matches


def test_a_pattern_of_the_disk_may_be_a_path_or_a_url() -> None:
    for pattern in ("/data/*.zarr/zarr.json", "guardfile:///data/*.zarr/zarr.json"):
        patterns = Patterns([pattern], stripping(GuardFile))
        assert patterns.match("guardfile:/data/x.zarr/zarr.json")
        assert not patterns.match("guardfile:/other/x.zarr/zarr.json")


def test_one_pattern_by_itself_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="list of patterns"):
        Patterns("*.json", str)


def test_what_is_named_is_replaced_and_nothing_else(world: World, tmp_path: Any) -> None:
    fs, path = world.fs(overwrite_ok=["meta*"]), world.path("meta")
    (tmp_path / "source").write_bytes(b"four")
    fs.pipe(path, b"one")
    fs.pipe(path, b"two", mode="overwrite")
    assert world.read("meta") == b"two"
    with fs.open(path, "wt") as file:
        file.write("three")
        assert world.read("meta") == b"two"
    assert world.read("meta") == b"three"
    fs.put(str(tmp_path / "source"), path)
    fs.pipe({path: b"five", world.path("data"): b"data"})
    assert (world.read("meta"), world.read("data")) == (b"five", b"data")
    writes: list[Callable[[], object]] = [
        lambda: fs.pipe(world.path("data"), b"other"),
        lambda: fs.pipe(path, b"other", mode="create"),
        lambda: fs.open(path, "xb"),
        lambda: fs.cp(world.path("data"), path),
        lambda: fs.pipe(path, b"other", if_exists="error"),
    ]
    for write in writes:
        with pytest.raises(FileExistsError):
            write()
    assert (world.read("meta"), world.read("data")) == (b"five", b"data")


def test_an_exception_leaves_what_was_there(world: World) -> None:
    fs = world.fs(overwrite_ok=["meta"])
    fs.pipe(world.path("meta"), b"before")

    def fail(mode: str) -> None:
        with fs.open(world.path("meta"), mode) as file:
            file.write(b"half" if "b" in mode else "half")
            raise ZeroDivisionError

    for mode in ("wb", "wt"):
        with pytest.raises(ZeroDivisionError):
            fail(mode)
    with fs.transaction:
        fs.pipe(world.path("meta"), b"behind")
        assert world.read("meta") == b"before"
    assert world.read("meta") == b"behind"


def test_equal_bytes_are_left_as_they_are(world: World) -> None:
    fs = world.fs(overwrite_ok=["meta"])
    fs.pipe(world.path("meta"), b"same")
    before = fs.ukey(world.path("meta"))
    fs.pipe(world.path("meta"), b"same")
    assert fs.ukey(world.path("meta")) == before


def test_a_replacement_that_fails_puts_back_what_was_there() -> None:
    driver = MemoryDriver()
    Store(driver).create("k", b"before")
    with pytest.raises(NotWritten) as failed:
        replace(Store(faulty(driver, {"put_new": [REFUSED]})), "k", b"behind")
    assert failed.value.__notes__ == ["what was at 'k' before is there again"]
    assert Store(driver).read("k") == b"before"


def test_a_replacement_that_fails_for_good_says_what_is_gone() -> None:
    driver = MemoryDriver()
    Store(driver).create("k", b"before")
    with pytest.raises(NotWritten) as failed:
        replace(Store(faulty(driver, {"put_new": [REFUSED, REFUSED]})), "k", b"behind")
    assert "could not be put back" in failed.value.__notes__[0]
    assert Store(driver).head("k") is None


def test_of_many_who_replace_at_the_same_time_each_succeeds_and_one_is_last() -> None:
    store = Store(MemoryDriver())
    written = [bytes([number]) * 100 for number in range(8)]
    threads = [threading.Thread(target=replace, args=(store, "k", data)) for data in written]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert store.read("k") in written


def test_what_may_be_replaced_is_not_compressed_on_the_way() -> None:
    fs = GuardStore(store=Store(MemoryDriver()), overwrite_ok=["k.gz"])
    with pytest.raises(Unsupported, match="compressed"):
        fs.open("k.gz", "wb", compression="infer")
