"""The body of a request on its way to what it carries: hashed, or unwrapped from chunks, and checked at its end.

docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html, and sigv4-streaming-trailers.html
"""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from typing import Protocol

from storage_guard.testing.server.exchange import Request
from storage_guard.testing.server.framing import Chunked, Take
from storage_guard.testing.server.heads import Malformed
from storage_guard.testing.server.macs import same
from storage_guard.testing.server.refusals import Refusal, invalid
from storage_guard.testing.server.s3_checksums import HEADERS
from storage_guard.testing.server.s3_errors import bad_request, unsupported
from storage_guard.testing.server.s3_signatures import UNSIGNED, Signed

STREAMS = {
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": (False, True),
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": (True, False),
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": (True, True),
}
_HASH = re.compile("[0-9a-f]{64}")
_EMPTY = hashlib.sha256().hexdigest()
_MIN_CHUNK_BYTES = 8192
_SIGNATURE = "x-amz-trailer-signature"


class Payload(Protocol):
    """What a body carries."""

    @abstractmethod
    def feed(self, data: memoryview, take: Take) -> None:
        """A piece of the body; `take` is given what it carries. Raises: Refusal."""
        ...

    @abstractmethod
    def end(self) -> dict[str, str]:
        """The body is whole: the checksums that came behind it, by their headers. Raises: Refusal."""
        ...


def payload_of(request: Request, signed: Signed | None, *, unsigned_allowed: bool) -> Payload:
    """`signed`: None where nobody's signature is looked at, nor any hash. Raises: Refusal, for what can be said
    before the body comes."""
    text = request.headers.get("x-amz-content-sha256", UNSIGNED)
    if text in STREAMS:
        by_chunk, with_trailer = STREAMS[text]
        if request.headers.get("x-amz-decoded-content-length") is None:
            raise Refusal("MissingContentLength", "x-amz-decoded-content-length is missing.")
        announced = request.headers.get("x-amz-trailer", "").lower().strip()
        if with_trailer != bool(announced):
            raise bad_request("x-amz-trailer and x-amz-content-sha256 do not agree on whether there is a trailer.")
        return _Unwrapping(request, signed if by_chunk else None, announced, by_chunk=by_chunk)
    if text.startswith("STREAMING-"):
        raise unsupported("x-amz-content-sha256")
    if text != UNSIGNED and _HASH.fullmatch(text) is None:
        raise invalid("x-amz-content-sha256", text, f"This must be {UNSIGNED}, one of {', '.join(STREAMS)}, or a hash.")
    if "aws-chunked" in request.headers.get("content-encoding", "") or "x-amz-trailer" in request.headers:
        raise bad_request("A body in chunks says so in x-amz-content-sha256.")
    if text == UNSIGNED:
        # As of a gateway that hashes every body and compares.
        return _Plain(None if unsigned_allowed else text)
    return _Plain(None if signed is None else text)


class _Plain(Payload):
    """A body that is what it carries. `wanted`: the hash it must have, None for any."""

    __slots__ = ("_hash", "_wanted")

    def __init__(self, wanted: str | None) -> None:
        self._wanted = wanted
        self._hash = None if wanted is None else hashlib.sha256()

    def feed(self, data: memoryview, take: Take) -> None:
        if self._hash is not None:
            self._hash.update(data)
        take(data)

    def end(self) -> dict[str, str]:
        if self._hash is not None and self._wanted is not None and self._hash.hexdigest() != self._wanted:
            told = {"ClientComputedContentSHA256": self._wanted, "S3ComputedContentSHA256": self._hash.hexdigest()}
            raise Refusal("XAmzContentSHA256Mismatch", more=told)
        return {}


