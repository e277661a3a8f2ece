"""macOS and Windows, as far as Linux can tell: the decisions, and the driver on calls that are made up."""

from __future__ import annotations

import ctypes
import errno
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from storage_guard import AccessDenied, InvalidKey, ObjectExists, ObjectOptions, Store, Unsupported
from storage_guard.driver import Driver
from storage_guard.testing import DriverContract
from storage_guard_local import LocalDriver, System, path_here
from storage_guard_local.systems import system_of
from storage_guard_local.systems_macos import MacSystem
from storage_guard_local.systems_windows import Kernel, WindowsSystem, is_link, key_trouble

AT_FDCWD = -100


class MadeUpKernel(Kernel):
    """The two calls, as Linux has them."""

    def open(self, path: str, flags: int) -> int:
        return os.open(path, flags, 0o666)

    def move_new(self, source: str, target: str) -> None:
        System().rename_noreplace(source, target, source_fd=AT_FDCWD, dir_fd=AT_FDCWD)


def test_each_platform_has_its_system() -> None:
    found = [type(system_of(each)) for each in ("linux", "freebsd14", "darwin", "win32")]
    assert found == [System, System, MacSystem, WindowsSystem]
    assert isinstance(pickle.loads(pickle.dumps(MacSystem(library=object()))), MacSystem)
    assert isinstance(pickle.loads(pickle.dumps(WindowsSystem(MadeUpKernel()))), WindowsSystem)


# The laws of all drivers

TREE = {
    "test_a_folder_is_not_an_object": "where a folder is, no file can be",
    "test_an_object_is_not_a_folder": "where a file is, no folder can be",
    "test_a_key_may_be_the_beginning_of_another": "a name is a file or a folder, not both",
}


class TestMac(DriverContract):
    departures = TREE
    race_rounds = 20

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Callable[[], Driver]:
        return lambda: LocalDriver(tmp_path / "root", durable=False, system=Mac())


class AllKeys(WindowsSystem):
    """What Windows reads as something else is a name like any other to the disk below."""

    def key_trouble(self, key: str) -> str:  # noqa: ARG002 - as the base has it
        return ""


class TestWindows(DriverContract):
    departures = TREE
    race_rounds = 20

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Callable[[], Driver]:
        return lambda: LocalDriver(tmp_path / "root", durable=False, system=AllKeys(MadeUpKernel()))


# macOS


