"""CRC-64/XZ, and that parts can be added up to the whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from storage_guard.checksum import RunningCrc64, as_checksum, combine, crc64xz
from storage_guard.model import Checksum


def test_it_is_crc64_xz() -> None:
    assert crc64xz(b"123456789") == 0x995DC9BBDF1939FA  # the catalogue's check value
    assert as_checksum(1) == Checksum("crc64xz", "0000000000000001")


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_the_checksum_of_the_whole_is_that_of_its_parts(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    running = RunningCrc64()
    assert b"".join(running.over(memoryview(part) for part in parts)) == whole
    assert (running.crc, running.size_bytes) == (crc64xz(whole), len(whole))
    assert combine((as_checksum(crc64xz(part)), len(part)) for part in parts) == running.checksum()


def test_large_parts_are_combined_without_their_bytes() -> None:
    size_bytes = 5 << 20
    head, tail = crc64xz(b"x" * size_bytes), crc64xz(bytes(size_bytes))
    combined = combine([(as_checksum(head), size_bytes), (as_checksum(tail), size_bytes)])
    assert combined == as_checksum(crc64xz(b"x" * size_bytes + bytes(size_bytes)))


def test_a_part_without_a_fitting_checksum_leaves_the_whole_without_one() -> None:
    known = as_checksum(7)
    assert combine([(known, 1), (None, 1)]) is None
    assert combine([(known, 1), (Checksum("md5", "00"), 1)]) is None
    assert combine([]) == as_checksum(0)
