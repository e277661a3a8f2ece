"""What is at a key is compared by the checksum that its store says, whichever that is; and read only where it says
none that can be had of the caller's bytes."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from faults.resume_worlds import NVMEDriver
from storage_guard import ChecksumMismatch, ObjectExists, OutcomeUnknown, Store, checksum
from storage_guard.checksum import ALGORITHMS, as_checksum, crc64nvme, crc64xz
from storage_guard.driver import Checksum, Driver, Location, ObjectInfo, WriteMeta
from storage_guard.engine import payload
from storage_guard.memory import MemoryDriver
from storage_guard.testing import LOST_AFTER, REFUSED, BytesBody, FakeClock, FaultyDriver, faulty
from storage_guard.testing.server import Cue, altered
from unit.copies.copy_ends import FROM_BYTES, LIMITS, PART_BYTES, Meddling, data_of, store_of
from unit.oss_served import changed
from unit.s3_served import Served, served

SMALL, LARGE = data_of(PART_BYTES // 2), data_of(FROM_BYTES + 5)
DATA = [SMALL, LARGE]


def said(algorithm: str, data: bytes) -> Checksum | None:
    match algorithm:
        case "crc64xz":
            return as_checksum(crc64xz(data))
        case "crc64nvme":
            return as_checksum(crc64nvme(data), "crc64nvme")
        case "md5":
            return Checksum("md5", "00" * 16)
        case _:
            return None


class Saying(MemoryDriver):
    """Says the checksums of objects in `algorithm`."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(limits=LIMITS)
        self._algorithm = algorithm

    def head(self, key: str, /) -> ObjectInfo | None:
        info = super().head(key)
        if info is None:
            return None
        return replace(info, checksum=said(self._algorithm, super().read(key, 0, info.size_bytes, None)))


class SayingElsewhere(Saying):
    """Of another service: nothing is copied from there by itself."""

    @property
    def location(self) -> Location:
        return replace(super().location, endpoint="elsewhere")


def in_pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


KINDS: dict[str, Callable[[bytes, Path], Any]] = {
    "bytes": lambda data, _: data,
    "file": lambda data, path: path,
    "seekable stream": lambda data, _: io.BytesIO(data),
    "pieces": lambda data, _: in_pieces(data),
    "list": lambda data, _: [data[:7], data[7:]],
}


def given(kind: str, data: bytes, tmp_path: Path) -> Any:
    path = tmp_path / "source.bin"
    path.write_bytes(data)
    return KINDS[kind](data, path)


