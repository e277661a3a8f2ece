"""What a Store can tell: objects, their bytes, listings, open uploads, what it is able to do. `Store` adds writing."""

from __future__ import annotations

from collections.abc import Iterator

from storage_guard import amounts
from storage_guard.access import Access
from storage_guard.driver import Driver
from storage_guard.engine import reading
from storage_guard.engine.policy import Policy
from storage_guard.model import Capabilities, ObjectInfo, Prefix, Upload


class Reads:
    """Nothing here changes the store."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    @property
    def _access(self) -> Access:
        return self._policy.access

    @property
    def url(self) -> str:
        """Where the keys of this store live."""
        return self._access.url

    @property
    def driver(self) -> Driver:
        """The backend underneath: for what no Store offers. Its calls make no promise."""
        return self._access.driver

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def head(self, key: str) -> ObjectInfo | None:
        """The object at the key, or None. Raises InvalidKey, AccessDenied, StoreUnavailable."""
        full_key = self._access.full(key)
        info = self._access.patiently(lambda: self.driver.head(full_key), f"{key!r} could not be looked up", key=key)
        return None if info is None else self._access.relative(info)

    def read(self, key: str, start: int = 0, stop: int | None = None, *, etag: str | None = None) -> bytes:
        """The bytes from `start` up to, not including, `stop` (None: the end). `etag` pins the object.

        All are of one object. Up to 4 MiB they cost one request; more are fetched in pieces of 4 MiB, side by side,
        and if the object is replaced meanwhile, that is ObjectChanged. A larger object costs a look at its size too,
        and without an etag its first piece is fetched twice. Memory: what is returned, and
        `min(in_flight * 4 MiB, memory_bytes)`.

        Raises ObjectNotFound, ObjectChanged, InvalidKey, AccessDenied, StoreUnavailable; ValueError for a range that
        is none.
        """
        return reading.read(self._access, self._policy.bounds, key, start, stop, etag=etag)

    def stream(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The same bytes in pieces of 4 MiB, in order, all of one object: if it is replaced meanwhile, ObjectChanged.

        Pieces are fetched side by side, ahead of the caller, who may take as long as it likes. Memory: the piece that
        the caller has, and `min(in_flight * 4 MiB, memory_bytes)`. Close the iterator, or drop it, to stop early:
        what is under way then is waited for.

        Raises as `read` does, when called or between pieces, and as soon as a piece is known to fail.
        """
        return reading.stream(self._access, self._policy.bounds, key, start, stop)

    def scan(self, prefix: str = "", *, delimiter: str = "", start_after: str = "") -> Iterator[ObjectInfo | Prefix]:
        """Objects whose key begins with `prefix`, in the order of their UTF-8 bytes, after `start_after`.

        With a delimiter, keys that have it behind the prefix are rolled up into one `Prefix` each. What the library
        keeps for itself (`.storage-guard/`) is not shown. A listing may be stale; no write is judged by it.
        Raises AccessDenied, StoreUnavailable.
        """
        return reading.scan(self._access, prefix, delimiter, start_after)

    def presign(self, key: str, expires_s: float) -> str:
        """A URL with which anybody can read the object for `expires_s` seconds. Whether it is there is not looked up.

        Raises Unsupported where the store has no such URLs, InvalidKey, NotWritten for a time that it does not allow,
        ValueError for one that is none.
        """
        amounts.check_seconds("expires_s", expires_s)
        if not expires_s > 0:
            raise ValueError(f"expires_s must be more than 0, got {expires_s}")
        full_key = self._access.full(key)
        return self._access.patiently(
            lambda: self.driver.presign(full_key, expires_s), f"{key!r} could not be signed", key=key
        )

    def uploads(self, prefix: str = "") -> Iterator[Upload]:
        """The open uploads of keys that begin with `prefix`: everybody's, as far as the store shows them.

        Raises AccessDenied, StoreUnavailable.
        """
        from storage_guard.uploads import sweeping  # noqa: PLC0415 - housekeeping

        return sweeping.uploads(self._access, prefix)

    def check(self) -> Capabilities:
        """What the store can do: who vouches for each operation, and why not.

        What nobody vouches for is examined, if no write has done so before. Raises GuaranteeMissing if it would not
        keep the promise, AccessDenied, StoreUnavailable.
        """
        return self._policy.found()
