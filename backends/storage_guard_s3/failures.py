"""What an answer that is a refusal means: (operation, code, ...) -> one signal. Pure.

The code decides, together with the operation that got it, never the status alone. The question is always the same:
*can the service have acted?* The codes: docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and those of other
services of S3's kind where they are named.
"""

from __future__ import annotations

import re
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
from storage_guard.wire.services.faults import Fault, fault_in, proxy_refused, redirected, told
from storage_guard.wire.services.times import any_time, clocks_differ, retry_after_s
from storage_guard_s3.message import GUARDED, Answer, Operation, Route

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


def fault_of(answer: Answer) -> Fault:
    return fault_in(answer.body, answer.hidden)


def _names(fault: Fault, *words: str) -> bool:
    """Whether it speaks of a header or a thing by one of these words."""
    said = " ".join((fault.message, *(fault.fields.get(each, "") for each in ("Header", "ArgumentName", "Condition"))))
    return any(word in said.lower() for word in words)


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
        if _names(fault, "checksum"):
            return "checksum"
        if _names(fault, "content-sha256", "unsigned-payload"):
            return "payload"
    return None


def signal_of(operation: Operation, answer: Answer, route: Route, about: str) -> Signal:
    """The one signal that a refusal means. `about` says for people what was asked."""
    fault = fault_of(answer)
    text = told(about, answer, fault, _ADVICE)
    if answer.request_id is not None or fault.code:
        signal = _of_code(operation, answer, route, fault, text)
    else:
        signal = _of_a_stranger(answer, text)
    signal.status, signal.code, signal.request_id = answer.status, fault.code or None, answer.request_id
    return signal


def _of_a_stranger(answer: Answer, text: str) -> Signal:
    if answer.status == 407:
        return proxy_refused(text)
    return Lost(f"{text}: this answer says nothing that a service of S3's kind would")


def _of_code(operation: Operation, answer: Answer, route: Route, fault: Fault, text: str) -> Signal:
    code = fault.code
    if code in _THROTTLED:
        return Busy(text, retry_after_s=retry_after_s(answer))
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
            return Changed(text) if _names(fault, "copy-source", "copysource") else Exists(text, sole=route.sole)
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
    return _names(fault, "if-none-match") or ("Header" not in fault.fields and _names(fault, "header you provided"))


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
        return redirected(answer, text)
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


def _skew(answer: Answer, fault: Fault) -> str:
    """By how much the clocks differ, where the answer lets us tell."""
    if fault.code != "RequestTimeTooSkewed":
        return ""
    theirs = any_time(fault.fields.get("ServerTime")) or any_time(answer.headers.get("date"))
    return f": {clocks_differ(theirs, answer.asked_at)}"
