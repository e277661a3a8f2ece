"""What is there is seen at once, by everybody, and as it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from storage_guard.driver import WINDOW_BYTES, Absent, Changed, Driver, Gone, Unsupported
from storage_guard.testing.contract.base import (
    Laws,
    MakeDriver,
    begun,
    check_bytes,
    check_free,
    check_written,
    content,
    fresh,
    keys_of,
    pieces_of,
    put,
    whole,
)

KEY = "read/key"


class ReadLaws(Laws):
    def test_nothing_is_at_a_free_key(self, driver: Driver) -> None:
        assert driver.head(KEY) is None
        with pytest.raises(Absent):
            driver.read(KEY, 0, 1, None)
        with pytest.raises(Absent):
            driver.read(KEY, 0, 1, "some-etag")

    def test_a_range_ends_where_it_is_asked_to_or_the_object_does(self, driver: Driver) -> None:
        data = content(2 * WINDOW_BYTES + 3)
        put(driver, KEY, data)
        size_bytes = len(data)
        for start, stop in (
            (0, size_bytes),
            (0, 1),
            (1, 1),
            (0, 0),
            (WINDOW_BYTES - 1, WINDOW_BYTES + 1),
            (size_bytes - 1, size_bytes),
            (size_bytes - 1, size_bytes + 1),
            (5, 10 * size_bytes),
            (size_bytes, size_bytes + 1),
            (size_bytes + 7, size_bytes + 9),
        ):
            check_bytes(driver.read(KEY, start, stop, None), data[start:stop], f"bytes {start} to {stop}")

    def test_an_empty_object_reads_as_no_bytes(self, driver: Driver) -> None:
        etag = put(driver, KEY, b"").etag
        for start, stop in ((0, 0), (0, 1), (3, 5)):
            assert driver.read(KEY, start, stop, None) == b""
            assert driver.read(KEY, start, stop, etag) == b""

    def test_a_read_is_pinned_by_its_etag(self, driver: Driver, rival: Driver) -> None:
        stale = put(driver, KEY, b"first life").etag
        assert driver.read(KEY, 0, 5, stale) == b"first"
        rival.remove(KEY, None)
        now = put(rival, KEY, b"second life, other bytes").etag
        assert driver.read(KEY, 0, 6, now) == b"second"
        with pytest.raises(Changed):
            driver.read(KEY, 0, 6, stale)

    def test_head_is_never_stale(self, driver: Driver, rival: Driver) -> None:
        for number in range(20):
            assert driver.head(KEY) is None
            data, meta = content(number), fresh()
            put(rival, KEY, data, meta)
            check_written(driver, KEY, data, meta)
            rival.remove(KEY, None)

    def test_times_are_aware_and_about_now(self, driver: Driver) -> None:
        put(driver, KEY)
        found = driver.head(KEY)
        assert found is not None
        assert found.modified.utcoffset() == timedelta(0), "times are aware, in UTC"
        assert abs(found.modified - datetime.now(UTC)) < timedelta(hours=1)


class StoreLaws(Laws):
    def test_limits_make_sense_and_do_not_change(self, driver: Driver, rival: Driver) -> None:
        limits = driver.limits
        assert 0 <= limits.min_part_bytes <= limits.max_part_bytes <= limits.max_object_bytes
        assert 1 <= limits.max_put_bytes <= limits.max_object_bytes
        assert limits.max_parts >= 1
        assert limits.max_key_bytes >= 1
        assert driver.limits == limits == rival.limits

    def test_clients_of_one_store_agree_where_it_is(self, driver: Driver, rival: Driver) -> None:
        assert driver.location == rival.location
        assert driver.location.same_service(rival.location)
        url = driver.location.url(KEY)
        assert url.startswith(f"{driver.location.scheme}://")
        assert url.endswith(KEY)
        assert driver.location.url("read/other") != url

    def test_capabilities_write_nothing(self, driver: Driver) -> None:
        assert driver.capabilities() == driver.capabilities()
        assert keys_of(driver) == []
        assert list(driver.scan_uploads("")) == []

    def test_a_presigned_url_is_a_url_or_refused(self, driver: Driver) -> None:
        put(driver, KEY)
        try:
            url = driver.presign(KEY, 60.0)
        except Unsupported:
            return
        assert "://" in url

    def test_closing_twice_is_closing_once(self, make_driver: MakeDriver) -> None:
        driver = make_driver()
        put(driver, KEY)
        driver.close()
        driver.close()

    def test_a_client_that_was_closed_can_be_used_again(self, make_driver: MakeDriver) -> None:
        driver = make_driver()
        put(driver, KEY)
        driver.close()
        assert whole(driver, KEY)
        pieces, meta = pieces_of(driver.limits), fresh()
        upload_id, parts = begun(driver, "read/again", pieces, meta)
        driver.finish_new("read/again", upload_id, parts, meta)
        check_written(driver, "read/again", b"".join(pieces), meta)
        driver.close()

    def test_closing_one_client_leaves_the_others_alone(self, make_driver: MakeDriver) -> None:
        leaving, staying = make_driver(), make_driver()
        put(leaving, "read/left", b"left behind")
        pieces, meta = pieces_of(staying.limits), fresh()
        upload_id, parts = begun(staying, KEY, pieces, meta)
        leaving.close()
        assert whole(staying, "read/left") == b"left behind"
        staying.finish_new(KEY, upload_id, parts, meta)
        check_written(staying, KEY, b"".join(pieces), meta)
        staying.close()


class RemovalLaws(Laws):
    def test_what_is_removed_is_not_there(self, driver: Driver, rival: Driver) -> None:
        put(driver, KEY)
        put(driver, "read/neighbour")
        assert all(client.head(KEY) is not None for client in (driver, rival))
        driver.remove(KEY, None)
        for client in (driver, rival):
            assert client.head(KEY) is None
            with pytest.raises(Absent):
                client.read(KEY, 0, 1, None)
            assert keys_of(client) == ["read/neighbour"]

    def test_nothing_cannot_be_removed(self, driver: Driver) -> None:
        for etag in (None, "some-etag"):
            with pytest.raises(Absent):
                driver.remove(KEY, etag)

    def test_a_removal_is_pinned_by_its_etag(self, driver: Driver, rival: Driver) -> None:
        stale = put(driver, KEY, b"first life").etag
        rival.remove(KEY, stale)
        meta = fresh()
        put(rival, KEY, b"second life, other bytes", meta)
        with pytest.raises(Changed):
            driver.remove(KEY, stale)
        check_written(driver, KEY, b"second life, other bytes", meta)

    def test_a_removed_key_is_free_for_a_new_life(self, driver: Driver, rival: Driver) -> None:
        etags: set[str] = set()
        for number in range(5):
            data, meta = content(number), fresh()
            info = put(driver, KEY, data, meta)
            check_written(rival, KEY, data, meta, info)
            etags.add(info.etag)
            driver.remove(KEY, info.etag)
        assert len(etags) == 5, "other bytes have another etag"
        check_free(rival, KEY)

    def test_a_removal_does_not_touch_open_uploads(self, driver: Driver) -> None:
        pieces, meta = pieces_of(driver.limits), fresh()
        upload_id, parts = begun(driver, KEY, pieces, meta)
        with pytest.raises(Absent):
            driver.remove(KEY, None)
        put(driver, KEY)
        driver.remove(KEY, None)
        driver.finish_new(KEY, upload_id, parts, meta)
        check_written(driver, KEY, b"".join(pieces), meta)
        with pytest.raises(Gone):
            list(driver.scan_parts(KEY, upload_id))