class MadeUpLibrary:
    """The C functions that macOS has, doing what they would with those of Linux."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fsetxattr = self._function("fsetxattr", self._set)
        self.fgetxattr = self._function("fgetxattr", self._get)
        self.renameatx_np = self._function("renameatx_np", self._rename)

    def _function(self, name: str, act: Callable[..., Any]) -> Callable[..., int]:
        def call(*args: Any) -> int:
            self.calls.append(name)
            try:
                return act(*args) or 0
            except OSError as exc:
                ctypes.set_errno(93 if exc.errno == errno.ENODATA else exc.errno or 0)
                return -1

        return call

    def _set(self, fd: int, name: bytes, value: bytes, *_: Any) -> None:
        os.setxattr(fd, name, value)

    def _get(self, fd: int, name: bytes, buffer: Any, *_: Any) -> int:
        value = os.getxattr(fd, name)
        if buffer is not None:
            buffer[: len(value)] = value
        return len(value)

    def _rename(self, source_fd: int, source: bytes, dir_fd: int, name: bytes, flags: int) -> None:
        assert flags == 4
        System().rename_noreplace(source.decode(), name.decode(), source_fd=source_fd, dir_fd=dir_fd)


class Mac(MacSystem):
    """Without what only Linux has."""

    def __init__(self, *, links: bool = True, control: Any = None) -> None:
        self.library = MadeUpLibrary()
        self.controls: list[int] = []
        self.links = links
        super().__init__(self.library, control or self._control_made_up)

    def _control_made_up(self, fd: int, what: int) -> None:
        assert what == 51
        self.controls.append(fd)

    def open(self, path: str, flags: int, *, dir_fd: int | None = None) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EINVAL, "no such flag")
        return super().open(path, flags, dir_fd=dir_fd)

    def link(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
        if not self.links:
            raise OSError(errno.ENOTSUP, "no links")
        super().link(source, name, source_fd=source_fd, dir_fd=dir_fd)


@pytest.mark.parametrize("links", [True, False])
def test_on_a_mac_objects_are_linked_or_renamed_with_attributes_and_synced_through_the_drive(
    links: bool, tmp_path: Path
) -> None:
    system = Mac(links=links)
    store = Store(LocalDriver(tmp_path, system=system), part_bytes=1000, multipart_from_bytes=2000)
    options = ObjectOptions(metadata={"colour": "green"})
    store.create("a/k", b"data", write_id="w", options=options)
    store.create("m", bytes(5000))
    with pytest.raises(ObjectExists):
        store.create("a/k", b"other")
    head = store.head("a/k")
    assert head is not None
    assert (head.write_id, head.options) == ("w", options)
    assert ("renameatx_np" in system.library.calls) is not links
    assert len(system.controls) >= 6
    (tmp_path / "foreign").write_bytes(b"")
    foreign = store.head("foreign")
    assert foreign is not None
    assert foreign.write_id is None  # "no such attribute" has another number there


def test_on_a_mac_a_disk_without_the_full_sync_gets_the_plain_one(tmp_path: Path) -> None:
    def control(_fd: int, _what: int) -> None:
        raise OSError(code, os.strerror(code))

    with (tmp_path / "file").open("wb") as file:
        code = errno.ENOTSUP
        Mac(control=control).fsync(file.fileno())
        code = errno.EIO
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            Mac(control=control).fsync(file.fileno())


@pytest.mark.parametrize("name", [".Storage-Guard", ".storage\u200c-guard", "\uff0estorage-guard"])
def test_on_a_mac_another_spelling_of_our_own_folder_is_no_key(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidKey, match="kept for the library"):
        Store(LocalDriver(tmp_path, system=Mac())).create(f"{name}/tmp/k", b"")
    assert MacSystem().key_trouble(f"a/{name}") == ""
    assert System().key_trouble(name) == ""


# Windows


def windows(root: Path, kernel: Kernel | None = None) -> Store:
    driver = LocalDriver(root, system=WindowsSystem(kernel or MadeUpKernel()))
    return Store(driver, part_bytes=1000, multipart_from_bytes=2000)


def test_on_windows_objects_are_moved_into_place_and_never_over_another(tmp_path: Path) -> None:
    store = windows(tmp_path / "new" / "root")
    assert store.create("a/b/k", b"data").outcome == "created"
    assert store.create("m", bytes(5000)).parts == 5
    for key in ("a/b/k", "m"):
        with pytest.raises(ObjectExists):
            store.create(key, b"other")
        assert store.create(key, b"other", if_exists="skip").outcome == "present"
    assert [found.key for found in store.scan()] == ["a/b/k", "m"]
    assert store.read("a/b/k") == b"data"
    with pytest.raises(InvalidKey):
        store.create("a/b", b"a folder is there")
    with pytest.raises(InvalidKey):
        store.create("m/k", b"a file is there")
    store.remove("a/b/k")
    assert sorted(os.listdir(tmp_path / "new" / "root")) == [".storage-guard", "m"]
    assert os.listdir(tmp_path / "new" / "root" / ".storage-guard" / "tmp") == []


def test_on_windows_of_many_creators_one_wins(tmp_path: Path) -> None:
    stores = [windows(tmp_path) for _ in range(4)]

    def create(number: int) -> bool:
        try:
            stores[number % 4].create(f"k{number // 8}", bytes([number]) * 5000)
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(64)))
    assert sum(won) == 8
    for turn in range(8):
        (winner,) = [number for number in range(turn * 8, turn * 8 + 8) if won[number]]
        assert stores[0].read(f"k{turn}") == bytes([winner]) * 5000


def test_on_windows_a_sharing_violation_is_no_conflict(tmp_path: Path) -> None:
    class Shared(MadeUpKernel):
        def move_new(self, source: str, target: str) -> None:
            if target.endswith("k"):
                raise PermissionError(errno.EACCES, "another program has it open")
            super().move_new(source, target)

    with pytest.raises(AccessDenied):
        windows(tmp_path, Shared()).create("k", b"data")
    assert windows(tmp_path).create("k", b"data").outcome == "created"


def test_on_windows_there_are_no_attributes_and_nothing_is_dropped_in_silence(tmp_path: Path) -> None:
    store = windows(tmp_path)
    assert not store.check().write_ids
    with pytest.raises(Unsupported):
        store.create("k", b"", options=ObjectOptions(content_type="text/plain"))
    with pytest.raises(Unsupported):
        store.create("k", b"", write_id="w")
    assert store.head("k") is None


def test_on_windows_links_below_the_root_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "via").symlink_to(tmp_path / "root")
    with pytest.raises(InvalidKey, match="symbolic link"):
        windows(tmp_path / "root").create("link/k", b"data")
    with pytest.raises(InvalidKey):
        windows(tmp_path / "root").create("link", b"data")
    assert windows(tmp_path / "via").create("k", b"data").outcome == "created"
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_junction_is_a_link() -> None:
    class Junction:
        st_mode = 0o040777
        st_file_attributes = 0x400

    junction: Any = Junction()
    assert is_link(junction)
    assert not is_link(os.stat("/"))


@pytest.mark.parametrize(
    "key",
    [
        "con", "a/NUL", "Com1.txt", "lpt9", "a/aux .tar.gz/b", "COM¹", "a./b", "a/b ", "a:b", "a\\b", 'a"b', "a?b",
        "a*b", "a|b", "<a", "a>", ".Storage-Guard/x", "STORAG~1/tmp/x",
    ],
)  # fmt: skip
def test_windows_cannot_hold_such_keys(key: str, tmp_path: Path) -> None:
    assert key_trouble(key)
    store = windows(tmp_path)
    with pytest.raises(InvalidKey):
        store.create(key, b"data")
    assert list(store.scan()) == []


@pytest.mark.parametrize(
    "key", ["a/b", "console", "com", "com10", "null.txt", ".a", "a b", "a.b/c~1", "x/.storage-guard"]
)
def test_windows_holds_all_others(key: str) -> None:
    assert key_trouble(key) == ""


def test_the_drive_of_a_url_is_a_drive_on_windows_only() -> None:
    assert [path_here("/C:/data", each) for each in ("win32", "linux")] == ["C:/data", "/C:/data"]
    assert path_here("/data/C:/x", "win32") == "/data/C:/x"


SIMULATED = """
import ctypes, io, os, pickle, sys, tempfile
import concurrent.futures, subprocess  # these look at the platform themselves, when they are imported
platform, root = sys.argv[1:]
lacking = {
    "darwin": "O_TMPFILE O_PATH setxattr getxattr listxattr copy_file_range preadv",
    "win32": "O_TMPFILE O_PATH O_DIRECTORY O_NOFOLLOW O_NONBLOCK setxattr getxattr listxattr copy_file_range preadv "
    "pwrite pread",
}[platform]
for name in lacking.split():
    delattr(os, name)
