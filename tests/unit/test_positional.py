"""Reading by position, also where a system can only seek."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from storage_guard.engine.positional import read_at, sought
from storage_guard.testing import race

ReadAt = Callable[[int, memoryview, int], int]
CONTENT = random.Random(7).randbytes(100_000)


@pytest.fixture(params=[read_at, sought])
def read(request: pytest.FixtureRequest) -> ReadAt:
    read: ReadAt = request.param
    return read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def test_what_is_there_is_read_and_no_more(read: ReadAt, path: Path) -> None:
    with path.open("rb") as file:
        buffer = bytearray(b"-" * 10)
        assert read(file.fileno(), memoryview(buffer), 50) == 10
        assert buffer == CONTENT[50:60]
        assert read(file.fileno(), memoryview(buffer), len(CONTENT) - 4) == 4
        assert buffer == CONTENT[-4:] + CONTENT[54:60]
        assert read(file.fileno(), memoryview(buffer), len(CONTENT)) == 0


def test_the_files_own_position_stays(read: ReadAt, path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        file.seek(7)
        read(file.fileno(), memoryview(bytearray(10)), 50)
        assert file.tell() == 7


def test_a_read_that_fails_leaves_the_position_too(read: ReadAt, path: Path) -> None:
    with path.open("ab", buffering=0) as file:  # which cannot be read
        stood = file.tell()
        with pytest.raises(OSError, match="Bad file descriptor"):
            read(file.fileno(), memoryview(bytearray(10)), 50)
        assert file.tell() == stood


def test_readers_side_by_side_do_not_disturb_each_other(read: ReadAt, path: Path) -> None:
    with path.open("rb") as file:

        def reader(offset_bytes: int) -> int:
            wrong = 0
            for _ in range(300):
                buffer = memoryview(bytearray(64))
                read(file.fileno(), buffer, offset_bytes)
                wrong += bytes(buffer) != CONTENT[offset_bytes : offset_bytes + 64]
            return wrong

        assert race([partial(reader, offset_bytes) for offset_bytes in range(0, 800, 100)]) == [0] * 8
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0
