"""OSS signatures, versions 1 and 4, in headers and in URLs.

The rules: help.aliyun.com/document_detail/31951.html (version 1), /31952.html (version 1 in a URL), and
help.aliyun.com/en/oss/developer-reference/recommend-to-use-signature-version-4.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.dates import basic_time, http_time, iso_date
from storage_guard.testing.server.macs import fields_of, same, signing_key
from storage_guard.testing.server.refusals import Refusal, invalid

_V4 = "OSS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_MAX_EXPIRES_S = 7 * 24 * 3600

# What version 1 signs of a query.
_SIGNED_IN_V1 = frozenset(
    (
        *("accessPoint", "accessPointPolicy", "acl", "append", "asyncFetch", "bucketArchiveDirectRead", "bucketInfo"),
        *("callback", "callback-var", "cloudboxes", "cname", "comp", "continuation-token", "cors", "delete"),
        *("encryption", "endTime", "group", "httpsConfig", "img", "inventory", "inventoryId", "lifecycle", "link"),
        *("live", "location", "logging", "metaQuery", "objectInfo", "objectMeta", "partNumber", "policy", "position"),
        *("publicAccessBlock", "qos", "qosInfo", "qosRequester", "redundancyTransition", "referer", "regionList"),
        *("replication", "replicationLocation", "replicationProgress", "requestPayment", "requesterQosInfo"),
        *("resourceGroup", "resourcePool", "resourcePoolBuckets", "resourcePoolInfo", "response-cache-control"),
        *("response-content-disposition", "response-content-encoding", "response-content-language"),
        *("response-content-type", "response-expires", "restore", "security-token", "sequential", "startTime"),
        *("stat", "status", "style", "styleName", "symlink", "tagging", "transferAcceleration", "uploadId"),
        *("uploads", "versionId", "versioning", "versions", "vod", "website", "worm", "wormExtend", "wormId"),
        *("x-oss-ac-forward-allow", "x-oss-ac-source-ip", "x-oss-ac-subnet-mask", "x-oss-ac-vpc-id"),
        *("x-oss-access-point-name", "x-oss-async-process", "x-oss-process", "x-oss-redundancy-transition-taskid"),
        *("x-oss-request-payer", "x-oss-target-redundancy-type"),
        *("x-oss-traffic-limit", "x-oss-write-get-object-response"),
    )
)


@dataclass(frozen=True, slots=True)
class Verifier:
    """Says whose a request is. `skew_s`: how far the time in a signature may be from ours, in seconds."""

    credentials: Credentials
    region: str
    skew_s: int = 900

    def whose(self, call: Call, now: datetime) -> Credential:
        """Raises: Refusal, for one without a signature too."""
        authorization = call.request.headers.get("authorization", "")
        if authorization.startswith("OSS "):
            return self._v1_header(call, authorization[4:], now)
        if authorization.startswith(f"{_V4} "):
            return self._v4_header(call, authorization[len(_V4) + 1 :], now)
        if authorization.startswith("OSS2 ") or call.params.get("x-oss-signature-version") == "OSS2":
            raise Refusal("NotImplemented", "Signatures of version 2 are not read here.")
        if authorization:
            raise invalid("Authorization", authorization)
        if call.params.get("x-oss-signature-version") == _V4:
            return self._v4_url(call, now)
        if "Signature" in call.params and "OSSAccessKeyId" in call.params:
            return self._v1_url(call, now)
        raise Refusal("AccessDenied", "Nobody may do that without a signature.")

    def _v1_header(self, call: Call, given: str, now: datetime) -> Credential:
        access_key_id, _, signature = given.partition(":")
        headers = call.request.headers
        # The successor of oss2 sends the token of a version 1 signature as `security-token`, and does not sign it.
        token = headers.get("x-oss-security-token") or headers.get("security-token")
        credential = self._known(access_key_id, token, now)
        date = headers.get("x-oss-date") or headers.get("date", "")
        self._check_skew(http_time(date) or basic_time(date), now)
        return _v1_agrees(call, credential, date, signature)

    def _v1_url(self, call: Call, now: datetime) -> Credential:
        credential = self._known(call.params["OSSAccessKeyId"], call.params.get("security-token"), now)
        expires = call.params.get("Expires", "")
        if not (expires.isascii() and expires.isdigit() and len(expires) < 12):
            raise Refusal("AccessDenied", "Invalid date: Expires wants seconds since 1970.", ec="0002-00000070")
        _check_expired(datetime.fromtimestamp(int(expires), UTC), now)
        return _v1_agrees(call, credential, expires, call.params["Signature"])

    def _v4_header(self, call: Call, given: str, now: datetime) -> Credential:
        fields = fields_of(given)
        headers = call.request.headers
        if headers.get("x-oss-content-sha256") != _UNSIGNED:
            raise invalid("x-oss-content-sha256", headers.get("x-oss-content-sha256", ""))
        access_key_id, scope = _scope(fields.get("Credential", ""))
        credential = self._known(access_key_id, headers.get("x-oss-security-token"), now)
        date = headers.get("x-oss-date", "")
        # Without x-oss-date the Date header counts.
        time = basic_time(date) if date else http_time(headers.get("date", ""))
        self._check_skew(time, now)
        date = date or ("" if time is None else f"{time:%Y%m%dT%H%M%SZ}")
        self._check_scope(scope, date)
        more = fields.get("AdditionalHeaders", "")
        canonical = _canonical(call, more, left_out="")
        return _v4_agrees(credential, scope, date, canonical, fields.get("Signature", ""))

    def _v4_url(self, call: Call, now: datetime) -> Credential:
        access_key_id, scope = _scope(call.params.get("x-oss-credential", ""))
        credential = self._known(access_key_id, call.params.get("x-oss-security-token"), now)
        date = call.params.get("x-oss-date", "")
        time = basic_time(date)
        expires = call.params.get("x-oss-expires", "")
        if time is None or not (expires.isascii() and expires.isdigit() and 0 < len(expires) < 7):
            raise Refusal("AccessDenied", "Invalid date or expiry in the URL.", ec="0002-00000070")
        if not 1 <= int(expires) <= _MAX_EXPIRES_S:
            raise invalid("x-oss-expires", expires)
        if time - now > timedelta(seconds=self.skew_s):
            raise Refusal("AccessDenied", "The URL is not valid yet.", ec="0002-00000235")
        _check_expired(time + timedelta(seconds=int(expires)), now)
        self._check_scope(scope, date)
        canonical = _canonical(call, call.params.get("x-oss-additional-headers", ""), left_out="x-oss-signature")
        return _v4_agrees(credential, scope, date, canonical, call.params.get("x-oss-signature", ""))

    def _known(self, access_key_id: str, token: str | None, now: datetime) -> Credential:
        credential = self.credentials.get(access_key_id)
        # A temporary key without its token, and a token beside a lasting key, are both "no such key":
        # help.aliyun.com/zh/oss/support/0002-00000002
        if credential is None or (credential.token is None) != (not token):
            raise Refusal("InvalidAccessKeyId", more={"OSSAccessKeyId": access_key_id})
        if credential.token is not None and token is not None:
            if not same(credential.token, token):
                raise Refusal("InvalidSecurityToken")
            if credential.expires is not None and now >= credential.expires:
                raise Refusal("SecurityTokenExpired")
        return credential

    def _check_skew(self, time: datetime | None, now: datetime) -> None:
        if time is None:
            raise Refusal("AccessDenied", "A signature needs a valid date.", ec="0002-00000505")
        if abs((now - time).total_seconds()) > self.skew_s:
            more = {
                "MaxAllowedSkewMilliseconds": str(self.skew_s * 1000),
                "RequestTime": iso_date(time),
                "ServerTime": iso_date(now),
            }
            raise Refusal("RequestTimeTooSkewed", more=more)

    def _check_scope(self, scope: str, date: str) -> None:
        day, region, product, kind = scope.split("/")
        if (day, region, product, kind) != (date[:8], self.region, "oss", "aliyun_v4_request"):
            message = f"The scope should be {date[:8]}/{self.region}/oss/aliyun_v4_request."
            raise invalid("Credential", scope, message, ec="0002-00000213")


def _scope(credential: str) -> tuple[str, str]:
    access_key_id, _, scope = credential.partition("/")
    if scope.count("/") != 3:
        raise invalid("Credential", credential, ec="0002-00000213")
    return access_key_id, scope


def _check_expired(expires: datetime, now: datetime) -> None:
    if now > expires:
        more = {"Expires": iso_date(expires), "ServerTime": iso_date(now)}
        raise Refusal("AccessDenied", "The URL has expired.", ec="0002-00000069", more=more)


def _v1_agrees(call: Call, credential: Credential, date: str, signature: str) -> Credential:
    headers = call.request.headers
    signed = sorted(name for name in headers if name.startswith("x-oss-"))
    resource = f"/{call.bucket}/{call.key or ''}" if call.bucket else "/"
    if call.pairs:
        query = sorted((name, value) for name, value in call.pairs if name in _SIGNED_IN_V1)
        if query:
            resource += "?" + "&".join(f"{name}={value}" if value else name for name, value in query)
    head = "\n".join(
        (
            call.request.method,
            headers.get("content-md5", ""),
            headers.get("content-type", ""),
            date,
            *(f"{name}:{headers[name]}" for name in signed),
            "",
        )
    )
    to_sign = head.encode("latin-1", "replace") + resource.encode()
    ours = b64encode(hmac.digest(credential.secret.encode(), to_sign, "sha1")).decode("ascii")
    if not same(ours, signature):
        raise _mismatch(credential, signature, to_sign, {}, ec="0002-00000040")
    return credential


def _canonical(call: Call, more: str, *, left_out: str) -> bytes:
    headers = call.request.headers
    extra = frozenset(more.split(";")) if more else frozenset[str]()
    signed = sorted(
        name
        for name in headers
        if name.startswith("x-oss-") or name in {"content-type", "content-md5"} or name in extra
    )
    uri = f"/{call.bucket}/{call.key or ''}" if call.bucket else "/"
    query = ""
    if call.pairs:
        encoded = sorted(
            (quote(name, safe=""), quote(value, safe="")) for name, value in call.pairs if name != left_out
        )
        query = "&".join(f"{name}={value}" if value else name for name, value in encoded)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in signed)
    return b"\n".join(
        (
            call.request.method.encode(),
            quote(uri).encode(),
            query.encode(),
            lines.encode("latin-1", "replace"),
            ";".join(sorted(extra)).encode("latin-1", "replace"),
            headers.get("x-oss-content-sha256", _UNSIGNED).encode("latin-1", "replace"),
        )
    )


def _v4_agrees(credential: Credential, scope: str, date: str, canonical: bytes, signature: str) -> Credential:
    to_sign = f"{_V4}\n{date}\n{scope}\n{hashlib.sha256(canonical).hexdigest()}".encode()
    ours = hmac.digest(signing_key("aliyun_v4", credential.secret, scope), to_sign, "sha256").hex()
    if not same(ours, signature):
        more = {"CanonicalRequest": canonical.decode("utf-8", "replace")}
        raise _mismatch(credential, signature, to_sign, more, ec="0002-00000201")
    return credential


def _mismatch(credential: Credential, signature: str, to_sign: bytes, more: Mapping[str, str], *, ec: str) -> Refusal:
    told = {
        "OSSAccessKeyId": credential.access_key_id,
        "SignatureProvided": signature,
        "StringToSign": to_sign.decode("utf-8", "replace"),
    }
    return Refusal("SignatureDoesNotMatch", ec=ec, more={**told, **more})
