"""What goes to the service and what comes back: what of it is S3's own. Plain values, no I/O."""

from __future__ import annotations

from storage_guard.wire.services import message
from storage_guard.wire.services.message import Operation, Request, Route, Versioning

__all__ = ["GUARDED", "Answer", "Operation", "Request", "Route", "Versioning"]

GUARDED: frozenset[Operation] = frozenset({"put", "finish", "copy"})
"""Those that carry the condition. CreateMultipartUpload knows none: only the completion is guarded."""


class Answer(message.Answer):
    """An answer of a service of S3's kind, or of something on the way to it."""

    __slots__ = ()

    @property
    def request_id(self) -> str | None:
        """AWS gives one with every answer. Not every service of its kind does."""
        return self.headers.get("x-amz-request-id") or None
