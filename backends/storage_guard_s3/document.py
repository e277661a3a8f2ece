"""The service's XML, read and written. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from storage_guard.driver import Part
from storage_guard.wire.document import Element, NotUnderstoodError, quoted, read, unquoted
from storage_guard_s3.sums import encoded

__all__ = ["Element", "NotUnderstoodError", "part_list", "quoted", "read", "unquoted"]

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def part_list(parts: Iterable[Part]) -> bytes:
    """The body of a CompleteMultipartUpload, with the checksums of parts that have one of the service's."""
    listed = "".join([_part(part) for part in parts])
    return f'<CompleteMultipartUpload xmlns="{_NAMESPACE}">{listed}</CompleteMultipartUpload>'.encode()


def _part(part: Part) -> str:
    checksum = ""
    if part.checksum is not None and part.checksum.algorithm == "crc64nvme":
        checksum = f"<ChecksumCRC64NVME>{encoded(part.checksum)}</ChecksumCRC64NVME>"
    etag = escape(quoted(part.etag))
    return f"<Part><PartNumber>{part.slot.number}</PartNumber><ETag>{etag}</ETag>{checksum}</Part>"