def other(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def put_at(driver: Driver, data: bytes, key: str = "k") -> None:
    driver.put_new(key, BytesBody(data), WriteMeta("theirs"))


def there(driver: Driver, data: bytes) -> FaultyDriver:
    """Somebody's object is at "k"."""
    put_at(driver, data)
    return FaultyDriver(driver)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_nothing_is_read_where_the_store_says_a_checksum(
    algorithm: str, kind: str, data: bytes, tmp_path: Path
) -> None:
    driver = there(Saying(algorithm), data)
    store = store_of(driver)
    assert store.create("k", given(kind, data, tmp_path), if_exists="same").outcome == "same"
    with pytest.raises(ObjectExists):
        store.create("k", given(kind, other(data), tmp_path), if_exists="same")
    assert driver.calls["read"] == 0


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("algorithm", ["md5", "none"])
def test_what_no_checksum_can_tell_is_read(algorithm: str, kind: str, data: bytes, tmp_path: Path) -> None:
    driver = there(Saying(algorithm), data)
    store = store_of(driver)
    assert store.create("k", given(kind, data, tmp_path), if_exists="same").outcome == "same"
    with pytest.raises(ObjectExists):
        store.create("k", given(kind, other(data), tmp_path), if_exists="same")
    assert driver.calls["read"] > 0


def test_without_its_library_a_checksum_is_as_if_unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = there(Saying("crc64nvme"), LARGE)
    monkeypatch.setattr(checksum, "_has_nvme", lambda: False)
    monkeypatch.setattr(checksum, "crc64nvme", None)
    assert store_of(driver).create("k", LARGE, if_exists="same").outcome == "same"
    with pytest.raises(ObjectExists):
        store_of(driver).create("k", other(LARGE), if_exists="same")
    assert driver.calls["read"] > 0


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_was_poured_is_compared_without_reading(algorithm: str, data: bytes) -> None:
    driver = there(Saying(algorithm), data)
    store = store_of(driver)
    for written, outcome in ((data, "same"), (other(data), "exists")):
        with contextlib.ExitStack() as stack:
            if outcome == "exists":
                stack.enter_context(pytest.raises(ObjectExists))
            file = stack.enter_context(store.open("k", "xb", if_exists="same"))
            for piece in in_pieces(written):
                file.write(piece)
    assert driver.calls["read"] == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_who_meets_a_rival_midway_reads_nothing_either(algorithm: str, kind: str, tmp_path: Path) -> None:
    for data, outcome in ((LARGE, "same"), (other(LARGE), "exists")):
        driver = FaultyDriver(Saying(algorithm))
        driver.plan("finish_new", [Meddling(partial(put_at, driver, data))])
        with contextlib.ExitStack() as stack:
            if outcome == "exists":
                stack.enter_context(pytest.raises(ObjectExists))
            receipt = store_of(driver).create("k", given(kind, LARGE, tmp_path), if_exists="same")
            assert receipt.outcome == outcome
        assert driver.calls["read"] == 0


def test_only_what_may_be_compared_is_counted_twice() -> None:
    driver = there(Saying("crc64nvme"), LARGE)
    counted = list[str]()

    def noted(data: Any, crc: int = 0) -> int:
        counted.append("crc64nvme")
        return crc64nvme(data, crc)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checksum, "crc64nvme", noted)
        store_of(driver).create("new", in_pieces(LARGE))
        assert counted == []
        store_of(driver).create("named", in_pieces(LARGE), write_id="job")
        assert counted


class OfS3(NVMEDriver):
    """Says CRC-64/NVME of parts and of objects."""

    def head(self, key: str, /) -> ObjectInfo | None:
        info = super().head(key)
        return info and replace(info, checksum=said("crc64nvme", super().read(key, 0, info.size_bytes, None)))


