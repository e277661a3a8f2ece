"""Files of the filesystem: what creates, what is refused, and what becomes of a file that something goes wrong with."""

from __future__ import annotations

import contextlib
import csv
import gc
import gzip
import io
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from filesystem.worlds import World, fsspec
from storage_guard import ObjectChanged, ObjectExists, Unsupported, open_store
from storage_guard.filesystem import GuardStore

PACKINGS = [None, "gzip", "bz2", "xz", "lzma"]


@pytest.mark.parametrize("mode", ["wb", "xb"])
def test_wb_and_xb_both_create(world: World, mode: str) -> None:
    fs = world.fs()
    with fs.open(world.path("k"), mode) as file:
        file.write(b"data")
        assert not fs.exists(world.path("k"))
    assert world.read("k") == b"data"


@pytest.mark.parametrize("mode", ["wb", "xb", "w", "x", "wt", "xt"])
def test_a_taken_key_is_told_when_it_is_opened(world: World, mode: str) -> None:
    fs = world.fs()
    fs.pipe(world.path("k"), b"the first")
    with pytest.raises(FileExistsError) as refused:
        fs.open(world.path("k"), mode)
    assert isinstance(refused.value, ObjectExists)
    assert world.read("k") == b"the first"


def test_a_rival_that_comes_meanwhile_wins_and_it_is_told_at_the_close(world: World) -> None:
    fs = world.fs()
    file = fs.open(world.path("k"), "wb")
    file.write(b"ours")
    world.create("k", b"the rival's")
    with pytest.raises(FileExistsError):
        file.close()
    assert world.read("k") == b"the rival's"


def test_an_empty_file_that_meets_a_rival_does_not_empty_it(world: World) -> None:
    file = world.fs().open(world.path("k"), "xb")
    world.create("k", b"precious")
    with pytest.raises(FileExistsError):
        file.close()
    assert world.read("k") == b"precious"


@pytest.mark.parametrize("mode", ["ab", "a", "at", "r+b", "r+", "w+b", "a+", "x+b"])
def test_a_mode_that_changes_is_refused(local: World, mode: str) -> None:
    fs = local.fs()
    fs.pipe(local.path("k"), b"data")
    with pytest.raises(Unsupported, match="only created"):
        fs.open(local.path("k"), mode)
    assert local.read("k") == b"data"


@pytest.mark.parametrize("mode", ["", "b", "rw", "wx", "q", "rbt", "wbb"])
def test_what_is_no_mode_is_refused(local: World, mode: str) -> None:
    with pytest.raises(ValueError, match="no mode"):
        local.fs().open(local.path("k"), mode)


@pytest.mark.parametrize("call", ["pipe_file", "put_file"])
def test_overwriting_is_refused_by_its_name(local: World, call: str, tmp_path: Any) -> None:
    (tmp_path / "source").write_bytes(b"new")
    fs = local.fs()
    source = b"new" if call == "pipe_file" else str(tmp_path / "source")
    given = (local.path("k"), source) if call == "pipe_file" else (source, local.path("k"))
    for _ in range(2):  # a free key too: what was asked for is not what would happen
        with pytest.raises(Unsupported, match="overwrite"):
            getattr(fs, call)(*given, mode="overwrite")
        fs.pipe(local.path("k"), b"data", if_exists="skip")
    assert local.read("k") == b"data"
    with pytest.raises(ValueError, match="mode must be"):
        fs.pipe_file(local.path("other"), b"new", mode="replace")


@pytest.mark.parametrize("packing", PACKINGS)
def test_text_and_compression_come_back(world: World, packing: str | None) -> None:
    fs, path = world.fs(), world.path("k")
    with fs.open(path, "wt", compression=packing, encoding="utf-16", newline="\r\n") as file:
        file.write("Grüße\n")
    with fs.open(path, "rt", compression=packing, encoding="utf-16", newline="") as file:
        assert file.read() == "Grüße\r\n"
    with fs.open(path, "rb", compression=packing, block_size=4) as file:
        assert file.read() == "Grüße\r\n".encode("utf-16")


def test_compression_is_inferred_and_equal_data_is_equal_bytes(local: World) -> None:
    fs = local.fs(if_exists="same")
    for _ in range(2):
        with fs.open(local.path("k.gz"), "wb", compression="infer") as file:
            file.write(b"data")
    assert gzip.decompress(local.read("k.gz")) == b"data"
    with fs.open(local.path("k.gz"), compression="infer") as file:
        assert file.read() == b"data"


def test_a_codec_that_would_not_discard_is_refused_for_writing(local: World) -> None:
    with pytest.raises(Unsupported, match="compression='zip'"):
        local.fs().open(local.path("k.zip"), "wb", compression="infer")
    assert local.names() == []


# Something goes wrong

