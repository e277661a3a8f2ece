"""What the server and a dialect say to each other: a request comes in, is received, and is answered.

`serving` speaks HTTP and knows no service; a `Dialect` knows the service and no sockets. Everything a dialect is asked
happens in one thread, one step at a time: what `Receiving.end` does is atomic.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Request:
    """The head of a request, as it came over the wire.

    `host` is the name that the client asked, without the port and in lower case: from the absolute URL that a proxy is
    sent, otherwise from the header. `raw_path` begins with a slash and `raw_query` follows the "?"; neither is decoded.
    Header names are in lower case.
    """

    method: str
    host: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str]
    secure: bool = False


@dataclass(frozen=True)
class Answer:
    """`body` is sent as it is; pieces with `body_bytes` altogether where it is long. A HEAD is answered with the length
    that its GET would have: `body_bytes`, and no body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | Iterable[bytes | memoryview] = b""
    body_bytes: int | None = None  # None: that of `body`, which is bytes then


def answered(status: int, told: dict[str, str], headers: Mapping[str, str] | None, document: bytes) -> Answer:
    """`told`: what all answers of the service tell."""
    if headers:
        told.update(headers)
    if document:
        told["Content-Type"] = "application/xml"
    return Answer(status, told, document)


@dataclass(frozen=True)
class Asked:
    """What a request is for, in the words of `storage_guard.driver`: "put_new", "copy_new", "begin", "put_part",
    "copy_part", "finish_new", "abort", "head", "read", "scan", "remove", "scan_uploads", "scan_parts", and
    "versioning", "bucket" or "other". `key` is decoded, "" where there is none."""

    member: str
    bucket: str = ""
    key: str = ""


class Receiving(Protocol):
    """A request whose body is on its way."""

    @abstractmethod
    def take(self, data: memoryview) -> None:
        """A piece of the body, valid during the call."""
        ...

    @abstractmethod
    def end(self) -> Answer:
        """The body is whole: act, in this one step, and say what came of it."""
        ...

    @abstractmethod
    def cut(self) -> None:
        """The body will not become whole: forget it, nothing was done."""
        ...


class Dialect(Protocol):
    """A service."""

    @abstractmethod
    def asked(self, request: Request) -> Asked:
        """What the request is for. Never fails: "other" is an answer."""
        ...

    @abstractmethod
    def receive(self, request: Request) -> Receiving:
        """The head is there. A request that is refused for its head alone is received, and refused at its end."""
        ...

    @abstractmethod
    def refusal(self, request: Request, status: int, code: str) -> Answer:
        """An error in the form of the service, for a fault on cue."""
        ...
