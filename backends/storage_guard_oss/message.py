"""What goes to the service and what comes back: what of it is OSS's own. Plain values, no I/O."""

from __future__ import annotations

from storage_guard.wire.services import message
from storage_guard.wire.services.message import Operation, Request, Route, Versioning

__all__ = ["CREATES", "Answer", "Operation", "Request", "Route", "Versioning"]

CREATES: frozenset[Operation] = frozenset({"put", "begin", "finish", "copy"})
"""Those that are refused if the key is taken."""


class Answer(message.Answer):
    """An answer of OSS's, or of something on the way to it."""

    __slots__ = ()

    @property
    def request_id(self) -> str | None:
        """None in an answer that the service itself did not give."""
        return self.headers.get("x-oss-request-id") or None
