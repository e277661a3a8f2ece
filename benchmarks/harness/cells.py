"""What a study asks for: one create of a size, cut in one way. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.harness.peers import OURS, Peer
from storage_guard.engine.concurrency import MOST
from storage_guard.plan import DEFAULT_MULTIPART_FROM_BYTES, copied_part_bytes, usual_part_bytes

MIB = 1 << 20
COPIED_WHOLE_BYTES = 64 << 20  # what the library copies in one request, where nothing is said
_PUT_BYTES, _PARTS = 5 << 30, 10_000  # the most that OSS and S3 take in one request, and of an object
DEFAULT, ONE_PUT = "default", "one put"


@dataclass(frozen=True)
class Cell:
    """`objects` creates of `size_bytes`, as a "file" or a "stream" each, or "count": all in one call; or a "copy", of
    an object of that size that is there.

    `part`: bytes, "default" or "one put"; of a peer what its `options` say. `in_flight` None: adaptive, or whatever the
    peer does; of a peer it only says what is known of it. `warmed`: right before each run as many connections are
    opened as it can use; not where it is compared with peers, which have no such run."""

    size_bytes: int
    part: int | str = DEFAULT
    in_flight: int | None = None
    memory_bytes: int | None = None
    do: Literal["file", "stream", "copy", "count"] = "file"
    objects: int = 1
    side: str = OURS.name
    peer: Peer = OURS
    options: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False)
    warmed: bool = True

    @property
    def ours(self) -> bool:
        return self.peer == OURS

    @property
    def part_bytes(self) -> int | None:
        """How large a part is; None for one request. Of a peer it is not known."""
        if isinstance(self.part, int):
            return self.part
        if self.do == "copy" and self.part != ONE_PUT:
            return None if self.size_bytes <= COPIED_WHOLE_BYTES else copied_part_bytes(self.size_bytes)
        small = self.size_bytes < DEFAULT_MULTIPART_FROM_BYTES and self.do == "file"
        return None if self.part == ONE_PUT or small else usual_part_bytes(self.size_bytes)

    @property
    def possible(self) -> bool:
        """Whether a service takes what was asked for; else the library would cut it in another way than it was told."""
        if self.part == ONE_PUT:
            return self.size_bytes <= _PUT_BYTES
        return not isinstance(self.part, int) or self.size_bytes <= self.part * _PARTS

    @property
    def settings(self) -> dict[str, Any]:
        """For our client."""
        settings: dict[str, Any] = {"one_put": True} if self.part == ONE_PUT else {}
        if self.do == "copy":
            settings["copies"] = True
        if isinstance(self.part, int):
            settings["part_bytes"] = self.part
        if self.in_flight is not None:
            settings["in_flight"] = self.in_flight
        if self.memory_bytes is not None:
            settings["memory_bytes"] = self.memory_bytes
        return settings

    @property
    def described(self) -> dict[str, object]:
        """As it stands in a line of the results; also what it is known by."""
        said: dict[str, object] = {"side": self.side, "do": self.do, "size_mib": self.size_bytes / MIB}
        if self.ours:
            part_bytes = self.part_bytes
            said |= {
                "part": self.part if isinstance(self.part, str) else "set",
                "part_mib": None if part_bytes is None else part_bytes / MIB,
                "in_flight": self.in_flight,
            }
        if self.memory_bytes is not None:
            said["memory_mib"] = self.memory_bytes / MIB
        if self.do == "count":
            said["objects"] = self.objects
        return said

    @property
    def words(self) -> str:
        if self.do == "count":
            return f"{self.objects:,} objects of {self.size_bytes:,} bytes in one call"
        size = f"{self.size_bytes / MIB:g} MiB as a {self.do}"
        if not self.ours:
            return f"{size}, {self.side}"
        part = self.part if isinstance(self.part, str) else f"parts of {self.part / MIB:g} MiB"
        lanes = "adaptive" if self.in_flight is None else f"{self.in_flight} at a time"
        memory = "" if self.memory_bytes is None else f", {self.memory_bytes / MIB:g} MiB of memory"
        return f"{size}, {self.side}, {part}, {lanes}{memory}"

    @property
    def requests(self) -> int:
        """How many one run costs at most, with the one that warms up and the removal."""
        if self.do == "count":
            return 2 * self.objects + MOST + 9  # each is removed, too
        parts = 0 if self.part == ONE_PUT else -(-self.size_bytes // (self.part_bytes or self.size_bytes or 1))
        ends, warm, removal = 5, MOST + 4, 4
        return parts + ends + warm + removal

    @property
    def sent_bytes(self) -> int:
        """Of a copy, for what is copied."""
        return self.objects * self.size_bytes


@dataclass(frozen=True)
class World:
    """Where cells are measured. `link` None: a bucket that somebody named."""

    service: Literal["oss", "s3"]
    scheme: str
    link: str | None

    @property
    def words(self) -> str:
        return f"{self.service} over {self.scheme}, {self.link or 'a bucket'}"


_NAMES = (
    "service",
    "scheme",
    "link",
    "side",
    "do",
    "size_mib",
    "objects",
    "part",
    "part_mib",
    "in_flight",
    "memory_mib",
)


def known_by(world: Mapping[str, object], cell: Mapping[str, object], number: int) -> str:
    """What tells one run from all others. `world` and `cell` are as in a line of the results, which may have more."""
    both = {**world, **cell}
    return json.dumps([*(both.get(name) for name in _NAMES), number])
