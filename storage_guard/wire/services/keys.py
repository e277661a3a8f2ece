"""The credentials of the moment, asked for each time, and what they sign."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from storage_guard.driver import Refused, Signal
from storage_guard.wire.signing import Credentials, Signer, Unsigned


class Keys:
    """Thread-safe, if `fetch` is.

    `fetch` gives key id, secret and session token, asked for each request; it may raise a signal, and anything else.
    `failure`: what that means; it is given the exception and what was to be signed, for people.
    """

    def __init__(
        self,
        fetch: Callable[[str], tuple[str, str, str | None]],
        failure: Callable[[Exception, str], Signal],
    ) -> None:
        self._fetch = fetch
        self._failure = failure
        self._last: Credentials | None = None

    def sign(self, signer: Signer, request: Unsigned, about: str, at: datetime) -> dict[str, str]:
        """All headers to send. Raises `Refused`, and what `failure` makes where credentials cannot be had; `about` says
        for people what is to be signed."""
        credentials = self._credentials(about)
        try:
            return signer.sign(request, credentials, at)
        except ValueError as exc:
            raise Refused(f"{about}: {exc}", why="request") from exc

    def presign(self, signer: Signer, request: Unsigned, about: str, at: datetime, expires_s: int) -> str:
        """The query of a URL. Raises as `sign` does."""
        credentials = self._credentials(about)
        try:
            return signer.presign(request, credentials, at, expires_s)
        except ValueError as exc:
            raise Refused(f"{about}: {exc}", why="request") from exc

    def _credentials(self, about: str) -> Credentials:
        try:
            key_id, secret, token = self._fetch(about)
            last = self._last
            if (
                last is not None
                and last.access_key_id == key_id
                and last.access_key_secret == secret
                and last.security_token == token
            ):
                return last
            try:
                self._last = last = Credentials(key_id, secret, token)
            except ValueError as exc:
                raise Refused(f"{about}: no credentials: {exc}", why="access") from exc
        except Signal:
            raise
        except Exception as exc:  # noqa: BLE001 - a provider is anybody's, and nothing has been sent
            failure = self._failure(exc, about)
        else:
            return last
        raise failure


def provider_failed(exc: Exception, about: str) -> Refused:
    """Anything else that a provider raised. What it says may hold what it fetched: only its kind is told, the rest is
    the cause."""
    failure = Refused(f"{about}: the credentials provider raised {type(exc).__name__}", why="access")
    failure.__cause__ = exc
    return failure
