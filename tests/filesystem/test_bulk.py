"""One and many: pipe, put, cat, get, cp, mv, rm, listings, and directories that are beginnings of keys."""

from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fsspec.callbacks import Callback, TqdmCallback

from filesystem.worlds import WORLDS, World
from storage_guard import AccessDenied, ObjectChanged, ObjectExists, OutcomeUnknown, Receipt, Store, Unsupported
from storage_guard.filesystem import GuardFile, GuardStore
from storage_guard.memory import MemoryDriver
from storage_guard.testing import LOST_AFTER, REFUSED, faulty


class Told(Callback):
    """What a callback hears, and its children."""

    def __init__(self) -> None:
        super().__init__()
        self.children: list[Told] = []
        self.ended = False

    def branched(self, *_: Any, **__: Any) -> Callback:
        self.children.append(Told())
        return self.children[-1]

    def close(self) -> None:
        self.ended = True


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "source"
    folder.mkdir()
    found = [folder / f"{number}.bin" for number in range(5)]
    for number, file in enumerate(found):
        file.write_bytes(b"x" * number * 1000)
    return found


def test_many_objects_are_created_side_by_side(world: World) -> None:
    fs = world.fs()
    many = {world.path(f"many/{number}"): str(number).encode() for number in range(100)}
    fs.pipe(many)
    assert fs.cat(world.path("many"), recursive=True) == many
    assert fs.cat(list(many)[:2]) == dict(list(many.items())[:2])
    assert len(world.names()) == 100


def test_of_many_all_are_tried_and_the_refused_ones_are_told(world: World) -> None:
    fs = world.fs()
    fs.pipe({world.path("m/1"): b"another's", world.path("m/3"): b"another's"})
    with pytest.raises(FileExistsError) as refused:
        fs.pipe({world.path(f"m/{number}"): b"ours" for number in range(5)})
    notes = "\n".join(refused.value.__notes__)
    assert isinstance(refused.value, ObjectExists)
    assert "3 of 5 objects are written" in notes
    other = {"m/1": "m/3", "m/3": "m/1"}["m/" + str(refused.value.key)[-1]]
    assert f"{other}' exists" in notes
    assert [world.read(f"m/{number}") for number in range(5)] == [b"ours", b"another's", b"ours", b"another's", b"ours"]


def test_an_unknown_outcome_comes_before_a_refusal() -> None:
    driver = MemoryDriver()
    Store(driver).create("a", b"another's")
    doubtful = Store(faulty(driver, {"put_new": [None, LOST_AFTER], "head": [None, REFUSED, REFUSED]}), in_flight=1)
    with pytest.raises(OutcomeUnknown) as unknown:
        GuardStore(store=doubtful).pipe({"a": b"ours", "b": b"ours"})
    assert "ObjectExists: 'a'" in unknown.value.__notes__[-1]
    assert unknown.value.ticket is not None
    assert Store(driver).read("b") == b"ours"


def test_put_and_get_tell_a_callback_what_they_do(world: World, files: list[Path], tmp_path: Path) -> None:
    fs, told = world.fs(), Told()
    fs.put([str(each) for each in files], [world.path(each.name) for each in files], callback=told)
    assert (told.size, told.value, len(told.children)) == (5, 5, 5)
    assert sorted(child.value for child in told.children) == [0, 1000, 2000, 3000, 4000]
    assert all(child.ended and child.size == child.value for child in told.children)
    told = Told()
    fs.get(world.path(), str(tmp_path / "back"), recursive=True, callback=told)
    assert sum(child.value for child in told.children) == 10_000
    assert {each.name: each.read_bytes() for each in (tmp_path / "back").iterdir()} == {
        each.name: each.read_bytes() for each in files
    }


def test_one_file_tells_its_bytes(world: World, files: list[Path], tmp_path: Path) -> None:
    fs, told = world.fs(), Told()
    fs.put_file(str(files[4]), world.path("k"), callback=told)
    assert (told.size, told.value) == (4000, 4000)
    fs.get_file(world.path("k"), str(tmp_path / "k"), callback=told)
    assert (tmp_path / "k").read_bytes() == files[4].read_bytes()


def test_tqdm_shows_it(local: World, files: list[Path]) -> None:
    with TqdmCallback(tqdm_kwargs={"disable": True}) as told:
        local.fs().put(str(files[0].parent), local.path("all"), recursive=True, callback=told)
    assert told.value == 5


