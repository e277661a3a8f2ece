"""OSS signatures, version 1, for stores that know no newer one.

The rules: help.aliyun.com/document_detail/31951.html (in headers) and /31952.html (in URLs).
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime

from storage_guard.wire.signing.credentials import Credentials
from storage_guard.wire.signing.encoding import plain_path, query_pair
from storage_guard.wire.signing.fields import check_method, header_fields
from storage_guard.wire.signing.signer import Unsigned
from storage_guard.wire.signing.stamps import epoch_s, http_date

# What is signed of a query, as oss2 2.19 does it; the rest is sent unsigned.
SUBRESOURCES = frozenset(
    (
        # of a request to the service or to a bucket
        *("accessPoint", "accessPointPolicy", "acl", "asyncFetch", "bucketArchiveDirectRead", "bucketInfo", "cname"),
        *("comp", "continuation-token", "cors", "delete", "encryption", "endTime", "group", "httpsConfig"),
        *("inventory", "inventoryId", "lifecycle", "link", "live", "location", "logging", "metaQuery", "policy"),
        *("publicAccessBlock", "qos", "qosInfo", "qosRequester", "redundancyTransition", "referer", "regionList"),
        *("replication", "replicationLocation", "replicationProgress", "requestPayment", "requesterQosInfo"),
        *("resourceGroup", "resourcePool", "resourcePoolBuckets", "resourcePoolInfo", "startTime", "stat", "status"),
        *("style", "styleName", "transferAcceleration", "versioning", "versions", "vod", "website"),
        *("worm", "wormExtend", "wormId"),
        # of a request to an object
        *("append", "callback", "callback-var", "objectInfo", "objectMeta", "partNumber", "position", "restore"),
        *("sequential", "symlink", "tagging", "uploadId", "uploads", "versionId"),
        *("response-cache-control", "response-content-disposition", "response-content-encoding"),
        *("response-content-language", "response-content-type", "response-expires"),
        # of either
        *("security-token", "x-oss-ac-forward-allow", "x-oss-ac-source-ip", "x-oss-ac-subnet-mask"),
        *("x-oss-ac-vpc-id", "x-oss-access-point-name", "x-oss-async-process", "x-oss-process"),
        *("x-oss-redundancy-transition-taskid", "x-oss-request-payer", "x-oss-target-redundancy-type"),
        *("x-oss-traffic-limit", "x-oss-write-get-object-response"),
    )
)


class OSSV1Signer:
    """Signs for any region."""

    __slots__ = ()

    def sign(self, request: Unsigned, credentials: Credentials, at: datetime) -> dict[str, str]:
        """As `Signer.sign` says. An `x-oss-date` among the headers is signed in place of `at`."""
        fields = header_fields(request.headers)
        fields["date"] = date = http_date(at)
        if credentials.security_token:
            fields["x-oss-security-token"] = credentials.security_token
        signature = _signature(credentials, string_to_sign(request, fields, fields.get("x-oss-date") or date))
        fields["authorization"] = f"OSS {credentials.access_key_id}:{signature}"
        return fields

    def presign(self, request: Unsigned, credentials: Credentials, at: datetime, expires_s: int) -> str:
        """As `Signer.presign` says. `expires_s`: at least 1. No `x-oss-date` among the headers: a URL has an end."""
        if expires_s < 1:
            raise ValueError(f"a URL is valid for at least a second, not {expires_s}")
        fields = header_fields(request.headers)
        if "x-oss-date" in fields:
            raise ValueError("a URL of version 1 has its end signed in place of a date: x-oss-date cannot go with it")
        expires = str(epoch_s(at) + expires_s)
        query = dict(request.params)
        if credentials.security_token:
            query["security-token"] = credentials.security_token
        to_sign = string_to_sign(request._replace(params=query), fields, expires)
        query["OSSAccessKeyId"] = credentials.access_key_id
        query["Expires"] = expires
        query["Signature"] = _signature(credentials, to_sign)
        return "&".join([query_pair(name, value) for name, value in query.items()])


def string_to_sign(request: Unsigned, fields: Mapping[str, str], date: str) -> bytes:
    """What is signed. OSS shows its own as `StringToSign` when it refuses with SignatureDoesNotMatch.

    Path and query are signed as they are, not as they are sent. `fields`: all headers, as `header_fields` gives them.
    `date`: a date, or the second a URL expires.
    """
    check_method(request.method)
    own = sorted([name for name in fields if name.startswith("x-oss-")])
    lines = "".join([f"{name}:{fields[name]}\n" for name in own])
    resource = plain_path(request.bucket, request.key)
    params = request.params
    if params:
        signed = sorted([name for name in params if name in SUBRESOURCES])
        if signed:
            pairs = [f"{name}={value}" if (value := params[name]) else name for name in signed]
            resource += f"?{'&'.join(pairs)}"
    md5, content_type = fields.get("content-md5", ""), fields.get("content-type", "")
    return f"{request.method}\n{md5}\n{content_type}\n{date}\n{lines}{resource}".encode()


def _signature(credentials: Credentials, to_sign: bytes) -> str:
    return b64encode(hmac.digest(credentials.access_key_secret.encode(), to_sign, "sha1")).decode("ascii")
