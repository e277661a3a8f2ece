"""A copy is a create like any other: guarded, whole, and with a name of its own."""

from __future__ import annotations

import pytest

from storage_guard.driver import (
    WINDOW_BYTES,
    Absent,
    Changed,
    Driver,
    Exists,
    Gone,
    Location,
    ObjectOptions,
    ObjectRef,
    PartSlot,
    Unguarded,
    Unsupported,
)
from storage_guard.testing.bodies import BytesBody
from storage_guard.testing.contract.base import (
    Laws,
    Unchanged,
    check_free,
    check_written,
    content,
    fresh,
    part_bytes,
    pieces_of,
    put,
)

SOURCE = "copy/source"
KEY = "copy/target"


def _ref(driver: Driver, key: str = SOURCE, etag: str | None = None) -> ObjectRef:
    return ObjectRef(driver.location, key, etag=etag)


class CopyLaws(Laws):
    @pytest.mark.parametrize("size_bytes", [0, 1, 2 * WINDOW_BYTES + 1], ids=["empty", "one", "large"])
    def test_a_copy_has_the_bytes_and_a_write_id_of_its_own(
        self, driver: Driver, rival: Driver, size_bytes: int
    ) -> None:
        data, meta = content(size_bytes), fresh()
        put(rival, SOURCE, data)
        before = Unchanged(rival, SOURCE)
        info = driver.copy_new(_ref(driver), KEY, meta)
        check_written(rival, KEY, data, meta, info)
        before.check()

    def test_a_copy_has_the_options_it_was_given_and_none_of_the_source(self, driver: Driver) -> None:
        try:
            put(driver, SOURCE, b"x", fresh(ObjectOptions(content_type="text/plain", metadata={"from": "source"})))
        except Unsupported:
            pytest.skip("no options are kept here")
        driver.copy_new(_ref(driver), KEY, fresh(ObjectOptions(content_type="text/html", metadata={"to": "target"})))
        found = driver.head(KEY)
        assert found is not None
        assert found.options.content_type == "text/html"
        assert found.options.metadata == {"to": "target"}

    @pytest.mark.parametrize("theirs", [b"", b"was there"], ids=["empty", "bytes"])
    @pytest.mark.parametrize("ours", [b"", b"source"], ids=["copy-empty", "copy-bytes"])
    def test_a_copy_does_not_replace(self, driver: Driver, rival: Driver, ours: bytes, theirs: bytes) -> None:
        put(driver, SOURCE, ours)
        put(rival, KEY, theirs)
        before = Unchanged(rival, KEY)
        with pytest.raises(Exists):
            driver.copy_new(_ref(driver), KEY, fresh())
        before.check()

    def test_a_copy_onto_itself_changes_nothing(self, driver: Driver) -> None:
        put(driver, SOURCE)
        before = Unchanged(driver, SOURCE)
        with pytest.raises(Exists):
            driver.copy_new(_ref(driver), SOURCE, fresh())
        before.check()

    def test_a_copy_pins_the_etag_of_its_source(self, driver: Driver) -> None:
        stale = put(driver, SOURCE, b"first life").etag
        driver.remove(SOURCE, None)
        now = put(driver, SOURCE, b"second life, other bytes").etag
        with pytest.raises(Changed):
            driver.copy_new(_ref(driver, etag=stale), KEY, fresh())
        assert driver.head(KEY) is None
        meta = fresh()
        driver.copy_new(_ref(driver, etag=now), KEY, meta)
        check_written(driver, KEY, b"second life, other bytes", meta)

    def test_a_copy_of_nothing_writes_nothing(self, driver: Driver) -> None:
        with pytest.raises(Absent):
            driver.copy_new(_ref(driver), KEY, fresh())
        check_free(driver, KEY)

    def test_a_copy_from_elsewhere_is_refused_whole(self, driver: Driver) -> None:
        source = ObjectRef(Location("nowhere", "nowhere.invalid", "container"), SOURCE)
        with pytest.raises(Unsupported):
            driver.copy_new(source, KEY, fresh())
        check_free(driver, KEY)

    def test_an_unguarded_operation_is_refused_not_done(self, driver: Driver) -> None:
        vouch = driver.capabilities()
        if "missing" not in (vouch.put, vouch.copy):
            pytest.skip("every operation may be guarded here")
        if vouch.put == "missing":
            with pytest.raises((Unguarded, Unsupported)):
                put(driver, KEY)
        else:
            put(driver, SOURCE)
            with pytest.raises((Unguarded, Unsupported)):
                driver.copy_new(_ref(driver), KEY, fresh())
        assert driver.head(KEY) is None


class CopyPartLaws(Laws):
    def test_parts_of_a_source_make_the_whole(self, driver: Driver, rival: Driver) -> None:
        size_bytes = part_bytes(driver.limits)
        data, meta = content(2 * size_bytes + 5), fresh()
        etag = _large_source(driver, data)
        upload_id = driver.begin(KEY, meta)
        # The halves swap places, so that `start` and the offset differ; the last part is sent, not copied.
        parts = [
            driver.copy_part(KEY, upload_id, PartSlot(1, 0, size_bytes), _ref(driver, etag=etag), size_bytes + 5),
            driver.copy_part(KEY, upload_id, PartSlot(2, size_bytes, size_bytes), _ref(driver), 0),
            driver.put_part(KEY, upload_id, PartSlot(3, 2 * size_bytes, 1), BytesBody(b"!")),
        ]
        assert rival.head(KEY) is None
        driver.finish_new(KEY, upload_id, parts, meta)
        check_written(rival, KEY, data[size_bytes + 5 :] + data[:size_bytes] + b"!", meta)

    def test_a_part_is_not_copied_from_what_is_absent_or_changed(self, driver: Driver) -> None:
        slot = PartSlot(1, 0, 1)
        upload_id = driver.begin(KEY, fresh())
        with pytest.raises(Absent):
            driver.copy_part(KEY, upload_id, slot, _ref(driver), 0)
        stale = put(driver, SOURCE, b"first life").etag
        driver.remove(SOURCE, None)
        put(driver, SOURCE, b"second life, other bytes")
        with pytest.raises(Changed):
            driver.copy_part(KEY, upload_id, slot, _ref(driver, etag=stale), 0)
        assert list(driver.scan_parts(KEY, upload_id)) == []
        driver.abort(KEY, upload_id)

    def test_a_part_is_not_copied_into_an_upload_that_is_gone(self, driver: Driver) -> None:
        put(driver, SOURCE)
        upload_id = driver.begin(KEY, fresh())
        driver.abort(KEY, upload_id)
        with pytest.raises(Gone):
            driver.copy_part(KEY, upload_id, PartSlot(1, 0, 1), _ref(driver), 0)
        check_free(driver, KEY)


def _large_source(driver: Driver, data: bytes) -> str:
    """A source that may be too large for a single put."""
    if len(data) <= driver.limits.max_put_bytes:
        return put(driver, SOURCE, data).etag
    size_bytes = len(pieces_of(driver.limits)[0])
    meta = fresh()
    upload_id = driver.begin(SOURCE, meta)
    slots = [
        PartSlot(number, at, min(size_bytes, len(data) - at))
        for number, at in enumerate(range(0, len(data), size_bytes), 1)
    ]
    parts = [
        driver.put_part(
            SOURCE, upload_id, slot, BytesBody(data[slot.offset_bytes : slot.offset_bytes + slot.size_bytes])
        )
        for slot in slots
    ]
    return driver.finish_new(SOURCE, upload_id, parts, meta).etag
