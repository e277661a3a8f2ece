"""Alibaba Cloud OSS as a store: create-only by `x-oss-forbid-overwrite`, in buckets that never had versioning."""

from __future__ import annotations

from storage_guard import extras
from storage_guard.driver import Driver, Limits

try:
    from oss2.credentials import CredentialsProvider

    from storage_guard_oss.driver import LIMITS, OSSDriver
    from storage_guard_oss.opening import Account, Signature, place_of, split_url
except ModuleNotFoundError as exc:
    raise extras.missing(exc, "storage_guard_oss", "oss") from exc

__all__ = ["LIMITS", "OSSDriver", "open_url"]


def open_url(
    url: str,
    /,
    *,
    endpoint: str | None = None,
    region: str | None = None,
    access_key_id: str | None = None,
    access_key_secret: str | None = None,
    security_token: str | None = None,
    credentials_provider: CredentialsProvider | None = None,
    signature: Signature = "v4",
    is_cname: bool = False,
    internal: bool = False,
    path_style: bool = False,
    connect_timeout_s: float | None = None,
    read_timeout_s: float | None = None,
    request_payer: str | None = None,
    limits: Limits | None = None,
) -> tuple[Driver, str]:
    """The driver and the prefix that `oss://bucket/prefix` means.

    - `endpoint`: without a scheme it is asked by https; http must be said. `region`: of either one the other is found,
      if the endpoint is a standard one (`oss-<region>[-internal].aliyuncs.com`). `internal`: with `region`, its
      endpoint for callers within the region.
    - `access_key_id`, `access_key_secret`, `security_token`; or `credentials_provider`, one of oss2's or of its kind,
      which is asked for each request; or else the environment's OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and
      OSS_SESSION_TOKEN. A pickled driver carries what it was given.
    - `signature`: "v4", which needs the region, or "v1".
    - `is_cname`: the endpoint is a custom domain of this bucket. `path_style`: the bucket goes into the path, as it
      does anyway where the endpoint is an IP address or localhost.
    - `connect_timeout_s` (10), `read_timeout_s` (60): seconds until there is a connection, and without a byte that
      moves.
    - `request_payer`: "requester" pays for every request.

    Nothing is asked yet. Raises ValueError for what does not fit together, and says what to give.
    """
    bucket, prefix = split_url(url)
    place = place_of(
        bucket,
        endpoint=endpoint,
        region=region,
        account=Account(access_key_id, access_key_secret, security_token, credentials_provider),
        signature=signature,
        is_cname=is_cname,
        internal=internal,
        path_style=path_style,
    )
    driver = OSSDriver.at(
        place,
        connect_timeout_s=connect_timeout_s,
        read_timeout_s=read_timeout_s,
        request_payer=request_payer,
        limits=limits,
    )
    return driver, prefix
