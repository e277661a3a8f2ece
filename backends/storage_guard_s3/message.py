"""What goes to the service and what comes back, whoever carries it. Plain values, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

Operation = Literal[
    "put",
    "begin",
    "part",
    "part copy",
    "finish",
    "abort",
    "copy",
    "head",
    "read",
    "tags",
    "list",
    "remove",
    "list uploads",
    "list parts",
    "versioning",
]

Versioning = Literal["never", "enabled", "suspended", "unknown"]

GUARDED: frozenset[Operation] = frozenset({"put", "finish", "copy"})
"""Those that carry the condition. CreateMultipartUpload knows none: only the completion is guarded."""

ANSWER_BYTES = 64 * 1024 * 1024
"""More than any document of the service: a thousand keys of the longest kind, percent-encoded, are under 10 MiB."""


@dataclass(frozen=True)
class Request:
    """One request. `key` is "" for the bucket itself, `bucket` is None for the driver's own.

    `about` names, for people, what it concerns. `document` is a body that is small and known; bytes of objects travel
    beside the request. `answer_bytes` bounds the body of an answer that says it went well.
    """

    operation: Operation
    method: str
    key: str = ""
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    document: bytes = b""
    bucket: str | None = None
    answer_bytes: int = ANSWER_BYTES

    @property
    def about(self) -> str:
        if not self.key:
            return self.operation
        return f"{self.operation} of {self.key!r}"

    def also(self, headers: Mapping[str, str]) -> Request:
        """The same with further headers."""
        return replace(self, headers={**self.headers, **headers}) if headers else self


@dataclass(frozen=True)
class Answer:
    """A whole answer; names of headers in lower case. `asked_at` is when it was asked for, by this machine's clock.
    `hidden` was sent with the request, and must not be repeated to anybody."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    asked_at: datetime
    hidden: tuple[str, ...] = field(default=(), repr=False)

    @property
    def request_id(self) -> str | None:
        """AWS gives one with every answer. Not every service of its kind does."""
        return self.headers.get("x-amz-request-id") or None

    @property
    def ok(self) -> bool:
        return self.status // 100 == 2

    def hiding(self, secrets: Iterable[str]) -> Answer:
        return replace(self, hidden=tuple(secrets))


@dataclass(frozen=True)
class Route:
    """How requests reach the service. `sole`: nothing that we know of on the way may send one twice."""

    sole: bool
