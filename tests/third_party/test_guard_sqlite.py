"""A third party's driver is proved by what is shipped, and its own signals by making SQLite fail."""

from __future__ import annotations

import functools
import pickle
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage_guard import (
    AccessDenied,
    NotWritten,
    ObjectExists,
    ObjectInfo,
    OutcomeUnknown,
    RetryPolicy,
    Store,
    StoreUnavailable,
)
from storage_guard.driver import Busy, Driver, Refused, WriteMeta
from storage_guard.testing import (
    BUSY,
    CONFLICT_RESTART,
    GONE,
    LATE,
    LOST_AFTER,
    LOST_BEFORE,
    TWICE,
    BytesBody,
    DriverContract,
    FakeClock,
    Fault,
    HistoryContract,
    faulty,
    race_processes,
    winners,
)
from third_party.guard_sqlite import SQLiteDriver, open_url


@pytest.fixture
def make_driver(tmp_path: Path) -> Callable[[], Driver]:
    return lambda: SQLiteDriver(str(tmp_path / "objects.db"))


class TestSQLite(DriverContract):
    race_rounds = 10  # the primary key does not tire
    listed_keys = 110  # more than a page


class TestHistories(HistoryContract):
    histories = 10
    free_histories = 5
    fresh_listings = True


def put(driver: SQLiteDriver, contender: int, number: int) -> int:
    driver.put_new(f"race/{number}", BytesBody(b"x" * contender), WriteMeta(f"w-{contender}"))
    return contender


def test_of_racing_processes_one_wins(tmp_path: Path) -> None:
    driver = SQLiteDriver(str(tmp_path / "objects.db"), 30.0)
    rounds = race_processes(put, [(driver, each) for each in range(8)], rounds=50)
    for number, results in enumerate(rounds):
        (winner,) = winners(results)
        found = driver.head(f"race/{number}")
        assert found is not None
        assert (found.write_id, found.size_bytes) == (f"w-{winner}", winner)
    driver.close()


# Through a Store

KEY = "models/v1.bin"
DATA = b"0123456789" * 10


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "objects.db")


def store_over(driver: Driver, *, multipart: bool = False) -> Store:
    size = 1 if multipart else 1000
    return Store(driver, part_bytes=40, multipart_from_bytes=size, clock=FakeClock(), retry=RetryPolicy(base_s=1.0))


@pytest.mark.parametrize("fault", [LOST_AFTER, LOST_BEFORE, BUSY, TWICE, CONFLICT_RESTART], ids=repr)
@pytest.mark.parametrize("multipart", [False, True], ids=["put", "parts"])
def test_a_store_finds_out_what_became_of_a_create(path: str, fault: Fault, multipart: bool) -> None:
    driver = faulty(SQLiteDriver(path), "finish_new" if multipart else "put_new", [fault])
    with store_over(driver, multipart=multipart) as store:
        assert store.create(KEY, DATA).outcome == "created"
        assert not driver.left
        assert store.read(KEY) == DATA
        assert list(driver.scan_uploads("")) == []
        with pytest.raises(ObjectExists):
            store.create(KEY, b"other")


@pytest.mark.parametrize("fault", [LATE, GONE], ids=repr)
def test_a_store_never_calls_a_doubt_a_certainty(path: str, fault: Fault) -> None:
    driver = faulty(SQLiteDriver(path), "finish_new", [fault])
    with store_over(driver, multipart=True) as store:
        try:
            created = store.create(KEY, DATA).outcome == "created"
        except NotWritten:
            created = False
        except OutcomeUnknown:
            return
        driver.deliver()
        assert (store.head(KEY) is not None) is created


# SQLite fails


class Failing(sqlite3.Connection):
    """Fails at its first commits, before or after they take place."""

    script: list[tuple[str, int]]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql != "COMMIT" or not self.script:
            return super().execute(sql, parameters)
        when, code = self.script.pop(0)
        super().execute("COMMIT" if when == "after" else "ROLLBACK")
        error = sqlite3.OperationalError("planted")
        error.sqlite_errorcode = code
        raise error


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def plant(*script: tuple[str, int]) -> None:
        monkeypatch.setattr(Failing, "script", list(script), raising=False)
        monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Failing))

    return plant


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_that_fails_is_looked_into(path: str, commits: Callable[..., None], when: str) -> None:
    with store_over(SQLiteDriver(path)) as store:
        store.head(KEY)  # the file is made
        store.close()
        commits((when, sqlite3.SQLITE_IOERR_FSYNC))
        receipt = store.create(KEY, DATA)
        assert (receipt.outcome, receipt.resolved) == ("created", when == "after")
        assert store.read(KEY) == DATA


