"""What happened, as it was told: the input of the checker. Plain values, numbered by one order of all events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

NEVER = 1 << 62
"""Later than every event."""

What = Literal[
    "created",  # the first four: of a create or a settle, and there is an object
    "same",
    "present",
    "exists",
    "broken",  # ours is there, and the store did not keep the condition
    "unknown",  # nobody can say: there is a ticket, or it was a removal
    "not written",  # definite
    "found",
    "absent",
    "changed",
    "bytes",
    "listed",
    "removed",
    "discarded",  # a file that was opened for writing, and not committed
    "swept",
    "uploads",
    "failed",  # a question that was not answered; a removal that did not take place
    "wrong",  # what no operation may answer
]


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as somebody was shown it. A listing says no `write_id`."""

    key: str
    etag: str | None
    write_id: str | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """What a client heard. `upload_id` is the one in its ticket; `words` are for people.

    `pieces` are what a file that was read gave: from which byte, how many were asked for, and the bytes. `swept` are
    the ids of uploads that a sweep says it removed, `named` those that it was given to remove, `uploads` those of a
    listing. `incomplete`: of a rename, the copy is there, and the source may be.
    """

    what: What
    seen: tuple[Seen, ...] = ()
    data: bytes | None = None
    ticket: str | None = None
    upload_id: str | None = None
    notes: tuple[str, ...] = ()
    words: str = ""
    pieces: tuple[tuple[int, int, bytes], ...] = ()
    swept: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    uploads: tuple[str, ...] = ()
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What an operation is about, as far as a law needs to know it.

    A write is a "create": it says `content`, the name of what it offers, or `source`, the key it copies (`moves`: and
    removes). `sound` is False where it may end in nothing by its own doing. `resume`: it goes on with what was left.
    `about` is the number of the call whose ticket is settled, `etag` the pin of a read or a removal. A scan has no
    `key`: it shows all of them. A sweep takes no upload that is younger than `older_than_s`.
    """

    kind: Literal["create", "settle", "head", "read", "scan", "remove", "sweep", "uploads"]
    key: str | None
    words: str = ""
    content: str | None = None
    sound: bool = True
    about: int | None = None
    start: int = 0
    stop: int | None = None
    etag: str | None = None
    source: str | None = None
    moves: bool = False
    resume: bool = False
    older_than_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """An operation of a client, from its invocation to its response; a client that died was told nothing.

    `write_ids` are the names its requests bore: one, unless the Store errs. `trace`: its requests, for people.
    """

    number: int
    client: str
    asked: Asked
    began: int
    ended: int = NEVER
    told: Told | None = None
    write_ids: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Act:
    """A request that took effect at the store itself, whatever the client heard of it, between two moments.

    The laws use it as a permission only: what no act explains cannot be, but no act proves that something is so.
    One that is not `certain` may have taken effect, and may yet. `content` is the name of the bytes that a copy landed.
    """

    kind: Literal["land", "remove"]
    key: str
    began: int
    ended: int = NEVER
    certain: bool = True
    write_id: str | None = None
    etag: str | None = None
    number: int = -1
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Touch:
    """A request about an open upload, at the store. An abort took effect; `late`: nobody waited for it any more.

    `lasting`: the upload was begun so that it outlives its process.
    """

    what: Literal["begin", "part", "finish", "abort"]
    upload_id: str
    key: str
    number: int
    began: int
    ended: int
    late: bool = False
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class LeftUpload:
    """An upload that is open when all is over; `number`: the call that began it."""

    key: str
    upload_id: str
    number: int | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A late request reached the store."""

    at: int
    number: int
    words: str


@dataclass(frozen=True, slots=True)
class History:
    """`contents`: the bytes behind each name. `faults`: how many struck. `fresh_listings`: a scan is never stale."""

    calls: tuple[Call, ...]
    acts: tuple[Act, ...] = ()
    left: tuple[LeftUpload, ...] = ()
    contents: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    arrivals: tuple[Arrival, ...] = ()
    faults: int = 0
    fresh_listings: bool = False
    touches: tuple[Touch, ...] = ()

    @property
    def keys(self) -> list[str]:
        """Every key that was asked about."""
        asked = {key for call in self.calls for key in (call.asked.key, call.asked.source)}
        return sorted(key for key in asked if key is not None)
