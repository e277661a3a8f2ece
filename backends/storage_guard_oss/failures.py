"""What an answer that is a refusal means: (operation, code, ...) -> one signal. Pure.

The code decides, together with the operation that got it, never the status alone. The question is always the same:
*can the service have acted?* The pages are help.aliyun.com/en/oss/user-guide/..., named below by their last piece.
"""

from __future__ import annotations

import re
from base64 import b64decode

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
)
from storage_guard.wire.services.faults import Fault, fault_in, proxy_refused, redirected, told
from storage_guard.wire.services.times import any_time, clocks_differ, retry_after_s
from storage_guard_oss.message import CREATES, Answer, Operation, Route

# http-status-code-503: the request was turned away at the door. Of ServiceUnavailable the page does not say so.
_THROTTLED = frozenset(
    (
        *("ActiveRequestLimitExceeded", "CpuLimitExceeded", "DownloadTrafficRateLimitExceeded"),
        *("MetaOperationQpsLimitExceeded", "TotalQpsLimitExceeded", "UploadTrafficRateLimitExceeded"),
    )
)

# http-status-code-403, and 0002-... for what is wrong with a signature: decided before anything is carried out.
_ACCESS = frozenset(
    (
        *("AbnormalBucketOwnerStatus", "AccessDenied", "AccessForbidden", "AccessKeyIdAndSecurityTokenNotMatch"),
        *("BucketDisable", "BucketNotBelongTo", "CnameDenied", "InDebt", "InDebtOverdue", "InvalidAccessKeyId"),
        *("InvalidSecurityToken", "RequestTimeTooSkewed", "SecurityTokenExpired", "SecurityTokenNotSupported"),
        *("SignatureDoesNotMatch", "UbsmsInvalidBid", "UserDisable"),
    )
)

# http-status-code-400, -405, -411, -501 and the pages of the calls.
_REQUEST = frozenset(
    (
        *("BadRequest", "EntityTooLarge", "EntityTooSmall", "FileGroupTooLarge", "FilePartInterity"),
        *("FilePartNotExist", "FilePartStale", "InvalidArgument", "InvalidBucketName"),
        *("InvalidEncryptionAlgorithmError", "InvalidEncryptionRequest", "InvalidObjectState", "InvalidPart"),
        *("InvalidPartOrder", "InvalidRange", "InvalidRequest", "InvalidTag", "InvalidTargetType", "MalformedXML"),
        *("MethodNotAllowed", "MissingArgument", "MissingContentLength", "NoSuchBucket", "NotImplemented"),
        *("ObjectNotAppendable", "OperationNotSupported", "PartNotSequential", "SymlinkTargetNotExist"),
    )
)

_UPLOADS: frozenset[Operation] = frozenset({"part", "part copy", "finish", "abort", "list parts"})
_LOOKS_AT: frozenset[Operation] = frozenset({"head", "read", "tags", "remove", "copy", "part copy"})
_PINNED: frozenset[Operation] = frozenset({"head", "read", "copy", "part copy"})

_ADVICE = {
    "SignatureDoesNotMatch": "is the secret that of this key, and the region that of the endpoint?",
    "InvalidAccessKeyId": "this access key id is not known to the service, or not active",
    "SecurityTokenExpired": "the session token has expired: fetch new credentials",
    "InvalidSecurityToken": "the session token does not belong to this access key, or is missing",
    "NoSuchBucket": "there is no such bucket at this endpoint",
    "InvalidObjectState": "an archived object must be restored before it is read",
}


def fault_of(answer: Answer) -> Fault:
    """From the body, or, where an answer to HEAD cannot have one, from the header `x-oss-err`."""
    body = answer.body
    if not body and "x-oss-err" in answer.headers:
        try:
            body = b64decode(answer.headers["x-oss-err"])
        except ValueError:
            return Fault()
    return fault_in(body, answer.hidden)


