"""One object made from another: `Store.copy` and `Store.rename`.

A copy is a create whose bytes come from a store: the same guard, the same verdicts, a write id of its own. Three ways,
and the first that is open is taken: the service copies all of it in one request, or in parts; or its bytes pass
through here. The source is looked at once, and pinned from then on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from storage_guard import names, outcome, signals
from storage_guard.access import Access
from storage_guard.checksum import ALGORITHMS, Crc64, combine, crc_of
from storage_guard.driver import Driver
from storage_guard.engine import removal
from storage_guard.engine.creation import Creation
from storage_guard.engine.payload import CopyPayload, Payload
from storage_guard.engine.policy import Operation, Policy, Wanted
from storage_guard.engine.remote import Original, RemoteData, look
from storage_guard.engine.sending import Progress
from storage_guard.errors import (
    NotWritten,
    ObjectChanged,
    ObjectNotFound,
    OutcomeUnknown,
    RenameIncomplete,
    StorageGuardError,
    Unsupported,
)
from storage_guard.model import NO_OPTIONS, Capabilities, Checksum, Limits, ObjectOptions, Part, Receipt
from storage_guard.outcome import Answer
from storage_guard.plan import COPIED_AT_ONCE, ONE_REQUEST, Plan, TooLarge, copied_part_bytes, plan_known
from storage_guard.schemes import open_driver

# Of the 5 GiB that S3 and OSS take in one put this is 64 MiB: four times what goes up in one, as a copy takes no line.
# A disk takes any size in one put, and copies whole.
_WHOLE_SHARE = 80


# Where the source is


@dataclass(frozen=True)
class Origin:
    """The source of a copy. As a context manager it closes the driver that was opened for this copy."""

    access: Access
    key: str
    opened: Driver | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.opened is not None:
            with contextlib.suppress(Exception):  # what became of the copy is the news
                self.opened.close()


def find(source: str | tuple[Access, str], here: Access) -> Origin:
    """Where a source is: a key `here`, a key elsewhere, or a URL whose last segment is the key (no key of ours holds
    "://"). Nothing is looked up yet.

    Raises InvalidKey; ValueError for a URL that names no object, or of no installed backend.
    """
    if isinstance(source, str) and "://" in source:
        return _open(source, here)
    access, key = (here, source) if isinstance(source, str) else source
    access.full(key)
    return Origin(access, key)


def _open(url: str, ours: Access) -> Origin:
    """The source at a URL, in the patience of the store that wants it."""
    store_url, key = split(url)
    driver, prefix = open_driver(store_url)
    try:
        prefix = prefix.strip("/")
        if prefix:
            names.check_key(prefix)
        access = replace(ours, driver=driver, prefix=f"{prefix}/" if prefix else "", url=driver.location.url(prefix))
        access.full(key)
    except BaseException:
        driver.close()
        raise
    return Origin(access, key, driver)


def split(url: str) -> tuple[str, str]:
    """An object's URL as the URL of a store, which ends with a slash, and the key in it: the last segment.

    Everything before belongs to the store, be it a bucket, a prefix or a folder: only its backend knows which.
    Raises ValueError for a URL without a key, with a query or a fragment, or with an empty segment.
    """
    scheme, _, rest = url.partition("://")
    container, slash, key = rest.rpartition("/")
    if not slash or not key:
        raise ValueError(f"{url!r} names no object: its last segment is the key")
    if "//" in rest:
        raise ValueError(f"{url!r} has an empty segment (//), and no key of ours does")
    if "?" in rest or "#" in rest:
        raise ValueError(f"{url!r} has a query or a fragment: write ? as %3F and # as %23")
    return f"{scheme}://{container}/", unquote(key, errors="strict")


# Copying


def copy(
    policy: Policy,
    where: Origin,
    wanted: Wanted,
    options: ObjectOptions | None,
    *,
    progress: Progress | None,
    deadline_s: float,
) -> Receipt:
    """Create `wanted` from the object at `where`. `options` None: those of the source.

    Raises ObjectNotFound (there is no source), SourceChanged, and what `Store.create` raises. What `progress` raises
    behind the end passes through with a note: the copy is there.
    """
    with where:
        original = _look(policy, where, wanted, deadline_s)
        return _Copying(policy, original, wanted, options=options, progress=progress, deadline_s=deadline_s).copy()


def rename(policy: Policy, where: Origin, wanted: Wanted, *, deadline_s: float) -> Receipt:
    """Copy, then remove what was copied, if it still is at its key.

    Raises RenameIncomplete, and what `copy` raises: then nothing was removed. Whatever else interrupts the removal
    (Ctrl-C) carries a note that says so.
    """
    with where:
        original = _look(policy, where, wanted, deadline_s)
        receipt = _Copying(policy, original, wanted, options=None, progress=None, deadline_s=deadline_s).copy()
        try:
            removal.remove(where.access, where.key, original.info.etag, deadline_s=deadline_s)
        except ObjectNotFound:
            pass  # somebody else was first
        except Exception as exc:
            error = RenameIncomplete(
                f"{_there(policy, receipt)}, {_left(original, exc)}", key=wanted.key, receipt=receipt
            )
            _note(error, *receipt.notes)
            raise error from exc
        except BaseException as exc:
            _note(exc, f"{_there(policy, receipt)}, {_left(original, exc)}", *receipt.notes)
            raise
        return receipt


def _look(policy: Policy, where: Origin, wanted: Wanted, deadline_s: float) -> Original:
    """The source, if the copy may be made at all: where nothing is guarded nobody is asked for it."""
    can = policy.known(policy.access.patience(deadline_s))
    policy.check_named(wanted, can)
    if can.put == can.finish == can.copy == "missing":
        policy.vouch("put", can, wanted)
    failed = f"{wanted.key!r} was not written to {policy.url}"
    return look(where.access, where.key, failed, deadline_s)


def _note(exc: BaseException, *notes: str) -> None:
    for note in notes:
        exc.add_note(note)


def _there(policy: Policy, receipt: Receipt) -> str:
    return f"{receipt.key!r} in {policy.url} is there (write {receipt.write_id}, etag {receipt.etag})"


def _left(original: Original, exc: BaseException) -> str:
    """What is at the source behind a removal that failed, and what to do."""
    again = f"remove({original.key!r}, etag={original.info.etag!r}) ends the rename"
    if isinstance(exc, ObjectChanged):
        return f"and {original.where} is another object by now, which was left alone: {exc}"
    if isinstance(exc, StorageGuardError) and not isinstance(exc, OutcomeUnknown):
        return f"and so is {original.where}; {again}: {exc}"
    return f"and {original.where} may be, too; {again}: {str(exc) or type(exc).__name__}"


class _Checked(Creation):
    """Compares the parts with the source before they become an object."""

    _original: Original | None = None
    _read: Mapping[int, Checksum] | None = None

    def compare_with(self, original: Original, read: Mapping[int, Checksum] | None) -> None:
        """`read`: the checksums of the parts that passed through here, by number, for a store that says none."""
        self._original, self._read = original, read

    def send_parts(self) -> Answer:
        answer = super().send_parts()
        original = self._original
        if answer is Answer.DONE and original is not None and any(map(self._differs, ALGORITHMS)):
            self.trouble = original.damaged()
            return Answer.REFUSED
        return answer

    def sent_digest(self, algorithm: Crc64 = "crc64xz") -> tuple[int, int] | None:
        original = self._original
        crc = None if original is None else original.crc_of(algorithm)
        if original is None or crc is None:
            return super().sent_digest(algorithm)
        return original.info.size_bytes, crc

    def at_hand(self) -> Crc64:
        return (None if self._original is None else self._original.counted_in) or super().at_hand()

    def _differs(self, algorithm: Crc64) -> bool:
        """Whether the parts are known not to make what the source's store says."""
        crc = None if self._original is None else self._original.crc_of(algorithm)
        if crc is None:
            return False
        parts = sorted(self.sending().parts.items())
        whole = combine(((self._checksum(part, algorithm), part.slot.size_bytes) for _, part in parts), algorithm)
        return whole is not None and int(whole.value, 16) != crc

    def _checksum(self, part: Part, algorithm: Crc64) -> Checksum | None:
        """What the store says of what it has, which is worth more than what was read here."""
        if crc_of(part.checksum, algorithm) is not None:
            return part.checksum
        return self._read.get(part.slot.number) if self._read is not None else None


