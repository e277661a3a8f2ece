"""A new object as a text file."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage_guard.files.writer import Creating

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from storage_guard.files.draft import Draft


@dataclass(frozen=True)
class Text:
    """How text becomes bytes: as the built-in `open` has it, but for the encoding, which is UTF-8 everywhere."""

    encoding: str | None = None
    errors: str | None = None
    newline: str | None = None

    @property
    def is_given(self) -> bool:
        return (self.encoding, self.errors, self.newline) != (None, None, None)

    def wrap(self, binary: io.BytesIO | _Sink) -> io.TextIOWrapper:
        """Raises LookupError and ValueError for what there is not."""
        return io.TextIOWrapper(binary, self.encoding or "utf-8", self.errors, self.newline)


class ObjectTextWriter(Creating, io.TextIOBase):
    """A text file that creates an object: `Store.open(key, "xt")`. It publishes as `ObjectWriter` does.

    There is no `buffer`: bytes could get ahead of text that still waits here, of which there are some KiB.
    """

    def __init__(self, draft: Draft, text: Text) -> None:
        super().__init__(draft, "xt")
        # It encodes fast; what it is dangerous for, closing when it is dropped, does not reach through the sink.
        self._text = text.wrap(_Sink(draft))

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._text.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._text.errors

    def write(self, text: str, /) -> int:
        """Take all of the text, and return its length in characters.

        Raises what `ObjectWriter.write` raises. UnicodeEncodeError and TypeError: nothing has happened.
        """
        return self._draft.turn(self._write, text)

    def _write(self, text: str) -> int:
        self._draft.check_open()
        try:
            return self._text.write(text)
        except (TypeError, UnicodeError):
            raise
        except BaseException as exc:
            self._draft.fail(exc)
            raise

    def writelines(self, lines: Iterable[str], /) -> None:  # type: ignore[override]
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Encodes what waits; publishes nothing, and sends nothing either: parts go up when they are full."""
        self._draft.turn(self._flush)

    def _flush(self) -> None:
        self._draft.check_open()
        try:
            self._text.flush()
        except BaseException as exc:
            self._draft.fail(exc)
            raise

    def _rest(self) -> None:
        self._text.flush()


class _Sink(io.BufferedIOBase):
    """Takes encoded text as long as there is a use for it."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft

    @property
    def name(self) -> str:
        return self._draft.key

    def writable(self) -> bool:
        return True

    # A wrapper of what cannot seek leaves out the mark that UTF-16 begins with.
    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return 0  # asked once, at the beginning

    def write(self, data: Buffer, /) -> int:
        view = memoryview(data)
        if not self._draft.ended:
            self._draft.put(view)
        return view.nbytes