sys.platform = platform
if platform == "win32":
    sys.modules["fcntl"] = None
    def without_folders(call):
        def checked(*args, **more):
            assert more.get("dir_fd") is None and more.get("src_dir_fd") is None, "there are no folder descriptors"
            assert not (args and isinstance(args[0], int) and args[0] >= 1 << 30), "a made-up number got out"
            return call(*args, **more)
        return checked
    for name in "open stat lstat link unlink mkdir rmdir fstat fsync close scandir".split():
        setattr(os, name, without_folders(getattr(os, name)))
import storage_guard_local
from storage_guard import ObjectExists, Store
from storage_guard_local.systems import system_of
print(type(system_of(platform)).__name__)
if platform == "win32":
    from storage_guard_local.systems_windows import Kernel, WindowsSystem
    class MadeUp(Kernel):
        def open(self, path, flags):
            return os.open(path, flags)
        def move_new(self, source, target):
            storage_guard_local.System().rename_noreplace(source, target, source_fd=-100, dir_fd=-100)
    store = Store(storage_guard_local.LocalDriver(root, system=WindowsSystem(MadeUp())))
    store.create("a/k", b"data")
    try:
        store.create("a/k", b"data")
    except ObjectExists:
        print(store.read("a/k"), [found.key for found in store.scan()])
    store.remove("a/k")
"""


@pytest.mark.parametrize(
    ("platform", "says"), [("darwin", "MacSystem\n"), ("win32", "WindowsSystem\nb'data' ['a/k']\n")]
)
def test_the_package_imports_where_the_os_module_lacks_what_linux_has(platform: str, says: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIMULATED, platform, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, says), done.stderr
