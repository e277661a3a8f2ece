"""What a caller can be told.

    StorageGuardError
      ObjectExists        (FileExistsError)    another's object is at the key; ours is not
      OutcomeUnknown                           ours may be there, now or later; `ticket` asks again
      ObjectNotFound      (FileNotFoundError)  nothing is at the key
      ObjectChanged                            the object is no longer the one that was asked for
      InvalidKey          (ValueError)         no store of ours takes this key, or a folder is in the way
      Unsupported         (ValueError)         this backend cannot do what was asked
      GuaranteeBroken                          the store wrote ours without keeping the condition
      ObjectDamaged                            the store published ours, and its bytes are not those that were sent
      RenameIncomplete                         the copy is there; the source is too, or may be
      NotWritten                               definite: ours is not there and will not appear
        AccessDenied      (PermissionError)    the store does not let us
        GuaranteeMissing                       the store would not keep the promise here
        ChecksumMismatch                       the bytes changed on their way
        SourceChanged                          the source vanished, grew or shrank meanwhile
          SourceMissing   (FileNotFoundError)  there is no file at the path
        StoreUnavailable                       gave up; trying again later is right

Each says what is true now and what to do. `key`, `status`, `code` and `request_id` are attributes; messages are for
people and may change. Trouble while cleaning up is a note (`__notes__`), never a replacement. All pickle whole, but
for `__cause__`, which Python itself leaves out.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from storage_guard.raising import About, revive

if TYPE_CHECKING:
    from storage_guard.model import ObjectInfo, Receipt

_TICKET = "storage_guard_ticket"


class StorageGuardError(Exception):
    """Base of all. `key` is None where no single key is concerned."""

    _errno: ClassVar[int | None] = None

    def __init__(self, message: str, *, key: str | None = None, **about: Unpack[About]) -> None:
        super().__init__(message)
        self.message = message
        self.key = key
        self.status = about.get("status")
        self.code = about.get("code")
        self.request_id = about.get("request_id")
        if self._errno is not None:
            self.__setstate__({"errno": self._errno, "filename": key})

    def __str__(self) -> str:
        return self.message

    @property
    def _filename(self) -> str | None:
        """Of those that are an OSError."""
        return self.key

    def __reduce__(self) -> tuple[Any, ...]:
        # The default protocol calls the class with `args`, which loses keyword arguments, errno and filename.
        state = dict(self.__dict__)
        if self._errno is not None:
            state |= {"errno": self._errno, "filename": self._filename}
        return revive, (type(self), self.args), state


class ObjectExists(StorageGuardError, FileExistsError):
    """Another's object is at the key and ours is not. Do not retry.

    `existing` describes it, as seen after the refusal; None where the store would not let us look.
    """

    _errno = errno.EEXIST

    def __init__(
        self,
        message: str,
        *,
        key: str | None = None,
        existing: ObjectInfo | None = None,
        **about: Unpack[About],
    ) -> None:
        super().__init__(message, key=key, **about)
        self.existing = existing


class OutcomeUnknown(StorageGuardError):
    """Ours may be there, may yet appear, or may not. `Store.settle(ticket)` asks again, from any process.

    `write_id` names the write: `create` with the same id and the same bytes is safe. `ticket` and `write_id` are
    None when it is a removal whose outcome is unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        key: str | None = None,
        ticket: str | None = None,
        write_id: str | None = None,
        **about: Unpack[About],
    ) -> None:
        super().__init__(message, key=key, **about)
        self.ticket = ticket
        self.write_id = write_id


class ObjectNotFound(StorageGuardError, FileNotFoundError):
    """Nothing is at the key."""

    _errno = errno.ENOENT


class ObjectChanged(StorageGuardError):
    """The object is there, but it is not the one that was asked for: its etag or version differs."""


class InvalidKey(StorageGuardError, ValueError):
    """A key that not every store can hold, or (on a disk) a folder or file that is in the way. Nothing was written."""


class Unsupported(StorageGuardError, ValueError):
    """This backend cannot do what was asked. It was refused whole: no part of the request was carried out."""


class GuaranteeBroken(StorageGuardError):
    """The store wrote our object without keeping the condition, and may have replaced another's. Stop and look.

    `version_id` is that of our object on a versioned bucket: what it replaced is the version before it.
    """

    def __init__(
        self,
        message: str,
        *,
        key: str | None = None,
        version_id: str | None = None,
        **about: Unpack[About],
    ) -> None:
        super().__init__(message, key=key, **about)
        self.version_id = version_id


class ObjectDamaged(StorageGuardError):
    """The key was free and our object is there now, but its bytes are not those that were sent. Do not use it.

    Remove it and create it anew; to keep it from readers nothing can be done any more.
    """


class RenameIncomplete(StorageGuardError):
    """The new key has the object, and the old one has it still, or may have: removing it failed, `__cause__` says how.

    `receipt` is that of the copy.
    """

    def __init__(
        self, message: str, *, key: str | None = None, receipt: Receipt | None = None, **about: Unpack[About]
    ) -> None:
        super().__init__(message, key=key, **about)
        self.receipt = receipt


class NotWritten(StorageGuardError):
    """Definite: our object is not there and will not appear. Raised itself for no space, read-only, a bad request."""


class AccessDenied(NotWritten, PermissionError):
    """The store does not let us. Mend the permissions before trying again."""

    _errno = errno.EACCES


class GuaranteeMissing(NotWritten):
    """The store would not keep the create-only promise here; nothing was sent. The message says why."""


class ChecksumMismatch(NotWritten):
    """The bytes that arrived are not the bytes that were sent; the store refused them. Trying again is right."""


class SourceChanged(NotWritten):
    """The source vanished, grew or shrank while it was read; nothing was published."""


class SourceMissing(SourceChanged, FileNotFoundError):
    """There is no file at `path`, which was to be written; nothing was sent."""

    _errno = errno.ENOENT

    def __init__(
        self, message: str, *, key: str | None = None, path: str | None = None, **about: Unpack[About]
    ) -> None:
        super().__init__(message, key=key, **about)
        self.path = path
        self.__setstate__({"filename": path})

    @property
    def _filename(self) -> str | None:
        return self.path


class StoreUnavailable(NotWritten):
    """The store did not do its work until the deadline, and is known not to have acted. Try again later."""


class GuaranteeWarning(UserWarning):
    """`enforcement="trust"` believes a store for whose create-only writes nobody vouches."""


def ticket_of(exc: BaseException) -> str | None:
    """The ticket to `Store.settle` that an exception carries, KeyboardInterrupt included; None if it carries none.

    Causes and contexts are looked through, and the members of a group, because the exception that a caller sees is
    often one that wraps ours.
    """
    todo: list[BaseException | None] = [exc]
    seen: set[int] = set()
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        ticket = each.ticket if isinstance(each, OutcomeUnknown) else each.__dict__.get(_TICKET)
        if isinstance(ticket, str):
            return ticket
        if isinstance(each, BaseExceptionGroup):
            todo.extend(each.exceptions)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        todo += [each.__context__, each.__cause__]
    return None


def attach_ticket(exc: BaseException, ticket: str) -> None:
    """Let `exc`, of whatever class, carry a ticket for `ticket_of` to find."""
    setattr(exc, _TICKET, ticket)