@pytest.mark.parametrize("make", [lambda: MemoryDriver(limits=LIMITS), lambda: OfS3(limits=LIMITS)], ids=["xz", "nvme"])
def test_a_ticket_of_much_data_settles_by_what_the_store_said_of_its_parts(
    make: Callable[[], Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payload, "_QUICK_BYTES", 0)
    for data, settled in ((LARGE, "created"), (other(LARGE), "exists")):
        below = make()
        driver = faulty(below, {"finish_new": [LOST_AFTER], "head": [REFUSED] * 100})
        with pytest.raises(OutcomeUnknown) as unknown:
            store_of(driver).create("k", LARGE, write_id="job")
        assert unknown.value.ticket is not None
        below.remove("k", None)
        below.put_new("k", BytesBody(data), WriteMeta("job"))
        later = FaultyDriver(below)
        if settled == "created":
            assert store_of(later).settle(unknown.value.ticket).outcome == "created"
        else:
            with pytest.raises(ObjectExists):
                store_of(later).settle(unknown.value.ticket)
        assert later.calls["read"] == 0


# Copies


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_copy_is_compared_without_reading_where_both_stores_say_the_same_kind(
    algorithm: str, apart: bool, data: bytes
) -> None:
    away = there(SayingElsewhere(algorithm) if apart else Saying(algorithm), data)
    home = there(Saying(algorithm), data)
    put_at(home, other(data), "other")
    source, target = store_of(away), store_of(home)
    assert target.copy((source, "k"), "k", if_exists="same").outcome == "same"
    with pytest.raises(ObjectExists):
        target.copy((source, "k"), "other", if_exists="same")
    assert home.calls["read"] == 0
    sent = 2 if apart and data == SMALL else 0  # in one request, which is sent before anybody looks who has the key
    assert away.calls["read"] == sent


@pytest.mark.parametrize(("theirs", "ours"), [("crc64nvme", "none"), ("crc64nvme", "crc64xz"), ("none", "crc64nvme")])
def test_of_two_stores_that_say_no_checksum_in_common_one_is_read(theirs: str, ours: str) -> None:
    away, home = there(Saying(theirs), LARGE), there(Saying(ours), LARGE)
    put_at(home, other(LARGE), "other")
    source, target = store_of(away), store_of(home)
    assert target.copy((source, "k"), "k", if_exists="same").outcome == "same"
    with pytest.raises(ObjectExists):
        target.copy((source, "k"), "other", if_exists="same")
    assert (away.calls["read"] > 0, home.calls["read"] > 0) == ((False, True) if ours == "none" else (True, False))


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bytes_that_pass_through_here_are_compared_with_what_the_source_says(algorithm: str, data: bytes) -> None:
    class Spoiling(SayingElsewhere):
        def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
            piece = super().read(key, start, stop, etag)
            return other(piece) if etag is not None and stop == len(data) else piece

    away, home = there(Spoiling(algorithm), data), FaultyDriver(Saying(algorithm))
    with pytest.raises(ChecksumMismatch):
        store_of(home).copy((store_of(away), "k"), "copy")
    assert list(home.scan("", "", "")) == []
    assert list(home.scan_uploads("")) == []


# S3


@pytest.fixture
def s3() -> Iterator[Served]:
    with served() as world:
        yield world


def s3_store(world: Served) -> Store:
    return Store(world.on_aws(), part_bytes=PART_BYTES, multipart_from_bytes=FROM_BYTES, clock=FakeClock(), prefix="p")


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("kind", KINDS)
def test_on_s3_nothing_is_read_to_compare(s3: Served, kind: str, data: bytes, tmp_path: Path) -> None:
    store = s3_store(s3)
    store.create("k", data)
    assert store.create("k", given(kind, data, tmp_path), if_exists="same").outcome == "same"
    with pytest.raises(ObjectExists):
        store.create("k", given(kind, other(data), tmp_path), if_exists="same")
    assert store.copy("k", "copy").outcome == "created"
    assert store.copy("k", "copy", if_exists="same").outcome == "same"
    assert s3.asked("read") == 0


@pytest.mark.parametrize("data", DATA)
def test_what_comes_from_s3_through_here_is_compared_before_it_is_published(s3: Served, data: bytes) -> None:
    source, target = s3_store(s3), store_of(MemoryDriver(limits=LIMITS))
    source.create("k", data)
    s3.cues.add(Cue(altered(lambda answer: changed(answer, body=spoilt(answer.body))), member="read", times=1))
    with pytest.raises(ChecksumMismatch):
        target.copy((source, "k"), "copy")
    assert target.head("copy") is None
    assert target.copy((source, "k"), "copy").outcome == "created"
    assert target.read("copy") == data


def test_a_part_on_s3_that_is_no_longer_the_files_is_sent_again(s3: Served, tmp_path: Path) -> None:
    """Though nothing about the file tells that somebody wrote to it."""
    path = tmp_path / "source.bin"
    path.write_bytes(LARGE)
    before = path.stat()

    def stop(done_bytes: int, _: int | None) -> None:
        if done_bytes > 2 * PART_BYTES:
            raise RuntimeError("enough")

    store = Store(
        s3.on_aws(),
        part_bytes=PART_BYTES,
        multipart_from_bytes=FROM_BYTES,
        in_flight=1,
        clock=FakeClock(),
        journal=tmp_path / "journal",
    )
    with pytest.raises(RuntimeError, match="enough"):
        store.create("k", path, resume=True, progress=stop)
    sent = s3.asked("put_part")
    data = b"!" + LARGE[1:]
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.create("k", path, resume=True).outcome == "created"
    assert store.read("k") == data
    assert s3.asked("put_part") - sent == 4 - 2 + 1, "the two that were there, but for the first, are not sent again"


def spoilt(body: object) -> bytes:
    assert isinstance(body, bytes)
    return other(body)
