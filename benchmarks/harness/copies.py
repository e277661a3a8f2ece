"""How long a service is at a copy: so many MB a second in each request, whatever goes on beside it."""

from __future__ import annotations

from storage_guard.testing.server import Action, Asked, Request, delayed
from storage_guard.testing.server.buckets import Buckets, NoSuchBucket, NoSuchKey, NoSuchVersion
from storage_guard.testing.server.calls import copy_source

_SOURCES = ("x-oss-copy-source", "x-amz-copy-source")


class Copies:
    """For a dialect that tells it of each request, and for the cues, which ask it what becomes of the request that was
    seen last: all that is in one thread."""

    def __init__(self, bytes_per_s: float, state: Buckets) -> None:
        self._bytes_per_s = bytes_per_s
        self._state = state
        self._size_bytes = 0

    def see(self, request: Request) -> None:
        self._size_bytes = 0
        for name in _SOURCES:
            if name in request.headers:
                ranged = request.headers.get(f"{name}-range")
                self._size_bytes = self._whole_bytes(request.headers[name]) if ranged is None else _span_bytes(ranged)

    def action(self, _: Asked) -> Action | None:
        return delayed(before_s=self._size_bytes / self._bytes_per_s) if self._size_bytes else None

    def _whole_bytes(self, source: str) -> int:
        """Nothing of what is not there: it is refused."""
        named = copy_source(source)
        if named is None:
            return 0
        bucket, key, version_id = named
        try:
            content = self._state[bucket].find(key, version_id).content
        except (NoSuchBucket, NoSuchKey, NoSuchVersion):
            return 0
        return 0 if content is None else content.size_bytes


def _span_bytes(text: str) -> int:
    first, _, last = text.removeprefix("bytes=").partition("-")
    return int(last) - int(first) + 1
