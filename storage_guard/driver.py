"""What a backend supplies. All that the writer of a driver needs is imported from here; checksums from
`storage_guard.checksum`, where a service knows CRC-64.

A driver is thread-safe, and as plain as can be: **one state-changing request per call, no retries, one signal per
failure**. It makes no policy: `Store` retries, plans, resolves and reports. Keys reach it checked and whole (the
store's prefix included). What a body raises while it is read must pass through unchanged, with nothing published.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeGuard

from storage_guard.body import MOST_WINDOW_BYTES, WINDOW_BYTES, Body
from storage_guard.model import (
    NO_OPTIONS,
    Capabilities,
    Checksum,
    Encryption,
    Limits,
    Location,
    ObjectInfo,
    ObjectOptions,
    ObjectRef,
    Part,
    PartSlot,
    Prefix,
    Retention,
    Upload,
    Verifier,
    Vouch,
    WriteMeta,
)
from storage_guard.partlist import check_part_list
from storage_guard.replies import Outcome, Reply, outcome_of
from storage_guard.signals import (
    Absent,
    Broken,
    Busy,
    Changed,
    Conflict,
    Corrupt,
    Damaged,
    Definite,
    Exists,
    Gone,
    Lost,
    Refused,
    Signal,
    Unguarded,
    Unsupported,
    Unsynced,
    Why,
)

__all__ = [
    "NO_OPTIONS",
    "MOST_WINDOW_BYTES",
    "WINDOW_BYTES",
    "Absent",
    "Body",
    "Broken",
    "Busy",
    "Capabilities",
    "Changed",
    "Checksum",
    "Conflict",
    "Corrupt",
    "Damaged",
    "Definite",
    "Driver",
    "Encryption",
    "Exists",
    "Gone",
    "Limits",
    "Location",
    "Lost",
    "ObjectInfo",
    "ObjectOptions",
    "ObjectRef",
    "Outcome",
    "Part",
    "PartSlot",
    "Prefix",
    "Refused",
    "Reply",
    "Retention",
    "Signal",
    "Submitting",
    "Unguarded",
    "Unsupported",
    "Unsynced",
    "Upload",
    "Verifier",
    "Vouch",
    "Why",
    "WriteMeta",
    "check_part_list",
    "outcome_of",
    "submits",
]


class Driver(Protocol):
    """The members have no defaults: a driver that forgets `head` must not answer "absent".

    Any member may raise `Lost`, `Busy` and `Refused`; what else it raises is said beside it.
    """

    @property
    @abstractmethod
    def limits(self) -> Limits:
        """What the service accepts. Constant for the life of the driver."""
        ...

    @property
    @abstractmethod
    def location(self) -> Location:
        """Where the keys live."""
        ...

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What is known without writing an object. Asked once, before the first write."""
        ...

    @abstractmethod
    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        """Create the object in one request if its key is free.

        Readers see nothing or all of it. Raises `Exists`, `Conflict`, `Corrupt`, `Unsupported` (an option),
        `Unguarded`, `Unsynced`, `Broken`, `Damaged`.
        """
        ...

    @abstractmethod
    def begin(self, key: str, meta: WriteMeta, /) -> str:
        """Open a multipart upload that will carry `meta`, and return its id.

        A taken key may be refused here already (`Exists`) or only at `finish_new`. Raises `Unsupported` (an
        option), `Unguarded`.
        """
        ...

    @abstractmethod
    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        """Send one part. Sending a part again replaces it. Raises `Gone`, `Corrupt`."""
        ...

    @abstractmethod
    def copy_part(self, key: str, upload_id: str, slot: PartSlot, source: ObjectRef, start: int, /) -> Part:
        """Fill a part from `slot.size_bytes` bytes of `source`, from its byte `start` on.

        Raises `Gone`, `Absent` (the source), `Changed` (the source's pin does not fit), `Unsupported` (the
        service cannot copy from there).
        """
        ...

    @abstractmethod
    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        """Publish `parts`, in order, as one object if the key is free: the commit point.

        `parts` are those that `put_part` answered, contiguous from byte 0, and `meta` is what `begin` was given; a
        list that does not fit is `Refused` ("request"), also where the service itself would take it: see
        `check_part_list`.
        Refused with `Exists` the upload stays open. Raises `Exists`, `Gone`, `Conflict`, `Corrupt`, `Unguarded`,
        `Unsynced`, `Broken`, `Damaged`.
        """
        ...

    @abstractmethod
    def abort(self, key: str, upload_id: str, /) -> None:
        """Throw an open upload away. Once it answers, and `scan_parts` says `Gone`, no finish of that upload can
        land any more. Raises `Gone`."""
        ...

    @abstractmethod
    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        """Create the object from another one, on the server, if its key is free.

        The metadata is replaced by `meta` (an inherited write id would lie about who wrote). Raises `Exists`,
        `Conflict`, `Absent` (the source), `Changed` (the source's pin does not fit), `Unsupported`, `Unguarded`,
        `Unsynced`, `Broken`, `Damaged`.
        """
        ...

    @abstractmethod
    def head(self, key: str, /) -> ObjectInfo | None:
        """The object at the key, with its write id, or None.

        Outcomes are judged by it, so it is never stale, and what it shows of ours is as durable as what `put_new`
        answers: a writer may have died between the two, or its sync may have failed.
        """
        ...

    @abstractmethod
    def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
        """The bytes from `start` up to, not including, `stop`; fewer only where the object ends.

        Raises `Absent`, `Changed` (with an etag that is not the object's).
        """
        ...

    @abstractmethod
    def scan(self, prefix: str, delimiter: str, start_after: str, /) -> Iterator[ObjectInfo | Prefix]:
        """Objects whose key begins with `prefix`, in the order of their UTF-8 bytes, after `start_after`.

        With a delimiter (else ""), keys that have it behind the prefix are rolled up into one `Prefix` each. Whether
        a `Prefix` that `start_after` lies in comes up is left to the service. May be stale.
        """
        ...

    @abstractmethod
    def remove(self, key: str, etag: str | None, /) -> None:
        """Remove the object. Raises `Absent`, `Changed` (with an etag that is not the object's)."""
        ...

    @abstractmethod
    def scan_uploads(self, prefix: str, /) -> Iterator[Upload]:
        """Open uploads that this client can see, of keys that begin with `prefix`."""
        ...

    @abstractmethod
    def scan_parts(self, key: str, upload_id: str, /) -> Iterator[Part]:
        """The parts an open upload has, by number. Raises `Gone`, before the first part is yielded."""
        ...

    @abstractmethod
    def presign(self, key: str, expires_s: float, /) -> str:
        """A URL that reads the object for `expires_s` seconds. Raises `Unsupported`."""
        ...

    @abstractmethod
    def close(self) -> None:
        """Give back connections and descriptors. Open uploads of other processes are not touched. A later call opens
        what it needs anew."""
        ...


class Submitting(Protocol):
    """What a driver may have besides: puts that need no thread while they are under way. `Store.create_many` uses it
    for small objects; a driver without it loses nothing but speed."""

    @abstractmethod
    def submit_new(self, key: str, data: bytes, meta: WriteMeta, reply: Reply, /) -> None:
        """`put_new`, but for the waiting: sends on its way one request that creates the object from `data`, now or in
        some milliseconds, and returns, at once or when there is room for it.

        What is known before anything is sent is raised here, as `put_new` raises it, and then `reply` is not used.
        Otherwise `reply.goes_out()` is asked right before the request is sent, and, if it says True, `reply.give` is
        called once with what came of it, also when the driver is closed meanwhile.
        """
        ...

    @abstractmethod
    def flush(self) -> None:
        """Everything that was submitted goes out now: for who submits no more for the moment. Waits for nothing."""
        ...


def submits(driver: Driver) -> TypeGuard[Submitting]:
    """Whether a driver is `Submitting` too."""
    return hasattr(driver, "submit_new") and hasattr(driver, "flush")
