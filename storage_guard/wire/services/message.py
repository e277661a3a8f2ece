"""What goes to a service and what comes back, whoever carries it. Plain values, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol, Self, TypeVar

from storage_guard.driver import Lost
from storage_guard.wire.document import Element

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
    "bucket info",
]

Versioning = Literal["never", "enabled", "suspended", "unknown"]

_NONE: Mapping[str, str] = MappingProxyType({})

ANSWER_BYTES = 64 * 1024 * 1024
"""More than any document of a service: a thousand keys of the longest kind, percent-encoded, are under 10 MiB."""


class Request(NamedTuple):
    """One request. `key` is "" for the bucket itself, `bucket` is None for the driver's own.

    `about` names, for people, what it concerns. `document` is a body that is small and known; bytes of objects travel
    beside the request. `answer_bytes` bounds the body of an answer that says it went well.
    """

    operation: Operation
    method: str
    key: str = ""
    params: Mapping[str, str] = _NONE
    headers: Mapping[str, str] = _NONE
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
        operation, method, key, params, own, document, bucket, answer_bytes = self
        return Request(operation, method, key, params, {**own, **headers}, document, bucket, answer_bytes)


class Answer(NamedTuple):
    """A whole answer; names of headers in lower case. `asked_at` is when it was asked for, by this machine's clock.
    `hidden` was sent with the request, and must not be repeated to anybody."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    asked_at: datetime
    hidden: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Answer({self.status}, {dict(self.headers)!r}, {len(self.body)} bytes)"

    @property
    def ok(self) -> bool:
        return self.status // 100 == 2

    def hiding(self, secrets: Iterable[str]) -> Self:
        return self._replace(hidden=tuple(secrets))


@dataclass(frozen=True)
class Route:
    """How requests reach the service. `sole`: nothing that we know of on the way may send one twice."""

    sole: bool


A = TypeVar("A", bound=Answer)
A_contra = TypeVar("A_contra", bound=Answer, contravariant=True)


class Judge(Protocol[A_contra]):
    """What an answer is judged by. The service's own says what a refusal means."""

    def lost(self, answer: A_contra, why: str) -> Lost:
        """An answer that cannot be understood."""
        ...

    def root(self, answer: A_contra, name: str) -> Element:
        """The document of an answer that must have one. Raises the signal of a refusal, and `Lost`."""
        ...
