"""The journal: one holder at a time, whole entries, and nothing of a dead process's uploads lost."""

from __future__ import annotations

import base64
import errno
import fcntl
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType

import pytest

from storage_guard import ObjectOptions
from storage_guard.model import Encryption, Retention
from storage_guard.testing import race, winners
from storage_guard.uploads import ownfile
from storage_guard.uploads.journal import (
    Entry,
    Held,
    HeldElsewhere,
    Journal,
    SourceIdentity,
    Unreadable,
    Unusable,
    default_folder,
    options_digest,
)

URL = "oss://bucket/prefix"
KEY = "a/key"
HEADER = b"storage-guard journal 1\n"
SOURCE = SourceIdentity("file", 1 << 40, "/data/\udce4 file", 66306, 1234567, 1_700_000_000_123_456_789, start=7)
ENTRY = Entry(
    store_url=URL,
    key=KEY,
    upload_id="up/load=id",
    write_id="w" * 32,
    named=True,
    part_bytes=8 << 20,
    started=datetime(2026, 11, 5, 12, 30, 1, 234567, tzinfo=UTC),
    source=SOURCE,
    options="0" * 64,
)
LATER = replace(ENTRY, upload_id="later", committing=True)
DYING = """
import os, signal, sys
from storage_guard.uploads.journal import Journal
from unit.test_journal import ENTRY, KEY, LATER, URL
journal = Journal(sys.argv[1])
held = journal.claim(URL, KEY)
held.record(ENTRY)
more = journal.add(LATER)
print(os.getpid(), flush=True)
signal.pause()
"""
FORKING = """
import os, signal, sys
from storage_guard.uploads.journal import Journal
from unit.test_journal import ENTRY, KEY, URL
held = Journal(sys.argv[1]).claim(URL, KEY)
held.record(ENTRY)
child = os.fork()
if child == 0:
    held.release()
    try:
        held.remove()
    except ValueError:
        print("the child is refused", os.getpid(), sep="\\n", flush=True)
signal.pause()
"""


