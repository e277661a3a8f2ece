"""What keys, write ids and metadata may look like, so that every store can hold them. Pure checks."""

from __future__ import annotations

import re

from storage_guard.errors import InvalidKey, Unsupported
from storage_guard.model import ObjectOptions

RESERVED = ".storage-guard"
MAX_KEY_BYTES = 1023
MAX_METADATA_BYTES = 2048
WRITE_ID = "guardid"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_WRITE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_META_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_META_VALUE = re.compile(r"(?! )[\x20-\x7e]*(?<! )")
_HEADERS = ("content_type", "cache_control", "content_disposition", "content_encoding", "content_language")


def check_key(key: str, *, max_bytes: int = MAX_KEY_BYTES, taken_bytes: int = 0) -> None:
    """Raise InvalidKey unless every store can hold `key`.

    UTF-8, 1 to `max_bytes` bytes (`taken_bytes` of them used up by a store's prefix), no empty, `.` or `..`
    segment (so no leading, trailing or double slash), no control characters, not `.storage-guard` or below it.
    """
    if not isinstance(key, str):
        raise TypeError(f"a key is a str, not {type(key).__name__}: {key!r}")
    trouble = _key_trouble(key, max_bytes - taken_bytes)
    if trouble:
        raise InvalidKey(f"{key!r} cannot be a key: {trouble}", key=key)


def _key_trouble(key: str, max_bytes: int) -> str:
    if not key:
        return "it is empty"
    try:
        size_bytes = len(key.encode())
    except UnicodeEncodeError:
        return "it is not UTF-8 (it holds a lone surrogate, as undecodable file names do)"
    if size_bytes > max_bytes:
        return f"it has {size_bytes} bytes, and {max_bytes} are the most"
    if _CONTROL.search(key):
        return "it holds a control character"
    if key.startswith("/") or key.endswith("/"):
        return "it begins or ends with a slash"
    segments = key.split("/")
    if "" in segments:
        return "it has an empty segment (//)"
    if "." in segments or ".." in segments:
        return "it has a segment . or .."
    if segments[0] == RESERVED:
        return f"{RESERVED}/ is kept for the library itself"
    return ""


def check_write_id(write_id: str) -> None:
    """Raise ValueError unless `write_id` can be stored everywhere: `[A-Za-z0-9_-]{1,64}`."""
    if not isinstance(write_id, str) or not _WRITE_ID.fullmatch(write_id):
        raise ValueError(f"write_id must match {_WRITE_ID.pattern}, got {write_id!r}")


def check_options(options: ObjectOptions, key: str | None) -> None:
    """Raise Unsupported for metadata or headers that not every store keeps as they were given, and TypeError for what
    is no ObjectOptions. `key` None: of all."""
    if not isinstance(options, ObjectOptions):
        raise TypeError(
            f"options is an ObjectOptions, as ObjectOptions(content_type=...), not {type(options).__name__}"
        )
    trouble = _options_trouble(options)
    if trouble:
        what = "nothing was" if key is None else f"{key!r} was not"
        raise Unsupported(f"{what} written: {trouble}", key=key)


def _options_trouble(options: ObjectOptions) -> str:
    for name in _HEADERS:
        value: str | None = getattr(options, name)
        if value is not None and (not value or not _META_VALUE.fullmatch(value)):
            return f"{name} must be printable ASCII without outer spaces, got {value!r}"
    for name, value in options.metadata.items():
        if not isinstance(name, str) or not _META_NAME.fullmatch(name):
            return f"metadata name {name!r} does not match {_META_NAME.pattern}"
        if name == WRITE_ID or name.startswith("guard-"):
            return f"metadata name {name!r} is kept for the library itself"
        if not isinstance(value, str) or not _META_VALUE.fullmatch(value):
            return f"the value of metadata {name!r} must be printable ASCII without outer spaces"
    size_bytes = sum(len(name) + len(value) for name, value in options.metadata.items())
    if size_bytes > MAX_METADATA_BYTES:
        return f"metadata has {size_bytes} bytes, and {MAX_METADATA_BYTES} are the most"
    return ""
