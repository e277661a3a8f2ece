"""An SQLite database file as a store: `open_store("sqlite:///data/archive.db")`.

An object is a row of `objects`, whose primary key is the promise: of two inserts of one key the second fails. Its bytes
are rows of `pieces`, at most 8 MiB each; the parts of an upload are such rows already, so that finishing one copies
nothing. Every change is one transaction, and bytes are read from their source before it begins: a slow source locks
nobody out. Memory: one piece for each call.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from storage_guard.checksum import RunningCrc64, as_checksum, combine, crc64xz
from storage_guard.driver import (
    Absent,
    Body,
    Busy,
    Capabilities,
    Changed,
    Checksum,
    Driver,
    Exists,
    Gone,
    Limits,
    Location,
    Lost,
    ObjectInfo,
    ObjectOptions,
    ObjectRef,
    Part,
    PartSlot,
    Prefix,
    Refused,
    Signal,
    Unsupported,
    Unsynced,
    Upload,
    Why,
    WriteMeta,
)

MIB = 1024 * 1024
LIMITS = Limits(
    max_put_bytes=8 * MIB, min_part_bytes=1, max_part_bytes=8 * MIB, max_parts=10_000, max_object_bytes=80_000 * MIB
)

# Text is compared byte by byte in UTF-8, which is the order that `scan` promises.
SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  key TEXT PRIMARY KEY, size_bytes INTEGER, content TEXT, modified TEXT, write_id TEXT, crc64xz TEXT, options TEXT
);
CREATE TABLE IF NOT EXISTS uploads (upload_id TEXT PRIMARY KEY, key TEXT, started TEXT, write_id TEXT, options TEXT);
CREATE TABLE IF NOT EXISTS pieces (
  content TEXT, number INTEGER, offset_bytes INTEGER, size_bytes INTEGER, etag TEXT, crc64xz TEXT, data BLOB,
  PRIMARY KEY (content, number)
);
"""
PAGE = 100
KEPT = ("content_type", "cache_control", "content_disposition", "content_encoding", "content_language", "metadata")