@contextmanager
def dying(program: str, journal: Journal) -> Generator[subprocess.Popen[str]]:
    """A process to be killed."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    command = [sys.executable, "-c", program, journal.folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "journal")


def files_of(journal: Journal) -> list[Path]:
    return sorted(Path(journal.folder).iterdir())


def recorded(journal: Journal, *entries: Entry) -> Path:
    """The file of a claim that recorded `entries`, one after the other, and let go."""
    with journal.claim(URL, KEY) as held:
        for each in entries:
            held.record(each)
        return Path(held.path)


def claimed(journal: Journal) -> Entry | None:
    with journal.claim(URL, KEY) as held:
        return held.entry


def dead(journal: Journal, url: str = URL) -> list[Entry | None]:
    return [held.entry for held in journal.dead(url)]


def line(text: str) -> bytes:
    return f"{zlib.crc32(text.encode()):08x} {text}\n".encode()


# What is recorded


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY,
        replace(ENTRY, source=None, committing=True, named=False),
        replace(ENTRY, source=SourceIdentity("bytes", 12, crc=0xFFFFFFFFFFFFFFFF)),
        replace(ENTRY, source=replace(SOURCE, name="long/" * 4000)),
        replace(ENTRY, started=ENTRY.started.astimezone(timezone(timedelta(hours=8)))),
    ],
)
def test_what_was_recorded_is_found_by_the_next_claim(journal: Journal, entry: Entry) -> None:
    recorded(journal, entry)
    assert claimed(journal) == entry
    assert dead(journal) == [entry]


def test_the_last_record_holds(journal: Journal) -> None:
    recorded(journal, ENTRY, LATER, ENTRY, LATER)
    assert claimed(journal) == LATER


def test_a_claim_that_records_nothing_changes_nothing(journal: Journal) -> None:
    assert claimed(journal) is None
    assert files_of(journal) == []
    before = recorded(journal, ENTRY).read_bytes()
    assert claimed(journal) == ENTRY
    assert [each.read_bytes() for each in files_of(journal)] == [before]


def test_what_was_removed_is_gone(journal: Journal) -> None:
    recorded(journal, ENTRY)
    journal.claim(URL, KEY).remove()
    assert files_of(journal) == []
    assert claimed(journal) is None


def test_a_looker_touches_nothing(journal: Journal) -> None:
    assert dead(journal) == []
    assert journal.unreadable(URL) == []
    assert not os.path.exists(journal.folder)


def test_the_journal_is_for_its_user_alone(journal: Journal) -> None:
    path = recorded(journal, ENTRY)
    for folder in (path.parent, path.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_entry_of_another_key_is_not_recorded(journal: Journal) -> None:
    with journal.claim(URL, "another") as held:
        with pytest.raises(ValueError, match="not the file of the key"):
            held.record(ENTRY)
    assert dead(journal) == []


def test_a_start_without_a_time_zone_is_no_start() -> None:
    with pytest.raises(ValueError, match="time zone"):
        replace(ENTRY, started=datetime(2026, 1, 1))  # noqa: DTZ001


# One holder


def test_of_two_claims_one_is_told(journal: Journal) -> None:
    with journal.claim(URL, KEY) as held:
        with pytest.raises(HeldElsewhere, match="one at a time") as told:
            journal.claim(URL, KEY)
        held.record(ENTRY)
    assert told.value.pid in (os.getpid(), None)  # as far as the system says
    assert claimed(journal) == ENTRY


def test_of_many_threads_one_has_the_claim(journal: Journal) -> None:
    for _ in range(20):
        results = race([lambda: journal.claim(URL, KEY)] * 8)
        (held,) = winners(results)
        assert {type(each) for each in results} == {type(held), HeldElsewhere}
        held.release()


def test_claims_of_other_keys_and_stores_are_not_in_the_way(journal: Journal) -> None:
    with journal.claim(URL, KEY), journal.claim(URL, KEY + "2"), journal.claim(URL + "2", KEY), journal.add(ENTRY):
        assert len(files_of(journal)) == 4


def test_what_is_let_go_can_be_claimed_and_letting_go_twice_is_nothing(journal: Journal) -> None:
    first = journal.claim(URL, KEY)
    first.record(ENTRY)
    first.release()
    with journal.claim(URL, KEY):
        first.release()
        with pytest.raises(HeldElsewhere):
            journal.claim(URL, KEY)


@pytest.mark.parametrize("use", ["record", "remove"])
def test_what_is_let_go_cannot_be_written(journal: Journal, use: str) -> None:
    held = journal.claim(URL, KEY)
    held.record(ENTRY)
    held.release()
    with pytest.raises(ValueError, match="not held any more"):
        held.record(LATER) if use == "record" else held.remove()
    assert claimed(journal) == ENTRY


def test_a_file_that_is_removed_before_it_is_locked_is_not_mistaken_for_a_claim(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recorded(journal, ENTRY)
    locks = 0

    def flock(fd: int, operation: int) -> None:
        nonlocal locks
        locks += operation != fcntl.LOCK_UN
        if locks == 1:
            path.unlink()
        real(fd, operation)

    real = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", flock)
    with journal.claim(URL, KEY) as held:
        assert locks == 2
        assert held.entry is None
        held.record(LATER)
    assert claimed(journal) == LATER


def test_the_file_of_another_is_not_removed(journal: Journal) -> None:
    """Somebody cleared the folder by hand while the upload was held."""
    held = journal.claim(URL, KEY)
    held.record(ENTRY)
    Path(held.path).unlink()
    recorded(journal, LATER)
    with pytest.raises(Unusable, match="by hand"):
        held.record(ENTRY)
    held.remove()
    assert claimed(journal) == LATER


# The dead and the living


def test_a_dead_claim_can_be_claimed_by_another_process(journal: Journal) -> None:
    with dying(DYING, journal) as other:
        assert other.stdout is not None
        pid = int(other.stdout.readline())
        with pytest.raises(HeldElsewhere) as told:
            journal.claim(URL, KEY)
        assert told.value.pid in (pid, None)
        assert told.value.pid is None or f"process {pid} " in str(told.value)
        assert dead(journal) == []
        other.kill()
        other.wait()
        assert claimed(journal) == ENTRY
    assert sorted(each.upload_id for each in dead(journal) if each) == ["later", "up/load=id"]


def test_a_live_one_is_not_dead(journal: Journal) -> None:
    with journal.claim(URL, KEY) as held, journal.add(LATER):
        held.record(ENTRY)
        assert dead(journal) == []
    assert len(dead(journal)) == 2


def test_the_dead_of_a_store_are_all_of_it_and_no_others(journal: Journal) -> None:
    recorded(journal, ENTRY)
    more = [replace(ENTRY, upload_id=f"more-{number}") for number in range(3)]
    for each in more:
        journal.add(each).release()
    other = replace(ENTRY, store_url=URL + "/more")
    journal.add(other).release()
    found = dead(journal)
    assert len(found) == 4
    assert all(each in found for each in [ENTRY, *more])
    assert dead(journal, other.store_url) == [other]


def test_a_dead_one_is_held_while_it_is_looked_at(journal: Journal) -> None:
    recorded(journal, ENTRY)
    for held in journal.dead(URL):
        assert held.entry == ENTRY
        with pytest.raises(HeldElsewhere):
            journal.claim(URL, KEY)
    assert claimed(journal) == ENTRY


def test_a_dead_one_can_be_removed_as_it_is_found(journal: Journal) -> None:
    recorded(journal, ENTRY)
    journal.add(LATER).release()
    for held in journal.dead(URL):
        held.remove()
    assert files_of(journal) == []


def test_a_sweep_that_stops_halfway_holds_nothing(journal: Journal) -> None:
    recorded(journal, ENTRY)
    for _ in journal.dead(URL):
        break
    assert claimed(journal) == ENTRY


def test_what_died_before_it_recorded_is_cleared_away(journal: Journal) -> None:
    path = recorded(journal, ENTRY)
    path.write_bytes(HEADER[:9])
    assert dead(journal) == []
    assert files_of(journal) == []


def test_an_addition_that_a_sweep_saw_first_is_recorded_all_the_same(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refused = fcntl.flock, iter([True])

    def flock(fd: int, operation: int) -> None:
        if next(refused, False):
            raise BlockingIOError(errno.EAGAIN, "taken")
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with journal.add(ENTRY):
        assert dead(journal) == []
    assert dead(journal) == [ENTRY]


def test_a_forked_child_does_not_keep_the_lock(journal: Journal) -> None:
    """Nor can it use what its parent holds, nor take it from the parent."""
    with dying(FORKING, journal) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "the child is refused\n"
        child = int(parent.stdout.readline())
        try:
            with pytest.raises(HeldElsewhere):
                journal.claim(URL, KEY)
            parent.kill()
            parent.wait()
            os.kill(child, 0)
            assert claimed(journal) == ENTRY
        finally:
            os.kill(child, signal.SIGKILL)


# What cannot be read


def test_a_torn_record_is_the_one_before(journal: Journal) -> None:
    path = recorded(journal, ENTRY)
    one = path.read_bytes()
    recorded(journal, LATER)
    both = path.read_bytes()
    assert both.startswith(one)
    for size in range(len(both)):
        path.write_bytes(both[:size])
        assert claimed(journal) == (ENTRY if size >= len(one) else None), size
        path.write_bytes(both[:size] + bytes(len(both) - size))  # the size is on the disk, the bytes are not
        assert claimed(journal) == (ENTRY if size >= len(one) else None), size


def test_a_torn_record_is_overwritten_by_the_next(journal: Journal) -> None:
    path = recorded(journal, ENTRY, replace(ENTRY, upload_id="X" * 5000))
    for size in (0, 5, 30, 1000, 3000):
        path.write_bytes(path.read_bytes()[:size])
        recorded(journal, LATER)
        assert claimed(journal) == LATER
        assert b"X" not in path.read_bytes()


UNREADABLE = {
    "another version": b"storage-guard journal 2\n" + line(json.dumps({"upload": "id"})),
    "not ours": b"My notes\n",
    "no JSON": HEADER + line("{"),
    "not an object": HEADER + line("[]"),
    "too little": HEADER + line('{"source": null, "started": "2026-01-01T00:00:00+00:00"}'),
    "no time": HEADER + line('{"source": null, "started": "yesterday"}'),
    "damaged in the middle": HEADER + b"00000000 {}\n" + line("{}"),
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_an_entry_of_another_version_is_not_touched(journal: Journal, content: bytes) -> None:
    path = recorded(journal, ENTRY)
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(Unreadable, match="left as it is") as told:
            journal.claim(URL, KEY)
        assert told.value.path == str(path)
        assert told.value.why in str(told.value)
        assert dead(journal) == []
        assert [(each.path, each.why) for each in journal.unreadable(URL)] == [(str(path), told.value.why)]
        assert journal.unreadable(URL + "/more") == []
    assert path.read_bytes() == content


def test_an_entry_under_the_name_of_another_is_not_touched(journal: Journal) -> None:
    path = recorded(journal, ENTRY)
    with journal.claim(URL, "another") as held:
        Path(held.path).write_bytes(path.read_bytes())
    with pytest.raises(Unreadable, match="not the file of the key"):
        journal.claim(URL, "another")
    assert dead(journal) == [ENTRY]
    assert [each.path for each in journal.unreadable(URL)] == [held.path]


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe"])
def test_what_is_not_a_file_is_not_followed(journal: Journal, kind: str, tmp_path: Path) -> None:
    path = recorded(journal, ENTRY)
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    before = elsewhere.read_bytes()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(elsewhere if kind == "link" else tmp_path / "nowhere")
    with pytest.raises(Unreadable, match="not a file"):
        journal.claim(URL, KEY)
    assert dead(journal) == []
    assert [each.why for each in journal.unreadable(URL)] == ["it is not a file"]
    assert elsewhere.read_bytes() == before
    assert not (tmp_path / "nowhere").exists()


def test_other_files_of_the_folder_are_nobodys_business(journal: Journal) -> None:
    recorded(journal, ENTRY)
    for name in ("README", files_of(journal)[0].name + ".orig"):
        (Path(journal.folder) / name).write_text("mine")
    assert dead(journal) == [ENTRY]
    assert journal.unreadable(URL) == []


# Where no journal can be kept


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_disk_without_locks_is_said(journal: Journal, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(journal, ENTRY)

    def flock(fd: int, operation: int) -> None:  # noqa: ARG001
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    uses: list[Callable[[], Held]] = [
        lambda: journal.claim(URL, KEY),
        lambda: journal.add(ENTRY),
        lambda: next(journal.dead(URL)),
    ]
    for use in uses:
        with pytest.raises(Unusable, match=r"no locks.*STORAGE_GUARD_JOURNAL"):
            use()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nothing")):
        with pytest.raises(Unusable, match=f"no journal can be kept in {folder}"):
            Journal(folder).claim(URL, KEY)
    with pytest.raises(Unusable):
        next(Journal(tmp_path / "file").dead(URL))


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_after_a_record_that_failed_the_one_before_holds(
    journal: Journal, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recorded(journal, ENTRY)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fsync(_: int) -> None:
        raise OSError(errno.EIO, "no")

    with journal.claim(URL, KEY) as held, journal.claim(URL, "new") as new:
        with monkeypatch.context() as patch:
            if call == "fsync":
                patch.setattr(os, "fsync", fsync)
            else:
                resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 1000, hard))
            with pytest.raises(Unusable, match="could not be recorded"):
                held.record(replace(LATER, upload_id="x" * 9000))
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert held.entry == ENTRY
        if call == "fsync":
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", fsync)
                with pytest.raises(Unusable):
                    new.record(replace(LATER, key="new"))
    assert path.read_bytes() == before
    assert files_of(journal) == [path]
    recorded(journal, LATER)
    assert claimed(journal) == LATER


def test_a_record_that_was_interrupted_is_not_cleared_away(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes were written, and the upload may be open: who lets go then must not forget it."""

    def fsync(_: int) -> None:
        raise KeyboardInterrupt

    with journal.claim(URL, KEY) as held, monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(KeyboardInterrupt):
            held.record(ENTRY)
    assert dead(journal) == [ENTRY]


