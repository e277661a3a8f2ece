"""What fsspec calls a mode, read once: "wb" and "xb" both create, and what would change an object is refused. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from storage_guard.errors import Unsupported

IfExists = Literal["error", "same", "skip"]

# What the Store packs by itself, and so that equal data becomes equal bytes.
PACKINGS = {"gzip": "gzip", "bz2": "bz2", "xz": "xz", "lzma": "xz"}


@dataclass(frozen=True)
class Mode:
    """`exclusive`: "x", which no option makes less strict."""

    reading: bool
    exclusive: bool
    text: bool


def parse(mode: str, path: str) -> Mode:
    """Raises Unsupported for a mode that changes what is there, ValueError for what is no mode."""
    kinds = set(mode) & set("rwxa")
    if len(kinds) != 1 or set(mode) - set("rwxabt+") or len(set(mode)) != len(mode) or {"b", "t"} <= set(mode):
        raise ValueError(f"{mode!r} is no mode")
    if "a" in kinds or "+" in mode:
        raise Unsupported(
            f'{path!r} was not opened: mode {mode!r} changes what is there, and objects are only created ("wb", "xb")',
            key=path,
        )
    return Mode(reading="r" in kinds, exclusive="x" in kinds, text="b" not in mode)


def may_replace(path: str, mode: str | None, *, rewritable: bool) -> bool:
    """Whether `mode` of pipe and put lets an object be replaced, which is `rewritable` or not.

    None does what the filesystem was told, "create" always creates. Raises Unsupported for "overwrite" of what is not
    rewritable, ValueError for what is no mode.
    """
    if mode not in (None, "create", "overwrite"):
        raise ValueError(f'mode must be "create" or "overwrite", got {mode!r}')
    if mode == "overwrite" and not rewritable:
        raise Unsupported(
            f'{path!r} was not written: mode="overwrite", and objects are only created, but for those of overwrite_ok',
            key=path,
        )
    return rewritable and mode != "create"


def is_list(given: Any) -> bool:
    """Of paths or bounds: fsspec takes one, or a list."""
    return isinstance(given, list)


def check_if_exists(if_exists: str) -> None:
    """Raises ValueError for another."""
    if if_exists not in ("error", "same", "skip"):
        raise ValueError(f'if_exists must be "error", "same" or "skip", got {if_exists!r}')


def packing_for_writing(compression: str | None, path: str) -> Literal["gzip", "bz2", "xz"] | None:
    """Raises Unsupported for a codec in which an exception would not discard, or equal data not be equal bytes."""
    if compression is None:
        return None
    if compression not in PACKINGS:
        raise Unsupported(
            f"{path!r} was not opened: nothing is written here with compression={compression!r}, only with "
            f"{', '.join(PACKINGS)}; put the codec's own file inside our `with` block",
            key=path,
        )
    return PACKINGS[compression]  # type: ignore[return-value]  # the values of the table are those three
