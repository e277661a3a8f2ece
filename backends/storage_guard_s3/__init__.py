"""Amazon S3, and services of its kind, as a store: create-only by `If-None-Match: *` on put, complete and copy."""

from __future__ import annotations

from storage_guard import extras
from storage_guard.driver import Driver, Limits

try:
    from storage_guard_s3.driver import S3Driver
    from storage_guard_s3.limits import LIMITS
    from storage_guard_s3.opening import Account, place_of, split_url
except ModuleNotFoundError as exc:
    raise extras.missing(exc, "storage_guard_s3", "s3") from exc

__all__ = ["LIMITS", "S3Driver", "open_url"]


def open_url(
    url: str,
    /,
    *,
    profile: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    session_token: str | None = None,
    anonymous: bool = False,
    path_style: bool | None = None,
    accelerate: bool = False,
    dualstack: bool = False,
    fips: bool = False,
    payload_signing: bool = False,
    connect_timeout_s: float | None = None,
    read_timeout_s: float | None = None,
    request_payer: str | None = None,
    expected_bucket_owner: str | None = None,
    customer_key: bytes | None = None,
    limits: Limits | None = None,
) -> tuple[Driver, str]:
    """The driver and the prefix that `s3://bucket/prefix` means; the bucket may be the ARN of an access point.

    - `profile`, `region`, `endpoint_url`: as boto3 has them; what is not given is taken from where boto3 looks.
    - `access_key_id`, `secret_access_key`, `session_token`: else the credentials that boto3 finds, refreshed when they
      age. A pickled driver carries what it was given, and looks anew where it was given nothing. `anonymous`: requests
      are not signed.
    - `path_style`: True, the bucket goes into the path; False, before the host; None, wherever boto3 puts it.
      `accelerate`, `dualstack`, `fips`: those endpoints of AWS's.
    - `payload_signing`: the SHA-256 of bodies is signed too, which costs a pass over them. A store that wants it is
      given it anyway.
    - `connect_timeout_s` (10), `read_timeout_s` (60): seconds until there is a connection, and without a byte that
      moves.
    - `request_payer`: "requester" pays for every request. `expected_bucket_owner`: the account, of 12 digits, that the
      bucket must belong to. `customer_key`: 32 bytes that encrypt all objects (SSE-C).

    Nothing is asked of the service yet. Raises ValueError for what does not fit together, and says what to give.
    """
    bucket, prefix = split_url(url)
    place = place_of(
        bucket,
        account=Account(profile, access_key_id, secret_access_key, session_token, anonymous),
        region=region,
        endpoint_url=endpoint_url,
        path_style=path_style,
        accelerate=accelerate,
        dualstack=dualstack,
        fips=fips,
        payload_signing=payload_signing,
    )
    driver = S3Driver.at(
        place,
        connect_timeout_s=connect_timeout_s,
        read_timeout_s=read_timeout_s,
        request_payer=request_payer,
        expected_bucket_owner=expected_bucket_owner,
        customer_key=customer_key,
        limits=limits,
    )
    return driver, prefix