class SQLiteDriver(Driver):
    """A client of the store in one database file, which the first call makes. Its folder must be there."""

    def __init__(self, path: str, busy_timeout_s: float = 5.0) -> None:
        self._path = os.path.abspath(path)
        self._busy_timeout_s = busy_timeout_s
        # Connections that nobody uses, of each process: one that was inherited by a fork must not even be closed.
        self._idle: defaultdict[int, list[sqlite3.Connection]] = defaultdict(list)

    def __repr__(self) -> str:
        return f"SQLiteDriver({self._path!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._path, self._busy_timeout_s)

    @property
    def limits(self) -> Limits:
        return LIMITS

    @property
    def location(self) -> Location:
        # Nothing can be copied from one file to another without us, so each is a service of its own.
        return Location("sqlite", self._path, self._path)

    def capabilities(self) -> Capabilities:
        return Capabilities(put="documented", finish="documented", copy="documented", reason="a primary key of SQLite")

    # Writing

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        _check(key, meta.options)
        data, checksum = _read_all(body, LIMITS.max_put_bytes)
        content = _new_id()
        with self._writing() as db:
            _insert_piece(db, content, Part(PartSlot(1, 0, len(data)), content, checksum), data)
            return _publish(db, key, content, meta)

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        _check(key, meta.options)
        upload_id = _new_id()
        with self._writing() as db:
            if db.execute("SELECT 1 FROM objects WHERE key = ?", (key,)).fetchone():
                raise Exists(f"{key!r} is taken", sole=True)
            row = (upload_id, key, _now(), meta.write_id, _packed(meta.options))
            db.execute("INSERT INTO uploads VALUES (?, ?, ?, ?, ?)", row)
        return upload_id

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        _check_slot(slot, body.size_bytes)
        data, checksum = _read_all(body, LIMITS.max_part_bytes)
        part = Part(slot, _new_id(), checksum)
        with self._writing() as db:
            _find_upload(db, key, upload_id)
            _insert_piece(db, upload_id, part, data)
        return part

    def copy_part(self, key: str, upload_id: str, slot: PartSlot, source: ObjectRef, start: int, /) -> Part:
        with self._writing() as db:
            _find_upload(db, key, upload_id)
            found = self._find_source(db, source)
            data = _bytes_of(db, found, start, start + slot.size_bytes)
            _check_slot(slot, len(data))
            part = Part(slot, _new_id(), as_checksum(crc64xz(data)))
            _insert_piece(db, upload_id, part, data)
        return part

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        with self._writing() as db:
            begun = _find_upload(db, key, upload_id)
            if begun != (meta.write_id, _packed(meta.options)):
                raise Refused("what is finished is not what was begun", why="request")
            sent = {part.slot.number: part for part in _parts_of(db, upload_id)}
            unused = sent.keys() - _chosen(parts, sent)
            db.executemany("DELETE FROM pieces WHERE content = ? AND number = ?", ((upload_id, n) for n in unused))
            db.execute("DELETE FROM uploads WHERE upload_id = ?", (upload_id,))
            return _publish(db, key, upload_id, meta)

    def abort(self, key: str, upload_id: str, /) -> None:
        with self._writing() as db:
            _find_upload(db, key, upload_id)
            db.execute("DELETE FROM uploads WHERE upload_id = ?", (upload_id,))
            db.execute("DELETE FROM pieces WHERE content = ?", (upload_id,))

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        _check(key, meta.options)
        content = _new_id()
        with self._writing() as db:
            found = self._find_source(db, source)
            if found.size_bytes > LIMITS.max_put_bytes:
                raise Refused(f"{found.size_bytes} bytes are too many for a copy in one request", why="request")
            db.execute(
                "INSERT INTO pieces SELECT ?, number, offset_bytes, size_bytes, etag, crc64xz, data FROM pieces "
                "WHERE content = ?",
                (content, found.etag),
            )
            return _publish(db, key, content, meta)

    def remove(self, key: str, etag: str | None, /) -> None:
        with self._writing() as db:
            found = _find_object(db, key, etag)
            db.execute("DELETE FROM objects WHERE key = ?", (key,))
            db.execute("DELETE FROM pieces WHERE content = ?", (found.etag,))

    # Reading

    def head(self, key: str, /) -> ObjectInfo | None:
        with self._reading() as db:
            row = db.execute("SELECT * FROM objects WHERE key = ?", (key,)).fetchone()
        return None if row is None else _info(row)

    def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
        with self._reading() as db:
            return _bytes_of(db, _find_object(db, key, etag), start, stop)

    def scan(self, prefix: str, delimiter: str, start_after: str, /) -> Iterator[ObjectInfo | Prefix]:
        after, last = start_after, None
        while True:
            with self._reading() as db:
                page = "SELECT * FROM objects WHERE key >= ? AND key > ? ORDER BY key LIMIT ?"
                rows = db.execute(page, (prefix, after, PAGE)).fetchall()
            for info in map(_info, rows):
                if not info.key.startswith(prefix):
                    return
                inner, found, _ = info.key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
                entry = Prefix(prefix + inner + delimiter) if found else info
                if entry != last:
                    yield entry
                after, last = info.key, entry
            if len(rows) < PAGE:
                return

    def scan_uploads(self, prefix: str, /) -> Iterator[Upload]:
        with self._reading() as db:
            rows = db.execute("SELECT key, upload_id, started FROM uploads ORDER BY key, started").fetchall()
        for key, upload_id, started in rows:
            if key.startswith(prefix):
                yield Upload(key, upload_id, datetime.fromisoformat(started))

    def scan_parts(self, key: str, upload_id: str, /) -> Iterator[Part]:
        with self._reading() as db:
            _find_upload(db, key, upload_id)
            parts = _parts_of(db, upload_id)
        yield from parts

    def presign(self, key: str, expires_s: float, /) -> str:
        raise Unsupported(f"no URL reads {key!r} for {expires_s} s: a database file has no server")

    def close(self) -> None:
        idle = self._idle[os.getpid()]
        while idle:
            idle.pop().close()

    # Transactions

    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._transaction("BEGIN IMMEDIATE")

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._transaction("BEGIN")

    @contextmanager
    def _transaction(self, begin: str) -> Generator[sqlite3.Connection]:
        """One transaction, and one signal if SQLite fails. A connection that has seen trouble is not used again."""
        committing = False
        db: sqlite3.Connection | None = None
        try:
            db = self._connection()
            db.execute(begin)
            yield db
            committing = True
            db.execute("COMMIT")
            self._idle[os.getpid()].append(db)
        except BaseException as exc:
            in_doubt = committing and db is not None and not db.in_transaction
            if db is not None:
                db.close()  # which rolls back what is open
            if isinstance(exc, sqlite3.Error):
                raise _signal(exc, in_doubt) from exc
            raise

    def _connection(self) -> sqlite3.Connection:
        try:
            return self._idle[os.getpid()].pop()
        except IndexError:
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA synchronous = EXTRA")  # the folder is synced too, when the journal is removed
            db.executescript(SCHEMA)
        except BaseException:
            db.close()
            raise
        return db

    def _find_source(self, db: sqlite3.Connection, source: ObjectRef) -> ObjectInfo:
        if not self.location.same_service(source.location):
            raise Unsupported(f"SQLite cannot copy from {source.location.url(source.key)} into {self._path}")
        return _find_object(db, source.key, source.etag)


