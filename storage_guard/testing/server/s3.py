"""Amazon S3, as far as a client that creates objects can see it, and stores that only claim to be it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from storage_guard.testing.server.buckets import Buckets, is_bucket_name
from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.credentials import Credentials, require_allowed
from storage_guard.testing.server.exchange import Answer, Asked, Dialect, Receiving, Request
from storage_guard.testing.server.refusals import Refusal, Refusing, invalid, too_large
from storage_guard.testing.server.s3_checksums import PREFIX
from storage_guard.testing.server.s3_conditions import Guard
from storage_guard.testing.server.s3_errors import unsupported
from storage_guard.testing.server.s3_payload import STREAMS, payload_of
from storage_guard.testing.server.s3_receiving import GUARDED, HANDLERS, Document, Storage
from storage_guard.testing.server.s3_requests import CALLS
from storage_guard.testing.server.s3_service import OWNER_ID, Limits, Service, key_of
from storage_guard.testing.server.s3_signatures import Signed, Verifier
from storage_guard.testing.server.s3_switches import Switches

_CHECKSUMS = (PREFIX, "x-amz-sdk-checksum-algorithm", "x-amz-trailer")
_CONDITIONS = frozenset({"if-match", "if-none-match"})
_UNGUARDED = frozenset({"begin", "put_part", "copy_part"})  # they know no conditions, and drop none


class S3Dialect(Dialect):
    """S3 over `state`.

    `credentials`: who may call; without them nobody's signature is looked at, nor the hash of a body, and all is
    allowed. `endpoints`: a host `bucket.<one of these>` names a bucket; with any other host the path does. `switches`:
    what is done otherwise than AWS does it.
    """

    def __init__(
        self,
        state: Buckets,
        *,
        credentials: Credentials | None = None,
        region: str = "us-east-1",
        endpoints: Iterable[str] | None = None,
        limits: Limits | None = None,
        switches: Switches | None = None,
    ) -> None:
        limits = limits or Limits()
        self.state = state
        self.switches = switches or Switches()
        self._endpoints = endpoints_of(region) if endpoints is None else tuple(endpoints)
        self._service = Service(state, limits, self.switches, region)
        self._verifier = None if credentials is None else Verifier(credentials, region, limits.skew_s)
        self._seen: Call | None = None

    def asked(self, request: Request) -> Asked:
        return self._call(request).asked

    def receive(self, request: Request) -> Receiving:
        call = self._call(request)
        try:
            signed = self._admit(call)
            payload = payload_of(request, signed, unsigned_allowed=self.switches.unsigned_payload)
            if call.action == "put":
                most = self._expect_body(call, self._service.limits.put_bytes)
                return Storage(self._service, call, payload, Guard(call, self.state, self.switches), most)
            if call.action in _UNGUARDED and (condition := _CONDITIONS & request.headers.keys()):
                raise unsupported(min(condition))
            if call.action == "put_part":
                return Storage(
                    self._service, call, payload, None, self._expect_body(call, self._service.limits.part_bytes)
                )
            if call.action in GUARDED:
                return Document(self._service, call, payload, Guard(call, self.state, self.switches))
            if call.action not in HANDLERS:
                raise Refusal("NotImplemented")
            hidden = call.action in {"head", "read"} and not self._may_list(call, signed)
            return Document(self._service, call, payload, hidden=hidden)
        except Refusal as refusal:
            return Refusing(self._service.refuse, request, refusal)

    def refusal(self, request: Request, status: int, code: str) -> Answer:
        call = self._call(request)
        refusal = Refusal(code, status=status, more=_EXPECTED.get(code, {}))
        if code in {"PermanentRedirect", "TemporaryRedirect"}:
            refusal = _elsewhere(call, _OTHER_REGION, code, status)
        return self._service.refuse(request, refusal)

    def _call(self, request: Request) -> Call:
        seen = self._seen
        if seen is None or seen.request is not request:
            seen = self._seen = Call(request, self._endpoints, CALLS)
        return seen

    def _admit(self, call: Call) -> Signed | None:
        """Raises: Refusal."""
        signed = None if self._verifier is None else self._verifier.signed(call, self.state.now())
        if call.bucket and not is_bucket_name(call.bucket, dots=True):
            raise Refusal("InvalidBucketName", more={"BucketName": call.bucket})
        if call.bucket in self.switches.elsewhere:
            raise _elsewhere(call, self.switches.elsewhere[call.bucket], "PermanentRedirect", 301)
        if call.asked.member in self.switches.forbidden:
            raise Refusal("AccessDenied")
        headers = call.request.headers
        if headers.get("x-amz-expected-bucket-owner", OWNER_ID) != OWNER_ID:
            raise Refusal("AccessDenied", "The bucket is somebody else's.")
        if signed is not None:
            require_allowed(call, signed.credential, "x-amz-copy-source")
        if self.switches.checksums in {"invalid", "unsupported"}:
            for name in headers:
                if name.startswith(_CHECKSUMS):
                    raise self._unwanted(name, headers[name])
        return signed

    def _may_list(self, call: Call, signed: Signed | None) -> bool:
        may = None if signed is None else signed.credential.may
        return "scan" not in self.switches.forbidden and (may is None or may(Asked("scan", call.bucket)))

    def _unwanted(self, name: str, value: str) -> Refusal:
        if self.switches.checksums == "unsupported":
            return unsupported(name)
        return invalid(name, value, f"Unsupported header '{name}'.")

    def _expect_body(self, call: Call, most: int) -> int:
        """`most`, the bytes that a body may have. Raises: Refusal, for what can be said before it comes."""
        key_of(call)
        headers = call.request.headers
        in_chunks = headers.get("x-amz-content-sha256") in STREAMS
        text = headers.get("x-amz-decoded-content-length" if in_chunks else "content-length")
        if text is None:
            if "transfer-encoding" in headers:
                raise unsupported("Transfer-Encoding")
            raise Refusal("MissingContentLength")
        if int(text) > most:
            raise too_large(most, int(text))
        return most


def endpoints_of(region: str) -> tuple[str, ...]:
    """The names of the service, below which a bucket has its own."""
    names = (f"s3.{region}", f"s3.dualstack.{region}", f"s3-fips.{region}", f"s3-fips.dualstack.{region}", "s3")
    return (
        *(f"{name}.amazonaws.com" for name in names),
        "s3-accelerate.amazonaws.com",
        f"s3.{region}.amazonaws.com.cn",
    )


_OTHER_REGION = "eu-west-1"
_EXPECTED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "AuthorizationHeaderMalformed": {"Region": _OTHER_REGION},
        "PreconditionFailed": {"Condition": "If-None-Match"},
        "ConditionalRequestConflict": {"Condition": "If-None-Match"},
    }
)


def _elsewhere(call: Call, region: str, code: str, status: int) -> Refusal:
    endpoint = f"{call.bucket}.s3.{region}.amazonaws.com"
    headers = {"x-amz-bucket-region": region}
    if code == "TemporaryRedirect":
        headers["Location"] = f"http://{endpoint}{call.request.raw_path}"
    return Refusal(code, status=status, more={"Endpoint": endpoint, "Bucket": call.bucket}, headers=headers)
