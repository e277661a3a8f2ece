"""From an auth object of oss2's to what signs: its version, and its credentials, asked for each time."""

from __future__ import annotations

from datetime import datetime

import oss2

from storage_guard.driver import Busy, Refused, Signal
from storage_guard.wire.signing import Credentials, OSSV1Signer, OSSV4Signer, Signer, Unsigned

# Not those that are made from them: they may sign in any way.
_V1 = (oss2.Auth, oss2.ProviderAuth)
_V4 = (oss2.AuthV4, oss2.ProviderAuthV4)


class Signing:
    """Signs with the credentials of the moment. Thread-safe, if the provider is."""

    def __init__(self, auth: oss2.AuthBase, signer: Signer) -> None:
        self._auth = auth
        self._signer = signer
        self._last: Credentials | None = None

    def sign(self, request: Unsigned, about: str, at: datetime) -> dict[str, str]:
        """All headers to send. Raises `Refused`, and `Busy` where credentials cannot be fetched now; `about` says for
        people what is to be signed."""
        credentials = self._credentials(about)
        try:
            return self._signer.sign(request, credentials, at)
        except ValueError as exc:
            raise Refused(f"{about}: {exc}", why="request") from exc

    def presign(self, request: Unsigned, about: str, at: datetime, expires_s: int) -> str:
        """The query of a URL. Raises `Refused`, `Busy`."""
        credentials = self._credentials(about)
        try:
            return self._signer.presign(request, credentials, at, expires_s)
        except ValueError as exc:
            raise Refused(f"{about}: {exc}", why="request") from exc

    def _credentials(self, about: str) -> Credentials:
        failure: Signal
        try:
            found = self._auth.credentials_provider.get_credentials()
            return self._checked(
                found.get_access_key_id(), found.get_access_key_secret(), found.get_security_token() or None, about
            )
        except Signal:
            raise
        except oss2.exceptions.ClientError as exc:
            failure = Refused(f"{about}: no credentials: {_said(exc)}{self._where_from()}", why="access")
        except OSError as exc:  # a provider that asks over the network; requests' errors are of this kind
            failure = Busy(f"{about}: the credentials cannot be fetched ({type(exc).__name__})")
        except Exception as exc:  # noqa: BLE001 - a provider is anybody's, and nothing has been sent
            # What it says may hold what it fetched: only its kind is told, the rest is its cause.
            failure = Refused(f"{about}: the credentials provider raised {type(exc).__name__}", why="access")
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

    def _where_from(self) -> str:
        provider = self._auth.credentials_provider
        if not isinstance(provider, oss2.credentials.EnvironmentVariableCredentialsProvider):
            return ""
        return " The environment has OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and OSS_SESSION_TOKEN for them."


def signing_of(bucket: oss2.Bucket) -> Signing:
    """What signs for this bucket. Raises TypeError for an auth object that is none of those that can be honoured, and
    ValueError where a region is missing."""
    auth: object = bucket.auth
    if type(auth) is oss2.StsAuth:
        auth = vars(auth).get("_StsAuth__auth")  # which of the others it is, nothing else tells
    if isinstance(auth, _V1) and type(auth) in _V1:
        return Signing(auth, OSSV1Signer())
    if isinstance(auth, _V4) and type(auth) in _V4:
        region = bucket.cloudbox_id or bucket.region
        if not region:
            raise ValueError(
                f"signature v4 needs region= (like cn-hangzhou), which the bucket {bucket.bucket_name} lacks"
            )
        return Signing(auth, OSSV4Signer(region, bucket.product))
    raise TypeError(
        f"the bucket signs with {type(auth).__name__}, which is not supported here: "
        "want Auth, AuthV4, ProviderAuth, ProviderAuthV4, or StsAuth of version v1 or v4"
    )


def _said(exc: oss2.exceptions.ClientError) -> str:
    text = exc.body if isinstance(exc.body, str) else ""
    return text.removeprefix("ClientError: ")[:200] or type(exc).__name__
