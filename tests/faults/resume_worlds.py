"""Stores in which a `create(resume=True)` is interrupted and gone on with, and what must be left of it: nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from faults.local_systems import files_below
from storage_guard import Receipt, Store
from storage_guard.checksum import as_checksum, crc64nvme
from storage_guard.driver import Body, Capabilities, Checksum, Driver, Limits, Part, PartSlot, Signal, WriteMeta
from storage_guard.memory import MemoryDriver
from storage_guard.model import Upload
from storage_guard.testing import BytesBody, FakeClock, Fault, FaultyDriver, Member, Request
from storage_guard.uploads.journal import Entry, Journal
from storage_guard_local import LocalDriver

T = TypeVar("T")
KEY = "a/b"
FULL_KEY = "pre/fix/a/b"
PART_BYTES = 1000
PARTS = 6
SIZE_BYTES = PARTS * PART_BYTES - 300
LIMITS = Limits(
    max_put_bytes=1 << 20, min_part_bytes=100, max_part_bytes=1 << 20, max_parts=100, max_object_bytes=1 << 30
)
OURS = (bytes(range(251)) * (SIZE_BYTES // 251 + 1))[:SIZE_BYTES]
KINDS = ("memory", "silent", "nvme", "local", "durable")
WITH_CHECKSUMS = ("memory", "nvme", "local", "durable")


class _CtrlC(Fault):
    """Ctrl-C, while the request is on its way (`acts`: when the store has done it)."""

    def __init__(self, *, acts: bool) -> None:
        self._acts = acts

    def strike(self, request: Request[T], /) -> T:
        if self._acts:
            with suppress(Signal):
                request.act()
        raise KeyboardInterrupt


class _RivalFirst(Fault):
    """Somebody else creates the object just before this request arrives."""

    def strike(self, request: Request[T], /) -> T:
        with suppress(Signal):
            request.driver.put_new(FULL_KEY, BytesBody(RIVAL), WriteMeta("rival"))
        return request.act()


RIVAL = b"another's"
RIVAL_FIRST: Fault = _RivalFirst()
CTRL_C_BEFORE: Fault = _CtrlC(acts=False)
CTRL_C_AFTER: Fault = _CtrlC(acts=True)


class CountingDriver(FaultyDriver):
    """Counts the bytes of the parts that were sent."""

    def __init__(self, inner: Driver) -> None:
        super().__init__(inner)
        self.inner = inner
        self.sent_bytes = 0

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        self.sent_bytes += body.size_bytes
        return super().put_part(key, upload_id, slot, body)


class SilentDriver(MemoryDriver):
    """A memory that lists of a part its number and its size, as some services do."""

    def scan_parts(self, key: str, upload_id: str, /) -> Iterator[Part]:
        for part in super().scan_parts(key, upload_id):
            yield replace(part, slot=replace(part.slot, offset_bytes=0), checksum=None)


class NVMEDriver(MemoryDriver):
    """A memory that says CRC-64/NVME of parts, as S3 does."""

    def __init__(self, *, limits: Limits | None = None) -> None:
        super().__init__(limits=limits)
        self._sums: dict[str, Checksum] = {}  # by etag

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        data = b"".join(bytes(window) for window in body.windows())
        part = super().put_part(key, upload_id, slot, BytesBody(data))
        self._sums[part.etag] = as_checksum(crc64nvme(data), "crc64nvme")
        return self._summed(part)

    def scan_parts(self, key: str, upload_id: str, /) -> Iterator[Part]:
        return map(self._summed, super().scan_parts(key, upload_id))

    def _summed(self, part: Part) -> Part:
        return replace(part, checksum=self._sums[part.etag])


class KeepingDriver(MemoryDriver):
    """A memory that keeps forgotten uploads, as a service does."""

    def capabilities(self) -> Capabilities:
        return Capabilities(put="documented", finish="documented", copy="documented", uploads_stay=True)


_MEMORIES: dict[str, type[MemoryDriver]] = {"keeping": KeepingDriver, "silent": SilentDriver, "nvme": NVMEDriver}


class World:
    """A store of one kind and its journal. `reopen` is what a new process would have: nothing but them."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.root = folder / "root"
        self.journal = folder / "journal"
        self.source = folder / "source.bin"
        self._memory = _MEMORIES.get(kind, MemoryDriver)(limits=LIMITS)
        self.driver = CountingDriver(self._open())
        self.store = self.open_store()

    def _open(self) -> Driver:
        if self.kind in ("local", "durable"):
            return LocalDriver(self.root, durable=self.kind == "durable", limits=LIMITS)
        return self._memory.client()

    def open_store(self, driver: Driver | None = None) -> Store:
        return Store(
            driver or self.driver,
            part_bytes=PART_BYTES,
            multipart_from_bytes=2 * PART_BYTES,
            in_flight=1,
            clock=FakeClock(),
            prefix="pre/fix",
            journal=self.journal,
        )

    def reopen(self) -> Store:
        self.store.close()
        self.driver = CountingDriver(self._open())
        self.store = self.open_store()
        return self.store

    def leave(self, data: Any, parts: int = 3, *, member: Member = "put_part", **more: Any) -> Upload:
        """Begin a create, have it interrupted behind so many parts, and come back as another process."""
        self.driver.plan(member, [*[None] * (parts if member == "put_part" else 0), CTRL_C_BEFORE])
        with pytest.raises(KeyboardInterrupt) as caught:
            self.store.create(KEY, data, resume=True, **more)
        (left,) = self.driver.inner.scan_uploads("")
        assert [left.upload_id] == [entry.upload_id for entry in self.entries()]
        assert any("resume=True" in note and left.upload_id in note for note in caught.value.__notes__)
        self.reopen()
        return left

    def entries(self) -> list[Entry]:
        """What nobody holds."""
        return [
            held.entry
            for held in Journal(self.journal).dead(self.store.driver.location.place)
            if held.entry is not None
        ]

    def uploads(self) -> list[str]:
        return [upload.upload_id for upload in self.driver.inner.scan_uploads("")]

    def at_key(self) -> bytes | None:
        return self.driver.inner.read(FULL_KEY, 0, 1 << 30, None) if self.driver.inner.head(FULL_KEY) else None

    def check_nothing_left(self) -> None:
        """But the object."""
        assert self.uploads() == []
        assert not self.journal.exists() or os.listdir(self.journal) == []
        if self.root.exists():
            names = {each for each in files_below(self.root) if not (self.root / each).is_dir()}
            assert names <= {FULL_KEY}

    def check_whole(self, receipt: Receipt, data: bytes = OURS) -> None:
        info = self.store.head(KEY)
        assert info is not None
        assert self.at_key() == data
        assert (receipt.outcome, receipt.size_bytes, receipt.etag) == ("created", len(data), info.etag)
        assert receipt.write_id == info.write_id
        self.check_nothing_left()


def go_on(folder: str, _contender: int, round_number: int) -> str | None:
    """One of many processes that go on with what was left in that round's world: the write id."""
    world = World("local", Path(folder, str(round_number)))
    with world.store as store:
        return store.create(KEY, world.source, resume=True).write_id


def other_data(number: int = 1, size_bytes: int = SIZE_BYTES) -> bytes:
    return bytes((each + number) % 256 for each in range(256)) * (size_bytes // 256) + b"x" * (size_bytes % 256)
