"""What is stored beside the bytes, as one extended attribute of compact JSON. Pure: bytes in, values out.

{"id": write id, "crc64xz": hex, "mtime_ns": of the bytes the checksum is of, "options": {only what is set}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

from storage_guard.driver import NO_OPTIONS, Checksum, ObjectOptions, Unsupported, WriteMeta
from storage_guard.names import check_write_id

ATTRIBUTE = "user.storage_guard"
# Set when the object, its name and the folders above were synced. The mark itself never is: where it is missing,
# whoever needs to know syncs again.
SYNCED = "user.storage_guard.synced"

_HEADERS = ("content_type", "cache_control", "content_disposition", "content_encoding", "content_language")
_REFUSED = tuple(each.name for each in fields(ObjectOptions) if each.name not in (*_HEADERS, "metadata"))
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Note:
    """What the attribute said. All empty for a file of another program's."""

    write_id: str | None = None
    checksum: Checksum | None = None
    options: ObjectOptions = field(default_factory=ObjectOptions)


def check_options(options: ObjectOptions) -> None:
    """Raise Unsupported for an option that a file cannot carry."""
    if options is NO_OPTIONS:
        return
    for name in _REFUSED:
        if getattr(options, name) not in (None, {}):
            raise Unsupported(f"a local disk does not have {name}")


def has_options(options: ObjectOptions) -> bool:
    return options is not NO_OPTIONS and options != NO_OPTIONS


def encode(meta: WriteMeta, checksum: Checksum | None, mtime_ns: int) -> bytes:
    note: dict[str, object] = {"id": meta.write_id}
    if checksum is not None:
        note["crc64xz"] = checksum.value
        note["mtime_ns"] = mtime_ns
    if has_options(meta.options):
        note["options"] = pack_options(meta.options)
    return _encode(note).encode()


def pack_options(options: ObjectOptions) -> dict[str, object]:
    """What is set, as JSON has it."""
    kept: dict[str, object] = {name: value for name in _HEADERS if (value := getattr(options, name)) is not None}
    if options.metadata:
        kept["metadata"] = dict(options.metadata)
    return kept


def decode(value: bytes, mtime_ns: int) -> Note:
    """Read the attribute of a file whose bytes were last changed at `mtime_ns`.

    What is not ours, or is damaged, counts as not there. A checksum of bytes that were changed since is left out.
    """
    try:
        found: object = json.loads(value)
    except (ValueError, RecursionError):
        return Note()
    if not isinstance(found, dict):
        return Note()
    note = cast("dict[str, Any]", found)
    return Note(_write_id(note.get("id")), _checksum(note, mtime_ns), unpack_options(note.get("options")))


def _write_id(found: object) -> str | None:
    try:
        check_write_id(cast("str", found))  # it checks the type too
    except ValueError:
        return None
    return cast("str", found)


def _checksum(note: Mapping[str, Any], mtime_ns: int) -> Checksum | None:
    value: object = note.get("crc64xz")
    if note.get("mtime_ns") != mtime_ns or not isinstance(value, str) or len(value) != 16:
        return None
    return Checksum("crc64xz", value) if set(value) <= set("0123456789abcdef") else None


def unpack_options(found: object) -> ObjectOptions:
    """What `pack_options` made; what is no option is left out."""
    if not isinstance(found, dict):
        return ObjectOptions()
    kept = cast("dict[str, object]", found)
    pairs = kept.get("metadata")
    metadata = cast("dict[str, object]", pairs) if isinstance(pairs, dict) else {}
    return ObjectOptions(
        content_type=_text(kept, "content_type"),
        cache_control=_text(kept, "cache_control"),
        content_disposition=_text(kept, "content_disposition"),
        content_encoding=_text(kept, "content_encoding"),
        content_language=_text(kept, "content_language"),
        metadata={name: value for name, value in metadata.items() if isinstance(value, str)},
    )


def _text(kept: Mapping[str, object], name: str) -> str | None:
    value = kept.get(name)
    return value if isinstance(value, str) else None
