"""What the processes of this machine know of their own open multipart uploads. Resume and sweep go by it.

A folder with a file for each upload. Whoever works on an upload has its file locked, and the lock dies with the
process: an entry that can be locked is nobody's. A key's resumable upload has a file named by the key alone, so that a
claim is one open.

    storage-guard journal 1
    9a3f01c2 {"store_url": ..., "key": ..., ...}        CRC-32 of the JSON that follows; the last sound line holds

The lock is on the file itself, so that there is no second file whose removal would have to be agreed upon. Renaming a
new file over it would leave the lock with the old one: two holders. So a record is one more line, synced, and what a
death has torn is an unsound end, which the next record overwrites. Removal under the lock, and a look after each lock
whether the file still has its name, keep the name and the lock together.

An entry holds no credentials. It knows what was begun, not whether it is there still: only the store knows that.
"""

from __future__ import annotations

import io
import itertools
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, cast

from storage_guard.uploads import ownfile

if TYPE_CHECKING:
    from pathlib import Path

    from storage_guard.model import ObjectOptions

_HEADER = b"storage-guard journal 1\n"
_SUFFIX = ".upload"


class JournalError(Exception):
    """Base of what the journal raises."""


class HeldElsewhere(JournalError):
    """Another process, or another thread of this one, is at work on this upload. `pid` is None where not known."""

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class Unreadable(JournalError):
    """A file of the journal that cannot be read, or not by this version: not touched. `why` is for people."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return (
            f"the journal entry {self.path} cannot be read: {self.why}. It was left as it is; if no other version of "
            "storage-guard needs it, remove it: the upload that it names stays open until it is swept by age"
        )


class Unusable(JournalError):
    """The journal cannot be kept here; what was recorded before holds. Another folder may do: STORAGE_GUARD_JOURNAL."""


@dataclass(frozen=True)
class SourceIdentity:
    """Whose bytes an upload sends. The file of this name, device, inode, size and time of change, from byte `start` on;
    or bytes in memory, by size and CRC-64/XZ."""

    kind: Literal["file", "bytes"]
    size_bytes: int
    name: str = ""
    device: int = 0
    inode: int = 0
    mtime_ns: int = 0
    start: int = 0
    crc: int = 0


@dataclass(frozen=True)
class Entry:
    """One open upload. `key` is the full one, with the store's prefix; `store_url` is a `Location.place`,
    without credentials.

    `named`: the caller chose `write_id`. `started` is aware. `source` is None where nobody can go on (a stream, a
    copy): such an upload can only be swept. `options` is the `options_digest` of what it was begun with. `committing`:
    a finish was sent, or was about to be, so the object may be there.
    """

    store_url: str
    key: str
    upload_id: str
    write_id: str
    named: bool
    part_bytes: int
    started: datetime
    source: SourceIdentity | None
    options: str
    committing: bool = False

    def __post_init__(self) -> None:
        if self.started.tzinfo is None:
            raise ValueError(f"an upload's start needs a time zone, got {self.started!r}")


class Held:
    """An entry's file, locked until it is removed or released, or the process ends; for one thread at a time.

    `entry` is what is recorded; None: nothing yet. `path` is for messages. A forked child holds nothing.
    """

    def __init__(self, file: io.FileIO, path: str) -> None:
        """Takes over `file`, locked already. Raises Unreadable; then the lock is gone again."""
        self.path, self._file = path, file
        self.entry: Entry | None = None
        try:
            self.entry, self._end = _read(file, path)
        except (OSError, ValueError) as exc:
            ownfile.close(self._file)
            raise Unreadable(path, _why(exc)) from exc

    def record(self, entry: Entry) -> None:
        """Record `entry` in place of what was recorded: after any death, the one or the other is there, whole.

        Raises Unusable when it could not be recorded durably; then the one before holds. Raises ValueError for an
        entry of another key, or when nothing is held any more.
        """
        self._check_held()
        _check_name(self.path, entry)
        try:
            if not ownfile.has_name(self._file, self.path):
                raise OSError("somebody removed it by hand")
            self._append(_line(entry) if self._end else _HEADER + _line(entry))
            if not self._end:
                ownfile.sync_folder(os.path.dirname(self.path))
        except OSError as exc:
            with suppress(OSError):
                self._file.truncate(self._end)
            raise Unusable(f"the upload could not be recorded in {self.path}: {_why(exc)}") from exc
        self._end = self._file.tell()
        self.entry = entry

    def remove(self) -> None:
        """Forget the upload and let go. Raises Unusable when it cannot be forgotten; it is let go all the same."""
        self._check_held()
        try:
            self._forget()
        except OSError as exc:
            raise Unusable(f"the journal entry {self.path} could not be removed: {_why(exc)}") from exc
        finally:
            ownfile.close(self._file)

    def release(self) -> None:
        """Let go, and keep what is recorded. Does nothing when nothing is held."""
        if self._file.closed:
            return
        with suppress(OSError, ValueError):
            if self.entry is None and _read(self._file, self.path)[0] is None:  # a record may have been interrupted
                self._forget()
        ownfile.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<{'let go' if self._file.closed else 'held'}: {self.path}, {self.entry}>"

    def _append(self, line: bytes) -> None:
        self._file.truncate(self._end)
        self._file.seek(self._end)
        view = memoryview(line)
        while view:
            view = view[self._file.write(view) :]
        os.fsync(self._file.fileno())

    def _forget(self) -> None:
        ownfile.remove(self._file, self.path)
        self.entry, self._end = None, 0

    def _check_held(self) -> None:
        if self._file.closed:
            raise ValueError(f"{self.path} is not held any more")


class Journal:
    """The journal in `folder`, which is made when it is first needed, for this user alone. Threads may share it."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = os.path.abspath(folder)

    def claim(self, store_url: str, key: str) -> Held:
        """The resumable upload of a key, for this claimant alone. Raises HeldElsewhere, Unreadable, Unusable.

        A sweep that looks at the entry holds it as well, for as long as it looks.
        """
        path = self._path(_name(store_url, key))
        try:
            return Held(self._make(path), path)
        except ownfile.Taken as exc:
            raise HeldElsewhere(
                f"{exc} is at work on the resumable upload of {key!r} to {store_url}, and one at a time can be. Wait "
                "for it to end, or write without resume",
                exc.pid,
            ) from exc
        except ownfile.NotAFile as exc:
            raise Unreadable(path, _why(exc)) from exc

    def add(self, entry: Entry) -> Held:
        """Record one more upload of a key, which nobody will go on with: a sweep is to find it. Raises Unusable."""
        while True:
            path = self._path(f"{_name(entry.store_url, entry.key)}-{os.urandom(8).hex()}")
            try:
                held = Held(self._make(path), path)
            except ownfile.Taken:  # a sweep saw the file before it was locked
                continue
            try:
                held.record(entry)
            except BaseException:
                held.release()
                raise
            return held

    def dead(self, store_url: str) -> Iterator[Held]:
        """Every recorded upload of a store that nobody holds; each is held while it is yielded, then released.

        Files in which a process died before it recorded anything are removed on the way. Raises Unusable.
        """
        for path in self._paths(store_url):
            try:
                held = Held(ownfile.open_locked(path), path)
            except ownfile.NoLocks as exc:
                self._give_up(exc)
            except (OSError, ownfile.Taken, Unreadable):
                continue  # removed meanwhile, held, or for `unreadable` to tell
            with held:
                if held.entry is not None:
                    yield held

    def unreadable(self, store_url: str) -> list[Unreadable]:
        """The files of a store that `dead` passes over because they cannot be read. Nothing is locked or changed."""
        found: list[Unreadable] = []
        for path in self._paths(store_url):
            try:
                with ownfile.open_unlocked(path) as file:
                    _read(file, path)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as exc:
                found.append(Unreadable(path, _why(exc)))
        return found

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}{_SUFFIX}"

    def _paths(self, store_url: str) -> list[str]:
        try:
            names = sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return []
        except OSError as exc:
            self._give_up(exc)
        begin = _name(store_url)
        return [f"{self.folder}/{each}" for each in names if each.startswith(begin) and each.endswith(_SUFFIX)]

    def _make(self, path: str) -> io.FileIO:
        try:
            if not os.path.isdir(self.folder):
                ownfile.make_folder(self.folder)
            return ownfile.open_locked(path, create=True)
        except ownfile.NotAFile:
            raise
        except OSError as exc:
            self._give_up(exc)

    def _give_up(self, exc: OSError) -> NoReturn:
        raise Unusable(
            f"no journal can be kept in {self.folder}: {_why(exc)}. Name another folder in "
            "STORAGE_GUARD_JOURNAL, or write without resume"
        ) from exc