def signal_of(operation: Operation, answer: Answer, route: Route, about: str) -> Signal:
    """The one signal that a refusal means. `about` says for people what was asked."""
    fault = fault_of(answer)
    text = _text(about, answer, fault)
    signal = _of_code(operation, answer, route, fault, text) if answer.request_id else _of_a_stranger(answer, text)
    signal.status, signal.code, signal.request_id = answer.status, fault.code or None, answer.request_id
    return signal


def _of_a_stranger(answer: Answer, text: str) -> Signal:
    """Every answer of the service carries its request id: this one was given by something on the way."""
    if answer.status == 407:
        return proxy_refused(text)
    return Lost(f"{text}: this answer did not come from OSS")


def _of_code(operation: Operation, answer: Answer, route: Route, fault: Fault, text: str) -> Signal:
    code = fault.code
    if code in _THROTTLED:
        return Busy(text, retry_after_s=retry_after_s(answer))
    if code in _ACCESS:
        return Refused(text + _skew(answer, fault), why="access")
    taken = _taken(operation, code, route, text)
    if taken is not None:
        return taken
    if code == "NoSuchUpload" and operation in _UPLOADS:
        return Gone(text, sole=route.sole)
    if code in ("NoSuchKey", "NoSuchVersion") and operation in _LOOKS_AT:
        return Absent(text)
    if code == "PreconditionFailed" and operation in _PINNED:
        return Changed(text)
    if code in ("InvalidDigest", "BadDigest"):
        return Corrupt(text)
    if code == "InvalidObjectName":
        return Refused(text, why="key")
    if code in _REQUEST:
        return Refused(text, why="request")
    return _of_status(operation, answer, fault, text)


def _taken(operation: Operation, code: str, route: Route, text: str) -> Signal | None:
    if code == "FileAlreadyExists" and operation in CREATES:
        return Exists(text, sole=route.sole)  # 0026-00000002, 0042-00000214
    if code == "ObjectAlreadyExists" and operation in CREATES:
        return Exists(text, sole=False)  # of folders in buckets with a hierarchical namespace
    if code == "FileImmutable":
        # http-status-code-409: a retention policy keeps the object that is there. To a create that means that the key
        # is taken, unless the policy was meant for something else: let the store look.
        return Exists(text, sole=False) if operation in CREATES else Refused(text, why="read-only")
    if code == "StaleFile":
        return Conflict(text, restart=False)  # 0026-00000004: requests met, and this one was turned away
    return None


def _of_status(operation: Operation, answer: Answer, fault: Fault, text: str) -> Signal:
    """A code that the table does not know.

    The service authenticates, authorizes and validates before it carries anything out, and answers a refusal of these
    three with one of the statuses below (its page of error responses). A 404, 409 or 412 depends on what is there, a
    5xx says that it went wrong midway, and RequestTimeout that the end of the body was not seen: those stay open.
    """
    if fault.code == "RequestTimeout":
        return Lost(text)
    if answer.status // 100 == 4 and re.search("quota|capacity", fault.code, re.IGNORECASE):
        return Refused(text, why="space")  # the pages do not name the code of a bucket or pool that is full
    if answer.status == 403 and (fault.code or operation == "head"):
        return Refused(text, why="access")
    if answer.status in (400, 405, 411, 413, 415, 501) and (fault.code or operation == "head"):
        return Refused(text, why="request")
    if answer.status // 100 == 3:
        return redirected(answer, text)
    return Lost(text)


def _text(about: str, answer: Answer, fault: Fault) -> str:
    text = told(about, answer, fault, _ADVICE)
    if fault.code == "AccessDenied" and fault.fields.get("Endpoint"):
        return f"{text}: the bucket's own endpoint is {fault.fields['Endpoint']}"
    return text


def _skew(answer: Answer, fault: Fault) -> str:
    """By how much the clocks differ, where the answer lets us tell."""
    if fault.code != "RequestTimeTooSkewed":
        return ""
    theirs = any_time(fault.fields.get("ServerTime")) or any_time(answer.headers.get("date"))
    ours = any_time(fault.fields.get("RequestTime")) or answer.asked_at
    return f": {clocks_differ(theirs, ours)}"
