"""`ObjectReader` against the built-in readers, and what it fetches for what it is asked."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import pickle
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage_guard import ObjectChanged, ObjectNotFound, Store, StoreUnavailable
from storage_guard.access import Access
from storage_guard.engine import ranges
from storage_guard.engine.sending import Bounds
from storage_guard.files import reader
from storage_guard.files.compression import Compression
from storage_guard.files.reader import ObjectReader, open_reader
from storage_guard.memory import MemoryDriver
from storage_guard.retry import RetryPolicy
from storage_guard.testing import BUSY, LOST_BEFORE, FakeClock, FaultyDriver, faulty
from storage_guard_local import LocalDriver

KIB = 1 << 10
MIB = 1 << 20
LINES = b"".join(os.urandom(n % 37).replace(b"\n", b".") + b"\n" * (n % 3) for n in range(200))
PACK: dict[Compression, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


class Watching(MemoryDriver):
    """Notes which ranges are read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[int, int]] = []

    def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
        assert etag is not None, "a reader pins all it reads"
        self.reads.append((start, stop))
        return super().read(key, start, stop, etag)


def access_to(store: Store) -> Access:
    return Access(store.driver, "", FakeClock(), RetryPolicy(), store.url)


def opened(store: Store, *, in_flight: int | None = None) -> ObjectReader:
    return ObjectReader(access_to(store), Bounds(in_flight), "k")


def holding(data: bytes, *, in_flight: int | None = None) -> tuple[Watching, ObjectReader]:
    driver = Watching()
    store = Store(driver, clock=FakeClock())
    store.create("k", data)
    return driver, opened(store, in_flight=in_flight)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch)


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, size_bytes in (
        (ranges, "PIECE_BYTES", 64),
        (reader, "FIRST_WINDOW_BYTES", 16),
        (reader, "MOST_WINDOW_BYTES", 64),
        (reader, "SOME_BYTES", 8),
        (reader, "PEEK_BYTES", 8),
    ):
        monkeypatch.setattr(module, name, size_bytes)


def no_threads_of_ours() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name == "storage-guard-part"]


# The model

NUMBER = st.integers(-1, 400)
STEP = st.one_of(
    st.tuples(st.sampled_from(["read", "readline", "read1", "readlines", "readinto", "readinto1"]), NUMBER),
    st.tuples(st.just("seek"), st.integers(0, 4000)),
    st.tuples(st.just("back"), st.integers(0, 300)),
    st.tuples(st.just("end"), st.integers(0, 300)),
    st.tuples(st.sampled_from(["next", "tell", "peek"]), st.just(0)),
)


def step(file: io.BufferedIOBase, do: str, number: int) -> object:
    """What a step answers. `read1` and `peek` may answer less than the model has, so the rest is read behind them."""
    match do:
        case "read" | "readline":
            return cast("bytes", getattr(file, do)(number))
        case "read1":
            wanted = 50 if number < 0 else number
            out = b""
            while len(out) < wanted and (piece := file.read1(wanted - len(out))):
                out += piece
            return out
        case "readlines":
            return file.readlines(number)
        case "readinto" | "readinto1":
            buffer = bytearray(max(0, number))
            count = file.readinto(buffer)
            return count, bytes(buffer)
        case "seek":
            return file.seek(number)
        case "back":
            return file.seek(-min(number, file.tell()), io.SEEK_CUR)
        case "end":
            return file.seek(-number, io.SEEK_END)
        case "next":
            return next(file, None)
        case _:
            return file.tell()


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.usefixtures("small")
@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEP, max_size=30))
def test_any_steps_give_what_a_file_in_memory_gives(in_flight: int, steps: list[tuple[str, int]]) -> None:
    model = io.BufferedReader(io.BytesIO(LINES), 8)
    _, file = holding(LINES, in_flight=in_flight)
    with file:
        for do, number in steps:
            if do == "peek":
                seen = file.peek()
                assert LINES[model.tell() :].startswith(seen)
                assert bool(seen) == (model.tell() < len(LINES))
            assert step(file, do, number) == step(model, do, number), (do, number)
            assert file.tell() == model.tell()
    assert no_threads_of_ours()