def test_a_put_never_replaces(world: World, files: list[Path]) -> None:
    fs = world.fs()
    fs.pipe(world.path("0.bin"), b"another's")
    writes: list[Callable[[], object]] = [
        lambda: fs.put_file(str(files[3]), world.path("0.bin")),
        lambda: fs.put(str(files[3]), world.path("0.bin")),
        lambda: fs.put([str(each) for each in files], [world.path(each.name) for each in files]),
        lambda: fs.put_file(str(files[3]), world.path("0.bin"), mode="create"),
    ]
    for write in writes:
        with pytest.raises(FileExistsError):
            write()
    assert world.read("0.bin") == b"another's"
    assert len(world.names()) == 5


def test_a_local_file_that_is_not_there_is_not_found(local: World, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        local.fs().put_file(str(tmp_path / "nothing"), local.path("k"))
    with pytest.raises(FileNotFoundError):
        local.fs().put([str(tmp_path / "nothing"), str(tmp_path / "neither")], [local.path("k"), local.path("l")])
    assert local.names() == []


def test_a_get_that_fails_leaves_the_local_file_as_it_was(tmp_path: Path) -> None:
    driver = MemoryDriver()
    Store(driver).create("k", bytes(10_000_000))
    fs = GuardStore(store=Store(faulty(driver, {"read": [None, None, REFUSED, REFUSED, REFUSED]}), in_flight=1))
    (tmp_path / "k").write_bytes(b"before")
    with pytest.raises(AccessDenied):
        fs.get_file("k", str(tmp_path / "k"))
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"k": b"before"}


def test_get_fills_an_open_file(local: World, tmp_path: Path) -> None:
    local.fs().pipe(local.path("k"), b"data")
    with (tmp_path / "open").open("w+b") as file:
        local.fs().get_file(local.path("k"), file)
        file.seek(0)
        assert file.read() == b"data"


