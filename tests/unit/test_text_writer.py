"""`open(key, "xt")`, compressed files, and what becomes of the promise in the standard library's own wrappers."""

from __future__ import annotations

import bz2
import csv
import gc
import gzip
import io
import json
import lzma
import tarfile
import threading
import weakref
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage_guard import ObjectExists, Store
from storage_guard.files.compression import Compression
from storage_guard.files.opening import ObjectTextWriter
from storage_guard.memory import MemoryDriver
from storage_guard.testing import REFUSED, FaultyDriver, faulty
from unit.conftest import PART_BYTES, SMALL

UNPACK: dict[Compression, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "bz2": bz2.decompress,
    "xz": lzma.decompress,
}
LINES = ["first\n", "häll\r\n", "\r", "no end", "\n\n", "日本語\n", "x" * 100_000 + "\n"]
LONG = "a line of text\n" * (3 * PART_BYTES // 15)


# Text


@pytest.mark.parametrize("newline", [None, "", "\n", "\r", "\r\n"])
@pytest.mark.parametrize(
    ("encoding", "errors"),
    [("utf-8", None), ("utf-8-sig", None), ("utf-16", None), ("ascii", "xmlcharrefreplace"), ("latin-1", "replace")],
)
def test_text_becomes_the_bytes_that_the_built_in_open_makes_of_it(
    store: Store, tmp_path: Path, newline: str | None, encoding: str, errors: str | None
) -> None:
    with (tmp_path / "built-in").open("w", encoding=encoding, errors=errors, newline=newline) as theirs:
        theirs.writelines(LINES)
    with store.open("k", "xt", encoding=encoding, errors=errors, newline=newline) as ours:
        assert [ours.write(line) for line in LINES[:3]] == [len(line) for line in LINES[:3]]
        ours.writelines(LINES[3:])
        assert (ours.encoding, ours.errors) == (encoding, errors or "strict")
    assert store.read("k") == (tmp_path / "built-in").read_bytes()


def test_text_is_utf_8_unless_told_otherwise_and_x_is_text(store: Store) -> None:
    with store.open("k", "x") as file:
        file.write("ä")
        assert file.mode == "xt"
    assert store.read("k") == "ä".encode()


def test_an_encoding_or_a_newline_that_is_none_is_refused_before_the_store_is_asked() -> None:
    driver = FaultyDriver(MemoryDriver())
    store = Store(driver)
    with pytest.raises(LookupError):
        store.open("k", "xt", encoding="klingon")
    with pytest.raises(ValueError, match="newline"):
        store.open("k", "xt", newline="x")
    assert dict(driver.calls) == {}


def test_text_that_cannot_be_encoded_is_refused_and_the_file_goes_on(store: Store) -> None:
    wrong: Any = b"bytes"
    with store.open("k", "xt", encoding="ascii") as file:
        file.write("a")
        with pytest.raises(UnicodeEncodeError):
            file.write("ä")
        with pytest.raises(TypeError):
            file.write(wrong)
        file.write("b")
    assert store.read("k") == b"ab"


def test_readers_see_nothing_until_the_commit(store: Store) -> None:
    file = store.open("k", "xt")
    file.write(LONG)
    file.flush()
    assert store.head("k") is None
    receipt = file.commit()
    assert receipt is file.commit() is file.receipt
    assert store.read("k").decode() == LONG
    with pytest.raises(ValueError, match="committed"):
        file.write("more")
    with pytest.raises(ValueError, match="committed"):
        file.flush()
    file.close()


@pytest.mark.parametrize("text", ["", "x", LONG])
def test_text_in_a_block_that_fails_is_not_written(store: Store, is_untouched: Callable[[], bool], text: str) -> None:
    with pytest.raises(ZeroDivisionError), store.open("k", "xt") as file:  # noqa: PT012
        file.write(text)
        raise ZeroDivisionError
    assert file.closed
    file.discard()
    file.close()
    del file
    assert is_untouched()


@pytest.mark.parametrize("text", ["", "x", LONG])
def test_a_close_while_an_exception_is_in_flight_discards_text(
    store: Store, is_untouched: Callable[[], bool], text: str
) -> None:
    file = store.open("k", "xt")
    file.write(text)
    try:
        raise LookupError
    except LookupError:
        with pytest.warns(RuntimeWarning, match="LookupError"):
            file.close()
    assert is_untouched()


@pytest.mark.parametrize("text", ["", "x", LONG])
def test_a_dropped_text_file_is_discarded_at_once_with_one_warning(
    store: Store, is_untouched: Callable[[], bool], text: str
) -> None:
    gc.disable()
    try:
        file = store.open("k", "xt")
        file.write(text)
        gone = weakref.ref(file)
        with pytest.warns(ResourceWarning, match=r"'k' was not written.*test_text_writer\.py") as caught:
            del file
        assert len(caught) == 1
        assert gone() is None
        assert is_untouched()
    finally:
        gc.enable()


def test_a_text_file_in_a_circle_is_discarded_by_the_collector(store: Store, is_untouched: Callable[[], bool]) -> None:
    file = store.open("k", "xt")
    file.write(LONG + "x")
    circle: list[object] = [file]
    circle.append(circle)
    del file, circle
    with pytest.warns(ResourceWarning, match="never closed") as caught:
        gc.collect()
    assert len(caught) == 1
    assert is_untouched()


def test_a_text_file_whose_upload_failed_says_so_and_fails_again() -> None:
    store = Store(faulty(MemoryDriver(limits=SMALL), "put_part", [REFUSED]), part_bytes=1024, in_flight=1)
    file = store.open("k", "xt")
    with pytest.raises(PermissionError) as first:
        file.write("x" * 20_000)
    with pytest.raises(ValueError, match="AccessDenied"):
        file.write("x")
    with pytest.raises(PermissionError) as second:
        file.commit()
    assert first.value is second.value
    file.close()
    del file
    assert list(store.driver.scan_uploads("")) == []


def test_a_rival_of_the_last_moment_is_told_by_commit_and_close_and_block(store: Store) -> None:
    def leave(file: ObjectTextWriter) -> None:
        with file:
            pass

    for number, end in enumerate((ObjectTextWriter.commit, ObjectTextWriter.close, leave)):
        file = store.open(f"k{number}", "xt")
        file.write("ours")
        store.create(f"k{number}", b"a rival's")
        with pytest.raises(ObjectExists):
            end(file)
        assert store.read(f"k{number}") == b"a rival's"


def test_it_is_a_text_file_without_a_way_around_it(store: Store) -> None:
    with store.open("k", "xt") as file:
        assert isinstance(file, io.TextIOBase)
        assert (file.writable(), file.readable(), file.seekable()) == (True, False, False)
        assert not hasattr(file, "buffer")
        for call in (file.read, file.readline, file.detach, file.tell, file.fileno, file.truncate):
            with pytest.raises(io.UnsupportedOperation):
                call()


def test_csv_and_json_and_print_write_to_it(store: Store) -> None:
    with store.open("k", "xt", newline="") as file:
        csv.writer(file).writerows([[1, "a,b"], [2, "c\nd"]])
        json.dump({"a": [1]}, file)
        print("end", file=file, flush=True)
    assert store.read("k") == b'1,"a,b"\r\n2,"c\nd"\r\n{"a": [1]}end\n'


def test_lines_of_several_threads_stay_whole(store: Store) -> None:
    with store.open("k", "xt") as file:

        def write(letter: str) -> None:
            for _ in range(2000):
                file.write(letter * 60 + "\n")

        workers = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert sorted(store.read("k").decode().split()) == sorted(letter * 60 for letter in "abcd" * 2000)


# Compression


@pytest.mark.parametrize("name", UNPACK)
@pytest.mark.parametrize("size_bytes", [0, 1, 5 * PART_BYTES])
def test_what_is_compressed_on_the_way_the_standard_library_reads(
    store: Store, name: Compression, size_bytes: int
) -> None:
    data = bytes(range(256)) * (size_bytes // 256) + bytes(size_bytes % 256)
    with store.open("k", "xb", compression=name) as file:
        file.write(data[:100])
        file.write(data[100:])
        assert file.tell() == size_bytes
    packed = store.read("k")
    assert UNPACK[name](packed) == data
    assert file.commit().size_bytes == len(packed)
    with store.open("t", "xt", compression=name, encoding="utf-16") as text:
        text.write(LONG)
    assert UNPACK[name](store.read("t")).decode("utf-16") == LONG


@pytest.mark.parametrize("name", UNPACK)
def test_a_compressed_file_of_the_same_bytes_is_the_same_object(store: Store, name: Compression) -> None:
    def write(pieces: int) -> str:
        with store.open("k", "xb", compression=name, if_exists="same") as file:
            for _ in range(30 // pieces):
                file.write(b"some bytes" * 1000 * pieces)
        return file.commit().outcome

    assert [write(1), write(3)] == ["created", "same"]


@pytest.mark.parametrize("name", UNPACK)
def test_a_compressed_file_that_is_dropped_or_fails_is_not_written(
    store: Store, is_untouched: Callable[[], bool], name: Compression
) -> None:
    file = store.open("k", "xt", compression=name)
    file.write(LONG)
    with pytest.warns(ResourceWarning):
        del file
    with pytest.raises(ZeroDivisionError), store.open("k", "xb", compression=name) as binary:  # noqa: PT012
        binary.write(LONG.encode())
        raise ZeroDivisionError
    assert is_untouched()


# The standard library's wrappers around a binary file: what the docs say of them


@pytest.mark.parametrize("wrap", [io.TextIOWrapper, io.BufferedWriter])
def test_a_wrapper_that_is_dropped_discards(store: Store, is_untouched: Callable[[], bool], wrap: Any) -> None:
    wrapper = wrap(store.open("k", "xb"))
    wrapper.write("a part of it" if wrap is io.TextIOWrapper else b"a part of it")
    with pytest.warns(ResourceWarning, match=f"{wrap.__name__} around it was dropped"):
        del wrapper
    assert is_untouched()


def test_who_leaves_the_block_in_peace_is_told_that_a_dropped_wrapper_discarded(
    store: Store, is_untouched: Callable[[], bool]
) -> None:
    def write(file: Any) -> None:
        csv.writer(io.TextIOWrapper(file, encoding="utf-8")).writerow([1, 2])

    with pytest.raises(ValueError, match="was discarded"):  # noqa: PT012
        with store.open("k", "xb") as file:
            with pytest.warns(ResourceWarning):
                write(file)
    assert is_untouched()


@pytest.mark.parametrize("wrap", [io.TextIOWrapper, io.BufferedWriter])
def test_a_wrapper_closed_while_an_exception_is_in_flight_discards(
    store: Store, is_untouched: Callable[[], bool], wrap: Any
) -> None:
    wrapper = wrap(store.open("k", "xb"))
    wrapper.write("x" if wrap is io.TextIOWrapper else b"x")
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError"), pytest.raises(ZeroDivisionError), wrapper:
        raise ZeroDivisionError
    assert is_untouched()


def test_a_text_wrapper_that_is_detached_leaves_the_file_to_its_own_end(store: Store) -> None:
    with store.open("k", "xb") as file:
        wrapper = io.TextIOWrapper(file, encoding="utf-8", newline="")
        csv.writer(wrapper).writerow([1, 2])
        wrapper.detach()
        del wrapper
        assert store.head("k") is None
    assert store.read("k") == b"1,2\r\n"


def test_a_text_wrapper_leaves_out_the_mark_that_a_text_file_of_ours_writes(store: Store) -> None:
    with io.TextIOWrapper(store.open("theirs", "xb"), encoding="utf-16") as theirs:
        theirs.write("x")
    with store.open("ours", "xt", encoding="utf-16") as ours:
        ours.write("x")
    assert store.read("ours") == "x".encode("utf-16")
    assert store.read("ours").endswith(store.read("theirs"))
    assert len(store.read("theirs")) == 2


def gzipped(file: Any, mode: str) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=file, mode=mode)


@pytest.mark.parametrize("wrap", [gzipped, bz2.BZ2File, lzma.LZMAFile])
def test_a_compressing_file_never_closes_ours_so_that_it_is_discarded_with_a_warning(
    store: Store, is_untouched: Callable[[], bool], wrap: Callable[..., Any]
) -> None:
    file = store.open("k", "xb")
    with wrap(file, mode="wb") as packed:
        packed.write(b"x")
    assert not file.closed
    with pytest.warns(ResourceWarning, match="never closed"):
        del file, packed
    assert is_untouched()


def test_a_gzip_file_inside_our_block_is_written_whole(store: Store) -> None:
    with store.open("k", "xb") as file, gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
        packed.write(b"x" * 1000)
    assert gzip.decompress(store.read("k")) == b"x" * 1000


@pytest.mark.parametrize("fails", [False, True])
def test_an_archive_inside_our_block_is_written_whole_or_not_at_all(
    store: Store, is_untouched: Callable[[], bool], fails: bool
) -> None:
    def zipped(file: Any) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("name", b"x" * 3 * PART_BYTES)
            assert not fails or 1 // 0

    def tarred(file: Any) -> None:
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("name"))
            assert not fails or 1 // 0

    for key, make in (("zip", zipped), ("tar", tarred)):
        if fails:
            with pytest.raises(ZeroDivisionError), store.open(key, "xb") as file:
                make(file)
        else:
            with store.open(key, "xb") as file:
                make(file)
    if fails:
        assert is_untouched()
    else:
        assert zipfile.ZipFile(io.BytesIO(store.read("zip"))).testzip() is None
        with tarfile.open(fileobj=io.BytesIO(store.read("tar"))) as archive:
            assert archive.getnames() == ["name"]


def test_an_archive_closed_by_hand_in_a_failing_block_writes_its_trailer_and_the_docs_say_so(store: Store) -> None:
    """What closes itself without a look at what is in flight cannot be seen through: only our own end counts."""
    file: Any = store.open("k", "xb")
    archive = zipfile.ZipFile(file, "w")
    archive.writestr("name", b"x")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        archive.close()
    file.close()
    assert zipfile.ZipFile(io.BytesIO(store.read("k"))).namelist() == ["name"]