def test_a_commit_that_may_not_survive_a_crash_is_said_to_be_unknown(path: str, commits: Callable[..., None]) -> None:
    commits(("after", sqlite3.SQLITE_IOERR_DIR_FSYNC))
    with store_over(SQLiteDriver(path)) as store:
        with pytest.raises(OutcomeUnknown, match="crash"):
            store.create(KEY, DATA)
        assert store.read(KEY) == DATA


def test_a_commit_that_meets_a_reader_is_busy_and_rolled_back(path: str) -> None:
    driver = SQLiteDriver(path, 0.01)
    assert driver.head(KEY) is None
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM objects").fetchall()
    with pytest.raises(Busy):
        driver.put_new(KEY, BytesBody(DATA), WriteMeta("w-1"))
    reader.close()
    assert driver.head(KEY) is None
    assert isinstance(driver.put_new(KEY, BytesBody(DATA), WriteMeta("w-2")), ObjectInfo)
    driver.close()


def test_a_file_that_somebody_locks_is_not_available(path: str) -> None:
    with store_over(SQLiteDriver(path, 0.01)) as store:
        assert store.head(KEY) is None
        locker = sqlite3.connect(path, isolation_level=None)
        locker.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable):
            store.create(KEY, DATA)
        locker.close()
        assert store.head(KEY) is None
        assert store.create(KEY, DATA).outcome == "created"


class Restricted(SQLiteDriver):
    pragma = ""

    def _connect(self) -> sqlite3.Connection:
        db = super()._connect()
        db.execute(self.pragma)
        return db


@pytest.mark.parametrize(
    ("pragma", "why"), [("PRAGMA max_page_count = 12", "space"), ("PRAGMA query_only = ON", "read-only")]
)
@pytest.mark.parametrize("multipart", [False, True], ids=["put", "parts"])
def test_a_disk_that_takes_nothing_is_a_definite_no(path: str, pragma: str, why: str, multipart: bool) -> None:
    driver = Restricted(path)
    driver.pragma = pragma
    with store_over(driver, multipart=multipart) as store, pytest.raises(NotWritten) as caught:
        store.create(KEY, DATA * 1000)
    assert isinstance(caught.value.__cause__, Refused)
    assert caught.value.__cause__.why == why
    with store_over(SQLiteDriver(path)) as store:
        assert store.head(KEY) is None
        assert list(store.driver.scan_uploads("")) == []


def test_a_folder_that_is_not_there_and_a_file_of_another_kind_are_refused(tmp_path: Path) -> None:
    with store_over(SQLiteDriver(str(tmp_path / "nowhere" / "objects.db"))) as store, pytest.raises(AccessDenied):
        store.create(KEY, DATA)
    other = tmp_path / "other.db"
    other.write_bytes(b"this is no database" * 100)
    with store_over(SQLiteDriver(str(other))) as store, pytest.raises(NotWritten, match="not a database"):
        store.create(KEY, DATA)


def test_a_writer_that_is_killed_in_its_transaction_leaves_nothing(path: str) -> None:
    code = """
import os, signal, sys
from third_party import guard_sqlite
from storage_guard.driver import WriteMeta
from storage_guard.testing import BytesBody
guard_sqlite._publish = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
guard_sqlite.SQLiteDriver(sys.argv[1]).put_new("key", BytesBody(b"x" * 4_000_000), WriteMeta("w-1"))
"""
    tests = str(Path(__file__).resolve().parents[1])
    done = subprocess.run([sys.executable, "-c", code, path], env={"PYTHONPATH": tests}, check=False)
    assert done.returncode == -signal.SIGKILL
    with store_over(SQLiteDriver(path)) as store:
        assert store.head("key") is None
        assert store.create("key", DATA).outcome == "created"


# Its URL


@pytest.mark.parametrize(
    ("url", "file", "prefix"),
    [
        ("sqlite:///data/archive.db", "/data/archive.db", ""),
        ("sqlite:///data/archive.db/models/v1", "/data/archive.db", "models/v1"),
        ("sqlite:///data/a%20b.db/c%23d.db", "/data/a b.db", "c#d.db"),
        ("sqlite:///archive.db", "/archive.db", ""),
    ],
)
def test_a_url_names_a_file_and_a_prefix_and_opens_again(url: str, file: str, prefix: str) -> None:
    driver, found = open_url(url)
    assert (driver.location.container, found) == (file, prefix)
    store = Store(driver, prefix=prefix)
    assert store.url == url
    assert repr(pickle.loads(pickle.dumps(store)).driver) == repr(driver)


@pytest.mark.parametrize(
    "url", ["sqlite://archive.db", "sqlite:///data/archive", "sqlite:///archive.db?mode=ro", "sqlite:////a.db", "a.db"]
)
def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"want sqlite:///path/file\.db"):
        open_url(url)
