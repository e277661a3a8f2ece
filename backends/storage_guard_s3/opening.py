"""`s3://bucket/prefix` and its options: a boto3 client that can be made again in another process."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import boto3.session
import botocore
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from storage_guard_s3.addressing import check_bucket

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_FORM = "want s3://bucket or s3://bucket/prefix (? and # as %3F and %23)"
_COLON = "(?::|%3A)"
_ARN = re.compile(
    rf"(?P<bucket>arn{_COLON}[^/]+?(?:outpost(?:/|{_COLON})[^/]+?(?:/|{_COLON}))?accesspoint(?:/|{_COLON})[^/]+)"
    r"(?:/(?P<prefix>.*))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Account:
    """Where credentials come from: given as they are, of a profile, or else wherever boto3 looks. `anonymous`: none."""

    profile: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    anonymous: bool = False

    def __post_init__(self) -> None:
        given = (self.access_key_id, self.secret_access_key)
        some = any(each is not None for each in (*given, self.session_token))
        if some and not all(given):
            missing = "secret_access_key" if self.access_key_id else "access_key_id"
            raise ValueError(f"{missing}= is missing or empty")
        if self.anonymous and (some or self.profile is not None):
            raise ValueError("anonymous=True goes without a profile and without keys")


@dataclass(frozen=True)
class Place:
    """A bucket, and how it is asked: enough to open it again. Pickles, with the credentials it was given."""

    bucket: str
    account: Account
    region: str | None
    endpoint_url: str | None
    settings: tuple[tuple[str, Any], ...]
    """Of botocore's Config."""

    def open(self) -> S3Client:
        """Raises ValueError for a profile that is not there, and for settings that botocore does not take."""
        account, settings = self.account, dict(self.settings)
        if account.anonymous:
            settings["signature_version"] = botocore.UNSIGNED  # which would be another one behind a pickle
        try:
            session: Any = boto3.session.Session(
                profile_name=account.profile,
                region_name=self.region,
                aws_access_key_id=account.access_key_id,
                aws_secret_access_key=account.secret_access_key,
                aws_session_token=account.session_token or None,
            )
            client: S3Client = session.client("s3", endpoint_url=self.endpoint_url, config=Config(**settings))
            return client
        except BotoCoreError as exc:
            raise ValueError(f"no client for s3://{self.bucket}: {exc}") from exc


def split_url(url: str) -> tuple[str, str]:
    """Bucket and prefix. Raises ValueError, which does not repeat a URL that may hold credentials."""
    scheme, found, rest = url.partition("://")
    if not found or scheme != "s3" or "?" in rest or "#" in rest:
        raise ValueError(_FORM)
    arn = _ARN.fullmatch(rest)
    if arn is not None:
        bucket, prefix = unquote(arn["bucket"], errors="strict"), arn["prefix"] or ""
    else:
        bucket, _, prefix = rest.partition("/")
        if "@" in bucket or ":" in bucket:
            raise ValueError(f"{_FORM}; credentials and ports do not belong into it")
    check_bucket(bucket)
    return bucket, unquote(prefix, errors="strict").strip("/")


def place_of(
    bucket: str,
    *,
    account: Account,
    region: str | None,
    endpoint_url: str | None,
    path_style: bool | None,
    accelerate: bool,
    dualstack: bool,
    fips: bool,
    payload_signing: bool,
) -> Place:
    """Raises ValueError for options that do not go together, and says what to give."""
    if endpoint_url is not None:
        for name, asked in (("accelerate", accelerate), ("dualstack", dualstack), ("fips", fips)):
            if asked:
                raise ValueError(f"{name}=True chooses an endpoint of AWS's, and endpoint_url= another: give one")
        if not endpoint_url.startswith(("http://", "https://")):
            raise ValueError(f"endpoint_url begins with https:// or http://, got {endpoint_url!r}")
    s3: dict[str, Any] = {}
    if path_style is not None:
        s3["addressing_style"] = "path" if path_style else "virtual"
    if accelerate:
        s3["use_accelerate_endpoint"] = True
    if payload_signing:
        s3["payload_signing_enabled"] = True
    settings: dict[str, Any] = {"retries": {"total_max_attempts": 1}}
    if s3:
        settings["s3"] = s3
    if dualstack:
        settings["use_dualstack_endpoint"] = True
    if fips:
        settings["use_fips_endpoint"] = True
    return Place(bucket, account, region, endpoint_url, tuple(settings.items()))
