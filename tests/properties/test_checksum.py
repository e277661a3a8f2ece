"""CRC-64/XZ and CRC-64/NVME, and that parts can be added up to the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_guard.checksum import Crc64, RunningCrc64, as_checksum, combine, crc64nvme, crc64xz
from storage_guard.model import Checksum


def test_it_is_crc64_xz() -> None:
    assert crc64xz(b"123456789") == 0x995DC9BBDF1939FA  # the catalogue's check value
    assert as_checksum(1) == Checksum("crc64xz", "0000000000000001")


def test_it_is_crc64_nvme() -> None:
    assert crc64nvme(b"123456789") == 0xAE8B14860A799888  # the catalogue's check value
    assert as_checksum(1, "crc64nvme") == Checksum("crc64nvme", "0000000000000001")


SUMS = {"crc64xz": crc64xz, "crc64nvme": crc64nvme}


@pytest.mark.parametrize("algorithm", ["crc64xz", "crc64nvme"])
@given(parts=st.lists(st.binary(max_size=300), max_size=6))
def test_the_checksum_of_the_whole_is_that_of_its_parts(algorithm: Crc64, parts: list[bytes]) -> None:
    crc64, whole = SUMS[algorithm], b"".join(parts)
    running = RunningCrc64(algorithm)
    assert b"".join(running.over(memoryview(part) for part in parts)) == whole
    assert (running.crc, running.size_bytes) == (crc64(whole), len(whole))
    pieces = [(as_checksum(crc64(part), algorithm), len(part)) for part in parts]
    assert combine(pieces, algorithm) == running.checksum()


@pytest.mark.parametrize("algorithm", ["crc64xz", "crc64nvme"])
def test_large_parts_are_combined_without_their_bytes(algorithm: Crc64) -> None:
    crc64, size_bytes = SUMS[algorithm], 5 << 20
    head, tail = crc64(b"x" * size_bytes), crc64(bytes(size_bytes))
    pieces = [(as_checksum(head, algorithm), size_bytes), (as_checksum(tail, algorithm), size_bytes)]
    assert combine(pieces, algorithm) == as_checksum(crc64(b"x" * size_bytes + bytes(size_bytes)), algorithm)


def test_a_part_without_a_fitting_checksum_leaves_the_whole_without_one() -> None:
    known = as_checksum(7)
    assert combine([(known, 1), (None, 1)]) is None
    assert combine([(known, 1), (Checksum("md5", "00"), 1)]) is None
    assert combine([(known, 1), (as_checksum(7, "crc64nvme"), 1)]) is None
    assert combine([(known, 1)], "crc64nvme") is None
    assert combine([]) == as_checksum(0)
