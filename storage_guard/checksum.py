"""CRC-64/XZ (what OSS calls crc64ecma), CRC-64/NVME (of S3), and how the checksums of parts make that of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Self

from storage_guard.model import Checksum

if TYPE_CHECKING:
    from typing_extensions import Buffer

Crc64 = Literal["crc64xz", "crc64nvme"]
ALGORITHMS: tuple[Crc64, ...] = ("crc64xz", "crc64nvme")

# Bits reversed: 0x42F0E1EBA9EA3693 and 0xAD93D23594C93659.
_POLY: dict[Crc64, int] = {"crc64xz": 0xC96C5795D7870F42, "crc64nvme": 0x9A6C9329AC4BC9B5}


def crc64xz(data: Buffer, crc: int = 0) -> int:
    """The CRC-64/XZ of `data`, going on from `crc`."""
    from fastcrc import crc64  # noqa: PLC0415 - only writers and readers of bytes pay for it

    return crc64.xz(data, crc)


def crc64nvme(data: Buffer, crc: int = 0) -> int:
    """The CRC-64/NVME of `data`, going on from `crc`."""
    from awscrt import checksums  # noqa: PLC0415 - of the extra s3

    return checksums.crc64nvme(data, crc)


class RunningCrc64:
    """The checksum and the size of what has passed through."""

    __slots__ = ("algorithm", "crc", "size_bytes")

    def __init__(self, algorithm: Crc64 = "crc64xz") -> None:
        self.algorithm: Crc64 = algorithm
        self.crc = 0
        self.size_bytes = 0

    def over(self, windows: Iterable[memoryview]) -> Iterator[memoryview]:
        """The same windows, counted as they pass."""
        for window in windows:
            self.update(window)
            yield window

    def update(self, data: Buffer) -> None:
        self.crc = crc64xz(data, self.crc) if self.algorithm == "crc64xz" else crc64nvme(data, self.crc)
        self.size_bytes += memoryview(data).nbytes

    def checksum(self) -> Checksum:
        return as_checksum(self.crc, self.algorithm)


class Counts:
    """The size and the checksums, one of each of `algorithms`, of what has passed through."""

    __slots__ = ("_running",)

    def __init__(self, algorithms: Sequence[Crc64] = ("crc64xz",)) -> None:
        self._running = [RunningCrc64(algorithm) for algorithm in algorithms]

    @classmethod
    def for_comparing(cls) -> Self:
        """Of all that a store may say of its objects: bytes that come once cannot be counted again."""
        return cls(ALGORITHMS if _has_nvme() else ("crc64xz",))

    def anew(self) -> Self:
        """The same of nothing yet."""
        return type(self)([each.algorithm for each in self._running])

    @property
    def size_bytes(self) -> int:
        return self._running[0].size_bytes

    def update(self, data: Buffer) -> None:
        for each in self._running:
            each.update(data)

    def of(self, algorithm: Crc64) -> tuple[int, int] | None:
        """Size and checksum, None where nobody counted in that algorithm."""
        for each in self._running:
            if each.algorithm == algorithm:
                return each.size_bytes, each.crc
        return None


def crc_of(checksum: Checksum | None, algorithm: Crc64) -> int | None:
    """What a checksum says, where it is one of that algorithm."""
    return int(checksum.value, 16) if checksum is not None and checksum.algorithm == algorithm else None


def countable(checksum: Checksum | None) -> Crc64 | None:
    """In which algorithm bytes can be counted here to be compared with a checksum; None: in none."""
    if checksum is None:
        return None
    if checksum.algorithm == "crc64nvme":
        return "crc64nvme" if _has_nvme() else None
    return "crc64xz" if checksum.algorithm == "crc64xz" else None


@lru_cache(maxsize=1)
def _has_nvme() -> bool:
    from importlib.util import find_spec  # noqa: PLC0415 - as late as the library itself

    return find_spec("awscrt") is not None


def as_checksum(crc: int, algorithm: Crc64 = "crc64xz") -> Checksum:
    return Checksum(algorithm, f"{crc:016x}")


def combine(parts: Iterable[tuple[Checksum | None, int]], algorithm: Crc64 = "crc64xz") -> Checksum | None:
    """The checksum of a whole from (checksum, size in bytes) of its parts in order; None if one lacks it."""
    whole = 0
    for checksum, size_bytes in parts:
        if checksum is None or checksum.algorithm != algorithm:
            return None
        whole = _shift(whole, size_bytes, algorithm) ^ int(checksum.value, 16)
    return as_checksum(whole, algorithm)


def _shift(crc: int, size_bytes: int, algorithm: Crc64) -> int:
    """What `crc` becomes when `size_bytes` zero bytes follow.

    The complements at both ends of either algorithm cancel out when two checksums are joined this way.
    """
    return _apply(_zeros(size_bytes, algorithm), crc) if crc and size_bytes else crc


@lru_cache(maxsize=64)
def _zeros(size_bytes: int, algorithm: Crc64) -> list[int]:
    """The linear map of `size_bytes` (not 0) zero bytes, by repeated squaring. Kept, because parts are of one size."""
    # Column k is what bit k turns into behind one zero bit; three squarings make that one zero byte.
    columns = [_POLY[algorithm], *(1 << bit for bit in range(63))]
    for _ in range(3):
        columns = _behind(columns, columns)
    out: list[int] | None = None
    while True:
        if size_bytes & 1:
            out = columns if out is None else _behind(columns, out)
        size_bytes >>= 1
        if not size_bytes:
            return out or columns
        columns = _behind(columns, columns)


def _apply(columns: list[int], vector: int) -> int:
    out = 0
    for column in columns:
        if not vector:
            break
        if vector & 1:
            out ^= column
        vector >>= 1
    return out


def _behind(second: list[int], first: list[int]) -> list[int]:
    """The map that does `first`, then `second`."""
    return [_apply(second, column) for column in first]
