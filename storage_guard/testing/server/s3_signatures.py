"""Signatures of version 4, in headers and in URLs, and what they say of the body.

docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, unquote_to_bytes

from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.dates import basic_time
from storage_guard.testing.server.macs import fields_of, same, signing_key
from storage_guard.testing.server.refusals import Refusal, invalid
from storage_guard.testing.server.s3_errors import bad_request

V4 = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
_MAX_EXPIRES_S = 7 * 24 * 3600
_BLANKS = re.compile(" +")


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that holds: what signs the chunks of a body goes on from it."""

    credential: Credential
    key: bytes
    date: str
    scope: str
    signature: str

    def go_on(self, kind: str, before: str, *hashes: str) -> str:
        """The signature of a piece of the body, behind the signature `before`."""
        to_sign = "\n".join((f"{V4}-{kind}", self.date, self.scope, before, *hashes))
        return hmac.digest(self.key, to_sign.encode(), "sha256").hex()


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a request says of its signature."""

    access_key_id: str
    scope: str
    date: str
    signed: tuple[str, ...]
    signature: str
    in_url: bool


@dataclass(frozen=True, slots=True)
class Verifier:
    """Says whose a request is. `skew_s`: how far the time in a signature may be from ours, in seconds."""

    credentials: Credentials
    region: str
    skew_s: int = 900

    def signed(self, call: Call, now: datetime) -> Signed:
        """Raises: Refusal, for one without a signature too."""
        authorization = call.request.headers.get("authorization", "")
        if authorization.startswith(f"{V4} "):
            return self._in_header(call, authorization[len(V4) + 1 :], now)
        if authorization.startswith("AWS ") or "AWSAccessKeyId" in call.params:
            raise bad_request(f"Signatures of version 2 are not read here: use {V4}.")
        if authorization:
            raise invalid("Authorization", authorization, "This kind of authorization is not read here.")
        if "X-Amz-Algorithm" in call.params or "X-Amz-Signature" in call.params:
            return self._in_url(call, now)
        raise Refusal("AccessDenied", "Nobody may do that without a signature.")

    def _in_header(self, call: Call, text: str, now: datetime) -> Signed:
        fields = fields_of(text)
        headers = call.request.headers
        date = headers.get("x-amz-date", "")
        time = basic_time(date)
        if time is None:
            raise Refusal("AccessDenied", "A signature needs a valid x-amz-date.")
        claim = _claim(fields, "", date, in_url=False)
        if "x-amz-content-sha256" not in headers:
            raise bad_request("The header x-amz-content-sha256 is missing.")
        self._check_scope(claim)
        if abs((now - time).total_seconds()) > self.skew_s:
            more = {"RequestTime": date, "MaxAllowedSkewMilliseconds": str(self.skew_s * 1000)}
            raise Refusal("RequestTimeTooSkewed", more={**more, "ServerTime": _iso(now)})
        credential = self._known(claim, headers.get("x-amz-security-token"), now)
        return _agrees(call, credential, claim, headers["x-amz-content-sha256"])

    def _in_url(self, call: Call, now: datetime) -> Signed:
        params = call.params
        if params.get("X-Amz-Algorithm") != V4:
            raise Refusal("AuthorizationQueryParametersError", f"X-Amz-Algorithm must be {V4}.")
        date, expires = params.get("X-Amz-Date", ""), params.get("X-Amz-Expires", "")
        time = basic_time(date)
        if time is None:
            raise Refusal("AuthorizationQueryParametersError", "X-Amz-Date must be as in 20221220T084818Z.")
        if not (expires.isascii() and expires.isdigit() and len(expires) < 7 and 1 <= int(expires) <= _MAX_EXPIRES_S):
            raise Refusal("AuthorizationQueryParametersError", f"X-Amz-Expires is from 1 to {_MAX_EXPIRES_S}.")
        claim = _claim(params, "X-Amz-", date, in_url=True)
        self._check_scope(claim)
        if time - now > timedelta(seconds=self.skew_s):
            raise Refusal("AccessDenied", "The URL is not valid yet.")
        end = time + timedelta(seconds=int(expires))
        if now > end:
            more = {"X-Amz-Expires": expires, "Expires": _iso(end), "ServerTime": _iso(now)}
            raise Refusal("AccessDenied", "The URL has expired.", more=more)
        credential = self._known(claim, params.get("X-Amz-Security-Token"), now)
        return _agrees(call, credential, claim, call.request.headers.get("x-amz-content-sha256", UNSIGNED))

    def _known(self, claim: _Claim, token: str | None, now: datetime) -> Credential:
        credential = self.credentials.get(claim.access_key_id)
        # A temporary key without its token is no key.
        if credential is None or (credential.token is not None and not token):
            raise Refusal("InvalidAccessKeyId", more={"AWSAccessKeyId": claim.access_key_id})
        if token and (credential.token is None or not same(credential.token, token)):
            raise Refusal("InvalidToken", more={"Token-0": token})
        if credential.expires is not None and now >= credential.expires:
            raise Refusal("ExpiredToken", more={"Token-0": token or ""})
        return credential

    def _check_scope(self, claim: _Claim) -> None:
        code = "AuthorizationQueryParametersError" if claim.in_url else "AuthorizationHeaderMalformed"
        day, region, service, kind = claim.scope.split("/")
        if (day, service, kind) != (claim.date[:8], "s3", "aws4_request"):
            raise Refusal(code, f"The scope should be {claim.date[:8]}/{self.region}/s3/aws4_request.")
        if region != self.region:
            message = f"The region '{region}' is wrong; expecting '{self.region}'"
            raise Refusal(code, message, more={"Region": self.region})


def _claim(fields: Mapping[str, str], prefix: str, date: str, *, in_url: bool) -> _Claim:
    code = "AuthorizationQueryParametersError" if in_url else "AuthorizationHeaderMalformed"
    names = [f"{prefix}{name}" for name in ("Credential", "SignedHeaders", "Signature")]
    missing = [name for name in names if not fields.get(name)]
    if missing:
        raise Refusal(code, f"{missing[0]} is missing.")
    credential, signed, signature = (fields[name] for name in names)
    access_key_id, _, scope = credential.rpartition("/aws4_request")[0].rpartition("/s3")[0].rpartition("/")
    access_key_id, _, day = access_key_id.rpartition("/")
    whole = f"{day}/{scope}/s3/aws4_request"
    if credential != f"{access_key_id}/{whole}" or not access_key_id:
        raise Refusal(code, "The credential is not <key id>/<date>/<region>/s3/aws4_request.")
    return _Claim(access_key_id, whole, date, tuple(signed.split(";")), signature, in_url)


def _agrees(call: Call, credential: Credential, claim: _Claim, payload: str) -> Signed:
    headers = call.request.headers
    unsigned = [
        name
        for name in headers
        if (name.startswith("x-amz-") or name in {"host", "content-md5"}) and name not in claim.signed
    ]
    if claim.in_url and "x-amz-content-sha256" in unsigned:
        unsigned.remove("x-amz-content-sha256")  # it is in the canonical request by itself
    if unsigned:
        more = {"HeadersNotSigned": ", ".join(unsigned)}
        raise Refusal("AccessDenied", "There were headers present in the request which were not signed", more=more)
    canonical = _canonical(call, claim, payload)
    to_sign = f"{V4}\n{claim.date}\n{claim.scope}\n{hashlib.sha256(canonical).hexdigest()}"
    key = signing_key("AWS4", credential.secret, claim.scope)
    ours = hmac.digest(key, to_sign.encode(), "sha256").hex()
    if not same(ours, claim.signature):
        more = {
            "AWSAccessKeyId": credential.access_key_id,
            "StringToSign": to_sign,
            "SignatureProvided": claim.signature,
            "StringToSignBytes": to_sign.encode().hex(" "),
            "CanonicalRequest": canonical.decode("utf-8", "replace"),
            "CanonicalRequestBytes": canonical.hex(" "),
        }
        raise Refusal("SignatureDoesNotMatch", more=more)
    return Signed(credential, key, claim.date, claim.scope, ours)


def _canonical(call: Call, claim: _Claim, payload: str) -> bytes:
    headers = call.request.headers
    query = ""
    if call.pairs:
        left_out = "X-Amz-Signature" if claim.in_url else None
        encoded = sorted(
            (quote(name, safe="~"), quote(value, safe="~")) for name, value in call.pairs if name != left_out
        )
        query = "&".join(f"{name}={value}" for name, value in encoded)
    # A header that is signed and did not come counts as empty.
    lines = "".join(f"{name}:{_BLANKS.sub(' ', headers.get(name, '').strip())}\n" for name in claim.signed)
    return b"\n".join(
        (
            call.request.method.encode(),
            # What came is decoded and encoded again, so that the way it was encoded does not matter.
            quote(unquote_to_bytes(call.request.raw_path.encode("latin-1")), safe="/~").encode(),
            query.encode(),
            lines.encode("latin-1", "replace"),
            ";".join(claim.signed).encode("latin-1", "replace"),
            payload.encode("latin-1", "replace"),
        )
    )


def _iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
