"""Checksums of bytes on their way out, as headers say them.

A store of S3's kind compares a CRC-64/NVME, if it knows of it; else a Content-MD5, which all of them should, and its
ETag is an MD5 then. What a store knows is found out once. Bytes are read once for it, before they are sent.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from storage_guard.checksum import RunningCrc64, as_checksum, crc64nvme
from storage_guard.driver import Body, Checksum
from storage_guard.wire.outgoing import whole
from storage_guard.wire.services.bodies import HELD_BYTES, read_through

CRC_HEADER = "x-amz-checksum-crc64nvme"
SHA256_HEADER = "x-amz-content-sha256"

Sums = Literal["crc64nvme", "md5"]


@dataclass(frozen=True)
class Digest:
    """What a body comes to. `held`: the bytes themselves, if they are few."""

    crc: Checksum | None
    md5: bytes | None
    sha256: str | None
    held: bytes | None

    def headers(self, sums: Sums) -> dict[str, str]:
        headers: dict[str, str] = {}
        if sums == "crc64nvme" and self.crc is not None:
            headers[CRC_HEADER] = encoded(self.crc)
        elif self.md5 is not None:
            headers["Content-MD5"] = b64encode(self.md5).decode()
        if self.sha256 is not None:
            headers[SHA256_HEADER] = self.sha256
        return headers

    def said_by(self, text: str | None) -> bool:
        """Whether a service says the very same."""
        return text is not None and self.crc is not None and text == encoded(self.crc)

    def is_etag(self, etag: str) -> bool:
        """Whether an ETag is the MD5 of these bytes."""
        return self.md5 is not None and etag == self.md5.hex()


def digest(body: Body, *, crc: bool, md5: bool, sha256: bool) -> Digest:
    """Read a body for its sums, which go ahead of it. Raises `Refused` if it is not as long as it says."""
    nvme = RunningCrc64("crc64nvme") if crc else None
    md5_hash = hashlib.md5(usedforsecurity=False) if md5 else None
    sha256_hash = hashlib.sha256() if sha256 else None
    running = [each for each in (nvme, md5_hash, sha256_hash) if each is not None]

    def take(window: memoryview) -> None:
        for each in running:
            each.update(window)

    held = read_through(body, take)
    return Digest(
        None if nvme is None else nvme.checksum(),
        None if md5_hash is None else md5_hash.digest(),
        None if sha256_hash is None else sha256_hash.hexdigest(),
        held,
    )


def digest_of(data: bytes, *, md5: bool, sha256: bool) -> Digest:
    """The same of bytes that are at hand."""
    return Digest(
        as_checksum(crc64nvme(data), "crc64nvme"),
        hashlib.md5(data, usedforsecurity=False).digest() if md5 else None,
        hashlib.sha256(data).hexdigest() if sha256 else None,
        data,
    )


def encoded(checksum: Checksum) -> str:
    """A checksum as the service writes it: its bytes, the first one first, in base64."""
    return b64encode(bytes.fromhex(checksum.value)).decode()


def decoded(text: str) -> Checksum:
    """A CRC-64/NVME as the service writes it. Raises ValueError for what is none."""
    data = b64decode(text, validate=True)
    if len(data) != 8:
        raise ValueError(f"{text[:40]!r} is no checksum of 64 bits")
    return as_checksum(int.from_bytes(data, "big"), "crc64nvme")


@dataclass
class Known:
    """What the store at this endpoint was seen to do. Shared by threads: each field changes once, one way.

    `sums`: what it compares. `certain`: it has said its own CRC-64/NVME, or is AWS: then nothing changes any more.
    `hashed`: it wants the SHA-256 of bodies among the signed headers. `heard`: it is AWS, or took a body as it was.
    `trailers`: nothing is known against a checksum behind a part.
    """

    sums: Sums = "crc64nvme"
    certain: bool = False
    hashed: bool = False
    heard: bool = False
    trailers: bool = True

    @property
    def trails(self) -> bool:
        """Whether the checksum of a part may go behind it. Only where the store is sure to say what it took."""
        return self.trailers and self.certain and not self.hashed

    @property
    def learning(self) -> bool:
        """Whether the next answer may change what is sent."""
        return not self.heard

    def digest(self, body: Body) -> tuple[Digest, Sums]:
        """What is to be sent ahead of a body, and of which kind. An MD5 beside the CRC, to have one to compare in case
        the store says no CRC."""
        if body.size_bytes <= HELD_BYTES:
            return self.digest_of(whole(body))
        sums = self.sums
        return digest(body, crc=True, md5=self._wants_md5, sha256=self.hashed), sums

    def digest_of(self, data: bytes) -> tuple[Digest, Sums]:
        """The same of bytes that are at hand."""
        sums = self.sums
        return digest_of(data, md5=self._wants_md5, sha256=self.hashed), sums

    @property
    def _wants_md5(self) -> bool:
        return not self.certain or self.sums == "md5"

    def saw(self, headers: Mapping[str, str], name: str = CRC_HEADER) -> None:
        """An answer that could have said the service's own checksum."""
        if self.sums == "crc64nvme" and not self.certain:
            if name in headers:
                self.certain = True
            else:
                self.sums = "md5"
        if name == CRC_HEADER:
            self.heard = True

    def yields(self, objection: Literal["checksum", "payload"] | None, sums: Sums, *, hashed: bool) -> bool:
        """Gives way to what a store does not take of a request that had these `sums`, and a body `hashed` or not; False
        if there is nothing left to give. Others may have given way meanwhile."""
        if objection == "checksum" and sums == "crc64nvme" and not self.certain:
            self.sums = "md5"
            return True
        if objection == "payload" and not hashed:
            self.hashed = True
            return True
        return False
