"""Buckets without a service: versions, uploads, blobs, and the order of keys."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_guard.checksum import crc64xz
from storage_guard.testing.server.blobs import (
    WINDOW_BYTES,
    Arriving,
    Blobs,
    Content,
    DiscardedBlobs,
    DiskBlobs,
    MemoryBlobs,
    cut,
)
from storage_guard.testing.server.buckets import (
    AlreadyExists,
    BadPart,
    Bucket,
    Buckets,
    NoParts,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    NoSuchVersion,
    PartsOutOfOrder,
    fails,
    is_bucket_name,
)
from storage_guard.testing.server.versions import Attributes, Histories, Version, folded

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def kept(data: bytes, blobs: Blobs | None = None, *, piece_bytes: int = 1 << 20) -> Content:
    arriving = Arriving(blobs or MemoryBlobs())
    for at in range(0, len(data), piece_bytes):
        arriving.take(memoryview(data)[at : at + piece_bytes])
    return arriving.end()


def read(content: Content, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join(content.blob.windows(start, stop))


@pytest.fixture
def bucket() -> Bucket:
    return Buckets(["bkt"], now=lambda: NOON)["bkt"]


def in_memory(_: Path) -> Blobs:
    return MemoryBlobs()


def on_disk(folder: Path) -> Blobs:
    return DiskBlobs(folder)


@pytest.mark.parametrize("make", [in_memory, on_disk])
@pytest.mark.parametrize("size_bytes", [0, 1, 4096, WINDOW_BYTES, 3 * WINDOW_BYTES + 17])
def test_bytes_come_back_whatever_pieces_they_came_in(
    make: Callable[[Path], Blobs], size_bytes: int, tmp_path: Path
) -> None:
    data = os.urandom(size_bytes)
    for piece_bytes in (max(size_bytes, 1), 70_001, WINDOW_BYTES):
        content = kept(data, make(tmp_path), piece_bytes=piece_bytes)
        assert read(content) == data
        assert content.crc == crc64xz(data)
        assert content.etag == hashlib.md5(data).hexdigest()
        assert content.size_bytes == size_bytes
        assert all(0 < len(window) <= WINDOW_BYTES for window in content.blob.windows())
        for start, stop in ((0, size_bytes), (size_bytes // 3, size_bytes // 2), (size_bytes, size_bytes)):
            assert read(content, start, stop) == data[start:stop]


def test_a_folder_holds_the_bytes_that_somebody_refers_to_and_no_others(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    half = cut(kept(b"0123456789", blobs), 5, 10)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"0123456789"]
    assert read(half) == b"56789"
    arriving = Arriving(blobs)
    arriving.take(memoryview(b"never whole"))
    assert len(list(tmp_path.iterdir())) == 2
    arriving.cut()
    del half
    assert list(tmp_path.iterdir()) == []


def test_what_is_thrown_away_is_counted_and_reads_as_zeros() -> None:
    content = kept(b"abc", DiscardedBlobs())
    assert (content.crc, content.size_bytes, read(content)) == (crc64xz(b"abc"), 3, bytes(3))
    assert content.md5 is None
    assert content.etag != kept(b"abd", DiscardedBlobs()).etag
    assert kept(b"abc", DiscardedBlobs(md5=True)).etag == hashlib.md5(b"abc").hexdigest()


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6), st.integers(0, 300), st.integers(0, 300))
def test_joining_and_cutting_are_those_of_bytes(data: bytes, at: list[int], one: int, other: int) -> None:
    edges = sorted({0, len(data), *(min(place, len(data)) for place in at)})
    whole = kept(data)
    parts = [cut(whole, start, stop) for start, stop in pairwise(edges)]
    bucket = Buckets(["bkt"])["bkt"]
    upload = bucket.begin("k", Attributes())
    for number, part in enumerate(parts, 1):
        bucket.put_part("k", upload.upload_id, number, part)
    if not parts:
        with pytest.raises(NoParts):
            bucket.chosen("k", upload.upload_id, None, min_part_bytes=0)
        return
    content = bucket.finish("k", upload.upload_id, bucket.chosen("k", upload.upload_id, None, min_part_bytes=0)).content
    assert content is not None
    assert read(content) == data
    assert content.crc == crc64xz(data)
    md5s = b"".join(hashlib.md5(read(part)).digest() for part in parts)
    assert content.etag == f"{hashlib.md5(md5s).hexdigest()}-{len(parts)}"
    start, stop = sorted((min(one, len(data)), min(other, len(data))))
    assert read(cut(content, start, stop)) == data[start:stop]
    with pytest.raises(ValueError, match="no bytes"):
        cut(content, 0, len(data) + 1)


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("abc", True),
        ("a-1", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("ab", False),
        ("-ab", False),
        ("ab-", False),
        ("Abc", False),
        ("a.b", False),
        ("a..b", False),
        (".ab", False),
        ("a_b", False),
        ("", False),
    ],
)
def test_names_of_buckets(name: str, good: bool) -> None:
    assert is_bucket_name(name) is good
    assert is_bucket_name(name, dots=True) is (good or name == "a.b")
    if not is_bucket_name(name, dots=True):
        with pytest.raises(ValueError, match="not a bucket name"):
            Buckets([name])


def test_buckets_are_found_by_name_and_made_once() -> None:
    state = Buckets(["one"])
    two = state.add_bucket("two", versioning="enabled")
    assert state["two"] is two
    assert "one" in state
    assert "three" not in state
    with pytest.raises(NoSuchBucket):
        state["three"]
    with pytest.raises(ValueError, match="already"):
        state.add_bucket("one")


def test_without_versioning_a_put_replaces_and_a_removal_leaves_nothing(bucket: Bucket) -> None:
    bucket.put("k", kept(b"1"), Attributes())
    second = bucket.put("k", kept(b"2"), Attributes())
    assert list(bucket.histories) == [second]
    assert second.version_id == "null"
    with pytest.raises(AlreadyExists):
        bucket.require_free("k")
    assert bucket.remove("k") == second
    assert bucket.remove("k") is None
    bucket.require_free("k")
    with pytest.raises(NoSuchKey) as caught:
        bucket.find("k")
    assert caught.value.marker is None


def test_with_versioning_nothing_is_lost_and_a_marker_hides(bucket: Bucket) -> None:
    null = bucket.put("k", kept(b"0"), Attributes())
    bucket.versioning = "enabled"
    first = bucket.put("k", kept(b"1"), Attributes())
    second = bucket.put("k", kept(b"2"), Attributes())
    assert len({null.version_id, first.version_id, second.version_id}) == 3
    marker = bucket.remove("k")
    assert marker is not None
    assert marker.content is None
    bucket.require_free("k")
    with pytest.raises(NoSuchKey) as caught:
        bucket.find("k")
    assert caught.value.marker is marker
    assert list(bucket.histories.objects()) == []
    assert [bucket.find("k", v.version_id) for v in (null, first, second, marker)] == [null, first, second, marker]
    assert bucket.remove("k", marker.version_id) is marker
    assert bucket.find("k") is second
    assert bucket.remove("k", second.version_id) is second
    assert bucket.find("k") is first
    assert bucket.remove("k", second.version_id) is None
    with pytest.raises(NoSuchVersion):
        bucket.find("k", second.version_id)


def test_suspended_versioning_replaces_the_null_version_only(bucket: Bucket) -> None:
    bucket.versioning = "enabled"
    kept_one = bucket.put("k", kept(b"1"), Attributes())
    bucket.versioning = "suspended"
    bucket.put("k", kept(b"2"), Attributes())
    last = bucket.put("k", kept(b"3"), Attributes())
    assert list(bucket.histories) == [last, kept_one]
    marker = bucket.remove("k")
    assert list(bucket.histories) == [marker, kept_one]
    with pytest.raises(ValueError, match="not undone"):
        bucket.versioning = "never"
    assert bucket.versioning == "suspended"


def test_an_upload_is_over_when_it_is_finished_or_aborted(bucket: Bucket) -> None:
    attributes = Attributes({"content-type": "a/b"})
    first, second = bucket.begin("k", attributes), bucket.begin("k", attributes)
    assert first.upload_id != second.upload_id
    bucket.put_part("k", first.upload_id, 7, kept(b"old"))
    bucket.put_part("k", first.upload_id, 7, kept(b"new"))
    parts = bucket.chosen("k", first.upload_id, None, min_part_bytes=100)
    version = bucket.finish("k", first.upload_id, parts)
    assert version.content is not None
    assert (read(version.content), version.attributes, version.in_parts) == (b"new", attributes, True)
    bucket.abort("k", second.upload_id)
    for upload_id in (first.upload_id, second.upload_id, "x"):
        for call in (bucket.abort, bucket.upload):
            with pytest.raises(NoSuchUpload):
                call("k", upload_id)
        with pytest.raises(NoSuchUpload):
            bucket.put_part("k", upload_id, 1, kept(b""))


def test_an_upload_belongs_to_its_key(bucket: Bucket) -> None:
    upload = bucket.begin("k", Attributes())
    with pytest.raises(NoSuchUpload):
        bucket.upload("other", upload.upload_id)


def test_parts_are_chosen_by_number_and_tag_in_order(bucket: Bucket) -> None:
    upload_id = bucket.begin("k", Attributes()).upload_id
    tags: dict[int, str] = {}
    for number, data in ((1, b"aaa"), (5, b"bb"), (9, b"c")):
        tags[number] = bucket.put_part("k", upload_id, number, kept(data)).content.etag

    def numbers(named: list[tuple[int, str]], min_part_bytes: int = 0) -> list[int]:
        return [part.number for part in bucket.chosen("k", upload_id, named, min_part_bytes=min_part_bytes)]

    assert numbers([(1, tags[1]), (9, tags[9])], min_part_bytes=3) == [1, 9]
    for named in ([(5, tags[5]), (1, tags[1])], [(1, tags[1]), (1, tags[1])]):
        with pytest.raises(PartsOutOfOrder):
            numbers(named)
    with pytest.raises(BadPart) as caught:
        numbers([(1, tags[1]), (2, tags[1])])
    assert (caught.value.number, caught.value.size_bytes) == (2, None)
    with pytest.raises(BadPart):
        numbers([(1, tags[5])])
    with pytest.raises(BadPart) as caught:
        numbers([(1, tags[1]), (5, tags[5]), (9, tags[9])], min_part_bytes=3)
    assert (caught.value.number, caught.value.size_bytes) == (5, 2)
    with pytest.raises(NoParts):
        numbers([])


KEYS = st.text(alphabet="ab/é\U0001f600\x01~", min_size=1, max_size=5)


@given(
    st.lists(st.tuples(KEYS, st.booleans()), max_size=30),
    st.sampled_from(["", "a", "a/", "é"]),
    st.one_of(st.none(), KEYS),
)
def test_keys_are_in_the_order_of_their_bytes(steps: list[tuple[str, bool]], prefix: str, after: str | None) -> None:
    histories = Histories()
    there: set[str] = set()
    content = kept(b"")
    for key, add in steps:
        if add:
            histories.add(Version(key, "null", NOON, content))
            there.add(key)
        else:
            assert (histories.remove(key, "null") is not None) == (key in there)
            there.discard(key)
        wanted = sorted((k for k in there if k >= prefix and (after is None or k > after)), key=str.encode)
        assert [k for k, _ in histories.objects(at_least=prefix, after=after)] == wanted


@given(
    st.lists(KEYS, max_size=30, unique=True), st.sampled_from(["", "a", "a/"]), st.sampled_from(["", "/", "a", "/a"])
)
def test_folding_shows_each_common_prefix_once(keys: list[str], prefix: str, delimiter: str) -> None:
    wanted: dict[str, None] = {}
    for key in sorted(keys):
        if key.startswith(prefix):
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key[len(prefix) :], "", "")
            wanted[prefix + head + found] = None
    items = [(key, key) for key in sorted(keys) if key >= prefix]
    shown = list(folded(items, prefix, delimiter))
    assert [name for name, _ in shown] == list(wanted)
    assert all((item == name) if item is not None else name.endswith(delimiter) for name, item in shown)


def test_conditions_are_judged_by_tag_and_whole_seconds(bucket: Bucket) -> None:
    version = bucket.put("k", kept(b"x"), Attributes())
    etag = hashlib.md5(b"x").hexdigest().upper()
    second = timedelta(seconds=1)
    assert fails(version, [("matches", f'"{etag}"'), ("not newer", NOON), ("newer", NOON - second)]) is None
    assert fails(version, [("matches", '"x", "y"')]) == "matches"
    assert fails(version, [("matches", f"x,{etag}"), ("differs", "*")]) == "differs"
    assert fails(version, [("not newer", NOON - second)]) == "not newer"
    assert fails(version, [("newer", NOON)]) == "newer"
