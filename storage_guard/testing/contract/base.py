"""What the modules of laws share: two clients of a store, bytes to write, and ways to look at what is there."""

from __future__ import annotations

import hashlib
import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, TypeVar

import pytest

from storage_guard.driver import (
    Capabilities,
    Driver,
    Limits,
    ObjectInfo,
    ObjectOptions,
    Part,
    PartSlot,
    WriteMeta,
)
from storage_guard.testing.bodies import BytesBody
from storage_guard.testing.races import race

T = TypeVar("T")

MakeDriver = Callable[[], Driver]

TRIED_BYTES = 64 * 1024 * 1024
"""A limit above this is taken at its word: trying it would cost more than it shows."""


class Laws:
    """The base of every module of laws. `driver` and `rival` are two clients of one fresh, empty store."""

    race_clients: ClassVar[int] = 8
    race_rounds: ClassVar[int] = 100
    listed_keys: ClassVar[int] = 40
    """How many keys the long listing has: more than a page of the store, if that can be afforded."""

    @pytest.fixture
    def driver(self, make_driver: MakeDriver) -> Iterator[Driver]:
        driver = make_driver()
        yield driver
        driver.close()

    @pytest.fixture
    def rival(self, make_driver: MakeDriver) -> Iterator[Driver]:
        rival = make_driver()
        yield rival
        rival.close()


def fresh(options: ObjectOptions | None = None) -> WriteMeta:
    """The meta of a write that nobody has made before."""
    return WriteMeta(secrets.token_hex(16), options or ObjectOptions())


def content(size_bytes: int, seed: int = 0) -> bytes:
    """Bytes that differ from place to place and from seed to seed, and are the same on every run."""
    return random.Random(f"{seed}/{size_bytes}").randbytes(size_bytes)


def put(driver: Driver, key: str, data: bytes = b"something", meta: WriteMeta | None = None) -> ObjectInfo:
    return driver.put_new(key, BytesBody(data), meta or fresh())


def part_bytes(limits: Limits) -> int:
    """The size of the smallest part that another one may follow."""
    return max(1, limits.min_part_bytes)


def pieces_of(limits: Limits, count: int = 3, seed: int = 0) -> list[bytes]:
    """The bytes of `count` parts that every store takes: smallest ones, and one byte at the end."""
    return [*(content(part_bytes(limits), seed + number) for number in range(count - 1)), content(1, seed)]


def slots_of(pieces: Sequence[bytes]) -> list[PartSlot]:
    slots: list[PartSlot] = []
    offset_bytes = 0
    for number, piece in enumerate(pieces, 1):
        slots.append(PartSlot(number, offset_bytes, len(piece)))
        offset_bytes += len(piece)
    return slots


def send(driver: Driver, key: str, upload_id: str, pieces: Sequence[bytes]) -> list[Part]:
    slots = slots_of(pieces)
    return [driver.put_part(key, upload_id, slot, BytesBody(piece)) for slot, piece in zip(slots, pieces, strict=True)]


def begun(driver: Driver, key: str, pieces: Sequence[bytes], meta: WriteMeta) -> tuple[str, list[Part]]:
    """An open upload with all its parts sent."""
    upload_id = driver.begin(key, meta)
    return upload_id, send(driver, key, upload_id, pieces)


def whole(driver: Driver, key: str) -> bytes:
    info = driver.head(key)
    assert info is not None, f"nothing is at {key!r}"
    return driver.read(key, 0, info.size_bytes + 1, None)


def check_bytes(found: bytes, wanted: bytes, what: str) -> None:
    """They are the same. An `assert` would be explained line by line, which takes hours for megabytes (in CI)."""
    if found == wanted:
        return
    assert len(found) == len(wanted), f"{what}: {len(found)} bytes, not {len(wanted)}"
    at = next(at for at, (one, other) in enumerate(zip(found, wanted, strict=True)) if one != other)
    raise AssertionError(f"{what}: they differ from byte {at} on")


def keys_of(driver: Driver, prefix: str = "", delimiter: str = "", start_after: str = "") -> list[str]:
    return [entry.key for entry in driver.scan(prefix, delimiter, start_after)]


def check_written(driver: Driver, key: str, data: bytes, meta: WriteMeta, info: ObjectInfo | None = None) -> None:
    """What is at the key is `data` and the write of `meta`; `info`, if given, is what the write was answered."""
    found = driver.head(key)
    assert found is not None, f"{key!r} was written, and head does not see it"
    assert (found.key, found.size_bytes) == (key, len(data))
    check_bytes(whole(driver, key), data, f"the bytes at {key!r}")
    check_write_id(driver.capabilities(), found, meta)
    _check_checksum(found, data)
    if info is not None:
        assert (info.key, info.size_bytes, info.etag) == (key, len(data), found.etag)
        check_write_id(driver.capabilities(), info, meta)
        _check_checksum(info, data)


def check_write_id(capabilities: Capabilities, info: ObjectInfo, meta: WriteMeta) -> None:
    if capabilities.write_ids:
        assert info.write_id == meta.write_id, "the write id is not that of this write"
    else:
        assert info.write_id is None, "a store without write ids cannot know this one"


def check_free(driver: Driver, key: str) -> None:
    """Nothing is at the key, and it can be created."""
    assert driver.head(key) is None
    assert key not in keys_of(driver)
    data, meta = b"the key was free", fresh()
    check_written(driver, key, data, meta, driver.put_new(key, BytesBody(data), meta))


class Unchanged:
    """Remembers the object at a key; `check` says that it is still the very same."""

    def __init__(self, driver: Driver, key: str) -> None:
        self._driver = driver
        self._key = key
        self._before = self._look()
        assert self._before[0] is not None, f"nothing is at {key!r}"

    def _look(self) -> tuple[ObjectInfo | None, bytes]:
        return self._driver.head(self._key), whole(self._driver, self._key)

    def check(self) -> None:
        info, data = self._look()
        check_bytes(data, self._before[1], "a write that was refused has changed the bytes")
        assert info == self._before[0], "a write that was refused has changed what is known of the object"


def elsewhere(call: Callable[[], T]) -> T:
    """What `call` answers in another thread: a driver that locks readers out while it reads a body must not hang us."""
    (result,) = race([call], timeout_s=20.0)
    if isinstance(result, BaseException):
        raise result
    return result


def _check_checksum(info: ObjectInfo, data: bytes) -> None:
    """A checksum may be missing, and one that cannot be computed here is believed; a wrong one may not be given."""
    if info.checksum is None or info.checksum.algorithm == "crc64nvme":
        return
    from fastcrc import crc32, crc64  # noqa: PLC0415 - only those who check pay for it

    if info.checksum.algorithm == "md5":
        value = hashlib.md5(data, usedforsecurity=False).hexdigest()
    elif info.checksum.algorithm == "crc32c":
        value = f"{crc32.iscsi(data):08x}"
    else:
        value = f"{crc64.xz(data):016x}"
    assert info.checksum.value == value, f"the {info.checksum.algorithm} is not that of the bytes"
