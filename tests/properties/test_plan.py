"""However large, an object is cut so that the store takes every piece, or is refused before the first byte."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_guard.model import GiB, Limits, MiB, TiB
from storage_guard.plan import (
    COPIED_AT_ONCE,
    ONE_REQUEST,
    PART_STEP_BYTES,
    Plan,
    TooLarge,
    copied_part_bytes,
    plan_known,
    plan_stream,
    slots,
    usual_part_bytes,
)

OSS = Limits(5 * GiB, 100 * 1024, 5 * GiB, 10_000, 48 * TiB)
FIT = Limits(5 * GiB, 1, 5 * GiB, 1 << 20, 48 * TiB)
TINY = Limits(max_put_bytes=50, min_part_bytes=10, max_part_bytes=40, max_parts=7, max_object_bytes=1000)


@given(size_bytes=st.integers(0, 2000), part_bytes=st.integers(1, 60), multipart_from_bytes=st.integers(1, 100))
def test_every_plan_is_one_that_the_store_takes(size_bytes: int, part_bytes: int, multipart_from_bytes: int) -> None:
    try:
        plan = plan_known(size_bytes, TINY, part_bytes=part_bytes, multipart_from_bytes=multipart_from_bytes)
    except TooLarge:
        assert size_bytes > TINY.max_part_bytes * TINY.max_parts
        return
    assert size_bytes <= TINY.max_object_bytes
    if plan.part_bytes is None:
        assert not plan.multipart
        assert size_bytes <= TINY.max_put_bytes
        assert size_bytes < multipart_from_bytes or size_bytes == 0
        return
    assert plan.multipart
    assert size_bytes >= min(multipart_from_bytes, TINY.max_put_bytes + 1)
    pieces = list(slots(size_bytes, plan.part_bytes))
    assert 1 <= len(pieces) <= TINY.max_parts
    assert [piece.number for piece in pieces] == list(range(1, len(pieces) + 1))
    assert pieces[0].offset_bytes == 0
    assert all(a.offset_bytes + a.size_bytes == b.offset_bytes for a, b in itertools.pairwise(pieces))
    assert sum(piece.size_bytes for piece in pieces) == size_bytes
    assert all(TINY.min_part_bytes <= piece.size_bytes <= TINY.max_part_bytes for piece in pieces[:-1])
    assert 1 <= pieces[-1].size_bytes <= TINY.max_part_bytes


@pytest.mark.parametrize(
    ("size_bytes", "part_bytes"),
    [
        (16 * MiB, 8 * MiB),
        (80_000 * MiB, 8 * MiB),
        (80_000 * MiB + 1, 9 * MiB),  # one byte more than 10,000 parts of 8 MiB hold
        (48 * TiB, 5034 * MiB),
    ],
)
def test_parts_grow_just_as_much_as_ten_thousand_of_them_need(size_bytes: int, part_bytes: int) -> None:
    plan = plan_known(size_bytes, OSS, part_bytes=8 * MiB, multipart_from_bytes=16 * MiB)
    assert plan == Plan(part_bytes)


def test_a_part_grows_by_bytes_below_a_mib_and_by_whole_mib_above() -> None:
    few = Limits(1, 1, 10 * MiB, 10, 1 << 40)
    assert plan_known(1001, few, part_bytes=1, multipart_from_bytes=1) == Plan(101)
    assert plan_known(15 * MiB, few, part_bytes=3 * MiB // 2, multipart_from_bytes=1) == Plan(3 * MiB // 2)
    assert plan_known(10 * MiB, few, part_bytes=1, multipart_from_bytes=1) == Plan(MiB)
    assert plan_known(10 * MiB + 1, few, part_bytes=1, multipart_from_bytes=1) == Plan(2 * MiB)
    assert plan_known(100 * MiB, few, part_bytes=1, multipart_from_bytes=1) == Plan(10 * MiB)


def test_the_edges_between_one_request_and_parts() -> None:
    def plan(size_bytes: int, multipart_from_bytes: int) -> Plan:
        return plan_known(size_bytes, TINY, part_bytes=10, multipart_from_bytes=multipart_from_bytes)

    assert plan(29, 30) == ONE_REQUEST
    assert plan(30, 30) == Plan(10)
    assert plan(50, 99) == ONE_REQUEST
    assert plan(51, 99) == Plan(10)
    assert plan(0, 1) == ONE_REQUEST
    assert plan(1, 1) == Plan(10)


@pytest.mark.parametrize("size_bytes", [281, 1000, 1001])
def test_what_fits_no_plan_is_refused(size_bytes: int) -> None:
    with pytest.raises(TooLarge, match=str(size_bytes)):
        plan_known(size_bytes, TINY, part_bytes=10, multipart_from_bytes=30)
    assert plan_known(280, TINY, part_bytes=10, multipart_from_bytes=30) == Plan(40)


def test_an_object_just_at_the_stores_limit_is_taken() -> None:
    limits = Limits(max_put_bytes=50, min_part_bytes=1, max_part_bytes=1000, max_parts=10, max_object_bytes=1000)
    assert plan_known(1000, limits, part_bytes=10, multipart_from_bytes=30).multipart
    with pytest.raises(TooLarge, match="an object"):
        plan_known(1001, limits, part_bytes=10, multipart_from_bytes=30)


@given(part_bytes=st.none() | st.integers(1, 60), memory_bytes=st.integers(1, 400), equal_parts=st.booleans())
def test_a_streams_parts_are_within_the_stores_limits_and_its_memory(
    part_bytes: int | None, memory_bytes: int, equal_parts: bool
) -> None:
    limits = replace(TINY, equal_parts=equal_parts)
    try:
        plan = plan_stream(limits, part_bytes=part_bytes, memory_bytes=memory_bytes)
    except TooLarge:
        assert memory_bytes < 2 * limits.min_part_bytes
        return
    sizes = [plan.part_bytes(number) for number in range(1, limits.max_parts + 1)]
    assert all(limits.min_part_bytes <= size <= limits.max_part_bytes for size in sizes)
    assert all(2 * size <= memory_bytes for size in sizes)
    assert sizes == sorted(sizes)
    assert not equal_parts or len(set(sizes)) == 1
    assert plan.reach_bytes(limits) == min(sum(sizes), limits.max_object_bytes)


def test_a_streams_parts_double_behind_every_tenth_of_the_parts() -> None:
    plan = plan_stream(OSS, part_bytes=None, memory_bytes=128 * MiB)
    assert [plan.part_bytes(number) for number in (1, 1000, 1001, 2000, 2001, 10_000)] == [
        4 * MiB, 4 * MiB, 8 * MiB, 8 * MiB, 16 * MiB, 32 * MiB
    ]  # fmt: skip
    assert plan.reach_bytes(OSS) == 252_000 * MiB


@pytest.mark.parametrize(("memory_mib", "part_mib"), [(4, 2), (16, 2), (32, 2), (48, 3), (64, 4), (1024, 4)])
def test_a_streams_first_parts_are_so_small_that_memory_holds_sixteen(memory_mib: int, part_mib: int) -> None:
    assert plan_stream(OSS, part_bytes=None, memory_bytes=memory_mib * MiB).part_bytes(1) == part_mib * MiB


def test_a_stream_whose_parts_must_be_equal_has_larger_ones() -> None:
    plan = plan_stream(replace(OSS, equal_parts=True), part_bytes=None, memory_bytes=128 * MiB)
    assert {plan.part_bytes(number) for number in (1, 10_000)} == {8 * MiB}


def test_a_stream_begins_with_a_half_of_little_memory_and_needs_two_of_the_smallest_parts() -> None:
    for min_part_bytes in (0, 1, 5):
        limits = replace(TINY, min_part_bytes=min_part_bytes)
        least_bytes = 2 * max(1, min_part_bytes)
        assert plan_stream(limits, part_bytes=None, memory_bytes=least_bytes).part_bytes(1) == least_bytes // 2
        with pytest.raises(TooLarge, match=f"memory_bytes is {least_bytes - 1}"):
            plan_stream(limits, part_bytes=None, memory_bytes=least_bytes - 1)


def test_a_stream_of_few_parts_doubles_each_of_them() -> None:
    limits = replace(OSS, max_parts=5)
    plan = plan_stream(limits, part_bytes=None, memory_bytes=512 * MiB)
    assert [plan.part_bytes(number) for number in range(1, 6)] == [each * MiB for each in (4, 8, 16, 32, 64)]
    assert plan.reach_bytes(limits) == 124 * MiB


def test_a_stream_reaches_as_far_as_its_parts_however_many_there_are() -> None:
    for max_parts in (1, 19, 25, 199):
        limits = replace(OSS, max_parts=max_parts)
        plan = plan_stream(limits, part_bytes=None, memory_bytes=512 * MiB)
        sizes = [plan.part_bytes(number) for number in range(1, max_parts + 1)]
        assert plan.reach_bytes(limits) == sum(sizes)


@pytest.mark.parametrize(
    ("size_bytes", "part_bytes"),
    [
        (0, 2 * MiB),
        (17 * MiB, 2 * MiB),
        (32 * MiB, 2 * MiB),
        (48 * MiB, 3 * MiB),
        (64 * MiB, 4 * MiB),
        (64 * MiB + 1, 4 * MiB + PART_STEP_BYTES),
        (96 * MiB, 6 * MiB),
        (128 * MiB, 8 * MiB),
        (128 * MiB + 1, 4 * MiB + PART_STEP_BYTES),
        (136 * MiB, 4 * MiB + PART_STEP_BYTES),
        (256 * MiB, 8 * MiB),
        (TiB, 8 * MiB),
    ],
)
def test_an_object_is_cut_into_rounds_of_sixteen_parts_of_two_to_eight_mib(size_bytes: int, part_bytes: int) -> None:
    assert usual_part_bytes(size_bytes) == part_bytes
    assert plan_known(size_bytes, FIT, part_bytes=None, multipart_from_bytes=0) == Plan(part_bytes)


@given(size_bytes=st.integers(64 * MiB, 2 * GiB))
def test_no_part_is_left_over_behind_the_last_round(size_bytes: int) -> None:
    part_bytes = usual_part_bytes(size_bytes)
    assert part_bytes % PART_STEP_BYTES == 0
    parts = -(-size_bytes // part_bytes)
    rounds = -(-parts // 16)
    assert 16 * rounds * (part_bytes - PART_STEP_BYTES) < size_bytes <= 16 * rounds * part_bytes


@given(size_bytes=st.integers(1, 10 * TiB))
def test_the_parts_of_a_copy_are_all_on_their_way_at_once_unless_they_would_be_very_small_or_large(
    size_bytes: int,
) -> None:
    part_bytes = copied_part_bytes(size_bytes)
    assert 16 * MiB <= part_bytes <= 128 * MiB
    assert part_bytes % MiB == 0
    if part_bytes > 16 * MiB:
        assert (part_bytes - MiB) * COPIED_AT_ONCE < size_bytes
    if part_bytes < 128 * MiB:
        assert part_bytes * COPIED_AT_ONCE >= size_bytes
