"""The checksums of S3: what a client may give, what is computed, and how those of parts make that of the whole.

docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from storage_guard import extras
from storage_guard.testing.server.blobs import Content, Digest
from storage_guard.testing.server.refusals import Refusal, invalid
from storage_guard.testing.server.s3_errors import bad_request

try:
    from awscrt import checksums
except ModuleNotFoundError as exc:
    raise extras.missing(exc, "the dialect s3", "s3") from exc

FULL, COMPOSITE = "FULL_OBJECT", "COMPOSITE"
DEFAULT = "CRC64NVME"  # what the service computes when nobody asks for another
PREFIX = "x-amz-checksum-"


class Algorithm(NamedTuple):
    """`kinds`: what an upload may have of it, first what it has unless it is told. `crc` goes on from what it gave;
    `combine` joins two, the second over so many bytes. `header` and `tag` are its names on the wire."""

    name: str
    header: str
    tag: str
    size_bytes: int
    kinds: tuple[str, ...]
    crc: Callable[[memoryview, int], int] | None = None
    combine: Callable[[int, int, int], int] | None = None


def _algorithm(
    name: str,
    size_bytes: int,
    kinds: tuple[str, ...],
    crc: Callable[[memoryview, int], int] | None = None,
    combine: Callable[[int, int, int], int] | None = None,
) -> Algorithm:
    return Algorithm(name, PREFIX + name.lower(), f"Checksum{name}", size_bytes, kinds, crc, combine)


ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        each.name: each
        for each in (
            _algorithm("CRC32", 4, (COMPOSITE, FULL), zlib.crc32, checksums.combine_crc32),
            _algorithm("CRC32C", 4, (COMPOSITE, FULL), checksums.crc32c, checksums.combine_crc32c),
            _algorithm("CRC64NVME", 8, (FULL,), checksums.crc64nvme, checksums.combine_crc64nvme),
            _algorithm("SHA1", 20, (COMPOSITE,)),
            _algorithm("SHA256", 32, (COMPOSITE,)),
        )
    }
)
_BY_HEADER = {each.header: each for each in ALGORITHMS.values()}
HEADERS = frozenset(_BY_HEADER)


class Running:
    """A checksum of what has passed."""

    __slots__ = ("_algorithm", "_crc", "_hash")

    def __init__(self, name: str) -> None:
        self._algorithm = ALGORITHMS[name]
        self._crc = 0
        self._hash = hashlib.new(name, usedforsecurity=False) if self._algorithm.crc is None else None

    def take(self, data: memoryview) -> None:
        if self._algorithm.crc is not None:
            self._crc = self._algorithm.crc(data, self._crc)
        elif self._hash is not None:
            self._hash.update(data)

    def digest(self) -> Digest:
        size_bytes = self._algorithm.size_bytes
        value = self._hash.digest() if self._hash is not None else self._crc.to_bytes(size_bytes, "big")
        return Digest(self._algorithm.name, value)


@dataclass(frozen=True, slots=True)
class Given:
    """What a client says of a body. `value` is None if it comes behind the body."""

    algorithm: Algorithm
    value: bytes | None

    def check(self, digest: Digest) -> None:
        """Raises: Refusal."""
        if self.value is not None and self.value != digest.value:
            raise Refusal("BadDigest", f"The {self.algorithm.name} that was given is not that of the data.")


def given(headers: Mapping[str, str]) -> Given | None:
    """The checksum that the head of a request gives, or announces for its end. Raises: Refusal."""
    said = HEADERS & headers.keys()
    if not said and "x-amz-trailer" not in headers and "x-amz-sdk-checksum-algorithm" not in headers:
        return None
    trailers = headers.get("x-amz-trailer")
    announced = [name.strip().lower() for name in trailers.split(",")] if trailers is not None else []
    if any(name not in HEADERS for name in announced):
        raise bad_request("x-amz-trailer names something that is no checksum.")
    if len(said) + len(announced) > 1:
        raise bad_request("There may be one checksum, not several.")
    hint = headers.get("x-amz-sdk-checksum-algorithm", "").upper()
    if hint and not said and not announced:
        raise bad_request("x-amz-sdk-checksum-algorithm names a checksum that is not given.")
    for name in announced:
        return Given(_BY_HEADER[name], None)
    for name in said:
        return Given(_BY_HEADER[name], value_of(_BY_HEADER[name], headers[name], name))
    return None


def given_at_last(headers: Mapping[str, str], trailers: Mapping[str, str]) -> Given | None:
    """The same, once the body has come, with the trailers that were announced. Raises: Refusal."""
    kept = {name: value for name, value in headers.items() if name != "x-amz-trailer"}
    return given({**kept, **trailers})


def value_of(algorithm: Algorithm, text: str, name: str) -> bytes:
    """Raises: Refusal."""
    try:
        value = b64decode(text, validate=True)
    except (NotBase64, ValueError) as error:
        raise bad_request(f"The value of {name} is not valid.") from error
    if len(value) != algorithm.size_bytes:
        raise bad_request(f"The value of {name} is not valid.")
    return value


def text_of(digest: Digest) -> str:
    """As it is told: of parts, with their number behind it."""
    return b64encode(digest.value).decode("ascii") + (f"-{digest.parts}" if digest.parts else "")


def kind_of(digest: Digest) -> str:
    return COMPOSITE if digest.parts else FULL


def told_of(content: Content, *, kind: bool = True) -> dict[str, str]:
    """The headers that tell the checksum of a content, if one is known."""
    for digest in content.digests:
        told = {ALGORITHMS[digest.algorithm].header: text_of(digest)}
        return {**told, f"{PREFIX}type": kind_of(digest)} if kind else told
    return {}


def find(content: Content, algorithm: str) -> Digest | None:
    return next((digest for digest in content.digests if digest.algorithm == algorithm), None)


def of_content(content: Content, algorithm: str) -> Digest:
    """The checksum of its bytes, which are read if it is not known."""
    known = find(content, algorithm)
    if known is not None and not known.parts:
        return known
    running = Running(algorithm)
    for window in content.blob.windows():
        running.take(window)
    return running.digest()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an upload was begun with; `algorithm` is "" where nothing was asked for."""

    algorithm: str = ""
    kind: str = FULL


