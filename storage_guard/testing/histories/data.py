"""Bytes in every form in which a caller may hand them over."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, get_args

Form = Literal["bytes", "view", "path", "file", "stream", "pieces", "pipe", "failing"]
FORMS: tuple[Form, ...] = get_args(Form)


class OwnDataError(Exception):
    """What a caller's own data raises."""


class _Pipe(io.RawIOBase):
    """Bytes that come once, a few at a time."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = io.BytesIO(data)
        self._most_bytes = len(data) // 3 + 1

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(min(size, self._most_bytes) if size >= 0 else self._most_bytes)


def handed_over(form: Form, data: bytes, spill: Callable[[bytes], Path]) -> tuple[Any, Callable[[], object]]:
    """The bytes in the form in which a caller may hand them over, and what closes it. `spill` makes a file."""
    match form:
        case "bytes":
            return data, _nothing
        case "view":
            return memoryview(bytearray(data)), _nothing
        case "path":
            return spill(data), _nothing
        case "file":
            file: IO[bytes] = spill(data).open("rb")
            return file, file.close
        case "stream":
            return iter(_cut(data)), _nothing
        case "pieces":
            return list(_cut(data)), _nothing
        case "pipe":
            return _Pipe(data), _nothing
        case "failing":
            return _failing(data), _nothing


def _nothing() -> None:
    """There is nothing to close."""


def _cut(data: bytes) -> Iterable[bytes]:
    third = max(1, len(data) // 3)
    return [data[start : start + third] for start in range(0, len(data), third)]


def _failing(data: bytes) -> Iterator[bytes]:
    yield data[: 2 * len(data) // 3]
    raise OwnDataError("the caller's own data failed")