class _Told:
    """A caller's progress over all the ways that are tried: never backwards."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._told_bytes = -1

    def __call__(self, done_bytes: int, total_bytes: int | None) -> None:
        if done_bytes > self._told_bytes:
            self._told_bytes = done_bytes
            self._progress(done_bytes, total_bytes)


class _Declined(Exception):
    """The service does not copy this by itself. Comes out of a write only when nothing was or will be written."""


class _Copying:
    """One copy, by the first way that is open."""

    def __init__(
        self,
        policy: Policy,
        original: Original,
        wanted: Wanted,
        *,
        options: ObjectOptions | None,
        progress: Progress | None,
        deadline_s: float,
    ) -> None:
        self._policy = policy
        self._original = original
        self._size_bytes = original.info.size_bytes
        self._inherited = options is None
        if options is None:
            found = original.info.options
            wanted = replace(wanted, options=NO_OPTIONS if found == NO_OPTIONS else found)
        self._wanted = wanted
        self._told = None if progress is None else _Told(progress)
        self._deadline_s = deadline_s
        self._began_s = policy.access.clock.now_s()
        self._notes: list[str] = []

    def copy(self) -> Receipt:
        policy, wanted = self._policy, self._wanted
        can = policy.known()
        try:
            if self._inherited and wanted.options is not NO_OPTIONS:
                names.check_options(wanted.options, wanted.key)  # another program may have written them
            receipt = self._server_side(can) or self._through_here(can)
        except Unsupported as exc:
            if self._inherited and wanted.options is not NO_OPTIONS:
                exc.add_note(f"these options are those of {self._original.where}; options= says others")
            raise
        self._tell_all(receipt)
        return receipt

    def _server_side(self, can: Capabilities) -> Receipt | None:
        """None where the service does not copy from there, and nothing was written."""
        original = self._original
        if not self._policy.access.driver.location.same_service(original.access.driver.location):
            return None
        plan = self._plan(can)
        if plan is None:
            return None
        operation: Operation = "finish" if plan.multipart else "copy"
        payload = CopyPayload(original.ref, self._size_bytes, plan.part_bytes, self._means, self._digest)
        try:
            return self._create(payload, plan, operation, can)
        except _Declined as declined:
            self._notes.append(f"the service would not copy by itself, and the bytes passed through here: {declined}")
            return None

    def _plan(self, can: Capabilities) -> Plan | None:
        """How the service is asked to copy, None if its copies are not guarded in any way. Raises NotWritten."""
        policy = self._policy
        limits = policy.access.driver.limits
        at_most_bytes = min(
            limits.max_put_bytes, max(policy.multipart_from_bytes, limits.max_put_bytes // _WHOLE_SHARE)
        )
        # What is not needed is not examined.
        if self._size_bytes <= at_most_bytes and policy.guards("copy", can):
            return ONE_REQUEST
        if self._size_bytes > 0 and policy.guards("finish", can):
            return self._plan_parts(limits)
        one_request = at_most_bytes < self._size_bytes <= limits.max_put_bytes and policy.guards("copy", can)
        return ONE_REQUEST if one_request else None

    def _plan_parts(self, limits: Limits) -> Plan:
        policy, wanted = self._policy, self._wanted
        part_bytes = policy.part_bytes or copied_part_bytes(self._size_bytes)
        try:
            return plan_known(self._size_bytes, limits, part_bytes=part_bytes, multipart_from_bytes=1)
        except TooLarge as exc:
            raise NotWritten(f"{wanted.key!r} was not written to {policy.url}: {exc}", key=wanted.key) from exc

    def _through_here(self, can: Capabilities) -> Receipt:
        plan = self._policy.plan(self._size_bytes, self._wanted.key, can)
        return self._create(None, plan, "finish" if plan.multipart else "put", can)

    def _create(self, payload: Payload | None, plan: Plan, operation: Operation, can: Capabilities) -> Receipt:
        """The guarded create of `payload`; None: of the bytes that pass through here."""
        policy, wanted = self._policy, self._wanted
        target = policy.target(wanted, can, policy.vouch(operation, can, wanted))
        patience = policy.access.patience(self._deadline_s)
        bounds = policy.bounds if payload is None else replace(policy.bounds, start=COPIED_AT_ONCE)
        if payload is None:
            payload = RemoteData(self._original, plan.part_bytes, policy.bounds.memory_bytes, patience)
        creation = _Checked(
            target,
            patience,
            payload,
            wanted.meta,
            multipart=plan.multipart,
            bounds=bounds,
            diary=policy.diary(wanted, can) if plan.multipart else None,
            progress=self._told,
        )
        creation.compare_with(self._original, payload.checksums if isinstance(payload, RemoteData) else None)
        creation.began_s = self._began_s
        creation.notes = self._notes  # the upload that could not be aborted is told, whoever left it
        return creation.create(
            outcome.start(multipart=plan.multipart, if_exists=wanted.if_exists, named=wanted.named, rewindable=True)
        )

    def _means(self, signal: signals.Signal) -> Exception | None:
        """The trouble with the source, or with copying it there; None for what is about the write."""
        match signal:
            case signals.Unsupported():
                return _Declined(str(signal))
            case signals.Refused(why="access"):
                # Who may write here need not be allowed to read there, nor to copy at all.
                return _Declined(str(signal))
            case _:
                return self._original.about_source(signal)

    def _digest(self, algorithm: Crc64) -> tuple[int, int] | None:
        if self._original.crc_of(algorithm) is None and not self._wanted.compares:
            return None  # nobody compares
        return self._original.digest(algorithm)

    def _tell_all(self, receipt: Receipt) -> None:
        if self._told is None or receipt.outcome != "created":
            return
        try:
            self._told(self._size_bytes, self._size_bytes)
        except BaseException as exc:
            _note(exc, _there(self._policy, receipt), *receipt.notes)
            raise
