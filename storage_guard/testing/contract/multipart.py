"""Many parts make one object, which appears at `finish_new` and at no other moment."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from storage_guard.driver import WINDOW_BYTES, Driver, Exists, Gone, Part, PartSlot, Refused, WriteMeta
from storage_guard.testing.bodies import BytesBody, FailingBody
from storage_guard.testing.contract.base import (
    TRIED_BYTES,
    Laws,
    Unchanged,
    begun,
    check_bytes,
    check_free,
    check_written,
    content,
    fresh,
    keys_of,
    part_bytes,
    pieces_of,
    put,
    send,
    slots_of,
    whole,
)
from storage_guard.testing.contract.puts import OPTIONS

KEY = "multipart/key"


def _unpublished(driver: Driver, rival: Driver, upload_id: str) -> None:
    """Nothing is at the key, and the upload is still there to be aborted."""
    assert rival.head(KEY) is None
    driver.abort(KEY, upload_id)
    check_free(rival, KEY)


def _refuses(driver: Driver, upload_id: str, parts: Sequence[Part], meta: WriteMeta) -> bool:
    try:
        driver.finish_new(KEY, upload_id, parts, meta)
    except Refused:
        return True
    return False


class FinishLaws(Laws):
    def test_parts_make_the_whole(self, driver: Driver, rival: Driver) -> None:
        smallest = part_bytes(driver.limits)
        for size_bytes in (smallest, smallest + 1):
            for last_bytes in {1, max(1, smallest - 1), size_bytes}:
                key = f"multipart/{size_bytes}-{last_bytes}"
                pieces = [content(size_bytes, 1), content(size_bytes, 2), content(last_bytes, 3)]
                meta = fresh()
                upload_id, parts = begun(driver, key, pieces, meta)
                info = driver.finish_new(key, upload_id, parts, meta)
                check_written(rival, key, b"".join(pieces), meta, info)

    @pytest.mark.parametrize("size_bytes", [1, WINDOW_BYTES - 1, WINDOW_BYTES, WINDOW_BYTES + 1])
    def test_one_part_makes_the_whole(self, driver: Driver, size_bytes: int) -> None:
        data, meta = content(size_bytes), fresh()
        upload_id, parts = begun(driver, KEY, [data], meta)
        check_written(driver, KEY, data, meta, driver.finish_new(KEY, upload_id, parts, meta))

    def test_parts_may_be_sent_in_any_order(self, driver: Driver) -> None:
        pieces, meta = pieces_of(driver.limits, 4), fresh()
        upload_id = driver.begin(KEY, meta)
        parts: dict[int, Part] = {}
        for slot in sorted(slots_of(pieces), key=lambda slot: -slot.number):
            parts[slot.number] = driver.put_part(KEY, upload_id, slot, BytesBody(pieces[slot.number - 1]))
            assert parts[slot.number].slot == slot
        driver.finish_new(KEY, upload_id, [parts[number] for number in sorted(parts)], meta)
        check_written(driver, KEY, b"".join(pieces), meta)

    def test_a_part_sent_again_replaces_it(self, driver: Driver) -> None:
        pieces, meta = pieces_of(driver.limits), fresh()
        upload_id, parts = begun(driver, KEY, [content(len(pieces[0]), 9), *pieces[1:]], meta)
        parts[0] = driver.put_part(KEY, upload_id, parts[0].slot, BytesBody(pieces[0]))
        parts[2] = driver.put_part(KEY, upload_id, parts[2].slot, BytesBody(pieces[2]))
        driver.finish_new(KEY, upload_id, parts, meta)
        check_written(driver, KEY, b"".join(pieces), meta)

    def test_only_the_parts_that_finish_names_are_published(self, driver: Driver) -> None:
        pieces, meta = pieces_of(driver.limits, 4), fresh()
        upload_id, parts = begun(driver, KEY, pieces, meta)
        driver.finish_new(KEY, upload_id, parts[:2], meta)
        check_written(driver, KEY, b"".join(pieces[:2]), meta)

    def test_an_open_upload_is_invisible(self, driver: Driver, rival: Driver) -> None:
        pieces, meta = pieces_of(driver.limits), fresh()
        upload_id, parts = begun(driver, KEY, pieces, meta)
        for client in (driver, rival):
            assert client.head(KEY) is None
            assert keys_of(client) == []
            assert keys_of(client, "multipart/", "/") == []
        driver.finish_new(KEY, upload_id, parts, meta)
        check_written(rival, KEY, b"".join(pieces), meta)

    @pytest.mark.parametrize("theirs", [b"", b"the rival was first"], ids=["empty", "bytes"])
    def test_finish_does_not_replace_a_rival(self, driver: Driver, rival: Driver, theirs: bytes) -> None:
        pieces, meta = pieces_of(driver.limits), fresh()
        upload_id, parts = begun(driver, KEY, pieces, meta)
        put(rival, KEY, theirs)
        before = Unchanged(rival, KEY)
        for _ in range(2):
            with pytest.raises(Exists):
                driver.finish_new(KEY, upload_id, parts, meta)
            before.check()
        driver.abort(KEY, upload_id)
        before.check()

    def test_an_upload_that_was_refused_stays_open(self, driver: Driver, rival: Driver) -> None:
        pieces, meta = pieces_of(driver.limits), fresh()
        upload_id, parts = begun(driver, KEY, pieces, meta)
        put(rival, KEY)
        with pytest.raises(Exists):
            driver.finish_new(KEY, upload_id, parts, meta)
        assert len(list(driver.scan_parts(KEY, upload_id))) == len(parts)
        rival.remove(KEY, None)
        driver.finish_new(KEY, upload_id, parts, meta)
        check_written(rival, KEY, b"".join(pieces), meta)

    def test_of_two_finishes_the_second_changes_nothing(self, driver: Driver, rival: Driver) -> None:
        pieces, meta = pieces_of(driver.limits), fresh()
        mine, my_parts = begun(driver, KEY, pieces, meta)
        theirs, their_parts = begun(rival, KEY, pieces_of(driver.limits, 2, seed=5), other := fresh())
        assert mine != theirs
        driver.finish_new(KEY, mine, my_parts, meta)
        before = Unchanged(driver, KEY)
        with pytest.raises(Exists):
            rival.finish_new(KEY, theirs, their_parts, other)
        before.check()
        rival.abort(KEY, theirs)
        check_written(driver, KEY, b"".join(pieces), meta)

    def test_a_put_does_not_replace_a_finished_upload(self, driver: Driver, rival: Driver) -> None:
        meta = fresh()
        upload_id, parts = begun(driver, KEY, pieces_of(driver.limits), meta)
        driver.finish_new(KEY, upload_id, parts, meta)
        before = Unchanged(driver, KEY)
        for data in (b"", b"later"):
            with pytest.raises(Exists):
                put(rival, KEY, data)
            before.check()

    def test_a_taken_key_is_refused_at_begin_or_at_finish(self, driver: Driver, rival: Driver) -> None:
        put(rival, KEY)
        before = Unchanged(rival, KEY)
        meta = fresh()
        try:
            upload_id, parts = begun(driver, KEY, pieces_of(driver.limits), meta)
        except Exists:
            assert list(driver.scan_uploads("")) == []
        else:
            with pytest.raises(Exists):
                driver.finish_new(KEY, upload_id, parts, meta)
            driver.abort(KEY, upload_id)
        before.check()

    def test_a_finish_sent_again_changes_nothing(self, driver: Driver) -> None:
        meta = fresh()
        upload_id, parts = begun(driver, KEY, pieces_of(driver.limits), meta)
        driver.finish_new(KEY, upload_id, parts, meta)
        before = Unchanged(driver, KEY)
        with contextlib.suppress(Gone, Exists):  # some services answer a replay as they did at first
            driver.finish_new(KEY, upload_id, parts, meta)
        before.check()

    @pytest.mark.parametrize("name", OPTIONS)
    def test_an_upload_carries_its_options(self, driver: Driver, name: str) -> None:
        meta = fresh(OPTIONS[name])
        try:
            put(driver, "multipart/asked", b"", meta)
        except Exception as refused:  # noqa: BLE001 - what a put refuses, an upload refuses alike
            with pytest.raises(type(refused)):
                driver.begin(KEY, meta)
            return
        upload_id, parts = begun(driver, KEY, pieces_of(driver.limits), meta)
        driver.finish_new(KEY, upload_id, parts, meta)
        found = driver.head(KEY)
        assert found is not None
        assert getattr(found.options, name) == getattr(meta.options, name), f"{name} was dropped or changed"


class AbortLaws(Laws):
    def test_nothing_of_an_aborted_upload_can_land(self, driver: Driver, rival: Driver) -> None:
        pieces, meta = pieces_of(driver.limits), fresh()
        upload_id, parts = begun(driver, KEY, pieces, meta)
        driver.abort(KEY, upload_id)
        with pytest.raises(Gone):
            list(driver.scan_parts(KEY, upload_id))
        with pytest.raises(Gone):
            driver.finish_new(KEY, upload_id, parts, meta)
        with pytest.raises(Gone):
            driver.put_part(KEY, upload_id, parts[0].slot, BytesBody(pieces[0]))
        with contextlib.suppress(Gone):  # some services answer the second abort like the first
            driver.abort(KEY, upload_id)
        check_free(rival, KEY)

    def test_an_abort_leaves_other_uploads_alone(self, driver: Driver) -> None:
        pieces, meta = pieces_of(driver.limits), fresh()
        dropped, _ = begun(driver, KEY, pieces_of(driver.limits, 2, seed=7), fresh())
        kept, parts = begun(driver, KEY, pieces, meta)
        driver.abort(KEY, dropped)
        driver.finish_new(KEY, kept, parts, meta)
        check_written(driver, KEY, b"".join(pieces), meta)

    def test_a_finished_upload_is_gone(self, driver: Driver) -> None:
        meta = fresh()
        upload_id, parts = begun(driver, KEY, pieces_of(driver.limits), meta)
        driver.finish_new(KEY, upload_id, parts, meta)
        before = Unchanged(driver, KEY)
        with pytest.raises(Gone):
            list(driver.scan_parts(KEY, upload_id))
        with contextlib.suppress(Gone):
            driver.abort(KEY, upload_id)
        assert list(driver.scan_uploads("")) == []
        before.check()


class PartLaws(Laws):
    @pytest.mark.parametrize("good_bytes", [0, WINDOW_BYTES + 7], ids=["start", "middle"])
    def test_a_part_whose_body_raises_can_be_sent_again(self, driver: Driver, rival: Driver, good_bytes: int) -> None:
        data, meta = content(2 * WINDOW_BYTES), fresh()
        slot = PartSlot(1, 0, len(data))
        upload_id = driver.begin(KEY, meta)
        error = ValueError("the source broke")
        with pytest.raises(ValueError, match="broke") as raised:
            driver.put_part(KEY, upload_id, slot, FailingBody(data, good_bytes, error))
        assert raised.value is error, "what a body raises passes through as the same object"
        assert list(driver.scan_parts(KEY, upload_id)) == []
        assert rival.head(KEY) is None
        part = driver.put_part(KEY, upload_id, slot, BytesBody(data))
        driver.finish_new(KEY, upload_id, [part], meta)
        check_written(rival, KEY, data, meta)

    def test_a_part_list_that_is_wrong_publishes_nothing(self, driver: Driver, rival: Driver) -> None:
        pieces, meta = pieces_of(driver.limits, 4), fresh()
        upload_id, parts = begun(driver, KEY, pieces, meta)
        first, second, _, last = parts
        wrong = {
            "is empty": [],
            "is out of order": [second, first, *parts[2:]],
            "names a part twice": [first, first, *parts[1:]],
            "names a part that was never sent": [
                *parts,
                replace(last, slot=PartSlot(5, last.slot.offset_bytes + 1, 1)),
            ],
            "has another part's etag": [replace(first, etag=second.etag), *parts[1:]],
            "has a hole": [first, *parts[2:]],
            "lacks its beginning": parts[1:],
        }
        for how, listed in wrong.items():
            assert _refuses(driver, upload_id, listed, meta), f"a part list that {how} was taken"
            assert rival.head(KEY) is None, f"a part list that {how} was published"
        driver.finish_new(KEY, upload_id, parts, meta)
        check_written(rival, KEY, b"".join(pieces), meta)

    def test_a_part_that_was_replaced_cannot_be_published(self, driver: Driver, rival: Driver) -> None:
        pieces, meta = pieces_of(driver.limits), fresh()
        upload_id, parts = begun(driver, KEY, pieces, meta)
        driver.put_part(KEY, upload_id, parts[0].slot, BytesBody(content(len(pieces[0]), 9)))
        with pytest.raises(Refused):
            driver.finish_new(KEY, upload_id, parts, meta)
        _unpublished(driver, rival, upload_id)

    def test_a_small_part_that_is_not_the_last_is_refused(self, driver: Driver, rival: Driver) -> None:
        if driver.limits.min_part_bytes <= 1:
            pytest.skip("no part is too small here")
        small, meta = content(driver.limits.min_part_bytes - 1), fresh()
        upload_id = driver.begin(KEY, meta)
        with pytest.raises(Refused):
            driver.finish_new(KEY, upload_id, send(driver, KEY, upload_id, [small, b"last"]), meta)
        _unpublished(driver, rival, upload_id)

    def test_a_part_over_the_limit_is_refused(self, driver: Driver, rival: Driver) -> None:
        largest = driver.limits.max_part_bytes
        if largest > TRIED_BYTES:
            pytest.skip("the limit is too far away to try")
        meta = fresh()
        upload_id = driver.begin(KEY, meta)
        with pytest.raises(Refused):
            driver.finish_new(KEY, upload_id, send(driver, KEY, upload_id, [content(largest + 1)]), meta)
        _unpublished(driver, rival, upload_id)
        fits = content(largest)
        upload_id, parts = begun(driver, "multipart/fits", [fits], meta)
        driver.finish_new("multipart/fits", upload_id, parts, meta)
        check_written(driver, "multipart/fits", fits, meta)

    def test_as_many_parts_as_the_limit_allows_and_no_more(self, driver: Driver, rival: Driver) -> None:
        most = driver.limits.max_parts
        meta = fresh()
        upload_id = driver.begin(KEY, meta)
        try:
            part = driver.put_part(KEY, upload_id, PartSlot(most + 1, 0, 1), BytesBody(b"x"))
        except Refused:
            pass
        else:
            assert _refuses(driver, upload_id, [part], meta), f"a part with the number {most + 1} was taken"
        _unpublished(driver, rival, upload_id)
        if most <= 1000 and most * part_bytes(driver.limits) <= TRIED_BYTES:
            pieces = pieces_of(driver.limits, most)
            upload_id, parts = begun(driver, "multipart/most", pieces, meta)
            driver.finish_new("multipart/most", upload_id, parts, meta)
            check_bytes(whole(driver, "multipart/most"), b"".join(pieces), "the bytes of the most parts")

    def test_unequal_parts_are_refused_where_they_must_be_equal(self, driver: Driver, rival: Driver) -> None:
        if not driver.limits.equal_parts:
            pytest.skip("parts may differ here")
        size_bytes = part_bytes(driver.limits)
        for sizes in ((size_bytes + 1, size_bytes, 1), (size_bytes, size_bytes + 1)):
            meta = fresh()
            upload_id = driver.begin(KEY, meta)
            pieces = [content(each) for each in sizes]
            with pytest.raises(Refused):
                driver.finish_new(KEY, upload_id, send(driver, KEY, upload_id, pieces), meta)
            driver.abort(KEY, upload_id)
        check_free(rival, KEY)

    def test_scan_parts_lists_what_finish_takes(self, driver: Driver) -> None:
        pieces, meta = pieces_of(driver.limits, 4), fresh()
        upload_id = driver.begin(KEY, meta)
        assert list(driver.scan_parts(KEY, upload_id)) == []
        parts = send(driver, KEY, upload_id, pieces)
        listed = list(driver.scan_parts(KEY, upload_id))
        assert [(part.slot, part.etag) for part in listed] == [(part.slot, part.etag) for part in parts]
        driver.finish_new(KEY, upload_id, listed, meta)
        check_written(driver, KEY, b"".join(pieces), meta)

    def test_scan_uploads_lists_what_is_open(self, driver: Driver) -> None:
        meta = fresh()
        opened = {driver.begin(key, meta): key for key in ("up/b", "up/a", "up/a", "upper", "other")}
        listed = list(driver.scan_uploads("up/"))
        assert sorted(upload.key for upload in listed) == ["up/a", "up/a", "up/b"]
        assert {upload.upload_id: upload.key for upload in driver.scan_uploads("")} == opened
        for upload in listed:
            assert upload.started.utcoffset() == timedelta(0), "times are aware, in UTC"
        for upload_id, key in opened.items():
            driver.abort(key, upload_id)
        assert list(driver.scan_uploads("")) == []