Write = Callable[[World], Any]


def binary(world: World) -> Any:
    return world.fs().open(world.path("k"), "wb")


def text(world: World) -> Any:
    return world.fs().open(world.path("k"), "wt")


def packed(world: World) -> Any:
    return world.fs().open(world.path("k"), "wb", compression="gzip")


def by_url(world: World) -> Any:
    return fsspec.open(world.url("k"), "wb", **world.options)


def text_by_url(world: World) -> Any:
    return fsspec.open(world.url("k"), "wt", **world.options)


def packed_by_url(world: World) -> Any:
    return fsspec.open(world.url("k.gz"), "wt", compression="infer", **world.options)


OURS: list[Write] = [binary, text, packed]
THEIRS: list[Write] = [by_url, text_by_url, packed_by_url]


def fill(file: Any) -> None:
    file.write("half" if isinstance(file, io.TextIOBase) else b"half")


def fail_midway(file: Any) -> None:
    fill(file)
    raise ZeroDivisionError


@pytest.mark.parametrize("opened", OURS)
def test_an_exception_in_the_block_discards(world: World, opened: Write) -> None:
    with pytest.raises(ZeroDivisionError), opened(world) as file:
        fail_midway(file)
    assert world.names() == []


@pytest.mark.parametrize("opened", THEIRS)
def test_an_exception_in_the_block_of_fsspec_discards_and_that_is_told(world: World, opened: Write) -> None:
    with (
        pytest.warns(RuntimeWarning, match="ZeroDivisionError"),
        pytest.raises(ZeroDivisionError),
        opened(world) as file,
    ):
        fail_midway(file)
    assert world.names() == []


def test_an_exception_under_a_csv_writer_discards(world: World) -> None:
    def rows() -> Iterator[list[int]]:
        yield [1, 2]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), world.fs().open(world.path("k"), "wt", newline="") as file:
        csv.writer(file).writerows(rows())
    assert world.names() == []


@pytest.mark.parametrize("opened", [*OURS, *THEIRS])
def test_a_file_that_is_collected_unclosed_is_discarded_with_a_warning(world: World, opened: Write) -> None:
    def forget() -> None:
        file: Any = opened(world)
        fill(file.open() if isinstance(file, fsspec.core.OpenFile) else file)

        gc.collect(1)  # where an exception of a moment ago still holds it

    with pytest.warns(ResourceWarning, match="was not written"):
        forget()
    assert world.names() == []


DROP = """
import io, sys
import fsspec
fs, path = fsspec.url_to_fs(sys.argv[1])
wrap = {"text": lambda file: io.TextIOWrapper(file), "buffer": io.BufferedWriter}[sys.argv[2]]
wrapper = wrap(fs.open(path, "wb"))
wrapper.write("half" if sys.argv[2] == "text" else b"half")
del wrapper
"""