class _Unwrapping(Payload):
    """A body in chunks. They are signed where `by_chunk`, and the signatures looked at where `signed` is there."""

    def __init__(self, request: Request, signed: Signed | None, announced: str, *, by_chunk: bool) -> None:
        length = request.headers["x-amz-decoded-content-length"]
        if not (length.isascii() and length.isdigit() and len(length) <= 18):
            raise invalid("x-amz-decoded-content-length", length)
        self._wanted_bytes = int(length)
        self._announced = announced
        self._chunks = _Chunks(signed, by_chunk=by_chunk)

    def feed(self, data: memoryview, take: Take) -> None:
        try:
            count = self._chunks.feed(data, take)
        except Malformed as error:
            raise Refusal("IncompleteBody", f"The body is not in chunks: {error}.") from error
        if count < len(data):
            raise Refusal("IncompleteBody", "There is more behind the last chunk.")
        if self._chunks.came_bytes > self._wanted_bytes:
            raise Refusal("IncompleteBody")

    def end(self) -> dict[str, str]:
        chunks = self._chunks
        if not chunks.done or chunks.came_bytes != self._wanted_bytes:
            raise Refusal("IncompleteBody")
        chunks.check_trailers()
        trailers = {name: value for name, value in chunks.trailers if name != _SIGNATURE}
        if set(trailers) != ({self._announced} if self._announced else set[str]()):
            raise Refusal("MalformedTrailerError", "The trailers are not those that were announced.")
        return {name: value for name, value in trailers.items() if name in HEADERS}


class _Chunks(Chunked):
    """`aws-chunked`: chunks as HTTP has them, with a signature in the extension of each and one among the trailers."""

    __slots__ = ("_before", "_by_chunk", "_hash", "_short", "_signature", "_signed", "trailers")

    def __init__(self, signed: Signed | None, *, by_chunk: bool) -> None:
        super().__init__()
        self._signed = signed
        self._by_chunk = by_chunk
        self._hash = hashlib.sha256()
        self._signature = ""  # of the chunk that comes
        self._before = "" if signed is None else signed.signature
        self._short = False  # a chunk was too small to be followed by another
        self.trailers: list[tuple[str, str]] = []

    def feed(self, data: memoryview, take: Take) -> int:
        if self._signed is None:
            return super().feed(data, take)

        def hashed(piece: memoryview) -> None:
            self._hash.update(piece)
            take(piece)

        return super().feed(data, hashed)

    def _size(self, line: bytes) -> None:
        super()._size(line)
        size_bytes = self._left_bytes
        if self._by_chunk:
            extension = line.rstrip().partition(b";")[2].decode("latin-1")
            name, _, self._signature = extension.partition("=")
            if name != "chunk-signature" or _HASH.fullmatch(self._signature) is None:
                raise Refusal("SignatureDoesNotMatch", "A chunk has no signature.")
            if self._short and size_bytes:
                raise Refusal("InvalidChunkSizeError")
            self._short = size_bytes < _MIN_CHUNK_BYTES
        if not size_bytes:
            self._check_chunk()

    def _after_data(self, line: bytes) -> None:
        super()._after_data(line)
        self._check_chunk()

    def _check_chunk(self) -> None:
        signed = self._signed
        if signed is not None:
            ours = signed.go_on("PAYLOAD", self._before, _EMPTY, self._hash.hexdigest())
            self._require(ours, self._signature)
            self._before = ours
            self._hash = hashlib.sha256()

    def _trailer(self, line: bytes) -> None:
        super()._trailer(line)
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            self.trailers.append((name.strip().lower(), value.strip()))

    def check_trailers(self) -> None:
        """Raises: Refusal, if they are not signed as they should be."""
        signed = self._signed
        fields = [(name, value) for name, value in self.trailers if name != _SIGNATURE]
        if signed is not None and fields:
            text = "".join(f"{name}:{value}\n" for name, value in fields)
            ours = signed.go_on("TRAILER", self._before, hashlib.sha256(text.encode("latin-1")).hexdigest())
            self._require(ours, dict(self.trailers).get(_SIGNATURE, ""))

    def _require(self, ours: str, theirs: str) -> None:
        if not same(ours, theirs):
            raise Refusal("SignatureDoesNotMatch", "A piece of the body is not signed as it should be.")
