"""A new object as a binary file."""

from __future__ import annotations

import io
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

from storage_guard.body import bytes_of
from storage_guard.files.draft import Draft, warn
from storage_guard.model import Receipt

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Creating(io.IOBase):
    """What files that create an object have in common.

    The object is there, whole, when `commit` or `close` has returned, or the `with` block was left without an
    exception; at no other time, and never a part of it. All else discards: an exception that leaves the block,
    `discard`, a failed write, a file that is collected unclosed, the end of the program.
    """

    def __init__(self, draft: Draft, mode: str) -> None:
        super().__init__()
        self._draft = draft
        self._mode = mode
        self._dropped = False  # with the wrapper around it
        self._dropping = False  # right now
        self.held = False
        """Whether `close`, and leaving the `with` block without an exception, publish nothing yet: the file takes no
        more then, and `commit` or `discard` decides. For transactions. Dropped undecided, it is discarded."""

    @property
    def key(self) -> str:
        """The object's key."""
        return self._draft.key

    @property
    def name(self) -> str:
        """The same: what zipfile, tarfile and others look for."""
        return self._draft.key

    @property
    def mode(self) -> str:
        """ "xb" or "xt"."""
        return self._mode

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more: committed, discarded, failed, or closed and `held`."""
        return not self._dropping and (self._draft.ended or self._draft.sealed)

    @property
    def state(self) -> str:
        """ "open", "sealed" (closed, `held`, and undecided), "committed", "discarded" or "failed"."""
        return self._draft.state

    @property
    def receipt(self) -> Receipt | None:
        """What `commit` returned; None before, and if it failed."""
        return self._draft.receipt

    def commit(self) -> Receipt:
        """Publish the object and close the file. Called again, it returns the same receipt, or raises the same error.

        Raises what `Store.create` raises, and ValueError for a file that was discarded.
        """
        return self._draft.commit(self._rest)

    def discard(self) -> None:
        """Publish nothing, throw away what was sent, and close the file. After a commit, it changes nothing."""
        notes = self._draft.discard()
        if notes:
            warn("; ".join(notes))

    def close(self) -> None:
        """Commit, unless the file is closed; but discard, with a RuntimeWarning, while an exception is in flight that
        was not in flight when the file was opened."""
        self._dropping = False
        self._draft.close(self._rest, held=self.held)

    def flush(self) -> None:
        """Publishes nothing, and sends nothing either: parts go up when they are full."""
        if not self._dropping:
            self._draft.check_open()

    def writable(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key!r}, {self._draft.state}>"

    def __enter__(self) -> Self:
        self._draft.check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        draft = self._draft
        if kind is None:
            if self._dropped and draft.discarded:
                draft.check_open()  # says so: who leaves the block in peace counts on the object
            if not draft.discarded:
                draft.seal(self._rest) if self.held else draft.commit(self._rest)
            return
        notes = draft.discard()
        if value is not None:
            draft.note(notes, value)

    def __del__(self) -> None:
        # That of io.IOBase closes, which would publish a part as if it were the whole.
        draft = getattr(self, "_draft", None)
        if draft is not None:
            draft.drop("was never closed")

    def _dealloc_warn(self, source: object) -> None:
        # What the wrappers of the io module call, where they are told of it, when they are dropped unclosed; then they
        # flush and close what they wrap, which would publish a part. They must find it open: what a finalizer raises
        # is shown from Python 3.13 on.
        self._dropped = self._dropping = True
        self._draft.drop(f"was never closed: the {type(source).__name__} around it was dropped")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{self.key!r}: a file that is being written can be neither copied nor pickled")

    def _rest(self) -> None:
        """Hand over what is kept back here."""


class ObjectWriter(Creating, io.BufferedIOBase):
    """A binary file that creates an object: `Store.open(key, "xb")`. It uploads while it is written to.

    Threads may share it: their writes take turns. In memory: one part that is being filled, and those on their way.
    """

    def __init__(self, draft: Draft, mode: str = "xb") -> None:
        super().__init__(draft, mode)
        self._written_bytes = 0

    def write(self, data: Buffer, /) -> int:
        """Take all of a contiguous buffer, and return its size in bytes.

        Raises ObjectExists as soon as a rival was seen, and what else `Store.create` raises: then the file is
        discarded. ValueError if it is closed; TypeError, and nothing has happened, for what is no buffer.
        """
        if isinstance(data, str):
            raise TypeError(f"{self.key!r}: a binary file takes bytes, not str")
        with memoryview(data) as given, bytes_of(given) as view:
            if self._dropping:
                return view.nbytes  # what a dropped wrapper still had
            self._draft.turn(self._draft.put, view)
            self._written_bytes += view.nbytes
            return view.nbytes

    def writelines(self, lines: Iterable[Buffer], /) -> None:
        for line in lines:
            self.write(line)

    def tell(self) -> int:
        """How many bytes were written (uncompressed)."""
        return self._written_bytes
