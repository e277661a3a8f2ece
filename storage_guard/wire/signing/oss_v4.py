"""OSS signatures, version 4.

The rules: help.aliyun.com/en/oss/developer-reference/recommend-to-use-signature-version-4 (in headers) and
alibabacloud.com/help/en/oss/developer-reference/add-signatures-to-urls (in URLs).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from storage_guard.wire.signing.credentials import Credentials
from storage_guard.wire.signing.daykeys import DayKeys
from storage_guard.wire.signing.encoding import canonical_path, query_pair, query_string
from storage_guard.wire.signing.fields import check_method, header_fields
from storage_guard.wire.signing.signer import Unsigned
from storage_guard.wire.signing.stamps import basic_stamp

ALGORITHM = "OSS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
MAX_EXPIRES_S = 7 * 24 * 3600  # of a URL

_TERMINATOR = "aliyun_v4_request"
_OWN_PREFIX = "x-oss-"
_ALWAYS_SIGNED = frozenset(("content-md5", "content-type"))
_SCOPE_PART = re.compile(r"[A-Za-z0-9_-]+")


class OSSV4Signer:
    """Signs for one region, such as "cn-hangzhou". For a cloud box: its id as the region, and product "oss-cloudbox".

    Signed are all `x-oss-*`, `content-type`, `content-md5`, and of `additional_headers` those that a request has.

    Raises ValueError for a region or product with characters that would take the scope apart.
    """

    __slots__ = ("_additional_headers", "_keys", "product", "region")

    def __init__(self, region: str, product: str = "oss", *, additional_headers: Collection[str] = ()) -> None:
        if not (_SCOPE_PART.fullmatch(region) and _SCOPE_PART.fullmatch(product)):
            raise ValueError(f"no signature has the region {region!r} and the product {product!r}")
        self.region = region
        self.product = product
        names = {name.lower() for name in additional_headers} - _ALWAYS_SIGNED
        self._additional_headers = tuple(sorted(name for name in names if not name.startswith(_OWN_PREFIX)))
        self._keys = DayKeys("aliyun_v4", region, product, _TERMINATOR)

    def sign(self, request: Unsigned, credentials: Credentials, at: datetime) -> dict[str, str]:
        """As `Signer.sign` says."""
        stamp = basic_stamp(at)
        fields = header_fields(request.headers)
        fields["x-oss-date"] = stamp
        fields["x-oss-content-sha256"] = UNSIGNED_PAYLOAD
        if credentials.security_token:
            fields["x-oss-security-token"] = credentials.security_token
        additional = self._additional(fields)
        day_key = self._keys.of(credentials, stamp[:8])
        signature = day_key.signature(ALGORITHM, stamp, canonical_request(request, fields, additional))
        authorization = f"{ALGORITHM} Credential={credentials.access_key_id}/{day_key.scope}, Signature={signature}"
        if additional:
            authorization += f", AdditionalHeaders={';'.join(additional)}"
        fields["authorization"] = authorization
        return fields

    def presign(self, request: Unsigned, credentials: Credentials, at: datetime, expires_s: int) -> str:
        """As `Signer.presign` says. `expires_s`: 1 to `MAX_EXPIRES_S`."""
        if not 1 <= expires_s <= MAX_EXPIRES_S:
            raise ValueError(f"a URL is valid for 1 to {MAX_EXPIRES_S} seconds, not {expires_s}")
        stamp = basic_stamp(at)
        fields = header_fields(request.headers)
        additional = self._additional(fields)
        day_key = self._keys.of(credentials, stamp[:8])
        query = dict(request.params)
        if credentials.security_token:
            query["x-oss-security-token"] = credentials.security_token
        query["x-oss-date"] = stamp
        query["x-oss-expires"] = str(expires_s)
        query["x-oss-signature-version"] = ALGORITHM
        query["x-oss-credential"] = f"{credentials.access_key_id}/{day_key.scope}"
        if additional:
            query["x-oss-additional-headers"] = ";".join(additional)
        canonical = canonical_request(request._replace(params=query), fields, additional)
        query["x-oss-signature"] = day_key.signature(ALGORITHM, stamp, canonical)
        return "&".join([query_pair(name, value) for name, value in query.items()])

    def _additional(self, fields: Mapping[str, str]) -> Sequence[str]:
        return [name for name in self._additional_headers if name in fields] if self._additional_headers else ()


def canonical_request(request: Unsigned, fields: Mapping[str, str], additional: Sequence[str] = ()) -> bytes:
    """What is hashed and signed. OSS shows its own as `CanonicalRequest` when it refuses with SignatureDoesNotMatch.

    `fields`: all headers, as `header_fields` gives them. `additional`: further signed ones of them, sorted.
    """
    check_method(request.method)
    signed = sorted(
        [name for name in fields if name.startswith(_OWN_PREFIX) or name in _ALWAYS_SIGNED or name in additional]
    )
    lines = "".join([f"{name}:{fields[name]}\n" for name in signed])
    path, query = canonical_path(request.bucket, request.key), query_string(request.params)
    payload = fields.get("x-oss-content-sha256", UNSIGNED_PAYLOAD)
    return f"{request.method}\n{path}\n{query}\n{lines}\n{';'.join(additional)}\n{payload}".encode()
