"""The service's XML, read and written. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from storage_guard.wire.document import Element, NotUnderstoodError, quoted, read, unquoted

__all__ = ["Element", "NotUnderstoodError", "part_list", "quoted", "read", "unquoted"]


def part_list(parts: Iterable[tuple[int, str]]) -> bytes:
    """The body of a CompleteMultipartUpload, from (number, etag) in their order."""
    listed = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(quoted(etag))}</ETag></Part>" for number, etag in parts
    )
    return f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
