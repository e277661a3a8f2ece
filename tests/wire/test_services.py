"""What the APIs of object stores share, with a service of no name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from storage_guard.driver import Changed, Location, Lost, ObjectInfo, ObjectRef, Prefix, Refused
from storage_guard.wire import document
from storage_guard.wire.document import Element
from storage_guard.wire.services import calls, contents, listings
from storage_guard.wire.services.bodies import HELD_BYTES, read_through
from storage_guard.wire.services.faults import fault_in
from storage_guard.wire.services.message import Answer, Request
from storage_guard.wire.services.sources import Sizes, bytes_between, check_etag
from storage_guard.wire.services.times import MOST_WAIT_S, any_time, clocks_differ, http_time, retry_after_s

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HERE = Location("any", "https://service", "bucket")


@dataclass(frozen=True)
class Asked:
    def lost(self, answer: Answer, why: str) -> Lost:
        return Lost(why, status=answer.status)

    def root(self, answer: Answer, name: str) -> Element:
        return document.read(answer.body, name)


ASKED = Asked()


def answer(text: str = "", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(200, named, text.encode(), NOW)


def no_sum(_: Element) -> None:
    return None


def found(key: str, size_bytes: int = 10, etag: str = "E") -> ObjectInfo:
    return ObjectInfo(key=key, size_bytes=size_bytes, etag=etag, modified=NOW)


def page(*keys: str, more: str | None) -> str:
    told = "".join(
        f"<Contents><Key>{key}</Key><Size>1</Size><ETag>E</ETag><LastModified>2026-11-22T12:00:00.000Z</LastModified>"
        "</Contents>"
        for key in keys
    )
    end = "<IsTruncated>false</IsTruncated>"
    if more is not None:
        end = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{more}</NextContinuationToken>"
    return f"<ListBucketResult>{told}<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>{end}</ListBucketResult>"


def test_pages_of_objects_go_on_where_the_one_before_ended() -> None:
    places: list[str] = []
    pages = {"": page("b", more="t1"), "t1": page("c", more=None)}

    def ask(at: str) -> tuple[Asked, Answer]:
        places.append(at)
        return ASKED, answer(pages[at])

    assert [each.key for each in listings.objects(ask)] == ["a/", "b", "a/", "c"]
    assert places == ["", "t1"]


def test_nothing_is_asked_before_something_is_taken() -> None:
    def ask(*_: str) -> tuple[Asked, Answer]:
        raise AssertionError("asked")

    for listing in (listings.objects(ask), listings.uploads(ask), listings.parts(ask, no_sum)):
        assert isinstance(listing, Iterator)


def uploads_page(*, key: str, upload_id: str) -> str:
    fields = f"<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{upload_id}</NextUploadIdMarker>"
    return f"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>{fields}</ListMultipartUploadsResult>"


def parts_page(marker: str) -> str:
    next_marker = f"<NextPartNumberMarker>{marker}</NextPartNumberMarker>"
    return f"<ListPartsResult><IsTruncated>true</IsTruncated>{next_marker}</ListPartsResult>"


WALKS: dict[str, tuple[Callable[[Callable[..., tuple[Asked, Answer]]], Iterator[object]], str]] = {
    "objects": (listings.objects, page(more="t")),
    "objects, from the beginning": (listings.objects, page(more="")),
    "uploads": (listings.uploads, uploads_page(key="k", upload_id="u")),
    "parts": (lambda ask: listings.parts(ask, no_sum), parts_page("7")),
}


@pytest.mark.parametrize("listed", WALKS)
def test_a_page_that_leads_to_itself_ends_the_listing(listed: str) -> None:
    walk, text = WALKS[listed]
    with pytest.raises(Lost, match="does not advance"):
        list(walk(lambda *_: (ASKED, answer(text))))


def test_offsets_of_parts_go_on_over_pages() -> None:
    def part(number: int, size_bytes: int) -> str:
        return f"<Part><PartNumber>{number}</PartNumber><Size>{size_bytes}</Size><ETag>E</ETag></Part>"

    more = "<IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>"
    pages = {"": part(1, 5) + part(2, 7) + more, "2": part(3, 1) + "<IsTruncated>false</IsTruncated>"}
    parts = listings.parts(lambda at: (ASKED, answer(f"<ListPartsResult>{pages[at]}</ListPartsResult>")), no_sum)
    assert [(each.slot.offset_bytes, each.slot.size_bytes) for each in parts] == [(0, 5), (5, 7), (12, 1)]


def test_objects_and_prefixes_are_in_one_order() -> None:
    entries = listings.objects_of(ASKED, answer(page("z", "a", more=None))).entries
    assert [each.key for each in entries] == ["a", "a/", "z"]
    assert isinstance(entries[1], Prefix)


@pytest.mark.parametrize("name", ["last_modified", "content_length"])
def test_what_a_head_leaves_out_is_no_size_and_no_time(name: str) -> None:
    headers = {"last_modified": "Sun, 22 Nov 2026 12:00:00 GMT", "content_length": "7"}
    assert contents.measured(ASKED, answer(**headers)) == (7, NOW)
    del headers[name]
    with pytest.raises(Lost):
        contents.measured(ASKED, answer(**headers))


def test_the_size_of_what_is_pinned_is_asked_once_in_a_while() -> None:
    looks: list[str] = []

    def look(source: ObjectRef) -> ObjectInfo:
        looks.append(source.key)
        return found(source.key)

    sizes = Sizes()
    pinned = ObjectRef(HERE, "k", etag="E")
    assert sizes.of(ObjectRef(HERE, "k"), look) == sizes.of(pinned, look) == (10, "E")
    sizes.of(ObjectRef(HERE, "k"), look)
    assert looks == ["k", "k"]
    for number in range(64):
        sizes.of(ObjectRef(HERE, f"other {number}"), look)
    sizes.of(pinned, look)
    assert looks.count("k") == 3


def test_a_part_is_copied_of_bytes_that_are_there() -> None:
    def look(_: ObjectRef) -> ObjectInfo:
        return found("k", size_bytes=10)

    assert Sizes().pinned(ObjectRef(HERE, "k"), 4, 6, look) == ObjectRef(HERE, "k", etag="E")
    with pytest.raises(Refused, match="no 6 bytes from 5 on"):
        Sizes().pinned(ObjectRef(HERE, "k"), 5, 6, look)


def test_a_pin_holds_what_was_seen() -> None:
    assert check_etag("k", found("k"), None) == check_etag("k", found("k"), "E") == found("k")
    with pytest.raises(Changed):
        check_etag("k", found("k"), "F")


@dataclass
class Looks:
    size_bytes: int
    data: bytes | None = None

    def pinned(self, key: str, _etag: str | None, /) -> ObjectInfo:
        return found(key, self.size_bytes)

    def read(self, _key: str, _start: int, _stop: int, _etag: str | None, /) -> bytes | None:
        return self.data


def test_a_range_behind_the_end_is_empty_only_if_the_object_ends_before_it() -> None:
    assert bytes_between(Looks(5), "k", 5, 9, None) == b""
    assert bytes_between(Looks(5, b"abc"), "k", 2, 9, None) == b"abc"
    with pytest.raises(Lost, match="none were given from 4 on"):
        bytes_between(Looks(5), "k", 4, 9, None)
    with pytest.raises(Refused):
        bytes_between(Looks(5), "k", 4, 3, None)


@dataclass
class Pieces:
    size_bytes: int
    pieces: tuple[bytes, ...]

    def windows(self) -> Iterator[memoryview]:
        return map(memoryview, self.pieces)


def test_a_body_is_read_through_once_and_held_if_it_is_small() -> None:
    seen: list[bytes] = []
    assert read_through(Pieces(5, (b"ab", b"cde")), lambda window: seen.append(bytes(window))) == b"abcde"
    assert seen == [b"ab", b"cde"]
    assert read_through(Pieces(0, ()), lambda _: None) == b""
    large = bytes(HELD_BYTES + 1)
    assert read_through(Pieces(len(large), (large,)), lambda _: None) is None


@pytest.mark.parametrize("pieces", [(b"abcd",), (b"ab", b"cdef"), ()])
def test_a_body_of_another_length_is_refused(pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(Refused, match="bytes, not 5"):
        read_through(Pieces(5, pieces), lambda _: None)


def test_a_request_with_further_headers_is_the_same_otherwise() -> None:
    request = Request("read", "GET", "k", {"a": "b"}, {"c": "d"}, b"e", "bucket", 7)
    also = request.also({"f": "g"})
    assert also == Request("read", "GET", "k", {"a": "b"}, {"c": "d", "f": "g"}, b"e", "bucket", 7)
    assert request.also({}) == request


def test_nothing_that_must_be_hidden_is_repeated() -> None:
    body = b"<Error><Code>Wrong</Code><Message>not hush</Message><Signed>hush and hush</Signed></Error>"
    fault = fault_in(body, ("hush",))
    assert (fault.code, fault.message, fault.fields["Signed"]) == ("Wrong", "not ***", "*** and ***")
    assert fault_in(b"gateway", ()).code == ""


@pytest.mark.parametrize(
    ("told", "wait_s"),
    [
        ("", 0),
        ("7", 7),
        ("99999999999999999999", MOST_WAIT_S),
        ("Sun, 22 Nov 2026 12:00:09 GMT", 9),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
        ("Mon, 23 Nov 2026 12:00:00 GMT", MOST_WAIT_S),
        ("soon", 0),
    ],
)
def test_a_wait_is_that_which_is_asked_for_within_bounds(told: str, wait_s: float) -> None:
    assert retry_after_s(answer(retry_after=told)) == wait_s


def test_a_wait_until_a_time_is_counted_by_the_clock_of_the_service() -> None:
    later = answer(retry_after="Sun, 22 Nov 2026 12:00:09 GMT", date="Sun, 22 Nov 2026 12:00:05 GMT")
    assert retry_after_s(later) == 4


def test_times_are_read_in_either_notation() -> None:
    assert any_time("2026-11-22T12:00:00Z") == any_time("Sun, 22 Nov 2026 12:00:00 GMT") == NOW
    assert any_time("2026-11-22T12:00:00") == NOW  # without a zone it is UTC
    assert any_time("2026-11-22T13:00:00+01:00") == NOW
    for text in ("", None, "yesterday", "2026-11-99"):
        assert any_time(text) is None
        assert http_time(text) is None


def test_clocks_are_behind_or_ahead() -> None:
    assert clocks_differ(NOW + timedelta(seconds=90), NOW) == "the clock of this machine is 90 s behind"
    assert clocks_differ(NOW, NOW + timedelta(seconds=5)) == "the clock of this machine is 5 s ahead"
    assert "15 minutes" in clocks_differ(None, NOW)


@pytest.mark.parametrize("value", ["a b", "", "~!"])
def test_printable_values_are_sent_as_they_are(value: str) -> None:
    calls.check(Request("put", "PUT", "k", headers={"a": value, "b": "c"}), 10)


@pytest.mark.parametrize("value", [" a", "a ", "a\nb", "a\r", "\x7f", "ü", "\n"])
def test_a_value_that_would_change_on_the_way_is_refused(value: str) -> None:
    with pytest.raises(Refused, match="printable ASCII"):
        calls.check(Request("put", "PUT", "k", headers={"a": value, "b": "c"}), 10)
