"""What is sent to OSS, and what is refused because it could not be sent as it is."""

from __future__ import annotations

import itertools
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from storage_guard.driver import (
    Encryption,
    Location,
    ObjectOptions,
    ObjectRef,
    Part,
    PartSlot,
    Refused,
    Retention,
    Unsupported,
    WriteMeta,
)
from storage_guard.testing import BytesBody, FailingBody
from storage_guard.wire.services import calls
from storage_guard.wire.services.bodies import HELD_BYTES
from storage_guard_oss import asking
from storage_guard_oss.bodies import Summed, digest
from storage_guard_oss.message import Request
from storage_guard_oss.options import headers_of, options_of

META = WriteMeta("w-1")
SOURCE = ObjectRef(Location("oss", "e", "theirs"), "a b/\u00fc?", "v/1", "E1")
FULL = ObjectOptions(
    content_type="text/plain",
    cache_control="no-cache",
    content_disposition="inline",
    content_encoding="gzip",
    content_language="de",
    metadata={"colour": "blue green", "empty": ""},
    tags={"a b": "c&d", "e": ""},
    storage_class="IA",
    acl="private",
    encryption=Encryption("KMS", "key-1"),
)


def _requests(meta: WriteMeta) -> dict[str, Request]:
    parts = [Part(PartSlot(1, 0, 5), "A"), Part(PartSlot(7, 5, 5), "B")]
    return {
        "put": asking.put("k", meta, None),
        "begin": asking.begin("k", meta, None),
        "finish": asking.finish("k", "U", parts, meta, None),
        "copy": asking.copy(SOURCE, "k", meta, None),
    }


def test_every_create_carries_the_condition_and_the_write_id() -> None:
    for name, request in _requests(META).items():
        assert request.headers["x-oss-forbid-overwrite"] == "true", name
        assert request.headers.get("x-oss-meta-guardid") == (None if name == "finish" else "w-1")


def test_nothing_else_carries_the_condition() -> None:
    part = asking.copy_part("k", "U", PartSlot(2, 10, 5), SOURCE, 100)
    for request in (part, asking.part("k", "U", 1), calls.abort("k", "U"), asking.remove("k"), asking.head("k")):
        assert "x-oss-forbid-overwrite" not in request.headers


def test_a_put_tells_its_md5() -> None:
    found = digest(BytesBody(b"abc"))
    assert (
        asking.with_md5(asking.put("k", META, None), found.md5).headers["Content-MD5"] == b64encode(found.md5).decode()
    )


def test_an_acl_goes_with_every_create() -> None:
    carried = {name: "x-oss-object-acl" in each.headers for name, each in _requests(WriteMeta("w", FULL)).items()}
    assert carried == dict.fromkeys(("put", "begin", "finish", "copy"), True)


def test_a_copy_replaces_metadata_and_tags_and_pins_its_source() -> None:
    headers = asking.copy(SOURCE, "k", META, None).headers
    assert headers["x-oss-copy-source"] == "/theirs/a%20b%2F%C3%BC%3F?versionId=v%2F1"
    assert headers["x-oss-copy-source-if-match"] == '"E1"'
    assert headers["x-oss-metadata-directive"] == "REPLACE"
    assert headers["x-oss-tagging-directive"] == "Replace"
    part = asking.copy_part("k", "U", PartSlot(2, 10, 5), SOURCE, 100)
    assert part.headers["x-oss-copy-source-range"] == "bytes=100-104"
    assert part.params == {"partNumber": "2", "uploadId": "U"}


def test_a_finish_names_its_parts_in_order() -> None:
    assert _requests(META)["finish"].document == (
        b'<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"A"</ETag></Part>'
        b'<Part><PartNumber>7</PartNumber><ETag>"B"</ETag></Part></CompleteMultipartUpload>'
    )


def test_a_range_is_asked_for_as_http_has_it() -> None:
    request = asking.read("k", 5, 9, "E1")
    assert request.headers == {"Range": "bytes=5-8", "x-oss-range-behavior": "standard", "If-Match": '"E1"'}
    assert "If-Match" not in asking.read("k", 5, 9, None).headers


def test_options_come_back_as_they_went() -> None:
    headers = {name.lower(): value for name, value in headers_of(WriteMeta("w", FULL), None).items()}
    assert headers["x-oss-tagging"] == "a%20b=c%26d&e="
    found = options_of(headers, FULL.tags)
    assert found == replace(FULL, acl=None), "HEAD tells all but the acl"


def test_what_oss_gives_to_who_asks_for_nothing_reads_as_nothing() -> None:
    assert (
        options_of({"content-type": "application/octet-stream", "x-oss-storage-class": "Standard"}, {})
        == ObjectOptions()
    )
    assert headers_of(META, None)["Content-Type"] == "application/octet-stream", "oss2 would guess from the key"


