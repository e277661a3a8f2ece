"""Every fault at every call of a file's life, and every way a program can end: what is told is true, and nothing is
published but by a commit."""

from __future__ import annotations

import gc
import itertools
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from faults.test_store_faults import (
    FAULTS,
    MULTIPART,
    OURS,
    RIVAL,
    SINGLE,
    Interrupted,
    World,
    sequences,
)
from storage_guard import NotWritten, ObjectExists, Receipt, StorageGuardError, Store, ticket_of
from storage_guard.driver import WriteMeta
from storage_guard.files.draft import Draft
from storage_guard.files.opening import ObjectWriter
from storage_guard.memory import MemoryDriver
from storage_guard.testing import GONE, BytesBody, FakeClock, Fault, Member, faulty
from unit.conftest import SMALL


class Writing(World):
    """The same key and store, and a file on it that meets the faults, written in pieces that are no parts."""

    def __init__(
        self,
        faults: Sequence[tuple[Member, Fault | None]],
        *,
        multipart: bool,
        early: bool,
        in_flight: int | None = 1,
    ) -> None:
        super().__init__(faults, multipart=multipart, early=early)
        self.store = Store(self.driver, part_bytes=100 if multipart else 1000, in_flight=in_flight, clock=FakeClock())

    def create(self) -> Receipt | StorageGuardError:
        try:
            with self.store.open("k", "xb") as file:
                for start in range(0, len(OURS), 70):
                    file.write(OURS[start : start + 70])
            return file.commit()
        except StorageGuardError as exc:
            return exc


def hold(world: World, faults: object) -> str:
    try:
        return world.judge(world.create())
    except BaseException as exc:
        exc.add_note(f"faults: {faults}")
        raise


@pytest.mark.parametrize("early", [True, False], ids=["refuses-at-begin", "refuses-at-finish"])
@pytest.mark.parametrize("multipart", [False, True], ids=["one-request", "multipart"])
def test_what_is_told_is_true_for_every_one_and_two_faults(multipart: bool, early: bool) -> None:
    told = {
        hold(Writing(faults, multipart=multipart, early=early), faults)
        for faults in sequences(MULTIPART if multipart else SINGLE)
    }
    assert told >= {"Receipt", "ObjectExists", "OutcomeUnknown", "AccessDenied"}


def test_what_is_told_is_true_when_parts_go_side_by_side() -> None:
    for early, member in itertools.product((True, False), MULTIPART):
        for fault in FAULTS[member]:
            hold(Writing([(member, fault)], multipart=True, early=early, in_flight=None), (member, fault))


def many_faults(seed: int) -> None:
    chance = random.Random(seed)
    multipart = chance.random() < 0.7
    members = MULTIPART if multipart else SINGLE
    faults: list[tuple[Member, Fault | None]] = []
    for _ in range(chance.randrange(3, 12)):
        member = chance.choice(members)
        faults.append((member, chance.choice([*FAULTS[member], None])))
    hold(Writing(faults, multipart=multipart, early=chance.random() < 0.5), (seed, faults))


def test_what_is_told_is_true_for_many_faults() -> None:
    for seed in range(1_000):
        many_faults(seed)


@pytest.mark.soak
def test_what_is_told_is_true_for_very_many_faults() -> None:
    for seed in range(1_000, 50_000):
        many_faults(seed)


# A rival


class Meeting:
    """A file of 1,024-byte parts; a rival takes the key when two parts have been sent."""

    def __init__(self, **options: Any) -> None:
        self.clock = FakeClock()
        self.inner = MemoryDriver(limits=SMALL)
        self.driver = faulty(self.inner, {})
        self.store = Store(self.driver, part_bytes=1024, in_flight=1, clock=self.clock)
        self.file: ObjectWriter = self.store.open("k", "xb", **options)
        self.data = random.Random(7).randbytes(8 * 1024)
        self.file.write(self.data[:2048])

    def rival(self, data: bytes = RIVAL, write_id: str = "rival") -> None:
        self.inner.put_new("k", BytesBody(data), WriteMeta(write_id))
        self.clock.advance(60)

    @property
    def parts_sent(self) -> int:
        return self.driver.calls["put_part"]

    def is_clean(self) -> bool:
        return not list(self.inner.scan_uploads(""))


def test_a_rival_that_appears_midway_is_told_by_a_write() -> None:
    meeting = Meeting()
    meeting.rival()
    with pytest.raises(ObjectExists) as caught, meeting.file as file:
        file.writelines(meeting.data[start : start + 1024] for start in range(2048, 8192, 1024))
    assert caught.value.existing is not None
    assert meeting.parts_sent < 5
    with pytest.raises(ObjectExists):
        meeting.file.commit()
    assert meeting.is_clean()


@pytest.mark.parametrize("step", [100, 1024, 8192])
def test_a_rival_that_may_be_skipped_ends_the_sending_and_not_the_writing(step: int) -> None:
    meeting = Meeting(if_exists="skip")
    meeting.rival()
    with meeting.file as file:
        for start in range(2048, 8192, step):
            file.write(meeting.data[start : min(start + step, 8192)])
        assert file.tell() == 8192
    assert file.commit().outcome == "present"
    assert (meeting.parts_sent < 5, meeting.driver.calls["begin"]) == (True, 1)
    assert meeting.is_clean()


