"""How an object is cut into requests: pure arithmetic on sizes and limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from storage_guard.model import Limits, MiB, PartSlot

# Measured in benchmarks/results: part_sizing-region.jsonl for the sizes, parallel_parts-*.jsonl for how many at a time,
# streams.jsonl for streams. docs/part-sizing.md says what is weighed.
DEFAULT_PART_BYTES = 8 * MiB
SMALL_PART_BYTES = 2 * MiB
STREAM_PART_BYTES = 4 * MiB
PART_STEP_BYTES = MiB // 4
MANY_PARTS = 16
COPIED_AT_ONCE = 64
DEFAULT_MEMORY_BYTES = 128 * MiB
DEFAULT_MULTIPART_FROM_BYTES = 16 * MiB


class TooLarge(ValueError):
    """No way of cutting fits the store's limits."""


@dataclass(frozen=True)
class Plan:
    """One request (`part_bytes` None), or parts of `part_bytes` each, the last one perhaps smaller."""

    part_bytes: int | None

    @property
    def multipart(self) -> bool:
        return self.part_bytes is not None


ONE_REQUEST = Plan(None)


def usual_part_bytes(size_bytes: int) -> int:
    """How much of an object of this size to send in one request, if nobody says otherwise: 2 to 8 MiB.

    So much that the parts are a multiple of `MANY_PARTS`: those are sent side by side, and one more that is left over
    at the end would have the link to itself for as long as all of them had it together.
    """
    rounds = max(1, -(-size_bytes // (MANY_PARTS * DEFAULT_PART_BYTES)))
    wanted_bytes = -(-size_bytes // (MANY_PARTS * rounds) // PART_STEP_BYTES) * PART_STEP_BYTES
    return min(max(wanted_bytes, SMALL_PART_BYTES), DEFAULT_PART_BYTES)


def copied_part_bytes(size_bytes: int) -> int:
    """How much of an object of this size a service is asked to copy in one request of many, if nobody says otherwise:
    16 to 128 MiB.

    Nothing of it passes through here, so all may be on their way at once, `COPIED_AT_ONCE` of them. How fast a service
    copies in one request nobody promises; AWS names 85 to 90 MB/s for a request of any kind (S3 User Guide, Performance
    guidelines), and some copy at once, where parts cost a latency each.
    """
    wanted_bytes = -(-size_bytes // COPIED_AT_ONCE // MiB) * MiB
    return min(max(wanted_bytes, 16 * MiB), 128 * MiB)


def plan_known(size_bytes: int, limits: Limits, *, part_bytes: int | None, multipart_from_bytes: int) -> Plan:
    """The plan for a known size. Parts grow until `limits.max_parts` suffice, so any size the store takes has one.

    `part_bytes` None: as `usual_part_bytes` says.

    Raises TooLarge.
    """
    if size_bytes > limits.max_object_bytes:
        raise TooLarge(f"{size_bytes} bytes are more than the store's {limits.max_object_bytes} an object")
    if size_bytes < multipart_from_bytes and size_bytes <= limits.max_put_bytes:
        return ONE_REQUEST  # always so for an empty object: no store takes an upload without a part
    if part_bytes is None:
        part_bytes = usual_part_bytes(size_bytes)
    needed_bytes = -(-size_bytes // limits.max_parts)
    if needed_bytes > part_bytes and needed_bytes > MiB:
        needed_bytes = -(-needed_bytes // MiB) * MiB
    chosen_bytes = min(max(part_bytes, needed_bytes, limits.min_part_bytes), limits.max_part_bytes)
    if chosen_bytes * limits.max_parts < size_bytes:
        raise TooLarge(
            f"{size_bytes} bytes do not fit in {limits.max_parts} parts of at most {limits.max_part_bytes} bytes"
        )
    return Plan(chosen_bytes)


@dataclass(frozen=True)
class StreamPlan:
    """How a stream is cut whose length only its end tells: `first_bytes` a part, and twice as much behind every
    `grow_every` parts, up to `most_bytes`. So it can go on for long without beginning with large parts."""

    first_bytes: int
    most_bytes: int
    grow_every: int

    def part_bytes(self, number: int) -> int:
        """The size of part `number` (from 1)."""
        return min(self.most_bytes, self.first_bytes << min((number - 1) // self.grow_every, 62))

    def reach_bytes(self, limits: Limits) -> int:
        """The longest stream that can be written: what `limits.max_parts` such parts hold, or the largest object."""
        reach_bytes = number = 0
        while number < limits.max_parts:
            count = min(limits.max_parts - number, self.grow_every)
            reach_bytes += count * self.part_bytes(number + 1)
            number += count
        return min(reach_bytes, limits.max_object_bytes)


def plan_stream(limits: Limits, *, part_bytes: int | None, memory_bytes: int) -> StreamPlan:
    """The plan for a stream. One part is held for each request under way and one for what is being read, so the
    largest part is a quarter of `memory_bytes` (never less than the first), and the first at most a half.

    `part_bytes` None: `STREAM_PART_BYTES`, as nobody knows whether there will be enough for `MANY_PARTS` larger ones,
    and each is held; less, but not under `SMALL_PART_BYTES`, where the memory does not hold so many; but where all must
    be equal `DEFAULT_PART_BYTES`, which reach further.

    Raises TooLarge if `memory_bytes` does not hold two of the smallest parts that the store takes.
    """
    least_bytes = max(1, limits.min_part_bytes)
    if memory_bytes < 2 * least_bytes:
        raise TooLarge(f"a stream needs two parts of {least_bytes} bytes in memory, and memory_bytes is {memory_bytes}")
    if part_bytes is None and limits.equal_parts:
        part_bytes = DEFAULT_PART_BYTES
    elif part_bytes is None:
        part_bytes = min(max(memory_bytes // MANY_PARTS, SMALL_PART_BYTES), STREAM_PART_BYTES)
    first_bytes = min(max(part_bytes, least_bytes), limits.max_part_bytes, memory_bytes // 2)
    most_bytes = first_bytes
    if not limits.equal_parts:
        most_bytes = max(first_bytes, min(limits.max_part_bytes, memory_bytes // 4))
    return StreamPlan(first_bytes, most_bytes, max(1, limits.max_parts // 10))


def slots(size_bytes: int, part_bytes: int) -> Iterator[PartSlot]:
    """The parts of a known size, in order; every byte in exactly one of them."""
    for number, offset_bytes in enumerate(range(0, size_bytes, part_bytes), start=1):
        yield PartSlot(number, offset_bytes, min(part_bytes, size_bytes - offset_bytes))
