"""The client's credentials, asked for each time, and what they sign."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import botocore.exceptions

from storage_guard.driver import Busy, Refused, Signal, Unsupported
from storage_guard.wire.services.keys import Keys, provider_failed
from storage_guard.wire.signing import Unsigned
from storage_guard_s3.addressing import Address
from storage_guard_s3.sums import SHA256_HEADER

_AWAY = (  # nobody answered, or not in time
    botocore.exceptions.ConnectionError,
    botocore.exceptions.HTTPClientError,
    botocore.exceptions.MetadataRetrievalError,
    OSError,
)


class Signing:
    """Signs with the credentials of the moment. Thread-safe.

    `provider` gives botocore's object, which refreshes itself. `anonymous`: nothing is signed.
    """

    def __init__(self, provider: Callable[[], Any], *, anonymous: bool) -> None:
        self._anonymous = anonymous
        self._keys = Keys(partial(_fetched, provider), _failure)

    def sign(self, request: Unsigned, address: Address, about: str, at: datetime) -> dict[str, str]:
        """All headers to send. Raises `Refused`, `Unsupported`, and `Busy` where credentials cannot be fetched now;
        `about` says for people what is to be signed."""
        if self._anonymous:
            return {name.lower(): value for name, value in request.headers.items() if name != SHA256_HEADER}
        if address.signer is None:
            raise Unsupported(f"{about}: {address.trouble}")
        return self._keys.sign(address.signer, request, about, at)

    def presign(self, request: Unsigned, address: Address, about: str, at: datetime, expires_s: int) -> str:
        """The query of a URL. Raises `Refused`, `Unsupported`, `Busy`."""
        if self._anonymous:
            raise Unsupported(f"{about}: an anonymous client has nothing to sign it with")
        if address.signer is None:
            raise Unsupported(f"{about}: {address.trouble}")
        return self._keys.presign(address.signer, request, about, at, expires_s)


def _fetched(provider: Callable[[], Any], about: str) -> tuple[str, str, str | None]:
    held = provider()
    if held is None:
        raise Refused(
            f"{about}: no credentials: boto3 found none in the environment, a profile or this machine's role",
            why="access",
        )
    found = held.get_frozen_credentials()
    return found.access_key, found.secret_key, found.token or None


def _failure(exc: Exception, about: str) -> Signal:
    if not isinstance(exc, _AWAY):
        return provider_failed(exc, about)
    failure = Busy(f"{about}: the credentials cannot be fetched ({type(exc).__name__})")
    failure.__cause__ = exc
    return failure