def test_cat_says_what_is_missing_or_leaves_it_out(world: World) -> None:
    fs = world.fs()
    fs.pipe(world.path("k"), b"data")
    paths = [world.path("k"), world.path("nothing")]
    with pytest.raises(FileNotFoundError):
        fs.cat(paths)
    assert fs.cat(paths, on_error="omit") == {paths[0]: b"data"}
    assert isinstance(fs.cat(paths, on_error="return")[paths[1]], FileNotFoundError)
    assert isinstance(fs.cat_ranges(paths, 0, 2)[1], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges(paths, 0, 2, on_error="raise")
    with pytest.raises(ValueError, match="on_error"):
        fs.cat(paths, on_error="ignore")


# Copies, moves, removals


def test_a_copy_and_a_move_never_replace(world: World) -> None:
    fs = world.fs()
    fs.pipe({world.path("a"): b"a", world.path("b"): b"b"})
    for call in (fs.cp, fs.cp_file, fs.mv):
        with pytest.raises(FileExistsError):
            call(world.path("a"), world.path("b"))
    fs.cp(world.path("a"), world.path("c"))
    fs.mv(world.path("a"), world.path("d"))
    assert {key: world.read(key) for key in sorted(world.names())} == {"b": b"b", "c": b"a", "d": b"a"}
    with pytest.raises(FileNotFoundError):
        fs.cp(world.path("nothing"), world.path("e"))
    with pytest.raises(FileNotFoundError):
        fs.mv(world.path("nothing"), world.path("e"))


def test_folders_are_copied_and_moved_object_by_object(world: World) -> None:
    fs = world.fs()
    fs.pipe({world.path(f"from/{name}"): name.encode() for name in ("a", "x/b", "x/y/c")})
    fs.cp(world.path("from"), world.path("copy"), recursive=True)
    fs.mv(world.path("from"), world.path("moved"), recursive=True)
    assert world.names() == [f"{top}/{name}" for top in ("copy", "moved") for name in ("a", "x/b", "x/y/c")]


def test_a_move_between_two_stores_of_the_disk_is_a_move(tmp_path: Path) -> None:
    fs = GuardFile()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    fs.pipe(f"guardfile:{tmp_path}/one/k", b"data")
    fs.mv(f"guardfile:{tmp_path}/one/k", f"guardfile:{tmp_path}/two/k")
    assert not (tmp_path / "one/k").exists()
    assert (tmp_path / "two/k").read_bytes() == b"data"


def test_a_move_between_two_stores_leaves_what_replaced_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs, copy = GuardFile(), Store.copy
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    fs.pipe(f"guardfile:{tmp_path}/one/k", b"data")

    def copy_and_meet_a_rival(*args: Any, **options: Any) -> Receipt:
        receipt = copy(*args, **options)
        fs.rm_file(f"{tmp_path}/one/k")
        fs.pipe(f"{tmp_path}/one/k", b"the rival's")
        return receipt

    monkeypatch.setattr(Store, "copy", copy_and_meet_a_rival)
    with pytest.raises(ObjectChanged):
        fs.mv(f"guardfile:{tmp_path}/one/k", f"guardfile:{tmp_path}/two/k")
    assert ((tmp_path / "one/k").read_bytes(), (tmp_path / "two/k").read_bytes()) == (b"the rival's", b"data")


def test_a_removal_says_what_it_cannot_remove(world: World) -> None:
    fs = world.fs()
    fs.pipe({world.path("d/a"): b"a", world.path("d/b"): b"b", world.path("c"): b"c"})
    with pytest.raises(IsADirectoryError):
        fs.rm(world.path("d"))
    for recursive in (False, True):
        with pytest.raises(FileNotFoundError):
            fs.rm(world.path("nothing"), recursive=recursive)
    with pytest.raises(OSError, match="holds objects") as refused:
        fs.rmdir(world.path("d"))
    assert refused.value.errno == errno.ENOTEMPTY
    with pytest.raises(NotADirectoryError):
        fs.rmdir(world.path("c"))
    fs.rm(world.path("d"), recursive=True)
    fs.rm(world.path("*"))
    fs.rmdir(world.path("d"))
    assert world.names() == []


@pytest.mark.parametrize("flat", [name for name in WORLDS if name != "file"])  # on a disk it is one of the two
def test_a_key_that_others_begin_with_is_removed_with_them(flat: str, tmp_path: Path) -> None:
    world = WORLDS[flat](tmp_path)
    fs = world.fs()
    fs.pipe({world.path("a"): b"a", world.path("a/b"): b"b", world.path("ab"): b"c"})
    fs.rm(world.path("a"), recursive=True)
    assert world.names() == ["ab"]


def test_an_immutable_filesystem_removes_nothing(world: World) -> None:
    fs = world.fs(immutable=True)
    fs.pipe(world.path("k"), b"data")
    calls: list[Callable[[], object]] = [
        lambda: fs.rm(world.path("k")),
        lambda: fs.rm_file(world.path("k")),
        lambda: fs.rm(world.path(), recursive=True),
        lambda: fs.mv(world.path("k"), world.path("l")),
        lambda: fs.delete(world.path("k")),
    ]
    for call in calls:
        with pytest.raises(PermissionError):
            call()
    fs.cp(world.path("k"), world.path("l"))
    assert world.names() == ["k", "l"]
    with pytest.raises(ValueError, match="contradict"):
        world.fs(immutable=True, overwrite_ok=["*.json"])


# What is there


def test_a_listing_shows_objects_and_the_beginnings_of_keys(world: World) -> None:
    fs, path = world.fs(), world.path
    fs.pipe({path("a"): b"1", path("d/b"): b"22", path("d/e/c"): b"333"})
    assert sorted(fs.ls(path(), detail=False)) == [path("a"), path("d")]
    assert {each["name"]: (each["type"], each["size"]) for each in fs.ls(path())} == {
        path("a"): ("file", 1),
        path("d"): ("directory", 0),
    }
    assert [each["name"] for each in fs.ls(path("a"))] == [path("a")]
    assert fs.find(path()) == [path("a"), path("d/b"), path("d/e/c")]
    assert fs.find(path(), maxdepth=2) == [path("a"), path("d/b")]
    assert fs.find(path("a")) == [path("a")]
    assert fs.find(path("nothing")) == []
    assert fs.find(path("d"), withdirs=True) == [path("d"), path("d/b"), path("d/e"), path("d/e/c")]
    assert fs.find(path("d"), withdirs=True) == fs.find(path("d"), withdirs=True, maxdepth=9)
    assert fs.glob(path("d/*")) == [path("d/b"), path("d/e")]
    assert fs.glob(path("**/c")) == [path("d/e/c")]
    assert list(fs.walk(path())) == [
        (path(), ["d"], ["a"]),
        (path("d"), ["e"], ["b"]),
        (path("d/e"), [], ["c"]),
    ]
    assert (fs.du(path()), fs.du(path("d"), total=False)) == (6, {path("d/b"): 2, path("d/e/c"): 3})
    assert [fs.isdir(path(each)) for each in ("a", "d", "d/e", "x")] == [False, True, True, False]
    assert [fs.isfile(path(each)) for each in ("a", "d", "d/e", "x")] == [True, False, False, False]
    assert [fs.exists(path(each)) for each in ("a", "d", "d/e/c", "a/b", "x")] == [True, True, True, False, False]
    with pytest.raises(FileNotFoundError):
        fs.ls(path("nothing"))


def test_an_object_has_a_time_and_an_identity(world: World) -> None:
    fs = world.fs()
    fs.pipe({world.path("k"): b"data", world.path("l"): b"data"})
    assert abs(fs.modified(world.path("k")) - datetime.now(UTC)) < timedelta(minutes=5)
    assert fs.created(world.path("k")) == fs.modified(world.path("k")) == fs.info(world.path("k"))["modified"]
    before = fs.checksum(world.path("k")), fs.ukey(world.path("k"))
    assert before == (fs.checksum(world.path("k")), fs.ukey(world.path("k")))
    fs.rm(world.path("k"))
    fs.pipe(world.path("k"), b"date")
    assert fs.checksum(world.path("k")) != before[0]
    for call in (fs.created, fs.checksum, fs.ukey, fs.info):
        with pytest.raises(FileNotFoundError):
            call(world.path("nothing"))


def test_what_a_store_further_down_keeps_for_itself_is_not_shown() -> None:
    store = Store(MemoryDriver())
    store.create("d/.storage-guard/guarantee", b"kept")
    store.create("d/k", b"data")
    fs = GuardStore(store=store)
    assert fs.find("") == ["guardstore:/d/k"]
    assert fs.ls("d", detail=False) == ["guardstore:/d/k"]


def test_nothing_is_cached(world: World) -> None:
    fs = world.fs()
    assert not fs.exists(world.path("k"))
    world.create("k", b"data")
    assert fs.exists(world.path("k"))
    assert fs.ls(world.path(), detail=False) == [world.path("k")]
    with pytest.raises(ValueError, match="not cached"):
        world.fs(use_listings_cache=True)


def test_a_store_that_cannot_be_asked_is_no_answer() -> None:
    fs = GuardStore(store=Store(faulty(MemoryDriver(), {"head": [REFUSED] * 9})))
    for question in (fs.exists, fs.isfile, fs.isdir, fs.info):
        with pytest.raises(AccessDenied):
            question("k")


def test_directories_come_and_go_with_their_objects(world: World) -> None:
    fs = world.fs()
    fs.mkdir(world.path("d"))
    fs.makedirs(world.path("d"), exist_ok=False)
    assert not fs.exists(world.path("d"))
    fs.touch(world.path("d/k"))
    assert fs.isdir(world.path("d"))
    fs.makedirs(world.path("d"), exist_ok=True)
    with pytest.raises(FileExistsError):
        fs.makedirs(world.path("d"))
    assert world.read("d/k") == b""


def test_touch_creates_and_changes_nothing(world: World) -> None:
    fs = world.fs()
    fs.pipe(world.path("k"), b"data")
    with pytest.raises(FileExistsError):
        fs.touch(world.path("k"))
    with pytest.raises(Unsupported, match="time"):
        fs.touch(world.path("k"), truncate=False)
    fs.touch(world.path("new"), truncate=False)
    assert (world.read("k"), world.read("new")) == (b"data", b"")


def test_a_folder_of_the_disk_is_no_object(local: World, tmp_path: Path) -> None:
    fs = local.fs()
    (tmp_path / "data/empty").mkdir(parents=True)
    assert fs.isdir(local.path("empty"))
    assert fs.ls(local.path("empty")) == []
    for call in (fs.cat_file, fs.open, fs.created):
        with pytest.raises(IsADirectoryError):
            call(local.path("empty"))


def test_a_signed_address_is_where_a_store_has_them(world: World) -> None:
    fs = world.fs()
    fs.pipe(world.path("k"), b"data")
    if world.options:
        assert "signature=" in fs.sign(world.path("k"), expiration=60).lower()
    else:
        with pytest.raises(Unsupported):
            fs.sign(world.path("k"))


def test_fsspec_mappings_create_only_too(world: World) -> None:
    mapping = world.fs().get_mapper(world.path("map"))
    mapping["a/b"] = b"data"
    with pytest.raises(FileExistsError):
        mapping["a/b"] = b"other"
    assert dict(mapping) == {"a/b": b"data"}