@pytest.mark.parametrize("equal", [True, False])
def test_a_rival_that_may_be_the_same_is_compared_with_all_that_was_written(equal: bool) -> None:
    meeting = Meeting(if_exists="same")
    meeting.rival(meeting.data if equal else meeting.data[:-1] + b"?")
    for start in range(2048, 8192, 1000):
        meeting.file.write(meeting.data[start : start + 1000])
    if equal:
        assert meeting.file.commit().outcome == "same"
    else:
        with pytest.raises(ObjectExists):
            meeting.file.commit()
    assert meeting.parts_sent < 8
    assert meeting.is_clean()


@pytest.mark.parametrize("equal", [True, False])
def test_a_rival_under_our_own_id_is_compared_with_all_that_was_written(equal: bool) -> None:
    meeting = Meeting(write_id="job-7")
    meeting.rival(meeting.data if equal else meeting.data[:-1] + b"?", "job-7")
    meeting.file.write(meeting.data[2048:])
    if equal:
        receipt = meeting.file.commit()
        assert (receipt.outcome, receipt.resolved) == ("created", True)
    else:
        with pytest.raises(ObjectExists):
            meeting.file.commit()
    assert meeting.is_clean()


def test_a_file_whose_parts_are_lost_is_not_written_and_says_so() -> None:
    meeting = Meeting()
    meeting.driver.plan("put_part", [GONE])
    with pytest.raises(NotWritten), meeting.file as file:
        file.writelines(meeting.data[start : start + 1024] for start in range(2048, 8192, 1024))
    assert meeting.inner.head("k") is None
    assert meeting.is_clean()


# Ctrl-C


@pytest.mark.parametrize("early", [True, False], ids=["refuses-at-begin", "refuses-at-finish"])
@pytest.mark.parametrize("acts", [True, False], ids=["behind-the-store", "before-the-store"])
def test_ctrl_c_at_every_call_leaves_nothing_or_a_ticket(acts: bool, early: bool) -> None:
    ticketed: list[Member] = []
    for multipart, members in ((False, SINGLE), (True, MULTIPART)):
        for member in members:
            for calls_before in range(4):
                faults: list[tuple[Member, Fault | None]] = [(member, None)] * calls_before
                world = Writing([*faults, (member, Interrupted(acts=acts))], multipart=multipart, early=early)
                if world.interrupt():
                    ticketed.append(member)
    assert ticketed == ["put_new", "finish_new"]


class CtrlC:
    """KeyboardInterrupt at the n-th line that our own code begins, wherever that is. Not in `turn`: a lock is taken and
    given back there, and between that and the next line a tracer can get, which a signal cannot."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, frame: FrameType, event: str, _: object) -> Callable[[FrameType, str, object], Any] | None:
        name = str(frame.f_globals.get("__name__"))
        if name not in (
            "storage_guard.files.writer",
            "storage_guard.files.textual",
            "storage_guard.files.draft",
            "storage_guard.files.pouring",
        ):
            return None
        if event == "line" and frame.f_code is not Draft.turn.__code__:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


@pytest.fixture
def no_collections() -> Iterator[None]:
    """What one round leaves behind must not be collected, and interrupted, in the next."""
    gc.disable()
    yield
    gc.enable()


def interrupted_at(line: int, *, multipart: bool, text: bool = False) -> bool:
    """Whether there was such a line. Write a file, be interrupted, and hold what is there against the promise."""
    driver = MemoryDriver(limits=SMALL)
    store = Store(driver, part_bytes=1024, in_flight=1, clock=FakeClock())
    words = "0123456789" * (3000 if multipart else 30)
    data = words.encode()
    caught: BaseException | None = None
    tracer = CtrlC(line)
    before = sys.gettrace()
    file = store.open("k", "xt") if text else store.open("k", "xb")
    given: Any = words if text else data
    write: Callable[[Any], int] = file.write
    sys.settrace(tracer)
    try:
        with file:
            write(given[:1500])
            write(given[1500:])
    except KeyboardInterrupt as exc:
        caught = exc
    finally:
        sys.settrace(before)
    if caught is None:
        assert driver.read("k", 0, 1 << 20, None) == data
        return False
    ticket = ticket_of(caught)
    if ticket is None and file.receipt is None:
        file.discard()  # as dropping it would: it may have been interrupted before it could begin to
        told = getattr(caught, "__notes__", [])
        assert list(driver.scan_uploads("")) == [] or any("left open" in note for note in told)
    at_key = driver.head("k")
    if at_key is not None:
        assert driver.read("k", 0, 1 << 20, None) == data, "a part of it was published"
        assert ticket is not None or file.receipt is not None, "published, and nobody told"
    return True


@pytest.mark.usefixtures("no_collections")
@pytest.mark.parametrize("text", [False, True], ids=["bytes", "text"])
@pytest.mark.parametrize("multipart", [False, True], ids=["one-request", "multipart"])
def test_ctrl_c_at_every_line_publishes_nothing_by_halves(multipart: bool, text: bool) -> None:
    lines = 0
    for line in itertools.count(1):
        try:
            if not interrupted_at(line, multipart=multipart, text=text):
                break
        except BaseException as exc:
            exc.add_note(f"at line event {line}")
            raise
        lines = line
    assert lines > 50, "the instrument saw next to nothing"


@pytest.mark.usefixtures("no_collections")
def test_the_instrument_catches_a_file_that_commits_when_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(self: Draft) -> list[str]:
        self.commit(lambda: None)
        return []

    monkeypatch.setattr(Draft, "discard", planted)

    def hunt() -> None:
        for line in range(1, 100):
            interrupted_at(line, multipart=False)

    with pytest.raises(AssertionError, match="a part of it was published"):
        hunt()


# The end of a program


def run(script: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "dev", "-c", script, *args], capture_output=True, text=True, check=False, timeout=120
    )


OPEN = """
import os, sys, threading
from storage_guard import Store
from storage_guard.driver import Limits
from storage_guard_local import LocalDriver
MIB = 1 << 20
limits = Limits(max_put_bytes=MIB, min_part_bytes=1, max_part_bytes=MIB, max_parts=100, max_object_bytes=1000 * MIB)
store = Store(LocalDriver(sys.argv[1], limits=limits), part_bytes=1000, in_flight=int(sys.argv[2]))
"""


@pytest.mark.parametrize(("mode", "size_bytes", "in_flight"), [("xb", 0, "1"), ("xb", 5500, "4"), ("xt", 5500, "1")])
@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise LookupError", "circle = [file]; circle.append(circle)"])
def test_a_program_that_ends_with_an_open_file_publishes_nothing_and_says_so(
    tmp_path: Path, mode: str, size_bytes: int, in_flight: str, end: str
) -> None:
    done = run(
        f"{OPEN}\nfile = store.open('k', {mode!r})\nfile.write({'b' if mode == 'xb' else ''}'x' * {size_bytes})\n{end}",
        str(tmp_path),
        in_flight,
    )
    assert done.stderr.count("ResourceWarning: 'k' was not written") == 1, done.stderr
    assert f"opened at <string>:{OPEN.count(chr(10)) + 2}" in done.stderr
    assert ("Error" in done.stderr) == ("raise" in end)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_program_does_not_hang_on_a_store_that_does() -> None:
    script = """