# Secrets


def test_secrets_are_not_written(journal: Journal) -> None:
    secret = os.urandom(32)
    options = ObjectOptions(encryption=Encryption("AES256", customer_key=secret))
    path = recorded(journal, replace(ENTRY, options=options_digest(options)))
    written = path.read_bytes() + path.name.encode()
    for form in (secret, secret.hex().encode(), base64.b64encode(secret), str(list(secret)).encode()):
        assert form not in written
    assert KEY.encode() not in path.name.encode()
    assert options_digest(options) != options_digest(ObjectOptions(encryption=Encryption("AES256", customer_key=b"2")))


def test_equal_options_have_one_digest_and_others_another() -> None:
    until = datetime(2030, 1, 1, tzinfo=UTC)
    same = [
        ObjectOptions(metadata={"a": "1", "b": "2"}, retention=Retention("governance", until)),
        ObjectOptions(metadata=MappingProxyType({"b": "2", "a": "1"}), retention=Retention("governance", until)),
        ObjectOptions(
            metadata={"b": "2", "a": "1"},
            retention=Retention("governance", until.astimezone(timezone(timedelta(hours=-5)))),
        ),
    ]
    assert len({options_digest(each) for each in same}) == 1
    others = [
        same[0],
        ObjectOptions(),
        ObjectOptions(metadata={"a": "1"}),
        ObjectOptions(tags={"a": "1"}),
        ObjectOptions(metadata={"a": "None"}),
        ObjectOptions(metadata={"a": "1", "b": "2"}, retention=Retention("compliance", until)),
        ObjectOptions(metadata={"a": "1", "b": "2"}, retention=Retention("governance", until, legal_hold=True)),
        ObjectOptions(content_type="a"),
        ObjectOptions(encryption=Encryption("AES256")),
        ObjectOptions(encryption=Encryption("AES256", customer_key=b"1")),
        ObjectOptions(encryption=Encryption("AES256", customer_key=b"2")),
        ObjectOptions(encryption=Encryption("AES256", key_id="1")),
    ]
    assert len({options_digest(each) for each in others}) == len(others)
    assert all(len(options_digest(each)) == 64 for each in others)


