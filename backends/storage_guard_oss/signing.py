"""From an auth object of oss2's to what signs: its version, and its credentials, asked for each time."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import oss2

from storage_guard.driver import Busy, Refused, Signal
from storage_guard.wire.services.keys import Keys, provider_failed
from storage_guard.wire.signing import OSSV1Signer, OSSV4Signer, Signer

# Not those that are made from them: they may sign in any way.
_V1 = (oss2.Auth, oss2.ProviderAuth)
_V4 = (oss2.AuthV4, oss2.ProviderAuthV4)


class Signing(NamedTuple):
    """Whose requests they are, and how they are signed. Thread-safe, if the provider is."""

    keys: Keys
    signer: Signer


def _keys(auth: oss2.AuthBase) -> Keys:
    return Keys(partial(_fetched, auth), partial(_failure, auth))


def _fetched(auth: oss2.AuthBase, _about: str) -> tuple[str, str, str | None]:
    found = auth.credentials_provider.get_credentials()
    return found.get_access_key_id(), found.get_access_key_secret(), found.get_security_token() or None


def _failure(auth: oss2.AuthBase, exc: Exception, about: str) -> Signal:
    if isinstance(exc, oss2.exceptions.ClientError):
        return Refused(f"{about}: no credentials: {_said(exc)}{_where_from(auth)}", why="access")
    if isinstance(exc, OSError):  # a provider that asks over the network; requests' errors are of this kind
        return Busy(f"{about}: the credentials cannot be fetched ({type(exc).__name__})")
    return provider_failed(exc, about)


def _where_from(auth: oss2.AuthBase) -> str:
    if not isinstance(auth.credentials_provider, oss2.credentials.EnvironmentVariableCredentialsProvider):
        return ""
    return " The environment has OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and OSS_SESSION_TOKEN for them."


def signing_of(bucket: oss2.Bucket) -> Signing:
    """What signs for this bucket. Raises TypeError for an auth object that is none of those that can be honoured, and
    ValueError where a region is missing."""
    auth: object = bucket.auth
    if type(auth) is oss2.StsAuth:
        auth = vars(auth).get("_StsAuth__auth")  # which of the others it is, nothing else tells
    if isinstance(auth, _V1) and type(auth) in _V1:
        return Signing(_keys(auth), OSSV1Signer())
    if isinstance(auth, _V4) and type(auth) in _V4:
        region = bucket.cloudbox_id or bucket.region
        if not region:
            raise ValueError(
                f"signature v4 needs region= (like cn-hangzhou), which the bucket {bucket.bucket_name} lacks"
            )
        return Signing(_keys(auth), OSSV4Signer(region, bucket.product))
    raise TypeError(
        f"the bucket signs with {type(auth).__name__}, which is not supported here: "
        "want Auth, AuthV4, ProviderAuth, ProviderAuthV4, or StsAuth of version v1 or v4"
    )


def _said(exc: oss2.exceptions.ClientError) -> str:
    text = exc.body if isinstance(exc.body, str) else ""
    return text.removeprefix("ClientError: ")[:200] or type(exc).__name__
