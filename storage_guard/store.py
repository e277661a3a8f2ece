"""`Store`: what users hold. All policy is here and behind it; drivers have none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import IO, TYPE_CHECKING

from storage_guard import names, outcome, reading, removal, ticket
from storage_guard.access import DEADLINE_S, Access
from storage_guard.clock import Clock, SystemClock
from storage_guard.creation import Creation
from storage_guard.driver import Driver
from storage_guard.errors import NotWritten, OutcomeUnknown
from storage_guard.model import (
    NO_OPTIONS,
    Capabilities,
    Guarantee,
    ObjectInfo,
    ObjectOptions,
    Prefix,
    Receipt,
)
from storage_guard.outcome import IfExists
from storage_guard.plan import DEFAULT_MEMORY_BYTES, DEFAULT_MULTIPART_FROM_BYTES
from storage_guard.policy import Enforcement, Policy, Wanted
from storage_guard.resolve import Settling
from storage_guard.retry import RetryPolicy
from storage_guard.sending import Bounds, Progress
from storage_guard.source import open_source

if TYPE_CHECKING:
    from typing import Self

    from typing_extensions import Buffer


class Store:
    """Create-only writes, and what belongs to them, over one driver.

    Thread-safe. Keys are relative to `prefix`. Time, chance and the waits between attempts are arguments.

    - `part_bytes`: how much of a large object goes into one request. None: 4 to 8 MiB, by its size. Always more where
      the store's limits ask for it.
    - `multipart_from_bytes`: from this size on an object goes up in parts (16 MiB).
    - `in_flight`: how many parts of an object are sent at a time, at most. None: as many as the store was seen to
      profit from, 16 at first and 64 at most. 1: one after the other, and no threads.
    - `memory_bytes`: what the parts of one object that are on their way may hold in memory together (128 MiB). A file
      costs 256 KiB for each, a buffer nothing, a stream the whole part: at most
      `min(in_flight * part_bytes, memory_bytes)`, and one block that is being read. A stream's parts grow behind every
      tenth of the parts that the store allows, to a quarter of `memory_bytes`: that is how far it can reach.
    - `enforcement`: "probe" refuses a store whose guarantee nobody vouches for; "trust" believes it, warns, and says
      "trusted" on every receipt. A store that is known not to keep the condition is refused either way.
    - `defaults`: options for every `create` that is given none.
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
        enforcement: Enforcement = "probe",
        defaults: ObjectOptions | None = None,
        clock: Clock | None = None,
    ) -> None:
        for name, value in (
            ("part_bytes", part_bytes),
            ("multipart_from_bytes", multipart_from_bytes),
            ("in_flight", in_flight),
            ("memory_bytes", memory_bytes),
        ):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if enforcement not in ("probe", "trust"):
            raise ValueError(f'enforcement must be "probe" or "trust", got {enforcement!r}')
        prefix = prefix.strip("/")
        if prefix:
            names.check_key(prefix)
        self._access = Access(
            driver=driver,
            prefix=f"{prefix}/" if prefix else "",
            clock=clock or SystemClock(),
            retry=retry or RetryPolicy(),
            url=driver.location.url(prefix),
        )
        self._policy = Policy(
            access=self._access,
            part_bytes=part_bytes,
            multipart_from_bytes=multipart_from_bytes,
            bounds=Bounds(in_flight, memory_bytes),
            enforcement=enforcement,
            defaults=defaults or NO_OPTIONS,
        )

    @property
    def url(self) -> str:
        """Where the keys of this store live."""
        return self._access.url

    @property
    def driver(self) -> Driver:
        """The backend underneath: for what no Store offers. Its calls make no promise."""
        return self._access.driver

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back connections and descriptors."""
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
        progress: Progress | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> Receipt:
        """Write an object if its key is free, whole or not at all, and tell the truth about what happened.

        `data`: a buffer, a Path, a binary file (from its position to its end) or an iterable of buffers, tried in
        this order. After a failure a seekable file stands where it stood; what was taken from an iterator is gone.
        `if_exists`: "error" raises ObjectExists; "same" accepts an object with equal bytes; "skip" accepts any.
        `write_id`: the caller's own name for this write, `[A-Za-z0-9_-]{1,64}`. The same id with the same bytes is
        the same write, from any process; with other bytes it is ObjectExists.
        `progress(done_bytes, total_bytes or None)` is called as bytes are read, never backwards.
        `deadline_s`: give up when the *store* has made no progress for so long. A slow source does not count.

        Raises ObjectExists; OutcomeUnknown (with a ticket for `settle`); GuaranteeMissing, before the first byte, for
        a store that would not keep the promise; GuaranteeBroken; InvalidKey and Unsupported (metadata, options) for
        what the store cannot hold; AccessDenied, ChecksumMismatch, SourceChanged, StoreUnavailable or NotWritten
        itself, all meaning that this call has written nothing; TypeError for data that is not bytes. What a caller's
        own iterable, file or `progress` raises passes through with a note. Any exception that interrupts a commit,
        KeyboardInterrupt included, carries a ticket: `ticket_of(exception)`.
        """
        policy = self._policy
        wanted = policy.wanted(key, if_exists=if_exists, write_id=write_id, options=options)
        patience = self._access.patience(deadline_s)
        can = policy.known()
        policy.check_named(wanted, can)
        policy.vouch(can.put, can, key)
        source = open_source(data, key)
        done = False
        try:
            payload, multipart = policy.payload(source, key, can)
            guarantee = policy.vouch(can.finish if multipart else can.put, can, key)
            write = outcome.start(
                multipart=multipart,
                if_exists=if_exists,
                named=wanted.named,
                rewindable=payload.rewindable or not multipart,
            )
            receipt = Creation(
                policy.target(wanted, can, guarantee),
                patience,
                payload,
                wanted.meta,
                multipart=multipart,
                bounds=policy.bounds,
                progress=progress,
            ).create(write)
            done = True
        finally:
            source.close(done=done)
        return receipt

    def settle(self, settle_ticket: str, *, deadline_s: float = 30.0) -> Receipt:
        """Ask again about a write whose outcome was unknown; the ticket may come from another process.

        Returns the receipt if the object is there and ours. Raises ObjectExists (another's is there), NotWritten
        (it is not there and will not appear), or OutcomeUnknown again; ValueError for what is no ticket of this
        store. Of an upload whose finish was lost, this calls the upload back first.
        """
        asked = ticket.parse(settle_ticket)
        if asked.store_url != self.url:
            raise ValueError(f"this ticket is about {asked.store_url}, and this store is {self.url}")
        full_key = self._access.full(asked.key)
        wanted = Wanted(asked.key, full_key, "error", asked.write_id, asked.named, NO_OPTIONS)
        try:
            can = self._policy.known()
        except NotWritten as exc:
            # That the store cannot be examined says nothing about a write that was sent before.
            raise OutcomeUnknown(
                f"{asked.key!r} in {self.url}: our object may be there, or may yet appear: {exc}",
                key=asked.key,
                ticket=settle_ticket,
                write_id=asked.write_id,
            ) from exc
        vouch = can.finish if asked.upload_id else can.put
        guarantee: Guarantee = "documented" if vouch == "documented" else "trusted"  # nothing is written: no refusal
        target = self._policy.target(wanted, can, guarantee)
        return Settling(target, self._access.patience(deadline_s), asked).settle()

    def remove(self, key: str, *, etag: str | None = None) -> None:
        """Remove the object that is at the key now, or, with an etag, that one only.

        A removal frees the key: a create on it that is still under way elsewhere may then succeed.
        Raises ObjectNotFound, ObjectChanged (another object is there), AccessDenied, StoreUnavailable, and
        OutcomeUnknown, without a ticket, when answers were lost until there was no more time.
        """
        removal.remove(self._access, key, etag)

    # Reading

    def head(self, key: str) -> ObjectInfo | None:
        """The object at the key, or None. Raises InvalidKey, AccessDenied, StoreUnavailable."""
        full_key = self._access.full(key)
        info = self._access.patiently(lambda: self.driver.head(full_key), f"{key!r} could not be looked up", key=key)
        return None if info is None else self._access.relative(info)

    def read(self, key: str, start: int = 0, stop: int | None = None, *, etag: str | None = None) -> bytes:
        """The bytes from `start` up to, not including, `stop` (None: the end). `etag` pins the object.

        All are of one object. Up to 4 MiB they cost one request; more are fetched in pieces of 4 MiB, side by side,
        and if the object is replaced meanwhile, that is ObjectChanged. A larger object costs a look at its size too,
        and without an etag its first piece is fetched twice. Memory: what is returned, and
        `min(in_flight * 4 MiB, memory_bytes)`.

        Raises ObjectNotFound, ObjectChanged, InvalidKey, AccessDenied, StoreUnavailable; ValueError for a range that
        is none.
        """
        return reading.read(self._access, self._policy.bounds, key, start, stop, etag=etag)

    def stream(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The same bytes in pieces of 4 MiB, in order, all of one object: if it is replaced meanwhile, ObjectChanged.

        Pieces are fetched side by side, ahead of the caller, who may take as long as it likes. Memory: the piece that
        the caller has, and `min(in_flight * 4 MiB, memory_bytes)`. Close the iterator, or drop it, to stop early:
        what is under way then is waited for.

        Raises as `read` does, when called or between pieces, and as soon as a piece is known to fail.
        """
        return reading.stream(self._access, self._policy.bounds, key, start, stop)

    def scan(self, prefix: str = "", *, delimiter: str = "", start_after: str = "") -> Iterator[ObjectInfo | Prefix]:
        """Objects whose key begins with `prefix`, in the order of their UTF-8 bytes, after `start_after`.

        With a delimiter, keys that have it behind the prefix are rolled up into one `Prefix` each. What the library
        keeps for itself (`.storage-guard/`) is not shown. A listing may be stale; no write is judged by it.
        Raises AccessDenied, StoreUnavailable.
        """
        return reading.scan(self._access, prefix, delimiter, start_after)

    def check(self) -> Capabilities:
        """What the store can do. Raises GuaranteeMissing if it would not keep the promise, AccessDenied,
        StoreUnavailable."""
        can = self._policy.known()
        self._policy.vouch(can.put, can, None)
        return can