@pytest.mark.parametrize(
    "options",
    [
        ObjectOptions(retention=Retention("governance", datetime(2030, 1, 1, tzinfo=UTC))),
        ObjectOptions(expected_bucket_owner="123"),
        ObjectOptions(request_payer="requester"),
        ObjectOptions(encryption=Encryption("AES256", customer_key=b"k" * 32)),
        ObjectOptions(encryption=Encryption("ROT13")),
        ObjectOptions(encryption=Encryption("AES256", "key-1")),
    ],
)
def test_an_option_that_oss_does_not_do_is_refused_by_every_create(options: ObjectOptions) -> None:
    for name in ("put", "begin", "finish", "copy"):
        with pytest.raises(Unsupported):
            print(_requests(WriteMeta("w", options))[name])


def test_a_payer_is_taken_if_the_driver_has_it() -> None:
    assert headers_of(WriteMeta("w", ObjectOptions(request_payer="requester")), "requester")


@pytest.mark.parametrize("name", ["guardid", "GuardID"])
def test_the_write_id_is_not_the_callers(name: str) -> None:
    with pytest.raises(Refused):
        headers_of(WriteMeta("w", ObjectOptions(metadata={name: "mine"})), None)


@pytest.mark.parametrize("key", ["k" * 1024, "\u00e9" * 512, ".", "..", "lone\ud800"])
def test_a_key_that_cannot_be_sent_is_refused(key: str) -> None:
    with pytest.raises(Refused) as refused:
        calls.check(asking.head(key), 1023)
    assert refused.value.why == "key"
    calls.check(asking.head("\u00e9" * 511 + "k"), 1023)


@pytest.mark.parametrize("value", ["two\nlines", "\u00fc", " blank", "blank ", "tab\t", "\x00"])
def test_a_header_that_cannot_be_sent_is_refused(value: str) -> None:
    for options in (ObjectOptions(content_disposition=value), ObjectOptions(metadata={"name": value})):
        with pytest.raises(Refused) as refused:
            calls.check(asking.begin("k", WriteMeta("w", options), None), 1023)
        assert refused.value.why == "request"


def test_a_listing_asks_only_for_what_is_given() -> None:
    assert calls.list_objects("", "", "", "").params == {"list-type": "2", "encoding-type": "url", "max-keys": "1000"}
    assert calls.list_uploads("p", "k", "u").params["upload-id-marker"] == "u"
    assert "part-number-marker" not in calls.list_parts("k", "U", "").params


# Bodies on their way


class SizedBody:
    """Windows that need not have the size that is claimed."""

    def __init__(self, size_bytes: int, *windows: bytes) -> None:
        self._size_bytes = size_bytes
        self._windows = windows

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def windows(self) -> Iterator[memoryview]:
        for window in self._windows:
            room = bytearray(window)  # which the next window makes worthless
            yield memoryview(room)
            room[:] = bytes(len(room))


@pytest.mark.parametrize("windows", [(), (b"a",), (b"abc", b"de"), (b"abc", b"de", b"f" * 10)])
def test_a_body_is_summed_while_it_goes_out_each_time_anew(windows: tuple[bytes, ...]) -> None:
    data = b"".join(windows)
    summed = Summed(SizedBody(len(data), *windows))
    assert summed.size_bytes == len(data)
    found = digest(SizedBody(len(data), *windows))
    for _ in range(2):
        assert b"".join(bytes(window) for window in summed.windows()) == data
        assert (found.held, found.checksum) == (data, summed.checksum)


@pytest.mark.parametrize(
    "windows", [(), (b"a", b"b"), (b"abcd",), (b"abc", b"d"), (b"a", b"b", b"c", b"d"), (b"abcd", b"efgh")]
)
def test_a_body_of_another_length_has_no_digest(windows: tuple[bytes, ...]) -> None:
    with pytest.raises(Refused):
        digest(SizedBody(3, *windows))


@pytest.mark.parametrize("error", [ValueError("x"), OSError(104, "reset"), BrokenPipeError(), KeyboardInterrupt()])
def test_what_a_body_raises_passes_through(error: BaseException) -> None:
    for read in (
        lambda: list(Summed(FailingBody(b"abcdef", 3, error)).windows()),
        lambda: digest(FailingBody(b"abcdef", 3, error)),
    ):
        with pytest.raises(type(error)) as failed:
            print(read())
        assert failed.value is error


def test_only_a_small_body_is_held() -> None:
    assert digest(BytesBody(bytes(HELD_BYTES))).held is not None
    assert digest(BytesBody(bytes(HELD_BYTES + 1))).held is None


def test_no_request_has_two_meanings() -> None:
    requests: list[Any] = [*_requests(META).values(), asking.part("k", "U", 1), calls.abort("k", "U")]
    requests += [asking.head("k"), asking.read("k", 0, 1, None), asking.remove("k"), calls.tags("k")]
    asked = [(each.method, tuple(each.params), "x-oss-copy-source" in each.headers) for each in requests]
    assert not [pair for pair in itertools.combinations(asked, 2) if pair[0] == pair[1]]
