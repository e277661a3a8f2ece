"""What an answer that is a refusal means: (operation, code, ...) -> one signal. Pure.

The code decides, together with the operation that got it, never the status alone. The question is always the same:
*can the service have acted?* The codes: docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and those of other
services of S3's kind where they are named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from storage_guard.driver import (
    Absent,
    Busy,
    Changed,
    Conflict,
    Corrupt,
    Exists,
    Gone,
    Lost,
    Refused,
    Signal,
    Unguarded,
)
from storage_guard_s3 import document
from storage_guard_s3.message import GUARDED, Answer, Operation, Route

MOST_WAIT_S = 3600.0

# Turned away at the door; of ServiceUnavailable nobody says so. The last two are MinIO's.
_THROTTLED = frozenset(
    (
        *("BandwidthLimitExceeded", "RequestLimitExceeded", "RequestThrottled", "SlowDown", "Throttling"),
        *("ThrottlingException", "TooManyRequests", "TooManyRequestsException", "SlowDownRead", "SlowDownWrite"),
    )
)

# Who asks, and whether he may, is decided before anything is carried out.
_ACCESS = frozenset(
    (
        *("AccessDenied", "AccountProblem", "AllAccessDisabled", "CredentialsNotSupported", "ExpiredToken"),
        *("InvalidAccessKeyId", "InvalidPayer", "InvalidSecurity", "InvalidToken", "MissingAuthenticationToken"),
        *("MissingSecurityHeader", "NotSignedUp", "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch"),
        *("TokenRefreshRequired", "Unauthorized", "UnauthorizedAccess", "UnauthorizedAccessError"),
    )
)

# Validated before anything is carried out; of complete: the list of parts is.
_REQUEST = frozenset(
    (
        *("BadRequest", "EntityTooLarge", "EntityTooSmall"),
        *("InvalidArgument", "InvalidBucketName", "InvalidBucketOwnerAWSAccountID", "InvalidBucketState"),
        *("InvalidChecksum", "InvalidEncryptionAlgorithmError", "InvalidObjectState", "InvalidPart"),
        *("InvalidPartNumber", "InvalidPartOrder", "InvalidRange", "InvalidRequest", "InvalidStorageClass"),
        *("InvalidTag", "InvalidURI", "KMS.DisabledException", "KMS.InvalidKeyUsageException"),
        *("KMS.InvalidStateException", "KMS.KMSInvalidStateException", "KMS.NotFoundException", "MalformedXML"),
        *("MetadataTooLarge", "MethodNotAllowed", "MissingAttachment", "MissingContentLength", "NoSuchBucket"),
        *("NoSuchAccessPoint", "NotImplemented", "RequestHeaderSectionTooLarge", "UnexpectedContent"),
        *("UnsupportedArgument", "UserKeyMustBeSpecified", "XNotImplemented"),
    )
)

# The bucket is another region's: nothing is carried out there.
_ELSEWHERE = frozenset(
    (
        *("AuthorizationHeaderMalformed", "IncorrectEndpoint", "PermanentRedirect", "Redirect", "TemporaryRedirect"),
        *("IllegalLocationConstraintException", "InvalidRegion"),
    )
)

_SPACE = frozenset(("InsufficientCapacity", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"))
_OPEN = frozenset(("IncompleteBody", "InternalError", "OperationTimedOut", "RequestTimeout"))

_UPLOADS: frozenset[Operation] = frozenset({"part", "part copy", "finish", "abort", "list parts"})
_LOOKS_AT: frozenset[Operation] = frozenset({"head", "read", "tags", "remove", "copy", "part copy"})
_PINNED: frozenset[Operation] = frozenset({"head", "read", "remove", "part copy"})

_ADVICE = {
    "SignatureDoesNotMatch": "is the secret that of this key, and does nothing on the way change the request?",
    "InvalidAccessKeyId": "this access key id is not known to the service, or not active",
    "ExpiredToken": "the session token has expired, and whoever fetches credentials still gives it: sign in again",
    "InvalidToken": "the session token does not belong to this access key",
    "NoSuchBucket": "there is no such bucket at this endpoint",
    "InvalidObjectState": "an archived object must be restored before it is read",
    "InvalidPart": "a part was sent again meanwhile, or is not one of this upload",
}


@dataclass(frozen=True)
class Fault:
    """What an error document says; all empty if there is none."""

    code: str = ""
    message: str = ""
    fields: Mapping[str, str] = field(default_factory=dict[str, str])

    def names(self, *words: str) -> bool:
        """Whether it speaks of a header or a thing by one of these words."""
        said = " ".join(
            (self.message, *(self.fields.get(each, "") for each in ("Header", "ArgumentName", "Condition")))
        )
        return any(word in said.lower() for word in words)


def fault_of(answer: Answer) -> Fault:
    try:
        fields = document.read(answer.body, "Error").fields()
    except document.NotUnderstoodError:
        return Fault()
    for secret in answer.hidden:
        fields = {name: value.replace(secret, "***") for name, value in fields.items()}
    return Fault(fields.get("Code", ""), fields.get("Message", ""), fields)


def is_from_service(answer: Answer) -> bool:
    """Whether the service itself, or one of its kind, gave this answer, and not something on the way."""
    return answer.request_id is not None or bool(fault_of(answer).code)


def objection_of(answer: Answer) -> Literal["checksum", "payload"] | None:
    """What of a request that was refused, and not carried out, this store might do without or want besides: the header
    with a checksum that it does not know, the hash of the body among what is signed."""
    if answer.ok or answer.status // 100 == 3:
        return None
    fault = fault_of(answer)
    if fault.code in ("XAmzContentSHA256Mismatch", "MissingContentSHA256", "ContentSHA256Mismatch"):
        return "payload"
    if fault.code in ("NotImplemented", "InvalidRequest", "InvalidArgument", "InvalidChecksum", "XNotImplemented"):
        if fault.names("checksum"):
            return "checksum"
        if fault.names("content-sha256", "unsigned-payload"):
            return "payload"
    return None


def signal_of(operation: Operation, answer: Answer, route: Route, about: str) -> Signal:
    """The one signal that a refusal means. `about` says for people what was asked."""
    fault = fault_of(answer)
    text = _text(about, answer, fault)
    if answer.request_id is not None or fault.code:
        signal = _of_code(operation, answer, route, fault, text)
    else:
        signal = _of_a_stranger(answer, text)
    signal.status, signal.code, signal.request_id = answer.status, fault.code or None, answer.request_id
    return signal


def _of_a_stranger(answer: Answer, text: str) -> Signal:
    if answer.status == 407:
        return Refused(f"{text}: the proxy wants credentials", why="access")  # by its meaning nothing was passed on
    return Lost(f"{text}: this answer says nothing that a service of S3's kind would")


def _of_code(operation: Operation, answer: Answer, route: Route, fault: Fault, text: str) -> Signal:
    code = fault.code
    if code in _THROTTLED:
        return Busy(text, retry_after_s=_retry_after_s(answer))
    if code in _ELSEWHERE or (not code and region_of(answer, fault) and answer.status in (301, 307, 400)):
        return Refused(text + _where(answer, fault), why="request")
    if code in _ACCESS:
        return Refused(text + _skew(answer, fault), why="access")
    taken = _conditional(operation, route, fault, text)
    if taken is not None:
        return taken
    if code == "NoSuchUpload" and operation in _UPLOADS:
        return Gone(text, sole=route.sole)
    if code in ("NoSuchKey", "NoSuchVersion") and operation in _LOOKS_AT:
        return Absent(text)
    if code in ("BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"):
        return Corrupt(text)
    if code in ("KeyTooLongError", "XMinioInvalidObjectName"):
        return Refused(text, why="key")
    if code in _SPACE:
        return Refused(text, why="space")
    if code in _OPEN:
        return Lost(text)
    if code in _REQUEST:
        return Refused(text, why="request")
    return _of_status(operation, answer, fault, text)


def _conditional(operation: Operation, route: Route, fault: Fault, text: str) -> Signal | None:
    code = fault.code
    if code == "PreconditionFailed":
        if operation in ("put", "finish"):
            return Exists(text, sole=route.sole)
        if operation == "copy":
            # The key is taken, or the source is not what was pinned: the element tells, where there is one.
            return Changed(text) if fault.names("copy-source", "copysource") else Exists(text, sole=route.sole)
        return Changed(text) if operation in _PINNED else None
    if code == "ConditionalRequestConflict" and operation == "remove":
        return Busy(text)  # something else was under way: "retry" (DeleteObject, If-Match)
    if code == "ConditionalRequestConflict" and operation in GUARDED:
        # Nobody wrote. PutObject, CopyObject: send it again; CompleteMultipartUpload: upload all parts anew.
        return Conflict(text, restart=operation == "finish")
    if code == "OperationAborted" and operation in GUARDED:
        return Conflict(text, restart=operation == "finish")  # "a conflicting operation is in progress: try again"
    if code in ("NotImplemented", "XNotImplemented") and operation in GUARDED and _speaks_of_the_condition(fault):
        return Unguarded(f"{text}: this store does not know the condition If-None-Match: *")
    return None


def _speaks_of_the_condition(fault: Fault) -> bool:
    """Said of a header without a name, it is this one: the others are known to every store, or were named."""
    return fault.names("if-none-match") or ("Header" not in fault.fields and fault.names("header you provided"))


def _of_status(operation: Operation, answer: Answer, fault: Fault, text: str) -> Signal:
    """A code that the table does not know.

    Who asks, what he may and what he says is looked at before anything is carried out, and refused with one of the
    statuses below. A 404, 409 or 412 depends on what is there, and a 5xx says that it went wrong midway: those stay
    open.
    """
    if answer.status // 100 == 4 and re.search("quota|capacity|storagefull", fault.code, re.IGNORECASE):
        return Refused(text, why="space")
    if answer.status in (401, 403) and (fault.code or operation == "head"):
        return Refused(text, why="access")
    if answer.status in (400, 405, 411, 413, 414, 415, 501) and (fault.code or operation == "head"):
        return Refused(text, why="request")
    if answer.status // 100 == 3:
        where = answer.headers.get("location", "elsewhere").partition("?")[0]
        return Refused(f"{text}: redirected to {where}, which is not followed: is the endpoint right?", why="request")
    return Lost(text)


def region_of(answer: Answer, fault: Fault) -> str | None:
    """The region that an answer of the wrong one names."""
    return fault.fields.get("Region") or answer.headers.get("x-amz-bucket-region") or None


def _where(answer: Answer, fault: Fault) -> str:
    region = region_of(answer, fault)
    if region is not None:
        return f": the bucket is in the region {region}: give region={region!r}"
    endpoint = fault.fields.get("Endpoint")
    return f": the bucket's endpoint is {endpoint}" if endpoint else ": is the region right?"


def _text(about: str, answer: Answer, fault: Fault) -> str:
    code = fault.code or f"status {answer.status} without a code"
    pieces = [f"{about}: {code}"]
    if fault.message:
        pieces.append(" ".join(fault.message.split())[:300])
    if fault.code in _ADVICE:
        pieces.append(_ADVICE[fault.code])
    return ": ".join(pieces)


def _skew(answer: Answer, fault: Fault) -> str:
    """By how much the clocks differ, where the answer lets us tell."""
    if fault.code != "RequestTimeTooSkewed":
        return ""
    theirs = _time(fault.fields.get("ServerTime")) or _time(answer.headers.get("date"))
    if theirs is None:
        return ": the clock of this machine is more than 15 minutes off"
    behind_s = round((theirs - answer.asked_at).total_seconds())
    return f": the clock of this machine is {abs(behind_s)} s {'behind' if behind_s > 0 else 'ahead'}"


def _retry_after_s(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MOST_WAIT_S)
    until = _time(text)
    if until is None:
        return 0.0
    now = _time(answer.headers.get("date")) or answer.asked_at
    return min(max((until - now).total_seconds(), 0.0), MOST_WAIT_S)


def _time(text: str | None) -> datetime | None:
    """An instant in one of the service's notations."""
    if not text:
        return None
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = parse(text)
        except (ValueError, TypeError):
            continue
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return None
