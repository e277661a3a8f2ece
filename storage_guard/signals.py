"""What a driver may say instead of an answer. One question sorts them all: *can the store have acted?*

    Signal
      Definite                the store did NOT act on this request
        Exists(sole)          the key is taken
        Gone(sole)            the upload id is unknown
        Absent                the object, or the source of a copy, is not there
        Changed               the etag or version differs from the one asked for
        Conflict(restart)     the store lost track of who writes; nobody wrote (S3: 409 ConditionalRequestConflict)
        Busy(retry_after_s)   throttled by name, or nothing was sent
        Corrupt               the store refused our checksum: the bytes changed on the way
        Unsupported           this backend cannot do what was asked, ever
        Unguarded             the condition would not be kept here
        Refused(why)          access, request, key, space, read-only
      Lost                    it MAY have acted: cut, timed out, 5xx, an answer that cannot be understood
      Unsynced                it DID act: the object is visible, but not known to survive a crash
      Broken                  it DID act, without keeping the condition
      Damaged                 it DID act, under the condition, and what it published are not the bytes that were sent

In doubt raise `Lost`: one HEAD too many is cheap, one false `Exists` is a lost write. Decide by the error *code* a
service sends, never by the HTTP status alone. Signals never reach users; `Store` turns them into `errors`.
"""

from __future__ import annotations

from typing import Any, Literal, Unpack

from storage_guard.raising import About, revive

Why = Literal["access", "request", "key", "space", "read-only"]


class Signal(Exception):
    """Base of all. `status`, `code` and `request_id` are the service's own, where there are any."""

    def __init__(self, message: str = "", **about: Unpack[About]) -> None:
        super().__init__(message)
        self.message = message
        self.status = about.get("status")
        self.code = about.get("code")
        self.request_id = about.get("request_id")

    def __str__(self) -> str:
        return self.message or type(self).__name__

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the class with `args`, and loses what came by keyword.
        return revive, (type(self), self.args), dict(self.__dict__)


class Definite(Signal):
    """The store did not act on this request."""


class Exists(Definite):
    """The key is taken. `sole`: this request was sent exactly once, over no retrying proxy we know of, so the
    object that is in the way cannot be this very request's."""

    def __init__(self, message: str = "", *, sole: bool, **about: Unpack[About]) -> None:
        super().__init__(message, **about)
        self.sole = sole


class Gone(Definite):
    """The upload id is unknown: finished, aborted, or never was. `sole` as for `Exists`; False when in doubt."""

    def __init__(self, message: str = "", *, sole: bool = False, **about: Unpack[About]) -> None:
        super().__init__(message, **about)
        self.sole = sole


class Absent(Definite):
    """The object, or the source of a copy, is not there."""


class Changed(Definite):
    """The object is there, but its etag or version is not the one asked for."""


class Conflict(Definite):
    """Conflicting requests met and none of them wrote. `restart`: this upload id is spoilt, a new one is needed."""

    def __init__(self, message: str = "", *, restart: bool, **about: Unpack[About]) -> None:
        super().__init__(message, **about)
        self.restart = restart


class Busy(Definite):
    """Only for a service's *named* throttle codes, or when nothing was sent (a refused connection)."""

    def __init__(self, message: str = "", *, retry_after_s: float = 0.0, **about: Unpack[About]) -> None:
        super().__init__(message, **about)
        self.retry_after_s = retry_after_s


class Corrupt(Definite):
    """The store compared our checksum with the bytes it received and refused them."""


class Unsupported(Definite):
    """This backend cannot do what was asked; asking again will not help."""


class Unguarded(Definite):
    """The create-only condition would not be kept here (a versioned OSS bucket, a disk without hard links)."""


class Refused(Definite):
    """A definite no for another reason. `why`: "access", "request", "key", "space" or "read-only"."""

    def __init__(self, message: str = "", *, why: Why, **about: Unpack[About]) -> None:
        super().__init__(message, **about)
        self.why: Why = why


class Lost(Signal):
    """The request may have been carried out, now or later: no answer, or none that can be understood."""


class Unsynced(Signal):
    """The object was published and is visible, but the store could not make that survive a crash.

    `head` must not show such an object as ours until it is durable: `settle` believes it.
    """


class Broken(Signal):
    """The store wrote the object without keeping the condition, and may have replaced another's."""

    def __init__(self, message: str = "", *, version_id: str | None = None, **about: Unpack[About]) -> None:
        super().__init__(message, **about)
        self.version_id = version_id


class Damaged(Signal):
    """The store published our object, and the checksum it answers is not that of the bytes we sent."""