def open_url(url: str, /, *, busy_timeout_s: float = 5.0) -> tuple[Driver, str]:
    """`sqlite:///folder/file.db/prefix`: the file is the first segment that ends in .db. Raises ValueError."""
    found = re.fullmatch(r"sqlite://(?P<file>(?:/[^/?#]+)*?/[^/?#]+\.db)(?:/(?P<prefix>[^?#]*))?", url)
    if found is None:
        raise ValueError(f"want sqlite:///path/file.db or sqlite:///path/file.db/prefix, got {url!r}")
    path, prefix = (unquote(each or "", errors="strict") for each in found.groups())
    return SQLiteDriver(path, busy_timeout_s), prefix


# What SQLite's result codes mean. Not in the table: `Lost`.
_WHY: dict[int, Why] = {
    sqlite3.SQLITE_FULL: "space",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_CANTOPEN: "access",
    sqlite3.SQLITE_PERM: "access",
    sqlite3.SQLITE_NOTADB: "request",
    sqlite3.SQLITE_TOOBIG: "request",
}


def _signal(exc: sqlite3.Error, in_doubt: bool) -> Signal:
    """What happened, for the caller. `in_doubt`: the commit failed, and left nothing to roll back."""
    result: int = getattr(exc, "sqlite_errorcode", 0)  # errors of the module itself have none
    code: str | None = getattr(exc, "sqlite_errorname", None)
    primary = result & 0xFF
    if in_doubt and primary != sqlite3.SQLITE_FULL:  # a full disk is rolled back by SQLite itself
        # The folder is synced when the journal has been removed from it, and that was the commit.
        landed = result == sqlite3.SQLITE_IOERR_DIR_FSYNC
        return Unsynced(str(exc), code=code) if landed else Lost(str(exc), code=code)
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy(str(exc), code=code)
    if primary in _WHY:
        return Refused(str(exc), why=_WHY[primary], code=code)
    return Lost(str(exc), code=code)


