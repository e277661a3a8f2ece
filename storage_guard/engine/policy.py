"""What a Store was told to do, and what its store is known to do: decided here, once, for every kind of write."""

from __future__ import annotations

import os
import threading
import warnings
from dataclasses import dataclass, field
from typing import Any, Literal

from storage_guard import caller, names
from storage_guard.access import Access
from storage_guard.engine.creation import note_failed_data
from storage_guard.engine.payload import KnownData, Payload, SmallStream, Stream
from storage_guard.engine.resolve import Target
from storage_guard.engine.sending import Bounds
from storage_guard.engine.source import Source
from storage_guard.errors import GuaranteeMissing, GuaranteeWarning, NotWritten, Unsupported
from storage_guard.model import NO_OPTIONS, Capabilities, Guarantee, ObjectOptions, Vouch, WriteMeta
from storage_guard.outcome import IfExists
from storage_guard.plan import Plan, StreamPlan, TooLarge, plan_known, plan_stream
from storage_guard.uploads.diary import Diary

Enforcement = Literal["probe", "trust"]


@dataclass(frozen=True)
class Wanted:
    """What a caller asked of one write, checked."""

    key: str
    full_key: str
    if_exists: IfExists
    write_id: str
    named: bool
    options: ObjectOptions

    @property
    def meta(self) -> WriteMeta:
        return WriteMeta(self.write_id, self.options)


@dataclass
class Policy:
    """The settings of a Store; see there."""

    access: Access
    part_bytes: int | None
    multipart_from_bytes: int
    bounds: Bounds
    enforcement: Enforcement
    defaults: ObjectOptions
    journal: str | None = None  # its folder, None: where this user's is
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _capabilities: Capabilities | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return self.access.url

    def known(self) -> Capabilities:
        """What the store can do, asked once."""
        with self._lock:
            if self._capabilities is None:
                self._capabilities = self.access.patiently(
                    self.access.driver.capabilities, "the store could not be examined, and nothing was written"
                )
            return self._capabilities

    def wanted(self, key: str, *, if_exists: IfExists, write_id: str | None, options: ObjectOptions | None) -> Wanted:
        """What every kind of write is asked. Raises InvalidKey, Unsupported (options), ValueError."""
        full_key = self.access.full(key)
        chosen = self.check(if_exists=if_exists, options=options, key=key)
        if write_id is not None:
            names.check_write_id(write_id)
        named = write_id is not None
        return Wanted(key, full_key, if_exists, write_id or os.urandom(16).hex(), named, chosen)

    def check(self, *, if_exists: IfExists, options: ObjectOptions | None, key: str | None = None) -> ObjectOptions:
        """The options that hold, of one write or of many. Raises ValueError, Unsupported (options)."""
        if if_exists not in ("error", "same", "skip"):
            raise ValueError(f'if_exists must be "error", "same" or "skip", got {if_exists!r}')
        chosen = options or self.defaults
        if chosen is not NO_OPTIONS:
            names.check_options(chosen, key)
        return chosen

    def check_named(self, wanted: Wanted, can: Capabilities) -> None:
        """Raises Unsupported where objects cannot carry a caller's write_id."""
        if wanted.named and not can.write_ids:
            raise Unsupported(
                f"{wanted.key!r} was not written: objects in {self.url} cannot carry a write_id", key=wanted.key
            )

    def vouch(self, vouch: Vouch, can: Capabilities, key: str | None) -> Guarantee:
        """Who vouches for the condition. Raises GuaranteeMissing where it would not be kept."""
        if vouch == "documented":
            return "documented"
        if vouch == "unproven" and self.enforcement == "trust":
            warnings.warn(
                f"{self.url}: nobody vouches for create-only writes here, and enforcement='trust' believes in them",
                GuaranteeWarning,
                stacklevel=caller.level(),
            )
            return "trusted"
        what = "the store" if key is None else repr(key)
        raise GuaranteeMissing(
            f"{what} was not written to: {self.url} is not known to keep the create-only promise"
            f"{': ' + can.reason if can.reason else ''}",
            key=key,
        )

    def journal_folder(self) -> str:
        """Raises JournalError where the user has none."""
        from storage_guard.uploads.journal import default_folder  # noqa: PLC0415 - only uploads need it

        return self.journal or str(default_folder())

    def diary(self, wanted: Wanted, can: Capabilities) -> Diary:
        """For an upload that cannot be gone on with."""
        if not can.uploads_stay:
            return Diary()
        from storage_guard.uploads.journaling import sweep_diary  # noqa: PLC0415 - only uploads need it

        return sweep_diary(
            self.journal_folder,
            store_url=self.access.container_url,
            key=wanted.full_key,
            write_id=wanted.write_id,
            named=wanted.named,
        )

    def plan(self, size_bytes: int, key: str, can: Capabilities) -> Plan:
        """How to cut what has a known size. Raises NotWritten."""
        limits = self.access.driver.limits
        from_bytes = limits.max_put_bytes + 1 if can.finish == "missing" else self.multipart_from_bytes
        try:
            return plan_known(size_bytes, limits, part_bytes=self.part_bytes, multipart_from_bytes=from_bytes)
        except TooLarge as exc:
            raise NotWritten(f"{key!r} was not written to {self.url}: {exc}", key=key) from exc

    def plan_stream(self, key: str) -> StreamPlan:
        """How to cut a stream. Raises NotWritten."""
        try:
            return plan_stream(
                self.access.driver.limits, part_bytes=self.part_bytes, memory_bytes=self.bounds.memory_bytes
            )
        except TooLarge as exc:
            raise NotWritten(f"{key!r} was not written to {self.url}: {exc}", key=key) from exc

    def payload(self, source: Source, key: str, can: Capabilities) -> tuple[Payload, bool]:
        """The caller's data, cut; and whether it is sent in parts. Of a stream the first block is read, which tells
        whether it is a small one."""
        if source.size_bytes is not None:
            plan = self.plan(source.size_bytes, key, can)
            return KnownData(source, source.size_bytes, plan.part_bytes), plan.multipart
        limits = self.access.driver.limits
        stream_plan = self.plan_stream(key)
        first_bytes = stream_plan.part_bytes(1)
        with note_failed_data(key, self.url):
            first = source.take(0, first_bytes)
        if first.size_bytes < first_bytes and first.size_bytes <= limits.max_put_bytes:
            return SmallStream(source, first), False
        return Stream(source, stream_plan, limits.max_parts, first, self.too_long(key, stream_plan)), True

    def too_long(self, key: str, plan: StreamPlan) -> str:
        """What is said of a stream that does not end in time."""
        limits = self.access.driver.limits
        return (
            f"{key!r} was not written to {self.url}: the stream is longer than {plan.reach_bytes(limits)} bytes, which "
            f"is what {limits.max_parts} parts reach with memory_bytes={self.bounds.memory_bytes}; give the Store more "
            "memory_bytes or a larger part_bytes, or write a file, whose size is known"
        )

    def target(self, wanted: Wanted, can: Capabilities, guarantee: Guarantee) -> Target:
        return Target(
            driver=self.access.driver,
            clock=self.access.clock,
            store_url=self.url,
            key=wanted.key,
            full_key=wanted.full_key,
            write_id=wanted.write_id,
            named=wanted.named,
            write_ids=can.write_ids,
            guarantee=guarantee,
        )
