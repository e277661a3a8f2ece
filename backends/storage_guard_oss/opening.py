"""`oss://bucket/prefix` and its options: an oss2 bucket that can be made again in another process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

import oss2
from oss2.credentials import (
    CredentialsProvider,
    EnvironmentVariableCredentialsProvider,
    StaticCredentialsProvider,
)

from storage_guard_oss.endpoints import check_bucket, where

Signature = Literal["v4", "v1"]

_FORM = "want oss://bucket or oss://bucket/prefix (? and # as %3F and %23)"


@dataclass(frozen=True)
class Account:
    """Where credentials come from: given as they are, from a provider that is asked for each request, or else from the
    environment (OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET, OSS_SESSION_TOKEN), read anew for each request."""

    access_key_id: str | None = field(default=None, repr=False)
    access_key_secret: str | None = field(default=None, repr=False)
    security_token: str | None = field(default=None, repr=False)
    provider: CredentialsProvider | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        static = (self.access_key_id, self.access_key_secret)
        if self.provider is not None and (any(static) or self.security_token):
            raise ValueError("give credentials_provider= or access_key_id= and access_key_secret=, not both")
        if any(each is not None for each in (*static, self.security_token)) and not all(static):
            missing = "access_key_secret" if self.access_key_id else "access_key_id"
            raise ValueError(f"{missing}= is missing or empty")

    def open(self) -> CredentialsProvider:
        if self.provider is not None:
            return self.provider
        if self.access_key_id and self.access_key_secret:
            return StaticCredentialsProvider(self.access_key_id, self.access_key_secret, self.security_token or "")
        return EnvironmentVariableCredentialsProvider()


@dataclass(frozen=True)
class Place:
    """A bucket, and how it is asked: enough to open it again. Pickles, with the credentials it was given."""

    bucket: str
    endpoint: str
    region: str | None
    account: Account
    signature: Signature
    is_cname: bool
    path_style: bool

    def open(self) -> oss2.Bucket:
        auth = (oss2.ProviderAuthV4 if self.signature == "v4" else oss2.ProviderAuth)(self.account.open())
        return oss2.Bucket(
            auth,
            self.endpoint,
            self.bucket,
            is_cname=self.is_cname,
            enable_crc=False,
            region=self.region,
            is_path_style=self.path_style,
        )


def split_url(url: str) -> tuple[str, str]:
    """Bucket and prefix. Raises ValueError, which does not repeat a URL that may hold credentials."""
    scheme, found, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    if "@" in bucket or ":" in bucket:
        raise ValueError(f"{_FORM}; credentials and ports do not belong into it")
    if not found or scheme != "oss" or "?" in rest or "#" in rest:
        raise ValueError(f"{_FORM}, got {url!r}")
    check_bucket(bucket)
    return bucket, unquote(prefix, errors="strict").strip("/")


def place_of(
    bucket: str,
    *,
    endpoint: str | None,
    region: str | None,
    account: Account,
    signature: Signature,
    is_cname: bool,
    internal: bool,
    path_style: bool,
) -> Place:
    """Raises ValueError for options that do not go together, and says what to give."""
    if signature not in ("v4", "v1"):
        raise ValueError(f"signature is 'v4' or 'v1', got {signature!r}")
    if is_cname and endpoint is None:
        raise ValueError("is_cname=True goes with endpoint=, the custom domain")
    if is_cname and path_style:
        raise ValueError("a custom domain is one bucket's: is_cname=True and path_style=True exclude each other")
    found, region = where(endpoint, region, internal=internal)
    if found.host.startswith(f"{bucket}.") and not is_cname:
        raise ValueError(f"the endpoint {endpoint!r} begins with the bucket's name, which is put there anyway")
    if signature == "v4" and region is None:
        raise ValueError(
            f"signature v4 needs region= (like cn-hangzhou), and {endpoint!r} does not tell it; or give signature='v1'"
        )
    return Place(bucket, found.url, region, account, signature, is_cname, path_style)