@pytest.mark.parametrize("wrapper", ["text", "buffer"])
def test_a_dropped_wrapper_warns_once_and_raises_nothing(local: World, wrapper: str) -> None:
    """In development mode, and from Python 3.13 on always, what a finalizer raises is shown."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore::DeprecationWarning", "-c", DROP, local.url("k"), wrapper],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("k' was not written") == 1
    assert "Exception ignored" not in done.stderr
    assert local.names() == []


def test_a_file_is_closed_once_and_takes_no_more(local: World) -> None:
    file = local.fs().open(local.path("k"), "wb")
    file.write(b"data")
    file.close()
    file.close()
    with pytest.raises(ValueError, match="committed"):
        file.write(b"more")
    assert local.read("k") == b"data"


def test_a_writer_does_not_seek(local: World) -> None:
    with local.fs().open(local.path("k"), "wb") as file:
        assert not file.seekable()
        with pytest.raises(io.UnsupportedOperation):
            file.seek(0)
        file.write(b"data")
        assert file.tell() == 4
    assert local.read("k") == b"data"


def test_a_discarded_file_leaves_the_key_free(world: World) -> None:
    fs = world.fs()
    file = fs.open(world.path("k"), "wb")
    file.write(b"one")
    file.discard()
    with fs.open(world.path("k"), "wb") as file:
        file.write(b"two")
    assert world.read("k") == b"two"


# Retried tasks


def test_a_retried_task_succeeds_on_its_own_bytes_only(world: World) -> None:
    fs = world.fs(if_exists="same")
    for _ in range(2):
        with fs.open(world.path("k"), "wb") as file:
            file.write(b"the same")
        fs.pipe(world.path("p"), b"the same")
        fs.pipe({world.path("m1"): b"the same", world.path("m2"): b"the same"})
    writes: list[Callable[[], object]] = [
        lambda: fs.pipe(world.path("k"), b"others"),
        lambda: fs.pipe({world.path("m1"): b"others"}),
    ]
    for write in writes:
        with pytest.raises(FileExistsError):
            write()
    with pytest.raises(FileExistsError), fs.open(world.path("k"), "xb") as file:
        file.write(b"others")
    assert world.read("k") == world.read("m1") == b"the same"


def test_one_call_may_say_what_another_filesystem_would(local: World) -> None:
    fs = local.fs()
    fs.pipe(local.path("k"), b"data")
    fs.pipe(local.path("k"), b"other", if_exists="skip")
    fs.pipe(local.path("k"), b"data", if_exists="same")
    with fs.open(local.path("once"), "wb", write_id="job-7") as file:
        file.write(b"x")
    with fs.open(local.path("once"), "wb", write_id="job-7") as file:
        file.write(b"x")
    assert file.receipt.write_id == "job-7"
    with pytest.raises(TypeError):
        fs.open(local.path("other"), "wb", no_such_option=1)
    assert local.read("k") == b"data"


# Reading


@pytest.mark.parametrize("how", [{}, {"block_size": 5}, {"cache_type": "all"}, {"cache_type": "none"}])
def test_a_reader_reads_what_is_there(world: World, how: dict[str, Any]) -> None:
    data = bytes(range(100))
    fs = world.fs()
    fs.pipe(world.path("k"), data)
    with fs.open(world.path("k"), **how) as file:
        assert file.size == 100
        assert file.read(7) == data[:7]
        file.seek(-3, 2)
        assert file.read() == data[-3:]
        file.seek(50)
        assert file.read(1) == data[50:51]
    assert fs.read_block(world.path("k"), 10, 5) == data[10:15]
    with pytest.raises(FileNotFoundError):
        fs.open(world.path("nothing"), **how)


@pytest.mark.parametrize("how", [{}, {"cache_type": "none"}])
def test_a_reader_never_mixes_two_objects(world: World, how: dict[str, Any]) -> None:
    fs = world.fs()
    fs.pipe(world.path("k"), b"1" * 500_000)
    with fs.open(world.path("k"), **how) as file:
        file.read(10)
        world.remove("k")
        world.create("k", b"2" * 500_000)
        with pytest.raises(ObjectChanged):
            file.read()


@pytest.mark.parametrize(
    ("start", "end"),
    [(None, None), (0, 3), (2, None), (-3, None), (None, -3), (-5, -2), (4, 4), (5, 2), (8, 99), (0, 0)],
)
def test_a_range_is_a_slice(world: World, start: int | None, end: int | None) -> None:
    data = b"0123456789"
    fs = world.fs()
    fs.pipe(world.path("k"), data)
    assert fs.cat_file(world.path("k"), start, end) == data[start:end]
    assert fs.cat_ranges([world.path("k")] * 2, start, end) == [data[start:end]] * 2
    assert (fs.head(world.path("k"), 3), fs.tail(world.path("k"), 3)) == (data[:3], data[-3:])


# What travels


def test_a_filesystem_and_an_open_file_that_is_not_open_pickle(world: World) -> None:
    closed = fsspec.open(world.url("k"), "wb", **world.options)
    again = pickle.loads(pickle.dumps(closed))
    with again as file:
        file.write(b"data")
    fs = pickle.loads(pickle.dumps(world.fs(if_exists="same")))
    fs.pipe(world.path("k"), b"data")
    assert fs.cat(world.path("k")) == b"data"


@pytest.mark.parametrize("mode", ["wb", "wt", "rb"])
def test_a_file_that_is_open_does_not_pickle(local: World, mode: str) -> None:
    fs = local.fs()
    if mode == "rb":
        fs.pipe(local.path("k"), b"data")
    file = fs.open(local.path("k"), mode)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(file)
    with contextlib.suppress(AttributeError):
        file.discard()


def test_a_reader_with_a_cache_does_not_pickle(local: World) -> None:
    fs = local.fs()
    fs.pipe(local.path("k"), b"data")
    with fs.open(local.path("k"), block_size=2) as file, pytest.raises(TypeError, match="pickled"):
        pickle.dumps(file)


def test_a_store_is_a_filesystem_and_two_of_one_name_are_two() -> None:
    one, two = open_store("memory://one"), open_store("memory://one", part_bytes=1 << 20)
    first, second = GuardStore(store=one), GuardStore(store=two)
    assert first is not second
    first.pipe("a/b", b"data")
    assert second.find("") == ["guardstore:/a/b"]
    assert second.ls("a", detail=False) == ["guardstore:/a/b"]
    assert second.cat("guardstore:///a/b") == second.cat("/a/b") == second.cat("a/b") == b"data"
    assert pickle.loads(pickle.dumps(second)).cat("a/b") == b"data"
    assert one.read("a/b") == b"data"
