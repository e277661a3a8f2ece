"""`Store.open`: which file for which mode, and what is refused before there is one."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from storage_guard.engine.sending import Bounds
from storage_guard.errors import ObjectExists
from storage_guard.files.compression import Compression, check_name, compressor
from storage_guard.files.draft import Draft
from storage_guard.files.pouring import Pour, Task
from storage_guard.files.textual import ObjectTextWriter, Text
from storage_guard.files.writer import ObjectWriter

if TYPE_CHECKING:
    from storage_guard.access import Access
    from storage_guard.engine.policy import Policy, Wanted
    from storage_guard.engine.sending import Progress
    from storage_guard.model import Capabilities

__all__ = [
    "Compression",
    "ObjectTextWriter",
    "ObjectWriter",
    "Text",
    "open_reader",
    "open_writer",
    "refuse_for_reading",
]


def refuse_for_reading(**options: object) -> None:
    """Raises ValueError for an option that only writing has."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{', '.join(given)}: a file that is read has no use for it")


def open_reader(
    access: Access, key: str, mode: str, compression: str | None, text: Text, *, bounds: Bounds
) -> io.BufferedIOBase | io.TextIOWrapper:
    """Raises ValueError for options that make no sense, and what reading raises."""
    from storage_guard.files import reader  # noqa: PLC0415 - who writes does not read

    _is_text(mode, text)
    packed = None if compression is None else check_name(compression)
    return reader.open_reader(access, bounds, key, mode, packed, text.encoding, text.errors, text.newline)


def open_writer(
    policy: Policy,
    wanted: Wanted,
    mode: str,
    compression: str | None,
    text: Text,
    *,
    progress: Progress | None,
    deadline_s: float,
) -> ObjectWriter | ObjectTextWriter:
    """Raises ValueError and LookupError for options that make no sense; then GuaranteeMissing, Unsupported, NotWritten;
    then ObjectExists, if the key is seen to be taken and that is an error."""
    if mode not in ("xb", "xt", "x"):
        raise ValueError(f'mode must be "xb", "xt", "rb" or "rt" (an object is created, never changed), got {mode!r}')
    is_text = _is_text(mode, text)
    if is_text:
        text.wrap(io.BytesIO())
    packing = None if compression is None else compressor(check_name(compression))
    patience = policy.access.patience(deadline_s)
    can = policy.known(patience)
    guarantee = policy.vouch("put", can, wanted)
    pour = Pour(Task(policy, wanted, can, guarantee, patience, progress), packing)
    _refuse_taken(policy, wanted, can)
    draft = Draft(pour, wanted.key, policy.url)
    return ObjectTextWriter(draft, text) if is_text else ObjectWriter(draft)


def _is_text(mode: str, text: Text) -> bool:
    if mode.endswith("b") and text.is_given:
        raise ValueError(f"encoding, errors and newline are for text, and mode {mode!r} is for bytes")
    return not mode.endswith("b")


def _refuse_taken(policy: Policy, wanted: Wanted, can: Capabilities) -> None:
    """Not the guard, only kindness: who will be refused in the end hears of it before working in vain. One question,
    and no answer is no reason not to go on."""
    if wanted.named or wanted.if_exists != "error":
        return
    seen = policy.target(wanted, can, "trusted").glance().seen
    if seen is not None:
        raise ObjectExists(
            f"{wanted.key!r} exists in {policy.url}: another's object has the key, and no file was opened",
            key=wanted.key,
            existing=policy.access.relative(seen),
        )
