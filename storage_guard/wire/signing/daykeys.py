"""The key of version 4 signatures: derived anew for each day, and kept while it is good."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from storage_guard.wire.signing.credentials import Credentials
from storage_guard.wire.signing.macs import Mac, derived


class DayKey(NamedTuple):
    """What is the same in all signatures with one key on one day (UTC)."""

    credentials: Credentials
    day: str
    scope: str
    mac: Mac

    def signature(self, algorithm: str, stamp: str, canonical: bytes) -> str:
        """Of a canonical request. `stamp`: the time as `basic_stamp` writes it, on this day."""
        to_sign = f"{algorithm}\n{stamp}\n{self.scope}\n{hashlib.sha256(canonical).hexdigest()}"
        return self.mac.hexdigest(to_sign.encode())


class DayKeys:
    """`prefix`: what the service puts before a secret. `place`: the parts of the scope behind the day."""

    __slots__ = ("_known", "_place", "_prefix")

    def __init__(self, prefix: str, *place: str) -> None:
        self._prefix = prefix
        self._place = place
        # One, not a table: it is replaced when the day or the key changes, and no old secret stays behind.
        self._known: DayKey | None = None

    def of(self, credentials: Credentials, day: str) -> DayKey:
        """`day`: as in "20221220"."""
        known = self._known
        if (
            known is None
            or known.day != day
            or (known.credentials is not credentials and known.credentials != credentials)
        ):
            secret = f"{self._prefix}{credentials.access_key_secret}".encode()
            mac = derived(secret, day, *self._place)
            known = self._known = DayKey(credentials, day, "/".join((day, *self._place)), mac)
        return known
