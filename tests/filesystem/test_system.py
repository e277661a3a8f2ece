"""How a filesystem comes about: protocols, chains, options, caches around it, threads and forks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.spec import AbstractFileSystem

from filesystem.worlds import World, fsspec, registry
from storage_guard import InvalidKey, ObjectChanged, Store, Unsupported
from storage_guard.filesystem import GuardFile, GuardFileSystem, GuardOSS, GuardS3, GuardStore
from storage_guard.memory import MemoryDriver


@pytest.mark.parametrize(("protocol", "kind"), [("guardfile", GuardFile), ("guardoss", GuardOSS), ("guards3", GuardS3)])
def test_a_protocol_is_found_by_its_name(protocol: str, kind: type) -> None:
    assert type(fsspec.filesystem(protocol)) is kind
    assert issubclass(kind, GuardFileSystem)
    assert registry.known_implementations[protocol]["class"] == f"storage_guard.filesystem.{kind.__name__}"


def test_paths_of_the_disk_are_marked_and_taken_literally(tmp_path: Path) -> None:
    fs: Any = GuardFile()
    strip = fs._strip_protocol
    for given in (
        "guardfile:///a/b%20c",
        "guardfile:/a/b%20c",
        "/a/b%20c",
        "guardfile:///a/b%20c/",
        "guardfile://guardfile:/a/b%20c",
        Path("/a/b%20c"),
    ):
        assert strip(given) == "guardfile:/a/b%20c"
    assert strip(["/a", "guardfile:///b"]) == ["guardfile:/a", "guardfile:/b"]
    assert strip("guardfile://") == strip("/") == fs._parent("/a") == fs._parent("/") == "guardfile:/"
    assert fs._parent("guardfile:///a/b/c") == "guardfile:/a/b"
    assert strip("a/b") == f"guardfile:{os.getcwd()}/a/b"
    assert fs.unstrip_protocol("guardfile:/a/b") == "guardfile:///a/b"
    fs.pipe(f"guardfile://{tmp_path}/b%20c #?", b"data")
    assert (tmp_path / "b%20c #?").read_bytes() == b"data"
    assert not os.path.lexists("guardfile:")


def test_a_chain_gives_its_url_back_and_keeps_its_filesystem() -> None:
    one = fsspec.open("guard::memory://chained/a/b", "wb")
    two = fsspec.open("guard::memory://chained/c", "rb")
    assert one.fs is two.fs
    assert (one.path, one.full_name) == ("/chained/a/b", "guard::memory://chained/a/b")
    with one as file:
        file.write(b"data")
    assert two.fs.ls("guard::memory://chained/a", detail=False) == ["/chained/a/b"]
    with fsspec.open("guard::memory://chained/a/b") as file:
        assert file.read() == b"data"


def test_what_pandas_asks_behind_a_permission_error_is_one_again_and_no_type_error() -> None:
    with pytest.raises(PermissionError, match="anonymous=True"):
        fsspec.filesystem("guardfile", anon=True)
    assert fsspec.filesystem("guardfile", anon=False)


def test_options_reach_both_ends_of_a_chain() -> None:
    fs, path = fsspec.core.url_to_fs("guard::memory://options/k", guard={"if_exists": "same"}, memory={"part_bytes": 1})
    fs.pipe(path, b"same")
    fs.pipe(path, b"same")
    fs, path = fsspec.core.url_to_fs("guard::memory://options/k", memory={"no_such_option": 1})
    with pytest.raises(TypeError, match="no_such_option"):
        fs.pipe(path, b"x")


def test_a_chain_to_a_service_uses_our_own_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    class Theirs(AbstractFileSystem):
        protocol = "oss"

    monkeypatch.setitem(registry._registry, "oss", Theirs)
    fs, path = fsspec.core.url_to_fs("guard::oss://bucket/key", oss={"region": "cn-hangzhou"})
    store, key = fs.places.file_at(path)
    assert (type(store.driver).__name__, store.url, key) == ("OSSDriver", "oss://bucket", "key")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("guard::file:///tmp/x", "guardfile://"),
        ("guard::local:///tmp/x", "guardfile://"),
        ("guard::ftp://host/folder/x", "no backend for ftp://"),
        ("guard://x", "stands before another URL"),
        ("guardoss://", "names no bucket"),
    ],
)
def test_a_url_that_cannot_be_used_says_why(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fsspec.open(url, "wb").open()


def test_an_option_that_nobody_knows_is_refused(local: World) -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        local.fs(no_such_option=1).pipe(local.path("k"), b"x")
    with pytest.raises(ValueError, match="if_exists"):
        local.fs(if_exists="replace")
    fs = local.fs()
    calls: list[Callable[[], object]] = [
        lambda: fs.ls("x", sort=True),
        lambda: fs.info("x", version=1),
        lambda: fs.find("x", prefix="y"),
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()


MISSING = """
import sys
sys.modules["{module}"] = None
{program}
"""


@pytest.mark.parametrize(
    ("module", "program", "said"),
    [
        ("fsspec", "import storage_guard.filesystem", "pip install 'storage-guard[fsspec]'"),
        ("oss2", "import fsspec; fsspec.open('guardoss://b/k', 'wb').open()", "pip install 'storage-guard[oss]'"),
        ("botocore", "import fsspec; fsspec.open('guards3://b/k', 'wb').open()", "pip install 'storage-guard[s3]'"),
    ],
)
def test_an_extra_that_is_missing_is_named_in_one_line(module: str, program: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MISSING.format(module=module, program=program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ModuleNotFoundError: ")
    assert said in done.stderr.splitlines()[-1]


def test_equal_options_are_one_filesystem_in_a_thread_and_another_in_another() -> None:
    here = fsspec.filesystem("guardfile", if_exists="same")
    assert here is fsspec.filesystem("guardfile", if_exists="same")
    assert here is not fsspec.filesystem("guardfile")
    there: list[Any] = []
    thread = threading.Thread(target=lambda: there.append(fsspec.filesystem("guardfile", if_exists="same")))
    thread.start()
    thread.join()
    assert there[0] is not here


def test_one_filesystem_may_be_used_by_many_threads(world: World) -> None:
    fs, wins = world.fs(), list[int]()

    def write(number: int) -> None:
        for key in range(10):
            try:
                with fs.open(world.path(f"{key}"), "wb") as file:
                    file.write(bytes([number]))
            except FileExistsError:
                continue
            wins.append(key)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(wins) == list(range(10))


# The disk


def test_each_disk_is_a_store_and_links_on_the_way_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    fs = GuardFile()
    fs.pipe(f"{tmp_path}/link/sub/k", b"data")
    fs.pipe(f"{tmp_path}/real/sub/l", b"data")
    assert fs.find(f"{tmp_path}/link") == [f"guardfile:{tmp_path}/link/sub/k", f"guardfile:{tmp_path}/link/sub/l"]
    one, two = (fs.places.file_at(f"guardfile:{tmp_path}/{folder}/sub/k") for folder in ("link", "real"))
    assert one == two
    with pytest.raises(FileExistsError):
        fs.pipe(f"{tmp_path}/real/sub/k", b"other")


def test_a_mount_below_a_store_is_a_store_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mount/sub").mkdir(parents=True)

    def nearest(path: str) -> tuple[str, int]:
        return path, 2 if f"{tmp_path}/mount" in path else 1

    monkeypatch.setattr("storage_guard.filesystem.places.nearest", nearest)
    places = GuardFile(skip_instance_cache=True).places
    above, below, further = (places.file_at(f"guardfile:{tmp_path}/{name}") for name in ("k", "mount/k", "mount/sub/k"))
    assert above[0] is not below[0]
    assert (above[1], below[1], further) == ("k", "k", (below[0], "sub/k"))


def test_a_link_is_no_object(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"data")
    (tmp_path / "link").symlink_to("there")
    with pytest.raises(InvalidKey, match="symbolic link"):
        GuardFile().cat(f"{tmp_path}/link")
    with pytest.raises(InvalidKey, match="symbolic link"):
        GuardFile().pipe(f"{tmp_path}/link", b"x")
    assert (tmp_path / "there").read_bytes() == b"data"


def test_what_the_library_keeps_for_itself_is_not_written_to(tmp_path: Path) -> None:
    for path in (f"{tmp_path}/.storage-guard/tmp/k", f"{tmp_path}/.storage-guard/k"):
        with pytest.raises(InvalidKey):
            GuardFile().pipe(path, b"x")


def test_the_root_of_the_disk_is_a_directory() -> None:
    assert GuardFile().info("guardfile:///")["type"] == "directory"
    assert GuardFile().isdir("/")
    with pytest.raises(IsADirectoryError):
        GuardFile().open("/", "wb")


@pytest.mark.parametrize("mode", ["wb", "rb"])
@pytest.mark.parametrize(
    ("url", "found", "wanted"),
    [
        ("guards3:///x.csv", "the bucket is missing", "guards3://bucket/key"),
        ("guardoss:///x.csv", "the bucket is missing", "guardoss://bucket/key"),
        ("guards3://bucket", "a bucket without a key", "guards3://bucket/key"),
        ("guard::memory:///x.csv", "the bucket is missing", "guard::memory://bucket/key"),
    ],
)
def test_a_url_without_a_bucket_or_a_key_is_told_what_one_looks_like(
    url: str, found: str, wanted: str, mode: str
) -> None:
    with pytest.raises(IsADirectoryError, match=rf"{found}, where {wanted} is wanted"):
        fsspec.open(url, mode).open()


def test_buckets_are_not_listed_and_it_is_said_what_is_wanted() -> None:
    with pytest.raises(ValueError, match="names no bucket, where guardoss://bucket/key is wanted"):
        fsspec.filesystem("guardoss").ls("")


# Caches around it


# fsspec's caches close some of their files by dropping them.
@pytest.mark.filterwarnings("ignore:unclosed file <_io.BufferedRandom:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("cache", ["simplecache", "filecache", "blockcache"])
def test_a_cache_reads_what_is_there(world: World, cache: str, tmp_path: Path) -> None:
    data = bytes(range(256)) * 100
    world.fs().pipe(world.path("k"), data)
    protocol = world.base_url.partition(":")[0]
    options = {protocol: world.options} if protocol != "guard" else {}
    for _ in range(2):
        with fsspec.open(
            f"{cache}::{world.url('k')}", **{cache: {"cache_storage": str(tmp_path / "c")}}, **options
        ) as file:
            assert file.read(1000) == data[:1000]
            file.seek(20_000)
            assert file.read(10) == data[20_000:20_010]


@pytest.mark.parametrize("cache", ["simplecache", "filecache"])
@pytest.mark.parametrize("mode", ["wb", "xb", "wt"])
def test_a_cache_that_would_publish_what_an_exception_left_does_not_write(
    local: World, cache: str, mode: str, tmp_path: Path
) -> None:
    opened = fsspec.open(f"{cache}::{local.url('k')}", mode, **{cache: {"cache_storage": str(tmp_path / "c")}})
    with pytest.raises(Unsupported, match="simplecache:: and filecache::"), opened as file:
        file.write("half" if mode == "wt" else b"half")
    assert local.names() == []
    local.fs().pipe(local.path("k"), b"another's")
    with fsspec.open(f"{cache}::{local.url('k')}", **{cache: {"cache_storage": str(tmp_path / "c")}}) as file:
        assert file.read() == b"another's"


@pytest.mark.filterwarnings("ignore:unclosed file <_io.BufferedWriter:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning")
def test_several_files_through_a_cache_are_not_written_either(local: World, tmp_path: Path) -> None:
    urls = [f"simplecache::{local.url(name)}" for name in "ab"]
    opened = fsspec.open_files(urls, "wb", simplecache={"cache_storage": str(tmp_path / "c")})
    with pytest.raises(Unsupported, match="simplecache::"), opened as files:
        files[0].write(b"data")
    assert local.names() == []


def test_a_folder_as_a_filesystem_keeps_the_promise(world: World) -> None:
    fs = fsspec.filesystem("dir", path=world.path("d"), fs=world.fs())
    with fs.open("k", "wb") as file:
        file.write(b"data")
    with pytest.raises(FileExistsError):
        fs.pipe("k", b"other")
    assert (fs.cat("k"), fs.ls("", detail=False), world.names()) == (b"data", ["k"], ["d/k"])


def test_a_cache_that_leaves_writing_to_us_keeps_the_promise(local: World, tmp_path: Path) -> None:
    options: dict[str, Any] = {"blockcache": {"cache_storage": str(tmp_path / "c")}}
    with fsspec.open(f"blockcache::{local.url('k')}", "wb", **options) as file:
        file.write(b"data")
    with pytest.raises(FileExistsError):
        fsspec.open(f"blockcache::{local.url('k')}", "wb", **options).open()

    def fail() -> None:
        with fsspec.open(f"blockcache::{local.url('l')}", "wt", **options) as file:
            file.write("half")
            raise ZeroDivisionError

    with pytest.warns(RuntimeWarning, match="in flight"), pytest.raises(ZeroDivisionError):
        fail()
    assert local.names() == ["k"]


def test_a_transaction_of_a_cache_keeps_the_promise(local: World, tmp_path: Path) -> None:
    fs, path = fsspec.core.url_to_fs(f"blockcache::{local.url('k')}", blockcache={"cache_storage": str(tmp_path / "c")})

    def fail() -> None:
        with fs.transaction:
            with fs.open(path, "wb") as file:
                file.write(b"data")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert local.names() == []
    with fs.transaction, fs.open(path, "wb") as file:
        file.write(b"data")
    assert local.names() == ["k"]


def test_a_cache_with_blocks_of_another_object_is_told(local: World) -> None:
    fs = local.fs()
    fs.pipe(local.path("k"), b"data")
    with pytest.raises(ObjectChanged, match="was replaced"):
        fs.open(local.path("k"), size=5)


def test_asynchronous_callers_are_told_that_it_is_not() -> None:
    assert GuardStore(store=Store(MemoryDriver()), asynchronous=True, loop=None).async_impl is False


# Forks and kills

KILL = """
import os, signal, sys
import fsspec
opened = fsspec.open(sys.argv[1], sys.argv[2])
file = opened.open()
file.write("half" * 100_000 if "t" in sys.argv[2] else b"half" * 100_000)
file.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("mode", ["wb", "wt"])
def test_a_writer_that_is_killed_leaves_nothing(local: World, mode: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILL, local.url("k"), mode], check=False)
    assert done.returncode < 0
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


FORK = """
import os, sys, warnings
warnings.simplefilter("ignore")
sys.path[:0] = {path!r}
from pathlib import Path
from filesystem.worlds import WORLDS, close_all
world = WORLDS[{world!r}](Path({folder!r}))
try:
    fs = world.fs()
    fs.pipe(world.path("before"), b"before")
    ours = fs.open(world.path("ours"), "wb")
    ours.write(b"o" * 1000)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert fs.cat(world.path("before")) == b"before"
            fs.pipe(world.path("child"), b"child")
            try:
                fs.pipe(world.path("before"), b"other")
            except FileExistsError:
                code = 0
            ours.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert fs.cat(world.path("child")) == b"child"
    assert not fs.exists(world.path("ours"))
    ours.close()
    assert fs.cat(world.path("ours")) == b"o" * 1000
finally:
    close_all()
"""


@pytest.mark.parametrize("world_name", ["file", "oss", "s3"])
def test_a_forked_child_uses_the_filesystem_and_leaves_the_files_of_its_parent(world_name: str, tmp_path: Path) -> None:
    program = FORK.format(path=sys.path, world=world_name, folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
