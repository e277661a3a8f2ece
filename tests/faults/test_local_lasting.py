"""Uploads that outlive their process: gone on with by another driver, held by one at a time, never written once out."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from faults.local_systems import Failing, Mount, Watched, Without, files_below, open_descriptors
from storage_guard.checksum import as_checksum, crc64xz
from storage_guard.driver import (
    Exists,
    Gone,
    Lost,
    ObjectOptions,
    ObjectRef,
    Part,
    PartSlot,
    Refused,
    Unsupported,
    WriteMeta,
)
from storage_guard.testing import BytesBody
from storage_guard_local import LocalDriver, System

if TYPE_CHECKING:
    from typing_extensions import Buffer

KEY = "a/b/object"
META = WriteMeta("the-write", ObjectOptions(content_type="text/plain", metadata={"colour": "green"}), lasting=True)
WAYS: dict[str, tuple[str, ...]] = {"link": (), "rename": ("link",)}
PART_BYTES = 1000
DATA = bytes(range(250)) * 12  # three parts
HIDDEN = ".storage-guard/uploads"

ways = pytest.mark.parametrize("lacks", WAYS.values(), ids=WAYS)


def driver_at(root: Path, lacks: tuple[str, ...] = (), *, durable: bool = False) -> LocalDriver:
    return LocalDriver(root, durable=durable, system=Without(*lacks))


def piece(number: int) -> tuple[PartSlot, BytesBody]:
    start = (number - 1) * PART_BYTES
    return PartSlot(number, start, PART_BYTES), BytesBody(DATA[start : start + PART_BYTES])


def put(driver: LocalDriver, upload_id: str, *numbers: int) -> list[Part]:
    return [driver.put_part(KEY, upload_id, *piece(number)) for number in numbers]


def hidden(root: Path) -> list[str]:
    return sorted(os.listdir(root / HIDDEN))


def is_in_use(call: Callable[..., object], *args: Any) -> bool:
    try:
        call(*args)
    except Refused as exc:
        return (exc.why, exc.code) == ("request", "InUse")
    return False


# Going on


@ways
@pytest.mark.parametrize("durable", [False, True], ids=["unsynced", "durable"])
def test_another_driver_goes_on_where_the_first_let_go(lacks: tuple[str, ...], durable: bool, tmp_path: Path) -> None:
    before = open_descriptors()
    first = driver_at(tmp_path, lacks, durable=durable)
    upload_id = first.begin(KEY, META)
    began = datetime.now(UTC)
    sent = put(first, upload_id, 1, 3)
    assert list(first.scan_parts(KEY, upload_id)) == sent
    (seen,) = first.scan_uploads("a/")
    first.close()
    assert list(first.scan("", "", "")) == []
    assert first.head(KEY) is None

    second = driver_at(tmp_path, lacks, durable=durable)
    assert list(second.scan_uploads("")) == [seen]
    assert list(second.scan_uploads("b")) == []
    found = list(second.scan_parts(KEY, upload_id))
    assert found == sent
    assert [part.modified for part in found] == [part.modified for part in sent]
    assert all(part.modified and abs((part.modified - began).total_seconds()) < 60 for part in found)
    assert seen.started <= began
    (middle,) = put(second, upload_id, 2)
    info = second.finish_new(KEY, upload_id, [found[0], middle, found[1]], META)
    assert second.head(KEY) == info
    assert (info.write_id, info.options, info.checksum) == ("the-write", META.options, as_checksum(crc64xz(DATA)))
    assert second.read(KEY, 0, 5000, None) == DATA
    assert (tmp_path / KEY).stat().st_nlink == 1
    assert list(second.scan_uploads("")) == []
    assert files_below(tmp_path) == ["a", "a/b", KEY]
    for driver in (first, second):
        for call in (driver.abort, driver.scan_parts):
            with pytest.raises(Gone) as caught:
                call(KEY, upload_id)
            assert caught.value.sole
    assert open_descriptors() == before


WRITER = """
import os, signal, sys
from faults.test_local_lasting import KEY, META, driver_at, put