def _publish(db: sqlite3.Connection, key: str, content: str, meta: WriteMeta) -> ObjectInfo:
    """The row that makes an object of its pieces, if the key is free."""
    parts = _parts_of(db, content)
    size_bytes = sum(part.slot.size_bytes for part in parts)
    checksum = combine((part.checksum, part.slot.size_bytes) for part in parts)
    crc = checksum.value if checksum else None
    row = (key, size_bytes, content, _now(), meta.write_id, crc, _packed(meta.options))
    try:
        db.execute("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    except sqlite3.IntegrityError as exc:
        raise Exists(f"{key!r} is taken", sole=True) from exc  # nobody resends what a function call asks
    return _info(row)


def _insert_piece(db: sqlite3.Connection, content: str, part: Part, data: bytes) -> None:
    slot = part.slot
    crc = part.checksum.value if part.checksum else None
    row = (content, slot.number, slot.offset_bytes, slot.size_bytes, part.etag, crc, data)
    db.execute("INSERT OR REPLACE INTO pieces VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def _find_object(db: sqlite3.Connection, key: str, etag: str | None) -> ObjectInfo:
    row = db.execute("SELECT * FROM objects WHERE key = ?", (key,)).fetchone()
    if row is None:
        raise Absent(f"nothing is at {key!r}")
    info = _info(row)
    if etag not in (None, info.etag):
        raise Changed(f"{key!r} is {info.etag}, not {etag}")
    return info


def _find_upload(db: sqlite3.Connection, key: str, upload_id: str) -> tuple[str, str]:
    """The write id and the packed options that an upload was begun with."""
    query = "SELECT write_id, options FROM uploads WHERE upload_id = ? AND key = ?"
    row: tuple[str, str] | None = db.execute(query, (upload_id, key)).fetchone()
    if row is None:
        raise Gone(f"there is no upload {upload_id} of {key!r}", sole=True)
    return row


def _parts_of(db: sqlite3.Connection, upload_id: str) -> list[Part]:
    query = "SELECT number, offset_bytes, size_bytes, etag, crc64xz FROM pieces WHERE content = ? ORDER BY number"
    return [
        Part(PartSlot(number, offset_bytes, size_bytes), etag, Checksum("crc64xz", crc64xz))
        for number, offset_bytes, size_bytes, etag, crc64xz in db.execute(query, (upload_id,))
    ]


def _chosen(parts: Sequence[Part], sent: dict[int, Part]) -> set[int]:
    """The numbers of `parts`; Refused unless they are what was sent, and make one object from byte 0 on."""
    number = size_bytes = 0
    for slot, etag in ((part.slot, part.etag) for part in parts):
        here = sent.get(slot.number)
        if here is None or (here.slot, here.etag) != (slot, etag):
            raise Refused(f"part {slot.number} is not the one that was sent", why="request")
        if slot.number <= number or slot.offset_bytes != size_bytes:
            raise Refused(f"part {slot.number} does not follow part {number}", why="request")
        number, size_bytes = slot.number, size_bytes + slot.size_bytes
    if not parts:
        raise Refused("an upload without parts cannot be finished", why="request")
    return {part.slot.number for part in parts}


def _bytes_of(db: sqlite3.Connection, info: ObjectInfo, start: int, stop: int) -> bytes:
    query = (
        "SELECT substr(data, 1 + max(0, :start - offset_bytes), "
        "min(:stop, offset_bytes + size_bytes) - max(:start, offset_bytes)) FROM pieces "
        "WHERE content = :content AND offset_bytes < :stop AND offset_bytes + size_bytes > :start ORDER BY number"
    )
    return b"".join(piece for (piece,) in db.execute(query, {"start": start, "stop": stop, "content": info.etag}))


def _info(row: tuple[Any, ...]) -> ObjectInfo:
    key, size_bytes, content, modified, write_id, crc64xz, options = row
    return ObjectInfo(
        key=key,
        size_bytes=size_bytes,
        etag=content,  # every content has a name of its own, so it tells one life of a key from the next
        modified=datetime.fromisoformat(modified),
        write_id=write_id,
        checksum=Checksum("crc64xz", crc64xz),
        options=ObjectOptions(**json.loads(options)),
    )


def _check(key: str, options: ObjectOptions) -> None:
    if len(key.encode()) > LIMITS.max_key_bytes:
        raise Refused(f"{key!r} has over {LIMITS.max_key_bytes} bytes", why="key")
    asked = [each.name for each in fields(options) if each.name not in KEPT and getattr(options, each.name)]
    if asked:
        raise Unsupported(f"{key!r}: a database file knows no {', '.join(asked)}")


def _check_slot(slot: PartSlot, size_bytes: int) -> None:
    if not 1 <= slot.number <= LIMITS.max_parts or slot.size_bytes != size_bytes:
        raise Refused(f"{size_bytes} bytes do not make {slot}", why="request")


def _read_all(body: Body, most_bytes: int) -> tuple[bytes, Checksum]:
    if body.size_bytes > most_bytes:
        raise Refused(f"{body.size_bytes} bytes in one request, and {most_bytes} are the most", why="request")
    crc = RunningCrc64()
    data = b"".join(bytes(window) for window in crc.over(body.windows()))
    if len(data) != body.size_bytes:
        raise Refused(f"the body has {len(data)} bytes, not {body.size_bytes}", why="request")
    return data, crc.checksum()


def _packed(options: ObjectOptions) -> str:
    kept = {name: getattr(options, name) for name in KEPT}
    return json.dumps({**kept, "metadata": dict(options.metadata)}, sort_keys=True)


def _new_id() -> str:
    return secrets.token_hex(16)


def _now() -> str:
    return datetime.now(UTC).isoformat()