def test_a_digest_is_the_same_in_every_release() -> None:
    """Else an upload that was begun before an upgrade could not be gone on with after it."""
    assert options_digest(ObjectOptions()) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


# Where it is


@pytest.mark.parametrize(
    ("environ", "platform", "folder"),
    [
        ({"STORAGE_GUARD_JOURNAL": "/here", "XDG_STATE_HOME": "/state"}, "linux", "/here"),
        ({"STORAGE_GUARD_JOURNAL": "/here"}, "win32", "/here"),
        ({"STORAGE_GUARD_JOURNAL": "", "XDG_STATE_HOME": "/state"}, "linux", "/state/storage-guard"),
        ({"XDG_STATE_HOME": "relative"}, "linux", "/home/me/.local/state/storage-guard"),
        ({}, "linux", "/home/me/.local/state/storage-guard"),
        ({"LOCALAPPDATA": "C:/Users/me/Local"}, "win32", "C:/Users/me/Local/storage-guard"),
        ({}, "win32", "/home/me/AppData/Local/storage-guard"),
    ],
)
def test_the_folder_is_where_the_system_keeps_state(
    environ: dict[str, str], platform: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert default_folder(environ, platform) == Path(folder)


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", home)
    with pytest.raises(Unusable, match="STORAGE_GUARD_JOURNAL"):
        default_folder({})


# Windows, made up


class Msvcrt:
    """As its documentation has it: a lock is on bytes from the file's position, and one handle's."""

    LK_NBLCK, LK_UNLCK = 2, 0

    def __init__(self) -> None:
        self.locked: dict[tuple[int, int], int] = {}

    def locking(self, fd: int, mode: int, size: int) -> None:
        at = os.lseek(fd, 0, os.SEEK_CUR)
        assert (at > 1 << 30, at + size < 1 << 31) == (True, True)
        found = os.fstat(fd)
        holder = self.locked.setdefault((found.st_dev, found.st_ino), fd)
        if holder != fd:
            raise PermissionError(errno.EACCES, "Permission denied")
        if mode == self.LK_UNLCK:
            del self.locked[found.st_dev, found.st_ino]


def test_windows_locks_a_byte_beyond_the_content(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    module = Msvcrt()
    monkeypatch.setitem(sys.modules, "msvcrt", module)
    monkeypatch.setattr(ownfile, "_system", ownfile.system_of("win32"))
    with journal.claim(URL, KEY) as held:
        held.record(ENTRY)
        with pytest.raises(HeldElsewhere, match="another process is at work") as told:
            journal.claim(URL, KEY)
        assert told.value.pid is None
        assert dead(journal) == []
    assert claimed(journal) == ENTRY
    assert dead(journal) == [ENTRY]
    with journal.claim(URL, KEY) as held:
        held.remove()
    assert [each.read_bytes() for each in files_of(journal)] == [b""]  # an open file cannot be removed there
    assert claimed(journal) is None
    assert module.locked == {}