@pytest.mark.parametrize("compression", PACK)
@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEP, max_size=20))
def test_any_steps_on_compressed_data_give_what_is_in_it(
    compression: Compression, steps: list[tuple[str, int]]
) -> None:
    pack = PACK[compression]
    model = io.BufferedReader(io.BytesIO(LINES), 8)
    store = Store(MemoryDriver())
    store.create("k", pack(LINES[:1000]) + pack(b"") + pack(LINES[1000:]))
    with open_reader(access_to(store), Bounds(), "k", "rb", compression, None, None, None) as file:
        assert isinstance(file, io.BufferedIOBase)
        for do, number in steps:
            if do not in ("peek", "seek") or number < len(LINES):  # behind the end it stays at the end, as in `gzip`
                assert step(file, do, number) == step(model, do, number), (do, number)


@pytest.mark.usefixtures("small")
def test_lines_are_those_of_the_object() -> None:
    _, file = holding(LINES)
    assert list(file) == io.BytesIO(LINES).readlines()
    file.seek(0)
    assert file.readlines() == io.BytesIO(LINES).readlines()


@pytest.mark.parametrize("kind", ["memory", "local"])
def test_a_large_object_is_read_whole_in_every_way(kind: str, tmp_path: Path) -> None:
    data = os.urandom(MIB) * 23 + b"the end"
    store = Store(MemoryDriver() if kind == "memory" else LocalDriver(tmp_path / "root", durable=False))
    store.create("k", data)
    with opened(store) as file:
        assert file.read() == data
    out = io.BytesIO()
    with opened(store) as file:
        shutil.copyfileobj(file, out)
    assert out.getvalue() == data
    buffer = bytearray(len(data) + 1)
    with opened(store) as file:
        assert file.read(100) == data[:100]
        assert file.readinto(buffer) == len(data) - 100
        assert buffer[: len(data) - 100] == data[100:]
    assert no_threads_of_ours()


# What is fetched


def test_the_footer_of_a_large_object_costs_what_is_asked_for() -> None:
    driver, file = holding(bytes(9 * MIB))
    size_bytes = file.seek(0, io.SEEK_END)
    file.seek(-8, io.SEEK_END)
    assert len(file.read(8)) == 8
    file.seek(-1000, io.SEEK_END)
    assert len(file.read(992)) == 992
    file.seek(5 * MIB)
    assert len(file.read(MIB)) == MIB
    assert driver.reads == [
        (size_bytes - 8, size_bytes),
        (size_bytes - 1000, size_bytes - 8),
        (5 * MIB, 6 * MIB),
    ]


def test_what_is_at_hand_is_not_fetched_again() -> None:
    driver, file = holding(bytes(MIB))
    file.read(100)
    for position in (50, 0, 256 * KIB - 10):
        file.seek(position)
        assert len(file.read(10)) == 10
    assert driver.reads == [(0, 256 * KIB)]


def test_reading_in_order_fetches_windows_that_double() -> None:
    driver, file = holding(bytes(20 * MIB), in_flight=1)
    while file.read(10_000):
        pass
    sizes = [stop - start for start, stop in driver.reads]
    assert sizes[:6] == [256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB, 4 * MIB]
    assert sum(sizes) == 20 * MIB


def test_a_jump_begins_with_small_windows_again() -> None:
    driver, file = holding(bytes(20 * MIB), in_flight=1)
    for _ in range(4):
        file.read(MIB)
    driver.reads.clear()
    file.seek(15 * MIB)
    file.read(10)
    file.read(10)
    assert driver.reads == [(15 * MIB, 15 * MIB + 10), (15 * MIB + 10, 15 * MIB + 10 + 256 * KIB)]


