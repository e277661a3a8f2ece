"""The ledger of an upload that outlives its process: what it is, and what happened to it, one record after the other.

A record is a newline, the CRC-64/XZ of a text, a blank, and that text: compact JSON of one of these.

    {"format": 1, "key": .., "id": write id, "options": {..}, "began_us": ..}     the first of all
    {"part": [number, offset, size], "crc64xz": hex, "etag": .., "at_us": ..}     its bytes are in the file
    {"finishing": true}                   the file may get its name from now on
    {"finishing": false}                  it certainly did not
    {"taken": true}                       another may write from now on

Times are microseconds since 1970. A record that was cut short, or of which a crash of the machine kept a piece, does
not have its checksum and is passed over. So parts that are listed are parts that somebody wrote, but whether a crash
left their bytes in the file is for the reader to check.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from storage_guard.checksum import crc64xz
from storage_guard.driver import Checksum, Part, PartSlot, WriteMeta
from storage_guard.names import check_write_id
from storage_guard_local.attributes import pack_options, unpack_options
from storage_guard_local.publish import write_all
from storage_guard_local.syscalls import PIECE_BYTES, System

FORMAT = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Header:
    key: str
    meta: WriteMeta
    began: datetime


@dataclass(slots=True)
class Told:
    """What a ledger says. `newer`: it is of a format that this version does not know."""

    header: Header | None = None
    parts: dict[int, Part] = field(default_factory=dict[int, Part])
    finishing: bool = False
    newer: bool = False


def header_record(header: Header) -> bytes:
    return _record(
        {
            "format": FORMAT,
            "key": header.key,
            "id": header.meta.write_id,
            "options": pack_options(header.meta.options),
            "began_us": _to_us(header.began),
        }
    )


def part_record(part: Part) -> bytes:
    slot = part.slot
    return _record(
        {
            "part": [slot.number, slot.offset_bytes, slot.size_bytes],
            "crc64xz": part.checksum.value if part.checksum else "",
            "etag": part.etag,
            "at_us": _to_us(part.modified or _EPOCH),
        }
    )


def finishing_record(*, begun: bool) -> bytes:
    return _record({"finishing": begun})


def taken_record() -> bytes:
    return _record({"taken": True})


def _record(said: Mapping[str, object]) -> bytes:
    text = _encode(said).encode()
    return b"\n%016x %s" % (crc64xz(text), text)


def decode(data: bytes) -> Told:
    """Read a ledger. What is damaged counts as not there."""
    told = Told()
    for line in data.split(b"\n"):
        crc, _, text = line.partition(b" ")
        if len(crc) == 16 and crc == b"%016x" % crc64xz(text):
            try:
                _take(told, cast("dict[str, Any]", json.loads(text)))
            except (ValueError, TypeError, KeyError, OverflowError):
                continue
    return told


def _take(told: Told, said: Mapping[str, Any]) -> None:
    if "format" in said:
        told.newer = said["format"] != FORMAT
        if not told.newer:
            told.header = _header(said)
    elif "part" in said:
        slot = PartSlot(*said["part"])
        checksum = Checksum("crc64xz", said["crc64xz"])
        told.parts[slot.number] = Part(slot, said["etag"], checksum, _from_us(said["at_us"]))
    elif "finishing" in said:
        told.finishing = bool(said["finishing"])


def _header(said: Mapping[str, Any]) -> Header:
    check_write_id(said["id"])
    meta = WriteMeta(said["id"], unpack_options(said["options"]), lasting=True)
    return Header(said["key"], meta, _from_us(said["began_us"]))


def _to_us(when: datetime) -> int:
    return (when - _EPOCH) // _TICK


def _from_us(us: int) -> datetime:
    return _EPOCH + us * _TICK


class Ledger:
    """An open ledger. Thread-safe; `_lock` guards `end_bytes`. Who writes holds its lock: see `lasting`."""

    def __init__(self, fd: int, system: System) -> None:
        self.fd = fd
        self._system = system
        self._lock = threading.Lock()
        self.end_bytes = 0

    def read(self) -> Told:
        """All of it; what is appended afterwards goes behind. Raises OSError."""
        pieces: list[bytes] = []
        self.end_bytes = 0
        while piece := self._system.pread(self.fd, PIECE_BYTES, self.end_bytes):
            pieces.append(piece)
            self.end_bytes += len(piece)
        return decode(b"".join(pieces))

    def append(self, record: bytes) -> None:
        """Raises OSError. One that fails leaves a gap, so that what it left cannot spoil the next."""
        with self._lock:
            offset_bytes = self.end_bytes
            self.end_bytes += len(record)
        write_all(self._system, self.fd, memoryview(record), offset_bytes)

    def sync(self) -> None:
        """Raises OSError."""
        self._system.fsync(self.fd)
