"""Which URL an object has: the path is encoded by what signs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import oss2

from storage_guard.driver import Refused
from storage_guard.wire.signing import canonical_path, key_path
from storage_guard_oss.endpoints import check_bucket, endpoint_of

Style = Literal["host", "path", "domain"]
"""Where the bucket stands: before the endpoint's host, in the path, or nowhere, because the domain is its own."""


@dataclass(frozen=True)
class Address:
    """`endpoint` has a scheme, a host and perhaps a port; `bucket` is the one that is meant if none is named."""

    endpoint: str
    bucket: str
    style: Style

    def url(self, key: str, bucket: str | None = None) -> str:
        """Without a query; an empty key is the bucket itself. Raises `Refused` for another bucket that is none."""
        if bucket is None or bucket == self.bucket:
            bucket = self.bucket
        else:
            try:
                check_bucket(bucket)
            except ValueError as exc:
                raise Refused(str(exc), why="request") from exc
        if self.style == "path":
            return f"{self.endpoint}{canonical_path(bucket, key)}"
        if self.style == "domain":
            return f"{self.endpoint}{key_path(key)}"
        scheme, _, host = self.endpoint.partition("://")
        return f"{scheme}://{bucket}.{host}{key_path(key)}"


def address_of(bucket: oss2.Bucket) -> Address:
    """As oss2 does it: an IP address or localhost cannot have a bucket's name before it. Raises ValueError."""
    endpoint = endpoint_of(bucket.endpoint)
    made = bucket._make_url  # noqa: SLF001 - nothing public tells it
    style: Style = "host"
    if oss2.utils.is_ip_or_localhost(endpoint.host):
        style = "path"
    elif made.is_cname:
        style = "domain"
    elif made.is_path_style:
        style = "path"
    return Address(endpoint.url, bucket.bucket_name, style)
