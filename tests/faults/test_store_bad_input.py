"""Bad input: a typed error that names the key, nothing published, nothing left behind, the key still free."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from faults.local_systems import Mount
from storage_guard import (
    InvalidKey,
    NotWritten,
    ObjectOptions,
    SourceChanged,
    SourceMissing,
    StorageGuardError,
    Store,
    Unsupported,
)
from storage_guard.memory import MemoryDriver
from storage_guard.testing import FakeClock
from storage_guard_local import LocalDriver

PART_BYTES = 64 * 1024
LARGE = 5 * PART_BYTES


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    driver = MemoryDriver() if request.param == "memory" else LocalDriver(tmp_path / "root")
    return Store(driver, part_bytes=PART_BYTES, multipart_from_bytes=2 * PART_BYTES, clock=FakeClock())


@pytest.fixture
def leaves_nothing(store: Store, tmp_path: Path) -> Generator[None]:
    """Behind the test there is no object, no upload, no file or folder, no new descriptor; and the key is free."""
    before = open_descriptors()
    yield
    root = tmp_path / "root"
    assert not root.exists() or list(root.rglob("*")) == []
    assert list(store.scan()) == []
    assert list(store.driver.scan_uploads("")) == []
    assert open_descriptors() <= before + 1  # the root's own
    assert store.create("a/k", b"x").outcome == "created"


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def refused(kind: type[BaseException], write: Callable[[], object], key: str = "a/k") -> BaseException:
    """The error, once it is known to be of this very class, to name the key and to survive pickling."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - the class is compared below
        write()
    error = caught.value
    assert type(error) is kind
    said = str(error) + "".join(getattr(error, "__notes__", []))
    assert repr(key) in said, f"the key is not named: {said}"
    if isinstance(error, StorageGuardError):
        twin = pickle.loads(pickle.dumps(error))
        assert type(twin) is kind
        assert (str(twin), repr(twin)) == (str(error), repr(error))
        assert twin.__dict__ == error.__dict__
        assert error.key == key
    return error


BAD_KEYS = {
    "empty": "",
    "absolute": "/a",
    "trailing slash": "a/",
    "double slash": "a//b",
    "dot": "a/./b",
    "dot-dot": "../a",
    "dot-dot inside": "a/../../b",
    "dot-dot at the end": "a/..",
    "NUL": "a\0b",
    "newline": "a\r\nx-evil: 1",
    "C1 control": "a\x85b",
    "over-long": "a/" * 511 + "ab",
    "over-long in bytes": "\u00e4" * 512,
    "not UTF-8": "a\udcff",
    "ours": ".storage-guard/x",
    "ours itself": ".storage-guard",
}


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_key_that_not_every_store_can_hold_is_refused_everywhere(store: Store, name: str) -> None:
    key = BAD_KEYS[name]
    error = refused(InvalidKey, lambda: store.create(key, b"x"), key)
    assert isinstance(error, ValueError)
    for ask in (store.head, store.read, store.remove, store.stream):
        refused(InvalidKey, partial(ask, key), key)


@pytest.mark.usefixtures("leaves_nothing")
def test_a_key_that_is_no_str_is_a_type_error(store: Store) -> None:
    for key in (b"a", None, 7, Path("a")):
        with pytest.raises(TypeError, match="key"):
            cast("Any", store.create)(key, b"x")


def test_the_longest_key_is_a_key_and_counts_with_the_prefix(store: Store) -> None:
    key = "a/" * 511 + "b"
    assert store.create(key, b"x").key == key
    refused(InvalidKey, lambda: Store(store.driver, prefix="p").create(key, b"x"), key)