def wanted(headers: Mapping[str, str]) -> Wanted:
    """Raises: Refusal."""
    name = headers.get("x-amz-checksum-algorithm", "").upper()
    kind = headers.get("x-amz-checksum-type", "").upper()
    if not name:
        if kind:
            raise bad_request("x-amz-checksum-type needs an x-amz-checksum-algorithm.")
        return Wanted()
    algorithm = ALGORITHMS.get(name)
    if algorithm is None:
        raise bad_request(f"There is no checksum algorithm {name}.")
    if kind not in {"", FULL, COMPOSITE}:
        raise invalid("x-amz-checksum-type", kind)
    # docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
    kind = kind or algorithm.kinds[0]
    if kind not in algorithm.kinds:
        raise bad_request(f"There is no {kind} {name}.")
    return Wanted(name, kind)


def of_parts(parts: Sequence[Content], wish: Wanted) -> tuple[Digest, ...]:
    """What is known of the whole that `parts` make: first what was wished."""
    whole = [_combined(parts, DEFAULT)]
    if wish.algorithm and wish.kind == COMPOSITE:
        values = b"".join(of_content(part, wish.algorithm).value for part in parts)
        running = Running(wish.algorithm)
        running.take(memoryview(values))
        whole.insert(0, Digest(wish.algorithm, running.digest().value, len(parts)))
    elif wish.algorithm not in {"", DEFAULT}:
        whole.insert(0, _combined(parts, wish.algorithm))
    return tuple(whole)


def _combined(parts: Iterable[Content], name: str) -> Digest:
    algorithm = ALGORITHMS[name]
    crc = 0
    if algorithm.combine is None:
        raise ValueError(f"{name} does not combine")
    for part in parts:
        crc = algorithm.combine(crc, int.from_bytes(of_content(part, name).value, "big"), part.size_bytes)
    return Digest(name, crc.to_bytes(algorithm.size_bytes, "big"))
