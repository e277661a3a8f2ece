"""A part whose checksum goes behind it, so that a file is read once.

The framing is one chunk and a trailer: docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html. A store
that does not know it refuses the part, or takes the framing for bytes of it and answers another checksum.
"""

from __future__ import annotations

from collections.abc import Iterator

from storage_guard.checksum import RunningCrc64
from storage_guard.driver import Body
from storage_guard.wire.services.calls import wrong_size
from storage_guard_s3.failures import fault_of
from storage_guard_s3.message import Answer
from storage_guard_s3.sums import CRC_HEADER, SHA256_HEADER, Digest, encoded

_SIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_REFUSED = (400, 403, 411, 415, 501)
_ABOUT_OTHERS = frozenset(
    (
        *("AccessDenied", "EntityTooLarge", "EntityTooSmall", "ExpiredToken", "InvalidPartNumber", "NoSuchUpload"),
        *("InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed", "AuthorizationHeaderMalformed"),
        *("PermanentRedirect", "RequestTimeout", "BadDigest", "XAmzContentChecksumMismatch", "IncompleteBody"),
    )
)


class Trailing:
    """A body in its framing. Not for an empty one."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._sum = RunningCrc64("crc64nvme")
        self._before = f"{body.size_bytes:x}\r\n".encode()

    @property
    def size_bytes(self) -> int:
        return len(self._before) + self._body.size_bytes + len(self._after())

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Content-Encoding": "aws-chunked",
            SHA256_HEADER: _SIGNED,
            "x-amz-decoded-content-length": str(self._body.size_bytes),
            "x-amz-trailer": CRC_HEADER,
        }

    def windows(self) -> Iterator[memoryview]:
        """Raises what the body raises, and `Refused` if it is not as long as it says."""
        self._sum = RunningCrc64("crc64nvme")
        yield memoryview(self._before)
        yield from self._sum.over(self._body.windows())
        if self._sum.size_bytes != self._body.size_bytes:
            raise wrong_size(self._sum.size_bytes, self._body.size_bytes)
        yield memoryview(self._after())

    @property
    def digest(self) -> Digest:
        """Of the bytes between the framing, once they have been sent."""
        return Digest(self._sum.checksum(), None, None, None)

    def _after(self) -> bytes:
        return f"\r\n0\r\n{CRC_HEADER}:{encoded(self._sum.checksum())}\r\n\r\n".encode()


def refuses_framing(answer: Answer) -> bool:
    """Whether a part in its framing was refused for it, as far as the answer can tell: then it may go without."""
    code = fault_of(answer).code
    return answer.status in _REFUSED and bool(code) and code not in _ABOUT_OTHERS
