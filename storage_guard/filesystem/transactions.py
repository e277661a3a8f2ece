"""`with fs.transaction:` publishes what was written in it at its end, or nothing of it when an exception ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsspec.transaction import Transaction

if TYPE_CHECKING:
    from storage_guard import ObjectTextWriter, ObjectWriter


class GuardTransaction(Transaction):
    """Files are committed one by one, in the order they were opened: no store publishes several objects in one step.

    The first that fails ends it: those before it are there, the others are discarded, and notes of the error say which
    are which. A file that an exception discarded on its own is left out.
    """

    def complete(self, commit: bool = True) -> None:
        """Commit, or discard. Raises ValueError for a file that is still open, and then discards all; what a commit
        raises."""
        files: list[ObjectWriter | ObjectTextWriter] = list(self.files)
        self.files.clear()
        try:
            if commit:
                _commit(files)
            else:
                _discard(files)
        finally:
            fs, self.fs = self.fs, None
            if fs is not None:
                fs._intrans, fs._transaction = False, None  # noqa: SLF001 - fsspec's own way


def _commit(files: list[ObjectWriter | ObjectTextWriter]) -> None:
    files = [file for file in files if file.state != "discarded"]
    still_open = [file.key for file in files if file.state == "open"]
    done: list[str] = []
    try:
        if still_open:
            raise ValueError(f"nothing was published: still open at the end of the transaction are {still_open}")
        for file in files:
            file.commit()
            done.append(file.key)
    except BaseException as exc:
        _discard(files[len(done) :])
        if done or len(files) > 1:
            exc.add_note(f"of the transaction's {len(files)} files were published: {done or 'none'}")
        raise


def _discard(files: list[ObjectWriter | ObjectTextWriter]) -> None:
    for file in files:
        file.discard()