import threading
import storage_guard.files.draft
from storage_guard import Store
from storage_guard.memory import MemoryDriver
storage_guard.files.draft.GRACE_S = 0.05

class Hanging(MemoryDriver):
    def put_part(self, *args):
        threading.Event().wait()

file = Store(Hanging(), part_bytes=1 << 17).open("k", "xb")
file.write(bytes(1 << 19))
print("end")
"""
    done = run(script)
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
    assert "may be left open" in done.stderr


def test_a_file_opened_while_the_program_ends_is_not_published_and_hangs_nothing() -> None:
    script = """
import atexit
from storage_guard import Store
from storage_guard.memory import MemoryDriver
store = Store(MemoryDriver(), part_bytes=1 << 17)
files = []

@atexit.register
def late():
    files.append(store.open("k", "xb"))
    files[0].write(bytes(1 << 19))

class Last:
    def __del__(self):
        print("published" if store.driver.head("k") else "nothing")

last = Last()
"""
    done = run(script)
    assert (done.returncode, done.stdout) == (0, "nothing\n"), done.stderr


FORK = """
first = b"x" * 2500
file = store.open("k", "xb")
file.write(first)
child = os.fork()
if child == 0:
    trouble = []
    for call in (lambda: file.write(b"y" * 5000), file.commit, file.flush):
        try:
            call()
            trouble.append("went through")
        except ValueError as exc:
            trouble.append(str(exc))
    assert all("belongs to process" in each for each in trouble), trouble
    {end}
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert store.head("k") is None
file.write(b"z" * 2500)
assert file.commit().size_bytes == 5000
assert store.read("k") == first + b"z" * 2500
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize(
    "end", ["pass", "del file, call", "file.close()", "file.discard()", "file.__exit__(KeyError, KeyError(), None)"]
)
def test_a_forked_copy_of_a_file_neither_publishes_nor_aborts(tmp_path: Path, end: str) -> None:
    done = run(OPEN + FORK.format(end=end), str(tmp_path), "1")
    assert done.returncode == 0, done.stderr
    assert ("RuntimeWarning: 'k' was not written by this process" in done.stderr) == ("close" in end)
    assert "ResourceWarning" not in done.stderr


def test_a_process_that_is_forked_while_a_write_goes_on_does_not_wait_for_its_lock(tmp_path: Path) -> None:
    script = """
file = store.open("k", "xb")
held, done = threading.Event(), threading.Event()

def hold():
    with file._draft._lock:
        held.set()
        done.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    file.discard()
    file.close()
    del file
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
done.set()
thread.join()
file.commit()
"""
    done = run(OPEN + script, str(tmp_path), "1")
    assert done.returncode == 0, done.stderr
