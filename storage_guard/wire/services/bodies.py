"""Bytes of objects that are read before they are sent."""

from __future__ import annotations

from collections.abc import Callable

from storage_guard.driver import Body
from storage_guard.wire.services.calls import wrong_size

HELD_BYTES = 1024 * 1024
"""A body of up to so many bytes is read once and held; a larger one is read twice, first for its sums."""


def read_through(body: Body, take: Callable[[memoryview], None]) -> bytes | None:
    """Gives each window to `take`; the bytes themselves, if they are few. Raises `Refused` if the body is not as long
    as it says."""
    pieces, size_bytes = list[bytes](), 0
    keep = body.size_bytes <= HELD_BYTES
    for window in body.windows():
        take(window)
        size_bytes += window.nbytes
        if size_bytes > body.size_bytes:
            raise wrong_size(size_bytes, body.size_bytes, "at least ")
        if keep:
            pieces.append(bytes(window))
    if size_bytes != body.size_bytes:
        raise wrong_size(size_bytes, body.size_bytes)
    if not keep:
        return None
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
