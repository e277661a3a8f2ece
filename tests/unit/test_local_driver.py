"""Laws of the local driver beyond those that all drivers share."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage_guard.body import BytesBody
from storage_guard.checksum import as_checksum, crc64xz
from storage_guard.driver import (
    Absent,
    Changed,
    Driver,
    Exists,
    Gone,
    Limits,
    Location,
    ObjectOptions,
    ObjectRef,
    PartSlot,
    Refused,
    Unsupported,
    WriteMeta,
)
from storage_guard_local import LocalDriver, System, open_url

META = WriteMeta("the-write", ObjectOptions(metadata={"colour": "green"}))


@pytest.fixture
def driver(tmp_path: Path) -> LocalDriver:
    return LocalDriver(tmp_path / "root")


def put(driver: Driver, key: str, data: bytes = b"data", meta: WriteMeta = META) -> None:
    driver.put_new(key, BytesBody(data), meta)


# Addresses


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("file:///a%20b/c", "/a b/c"),
        ("file://localhost/a", "/a"),
        ("FILE:///a%3Fb%23c", "/a?b#c"),
        ("/a/path?with#all", "/a/path?with#all"),
        ("/a%20b", "/a%20b"),
    ],
)
def test_a_url_is_the_folder_it_names(url: str, root: str) -> None:
    driver, prefix = open_url(url)
    assert (driver.location, prefix) == (Location("file", "", root), "")


def test_a_relative_path_is_made_absolute_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_url("some/folder", durable=False)[0].location.container == str(tmp_path / "some" / "folder")


@pytest.mark.parametrize(
    "url", ["", "file://host/a", "file:///a?b", "file:///a#b", "file:a", "file://", "s3://bucket/a", "file:///a%00b"]
)
def test_what_is_not_a_files_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="file"):
        open_url(url)


def test_the_location_has_a_files_url(driver: LocalDriver, tmp_path: Path) -> None:
    assert driver.location.url("a b/c") == f"file://{tmp_path}/root/a%20b/c"


def test_a_driver_pickles_with_its_options_and_without_its_uploads(tmp_path: Path) -> None:
    driver = LocalDriver(tmp_path, durable=False, limits=Limits(1, 1, 1, 1, 1))
    driver.begin("k", META)
    copy: LocalDriver = pickle.loads(pickle.dumps(driver))
    assert (copy.location, copy.limits, repr(copy)) == (driver.location, driver.limits, repr(driver))
    assert list(copy.scan_uploads("")) == []
    driver.close()


# Keys, links and folders


def test_nothing_is_read_or_written_through_a_symbolic_link(driver: LocalDriver, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    put(driver, "a/real")
    (tmp_path / "root" / "folder").symlink_to(outside)
    (tmp_path / "root" / "file").symlink_to(outside / "secret")
    (tmp_path / "root" / "dangling").symlink_to(outside / "new")
    for key in ("folder/new", "file", "dangling", "folder/secret"):
        with pytest.raises(Refused) as caught:
            put(driver, key)
        assert caught.value.why == "key"
        with pytest.raises(Refused):
            driver.begin(key, META)
        with pytest.raises(Refused):
            driver.head(key)
        with pytest.raises(Refused):
            driver.read(key, 0, 10, None)
        with pytest.raises(Refused):
            driver.remove(key, None)
        with pytest.raises(Refused):
            driver.copy_new(ObjectRef(driver.location, key), "copy", META)
    assert os.listdir(outside) == ["secret"]
    assert os.listdir(tmp_path / "root" / "a") == ["real"]


def test_the_root_itself_may_be_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    put(LocalDriver(tmp_path / "link"), "a/b")
    assert (tmp_path / "real" / "a" / "b").read_bytes() == b"data"


def test_a_root_that_is_a_file_or_a_dangling_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        with pytest.raises(Refused) as caught:
            put(LocalDriver(tmp_path / name), "k")
        assert caught.value.why == "request"


def test_a_folder_or_a_fifo_at_the_key_is_refused_as_a_key(driver: LocalDriver, tmp_path: Path) -> None:
    put(driver, "a/b")
    os.mkfifo(tmp_path / "root" / "fifo")
    for key in ("a", "fifo", "a/b/c"):
        with pytest.raises(Refused) as caught:
            put(driver, key)
        assert caught.value.why == "key"
    for key in ("a", "fifo"):
        with pytest.raises(Refused):
            driver.head(key)
        with pytest.raises(Refused):
            driver.remove(key, None)
    assert driver.head("a/b/c") is None


@pytest.mark.parametrize("key", ["../out", "a/../../out", "/etc/out", ".storage-guard/x", "a//b", "a\0b", "\udcff"])
def test_a_key_that_is_no_key_reaches_no_system_call(key: str, driver: LocalDriver, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        put(driver, key)
    assert caught.value.why == "key"
    assert os.listdir(tmp_path) == []


def test_a_missing_root_is_made_and_its_files_have_the_modes_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        put(LocalDriver(tmp_path / "x" / "y"), "a/b")
    finally:
        os.umask(before)
    assert (tmp_path / "x" / "y" / "a" / "b").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "x" / "y" / "a").stat().st_mode & 0o777 == 0o750


def test_capabilities_of_a_missing_root_do_not_make_it(driver: LocalDriver, tmp_path: Path) -> None:
    found = driver.capabilities()
    assert (found.put, found.finish, found.copy, found.write_ids) == ("documented",) * 3 + (True,)
    assert os.listdir(tmp_path) == []


# Bodies


def test_what_a_body_raises_passes_unchanged_and_nothing_is_left(driver: LocalDriver, tmp_path: Path) -> None:
    class Breaking(BytesBody):
        def __init__(self, raised: BaseException) -> None:
            super().__init__(b"12345")
            self._raised = raised

        def windows(self) -> Iterator[memoryview]:
            yield memoryview(b"123")
            raise self._raised

    for raised in (OSError(28, "the caller's own"), FileExistsError(17, "the same"), KeyboardInterrupt()):
        with pytest.raises(type(raised)) as caught:
            driver.put_new("a/b", Breaking(raised), META)
        assert caught.value is raised
        assert os.listdir(tmp_path) == []


def test_a_body_that_gives_other_than_it_said_is_refused(driver: LocalDriver) -> None:
    class Lying(BytesBody):
        @property
        def size_bytes(self) -> int:
            return 7

    with pytest.raises(Refused):
        driver.put_new("k", Lying(b"data"), META)
    assert driver.head("k") is None


def test_a_taken_key_is_refused_before_the_body_is_read(driver: LocalDriver) -> None:
    class Unread(BytesBody):
        def windows(self) -> Iterator[memoryview]:
            raise AssertionError("it was read")

    put(driver, "k")
    with pytest.raises(Exists):
        driver.put_new("k", Unread(b"data"), META)


# Uploads


def test_parts_in_any_order_sent_again_and_cut_short_make_the_whole(driver: LocalDriver) -> None:
    upload_id = driver.begin("a/k", META)
    last = driver.put_part("a/k", upload_id, PartSlot(9, 6, 3), BytesBody(b"ghi"))
    driver.put_part("a/k", upload_id, PartSlot(10, 9, 3), BytesBody(b"not"))
    driver.put_part("a/k", upload_id, PartSlot(1, 0, 6), BytesBody(b"wrong!"))
    first = driver.put_part("a/k", upload_id, PartSlot(1, 0, 6), BytesBody(b"abcdef"))
    assert [part.slot.number for part in driver.scan_parts("a/k", upload_id)] == [1, 9, 10]
    info = driver.finish_new("a/k", upload_id, [first, last], META)
    assert driver.read("a/k", 0, 100, info.etag) == b"abcdefghi"
    assert info.checksum == as_checksum(crc64xz(b"abcdefghi"))
    assert driver.head("a/k") == info


def test_parts_that_are_not_what_is_there_are_refused_and_the_upload_stays(driver: LocalDriver) -> None:
    upload_id = driver.begin("k", META)
    one = driver.put_part("k", upload_id, PartSlot(1, 0, 3), BytesBody(b"abc"))
    two = driver.put_part("k", upload_id, PartSlot(2, 4, 3), BytesBody(b"efg"))
    for parts in ([], [two], [one, two], [two, one], [one, one]):
        with pytest.raises(Refused):
            driver.finish_new("k", upload_id, parts, META)
    other = driver.put_part("k", upload_id, PartSlot(3, 1, 3), BytesBody(b"xyz"))  # writes over both
    for parts in ([one], [one, other]):
        with pytest.raises(Refused):
            driver.finish_new("k", upload_id, parts, META)
    with pytest.raises(Refused):
        driver.put_part("k", upload_id, PartSlot(1, 0, 3), BytesBody(b"four"))
    driver.abort("k", upload_id)


def test_after_exists_an_upload_can_be_finished_again(driver: LocalDriver) -> None:
    upload_id = driver.begin("k", META)
    part = driver.put_part("k", upload_id, PartSlot(1, 0, 3), BytesBody(b"abc"))
    put(driver, "k", b"rival")
    with pytest.raises(Exists):
        driver.finish_new("k", upload_id, [part], META)
    assert [upload.upload_id for upload in driver.scan_uploads("k")] == [upload_id]
    driver.remove("k", None)
    driver.finish_new("k", upload_id, [part], META)
    assert driver.read("k", 0, 10, None) == b"abc"
    for call in (driver.abort, driver.scan_parts):
        with pytest.raises(Gone) as caught:
            call("k", upload_id)
        assert caught.value.sole


def test_a_taken_key_is_refused_at_begin(driver: LocalDriver) -> None:
    put(driver, "k")
    with pytest.raises(Exists):
        driver.begin("k", META)


def test_a_finish_waits_for_a_writer_that_is_late(driver: LocalDriver) -> None:
    began, go_on = threading.Event(), threading.Event()

    class Slow(BytesBody):
        def windows(self) -> Iterator[memoryview]:
            began.set()
            assert go_on.wait(10)
            return super().windows()

    upload_id = driver.begin("k", META)
    part = driver.put_part("k", upload_id, PartSlot(1, 0, 3), BytesBody(b"abc"))
    with ThreadPoolExecutor(3) as pool:
        late = pool.submit(driver.put_part, "k", upload_id, PartSlot(2, 3, 3), Slow(b"xyz"))
        assert began.wait(10)
        finish = pool.submit(driver.finish_new, "k", upload_id, [part], META)
        abort = pool.submit(driver.abort, "k", upload_id)
        assert not finish.done()
        assert driver.head("k") is None
        go_on.set()
        late.result(10)
        outcomes = [future.exception(10) for future in (finish, abort)]
    # One of the two came first; the other found nothing.
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Gone", "NoneType"]
    found = driver.head("k")
    assert (found is not None) == (outcomes[0] is None)
    if found is not None:
        assert driver.read("k", 0, 10, None) == b"abc"


def test_abort_and_close_leave_nothing(driver: LocalDriver, tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    first = driver.begin("a/b", META)
    second = driver.begin("c/d", META)
    driver.put_part("a/b", first, PartSlot(1, 0, 3), BytesBody(b"abc"))
    driver.abort("a/b", first)
    driver.close()
    assert os.listdir(tmp_path / "root") == []
    assert os.listdir("/proc/self/fd") == before
    with pytest.raises(Gone):
        driver.put_part("c/d", second, PartSlot(1, 0, 3), BytesBody(b"abc"))


def test_a_driver_that_is_dropped_takes_its_uploads_with_it(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    driver = LocalDriver(tmp_path)
    driver.begin("k", META)
    del driver
    assert os.listdir("/proc/self/fd") == before


# Copies


class Counting(System):
    def __init__(self) -> None:
        self.in_kernel = 0

    def copy_file_range(self, from_fd: int, to_fd: int, size_bytes: int, from_bytes: int, to_bytes: int) -> int:
        self.in_kernel += 1
        return super().copy_file_range(from_fd, to_fd, size_bytes, from_bytes, to_bytes)


@pytest.mark.parametrize("stored", [True, False], ids=["with a checksum", "another program's file"])
def test_a_copy_has_the_bytes_and_their_checksum_and_its_own_metadata(stored: bool, tmp_path: Path) -> None:
    data = os.urandom(700_000)
    source = LocalDriver(tmp_path / "source")
    if stored:
        put(source, "a/b", data)
    else:
        (tmp_path / "source" / "a").mkdir(parents=True)
        (tmp_path / "source" / "a" / "b").write_bytes(data)
    system = Counting()
    driver = LocalDriver(tmp_path / "root", system=system)
    info = driver.copy_new(ObjectRef(source.location, "a/b"), "c", WriteMeta("mine"))
    assert info == driver.head("c")
    assert (info.write_id, info.options) == ("mine", ObjectOptions())
    assert info.checksum == as_checksum(crc64xz(data))
    assert driver.read("c", 0, 1_000_000, None) == data
    assert (system.in_kernel > 0) == stored


def test_a_copy_goes_on_by_hand_where_the_kernel_does_not_copy(tmp_path: Path) -> None:
    class NoCopy(System):
        def copy_file_range(self, from_fd: int, to_fd: int, size_bytes: int, from_bytes: int, to_bytes: int) -> int:
            if from_bytes:
                raise OSError(18, "another device")
            return super().copy_file_range(from_fd, to_fd, size_bytes // 3, from_bytes, to_bytes)

    data = os.urandom(300_000)
    driver = LocalDriver(tmp_path, system=NoCopy())
    put(driver, "a", data)
    driver.copy_new(ObjectRef(driver.location, "a"), "b", META)
    assert driver.read("b", 0, 1_000_000, None) == data


def test_a_copy_of_what_is_not_there_or_not_the_same_is_refused(driver: LocalDriver, tmp_path: Path) -> None:
    put(driver, "a")
    upload_id = driver.begin("p", META)
    for source, signal in (
        (ObjectRef(driver.location, "b"), Absent),
        (ObjectRef(driver.location, "a", etag="other"), Changed),
        (ObjectRef(Location("s3", "", "bucket"), "a"), Unsupported),
        (ObjectRef(driver.location, "a", version_id="1"), Unsupported),
    ):
        with pytest.raises(signal):
            driver.copy_new(source, "c", META)
        with pytest.raises(signal):
            driver.copy_part("p", upload_id, PartSlot(1, 0, 4), source, 0)
    with pytest.raises(Changed):
        driver.copy_part("p", upload_id, PartSlot(1, 0, 4), ObjectRef(driver.location, "a"), 1)
    part = driver.copy_part("p", upload_id, PartSlot(1, 0, 3), ObjectRef(driver.location, "a"), 1)
    driver.finish_new("p", upload_id, [part], META)
    assert driver.read("p", 0, 9, None) == b"ata"
    assert sorted(os.listdir(tmp_path / "root")) == ["a", "p"]


def test_a_source_that_changes_while_it_is_copied_is_not_published(tmp_path: Path) -> None:
    class Meddling(System):
        def copy_file_range(self, from_fd: int, to_fd: int, size_bytes: int, from_bytes: int, to_bytes: int) -> int:
            copied = super().copy_file_range(from_fd, to_fd, size_bytes, from_bytes, to_bytes)
            (tmp_path / "a").write_bytes(b"DATA")
            return copied

    driver = LocalDriver(tmp_path, system=Meddling())
    put(driver, "a")
    with pytest.raises(Changed):
        driver.copy_new(ObjectRef(driver.location, "a"), "b", META)
    assert driver.head("b") is None


# Reading and removing


def test_a_read_is_pinned_by_the_etag(driver: LocalDriver) -> None:
    put(driver, "k", b"0123456789")
    info = driver.head("k")
    assert info is not None
    assert driver.read("k", 2, 5, info.etag) == b"234"
    assert driver.read("k", 8, 50, None) == b"89"
    assert driver.read("k", 50, 60, None) == b""
    with pytest.raises(Changed):
        driver.read("k", 0, 5, "other")
    with pytest.raises(Absent):
        driver.read("l", 0, 5, None)


def test_a_removal_takes_the_empty_folders_along_and_is_pinned_by_the_etag(driver: LocalDriver, tmp_path: Path) -> None:
    put(driver, "a/b/c")
    put(driver, "a/d")
    with pytest.raises(Changed):
        driver.remove("a/b/c", "other")
    info = driver.head("a/b/c")
    assert info is not None
    driver.remove("a/b/c", info.etag)
    assert os.listdir(tmp_path / "root" / "a") == ["d"]
    driver.remove("a/d", None)
    assert os.listdir(tmp_path / "root") == []
    with pytest.raises(Absent):
        driver.remove("a/d", None)


def test_a_folder_made_again_is_synced_upwards_again(tmp_path: Path) -> None:
    synced: list[int] = []

    class Syncs(System):
        def fsync(self, fd: int) -> None:
            synced.append(os.fstat(fd).st_ino)
            super().fsync(fd)

    driver = LocalDriver(tmp_path, system=Syncs())
    root = tmp_path.stat().st_ino
    put(driver, "a/b")
    put(driver, "a/c")
    assert synced.count(root) == 1
    driver.remove("a/b", None)
    driver.remove("a/c", None)
    put(driver, "a/b")
    assert synced.count(root) == 2


def test_creators_and_removers_in_one_folder_never_lose_an_object(tmp_path: Path) -> None:
    driver = LocalDriver(tmp_path, durable=False)

    def churn(worker: int) -> None:
        for number in range(100):
            key = f"a/b/{worker}-{number}"
            put(driver, key)
            assert driver.head(key) is not None
            driver.remove(key, None)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(churn, range(4)))
    assert os.listdir(tmp_path) == []


def test_presigning_is_unsupported(driver: LocalDriver) -> None:
    with pytest.raises(Unsupported):
        driver.presign("k", 1.0)
