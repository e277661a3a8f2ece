"""`create`, `settle` and their variants, on every store of this house."""

from __future__ import annotations

import array
import contextlib
import gzip
import io
import mmap
import os
import pickle
import random
import re
import tempfile
import threading
import warnings
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from storage_guard import (
    GuaranteeMissing,
    GuaranteeWarning,
    NotWritten,
    ObjectExists,
    ObjectNotFound,
    ObjectOptions,
    OutcomeUnknown,
    Receipt,
    Store,
    StoreUnavailable,
    Unsupported,
    open_store,
)
from storage_guard.driver import Absent, Body, Capabilities, Limits, ObjectInfo, WriteMeta
from storage_guard.memory import MemoryDriver
from storage_guard.testing import CONFLICT_RESTART, LOST_BEFORE, BytesBody, FakeClock, FaultyDriver, faulty
from unit.conftest import MULTIPART_FROM_BYTES, PART_BYTES, SIZES


def data_of(size_bytes: int) -> bytes:
    return random.Random(size_bytes).randbytes(size_bytes)


def in_pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]
        yield b""


def file_at(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "source.bin"
    path.write_bytes(data)
    return path


def opened(tmp_path: Path, data: bytes, skip: bytes = b"head") -> io.BufferedReader:
    file = file_at(tmp_path, skip + data).open("rb")
    file.seek(len(skip))
    return file


def temporary(data: bytes) -> Any:
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed by the test
    file.write(data)
    file.seek(0)
    return file


def gzipped(tmp_path: Path, data: bytes) -> gzip.GzipFile:
    path = tmp_path / "source.gz"
    path.write_bytes(gzip.compress(data, 1))
    return gzip.open(path)


KINDS: dict[str, Callable[[Path, bytes], Any]] = {
    "bytes": lambda _, data: data,
    "bytearray": lambda _, data: bytearray(data),
    "memoryview": lambda _, data: memoryview(data),
    "array": lambda _, data: array.array("B", data),
    "path": file_at,
    "file": opened,
    "raw-file": lambda tmp, data: io.FileIO(file_at(tmp, data)),
    "temporary-file": lambda _, data: temporary(data),
    "gzip-file": gzipped,
    "bytesio": lambda _, data: io.BytesIO(data),
    "list": lambda _, data: list(in_pieces(data)),
    "generator": lambda _, data: in_pieces(data),
}


@contextlib.contextmanager
def given(kind: str, tmp_path: Path, data: bytes) -> Generator[Any]:
    source = KINDS[kind](tmp_path, data)
    try:
        yield source
    finally:
        if hasattr(source, "close"):
            source.close()


@pytest.mark.parametrize("size_bytes", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_arrives_whole_at_every_size(
    store: Store, kind: str, size_bytes: int, tmp_path: Path
) -> None:
    data = data_of(size_bytes)
    with given(kind, tmp_path, data) as source:
        receipt = store.create("a/b.bin", source)
    assert store.read("a/b.bin") == data
    assert b"".join(store.stream("a/b.bin")) == data
    info = store.head("a/b.bin")
    assert info is not None
    assert (receipt.outcome, receipt.resolved, receipt.attempts) == ("created", False, 1)
    assert (receipt.size_bytes, receipt.etag, receipt.write_id) == (info.size_bytes, info.etag, info.write_id)
    assert receipt.checksum == info.checksum
    assert receipt.size_bytes == size_bytes
    assert receipt.url.endswith("pre/fix/a/b.bin")
    known = kind not in ("temporary-file", "gzip-file", "bytesio", "list", "generator")
    if size_bytes < (MULTIPART_FROM_BYTES if known else PART_BYTES):
        assert receipt.parts == 0
    else:
        assert receipt.parts == -(-size_bytes // PART_BYTES)


@pytest.mark.parametrize("size_bytes", [0, 1, PART_BYTES, MULTIPART_FROM_BYTES + 1])
@pytest.mark.parametrize("other_bytes", [0, 1, MULTIPART_FROM_BYTES + 1])
def test_a_second_create_changes_nothing(store: Store, size_bytes: int, other_bytes: int) -> None:
    first = store.create("k", data_of(size_bytes), options=ObjectOptions(metadata={"who": "first"}))
    before = store.head("k")
    for second in (data_of(other_bytes), in_pieces(data_of(other_bytes))):
        with pytest.raises(ObjectExists) as caught:
            store.create("k", second, options=ObjectOptions(metadata={"who": "second"}))
        assert caught.value.existing == before
        assert caught.value.key == caught.value.filename == "k"
        assert isinstance(caught.value, FileExistsError)
    assert store.head("k") == before
    assert store.read("k") == data_of(size_bytes)
    assert before is not None
    assert before.write_id == first.write_id
    assert list(store.driver.scan_uploads("")) == []


@pytest.mark.parametrize("size_bytes", [0, 1, PART_BYTES, 3 * PART_BYTES + 5])
@pytest.mark.parametrize("kind", ["bytes", "path", "file", "bytesio", "list", "generator"])
def test_the_same_bytes_are_accepted_and_other_bytes_are_not(
    store: Store, kind: str, size_bytes: int, tmp_path: Path
) -> None:
    data = data_of(size_bytes)
    first = store.create("k", data)
    with given(kind, tmp_path, data) as source:
        receipt = store.create("k", source, if_exists="same")
    assert receipt.outcome == "same"
    assert receipt.write_id == first.write_id
    assert receipt.etag == first.etag
    equally_long = data[:-1] + bytes([data[-1] ^ 1]) if data else b"!"
    for other in (data + b"!", equally_long):
        with given(kind, tmp_path, other) as source, pytest.raises(ObjectExists):
            store.create("k", source, if_exists="same")
    assert store.read("k") == data


def test_the_same_bytes_are_recognised_in_a_foreign_file_without_a_checksum(tmp_path: Path) -> None:
    from storage_guard_local import LocalDriver

    (tmp_path / "k").write_bytes(data_of(5_000_000))
    store = Store(LocalDriver(tmp_path))
    assert store.create("k", in_pieces(data_of(5_000_000)), if_exists="same").outcome == "same"
    with pytest.raises(ObjectExists):
        store.create("k", data_of(5_000_001)[1:], if_exists="same")


def test_skip_accepts_whatever_is_there(store: Store) -> None:
    store.create("k", b"first")
    assert store.create("k", b"second", if_exists="skip").outcome == "present"
    assert store.create("k", data_of(3 * PART_BYTES), if_exists="skip").outcome == "present"
    assert store.read("k") == b"first"


@pytest.mark.parametrize("size_bytes", [0, 3, 3 * PART_BYTES])
def test_the_same_write_id_with_the_same_bytes_is_the_same_write(store: Store, size_bytes: int) -> None:
    data = data_of(size_bytes)
    first = store.create("k", data, write_id="job-7")
    again = store.create("k", in_pieces(data), write_id="job-7")
    assert (first.outcome, again.outcome) == ("created", "created")
    assert (first.resolved, again.resolved) == (False, True)
    assert first.etag == again.etag
    with pytest.raises(ObjectExists):
        store.create("k", data + b"!", write_id="job-7")
    with pytest.raises(ObjectExists):
        store.create("k", data, write_id="job-8")
    assert store.read("k") == data


def test_a_removed_key_is_free_again(store: Store) -> None:
    first = store.create("k", b"first")
    store.remove("k")
    assert store.head("k") is None
    second = store.create("k", b"second")
    assert second.etag != first.etag
    with pytest.raises(ObjectNotFound):
        store.remove("other")


def test_options_travel_with_the_bytes_and_defaults_fill_in(store: Store) -> None:
    options = ObjectOptions(content_type="text/plain", metadata={"colour": "blue"})
    for key, data in (("small", b"x"), ("large", data_of(3 * PART_BYTES))):
        store.create(key, data, options=options)
        info = store.head(key)
        assert info is not None
        assert info.options == options


def _note(seen: list[tuple[int, int | None]], done_bytes: int, total_bytes: int | None) -> None:
    seen.append((done_bytes, total_bytes))


def test_progress_ends_with_everything_and_never_goes_backwards(store: Store) -> None:
    for key, size_bytes in (("none", 0), ("small", 10), ("large", 3 * PART_BYTES + 1)):
        seen: list[tuple[int, int | None]] = []
        store.create(key, data_of(size_bytes), progress=partial(_note, seen))
        assert seen[-1] == (size_bytes, size_bytes)
        assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    seen = []
    store.create("stream", in_pieces(data_of(3 * PART_BYTES)), progress=partial(_note, seen))
    assert seen[-1] == (3 * PART_BYTES, None)


def test_a_file_ends_up_at_its_end_and_after_a_failure_where_it_stood(store: Store, tmp_path: Path) -> None:
    data = data_of(3 * PART_BYTES)
    for file in (opened(tmp_path, data), io.BytesIO(b"head" + data)):
        with file:
            file.seek(4)
            key = type(file).__name__
            store.create(key, file)
            assert file.read() == b""
            file.seek(4)
            with pytest.raises(ObjectExists):
                store.create(key, file)
            assert file.tell() == 4
            store.create(key + "-2", file)
            assert store.read(key + "-2") == data


def test_a_pipe_and_an_mmap_are_data_too(store: Store, tmp_path: Path) -> None:
    data = data_of(3 * PART_BYTES)
    reader, writer = os.pipe()

    def feed() -> None:
        with os.fdopen(writer, "wb") as out:
            out.write(data)

    thread = threading.Thread(target=feed)
    thread.start()
    with os.fdopen(reader, "rb") as pipe:
        store.create("pipe", pipe)
    thread.join()
    assert store.read("pipe") == data
    with file_at(tmp_path, data).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        store.create("mmap", mapped)
    assert store.read("mmap") == data


def test_a_buffer_is_let_go_when_create_is_done(store: Store) -> None:
    data = bytearray(10)
    store.create("k", data)
    data.append(1)  # a BufferError while somebody still holds it


def test_eight_threads_on_one_store_have_one_winner(store: Store) -> None:
    from storage_guard.testing import race, winners

    for turn in range(30):
        size_bytes = (0, 10, 3 * PART_BYTES)[turn % 3]
        key = f"k{turn}"
        contenders = [partial(store.create, key, bytes([who]) * size_bytes) for who in range(8)]
        results = race(contenders)
        assert len(winners(results)) == 1
        assert all(isinstance(each, ObjectExists) for each in results if isinstance(each, BaseException))


def test_a_ticket_of_another_store_or_no_ticket_is_refused(store: Store) -> None:
    from storage_guard.ticket import Ticket

    for bad in ("", "nonsense", "bm9uc2Vuc2U", "e30", str(Ticket("memory://other", "k", "id"))):
        with pytest.raises(ValueError, match="ticket"):
            store.settle(bad)
    elsewhere = str(Ticket(store.url, "k", "id", service="another service with a container of this name"))
    with pytest.raises(ValueError, match="at another service"):
        store.settle(elsewhere)


def test_settle_never_writes(store: Store) -> None:
    from storage_guard.ticket import Ticket

    asked = str(Ticket(store.url, "k", "an-id"))
    with pytest.raises(OutcomeUnknown) as caught:
        store.settle(asked)
    assert caught.value.ticket is not None
    assert list(store.scan()) == []
    store.create("k", b"x", write_id="an-id")
    assert store.settle(caught.value.ticket).outcome == "created"


def test_settle_under_a_callers_id_knows_other_bytes(store: Store) -> None:
    from storage_guard.checksum import crc64xz
    from storage_guard.ticket import Ticket

    store.create("k", b"mine", write_id="job")
    mine = Ticket(store.url, "k", "job", named=True, digest=(4, crc64xz(b"mine")))
    other = Ticket(store.url, "k", "job", named=True, digest=(4, crc64xz(b"yours")))
    assert store.settle(str(mine)).outcome == "created"
    with pytest.raises(ObjectExists):
        store.settle(str(other))


TIGHT = Limits(max_put_bytes=500, min_part_bytes=10, max_part_bytes=5000, max_parts=100, max_object_bytes=1 << 20)


class Unproven(MemoryDriver):
    """A store for which nobody vouches, or only for some of it."""

    def __init__(self, *, limits: Limits | None = None, **vouches: Any) -> None:
        super().__init__(limits=limits)
        self._vouches = vouches

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), **self._vouches)


class Overwriting(Unproven):
    """What is at a key is no hindrance."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        with contextlib.suppress(Absent):
            self.remove(key, None)
        return super().put_new(key, body, meta)


@pytest.mark.parametrize(
    "driver", [Unproven(put="missing", reason="it is a test"), Overwriting(put="unproven", reason="it is a test")]
)
def test_a_store_that_nobody_vouches_for_is_refused_before_the_first_byte(driver: Unproven) -> None:
    store = Store(driver)
    taken: list[int] = []

    def data() -> Iterator[bytes]:
        taken.append(1)
        yield b"x"

    with pytest.raises(GuaranteeMissing, match="it is a test"):
        store.create("k", data())
    with pytest.raises(GuaranteeMissing):
        store.check()
    assert not taken
    assert list(store.scan()) == []


def test_a_refusal_says_what_was_not_written_to_and_why() -> None:
    store = Store(Unproven(put="missing", reason="it is a test"))
    with pytest.raises(GuaranteeMissing, match=r"^the store was not written to.*promise: it is a test$"):
        store.check()
    with pytest.raises(GuaranteeMissing, match=r"^'k' was not written to") as caught:
        store.create("k", b"x")
    assert caught.value.key == "k"
    with pytest.raises(GuaranteeMissing, match=r"promise$"):
        Store(Unproven(put="missing", reason="")).check()


def test_settle_is_not_refused_where_a_write_would_be() -> None:
    from storage_guard.ticket import Ticket

    driver = Unproven(put="missing")
    store = Store(driver)
    driver.put_new("k", BytesBody(b"x"), WriteMeta("an-id"))
    assert store.settle(str(Ticket(store.url, "k", "an-id"))).guarantee == "trusted"
    upload = str(Ticket(store.url, "k", "an-id", upload_id="gone"))
    assert store.settle(upload).guarantee == "documented"
    assert Store(driver.client()).settle(str(Ticket(store.url, "k", "an-id", "gone"))).resolved


def test_a_store_is_examined_once_and_closes_its_driver() -> None:
    class Closing(FaultyDriver):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    driver = Closing(MemoryDriver())
    with Store(driver, part_bytes=1) as store:
        store.create("a", b"")
        store.create("b", b"")
        store.check()
    assert driver.calls["capabilities"] == 1
    assert driver.closed == 1


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_a_store_that_was_closed_goes_on_when_it_is_called(kind: str, tmp_path: Path) -> None:
    store = open_store("memory://closed" if kind == "memory" else tmp_path, part_bytes=2, multipart_from_bytes=4)
    with store:
        store.create("a", b"x")
    store.close()
    assert store.read("a") == b"x"
    assert store.create("b", b"in parts").parts > 0
    assert all(isinstance(result, Receipt) for result in store.create_many([("c", b"y")]))
    assert [each.key for each in store.scan()] == ["a", "b", "c"]
    store.close()


def test_a_fresh_write_id_has_128_bits() -> None:
    store = Store(MemoryDriver())
    ids = {store.create(f"k{n}", b"").write_id for n in range(10)}
    assert len(ids) == 10
    assert all(each and re.fullmatch("[0-9a-f]{32}", each) for each in ids)


def test_a_ticket_knows_that_the_id_was_the_callers(store: Store) -> None:
    silent = Store(faulty(store.driver, "put_new", [LOST_BEFORE] * 1000), clock=FakeClock(), prefix="pre/fix")
    with pytest.raises(OutcomeUnknown) as caught:
        silent.create("k", b"mine", write_id="job")
    assert caught.value.ticket is not None
    store.create("k", b"other", write_id="job")
    with pytest.raises(ObjectExists):
        store.settle(caught.value.ticket)


def test_what_can_be_read_again_is_sent_again_after_a_conflict_and_the_rest_is_not(store: Store) -> None:
    data = data_of(3 * PART_BYTES)

    def conflicting() -> Store:
        driver = faulty(store.driver, "finish_new", [CONFLICT_RESTART])
        return Store(driver, part_bytes=PART_BYTES, multipart_from_bytes=MULTIPART_FROM_BYTES, clock=FakeClock())

    sources: list[Any] = [data, io.BytesIO(data), list(in_pieces(data))]
    for number, source in enumerate(sources):
        receipt = conflicting().create(f"k{number}", source)
        assert (receipt.outcome, receipt.attempts, receipt.parts) == ("created", 2, 3)
        assert conflicting().read(f"k{number}") == data
    with pytest.raises(StoreUnavailable, match="'k'"):
        conflicting().create("k", in_pieces(data))
    assert conflicting().head("k") is None
    assert list(store.driver.scan_uploads("")) == []


def test_trust_is_loud_and_on_the_receipt_and_does_not_reach_what_is_known_to_be_broken() -> None:
    store = Store(Unproven(put="unproven"), enforcement="trust")
    with pytest.warns(GuaranteeWarning) as warned:
        assert store.create("k", b"x").guarantee == "trusted"
    assert {each.filename for each in warned} == {__file__}
    store.create("told-once", b"x")
    with pytest.raises(GuaranteeMissing):
        Store(Unproven(put="missing"), enforcement="trust").create("k2", b"x")


def test_who_makes_an_error_of_the_warning_has_it_each_time() -> None:
    store = Store(Unproven(put="unproven"), enforcement="trust")
    for _ in range(2):
        with warnings.catch_warnings(action="error"), pytest.raises(GuaranteeWarning):
            store.create("k", b"x")
    assert store.head("k") is None


def test_without_a_guarded_finish_large_objects_go_in_one_request() -> None:
    store = Store(Unproven(limits=TIGHT, finish="missing"), part_bytes=100, multipart_from_bytes=100)
    assert store.create("k", bytes(TIGHT.max_put_bytes)).parts == 0
    too_large: list[Any] = [bytes(TIGHT.max_put_bytes + 1), in_pieces(bytes(200_000))]
    for number, data in enumerate(too_large):
        with pytest.raises(GuaranteeMissing):
            store.create(f"large-{number}", data)


def test_a_stream_as_long_as_one_request_takes_is_one_request() -> None:
    store = Store(MemoryDriver(limits=TIGHT), part_bytes=2 * TIGHT.max_put_bytes)
    assert store.create("k", iter([bytes(TIGHT.max_put_bytes)])).parts == 0
    assert store.create("l", iter([bytes(TIGHT.max_put_bytes + 1)])).parts == 1


@pytest.mark.parametrize("name", ["create", "copy", "create_many"])
def test_options_that_are_a_dict_are_told_what_they_should_be(name: str) -> None:
    store = Store(MemoryDriver())
    store.create("there", b"x")
    options: Any = {"content_type": "text/plain"}
    calls: dict[str, Callable[[], object]] = {
        "create": lambda: store.create("k", b"x", options=options),
        "copy": lambda: store.copy("there", "k", options=options),
        "create_many": lambda: list(store.create_many([("k", b"x")], options=options)),
    }
    with pytest.raises(TypeError, match=r"options is an ObjectOptions, as ObjectOptions\(.*\), not dict"):
        calls[name]()
    assert store.head("k") is None


def test_a_store_without_write_ids_says_so_and_resolves_what_it_can() -> None:
    from storage_guard.testing import LOST_AFTER

    class Mute(Unproven):
        def head(self, key: str, /) -> Any:
            info = super().head(key)
            return info and replace(info, write_id=None)

    driver = Mute(write_ids=False)
    with pytest.raises(Unsupported, match="write_id"):
        Store(driver).create("k", b"x", write_id="mine")
    Store(driver).create("k", b"x")
    with pytest.raises(ObjectExists):
        Store(driver).create("k", b"x")
    for same in (b"x", iter([b"x"])):
        assert Store(driver).create("k", same, if_exists="same").outcome == "same"
    with pytest.raises(ObjectExists):
        Store(driver).create("k", b"y", if_exists="same")
    with pytest.raises(OutcomeUnknown):
        Store(faulty(driver, "put_new", [LOST_AFTER]), clock=FakeClock()).create("k2", b"x")


def test_too_large_for_the_store_is_said_before_the_first_byte(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(NotWritten, match="'k'"):
        store.create("k", path)


def test_a_stream_longer_than_its_reach_is_refused_and_leaves_nothing(
    store: Store, is_untouched: Callable[[], bool]
) -> None:
    small = Store(store.driver, part_bytes=PART_BYTES, memory_bytes=2 * PART_BYTES, prefix="pre/fix")
    with pytest.raises(NotWritten, match=f"longer than {50 * PART_BYTES} bytes.*memory_bytes"):
        small.create("k", (bytes(PART_BYTES) for _ in range(51)))
    assert is_untouched()
    assert small.create("k", (bytes(PART_BYTES) for _ in range(50))).parts == 50


@pytest.mark.parametrize(
    "options",
    [{"part_bytes": 0}, {"multipart_from_bytes": 0}, {"enforcement": "hope"}, {"prefix": "a//b"}, {"prefix": ".."}],
)
def test_senseless_options_of_a_store_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Store(MemoryDriver(), **options)


@pytest.mark.parametrize(
    "options", [{"if_exists": "overwrite"}, {"write_id": "a b"}, {"write_id": ""}, {"deadline_s": -1}]
)
def test_senseless_options_of_create_are_refused(store: Store, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        store.create("k", b"x", **options)
    assert store.head("k") is None


def test_a_store_pickles_where_its_driver_does() -> None:
    store = Store(MemoryDriver("pickled"), prefix="p", part_bytes=123)
    store.create("k", b"x")
    twin = pickle.loads(pickle.dumps(store))
    assert twin.read("k") == b"x"
    assert twin.url == store.url
