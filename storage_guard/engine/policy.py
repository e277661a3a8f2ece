"""What a Store was told to do, and what its store is known to do: decided here, once, for every kind of write."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from storage_guard import caller, names
from storage_guard.access import Access
from storage_guard.body import Body, JoinedBody
from storage_guard.engine.creation import note_failed_data
from storage_guard.engine.ids import new_write_id
from storage_guard.engine.payload import KnownData, Payload, SmallStream, Stream
from storage_guard.engine.resolve import Target
from storage_guard.engine.sending import Bounds
from storage_guard.engine.source import Source
from storage_guard.errors import GuaranteeMissing, GuaranteeWarning, NotWritten, Unsupported
from storage_guard.model import NO_OPTIONS, Capabilities, Guarantee, ObjectOptions, Vouch, WriteMeta
from storage_guard.outcome import IfExists
from storage_guard.plan import Plan, StreamPlan, TooLarge, plan_known, plan_stream
from storage_guard.retry import Patience
from storage_guard.uploads.diary import Diary

if TYPE_CHECKING:
    from storage_guard.guarantee.examining import Examiner

Enforcement = Literal["probe", "trust"]
Operation = Literal["put", "finish", "copy"]

_FOR: dict[Operation, str] = {
    "put": "",
    "finish": " for uploads in parts, which is what over {} bytes need",
    "copy": " for copies",
}


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

    @property
    def compares(self) -> bool:
        """Whether bytes that are at the key already may have to be compared with ours."""
        return self.named or self.if_exists == "same"


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
    verdict_age_s: float | None = None  # of another process, None: as long as an examination says
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _capabilities: Capabilities | None = field(default=None, repr=False)
    _examiner: Examiner | None = field(default=None, repr=False)  # where there is something to examine
    _warned: set[Operation] = field(default_factory=set[Operation], repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return self.access.url

    def known(self, patience: Patience | None = None) -> Capabilities:
        """What the store can do, asked once, within the patience of who needs it: who waited for another that asked in
        vain asks once more, and not as long again."""
        with self._lock:
            if self._capabilities is None:
                self._capabilities = self.access.patiently(
                    self.access.driver.capabilities,
                    "the store could not be examined, and nothing was written",
                    patience=patience,
                )
                can = self._capabilities
                if self.enforcement == "probe" and "unproven" in (can.put, can.finish, can.copy):
                    self._examiner = self._new_examiner()
            return self._capabilities

    def _new_examiner(self) -> Examiner:
        from storage_guard.guarantee import examining  # noqa: PLC0415 - most stores need none

        age_s = examining.AGE_S if self.verdict_age_s is None else self.verdict_age_s
        return examining.Examiner(self.access, age_s=age_s)

    def examine(self, patience: Patience) -> None:
        """Know what is needed for any write, before one begins. Raises StoreUnavailable and AccessDenied; that a store
        does not hold is told by `vouch`."""
        can = self.known(patience)
        if can.put != "missing":
            self._guarantee("put", can)

    def wanted(self, key: str, *, if_exists: IfExists, write_id: str | None, options: ObjectOptions | None) -> Wanted:
        """What every kind of write is asked. Raises InvalidKey, Unsupported (options), ValueError."""
        full_key = self.access.full(key)
        chosen = self.check(if_exists=if_exists, options=options, key=key)
        if write_id is not None:
            names.check_write_id(write_id)
        named = write_id is not None
        return Wanted(key, full_key, if_exists, write_id or new_write_id(), named, chosen)

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
        if wanted.named and not self._write_ids(can):
            raise Unsupported(
                f"{wanted.key!r} was not written: objects in {self.url} cannot carry a write_id", key=wanted.key
            )

    def vouch(self, operation: Operation, can: Capabilities, wanted: Wanted | None) -> Guarantee:
        """Who vouches for the condition of a write; None: of any. The store is examined if it must be.

        Raises GuaranteeMissing where it would not be kept, StoreUnavailable and AccessDenied where that cannot be
        asked, Unsupported as `check_named`.
        """
        named = wanted if wanted is not None and wanted.named else None
        if named is not None:
            self.check_named(named, can)
        guarantee, reason = self._guarantee(operation, can)
        if guarantee is None:
            key = None if wanted is None else wanted.key
            what = "the store" if key is None else repr(key)
            error = GuaranteeMissing(
                f"{what} was not written to: {self.url} is not known to keep the create-only promise"
                f"{_FOR[operation].format(self.access.driver.limits.max_put_bytes)}{': ' + reason if reason else ''}",
                key=key,
            )
            for note in self._notes():
                error.add_note(note)
            raise error
        if self._examiner is not None:
            for note in self._notes():
                warnings.warn(note, GuaranteeWarning, stacklevel=caller.level())
        if guarantee == "trusted" and operation not in self._warned:
            warnings.warn(
                f"{self.url}: nobody vouches for create-only writes here, and enforcement='trust' believes in them",
                GuaranteeWarning,
                stacklevel=caller.level(),
            )
            self._warned.add(operation)  # behind it: whoever makes errors of warnings has one each time
        if named is not None:
            self.check_named(named, can)  # an examination may have found that ids are lost
        return guarantee

    def guards(self, operation: Operation, can: Capabilities) -> bool:
        """Whether an operation keeps the condition, so that a plan may use it. The store is examined if it must be."""
        return self._guarantee(operation, can)[0] is not None

    def believed(self, operation: Operation, can: Capabilities) -> Guarantee:
        """Who vouched for a write that was sent before. Nothing is examined, and nothing refused."""
        vouch = getattr(can, operation)
        if vouch == "unproven" and self._examiner is not None:
            found = self._examiner.known(operation, can)
            vouch = "unproven" if found is None else found.verdict
        return vouch if vouch in ("documented", "raced", "probed") else "trusted"

    def found(self) -> Capabilities:
        """What the store can do, with what an examination of all that is unproven has found. Raises as `vouch` of a
        put does."""
        can = self.known()
        self.vouch("put", can, None)
        if self._examiner is None:
            return can
        reasons = [can.reason] if can.reason else []

        def vouch(operation: Operation) -> Vouch:
            guarantee, reason = self._guarantee(operation, can)
            if getattr(can, operation) == "unproven" and reason:
                reasons.append(reason)
            return "missing" if guarantee is None or guarantee == "trusted" else guarantee

        put, finish, copy = vouch("put"), vouch("finish"), vouch("copy")
        write_ids = self._write_ids(can)
        return replace(can, put=put, finish=finish, copy=copy, write_ids=write_ids, reason="; ".join(reasons))

    def _guarantee(self, operation: Operation, can: Capabilities) -> tuple[Guarantee | None, str]:
        """Who vouches, or None and why nobody does."""
        vouch: Vouch = getattr(can, operation)
        match vouch:
            case "documented" | "raced" | "probed":
                return vouch, ""
            case "missing":
                return None, can.reason
            case "unproven":
                pass
        if self._examiner is None:
            return "trusted", ""
        found = self._examiner.finding(operation, can)
        if found.verdict in ("raced", "probed"):
            return found.verdict, ""
        undecided = "it could not be told whether it does: " if found.verdict == "undecided" else ""
        return None, undecided + found.reason + (f" ({can.reason})" if can.reason else "")

    def _notes(self) -> list[str]:
        """What an examination could not clean up or keep, told once."""
        return [] if self._examiner is None else [f"{self.url} was examined: {n}" for n in self._examiner.take_notes()]

    def _write_ids(self, can: Capabilities) -> bool:
        return can.write_ids and not (self._examiner is not None and self._examiner.loses_ids)

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
            store_url=self.access.driver.location.place,
            key=wanted.full_key,
            write_id=wanted.write_id,
            named=wanted.named,
        )

    def plan(self, size_bytes: int, key: str, can: Capabilities) -> Plan:
        """How to cut what has a known size: in one request as long as possible where a finish is not guarded. Raises
        NotWritten, and StoreUnavailable where that cannot be asked."""
        limits = self.access.driver.limits
        from_bytes = self.multipart_from_bytes
        if from_bytes <= size_bytes <= limits.max_put_bytes and not self.guards("finish", can):
            from_bytes = limits.max_put_bytes + 1
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

    def payload(self, source: Source, wanted: Wanted, can: Capabilities) -> tuple[Payload, bool]:
        """The caller's data, cut; and whether it is sent in parts. Of a stream the first block is read, which tells
        whether it is a small one."""
        key = wanted.key
        if source.size_bytes is not None:
            plan = self.plan(source.size_bytes, key, can)
            return KnownData(source, source.size_bytes, plan.part_bytes), plan.multipart
        limits = self.access.driver.limits
        stream_plan = self.plan_stream(key)
        first_bytes = stream_plan.part_bytes(1)
        if wanted.compares:
            source.count_all()
        with note_failed_data(key, self.url):
            first = source.take(0, first_bytes)
        if first.size_bytes < first_bytes and first.size_bytes <= limits.max_put_bytes:
            return SmallStream(source, first), False
        if not self.guards("finish", can):
            return SmallStream(source, self._all_of(source, first, key, can)), False
        return Stream(source, stream_plan, limits.max_parts, first, self.too_long(key, stream_plan)), True

    @property
    def one_request_bytes(self) -> int:
        """What a stream may have where it must go in one request: that is held in memory."""
        return min(self.access.driver.limits.max_put_bytes, self.bounds.memory_bytes)

    def _all_of(self, source: Source, first: Body, key: str, can: Capabilities) -> Body:
        """A stream in one piece. Raises GuaranteeMissing."""
        with note_failed_data(key, self.url):
            rest = source.take(first.size_bytes, max(0, self.one_request_bytes - first.size_bytes) + 1)
        if first.size_bytes + rest.size_bytes > self.one_request_bytes:
            raise self.not_in_parts(key, can)
        return JoinedBody([first, rest])

    def not_in_parts(self, key: str, can: Capabilities) -> GuaranteeMissing:
        """A stream that is too long for one request, where a finish is not guarded."""
        _, reason = self._guarantee("finish", can)
        return GuaranteeMissing(
            f"{key!r} was not written to {self.url}: the stream is longer than {self.one_request_bytes} bytes, which "
            f"is what goes in one request with memory_bytes={self.bounds.memory_bytes}, and uploads in parts are not "
            f"known to keep the create-only promise here{': ' + reason if reason else ''}",
            key=key,
        )

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
            write_ids=self._write_ids(can),
            guarantee=guarantee,
        )
