"""Streams in and out, against the standard library's own readers and writers."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
from collections.abc import Callable
from typing import get_args

import pytest

from storage_guard.files.compression import Compression, check_name, compressor, decompressor

NAMES: tuple[Compression, ...] = get_args(Compression)
PACK: dict[Compression, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
UNPACK: dict[Compression, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "bz2": bz2.decompress,
    "xz": lzma.decompress,
}
DATA = random.Random(1).randbytes(100_000) + b"a" * 1_000_000


def packed(name: Compression, data: bytes, *, cut: int = 0) -> bytes:
    stream = compressor(name)
    return stream.compress(data[:cut]) + stream.compress(memoryview(data)[cut:]) + stream.flush()


def unpacked(name: Compression, data: bytes, *, step: int, max_bytes: int) -> bytes:
    stream = decompressor(name)
    out: list[bytes] = []
    for start in range(0, len(data), step):
        out.append(stream.decompress(data[start : start + step], max_bytes))
        while not stream.needs_input:
            out.append(stream.decompress(b"", max_bytes))
    assert stream.eof
    assert max_bytes < 0 or all(len(piece) <= max_bytes for piece in out)
    return b"".join(out)


@pytest.mark.parametrize("name", NAMES)
def test_what_we_write_the_standard_library_reads(name: Compression) -> None:
    assert UNPACK[name](packed(name, DATA, cut=1000)) == DATA
    assert UNPACK[name](packed(name, b"")) == b""


@pytest.mark.parametrize("name", NAMES)
def test_the_same_bytes_compress_to_the_same_bytes_at_any_time_and_in_any_pieces(name: Compression) -> None:
    assert packed(name, DATA, cut=0) == packed(name, DATA, cut=77_777)
    if name == "gzip":
        assert packed(name, DATA)[3:8] == bytes(5), "no flags, no time"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("step", "max_bytes"), [(1, -1), (1, 1000), (7, 100), (1000, 5000), (10**7, 1000), (10**7, -1)]
)
def test_streams_behind_each_other_come_out_as_one_in_any_pieces(name: Compression, step: int, max_bytes: int) -> None:
    data = DATA if step > 100 else DATA[:2000]
    padding = b"\0" * 8 if name != "bz2" else b""
    several = packed(name, data) + PACK[name](b"") + PACK[name](b"more") + padding
    assert unpacked(name, several, step=step, max_bytes=max_bytes) == data + b"more"


@pytest.mark.parametrize("name", NAMES)
def test_a_truncated_stream_is_no_end(name: Compression) -> None:
    whole = packed(name, DATA[:5000]) + packed(name, b"second")
    ends = {len(packed(name, DATA[:5000])), len(whole), 0}
    for cut in range(len(whole) + 1):
        stream = decompressor(name)
        stream.decompress(whole[:cut])
        assert stream.eof is (cut in ends), cut


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_that_is_not_all_is_no_end(name: Compression) -> None:
    stream = decompressor(name)
    assert stream.decompress(packed(name, b"x" * 1000), 999) == b"x" * 999
    assert (stream.eof, stream.needs_input) == (False, False)
    assert stream.decompress(b"", 999) == b"x"
    while not stream.needs_input:
        assert stream.decompress(b"", 999) == b""
    assert stream.eof


@pytest.mark.parametrize("name", NAMES)
def test_what_is_damaged_or_no_such_data_is_an_error(name: Compression) -> None:
    whole = packed(name, DATA[:5000])
    middle = len(whole) // 2
    damaged = whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :]
    for bad in (b"this is not compressed at all, is it?", damaged, whole + b"and something behind it, too"):
        with pytest.raises(OSError, match=name):
            decompressor(name).decompress(bad)


def test_a_name_that_is_none_is_refused() -> None:
    assert [check_name(name) for name in NAMES] == list(NAMES)
    with pytest.raises(ValueError, match="zstd"):
        check_name("zstd")
