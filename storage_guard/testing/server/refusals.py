"""What a dialect does not do: said in the codes that object stores have in common, and what a body gets that is not
wanted. Statuses, messages and the form of the answer are each service's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from storage_guard.testing.server.buckets import (
    BadPart,
    NoParts,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    NoSuchVersion,
    PartsOutOfOrder,
    Refused,
)
from storage_guard.testing.server.exchange import Answer, Receiving, Request
from storage_guard.testing.server.versions import Version

_NONE: Mapping[str, str] = MappingProxyType({})


class Refusal(Exception):
    """A call is refused. `message`, `ec` and `status`: the service's own for this code, where they are not given.
    `more` stands in the document beside the code, `headers` in the answer."""

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        ec: str = "",
        status: int = 0,
        more: Mapping[str, str] = _NONE,
        headers: Mapping[str, str] = _NONE,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.ec = ec
        self.status = status
        self.more = more
        self.headers = headers


def invalid(name: str, value: str, message: str = "", *, ec: str = "") -> Refusal:
    return Refusal("InvalidArgument", message, ec=ec, more={"ArgumentName": name, "ArgumentValue": value})


def too_large(most: int, size_bytes: int | None) -> Refusal:
    """Of a body that may have `most` bytes. `size_bytes`: what it has, None if that is not known."""
    more = {"MaxSizeAllowed": str(most)}
    if size_bytes is not None:
        more["ProposedSize"] = str(size_bytes)
    return Refusal("EntityTooLarge", more=more)


def marker_told(marker: Version, prefix: str) -> dict[str, str]:
    """The headers that tell of a delete marker; their names begin with `prefix`."""
    return {f"{prefix}delete-marker": "true", f"{prefix}version-id": marker.version_id}


def translated(refused: Refused, key: str, upload_id: str, prefix: str, etag: Callable[[str], str] = str) -> Refusal:
    """What the buckets refuse, as the answer to a call on `key` and `upload_id`. `prefix`: of the service's headers.
    `etag`: how the service shows one. Raises: Refused, where each service has a code of its own."""
    match refused:
        case NoSuchBucket():
            return Refusal("NoSuchBucket", more={"BucketName": str(refused)})
        case NoSuchKey(marker=marker):
            headers = {} if marker is None else marker_told(marker, prefix)
            return Refusal("NoSuchKey", more={"Key": key}, headers=headers)
        case NoSuchVersion():
            return Refusal("NoSuchVersion", more={"Key": key, "VersionId": str(refused)})
        case NoSuchUpload():
            return Refusal("NoSuchUpload", more={"UploadId": str(refused)})
        case NoParts():
            return Refusal("MalformedXML", "An object needs a part.")
        case PartsOutOfOrder():
            return Refusal("InvalidPartOrder", more={"UploadId": upload_id})
        case BadPart(size_bytes=int(size_bytes)):
            more = {"ProposedSize": str(size_bytes), "PartNumber": str(refused.number), "ETag": etag(refused.etag)}
            return Refusal("EntityTooSmall", more=more)
        case BadPart():
            more = {"ETag": etag(refused.etag), "PartNumber": str(refused.number), "UploadId": upload_id}
            return Refusal("InvalidPart", more=more)
        case _:
            raise refused


class Refusing(Receiving):
    """A call that is refused for its head: its body comes all the same."""

    def __init__(self, refuse: Callable[[Request, Refusal], Answer], request: Request, refusal: Refusal) -> None:
        self._refuse = refuse
        self._request = request
        self._refusal = refusal

    def take(self, data: memoryview) -> None:
        """What comes is not wanted."""

    def end(self) -> Answer:
        return self._refuse(self._request, self._refusal)

    def cut(self) -> None:
        """Nothing was kept."""
