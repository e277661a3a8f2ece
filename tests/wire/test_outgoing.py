"""A body goes out as long as it said that it is, or without its end."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_guard.body import BytesBody
from storage_guard.driver import Refused
from storage_guard.wire.outgoing import Outgoing, whole
from wire.bodies import Windows

HELD_BYTES = 16 * 1024
SIZES = st.sampled_from([1, 2, 100, HELD_BYTES - 1, HELD_BYTES, HELD_BYTES + 1, 50_000])


def pieces_of(*sizes_bytes: int) -> list[bytes]:
    return [bytes([65 + number]) * size_bytes for number, size_bytes in enumerate(sizes_bytes)]


def read(outgoing: Outgoing, most_bytes: int, sent: list[bytes]) -> None:
    """All that it gives, into `sent`."""
    while piece := outgoing.read(most_bytes):
        assert len(piece) <= most_bytes
        sent.append(bytes(piece))


@given(st.lists(SIZES, max_size=5), st.sampled_from([50, 4096, HELD_BYTES, 1 << 20]))
def test_a_body_goes_out_as_it_is_in_any_pieces(sizes_bytes: list[int], most_bytes: int) -> None:
    pieces = pieces_of(*sizes_bytes)
    body = Windows(sum(sizes_bytes), pieces)
    sent: list[bytes] = []
    outgoing = Outgoing(body)
    read(outgoing, most_bytes, sent)
    assert b"".join(sent) == whole(body) == b"".join(pieces)
    assert bytes(outgoing.read(most_bytes)) == b""


def test_no_more_is_asked_for_than_may_go_out_at_once() -> None:
    outgoing = Outgoing(BytesBody(b"a" * 100_000))
    assert [len(outgoing.read(size)) for size in (10, 50_000, 1 << 20, 10, 1 << 20)] == [
        *(10, 50_000, 100_000 - HELD_BYTES - 50_010, 10, HELD_BYTES - 10)
    ]


@pytest.mark.parametrize(
    ("announced_bytes", "sizes_bytes", "told"),
    [
        (50_000, [], "0 bytes"),
        (50_000, [40_000, 9_999], "49999 bytes"),
        (50_000, [40_000, 10_001, 5], "at least 50001 bytes"),
        (50_000, [40_000, 10_000, 1], "at least 50001 bytes"),
        (50_000, [20_000, 30_000, 7], "at least 50007 bytes"),
        (0, [7], "at least 7 bytes"),
    ],
)
def test_a_body_of_another_length_goes_out_without_its_end(
    announced_bytes: int, sizes_bytes: list[int], told: str
) -> None:
    body = Windows(announced_bytes, pieces_of(*sizes_bytes))
    sent: list[bytes] = []
    what = re.escape(f"the body has {told}, not {announced_bytes}:")
    with pytest.raises(Refused, match=what):
        read(Outgoing(body), 4096, sent)
    assert sum(map(len, sent)) < max(announced_bytes, 1)
    with pytest.raises(Refused, match=what) as caught:
        whole(body)
    assert caught.value.why == "request"


@pytest.mark.parametrize("sizes_bytes", [[50_000], [40_000, 10_000], [20_000, 30_000]])
def test_the_end_waits_until_the_body_has_ended_well(sizes_bytes: list[int]) -> None:
    body = Windows(50_000, pieces_of(*sizes_bytes), OSError("it changed"))
    sent: list[bytes] = []
    with pytest.raises(OSError, match="it changed"):
        read(Outgoing(body), 4096, sent)
    assert sum(map(len, sent)) == 50_000 - min(sizes_bytes[-1], HELD_BYTES)


class Listed(BytesBody):
    def windows(self) -> Iterator[memoryview]:
        return iter([*super().windows()])


def test_a_body_that_is_given_up_is_let_go() -> None:
    body = Windows(50_000, pieces_of(25_000, 25_000))
    outgoing = Outgoing(body)
    outgoing.read(10)
    outgoing.close()
    assert body.closed == 1
    Outgoing(Listed(b"a")).close()  # has nothing to let go of