def default_folder(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Where this user's journal is: STORAGE_GUARD_JOURNAL, or where the system keeps a program's state.

    Raises Unusable when the user has no home folder.
    """
    from pathlib import Path  # noqa: PLC0415 - not every import of ours needs it

    if named := environ.get("STORAGE_GUARD_JOURNAL"):
        return Path(named)
    windows = platform == "win32"
    base = environ.get("LOCALAPPDATA" if windows else "XDG_STATE_HOME", "")
    try:
        # The XDG specification ignores a relative path.
        if not base or not (windows or os.path.isabs(base)):
            base = str(Path.home().joinpath(*("AppData", "Local") if windows else (".local", "state")))
        return Path(base, "storage-guard")
    except RuntimeError as exc:
        raise Unusable("this user has no home folder to keep a journal in: name one in STORAGE_GUARD_JOURNAL") from exc


def options_digest(options: ObjectOptions) -> str:
    """SHA-256 of what travels with the bytes, equal for equal options, whatever the order of their names.

    A customer key goes into it, with its 256 bits of chance, and cannot be had from it. What is not set is left out,
    so that an option added later changes no digest.
    """
    import json  # noqa: PLC0415 - only uploads that last need it

    return _sha256(json.dumps(_plain(options), sort_keys=True, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    fields = cast("Mapping[str, object]", value if isinstance(value, Mapping) else vars(value))
    return {name: each for name, each in fields.items() if each is not None and each != {}}


def _name(store_url: str, key: str | None = None) -> str:
    """How the names of a store's files begin; with `key`, those of one key."""
    return f"{_sha256(store_url)[:16]}-" + ("" if key is None else _sha256(key)[:32])


def _sha256(text: str) -> str:
    import hashlib  # noqa: PLC0415

    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _line(entry: Entry) -> bytes:
    import json  # noqa: PLC0415
    import zlib  # noqa: PLC0415

    text = json.dumps({**asdict(entry), "started": entry.started.astimezone(UTC).isoformat()}).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _check_name(path: str, entry: Entry) -> None:
    if not os.path.basename(path).startswith(_name(entry.store_url, entry.key)):
        raise ValueError(f"it is not the file of the key {entry.key!r} of {entry.store_url}")


def _read(file: io.FileIO, path: str) -> tuple[Entry | None, int]:
    """The last entry of a file, and where its sound lines end. Raises OSError, ValueError."""
    file.seek(0)
    entry, end = _parse(file.readall())
    if entry is not None:
        _check_name(path, entry)
    return entry, end


def _parse(content: bytes) -> tuple[Entry | None, int]:
    # Torn at its beginning; zeros are what never reached the disk before the machine lost power.
    content = content.rstrip(b"\0")
    if _HEADER.startswith(content) or content.startswith(b"\0"):
        return None, 0
    if not content.startswith(_HEADER):
        raise ValueError("it is not of version 1 of the journal")
    *lines, tail = content[len(_HEADER) :].split(b"\n")
    sound = list(itertools.takewhile(_is_sound, lines))
    if len(lines) + bool(tail) > len(sound) + 1:
        raise ValueError("it is damaged: a record is torn that is not the last")
    if not sound:
        return None, 0
    return _entry(sound[-1][9:]), len(_HEADER) + sum(len(each) + 1 for each in sound)


def _is_sound(line: bytes) -> bool:
    import zlib  # noqa: PLC0415

    return line[:9] == b"%08x " % zlib.crc32(line[9:])


def _entry(text: bytes) -> Entry:
    import json  # noqa: PLC0415

    try:
        fields: dict[str, Any] = json.loads(text)
        source: dict[str, Any] | None = fields.pop("source")
        started = datetime.fromisoformat(fields.pop("started"))
        return Entry(**fields, started=started, source=None if source is None else SourceIdentity(**source))
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise ValueError(f"its JSON is not an upload ({exc})") from exc


def _why(exc: OSError | ValueError) -> str:
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
