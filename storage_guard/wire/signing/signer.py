"""What is signed, and what signs it, whatever the service."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, Protocol

from storage_guard.wire.signing.credentials import Credentials


class Unsigned(NamedTuple):
    """A request before it is signed. Nothing in it is encoded yet.

    `bucket`: empty for a request to the service. `key`: empty for one to a bucket. `params`: the query; an empty value
    and None are the same. `headers`: without those of the signature.
    """

    method: str
    bucket: str = ""
    key: str = ""
    params: Mapping[str, str | None] = MappingProxyType({})
    headers: Mapping[str, str] = MappingProxyType({})


class Signer(Protocol):
    """Signs requests without I/O. May be used by any number of threads."""

    def sign(self, request: Unsigned, credentials: Credentials, at: datetime) -> dict[str, str]:
        """All headers to send, names in lower case: those of the request, and those of the signature in their place.

        `at`: now, as the service sees it; with a time zone.

        Raises ValueError for what cannot be sent as it is.
        """
        ...

    def presign(self, request: Unsigned, credentials: Credentials, at: datetime, expires_s: int) -> str:
        """The query of a URL that anybody may use until `expires_s` seconds after `at`.

        Whoever uses it has to send those of the headers that were signed.

        Raises ValueError for what cannot be sent as it is, and for an `expires_s` that the service would refuse.
        """
        ...
