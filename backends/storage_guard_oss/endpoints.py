"""Endpoints, regions and bucket names. Pure.

A standard endpoint is `oss-<region>.aliyuncs.com`, or `oss-<region>-internal.aliyuncs.com` within the region.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_STANDARD = re.compile(r"oss-(?P<region>[a-z]{2}-[a-z]+(?:-\d)?)(?:-internal)?\.aliyuncs\.com")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z0-9]+)+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_HOST = re.compile(r"[a-z0-9_.-]+")  # oss2 takes no IPv6 address


@dataclass(frozen=True)
class Endpoint:
    """Where the service is. `url` has a scheme, a host and perhaps a port, and nothing else."""

    url: str
    host: str

    @property
    def region(self) -> str | None:
        """The region in the name of a standard endpoint."""
        found = _STANDARD.fullmatch(self.host)
        return found["region"] if found else None

    @property
    def service(self) -> str:
        """The same for all endpoints of one service: a standard one's public name, else host and port."""
        if self.region is not None:
            return f"oss-{self.region}.aliyuncs.com"
        return self.url.partition("://")[2]


def endpoint_of(text: str) -> Endpoint:
    """From what a user gives; without a scheme it is https. Raises ValueError."""
    whole = text.strip() if "://" in text else f"https://{text.strip()}"
    parts = urlsplit(whole)
    host = (parts.hostname or "").lower()
    if "@" in parts.netloc:
        raise ValueError("an endpoint holds no credentials: give them as access_key_id and access_key_secret")
    try:
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"the port of the endpoint {text!r} is no number") from exc
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise ValueError(f"want an endpoint like oss-cn-hangzhou.aliyuncs.com or http://host:port, got {text!r}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"an endpoint is a host, perhaps with a port, got {text!r}")
    usual = {"http": 80, "https": 443}[parts.scheme]
    tail = "" if port in (None, usual) else f":{port}"
    return Endpoint(f"{parts.scheme}://{host}{tail}", host)


def standard(region: str, *, internal: bool) -> Endpoint:
    """The endpoint of a region. Raises ValueError."""
    check_region(region)
    return endpoint_of(f"https://oss-{region}{'-internal' if internal else ''}.aliyuncs.com")


def check_region(region: str) -> None:
    """Raises ValueError."""
    if region.startswith("oss-") or not _REGION.fullmatch(region):
        raise ValueError(f"want a region like cn-hangzhou, got {region!r}")


def check_bucket(name: str) -> None:
    """Raises ValueError unless it has 3 to 63 of a-z, 0-9 and, not at its ends, hyphens."""
    if not _BUCKET.fullmatch(name):
        raise ValueError(f"a bucket has 3 to 63 of a-z, 0-9 and inner hyphens in its name, got {name!r}")


def where(endpoint: str | None, region: str | None, *, internal: bool) -> tuple[Endpoint, str | None]:
    """The endpoint and the region, each found from the other if it is a standard one. Raises ValueError."""
    if region is not None:
        check_region(region)
    if endpoint is None:
        if region is None:
            raise ValueError("give region= (like cn-hangzhou) or endpoint= (like oss-cn-hangzhou.aliyuncs.com)")
        return standard(region, internal=internal), region
    if internal:
        raise ValueError("internal=True goes with region=; an endpoint is taken as it is given")
    found = endpoint_of(endpoint)
    if region is not None and found.region is not None and found.region != region:
        raise ValueError(f"the endpoint {endpoint!r} is in the region {found.region}, not in {region}")
    return found, region or found.region
