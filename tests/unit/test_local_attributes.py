"""What is stored beside the bytes comes back as it was, and what others stored there is no trouble."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_guard.body import BytesBody
from storage_guard.driver import Checksum, Encryption, ObjectOptions, Retention, Unsupported, WriteMeta
from storage_guard_local import LocalDriver
from storage_guard_local.attributes import ATTRIBUTE, Note, decode, encode

SOME = Checksum("crc64xz", "0123456789abcdef")
texts = st.none() | st.text(min_size=1)


@given(
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    st.builds(
        ObjectOptions,
        content_type=texts,
        cache_control=texts,
        content_disposition=texts,
        content_encoding=texts,
        content_language=texts,
        metadata=st.dictionaries(st.text(), st.text()),
    ),
    st.none() | st.just(SOME),
)
def test_what_is_stored_comes_back(write_id: str, options: ObjectOptions, checksum: Checksum | None) -> None:
    assert decode(encode(WriteMeta(write_id, options), checksum, 5), 5) == Note(write_id, checksum, options)


@given(st.binary() | st.text().map(str.encode))
def test_garbage_is_no_note(value: bytes) -> None:
    assert decode(value, 0) == Note() or value.strip()[:1] == b"{"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"id":5}',
        b'{"id":""}',
        b'{"id":"a b"}',
        b'{"id":null,"options":[]}',
        b'{"options":{"content_type":7,"metadata":{"a":1}}}',
        b'{"options":{"metadata":[]}}',
        b'{"crc64xz":"0123456789abcdeX","mtime_ns":1}',
        b'{"crc64xz":7,"mtime_ns":1}',
        b"[" * 100_000,
    ],
)
def test_a_strange_attribute_is_no_note_and_no_error(value: bytes, tmp_path: Path) -> None:
    assert decode(value, 1) == Note()
    (tmp_path / "k").write_bytes(b"data")
    os.setxattr(tmp_path / "k", ATTRIBUTE, value[:1000])
    info = LocalDriver(tmp_path).head("k")
    assert info is not None
    assert (info.write_id, info.checksum, info.options) == (None, None, ObjectOptions())


def test_a_checksum_is_not_told_of_bytes_that_were_changed_since(tmp_path: Path) -> None:
    driver = LocalDriver(tmp_path)
    driver.put_new("k", BytesBody(b"data"), WriteMeta("x"))
    (tmp_path / "k").write_bytes(b"DATA")
    info = driver.head("k")
    assert info is not None
    assert (info.write_id, info.checksum) == ("x", None)


@pytest.mark.parametrize(
    "options",
    [
        ObjectOptions(tags={"a": "b"}),
        ObjectOptions(storage_class="cold"),
        ObjectOptions(acl="private"),
        ObjectOptions(encryption=Encryption("aes")),
        ObjectOptions(retention=Retention("governance", datetime(2030, 1, 1, tzinfo=UTC))),
        ObjectOptions(request_payer="me"),
        ObjectOptions(expected_bucket_owner="me"),
    ],
)
def test_an_option_that_a_file_cannot_have_is_refused_and_nothing_is_made(
    options: ObjectOptions, tmp_path: Path
) -> None:
    driver = LocalDriver(tmp_path / "root")
    with pytest.raises(Unsupported):
        driver.put_new("a/k", BytesBody(b"data"), WriteMeta("x", options))
    with pytest.raises(Unsupported):
        driver.begin("a/k", WriteMeta("x", options))
    assert not (tmp_path / "root").exists()