def test_who_reads_on_has_pieces_fetched_ahead_and_closing_ends_that() -> None:
    driver, file = holding(bytes(40 * MIB), in_flight=3)
    for _ in range(5):
        file.read(MIB)
    file.seek(30 * MIB)
    assert no_threads_of_ours() or file.tell() == 30 * MIB
    file.read(1)
    assert no_threads_of_ours()
    file.seek(0)
    for _ in range(12):
        file.read(MIB)
    assert not no_threads_of_ours()
    file.close()
    assert no_threads_of_ours()
    assert max(stop - start for start, stop in driver.reads) == 4 * MIB


def test_a_reader_that_is_dropped_leaves_no_thread() -> None:
    _, file = holding(bytes(40 * MIB), in_flight=3)
    for _ in range(12):
        file.read(MIB)
    assert not no_threads_of_ours()
    del file
    assert no_threads_of_ours()


def test_a_large_read_is_fetched_in_pieces_and_exactly() -> None:
    driver, file = holding(bytes(20 * MIB))
    file.seek(MIB)
    assert len(file.read(10 * MIB)) == 10 * MIB
    assert sorted(driver.reads) == [(MIB, 5 * MIB), (5 * MIB, 9 * MIB), (9 * MIB, 11 * MIB)]


def test_an_empty_object_costs_no_read() -> None:
    driver, file = holding(b"")
    assert (file.read(), file.read(1), file.readline(), file.peek(), file.read1(), list(file)) == ((b"",) * 5 + ([],))
    assert driver.reads == []


# What it promises


def test_opening_what_is_not_there_says_so() -> None:
    with pytest.raises(ObjectNotFound):
        opened(Store(MemoryDriver()))


def test_it_reads_one_object_or_says_that_it_has_changed() -> None:
    store = Store(MemoryDriver(), clock=FakeClock())
    store.create("k", bytes(MIB))
    file = opened(store)
    assert file.read(10) == bytes(10)
    store.remove("k")
    assert file.read(10) == bytes(10)
    file.seek(512 * KIB)
    with pytest.raises(ObjectNotFound):
        file.read(10)
    store.create("k", b"x" * MIB)
    for ask in (lambda: file.read(10), file.read, file.readline, file.peek, lambda: file.readinto(bytearray(9))):
        with pytest.raises(ObjectChanged):
            ask()
        assert file.tell() == 512 * KIB


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("in_flight", [1, 3])
def test_faults_that_pass_are_not_noticed_and_others_leave_the_position(in_flight: int) -> None:
    for at in range(25):
        driver = faulty(MemoryDriver(), "read", [*[None] * at, LOST_BEFORE, BUSY])
        store = Store(driver, clock=FakeClock())
        store.create("k", LINES)
        with opened(store, in_flight=in_flight) as file:
            assert b"".join(iter(lambda: file.read(30), b"")) == LINES
    for at in range(25):
        driver = FaultyDriver(MemoryDriver())
        store = Store(driver, clock=FakeClock())
        store.create("k", LINES[:1500])
        got = b""
        failed = 0
        with opened(store, in_flight=in_flight) as file:
            driver.plan("read", [*[None] * at, *[LOST_BEFORE] * 60])
            for _ in range(1000):
                try:
                    piece = file.read(30)
                except StoreUnavailable:
                    failed += 1
                    assert file.tell() == len(got)
                    continue
                if not piece:
                    break
                got += piece
        assert got == LINES[:1500]
    assert no_threads_of_ours()


def test_what_it_says_of_itself() -> None:
    _, file = holding(b"data")
    assert (file.key, file.name, file.mode, file.info.key, file.info.size_bytes) == ("k", "k", "rb", "k", 4)
    assert file.info.etag
    assert (file.readable(), file.seekable(), file.writable(), file.isatty()) == (True, True, False, False)
    for refused in (lambda: file.write(b"x"), file.fileno, lambda: file.truncate(0), file.detach):
        with pytest.raises(io.UnsupportedOperation):
            refused()
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(file)
    assert "'k'" in repr(file)
    file.close()
    assert repr(file).startswith("<closed ")


