"""How an object is cut into requests: pure arithmetic on sizes and limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from storage_guard.model import Limits, MiB, PartSlot

DEFAULT_PART_BYTES = 8 * MiB
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


def plan_known(size_bytes: int, limits: Limits, *, part_bytes: int, multipart_from_bytes: int) -> Plan:
    """The plan for a known size. Parts grow until `limits.max_parts` suffice, so any size the store takes has one.

    Raises TooLarge.
    """
    if size_bytes > limits.max_object_bytes:
        raise TooLarge(f"{size_bytes} bytes are more than the store's {limits.max_object_bytes} an object")
    if size_bytes < multipart_from_bytes and size_bytes <= limits.max_put_bytes:
        return ONE_REQUEST  # always so for an empty object: no store takes an upload without a part
    needed_bytes = -(-size_bytes // limits.max_parts)
    if needed_bytes > part_bytes and needed_bytes > MiB:
        needed_bytes = -(-needed_bytes // MiB) * MiB
    chosen_bytes = min(max(part_bytes, needed_bytes, limits.min_part_bytes), limits.max_part_bytes)
    if chosen_bytes * limits.max_parts < size_bytes:
        raise TooLarge(
            f"{size_bytes} bytes do not fit in {limits.max_parts} parts of at most {limits.max_part_bytes} bytes"
        )
    return Plan(chosen_bytes)


def stream_part_bytes(limits: Limits, *, part_bytes: int) -> int:
    """The part size for a stream of unknown length. It reaches `limits.max_parts` times as far, and is held in memory
    one part at a time."""
    return min(max(part_bytes, limits.min_part_bytes), limits.max_part_bytes)


def slots(size_bytes: int, part_bytes: int) -> Iterator[PartSlot]:
    """The parts of a known size, in order; every byte in exactly one of them."""
    for number, offset_bytes in enumerate(range(0, size_bytes, part_bytes), start=1):
        yield PartSlot(number, offset_bytes, min(part_bytes, size_bytes - offset_bytes))