def test_a_key_that_is_a_folder_and_a_folder_that_is_a_key_are_refused_on_disk(tmp_path: Path) -> None:
    store = Store(LocalDriver(tmp_path))
    store.create("folder/file", b"x")
    refused(InvalidKey, lambda: store.create("folder", b"x"), "folder")
    refused(InvalidKey, lambda: store.create("folder/file/below", b"x"), "folder/file/below")
    refused(InvalidKey, lambda: store.create("a" * 300, b"x"), "a" * 300)
    assert [each.key for each in store.scan()] == ["folder/file"]


def test_a_link_out_of_the_root_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    store = Store(LocalDriver(root))
    for key in ("link/new", "link/secret", "file"):
        refused(InvalidKey, partial(store.create, key, b"x"), key)
        for ask in (store.read, store.remove):
            refused(InvalidKey, partial(ask, key), key)
    assert (outside / "secret").read_bytes() == b"secret"
    assert list(outside.iterdir()) == [outside / "secret"]


@pytest.mark.usefixtures("leaves_nothing")
def test_a_source_that_is_not_there_or_not_a_file_is_said_by_name(store: Store, tmp_path: Path) -> None:
    missing = refused(SourceMissing, lambda: store.create("a/k", tmp_path / "missing"))
    assert isinstance(missing, FileNotFoundError)
    assert missing.filename == str(tmp_path / "missing")
    error = refused(NotWritten, lambda: store.create("a/k", tmp_path))
    assert "directory" in str(error)
    unreadable = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(unreadable))
        refused(NotWritten, lambda: store.create("a/k", unreadable))


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("size_bytes", [1, 10, 300 * 1024, LARGE])
@pytest.mark.parametrize("change", ["grows", "shrinks", "is rewritten", "is truncated"])
def test_a_file_that_changes_while_it_is_read_is_not_published(
    store: Store, tmp_path: Path, size_bytes: int, change: str
) -> None:
    path = tmp_path / "source"
    path.write_bytes(bytes(size_bytes))
    os.utime(path, ns=(1, 1))

    def meddle(done_bytes: int, _total: int | None) -> None:
        if done_bytes:
            return
        with path.open("r+b") as file:
            match change:
                case "grows":
                    file.seek(0, os.SEEK_END)
                    file.write(b"more")
                case "is rewritten":
                    file.write(b"!")
                case "is truncated":
                    file.truncate(0)
                case _:
                    file.truncate(size_bytes - 1)

    refused(SourceChanged, lambda: store.create("a/k", path, progress=meddle))


class Oops(Exception):
    pass


def raising(after: int) -> Iterator[bytes]:
    for _ in range(after):
        yield bytes(10_000)
    raise Oops("the source broke")


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("after", [0, 1, 7, 30])
def test_what_an_iterable_raises_passes_through_with_a_note_and_publishes_nothing(store: Store, after: int) -> None:
    error = refused(Oops, lambda: store.create("a/k", raising(after)))
    assert str(error) == "the source broke"


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("size_bytes", [10, LARGE])
def test_what_progress_raises_passes_through_and_publishes_nothing(store: Store, size_bytes: int) -> None:
    def progress(_done: int, _total: int | None) -> None:
        raise Oops

    refused(Oops, lambda: store.create("a/k", bytes(size_bytes), progress=progress))