def test_positions_that_there_are_not_are_refused() -> None:
    _, file = holding(b"data")
    for offset, whence in ((-1, 0), (-5, 2), (-1, 1)):
        with pytest.raises(OSError, match="before the beginning"):
            file.seek(offset, whence)
    with pytest.raises(ValueError, match="whence"):
        file.seek(0, 3)
    with pytest.raises(TypeError):
        file.seek(1.5)  # type: ignore[arg-type]
    assert file.tell() == 0
    assert (file.seek(100), file.read(5)) == (100, b"")


def test_closed_it_refuses_everything_as_the_built_in_does(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    _, ours = holding(b"data")
    theirs = path.open("rb")
    for file in (ours, theirs):
        with file:
            assert file.read(1) == b"d"
        file.close()
        assert file.closed
        for ask in (
            file.read,
            file.read1,
            file.readline,
            file.readlines,
            file.peek,
            file.tell,
            file.readable,
            file.seekable,
            file.__enter__,
            file.__next__,
            lambda: file.seek(0),  # noqa: B023
            lambda: file.readinto(bytearray(1)),  # noqa: B023
        ):
            with pytest.raises(ValueError, match="closed"):
                ask()


# Text, and what is compressed


@pytest.mark.parametrize("newline", [None, "", "\n", "\r\n"])
def test_text_is_that_of_the_built_in_open(tmp_path: Path, newline: str | None) -> None:
    data = "Käse\r\nüber\nalles\r\n".encode() * 1000
    path = tmp_path / "file"
    path.write_bytes(data)
    store = Store(MemoryDriver())
    store.create("k", data)
    with (
        open_reader(access_to(store), Bounds(), "k", "rt", None, None, None, newline) as ours,
        path.open(encoding="utf-8", newline=newline) as theirs,
    ):
        assert isinstance(ours, io.TextIOWrapper)
        assert ours.readline() == theirs.readline()
        assert list(ours) == list(theirs)
        assert ours.seek(0) == 0
        assert ours.read() == "".join([theirs.readline() for _ in range(theirs.seek(0) + 5000)])


def test_options_that_there_are_not_are_refused_before_a_request() -> None:
    driver = FaultyDriver(MemoryDriver())
    store = Store(driver)
    for mode, encoding, error in (("rt", "no-such", LookupError), ("w", None, ValueError)):
        with pytest.raises(error):
            open_reader(access_to(store), Bounds(), "k", mode, None, encoding, None, None)
    assert not driver.calls


@pytest.mark.parametrize("compression", PACK)
def test_data_that_is_cut_off_is_an_end_too_early_and_garbage_is_said_to_be_such(compression: Compression) -> None:
    whole = PACK[compression](LINES)
    store = Store(MemoryDriver())

    def read(data: bytes, mode: str = "rb") -> object:
        store.create("k", data)
        try:
            with open_reader(access_to(store), Bounds(), "k", mode, compression, None, "replace", None) as file:
                return file.read()
        finally:
            store.remove("k")

    assert read(whole) == LINES
    assert read(whole + whole) == LINES * 2
    for cut in (1, 5, len(whole) // 2, len(whole) - 1):
        for mode in ("rb", "rt"):
            with pytest.raises(EOFError, match="cut off"):
                read(whole[:cut], mode)
        with pytest.raises(EOFError, match="cut off"):
            read(whole + whole[:cut])
    for bad in (b"this was never compressed, by nobody at all", whole + b"garbage" * 10):
        with pytest.raises(OSError, match=f"'k' cannot be read with compression='{compression}'"):
            read(bad)
    for at in range(20, len(whole), 97):
        with contextlib.suppress(OSError, EOFError):
            found = read(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            assert found == LINES, "a bit that means nothing may flip, and no other"


def test_closing_the_outer_file_closes_the_reader_in_it() -> None:
    store = Store(MemoryDriver())
    store.create("k", gzip.compress(bytes(40 * MIB), compresslevel=0))
    with open_reader(access_to(store), Bounds(3), "k", "rt", "gzip", None, None, None) as file:
        file.read(12 * MIB)
        assert not no_threads_of_ours()
    assert no_threads_of_ours()
