"""Whether a list of parts makes one object: what every backend checks before it finishes an upload."""

from __future__ import annotations

from collections.abc import Sequence

from storage_guard.model import Limits, Part
from storage_guard.signals import Refused


def check_part_list(parts: Sequence[Part], limits: Limits) -> int:
    """The size in bytes of the object that `parts` make, in their order.

    Raises `Refused` ("request") for a list that is empty, has numbers that do not ascend, does not cover all bytes
    from 0 on, or breaks `limits`. Whether the parts are those that were sent, the store must say: it has the etags.
    """
    if not parts:
        raise Refused("an upload is finished with at least one part", why="request")
    number = offset_bytes = 0
    for slot in (part.slot for part in parts):
        if slot.number <= number:
            raise Refused(f"part {slot.number} is listed behind part {number}", why="request")
        if slot.offset_bytes != offset_bytes:
            raise Refused(
                f"part {slot.number} begins at byte {slot.offset_bytes}, not at {offset_bytes}", why="request"
            )
        number, offset_bytes = slot.number, offset_bytes + slot.size_bytes
    if number > limits.max_parts:
        raise Refused(f"part number {number} is not in 1 to {limits.max_parts}", why="request")
    if offset_bytes > limits.max_object_bytes:
        raise Refused(f"{offset_bytes} bytes, and {limits.max_object_bytes} are the most", why="request")
    sizes = [part.slot.size_bytes for part in parts]
    if min(sizes[:-1], default=limits.min_part_bytes) < limits.min_part_bytes:
        raise Refused(f"a part of under {limits.min_part_bytes} bytes is not the last", why="request")
    if limits.equal_parts and (len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]):
        raise Refused("all parts must have one size, and the last one no more", why="request")
    return offset_bytes
