"""S3's errors: codes, statuses, and the document that tells them.

The codes: docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
"""

from __future__ import annotations

import re

from storage_guard.testing.server.documents import document, element, leaf
from storage_guard.testing.server.refusals import Refusal

_KNOWN: dict[str, tuple[int, str]] = {
    "AccessDenied": (403, "Access denied."),
    "AuthorizationHeaderMalformed": (400, "The Authorization header cannot be read."),
    "AuthorizationQueryParametersError": (400, "The signature in the query cannot be read."),
    "BadDigest": (400, "The checksum that was given is not that of the data."),
    "BucketAlreadyOwnedByYou": (409, "The bucket is there already, and yours."),
    "BucketNotEmpty": (409, "The bucket has objects."),
    "ConditionalRequestConflict": (409, "Another call on this key came in between."),
    "EntityTooLarge": (400, "The body is larger than this call allows."),
    "EntityTooSmall": (400, "A part other than the last is too small."),
    "ExpiredToken": (400, "The session token has expired."),
    "IncompleteBody": (400, "The body is not as long as was said."),
    "InternalError": (500, "Something went wrong inside. Please try again."),
    "InvalidAccessKeyId": (403, "This access key id is not known."),
    "InvalidArgument": (400, "An argument is not valid."),
    "InvalidBucketName": (400, "This is not a name for a bucket."),
    "InvalidChunkSizeError": (403, "Only the last chunk may have less than 8,192 bytes."),
    "InvalidDigest": (400, "Content-MD5 is no MD5."),
    "InvalidPart": (400, "A part is not there, or has another ETag."),
    "InvalidPartOrder": (400, "The parts are not named in ascending order."),
    "InvalidRange": (416, "No bytes of the object are in this range."),
    "InvalidRequest": (400, "The request is not valid."),
    "InvalidStorageClass": (400, "This storage class is not known."),
    "InvalidTag": (400, "The tags are not valid."),
    "InvalidToken": (400, "The session token is not that of this key."),
    "KeyTooLongError": (400, "The key is too long."),
    "MalformedXML": (400, "The document is not well formed, or not of this call."),
    "MetadataTooLarge": (400, "There is too much user metadata."),
    "MethodNotAllowed": (405, "This cannot be done to what is there."),
    "MissingContentLength": (411, "The length of the body must be told."),
    "NoSuchBucket": (404, "This bucket does not exist."),
    "NoSuchKey": (404, "This key has no object."),
    "NoSuchUpload": (404, "This upload was never begun, was finished, or was aborted."),
    "NoSuchVersion": (404, "This version does not exist."),
    "NotImplemented": (501, "A header or a call asks for something that is not done here."),
    "NotModified": (304, "The object is the one that the caller has."),
    "PermanentRedirect": (301, "The bucket is to be asked at another endpoint."),
    "PreconditionFailed": (412, "A condition of the call does not hold."),
    "RequestTimeTooSkewed": (403, "The request was signed too long ago, or in the future."),
    "RequestTimeout": (400, "The body did not arrive in time."),
    "ServiceUnavailable": (503, "Please try again later."),
    "SignatureDoesNotMatch": (403, "The signature is not the one that was computed here."),
    "SlowDown": (503, "Please ask less often."),
    "TemporaryRedirect": (307, "The bucket is to be asked at another endpoint for now."),
    "XAmzContentSHA256Mismatch": (400, "x-amz-content-sha256 is not that of the body."),
}

_UNKNOWN = (400, "Refused.")
_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # what XML 1.0 has no way to say


def status_of(refusal: Refusal) -> int:
    return refusal.status or _KNOWN.get(refusal.code, _UNKNOWN)[0]


def bad_request(message: str) -> Refusal:
    return Refusal("InvalidRequest", message)


def unsupported(header: str, message: str = "") -> Refusal:
    return Refusal("NotImplemented", message, more={"Header": header})


def error_fields(refusal: Refusal) -> list[str]:
    more = (leaf(name, _UNSHOWN.sub("\ufffd", value)) for name, value in refusal.more.items())
    return [
        leaf("Code", refusal.code),
        leaf("Message", refusal.message or _KNOWN.get(refusal.code, _UNKNOWN)[1]),
        *more,
    ]


def error_document(refusal: Refusal, *, host_id: str, request_id: str) -> bytes:
    fields = (*error_fields(refusal), leaf("RequestId", request_id), leaf("HostId", host_id))
    return document(element("Error", *fields))
