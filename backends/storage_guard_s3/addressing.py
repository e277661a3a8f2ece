"""Which URL an object has, and who signs for it: the client's own endpoint rules say it.

The rules (botocore's, from AWS's own) know about virtual-hosted buckets and paths, regions, dualstack, FIPS,
acceleration, access points and custom endpoints. Buckets with a dot in their name go into the path over TLS, because no
certificate covers them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError

from storage_guard.wire.signing import SigV4Signer, key_path
from storage_guard_s3.hosts import DOCUMENTED, MISSING, Host, host_of

_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")
_ARN = re.compile(r"arn:[a-z-]+:s3[a-z-]*:[a-z0-9-]*:\d{12}:[A-Za-z0-9._/:-]{1,300}")
_USUAL_PORTS = {"http": 80, "https": 443}
_KEPT = 64


@dataclass(frozen=True)
class Address:
    """Where a bucket is. `host` as it is sent and signed; `path`, encoded, stands before the slash of every key."""

    bucket: str
    scheme: str
    host: str
    path: str
    of: Host
    signer: SigV4Signer | None = field(repr=False)
    """None: what the endpoint wants signed cannot be; `trouble` says why."""
    trouble: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """That the rules want with every request."""

    def url(self, key: str) -> str:
        """Without a query; an empty key is the bucket itself."""
        return f"{self.scheme}://{self.host}{self.path}{key_path(key)}"

    @property
    def service(self) -> str:
        """The same for all buckets that the service can copy between by itself."""
        if self.of.kind in DOCUMENTED and self.signer is not None:
            return f"s3.{self.signer.region}"
        if self.path:
            return f"{self.host}{self.path.rpartition('/')[0]}"
        return self.host.removeprefix(f"{self.bucket}.")


class Addresses:
    """Finds and keeps the addresses of buckets. Thread-safe."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._rules: Any = getattr(client, "_ruleset_resolver", None)
        if self._rules is None:
            raise ValueError("this version of botocore has no endpoint rules: want boto3 1.36 or newer")
        self._lock = threading.Lock()
        self._known: dict[str, Address] = {}

    def find(self, bucket: str) -> Address:
        """Raises ValueError for a bucket, or for settings of the client's, that do not lead to an address."""
        with self._lock:
            known = self._known.get(bucket)
        if known is not None:
            return known
        check_bucket(bucket)
        found = self._found(bucket)
        with self._lock:
            if len(self._known) >= _KEPT:
                self._known.pop(next(iter(self._known)))
            self._known[bucket] = found
        return found

    def _found(self, bucket: str) -> Address:
        meta = self._client.meta
        arguments = {"Bucket": bucket, "Key": "key"}
        try:
            found = self._rules.construct_endpoint(
                operation_model=meta.service_model.operation_model("HeadObject"),
                call_args=arguments,
                request_context={
                    "client_region": meta.region_name,
                    "client_config": meta.config,
                    "s3_redirect": {"redirected": False, "bucket": bucket, "params": arguments},
                },
            )
        except BotoCoreError as exc:
            raise ValueError(f"the client has no endpoint for the bucket {bucket!r}: {exc}") from exc
        parts = urlsplit(str(found.url))
        host = (parts.hostname or "").lower()
        if parts.scheme not in _USUAL_PORTS or not host or parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("an endpoint_url is http(s)://host[:port][/path], without credentials")
        shown = f"[{host}]" if ":" in host else host
        if parts.port not in (None, _USUAL_PORTS[parts.scheme]):
            shown = f"{shown}:{parts.port}"
        path, of = parts.path.rstrip("/"), host_of(host)
        signer, trouble = _signer(found.properties.get("authSchemes") or [], meta.region_name, path)
        return Address(
            bucket, parts.scheme, shown, path, of, signer, MISSING.get(of.kind, trouble), dict(found.headers)
        )


def check_bucket(name: str) -> None:
    """Raises ValueError for what is neither a bucket's name nor an ARN."""
    if name in (".", "..") or not (_BUCKET.fullmatch(name) or _ARN.fullmatch(name)):
        raise ValueError(f"want the name of a bucket or the ARN of an access point, got {name!r}")


def _signer(schemes: list[dict[str, Any]], region: str | None, path: str) -> tuple[SigV4Signer | None, str]:
    named = {each.get("name"): each for each in schemes}
    if "sigv4-s3express" in named:
        raise ValueError("directory buckets (S3 Express One Zone) are not supported: they want sessions signed")
    found = named.get("sigv4")
    if found is None and schemes:
        return None, f"its requests are signed with {', '.join(sorted(map(str, named)))}, which is not supported here"
    scheme = found or {}
    where = scheme.get("signingRegion") or region or "us-east-1"
    return SigV4Signer(where, scheme.get("signingName") or "s3", base_path=path), ""
