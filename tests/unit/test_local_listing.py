"""A listing of a tree of folders is what a flat store would list, byte for byte in the same order."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage_guard.body import BytesBody
from storage_guard.driver import Exists, ObjectInfo, Prefix, Refused, WriteMeta
from storage_guard_local import LocalDriver

segments = st.text(alphabet="ab-!0é￿\U0001f600", min_size=1, max_size=3)
keys = st.lists(segments, min_size=1, max_size=4).map("/".join)


def flat(found: set[str], prefix: str, delimiter: str, start_after: str) -> list[str]:
    """What S3 lists: one plain pass over the sorted keys."""
    listed: list[str] = []
    for key in sorted(found, key=str.encode):
        if not key.startswith(prefix) or key.encode() <= start_after.encode():
            continue
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        name = key if end < 0 else key[: end + len(delimiter)]
        if name not in listed:
            listed.append(name)
    return listed


@settings(max_examples=40, deadline=None)
@given(
    st.sets(keys, max_size=12),
    st.data(),
)
def test_a_listing_is_that_of_a_flat_store(wanted: set[str], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as root:
        driver = LocalDriver(root, durable=False)
        there: set[str] = set()
        for key in sorted(wanted):
            try:
                driver.put_new(key, BytesBody(b""), WriteMeta("x"))
                there.add(key)
            except (Refused, Exists):
                continue  # a folder is where the file should be, or the other way round
        assert [each.key for each in driver.scan("", "", "")] == flat(there, "", "", "")
        near = st.sampled_from(sorted(there) or ["x"]).flatmap(
            lambda key: st.integers(0, len(key)).map(lambda end: key[:end])
        )
        for _ in range(5):
            prefix = data.draw(near | st.text("ab/-", max_size=3), "prefix")
            delimiter = data.draw(st.sampled_from(["", "/", "-", "a", "/a", "//"]), "delimiter")
            start_after = data.draw(near | st.text("ab/-", max_size=3), "start_after")
            listed = list(driver.scan(prefix, delimiter, start_after))
            assert [each.key for each in listed] == flat(there, prefix, delimiter, start_after)
            for each in listed:
                rolled_up = bool(delimiter) and delimiter in each.key[len(prefix) :]
                assert isinstance(each, Prefix if rolled_up else ObjectInfo)


def test_what_cannot_be_an_object_is_not_listed(tmp_path: Path) -> None:
    driver = LocalDriver(tmp_path)
    driver.put_new("a/real", BytesBody(b"data"), WriteMeta("x"))
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    (tmp_path / ".storage-guard" / "tmp").mkdir(parents=True)
    (tmp_path / ".storage-guard" / "tmp" / "half").write_bytes(b"")
    (tmp_path / "link").symlink_to("a/real")
    (tmp_path / "away").symlink_to("/etc")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "new\nline").write_bytes(b"")
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"")
    assert [each.key for each in driver.scan("", "", "")] == ["a/real"]
    assert list(driver.scan("", "/", "")) == [Prefix("a/")]
    for prefix in ("away/", ".storage-guard/", "../", "a/../", "a//", "link/", "a/real/", "\0/"):
        assert list(driver.scan(prefix, "", "")) == []


def test_files_that_vanish_midway_are_left_out(tmp_path: Path) -> None:
    driver = LocalDriver(tmp_path)
    for number in range(300):
        (tmp_path / f"{number:03}").write_bytes(b"")
    listing = driver.scan("", "", "")
    assert next(listing).key == "000"
    for number in range(150, 300):
        (tmp_path / f"{number:03}").unlink()
    assert [each.key for each in listing] == [f"{number:03}" for number in range(1, 150)]


def test_a_dropped_listing_holds_no_descriptor(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "k").write_bytes(b"")
    driver = LocalDriver(tmp_path)
    before = os.listdir("/proc/self/fd")
    listing = driver.scan("", "", "")
    next(listing)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("start_after", ["", "x"])
def test_a_missing_root_lists_nothing_and_is_not_made(start_after: str, tmp_path: Path) -> None:
    driver = LocalDriver(tmp_path / "root")
    assert list(driver.scan("", "", start_after)) == []
    assert driver.head("k") is None
    assert not (tmp_path / "root").exists()
