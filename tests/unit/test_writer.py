"""`open(key, "xb")`: what a file that creates an object promises, on every store of this house."""

from __future__ import annotations

import array
import contextlib
import copy
import gc
import io
import pickle
import random
import threading
import tracemalloc
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from storage_guard import (
    AccessDenied,
    GuaranteeMissing,
    GuaranteeWarning,
    InvalidKey,
    NotWritten,
    ObjectExists,
    ObjectOptions,
    Receipt,
    Store,
    StoreUnavailable,
    Unsupported,
)
from storage_guard.driver import Body, Capabilities, Limits, Part, PartSlot
from storage_guard.files.opening import ObjectWriter
from storage_guard.memory import MemoryDriver
from storage_guard.testing import BUSY, LOST_BEFORE, REFUSED, FakeClock, Fault, FaultyDriver, Member, faulty
from unit.conftest import PART_BYTES, SIZES, SMALL


def data_of(size_bytes: int) -> bytes:
    return random.Random(size_bytes).randbytes(size_bytes)


def fill(file: io.BufferedIOBase, data: bytes, step: int) -> None:
    for start in range(0, len(data), step):
        assert file.write(data[start : start + step]) == len(data[start : start + step])


# Publishing


@pytest.mark.parametrize("size_bytes", SIZES)
@pytest.mark.parametrize("step", [777, PART_BYTES, 1 << 20])
def test_what_was_written_is_the_object_at_every_size_and_in_all_pieces(
    store: Store, size_bytes: int, step: int
) -> None:
    data = data_of(size_bytes)
    with store.open("a/b", "xb", options=ObjectOptions(content_type="text/plain")) as file:
        fill(file, data, step)
        assert file.tell() == size_bytes
    assert store.read("a/b") == data
    receipt, info = file.receipt, store.head("a/b")
    assert receipt is not None
    assert info is not None
    assert (receipt.outcome, receipt.resolved, receipt.attempts) == ("created", False, 1)
    assert (receipt.size_bytes, receipt.etag, receipt.write_id) == (size_bytes, info.etag, info.write_id)
    assert receipt.parts == (0 if size_bytes < PART_BYTES else -(-size_bytes // PART_BYTES))
    assert info.options.content_type == "text/plain"


@pytest.mark.parametrize("size_bytes", [0, 10, PART_BYTES, 3 * PART_BYTES + 1])
def test_readers_see_nothing_until_the_commit_and_then_all(store: Store, size_bytes: int) -> None:
    file = store.open("k", "xb")
    for start in range(0, size_bytes, 1000):
        file.write(data_of(size_bytes)[start : start + 1000])
        file.flush()
        assert store.head("k") is None
    assert (file.receipt, file.closed) == (None, False)
    receipt = file.commit()
    assert store.read("k") == data_of(size_bytes)
    assert receipt is file.commit() is file.receipt
    assert file.closed
    file.close()
    file.discard()
    assert store.read("k") == data_of(size_bytes)


def test_parts_go_up_while_the_producer_writes() -> None:
    store = Store(MemoryDriver(limits=SMALL), part_bytes=1024, in_flight=1)
    with store.open("k", "xb") as file:
        file.write(bytes(1023))
        assert list(store.driver.scan_uploads("")) == []
        file.write(bytes(1025))
        (upload,) = store.driver.scan_uploads("")
        assert len(list(store.driver.scan_parts("k", upload.upload_id))) == 2
    assert list(store.driver.scan_uploads("")) == []


@pytest.mark.parametrize(
    "buffer",
    [b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4], array.array("d", [1.5, 2.5]), array.array("d"), b""],
)
def test_every_buffer_is_taken_whole_and_counted_in_bytes(store: Store, buffer: Any) -> None:
    with store.open("k", "xb") as file:
        assert file.write(buffer) == memoryview(buffer).nbytes
        file.writelines([b"d", bytearray(b"e")])
    assert store.read("k") == bytes(memoryview(buffer)) + b"de"


def test_an_array_of_several_dimensions_is_its_bytes(store: Store) -> None:
    table = memoryview(bytearray(24)).cast("B", [4, 6])
    with store.open("k", "xb") as file:
        assert file.write(table) == 24
    assert store.read("k") == bytes(24)


@pytest.mark.parametrize("wrong", ["text", None, 7, [b"x"], memoryview(b"abcdef")[::2]])
def test_what_is_no_buffer_is_refused_and_the_file_goes_on(store: Store, wrong: Any) -> None:
    with store.open("k", "xb") as file:
        file.write(b"a")
        with pytest.raises(TypeError):
            file.write(wrong)
        file.write(b"b")
    assert store.read("k") == b"ab"


def test_a_buffer_is_the_callers_again_when_write_returns(store: Store) -> None:
    buffer = bytearray(data_of(3 * PART_BYTES + 7))
    with store.open("k", "xb") as file:
        file.write(buffer)
        buffer[:] = bytes(len(buffer))
        buffer.clear()
    assert store.read("k") == data_of(3 * PART_BYTES + 7)


def test_memory_is_one_block_and_what_is_on_its_way() -> None:
    class Discarding(MemoryDriver):
        def put_part(self, _key: str, _upload_id: str, slot: PartSlot, body: Body, /) -> Part:
            for _ in body.windows():
                pass
            return Part(slot, "etag", None)

    limits = replace(SMALL, max_parts=1000)  # parts grow behind every tenth of them
    store = Store(Discarding(limits=limits), part_bytes=512 * 1024, in_flight=1)
    data = memoryview(data_of(10 << 20))
    with store.open("k", "xb") as file:
        tracemalloc.start()
        try:
            for start in range(0, len(data), 3 << 20):
                file.write(data[start : start + (3 << 20)])
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        file.discard()
    # One that is filled, one on its way, and an eighth by which a growing block is ahead of itself.
    assert 512 * 1024 < peak_bytes < 2.25 * 512 * 1024, peak_bytes


def test_a_stream_that_is_too_long_fails_early_and_says_what_to_do() -> None:
    limits = Limits(max_put_bytes=1000, min_part_bytes=10, max_part_bytes=100, max_parts=5, max_object_bytes=450)
    store = Store(MemoryDriver(limits=limits), part_bytes=100)
    file = store.open("k", "xb")
    file.write(bytes(450))
    with pytest.raises(NotWritten, match=r"longer than 450 bytes.*memory_bytes"):
        file.write(b"x")
    assert store.head("k") is None
    assert list(store.driver.scan_uploads("")) == []


def test_a_store_whose_single_puts_are_small_gets_one_part() -> None:
    limits = Limits(max_put_bytes=10, min_part_bytes=1, max_part_bytes=100, max_parts=5, max_object_bytes=450)
    store = Store(MemoryDriver(limits=limits), part_bytes=100)
    with store.open("k", "xb") as file:
        file.write(data_of(50))
    assert file.receipt is not None
    assert file.receipt.parts == 1
    assert store.read("k") == data_of(50)


def test_progress_tells_what_is_sent_and_never_goes_backwards(store: Store) -> None:
    seen: list[tuple[int, int | None]] = []
    with store.open("k", "xb", progress=lambda done, total: seen.append((done, total))) as file:
        file.write(bytes(PART_BYTES - 1))
        assert seen == []
        file.write(bytes(2 * PART_BYTES))
    assert seen[-1] == (3 * PART_BYTES - 1, None)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_what_progress_raises_passes_through_and_nothing_is_written(
    store: Store, is_untouched: Callable[[], bool]
) -> None:
    def failing(done_bytes: int, _: int | None) -> None:
        raise ZeroDivisionError(done_bytes)

    for size_bytes in (1, 3 * PART_BYTES):
        file = store.open("k", "xb", progress=failing)
        with pytest.raises(ZeroDivisionError), file:
            file.write(bytes(size_bytes))
        assert file.closed
    assert is_untouched()


# Not publishing


@pytest.mark.parametrize("size_bytes", [0, 1, 3 * PART_BYTES + 1])
@pytest.mark.parametrize("kind", [ZeroDivisionError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_in_the_block_passes_through_and_nothing_is_written(
    store: Store, is_untouched: Callable[[], bool], size_bytes: int, kind: type[BaseException]
) -> None:
    raised = kind()
    with pytest.raises(kind) as caught, store.open("k", "xb") as file:  # noqa: PT012
        file.write(data_of(size_bytes))
        raise raised
    assert caught.value is raised
    assert file.closed
    assert is_untouched()


@pytest.mark.parametrize("size_bytes", [0, 1, 3 * PART_BYTES + 1])
def test_a_discarded_file_leaves_nothing_and_cannot_be_published(
    store: Store, is_untouched: Callable[[], bool], size_bytes: int
) -> None:
    with store.open("k", "xb") as file:
        file.write(data_of(size_bytes))
        file.discard()
        file.discard()
    file.close()
    assert is_untouched()
    assert (file.closed, file.receipt) == (True, None)
    with pytest.raises(ValueError, match="discarded"):
        file.commit()
    store.create("k", b"the key is free")


def test_a_file_that_has_ended_says_how(store: Store) -> None:
    committed, discarded, failed = store.open("a", "xb"), store.open("b", "xb"), store.open("c", "xb")
    committed.commit()
    discarded.discard()
    store.create("c", b"a rival's")
    with pytest.raises(ObjectExists):
        failed.commit()
    for file, word in ((committed, "committed"), (discarded, "discarded"), (failed, "ObjectExists: 'c' exists")):
        for call in (partial(file.write, b"x"), partial(file.writelines, [b"x"]), file.flush, file.__enter__):
            with pytest.raises(ValueError, match=word) as caught:
                call()
            assert isinstance(caught.value.__cause__, ObjectExists) == (file is failed)
        file.close()
    assert [repr(file) for file in (committed, discarded, failed)] == [
        "<ObjectWriter 'a', committed>",
        "<ObjectWriter 'b', discarded>",
        "<ObjectWriter 'c', failed>",
    ]


def test_after_a_failure_a_commit_raises_the_same_error_again(store: Store) -> None:
    file = store.open("k", "xb")
    store.create("k", b"a rival's")
    with pytest.raises(ObjectExists) as first:
        file.commit()
    with pytest.raises(ObjectExists) as second:
        file.commit()
    assert first.value is second.value
    with pytest.raises(ObjectExists) as third:
        file.__exit__(None, None, None)
    assert third.value is first.value
    file.close()
    file.discard()
    assert store.read("k") == b"a rival's"


def test_an_error_that_a_block_swallows_comes_back_at_its_end() -> None:
    store = Store(faulty(MemoryDriver(limits=SMALL), "put_part", [REFUSED]), part_bytes=1024, in_flight=1)
    with pytest.raises(AccessDenied), store.open("k", "xb") as file:  # noqa: PT012
        with contextlib.suppress(AccessDenied, ValueError):
            file.write(bytes(3000))
        with contextlib.suppress(AccessDenied, ValueError):
            file.write(bytes(3000))
    assert store.head("k") is None


# Closing while something goes wrong


def test_a_close_in_a_finally_discards_when_an_exception_is_on_its_way(
    store: Store, is_untouched: Callable[[], bool]
) -> None:
    file = store.open("k", "xb")

    def work() -> None:
        try:
            file.write(bytes(3 * PART_BYTES))
            raise LookupError
        finally:
            file.close()

    with (
        pytest.warns(RuntimeWarning, match=r"'k' was not written.*LookupError.*commit\(\)"),
        pytest.raises(LookupError),
    ):
        work()
    assert is_untouched()


def test_a_close_in_a_finally_commits_when_all_went_well(store: Store) -> None:
    file = store.open("k", "xb")
    try:
        file.write(b"x")
    finally:
        file.close()
    assert store.read("k") == b"x"


def test_a_file_opened_while_an_exception_is_handled_commits_while_it_is_handled(store: Store) -> None:
    try:
        raise LookupError
    except LookupError:
        with store.open("report", "xb") as file:
            file.write(b"it failed")
        other = store.open("report-2", "xb")
        try:
            raise ValueError("an inner one")
        except ValueError:
            inner = store.open("report-3", "xb")
        inner.close()  # LookupError was in flight then, too
        other.close()
    assert [info.key for info in store.scan()] == ["report", "report-2", "report-3"]


def test_another_exception_than_the_one_at_open_discards(store: Store, is_untouched: Callable[[], bool]) -> None:
    try:
        raise LookupError("first")
    except LookupError:
        file = store.open("k", "xb")
    # The first exception is gone, and the second may be given its address.
    for _ in range(3):
        try:
            raise LookupError("second")
        except LookupError:
            with pytest.warns(RuntimeWarning) if not file.closed else contextlib.nullcontext():
                file.close()
    assert is_untouched()


def test_a_commit_commits_whatever_is_in_flight(store: Store) -> None:
    file = store.open("k", "xb")
    try:
        raise LookupError
    except LookupError:
        file.commit()
    assert store.head("k") is not None


# Nobody closes


@pytest.mark.parametrize("size_bytes", [0, 1, 3 * PART_BYTES + 1])
def test_a_dropped_file_is_discarded_at_once_and_says_where_it_was_opened(
    store: Store, is_untouched: Callable[[], bool], size_bytes: int
) -> None:
    gc.disable()
    try:
        file = store.open("k", "xb")
        file.write(data_of(size_bytes))
        gone = weakref.ref(file)
        with pytest.warns(ResourceWarning, match=r"'k' was not written.*test_writer\.py:\d+, was never closed"):
            del file
        assert gone() is None
        assert is_untouched()
    finally:
        gc.enable()


@pytest.mark.parametrize("member", ["begin", "put_part", "head"])
@pytest.mark.parametrize("in_flight", [1, None])
def test_trouble_that_was_overcome_keeps_no_dropped_file_alive(member: Member, in_flight: int | None) -> None:
    driver = faulty(MemoryDriver(limits=SMALL), member, [LOST_BEFORE, BUSY])
    store = Store(driver, part_bytes=PART_BYTES, in_flight=in_flight, clock=FakeClock())
    gc.collect()
    gc.disable()
    try:
        file = store.open("k", "xb")
        file.write(data_of(4 * PART_BYTES))
        gone = weakref.ref(file)
        with pytest.warns(ResourceWarning, match="never closed"):
            del file
        assert gone() is None
    finally:
        gc.enable()


def test_a_file_in_a_circle_is_discarded_by_the_collector(store: Store, is_untouched: Callable[[], bool]) -> None:
    file = store.open("k", "xb")
    file.write(bytes(3 * PART_BYTES))
    circle: list[object] = [file]
    circle.append(circle)
    del file, circle
    with pytest.warns(ResourceWarning, match="never closed"):
        gc.collect()
    assert is_untouched()


def test_a_file_that_has_ended_is_dropped_without_a_word(store: Store) -> None:
    for end in (ObjectWriter.commit, ObjectWriter.discard, ObjectWriter.close):
        file = store.open(f"k-{end.__name__}", "xb")
        file.write(bytes(3 * PART_BYTES))
        end(file)
        del file
    gc.collect()


def test_a_collection_inside_the_driver_does_not_wait_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection may strike in any thread and under any lock: here under the very one that the abort needs."""
    monkeypatch.setattr("storage_guard.files.draft.GRACE_S", 0.01)
    lock = threading.Lock()
    aborted = threading.Event()

    class Locked(MemoryDriver):
        def abort(self, key: str, upload_id: str, /) -> None:
            with lock:
                super().abort(key, upload_id)
            aborted.set()

    store = Store(Locked(limits=SMALL), part_bytes=1024, in_flight=1)
    file = store.open("k", "xb")
    file.write(bytes(3000))
    with lock, pytest.warns(ResourceWarning, match="may be left open"):
        del file
    assert aborted.wait(60)
    assert list(store.driver.scan_uploads("")) == []


def test_a_file_can_be_neither_pickled_nor_copied(store: Store) -> None:
    with store.open("k", "xb") as file:
        for way in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="neither copied nor pickled"):
                way(file)
        file.write(b"x")
    assert store.read("k") == b"x"


# Being a file


def test_it_is_a_binary_file_that_can_only_be_written_to(store: Store) -> None:
    with store.open("a/k", "xb") as file:
        assert isinstance(file, io.BufferedIOBase)
        assert (file.key, file.name, file.mode) == ("a/k", "a/k", "xb")
        assert (file.writable(), file.readable(), file.seekable(), file.isatty()) == (True, False, False, False)
        for call in (
            file.read,
            file.readline,
            file.fileno,
            file.truncate,
            file.detach,
            partial(file.seek, 0),
            partial(file.readinto, bytearray(1)),
        ):
            with pytest.raises(io.UnsupportedOperation):
                call()


# Threads


def test_writes_of_several_threads_take_turns(store: Store) -> None:
    line_bytes, lines, threads = 1021, 100, 4
    with store.open("k", "xb") as file:

        def write(letter: bytes) -> None:
            for _ in range(lines):
                file.write(letter * line_bytes)

        workers = [threading.Thread(target=write, args=(bytes([65 + number]),)) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    data = store.read("k")
    written = [data[start : start + line_bytes] for start in range(0, len(data), line_bytes)]
    assert all(len(set(line)) == 1 for line in written)
    assert sorted(line[0] for line in written) == sorted([65 + number for number in range(threads)] * lines)


def write_more(file: ObjectWriter) -> None:
    file.write(b"x")


@pytest.mark.parametrize("call", [ObjectWriter.commit, ObjectWriter.discard, write_more])
def test_a_call_from_within_a_call_is_refused_and_nothing_is_written(call: Callable[[ObjectWriter], object]) -> None:
    store = Store(MemoryDriver(limits=SMALL), part_bytes=1024, in_flight=1)
    files: list[ObjectWriter] = []

    def progress(_: int, __: int | None) -> None:
        call(files[0])

    file = store.open("k", "xb", progress=progress)
    files.append(file)
    with pytest.raises(RuntimeError, match="from within"), file:
        file.write(bytes(5000))
    assert store.head("k") is None
    assert list(store.driver.scan_uploads("")) == []


# What is refused at open


class Unproven(MemoryDriver):
    can: Capabilities

    def capabilities(self) -> Capabilities:
        return self.can


def test_a_store_that_would_not_keep_the_promise_is_refused_before_anything_is_sent() -> None:
    driver = Unproven(limits=SMALL)
    driver.can = Capabilities(put="missing", finish="missing", copy="missing", reason="it says so")
    recording = FaultyDriver(driver)
    with pytest.raises(GuaranteeMissing, match="it says so"):
        Store(recording).open("k", "xb")
    assert dict(recording.calls) == {"capabilities": 1}


def test_a_store_that_guards_only_single_requests_gets_one_as_long_as_it_can_be_and_then_none() -> None:
    limits = replace(SMALL, max_put_bytes=5000)
    driver = Unproven(limits=limits)
    driver.can = Capabilities(put="documented", finish="missing", copy="missing", reason="it is a test")
    recording = FaultyDriver(driver)
    store = Store(recording, part_bytes=1024)
    for size_bytes in (1023, 1024, 1025, 5000):
        with store.open(f"k{size_bytes}", "xb") as file:
            file.write(bytes(700))
            file.write(bytes(size_bytes - 700))
        assert store.read(f"k{size_bytes}") == bytes(size_bytes)
    for step in (700, 5001):
        file = store.open("large", "xb")
        with pytest.raises(GuaranteeMissing, match=r"longer than 5000 bytes.*it is a test"):
            file.writelines([bytes(step)] * -(-5001 // step))
        with pytest.raises(GuaranteeMissing):
            file.commit()
    assert (recording.calls["begin"], recording.calls["put_new"]) == (0, 4)


def test_what_one_request_may_hold_is_held_within_memory() -> None:
    driver = Unproven(limits=SMALL)
    driver.can = Capabilities(put="documented", finish="missing", copy="missing")
    store = Store(driver, part_bytes=1024, memory_bytes=4096)
    with store.open("k", "xb") as file:
        file.write(bytes(4096))
    file = store.open("large", "xb")
    with pytest.raises(GuaranteeMissing, match="memory_bytes=4096"):
        file.write(bytes(4097))
    file.discard()


def test_a_store_that_is_trusted_warns_where_the_file_was_opened() -> None:
    driver = Unproven(limits=SMALL)
    driver.can = Capabilities(put="unproven", finish="unproven", copy="unproven")
    store = Store(driver, part_bytes=1024, enforcement="trust")
    with pytest.warns(GuaranteeWarning) as caught:
        file = store.open("k", "xb")
    assert caught[0].filename == __file__
    assert file.commit().guarantee == "trusted"


def test_a_key_or_an_option_or_an_id_that_cannot_be_is_refused_at_open(store: Store) -> None:
    with pytest.raises(InvalidKey):
        store.open("a//b", "xb")
    with pytest.raises(ValueError, match="write_id"):
        store.open("k", "xb", write_id="not an id")
    with pytest.raises(ValueError, match="deadline_s"):
        store.open("k", "xb", deadline_s=-1)
    with pytest.raises(ValueError, match="if_exists"):
        store.open("k", "xb", if_exists="replace")  # type: ignore[call-overload]


def test_a_callers_id_is_refused_where_objects_cannot_carry_it() -> None:
    driver = Unproven(limits=SMALL)
    driver.can = Capabilities(put="documented", finish="documented", copy="documented", write_ids=False)
    with pytest.raises(Unsupported, match="write_id"):
        Store(driver).open("k", "xb", write_id="mine")


@pytest.mark.parametrize("mode", ["wb", "w", "ab", "r+b", "", "b", "xb+", "bx"])
def test_a_mode_that_would_change_an_object_is_refused(store: Store, mode: Any) -> None:
    with pytest.raises(ValueError, match="mode must be"):
        store.open("k", mode)


def test_an_option_that_a_mode_has_no_use_for_is_refused(store: Store) -> None:
    opening: Any = store.open
    for mode, options in (
        ("xb", {"encoding": "utf-8"}),
        ("xb", {"newline": ""}),
        ("xb", {"errors": "strict"}),
        ("xb", {"compression": "zip"}),
        ("rb", {"if_exists": "same"}),
        ("rb", {"deadline_s": 1.0}),
        ("rb", {"encoding": "utf-8"}),
        ("rb", {"compression": "zip"}),
    ):
        with pytest.raises(ValueError, match=next(iter(options))):
            opening("k", mode, **options)


# Keys that are taken


def test_a_taken_key_is_told_at_open_and_again_at_the_end(store: Store) -> None:
    store.create("k", b"first")
    with pytest.raises(ObjectExists, match="no file was opened") as caught:
        store.open("k", "xb")
    assert caught.value.existing == store.head("k")
    assert caught.value.filename == "k"
    file = store.open("other", "xb")
    store.create("other", b"a rival's")
    with pytest.raises(ObjectExists):
        file.close()
    assert store.read("other") == b"a rival's"


@pytest.mark.parametrize("fault", [REFUSED, LOST_BEFORE, BUSY])
def test_a_store_that_does_not_let_us_look_is_written_to_all_the_same(fault: Fault) -> None:
    driver = faulty(MemoryDriver(limits=SMALL), "head", [fault])
    with Store(driver, clock=FakeClock()).open("k", "xb") as file:
        file.write(b"x")
    assert driver.calls["head"] == 1
    assert driver.read("k", 0, 10, None) == b"x"


@pytest.mark.parametrize("size_bytes", [0, 3, PART_BYTES, 3 * PART_BYTES + 5])
def test_the_same_bytes_are_accepted_and_other_bytes_are_not(store: Store, size_bytes: int) -> None:
    first = store.create("k", data_of(size_bytes))
    with store.open("k", "xb", if_exists="same") as file:
        fill(file, data_of(size_bytes), 1000)
    assert file.receipt is not None
    assert (file.receipt.outcome, file.receipt.write_id) == ("same", first.write_id)
    file = store.open("k", "xb", if_exists="same")
    with pytest.raises(ObjectExists), file:  # noqa: PT012
        fill(file, data_of(size_bytes), 1000)
        file.write(b"!")
    assert list(store.driver.scan_uploads("")) == []


@pytest.mark.parametrize("size_bytes", [0, 3, PART_BYTES, 3 * PART_BYTES + 5])
def test_whatever_is_there_is_accepted_when_asked_to_skip(store: Store, size_bytes: int) -> None:
    store.create("k", b"first")
    with store.open("k", "xb", if_exists="skip") as file:
        fill(file, data_of(size_bytes), 1000)
        assert file.tell() == size_bytes
    assert file.commit().outcome == "present"
    assert store.read("k") == b"first"
    assert list(store.driver.scan_uploads("")) == []


def test_a_file_that_need_not_go_on_can_be_discarded(store: Store) -> None:
    store.create("k", b"first")
    with store.open("k", "xb", if_exists="skip") as file:
        file.write(data_of(5 * PART_BYTES))
        file.discard()
    assert file.receipt is None


@pytest.mark.parametrize("size_bytes", [0, 3, PART_BYTES, 3 * PART_BYTES + 5])
def test_the_same_write_id_with_the_same_bytes_is_the_same_write(store: Store, size_bytes: int) -> None:
    data = data_of(size_bytes)

    def write() -> Receipt:
        with store.open("k", "xb", write_id="job-7") as file:
            fill(file, data, 1000)
            return file.commit()

    first, again = write(), write()
    assert (first.resolved, again.resolved, first.etag == again.etag) == (False, True, True)
    with pytest.raises(ObjectExists), store.open("k", "xb", write_id="job-7") as file:
        fill(file, data + b"!", 1000)
    with pytest.raises(ObjectExists), store.open("k", "xb", write_id="job-8") as file:
        fill(file, data, 1000)
    assert store.read("k") == data


# Time


@pytest.mark.parametrize("in_flight", [1, 4])
@pytest.mark.parametrize("member", ["begin", "put_part", "finish_new", "put_new"])
def test_hours_between_writes_are_no_lack_of_progress(member: Member, in_flight: int) -> None:
    clock = FakeClock()
    driver = faulty(MemoryDriver(limits=SMALL), member, [BUSY, BUSY])
    store = Store(driver, part_bytes=1024, in_flight=in_flight, clock=clock)
    data = data_of(1000 if member == "put_new" else 5000)
    with store.open("k", "xb", deadline_s=5) as file:
        for start in range(0, len(data), 500):
            clock.advance(3600)
            file.write(data[start : start + 500])
        clock.advance(3600)
    assert store.read("k") == data
    assert file.receipt is not None
    assert file.receipt.elapsed_s >= 3600 * (len(data) // 500)


@pytest.mark.parametrize("member", ["begin", "put_part", "finish_new", "put_new"])
def test_a_store_that_does_nothing_for_the_deadline_is_given_up(member: Member) -> None:
    clock = FakeClock()
    driver = faulty(MemoryDriver(limits=SMALL), member, [BUSY] * 1000)
    store = Store(driver, part_bytes=1024, in_flight=1, clock=clock)
    file = store.open("k", "xb", deadline_s=5)
    with pytest.raises(StoreUnavailable), file:
        file.write(data_of(1000 if member == "put_new" else 5000))
    assert 3 < clock.now_s() <= 5
    assert store.head("k") is None


@pytest.mark.parametrize("way", ["discard", "block", "drop"])
def test_hours_later_an_abort_still_has_its_time(way: str) -> None:
    clock = FakeClock()
    driver = faulty(MemoryDriver(limits=SMALL), "abort", [BUSY, BUSY])
    store = Store(driver, part_bytes=1024, in_flight=1, clock=clock)
    file = store.open("k", "xb", deadline_s=5)
    file.write(bytes(3000))
    clock.advance(3600)
    if way == "discard":
        file.discard()
    elif way == "block":
        with pytest.raises(LookupError), file:
            raise LookupError
    else:
        with pytest.warns(ResourceWarning):
            del file
    assert list(store.driver.scan_uploads("")) == []


def test_hours_later_the_upload_of_a_part_that_failed_is_still_aborted() -> None:
    clock = FakeClock()
    driver = faulty(MemoryDriver(limits=SMALL), {"put_part": [None, REFUSED], "abort": [BUSY, BUSY]})
    store = Store(driver, part_bytes=1024, in_flight=1, clock=clock)
    file = store.open("k", "xb", deadline_s=5)
    with pytest.raises(AccessDenied), file:  # noqa: PT012
        for _ in range(4):
            clock.advance(3600)
            file.write(bytes(1024))
    assert list(store.driver.scan_uploads("")) == []


def test_an_upload_that_cannot_be_aborted_is_told() -> None:
    def opened() -> ObjectWriter:
        driver = faulty(MemoryDriver(limits=SMALL), "abort", [REFUSED])
        file = Store(driver, part_bytes=1024, in_flight=1, clock=FakeClock()).open("k", "xb")
        file.write(bytes(3000))
        return file

    file = opened()
    with pytest.warns(RuntimeWarning, match="left open"):
        file.discard()
    file = opened()
    with pytest.warns(ResourceWarning, match=r"never closed; upload .* is left open"):
        del file
    with pytest.raises(LookupError) as caught, opened():
        raise LookupError
    assert any("left open" in note for note in caught.value.__notes__)
