"""`Store`: what users hold. All policy is here and behind it; drivers have none."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from types import TracebackType
from typing import IO, TYPE_CHECKING, Literal, overload

from storage_guard import amounts, names
from storage_guard.access import DEADLINE_S, Access
from storage_guard.clock import Clock, SystemClock
from storage_guard.driver import Driver
from storage_guard.engine import removal, settling, writing
from storage_guard.engine.policy import Enforcement, Policy
from storage_guard.engine.sending import Bounds, Progress
from storage_guard.errors import NotWritten, StorageGuardError
from storage_guard.model import (
    NO_OPTIONS,
    ObjectOptions,
    Receipt,
    Swept,
    Upload,
)
from storage_guard.outcome import IfExists
from storage_guard.plan import DEFAULT_MEMORY_BYTES, DEFAULT_MULTIPART_FROM_BYTES
from storage_guard.reads import Reads
from storage_guard.retry import RetryPolicy

if TYPE_CHECKING:
    import io
    from datetime import datetime
    from typing import Self

    from typing_extensions import Buffer

    from storage_guard.engine.results import NewObject
    from storage_guard.files.opening import Compression, ObjectTextWriter, ObjectWriter


class Store(Reads):
    """Create-only writes, and what belongs to them, over one driver.

    Thread-safe. Keys are relative to `prefix`. Time, chance and the waits between attempts are arguments.

    - `part_bytes`: how much of a large object goes into one request. None: 2 to 8 MiB, by its size; of a stream 2 to 4,
      by `memory_bytes`. Always more where the store's limits ask for it.
    - `multipart_from_bytes`: from this size on an object goes up in parts (16 MiB).
    - `in_flight`: how many parts of an object are sent at a time, at most: 16 at first, then as many as the store was
      seen to profit from. None: 64 at most. 1: one after the other, and no threads.
    - `memory_bytes`: what the parts of one object that are on their way may hold in memory together (128 MiB). A file
      costs an eighth of each (256 KiB to 1 MiB), a buffer nothing, a stream whole parts: those on their way and the one
      that is being read, together at most `min(in_flight * part_bytes, memory_bytes)`. A stream's parts double behind
      every tenth of the parts that the store allows, up to a quarter of `memory_bytes`: that is how far it can reach.
    - `deadline_s`: every call that is not given its own gives up when the store has made no progress for so long (300).
      `settle` waits for 30; an examination, where one is needed, asks each question for 60.
    - `enforcement`: "probe" examines a store for whose guarantee nobody vouches, before the first write of each kind,
      and refuses it if it does not hold; "trust" believes it, warns, and says "trusted" on every receipt. A store that
      is known not to keep the condition is refused either way.
    - `verdict_age_s`: how old the verdict may be that an earlier examination left in the store. None: seven days.
    - `defaults`: options for every `create` that is given none.
    - `journal`: the folder in which this machine's open uploads are written down, for `resume` and `sweep`. None: what
      STORAGE_GUARD_JOURNAL names, or `storage-guard` where the system keeps a program's state.
    """

    def __init__(
        self,
        driver: Driver,
        *,
        prefix: str = "",
        part_bytes: int | None = None,
        multipart_from_bytes: int = DEFAULT_MULTIPART_FROM_BYTES,
        in_flight: int | None = None,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        retry: RetryPolicy | None = None,
        deadline_s: float = DEADLINE_S,
        enforcement: Enforcement = "probe",
        defaults: ObjectOptions | None = None,
        journal: str | os.PathLike[str] | None = None,
        verdict_age_s: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        for name, value in (
            ("part_bytes", part_bytes),
            ("multipart_from_bytes", multipart_from_bytes),
            ("in_flight", in_flight),
            ("memory_bytes", memory_bytes),
        ):
            if value is not None:
                amounts.check_whole(name, value, least=1)
        if enforcement not in ("probe", "trust"):
            raise ValueError(f'enforcement must be "probe" or "trust", got {enforcement!r}')
        if verdict_age_s is not None:
            amounts.check_seconds("verdict_age_s", verdict_age_s)
        if not isinstance(retry, RetryPolicy | None):  # else the first answer that is lost would show it
            raise TypeError(f"retry is a RetryPolicy, not {type(retry).__name__}")
        if defaults is not None:
            names.check_options(defaults, None)
        if isinstance(driver, str | os.PathLike):
            raise TypeError(f"a Store has a driver, not {type(driver).__name__}: open_store(url) opens a URL")
        prefix = prefix.strip("/")
        if prefix:
            names.check_key(prefix)
        access = Access(
            driver=driver,
            prefix=f"{prefix}/" if prefix else "",
            clock=clock or SystemClock(),
            retry=retry or RetryPolicy(),
            url=driver.location.url(prefix),
            deadline_s=deadline_s,
        )
        access.patience()  # which refuses a deadline that cannot be
        super().__init__(
            Policy(
                access=access,
                part_bytes=part_bytes,
                multipart_from_bytes=multipart_from_bytes,
                bounds=Bounds(in_flight, memory_bytes),
                enforcement=enforcement,
                defaults=defaults or NO_OPTIONS,
                journal=None if journal is None else os.path.abspath(journal),
                verdict_age_s=verdict_age_s,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back connections and descriptors, when no call is under way. A later one opens what it needs anew."""
        self.driver.close()

    # Writing

    def create(
        self,
        key: str,
        data: Buffer | os.PathLike[str] | IO[bytes] | Iterable[Buffer],
        *,
        options: ObjectOptions | None = None,
        if_exists: IfExists = "error",
        write_id: str | None = None,
        resume: bool = False,
        progress: Progress | None = None,
        deadline_s: float | None = None,
    ) -> Receipt:
        """Write an object if its key is free, whole or not at all, and tell the truth about what happened.

        `data`: a buffer, a Path, a binary file (from its position to its end) or an iterable of buffers, tried in
        this order. After a failure a seekable file stands where it stood; what was taken from an iterator is gone.
        `if_exists`: "error" raises ObjectExists; "same" accepts an object with equal bytes; "skip" accepts any.
        `write_id`: the caller's own name for this write, `[A-Za-z0-9_-]{1,64}`. The same id with the same bytes is
        the same write, from any process; with other bytes it is ObjectExists.
        `resume`: a large file (or buffer) whose upload fails or dies is kept, and the next `create` on this machine
        with `resume=True`, this key, these options and this very file goes on with it; of two that try at the same
        time one is told. A file that has changed since is sent anew. ValueError for a stream. The journal that knows
        of it is `Store(journal=...)`.
        `progress(done_bytes, total_bytes or None)` is called as bytes are read, never backwards, by one thread at a
        time, not always the same.
        `deadline_s`: give up when the *store* has made no progress for so long; None: what the Store was given. A slow
        source does not count.

        Raises ObjectExists; OutcomeUnknown (with a ticket for `settle`); GuaranteeMissing, before the first byte, for
        a store that would not keep the promise; GuaranteeBroken; ObjectDamaged; InvalidKey and Unsupported (metadata,
        options) for what the store cannot hold; AccessDenied, ChecksumMismatch, SourceChanged, StoreUnavailable or
        NotWritten itself, all meaning that this call has written nothing; TypeError for data that is not bytes. What a
        caller's own iterable, file or `progress` raises passes through with a note. Any exception that interrupts a
        commit, KeyboardInterrupt included, carries a ticket: `ticket_of(exception)`.
        """
        wanted = self._policy.wanted(key, if_exists=if_exists, write_id=write_id, options=options)
        patience = self._access.patience(deadline_s)
        return writing.create(self._policy, wanted, data, patience=patience, resume=resume, progress=progress)

    def create_many(
        self,
        items: Iterable[NewObject | tuple[str, Buffer | os.PathLike[str] | IO[bytes] | Iterable[Buffer]]],
        *,
        options: ObjectOptions | None = None,
        if_exists: IfExists = "error",
        in_flight: int | None = None,
        ordered: bool = False,
        deadline_s: float | None = None,
    ) -> Generator[Receipt | StorageGuardError]:
        """Create very many objects side by side: for each a Receipt, or the error that `create` would have raised.

        `items`: `(key, data)` or `NewObject`, taken one by one, in the thread that asks for results, when there is
        room; nothing is begun while nobody asks. Results come as they finish, or `ordered` as the items came; each
        has its `key`. No failure stops the others. What an item's own data raises, and what `create` refuses with a
        TypeError or ValueError, is a NotWritten with that as its cause.
        `in_flight`: how many creates are under way at most. None: as many as the store was seen to profit from, 16 at
        first and 64 at most; fewer while it throttles. 1: no threads. All of them together keep to the Store's
        `memory_bytes`, but for streams where the store's smallest parts are large: each may hold two of those.
        `ordered`: up to `4 * in_flight` are begun and not given out.
        `deadline_s` is for each of them.

        Raises ValueError and Unsupported at once for options of the call; behind the results of all that were begun
        what `items` itself raises, and TypeError for an item that is none. Ctrl-C, and closing the iterator early,
        begin nothing more, end uploads between two parts, and wait for what is on its way, which repeats nothing any
        more. Results that were not given out are notes of the exception; of a close, which shows none, those that are
        unknown are a RuntimeWarning, tickets and all. A forked copy of the iterator goes no further: RuntimeError.
        """
        from storage_guard.engine.many import Many  # noqa: PLC0415 - most programs write one at a time

        many = Many(
            self._policy,
            options=options,
            if_exists=if_exists,
            in_flight=in_flight,
            ordered=ordered,
            deadline_s=self._access.within(deadline_s),
        )
        return many.results(items)

    def settle(self, settle_ticket: str, *, deadline_s: float = 30.0) -> Receipt:
        """Ask again about a write whose outcome was unknown; the ticket may come from another process.

        Returns the receipt if the object is there and ours. Raises ObjectExists (another's is there), NotWritten
        (it is not there and will not appear), or OutcomeUnknown again; ValueError for what is no ticket of this
        store. Of an upload whose finish was lost, this calls the upload back first.
        """
        return settling.settle(self._policy, settle_ticket, deadline_s=deadline_s)

    def remove(self, key: str, *, etag: str | None = None, deadline_s: float | None = None) -> None:
        """Remove the object that is at the key now, or, with an etag, that one only.

        A removal frees the key: a create on it that is still under way elsewhere may then succeed.
        `deadline_s`: give up when the store has answered nothing for so long.
        Raises ObjectNotFound, ObjectChanged (another object is there), AccessDenied, StoreUnavailable, and
        OutcomeUnknown, without a ticket, when answers were lost until there was no more time.
        """
        removal.remove(self._access, key, etag, deadline_s=self._access.within(deadline_s))

    def copy(
        self,
        source: str | tuple[Store, str],
        key: str,
        *,
        options: ObjectOptions | None = None,
        if_exists: IfExists = "error",
        write_id: str | None = None,
        progress: Progress | None = None,
        deadline_s: float | None = None,
    ) -> Receipt:
        """Create an object from another one, if its key is free.

        `source`: a key of this store, `(store, key)`, or a URL that `open_store` takes, with the key behind it. Where
        both ends are one service it copies by itself, in parallel parts if the object is large; otherwise the bytes
        pass through here. The source is pinned: if it is replaced or removed meanwhile, nothing is written.
        `options` None: those of the source. The write id is never copied.

        Raises ObjectNotFound (there is no source), SourceChanged, and all that `create` raises.
        """
        from storage_guard.engine import copying  # noqa: PLC0415 - most programs copy nothing

        wanted = self._policy.wanted(key, if_exists=if_exists, write_id=write_id, options=options)
        where = copying.find(self._end(source), self._access)
        within_s = self._access.within(deadline_s)
        return copying.copy(self._policy, where, wanted, options, progress=progress, deadline_s=within_s)

    @staticmethod
    def _end(source: object) -> str | tuple[Access, str]:
        match source:
            case str():
                return source
            case (Store() as store, str() as key):
                return store._access, key  # noqa: SLF001 - of this very class
            case _:
                raise TypeError(f"the source of a copy is a key, (store, key) or a URL, not {source!r}")

    def rename(self, source_key: str, key: str, *, deadline_s: float | None = None) -> Receipt:
        """Copy an object to a free key, then remove the source, if it still is what was copied.

        Two steps: whoever looks in between sees both. Where a store cannot remove on condition, an object that
        replaces the source in the moment between the last look and the removal would be removed instead.
        Raises RenameIncomplete (the copy is there, and so is the source, or may be), and all that `copy` raises:
        then nothing was removed.
        """
        from storage_guard.engine import copying  # noqa: PLC0415 - most programs copy nothing

        wanted = self._policy.wanted(key, if_exists="error", write_id=None, options=None)
        where, within_s = copying.find(source_key, self._access), self._access.within(deadline_s)
        return copying.rename(self._policy, where, wanted, deadline_s=within_s)

    # Files

    @overload
    def open(
        self,
        key: str,
        mode: Literal["xb"],
        *,
        compression: Compression | None = None,
        options: ObjectOptions | None = None,
        if_exists: IfExists = "error",
        write_id: str | None = None,
        progress: Progress | None = None,
        deadline_s: float | None = None,
    ) -> ObjectWriter: ...
    @overload
    def open(
        self,
        key: str,
        mode: Literal["xt", "x"],
        *,
        compression: Compression | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        options: ObjectOptions | None = None,
        if_exists: IfExists = "error",
        write_id: str | None = None,
        progress: Progress | None = None,
        deadline_s: float | None = None,
    ) -> ObjectTextWriter: ...
    @overload
    def open(
        self, key: str, mode: Literal["rb"] = "rb", *, compression: Compression | None = None
    ) -> io.BufferedIOBase: ...
    @overload
    def open(
        self,
        key: str,
        mode: Literal["rt", "r"],
        *,
        compression: Compression | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> io.TextIOWrapper: ...
    def open(
        self,
        key: str,
        mode: str = "rb",
        *,
        compression: Compression | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        options: ObjectOptions | None = None,
        if_exists: IfExists | None = None,
        write_id: str | None = None,
        progress: Progress | None = None,
        deadline_s: float | None = None,
    ) -> ObjectWriter | ObjectTextWriter | io.BufferedIOBase | io.TextIOWrapper:
        """An object as a file: "xb" and "xt" create it, "rb" and "rt" read it.

        A writer uploads while it is written to, and publishes when it is closed: whole, or not at all. `commit()` does
        the same and returns the Receipt, `discard()` throws away. An exception in its `with` block discards; so does
        collecting a writer that was never closed, with a ResourceWarning that says where it was opened. A taken key
        is ObjectExists here already, and again, which is what counts, when it is closed.

        A reader is buffered and seekable, and pinned to one object: if that is replaced meanwhile, ObjectChanged.

        `compression`: "gzip", "bz2" or "xz". With it, and as text, use these modes and not the standard library's
        wrappers: an `io.TextIOWrapper` around a binary writer that is dropped discards what it had, and a
        `gzip.GzipFile` never closes it. `encoding` is UTF-8 unless it is given, `newline` as in the built-in `open`.

        Raises ValueError for another mode, or an option that the mode has no use for; what `create` and `read` raise.
        """
        from storage_guard.files import opening  # noqa: PLC0415 - not every program opens files

        text = opening.Text(encoding, errors, newline)
        if mode in ("rb", "rt", "r"):
            opening.refuse_for_reading(
                options=options, if_exists=if_exists, write_id=write_id, progress=progress, deadline_s=deadline_s
            )
            return opening.open_reader(self._access, key, mode, compression, text, bounds=self._policy.bounds)
        wanted = self._policy.wanted(key, if_exists=if_exists or "error", write_id=write_id, options=options)
        return opening.open_writer(
            self._policy,
            wanted,
            mode,
            compression,
            text,
            progress=progress,
            deadline_s=self._access.within(deadline_s),
        )

    # Housekeeping

    def sweep(self, *, older_than_s: float, uploads: Iterable[Upload] = (), now: datetime | None = None) -> Swept:
        """Throw away uploads that nobody will finish.

        Those that this machine's journal knows as ours, whose process is dead, and that began over `older_than_s`
        seconds ago; of others only those that are named in `uploads`, by the age of their newest part. An upload that
        a living process of this machine is at work on is never among the former; of the latter the age is all that is
        known, so choose it well above the longest pause a writer makes. What could not be swept is `kept`.
        `now`, aware: what ages are counted from, if not the time of this machine.
        Raises NotWritten when the journal cannot be read.
        """
        from datetime import UTC, datetime  # noqa: PLC0415 - housekeeping

        from storage_guard.uploads import sweeping  # noqa: PLC0415
        from storage_guard.uploads.journal import JournalError  # noqa: PLC0415

        try:
            folder = self._policy.journal_folder()
        except JournalError as exc:
            raise NotWritten(f"nothing was swept in {self.url}: {exc}") from exc
        return sweeping.sweep(self._access, folder, uploads, older_than_s, now or datetime.now(UTC))
