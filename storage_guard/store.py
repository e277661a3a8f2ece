"""`Store`: what users hold. All policy is here and behind it; drivers have none."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Literal

from storage_guard import names, outcome, reading, removal, ticket
from storage_guard.access import DEADLINE_S, Access
from storage_guard.body import Body, Source, open_source
from storage_guard.clock import Clock, SystemClock
from storage_guard.creation import Creation, Progress, note_failed_data
from storage_guard.driver import Driver
from storage_guard.errors import GuaranteeMissing, GuaranteeWarning, NotWritten, OutcomeUnknown, Unsupported
from storage_guard.model import (
    NO_OPTIONS,
    Capabilities,
    Guarantee,
    ObjectInfo,
    ObjectOptions,
    Prefix,
    Receipt,
    Vouch,
    WriteMeta,
)
from storage_guard.outcome import IfExists
from storage_guard.plan import (
    DEFAULT_MULTIPART_FROM_BYTES,
    DEFAULT_PART_BYTES,
    ONE_REQUEST,
    Plan,
    TooLarge,
    plan_known,
    stream_part_bytes,
)
from storage_guard.resolve import Settling, Target
from storage_guard.retry import RetryPolicy

if TYPE_CHECKING:
    from typing import Self

    from typing_extensions import Buffer

Enforcement = Literal["probe", "trust"]


class Store:
    """Create-only writes, and what belongs to them, over one driver.

    Thread-safe. Keys are relative to `prefix`. Time, chance and the waits between attempts are arguments.

    - `part_bytes`: how much of a large object goes into one request, 8 MiB unless the store's limits ask for another
      size. A stream of unknown length holds one part in memory and reaches `part_bytes * max_parts`.
    - `multipart_from_bytes`: from this size on an object goes up in parts (16 MiB).
    - `enforcement`: "probe" refuses a store whose guarantee nobody vouches for; "trust" believes it, warns, and says
      "trusted" on every receipt. A store that is known not to keep the condition is refused either way.
    - `defaults`: options for every `create` that is given none.
    """

    def __init__(
        self,
        driver: Driver,
        *,
        prefix: str = "",
        part_bytes: int = DEFAULT_PART_BYTES,
        multipart_from_bytes: int = DEFAULT_MULTIPART_FROM_BYTES,
        retry: RetryPolicy | None = None,
        enforcement: Enforcement = "probe",
        defaults: ObjectOptions | None = None,
        clock: Clock | None = None,
    ) -> None:
        if part_bytes < 1:
            raise ValueError(f"part_bytes must be at least 1, got {part_bytes}")
        if multipart_from_bytes < 1:
            raise ValueError(f"multipart_from_bytes must be at least 1, got {multipart_from_bytes}")
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
        self._part_bytes = part_bytes
        self._multipart_from_bytes = multipart_from_bytes
        self._enforcement: Enforcement = enforcement
        self._defaults = defaults or NO_OPTIONS
        self._lock = threading.Lock()
        self._capabilities: Capabilities | None = None

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

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

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
        full_key = self._access.full(key)
        if if_exists not in ("error", "same", "skip"):
            raise ValueError(f'if_exists must be "error", "same" or "skip", got {if_exists!r}')
        if write_id is not None:
            names.check_write_id(write_id)
        chosen = options or self._defaults
        if chosen is not NO_OPTIONS:
            names.check_options(chosen, key)
        patience = self._access.patience(deadline_s)
        can = self._known()
        if write_id is not None and not can.write_ids:
            raise Unsupported(f"{key!r} was not written: objects in {self.url} cannot carry a write_id", key=key)
        self._vouch(can.put, can, key)
        source = open_source(data, key)
        done = False
        try:
            plan, first = self._plan(source, key, can)
            guarantee = self._vouch(can.finish if plan.multipart else can.put, can, key)
            target = self._target(
                key, full_key, write_id or os.urandom(16).hex(), can, guarantee, named=write_id is not None
            )
            meta = WriteMeta(target.write_id, chosen)
            write = outcome.start(
                multipart=plan.multipart,
                if_exists=if_exists,
                named=write_id is not None,
                rewindable=source.rewindable or not plan.multipart,
            )
            receipt = Creation(target, patience, source, plan, meta, first=first, progress=progress).create(write)
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
        try:
            can = self._known()
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
        target = self._target(asked.key, full_key, asked.write_id, can, guarantee, named=asked.named)
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

        Raises ObjectNotFound, ObjectChanged, InvalidKey, AccessDenied, StoreUnavailable.
        """
        return reading.read(self._access, key, start, stop, etag)

    def stream(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The same bytes in pieces of 4 MiB, all of one object: if it is replaced meanwhile, ObjectChanged.

        Raises as `read` does, when called or between pieces.
        """
        return reading.stream(self._access, key, start, stop)

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
        can = self._known()
        self._vouch(can.put, can, None)
        return can

    # Behind `create`

    def _known(self) -> Capabilities:
        with self._lock:
            if self._capabilities is None:
                self._capabilities = self._access.patiently(
                    self.driver.capabilities, "the store could not be examined, and nothing was written"
                )
            return self._capabilities

    def _vouch(self, vouch: Vouch, can: Capabilities, key: str | None) -> Guarantee:
        if vouch == "documented":
            return "documented"
        if vouch == "unproven" and self._enforcement == "trust":
            warnings.warn(
                f"{self.url}: nobody vouches for create-only writes here, and enforcement='trust' believes in them",
                GuaranteeWarning,
                stacklevel=3,
            )
            return "trusted"
        what = "the store" if key is None else repr(key)
        raise GuaranteeMissing(
            f"{what} was not written to: {self.url} is not known to keep the create-only promise"
            f"{': ' + can.reason if can.reason else ''}",
            key=key,
        )

    def _plan(self, source: Source, key: str, can: Capabilities) -> tuple[Plan, Body | None]:
        """How to cut the data; of a stream, also its first block, which tells whether it is a small one."""
        limits = self.driver.limits
        from_bytes = limits.max_put_bytes + 1 if can.finish == "missing" else self._multipart_from_bytes
        if source.size_bytes is not None:
            try:
                plan = plan_known(
                    source.size_bytes, limits, part_bytes=self._part_bytes, multipart_from_bytes=from_bytes
                )
            except TooLarge as exc:
                raise NotWritten(f"{key!r} was not written to {self.url}: {exc}", key=key) from exc
            return plan, None
        part_bytes = stream_part_bytes(limits, part_bytes=self._part_bytes)
        with note_failed_data(key, self.url):
            first = source.take(0, part_bytes)
        small = first.size_bytes < part_bytes and first.size_bytes <= limits.max_put_bytes
        return (ONE_REQUEST if small else Plan(part_bytes)), first

    def _target(
        self, key: str, full_key: str, write_id: str, can: Capabilities, guarantee: Guarantee, *, named: bool
    ) -> Target:
        return Target(
            driver=self.driver,
            clock=self._access.clock,
            store_url=self.url,
            key=key,
            full_key=full_key,
            write_id=write_id,
            named=named,
            write_ids=can.write_ids,
            guarantee=guarantee,
        )
