"""The client's credentials, asked for each time, and what they sign."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import botocore.exceptions

from storage_guard.driver import Busy, Refused, Signal, Unsupported
from storage_guard.wire.signing import Credentials, Unsigned
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
        self._provider = provider
        self._anonymous = anonymous
        self._last: Credentials | None = None

    def sign(self, request: Unsigned, address: Address, about: str, at: datetime) -> dict[str, str]:
        """All headers to send. Raises `Refused`, `Unsupported`, and `Busy` where credentials cannot be fetched now;
        `about` says for people what is to be signed."""
        if self._anonymous:
            return {name.lower(): value for name, value in request.headers.items() if name != SHA256_HEADER}
        if address.signer is None:
            raise Unsupported(f"{about}: {address.trouble}")
        credentials = self._credentials(about)
        try:
            return address.signer.sign(request, credentials, at)
        except ValueError as exc:
            raise Refused(f"{about}: {exc}", why="request") from exc

    def presign(self, request: Unsigned, address: Address, about: str, at: datetime, expires_s: int) -> str:
        """The query of a URL. Raises `Refused`, `Unsupported`, `Busy`."""
        if self._anonymous:
            raise Unsupported(f"{about}: an anonymous client has nothing to sign it with")
        if address.signer is None:
            raise Unsupported(f"{about}: {address.trouble}")
        credentials = self._credentials(about)
        try:
            return address.signer.presign(request, credentials, at, expires_s)
        except ValueError as exc:
            raise Refused(f"{about}: {exc}", why="request") from exc

    def _credentials(self, about: str) -> Credentials:
        failure: Signal
        try:
            held = self._provider()
            if held is None:
                raise Refused(
                    f"{about}: no credentials: boto3 found none in the environment, a profile or this machine's role",
                    why="access",
                )
            found = held.get_frozen_credentials()
            return self._checked(found.access_key, found.secret_key, found.token or None, about)
        except Signal:
            raise
        except _AWAY as exc:
            failure = Busy(f"{about}: the credentials cannot be fetched ({type(exc).__name__})")
            failure.__cause__ = exc
        except Exception as exc:  # noqa: BLE001 - a provider is anybody's, and nothing has been sent
            # What it says may hold what it fetched: only its kind is told, the rest is its cause.
            failure = Refused(f"{about}: the credentials' provider raised {type(exc).__name__}", why="access")
            failure.__cause__ = exc
        raise failure

    def _checked(self, key_id: str, secret: str, token: str | None, about: str) -> Credentials:
        last = self._last
        if last is not None and (last.access_key_id, last.access_key_secret, last.security_token) == (
            key_id,
            secret,
            token,
        ):
            return last
        try:
            self._last = last = Credentials(key_id, secret, token)
        except ValueError as exc:
            raise Refused(f"{about}: no credentials: {exc}", why="access") from exc
        return last