driver = driver_at(sys.argv[1])
upload_id = driver.begin(KEY, META)
put(driver, upload_id, 1, 2)
if "fork" in sys.argv:
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(1)
        os.write(writing, b"!")
        signal.pause()
    os.read(reading, 1)
print(upload_id, flush=True)
sys.stdin.read()
"""


def writer(root: Path, *how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), *how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(__file__))},
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("how", [(), ("fork",)], ids=["alone", "with a forked child that lives on"])
def test_an_upload_is_in_use_while_its_process_lives_and_free_once_it_is_killed(
    how: tuple[str, ...], tmp_path: Path
) -> None:
    with writer(tmp_path, *how) as process:
        assert process.stdout is not None
        upload_id = process.stdout.readline().strip()
        try:
            driver = driver_at(tmp_path)
            assert [upload.upload_id for upload in driver.scan_uploads("")] == [upload_id]
            assert is_in_use(put, driver, upload_id, 3)
            assert is_in_use(driver.finish_new, KEY, upload_id, [], META)
            assert is_in_use(driver.abort, KEY, upload_id)
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            parts = list(driver.scan_parts(KEY, upload_id)) + put(driver, upload_id, 3)
            driver.finish_new(KEY, upload_id, parts, META)
        finally:
            if how:
                os.killpg(process.pid, signal.SIGKILL)
    assert driver.read(KEY, 0, 5000, None) == DATA
    assert hidden(tmp_path) == []


def test_a_forked_child_does_not_hold_its_parents_uploads_and_is_told_so(tmp_path: Path) -> None:
    driver = driver_at(tmp_path)
    upload_id = driver.begin(KEY, META)
    put(driver, upload_id, 1)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert is_in_use(put, driver, upload_id, 1)
            assert [upload.upload_id for upload in driver.scan_uploads("")] == [upload_id]
            driver.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert len(put(driver, upload_id, 2)) == 1
    driver.abort(KEY, upload_id)
    assert hidden(tmp_path) == []


def test_two_drivers_of_one_process_are_two_and_a_copied_driver_is_another(tmp_path: Path) -> None:
    driver = driver_at(tmp_path)
    upload_id = driver.begin(KEY, META)
    parts = put(driver, upload_id, 1)
    copy: LocalDriver = pickle.loads(pickle.dumps(driver))
    for other in (copy, driver_at(tmp_path)):
        assert is_in_use(other.scan_parts, KEY, upload_id)
        assert [upload.upload_id for upload in other.scan_uploads("")] == [upload_id]
    driver.finish_new(KEY, upload_id, parts, META)
    with pytest.raises(Gone):
        copy.scan_parts(KEY, upload_id)


def test_of_many_that_take_over_at_once_one_wins(tmp_path: Path) -> None:
    first = driver_at(tmp_path)
    upload_id = first.begin(KEY, META)
    put(first, upload_id, 1)
    first.close()
    drivers = [driver_at(tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        refused = [each.result(10) for each in [pool.submit(is_in_use, put, one, upload_id, 2) for one in drivers]]
    assert refused.count(False) == 1
    winner = drivers[refused.index(False)]
    winner.finish_new(KEY, upload_id, list(winner.scan_parts(KEY, upload_id)), META)
    assert winner.read(KEY, 0, 5000, None) == DATA[: 2 * PART_BYTES]


def test_threads_of_one_driver_take_over_together(tmp_path: Path) -> None:
    first = driver_at(tmp_path)
    upload_id = first.begin(KEY, META)
    first.close()
    driver = driver_at(tmp_path)
    with ThreadPoolExecutor(3) as pool:
        parts = [
            part for each in [pool.submit(put, driver, upload_id, n) for n in (1, 2, 3)] for part in each.result(10)
        ]
    driver.finish_new(KEY, upload_id, parts, META)
    assert driver.read(KEY, 0, 5000, None) == DATA


def test_a_copied_part_lasts_as_well(tmp_path: Path) -> None:
    driver = driver_at(tmp_path)
    driver.put_new("source", BytesBody(DATA), WriteMeta("x"))
    upload_id = driver.begin(KEY, META)
    driver.copy_part(KEY, upload_id, PartSlot(1, 0, 2000), ObjectRef(driver.location, "source"), 0)
    driver.close()
    part = driver.copy_part(KEY, upload_id, PartSlot(2, 2000, 1000), ObjectRef(driver.location, "source"), 2000)
    assert part.checksum == as_checksum(crc64xz(DATA[2000:]))
    assert part.modified is not None
    driver.finish_new(KEY, upload_id, list(driver.scan_parts(KEY, upload_id)), META)
    assert driver.read(KEY, 0, 5000, None) == DATA


def test_what_was_begun_otherwise_is_not_finished(tmp_path: Path) -> None:
    first = driver_at(tmp_path)
    upload_id = first.begin(KEY, META)
    parts = put(first, upload_id, 1)
    first.close()
    driver = driver_at(tmp_path)
    for meta in (WriteMeta("other", META.options, lasting=True), WriteMeta("the-write", lasting=True)):
        with pytest.raises(Refused):
            driver.finish_new(KEY, upload_id, parts, meta)
    driver.finish_new(KEY, upload_id, parts, META)


@pytest.mark.parametrize("upload_id", ["", "0" * 32, "../../outside", "a/b", "A" * 32, "0" * 31 + "\n", "tmp"])
def test_an_id_that_is_none_is_gone_and_leads_nowhere(upload_id: str, tmp_path: Path) -> None:
    (tmp_path / "outside.parts").write_bytes(b"")
    driver = driver_at(tmp_path / "root")
    known = driver.begin(KEY, META)
    for each, key in ((upload_id, KEY), (known, "another/key")):
        with pytest.raises(Gone):
            driver.scan_parts(key, each)
        with pytest.raises(Gone):
            driver.abort(key, each)
    driver.close()
    with pytest.raises(Gone):
        driver.put_part("another/key", known, *piece(1))


def test_who_looks_at_the_parts_reads_them_once_and_holds_nothing(tmp_path: Path) -> None:
    first = driver_at(tmp_path)
    upload_id = first.begin(KEY, META)
    sent = put(first, upload_id, 1, 2)
    first.close()
    before = open_descriptors()
    system = Watched()
    driver = LocalDriver(tmp_path, durable=False, system=system)
    assert list(driver.scan_parts(KEY, upload_id)) == sent
    assert open_descriptors() == before
    sent += put(driver, upload_id, 3)
    assert system.calls.count("preadv") == 2
    driver.finish_new(KEY, upload_id, sent, META)


def test_what_was_seen_of_the_parts_is_forgotten_once_another_took_over(tmp_path: Path) -> None:
    class Breaking(BytesBody):
        def windows(self) -> Iterator[memoryview]:
            yield memoryview(b"half a part")
            raise KeyboardInterrupt

    first, second = driver_at(tmp_path), driver_at(tmp_path)
    upload_id = first.begin(KEY, META)
    one, two = put(first, upload_id, 1, 2)
    first.close()
    assert list(first.scan_parts(KEY, upload_id)) == [one, two]
    with pytest.raises(KeyboardInterrupt):
        second.put_part(KEY, upload_id, one.slot, Breaking(bytes(PART_BYTES)))
    second.close()
    with pytest.raises(Refused, match="part 1 is not here"):
        first.finish_new(KEY, upload_id, [one, two], META)
    assert list(first.scan_parts(KEY, upload_id)) == [two]
    first.abort(KEY, upload_id)


# Ends


def test_abort_removes_both_files_and_only_the_holder_may(tmp_path: Path) -> None:
    before = open_descriptors()
    first = driver_at(tmp_path, durable=True)
    held, left = first.begin(KEY, META), first.begin(KEY, META)
    put(first, held, 1)
    first.abort(KEY, held)
    first.close()
    driver_at(tmp_path, durable=True).abort(KEY, left)
    assert files_below(tmp_path) == []
    assert open_descriptors() == before


def test_close_lets_go_of_what_lasts_and_aborts_the_rest(tmp_path: Path) -> None:
    before = open_descriptors()
    driver = driver_at(tmp_path)
    driver.begin("c/d", WriteMeta("x"))
    lasting = driver.begin(KEY, META)
    put(driver, lasting, 1)
    driver.close()
    assert open_descriptors() == before
    assert [upload.upload_id for upload in driver.scan_uploads("")] == [lasting]
    assert not (tmp_path / "a").exists()
    dropped = driver_at(tmp_path)
    dropped.scan_parts(KEY, lasting)
    del dropped
    assert open_descriptors() == before
    driver.abort(KEY, lasting)


@ways
def test_refused_with_exists_it_stays_open_and_usable(lacks: tuple[str, ...], tmp_path: Path) -> None:
    class Rival(Without):
        def rival(self) -> None:
            (tmp_path / KEY).write_bytes(b"rival")

        def link(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
            if name == "object":
                self.rival()
            super().link(source, name, source_fd=source_fd, dir_fd=dir_fd)

        def rename_noreplace(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
            if name == "object":
                self.rival()
            super().rename_noreplace(source, name, source_fd=source_fd, dir_fd=dir_fd)

    driver = LocalDriver(tmp_path, durable=False, system=Rival(*lacks))
    upload_id = driver.begin(KEY, META)
    parts = put(driver, upload_id, 1, 2)
    for _ in range(2):  # at the link, and by the look before it
        with pytest.raises(Exists):
            driver.finish_new(KEY, upload_id, parts, META)
    assert (tmp_path / KEY).read_bytes() == b"rival"
    driver.close()
    driver = driver_at(tmp_path, lacks)
    driver.remove(KEY, None)
    parts = [*driver.scan_parts(KEY, upload_id), *put(driver, upload_id, 3)]
    driver.finish_new(KEY, upload_id, parts, META)
    assert driver.read(KEY, 0, 5000, None) == DATA


def test_parts_behind_a_finish_that_was_refused_are_not_believed(tmp_path: Path) -> None:
    """The file was cut to its size before the name was found taken."""
    for meta in (META, WriteMeta("the-write")):

        class Rival(Without):
            def ftruncate(self, fd: int, size_bytes: int) -> None:
                super().ftruncate(fd, size_bytes)
                if size_bytes == PART_BYTES:
                    (tmp_path / KEY).write_bytes(b"rival")

        driver = LocalDriver(tmp_path, durable=False, system=Rival())
        upload_id = driver.begin(KEY, meta)
        parts = put(driver, upload_id, 1, 2)
        with pytest.raises(Exists):
            driver.finish_new(KEY, upload_id, parts[:1], meta)
        driver.remove(KEY, None)
        with pytest.raises(Refused):
            driver.finish_new(KEY, upload_id, parts, meta)
        assert list(driver.scan_parts(KEY, upload_id)) == parts[:1]
        driver.abort(KEY, upload_id)


# What a crash of the machine leaves


def test_parts_whose_bytes_are_not_there_are_dropped_by_who_takes_over(tmp_path: Path) -> None:
    first = driver_at(tmp_path)
    upload_id = first.begin(KEY, META)
    one, _two, _three = put(first, upload_id, 1, 2, 3)
    first.close()
    with (tmp_path / HIDDEN / f"{upload_id}.data").open("r+b") as file:
        file.seek(1500)
        file.write(b"torn")
        file.truncate(2500)
    driver = driver_at(tmp_path)
    assert list(driver.scan_parts(KEY, upload_id)) == [one]
    driver.finish_new(KEY, upload_id, [one, *put(driver, upload_id, 2, 3)], META)
    assert driver.read(KEY, 0, 5000, None) == DATA


def test_a_torn_ledger_is_believed_as_far_as_its_checksums_go(tmp_path: Path) -> None:
    first = driver_at(tmp_path)
    upload_id = first.begin(KEY, META)
    sent = put(first, upload_id, 1, 2, 3)
    first.close()
    ledger = tmp_path / HIDDEN / f"{upload_id}.parts"
    whole = ledger.read_bytes()
    ends = [*(at for at in range(1, len(whole)) if whole[at : at + 1] == b"\n"), len(whole)]
    for size_bytes in range(ends[0], len(whole) + 1):
        ledger.write_bytes(whole[:size_bytes])
        driver = driver_at(tmp_path)
        complete = sum(end <= size_bytes for end in ends) - 1
        assert list(driver.scan_parts(KEY, upload_id)) == sent[:complete]
        driver.close()
    ledger.write_bytes(whole[:-5])
    driver = driver_at(tmp_path)
    put(driver, upload_id, 3)  # behind the torn tail
    driver.close()
    assert list(driver_at(tmp_path).scan_parts(KEY, upload_id)) == sent
    ledger.write_bytes(whole[: ends[0] - 1])  # no header: nobody knows what it is
    assert list(driver_at(tmp_path).scan_uploads("")) == []
    assert hidden(tmp_path) == []


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    driver = driver_at(tmp_path)
    upload_id = driver.begin(KEY, META)
    driver.close()
    text = json.dumps({"format": 2}).encode()
    (tmp_path / HIDDEN / f"{upload_id}.parts").write_bytes(b"\n%016x %s" % (crc64xz(text), text))
    assert list(driver.scan_uploads("")) == []
    for call in (driver.scan_parts, driver.abort):
        with pytest.raises(Refused) as caught:
            call(KEY, upload_id)
        assert caught.value.code == "Format"
    assert len(hidden(tmp_path)) == 2


def test_files_that_are_nobodys_are_swept_and_live_uploads_are_not(tmp_path: Path) -> None:
    driver = driver_at(tmp_path, ("anonymous",))
    live, dead = driver.begin(KEY, META), driver_at(tmp_path).begin(KEY, META)
    for litter in ("0" * 32 + ".data", "1" * 32 + ".parts"):
        (tmp_path / HIDDEN / litter).write_bytes(b"torn")
    (tmp_path / HIDDEN / "what is this").write_bytes(b"not ours")
    other = driver_at(tmp_path, ("anonymous",))
    other.put_new("k", BytesBody(b"sweeps tmp"), WriteMeta("x"))
    third = other.begin(KEY, META)
    wanted = {f"{each}.{what}" for each in (live, dead, third) for what in ("data", "parts")}
    assert set(hidden(tmp_path)) == {*wanted, "what is this"}
    for each in (live, dead, third):
        assert each in {upload.upload_id for upload in other.scan_uploads("")}
    assert len(put(driver, live, 1)) == 1


# A file that is out is never written to


def finished_but_not_cleaned(root: Path, lacks: tuple[str, ...]) -> str:
    """As a writer leaves it that was killed right behind the publishing call."""

    class NoCleaning(Without):
        def unlink(self, name: str, *, dir_fd: int) -> None:
            if not name.endswith((".data", ".parts")):
                super().unlink(name, dir_fd=dir_fd)

    driver = LocalDriver(root, durable=False, system=NoCleaning(*lacks))
    upload_id = driver.begin(KEY, META)
    driver.finish_new(KEY, upload_id, put(driver, upload_id, 1, 2, 3), META)
    return upload_id


@ways
@pytest.mark.parametrize("first", ["put_part", "finish", "abort", "scan_parts", "scan_uploads", "begin"])
def test_a_published_upload_that_was_not_cleaned_up_is_gone_and_cleaned_up(
    first: str, lacks: tuple[str, ...], tmp_path: Path
) -> None:
    upload_id = finished_but_not_cleaned(tmp_path, lacks)
    assert (tmp_path / KEY).stat().st_nlink == (1 if lacks else 2)
    driver = driver_at(tmp_path, lacks)
    if first == "scan_uploads":
        assert list(driver.scan_uploads("")) == []
    elif first == "begin":
        driver.abort("other", driver.begin("other", META))
    else:
        calls: dict[str, Callable[[], object]] = {
            "put_part": lambda: put(driver, upload_id, 1),
            "finish": lambda: driver.finish_new(KEY, upload_id, [], META),
            "abort": lambda: driver.abort(KEY, upload_id),
            "scan_parts": lambda: driver.scan_parts(KEY, upload_id),
        }
        with pytest.raises(Gone):
            calls[first]()
    assert hidden(tmp_path) == []
    assert (tmp_path / KEY).stat().st_nlink == 1
    assert driver.read(KEY, 0, 5000, None) == DATA


def test_of_an_upload_that_may_be_out_no_part_is_written_and_it_can_be_finished(tmp_path: Path) -> None:
    class LosesTheAnswer(Without):
        def link(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
            if name == "object":
                raise OSError(errno.EIO, "no answer")
            super().link(source, name, source_fd=source_fd, dir_fd=dir_fd)

    driver = LocalDriver(tmp_path, durable=False, system=LosesTheAnswer())
    upload_id = driver.begin(KEY, META)
    parts = put(driver, upload_id, 1, 2, 3)
    with pytest.raises(Lost):
        driver.finish_new(KEY, upload_id, parts, META)
    for _ in range(2):  # by who asked, and by who takes over
        with pytest.raises(Refused) as caught:
            put(driver, upload_id, 1)
        assert caught.value.code == "Finishing"
        assert list(driver.scan_parts(KEY, upload_id)) == parts
        driver.close()
        driver = driver_at(tmp_path)
    driver.finish_new(KEY, upload_id, parts, META)
    assert driver.read(KEY, 0, 5000, None) == DATA


# Disks that lack something


def test_without_file_locks_no_upload_lasts(tmp_path: Path) -> None:
    driver = LocalDriver(tmp_path, system=Failing(flock=errno.ENOSYS))
    with pytest.raises(Unsupported, match="file locks"):
        driver.begin(KEY, META)
    assert files_below(tmp_path) == []
    driver.abort(KEY, driver.begin(KEY, WriteMeta("x")))


def test_without_attributes_options_are_refused_and_others_last(tmp_path: Path) -> None:
    driver = driver_at(tmp_path, ("attributes",))
    with pytest.raises(Unsupported):
        driver.begin(KEY, META)
    assert files_below(tmp_path) == []
    meta = WriteMeta("x", lasting=True)
    upload_id = driver.begin(KEY, meta)
    parts = put(driver, upload_id, 1)
    driver.close()
    driver.finish_new(KEY, upload_id, parts, meta)
    assert driver.read(KEY, 0, 5000, None) == DATA[:PART_BYTES]


def test_a_mount_below_the_root_is_refused_at_begin(tmp_path: Path, mount: Mount) -> None:
    mount("-t", "tmpfs", "none", at=tmp_path / "root" / "mounted")
    driver = driver_at(tmp_path / "root")
    with pytest.raises(Refused, match="mount of its own") as caught:
        driver.begin("mounted/a/b", META)
    assert (caught.value.why, caught.value.code) == ("request", "EXDEV")
    assert files_below(tmp_path / "root") == ["mounted"]


def test_links_in_place_of_the_hidden_files_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    driver = driver_at(tmp_path / "root")
    upload_id = driver.begin(KEY, META)
    driver.close()
    data = tmp_path / "root" / HIDDEN / f"{upload_id}.data"
    data.unlink()
    data.symlink_to(outside)
    with pytest.raises(Gone):
        put(driver, upload_id, 1)
    ledger = tmp_path / "root" / HIDDEN / f"{upload_id}.parts"
    ledger.symlink_to(outside)
    with pytest.raises(Refused):
        put(driver, upload_id, 1)
    assert outside.read_bytes() == b"secret"


def test_a_part_that_cannot_be_written_down_does_not_count(tmp_path: Path) -> None:
    class Full(System):
        is_full = False

        def pwrite(self, fd: int, data: Buffer, offset_bytes: int) -> int:
            if self.is_full and bytes(data)[:1] == b"\n":
                raise OSError(errno.ENOSPC, "full")
            return super().pwrite(fd, data, offset_bytes)

    system = Full()
    driver = LocalDriver(tmp_path, durable=False, system=system)
    upload_id = driver.begin(KEY, META)
    parts = put(driver, upload_id, 1)
    system.is_full = True
    for call in (lambda: put(driver, upload_id, 2), lambda: driver.finish_new(KEY, upload_id, parts, META)):
        with pytest.raises(Refused) as caught:
            call()
        assert caught.value.why == "space"
    system.is_full = False
    assert list(driver.scan_parts(KEY, upload_id)) == parts
    parts += put(driver, upload_id, 2)
    driver.finish_new(KEY, upload_id, parts, META)


def test_a_read_only_disk_lists_its_uploads_and_lets_nobody_go_on(tmp_path: Path, mount: Mount) -> None:
    first = driver_at(tmp_path / "root")
    upload_id = first.begin(KEY, META)
    first.close()
    finished_but_not_cleaned(tmp_path / "root", ())
    disk = mount("--bind", str(tmp_path / "root"), name="read-only")
    mount("-o", "remount,ro,bind", at=disk)
    driver = driver_at(disk)
    assert [upload.upload_id for upload in driver.scan_uploads("")] == [upload_id]
    for call in (lambda: put(driver, upload_id, 1), lambda: driver.abort(KEY, upload_id)):
        with pytest.raises(Refused) as caught:
            call()
        assert caught.value.why == "read-only"


def test_a_ledger_that_cannot_be_opened_hinders_no_other_upload(tmp_path: Path) -> None:
    driver = driver_at(tmp_path)
    driver.abort(KEY, driver.begin(KEY, META))
    (tmp_path / HIDDEN / ("f" * 32 + ".parts")).write_bytes(b"")
    unreadable = str(tmp_path / HIDDEN / ("f" * 32 + ".parts"))

    class NotOurs(System):
        def open(self, path: str, flags: int, *, dir_fd: int | None = None) -> int:
            if path == os.path.basename(unreadable):
                raise PermissionError(errno.EACCES, "not ours")
            return super().open(path, flags, dir_fd=dir_fd)

    driver = LocalDriver(tmp_path, durable=False, system=NotOurs())
    driver.abort(KEY, driver.begin(KEY, META))
    with pytest.raises(Refused) as caught:
        list(driver.scan_uploads(""))
    assert caught.value.why == "access"


def test_an_abort_that_fails_leaves_the_upload_as_it_was(tmp_path: Path) -> None:
    driver = driver_at(tmp_path)
    upload_id = driver.begin(KEY, META)
    parts = put(driver, upload_id, 1)
    driver.close()
    for held in (False, True):
        failing = LocalDriver(tmp_path, system=Failing(unlink=errno.EIO))
        if held:
            put(failing, upload_id, 1)
        with pytest.raises(Refused):
            failing.abort(KEY, upload_id)
        failing.close()
    assert list(driver.scan_parts(KEY, upload_id)) == parts
    driver.close()
    unsynced = LocalDriver(tmp_path, system=Failing(fsync=errno.EIO))
    put(unsynced, upload_id, 1)
    with pytest.raises(Lost):
        unsynced.abort(KEY, upload_id)
    with pytest.raises(Gone):
        unsynced.abort(KEY, upload_id)
