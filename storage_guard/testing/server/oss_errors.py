"""OSS's errors: codes, statuses, and the document that tells them."""

from __future__ import annotations

import re
from base64 import b64encode

from storage_guard.testing.server.documents import document, element, leaf
from storage_guard.testing.server.refusals import Refusal

# Status, message, and the EC of the service where one is documented (help.aliyun.com/en/oss/user-guide/<EC>).
_KNOWN: dict[str, tuple[int, str, str]] = {
    "AccessDenied": (403, "This key may not do that.", "0003-00000001"),
    "EntityTooLarge": (400, "The body is larger than this call allows.", ""),
    "EntityTooSmall": (400, "A part other than the last is too small.", "0042-00000213"),
    "FileAlreadyExists": (409, "The object exists and must not be overwritten.", "0026-00000002"),
    "InternalError": (500, "Something went wrong inside.", ""),
    "InvalidAccessKeyId": (403, "This access key id is not known.", "0002-00000902"),
    "InvalidArgument": (400, "An argument is not valid.", ""),
    "InvalidBucketName": (400, "This is not a name for a bucket.", ""),
    "InvalidDigest": (400, "Content-MD5 is not that of the body.", ""),
    "InvalidEncryptionAlgorithmError": (400, "This encryption is not known.", ""),
    "InvalidObjectName": (400, "This is not a name for an object.", ""),
    "InvalidPart": (400, "A part is not there, or has another ETag.", ""),
    "InvalidPartOrder": (400, "The parts are not named in ascending order.", "0042-00000209"),
    "InvalidRange": (416, "No bytes of the object are in this range.", ""),
    "InvalidSecurityToken": (403, "The security token is not that of this key.", "0002-00000006"),
    "InvalidTag": (400, "The tags are not valid.", ""),
    "MalformedXML": (400, "The document is not well formed, or not of this call.", ""),
    "MethodNotAllowed": (405, "This cannot be done to what is there.", ""),
    "MissingContentLength": (411, "The length of the body must be told.", ""),
    "NoSuchBucket": (404, "This bucket does not exist.", "0015-00000101"),
    "NoSuchKey": (404, "This key has no object.", "0026-00000001"),
    "NoSuchUpload": (404, "This upload was never begun, was finished, or was aborted.", "0042-00000002"),
    "NoSuchVersion": (404, "This version does not exist.", ""),
    "NotImplemented": (501, "This server does not do that.", ""),
    "NotModified": (304, "The object is the one that the caller has.", ""),
    "PreconditionFailed": (412, "A condition of the call does not hold.", ""),
    "RequestTimeTooSkewed": (403, "The request was signed too long ago, or in the future.", "0002-00000504"),
    "RequestTimeout": (400, "The body did not arrive in time.", ""),
    "SecurityTokenExpired": (403, "The security token has expired.", "0002-00000007"),
    "ServiceUnavailable": (503, "Please try again later.", ""),
    "SignatureDoesNotMatch": (403, "The signature is not the one that was computed here.", "0002-00000040"),
}

_UNKNOWN = (400, "Refused.", "")
_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # what XML 1.0 has no way to say


def status_of(refusal: Refusal) -> int:
    return refusal.status or _KNOWN.get(refusal.code, _UNKNOWN)[0]


def ec_of(refusal: Refusal) -> str:
    return refusal.ec or _KNOWN.get(refusal.code, _UNKNOWN)[2]


def error_document(refusal: Refusal, *, host: str, request_id: str) -> bytes:
    fields = [
        leaf("Code", refusal.code),
        leaf("Message", refusal.message or _KNOWN.get(refusal.code, _UNKNOWN)[1]),
        leaf("RequestId", request_id),
        leaf("HostId", host),
        *(leaf(name, _UNSHOWN.sub("\ufffd", value)) for name, value in refusal.more.items()),
    ]
    if ec := ec_of(refusal):
        fields.append(leaf("EC", ec))
    return document(element("Error", *fields))


def in_a_header(error: bytes) -> str:
    """How the document comes with an answer that has no body."""
    return b64encode(error).decode("ascii")