@pytest.mark.usefixtures("leaves_nothing")
def test_what_is_not_bytes_is_a_type_error_that_names_the_key(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("text")
    for data in ("text", 7, None, 1.5, object(), ["text"], [b"x", 7], (each for each in [b"x" * 100_000, "late"])):
        refused(TypeError, partial(cast("Any", store.create), "a/k", data))
    with path.open() as text:
        refused(TypeError, partial(cast("Any", store.create), "a/k", text))

    class TextReader:
        def read(self, _size: int = -1) -> str:
            return "text"

    refused(TypeError, partial(cast("Any", store.create), "a/k", TextReader()))


BAD_OPTIONS: dict[str, ObjectOptions] = {
    "too large": ObjectOptions(metadata={"a": "x" * 2048}),
    "upper case": ObjectOptions(metadata={"Colour": "x"}),
    "not a name": ObjectOptions(metadata={"a b": "x"}),
    "empty name": ObjectOptions(metadata={"": "x"}),
    "newline": ObjectOptions(metadata={"a": "x\r\nx-evil: 1"}),
    "not ASCII": ObjectOptions(metadata={"a": "\u00e4"}),
    "outer space": ObjectOptions(metadata={"a": " x"}),
    "ours": ObjectOptions(metadata={"guardid": "x"}),
    "header": ObjectOptions(content_type="a\nb"),
    "not here": ObjectOptions(storage_class="COLD"),
    "tags": ObjectOptions(tags={"a": "b"}),
}


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("name", BAD_OPTIONS)
@pytest.mark.parametrize("size_bytes", [0, LARGE])
def test_options_that_cannot_be_kept_are_refused_and_never_dropped(store: Store, name: str, size_bytes: int) -> None:
    refused(Unsupported, lambda: store.create("a/k", bytes(size_bytes), options=BAD_OPTIONS[name]))


@pytest.mark.parametrize("size_bytes", [3 << 20, 64 << 10])
@pytest.mark.parametrize("multipart", [False, True])
def test_a_full_disk_publishes_nothing_and_leaves_nothing(mount: Mount, size_bytes: int, multipart: bool) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=1m", "none")
    filler = disk / "filler"
    filler.write_bytes(bytes((1 << 20) - (48 << 10)))
    store = Store(LocalDriver(disk / "root"), part_bytes=16 << 10, multipart_from_bytes=1 if multipart else 1 << 30)
    free = os.statvfs(disk).f_bfree
    refused(NotWritten, lambda: store.create("a/k", bytes(size_bytes)))
    assert list(store.scan()) == []
    assert list((disk / "root").rglob("*")) == []
    assert os.statvfs(disk).f_bfree >= free - 1
    filler.unlink()
    assert store.create("a/k", bytes(1000)).outcome == "created"


def test_a_read_only_root_is_said_to_be_one(mount: Mount, tmp_path: Path) -> None:
    root = tmp_path / "root"
    Store(LocalDriver(root)).create("there", b"x")
    mount("--bind", str(root), at=root)
    mount("-o", "remount,bind,ro", at=root)
    store = Store(LocalDriver(root))
    for data in (b"", b"x", bytes(30 << 20)):
        error = refused(NotWritten, partial(store.create, "a/k", data))
        assert "ead-only" in str(error)
    assert store.read("there") == b"x"
    assert [each.key for each in store.scan()] == ["there"]
    refused(NotWritten, lambda: store.remove("there"), "there")


def test_reading_what_is_not_there_says_so(store: Store) -> None:
    from storage_guard import ObjectChanged, ObjectNotFound

    assert store.head("a/k") is None
    for ask in (store.read, store.remove, store.stream):
        error = refused(ObjectNotFound, partial(ask, "a/k"))
        assert isinstance(error, FileNotFoundError)
    receipt = store.create("a/k", b"0123456789")
    assert store.read("a/k", 3, 5, etag=receipt.etag) == b"34"
    assert store.read("a/k", 20) == b""
    refused(ObjectChanged, lambda: store.read("a/k", etag="other"))
    refused(ObjectChanged, lambda: store.remove("a/k", etag="other"))
    for start, stop in ((-1, None), (5, 3)):
        with pytest.raises(ValueError, match="start"):
            store.read("a/k", start, stop)


def test_an_object_replaced_midway_is_an_error_and_not_a_mix(store: Store) -> None:
    from storage_guard import ObjectChanged

    store.create("a/k", b"1" * (9 << 20))
    pieces = Store(store.driver, in_flight=1).stream("a/k")  # with more in flight, all of it has been read by then
    next(pieces)
    store.remove("a/k")
    store.create("a/k", b"2" * (9 << 20))
    with pytest.raises(ObjectChanged):
        list(pieces)
