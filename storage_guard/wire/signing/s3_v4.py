"""AWS signatures, version 4, as S3 wants them.

The rules: docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html (in headers) and
sigv4-query-string-auth.html (in URLs). Unlike other services S3 wants paths as they are, encoded once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from storage_guard.wire.signing.credentials import Credentials
from storage_guard.wire.signing.daykeys import DayKeys
from storage_guard.wire.signing.encoding import key_path, percent_encoded
from storage_guard.wire.signing.fields import check_method, header_fields
from storage_guard.wire.signing.signer import Unsigned
from storage_guard.wire.signing.stamps import basic_stamp

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256().hexdigest()
MAX_EXPIRES_S = 7 * 24 * 3600  # of a URL

_TERMINATOR = "aws4_request"
_SCOPE_PART = re.compile(r"[A-Za-z0-9_-]+")
# What the way may change, or a client may add behind the signer's back: the same that AWS's own clients leave out.
_NEVER_SIGNED = frozenset(
    (
        *("authorization", "baggage", "connection", "expect", "keep-alive", "proxy-authenticate"),
        *("proxy-authorization", "te", "traceparent", "tracestate", "trailer", "transfer-encoding", "upgrade"),
        *("user-agent", "x-amzn-trace-id"),
    )
)


class SigV4Signer:
    """Signs for one region, such as "eu-central-1", and one service of S3's kind ("s3-outposts", "s3-object-lambda").

    Of a request's `bucket` the path begins; it is empty where the host names the bucket. The headers hold `host`, as it
    is sent, and all of them are signed but for those that may change on the way. The body is covered by a header
    `x-amz-content-sha256`, its SHA-256 in hexadecimal; without one it is not signed (UNSIGNED-PAYLOAD). A `date` among
    the headers is not sent.

    `base_path`: what stands before the bucket, encoded, if the service is not at the root of its host.

    Raises ValueError for a region or service with characters that would take the scope apart, and for "s3express",
    which wants sessions in place of credentials.
    """

    __slots__ = ("_keys", "base_path", "region", "service")

    def __init__(self, region: str, service: str = "s3", *, base_path: str = "") -> None:
        if not (_SCOPE_PART.fullmatch(region) and _SCOPE_PART.fullmatch(service)):
            raise ValueError(f"no signature has the region {region!r} and the service {service!r}")
        if service == "s3express":
            raise ValueError("s3express (directory buckets) signs with sessions, which is not supported here")
        self.region = region
        self.service = service
        self.base_path = base_path
        self._keys = DayKeys("AWS4", region, service, _TERMINATOR)

    def sign(self, request: Unsigned, credentials: Credentials, at: datetime) -> dict[str, str]:
        """As `Signer.sign` says."""
        stamp = basic_stamp(at)
        fields = header_fields(request.headers)
        fields.pop("date", None)
        fields["x-amz-date"] = stamp
        fields.setdefault("x-amz-content-sha256", UNSIGNED_PAYLOAD)
        if credentials.security_token:
            fields["x-amz-security-token"] = credentials.security_token
        day_key = self._keys.of(credentials, stamp[:8])
        names, named = _signed_names(tuple(fields))
        signature = day_key.signature(ALGORITHM, stamp, canonical_request(request, fields, names, self.base_path))
        fields["authorization"] = (
            f"{ALGORITHM} Credential={credentials.access_key_id}/{day_key.scope}, SignedHeaders={named}, "
            f"Signature={signature}"
        )
        return fields

    def presign(self, request: Unsigned, credentials: Credentials, at: datetime, expires_s: int) -> str:
        """As `Signer.presign` says. `expires_s`: 1 to `MAX_EXPIRES_S`."""
        if not 1 <= expires_s <= MAX_EXPIRES_S:
            raise ValueError(f"a URL is valid for 1 to {MAX_EXPIRES_S} seconds, not {expires_s}")
        stamp = basic_stamp(at)
        fields = header_fields(request.headers)
        day_key = self._keys.of(credentials, stamp[:8])
        names, named = _signed_names(tuple(fields))
        query = dict(request.params)
        query["X-Amz-Algorithm"] = ALGORITHM
        query["X-Amz-Credential"] = f"{credentials.access_key_id}/{day_key.scope}"
        query["X-Amz-Date"] = stamp
        query["X-Amz-Expires"] = str(expires_s)
        query["X-Amz-SignedHeaders"] = named
        if credentials.security_token:
            query["X-Amz-Security-Token"] = credentials.security_token
        signed = canonical_request(request._replace(params=query), fields, names, self.base_path)
        query["X-Amz-Signature"] = day_key.signature(ALGORITHM, stamp, signed)
        return "&".join([f"{percent_encoded(name)}={percent_encoded(value or '')}" for name, value in query.items()])


def object_path(bucket: str, key: str) -> str:
    """What stands in a URL behind the host: `/bucket/key`, `/bucket` without a key, and `/key` where the host names the
    bucket. Raises ValueError for a lone surrogate."""
    if not bucket:
        return key_path(key)
    return f"/{percent_encoded(bucket)}{key_path(key)}" if key else f"/{percent_encoded(bucket)}"


def canonical_query(params: Mapping[str, str | None]) -> str:
    """As it is signed: sorted by encoded name, and each name with its "=". Raises ValueError for a lone surrogate."""
    if not params:
        return ""
    pairs = sorted([(percent_encoded(name), percent_encoded(value or "")) for name, value in params.items()])
    return "&".join([f"{name}={value}" for name, value in pairs])


def canonical_request(request: Unsigned, fields: Mapping[str, str], names: list[str], base_path: str = "") -> bytes:
    """What is hashed and signed. S3 shows its own as `CanonicalRequest` when it refuses with SignatureDoesNotMatch.

    `fields`: all headers, as `header_fields` gives them. `names`: those of them that are signed, sorted.

    Raises ValueError where `host` is missing.
    """
    check_method(request.method)
    if "host" not in fields:
        raise ValueError("a request is signed for a host, and the header host is missing")
    lines = "".join([f"{name}:{fields[name]}\n" for name in names])
    if not lines.isascii() or "  " in lines or "\t" in lines:
        lines = "".join([f"{name}:{_single_spaced(fields[name])}\n" for name in names])
    path, query = f"{base_path}{object_path(request.bucket, request.key)}", canonical_query(request.params)
    payload = fields.get("x-amz-content-sha256", UNSIGNED_PAYLOAD)
    return f"{request.method}\n{path}\n{query}\n{lines}\n{';'.join(names)}\n{payload}".encode()


def _single_spaced(value: str) -> str:
    return " ".join(value.split())


@lru_cache(maxsize=256)  # requests of a kind have the same
def _signed_names(fields: tuple[str, ...]) -> tuple[list[str], str]:
    """Sorted; and as they are written."""
    names = sorted([name for name in fields if name not in _NEVER_SIGNED])
    return names, ";".join(names)
