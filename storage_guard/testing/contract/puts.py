"""A put writes all of the bytes, once, or nothing."""

from __future__ import annotations

import pytest

from storage_guard.driver import WINDOW_BYTES, Driver, Exists, ObjectOptions, Refused, Unsupported
from storage_guard.testing.bodies import BytesBody, FailingBody, MeddlingBody
from storage_guard.testing.contract.base import (
    TRIED_BYTES,
    Laws,
    Unchanged,
    check_free,
    check_written,
    content,
    elsewhere,
    fresh,
    keys_of,
    put,
)

KEY = "put/key"
SIZES = {"empty": 0, "one": 1, "below": WINDOW_BYTES - 1, "window": WINDOW_BYTES, "above": WINDOW_BYTES + 1}
LARGE = 2 * WINDOW_BYTES + WINDOW_BYTES // 2

OPTIONS = {
    "content_type": ObjectOptions(content_type="text/plain"),
    "cache_control": ObjectOptions(cache_control="max-age=60"),
    "content_disposition": ObjectOptions(content_disposition='attachment; filename="a.txt"'),
    "content_encoding": ObjectOptions(content_encoding="gzip"),
    "content_language": ObjectOptions(content_language="de"),
    "metadata": ObjectOptions(metadata={"colour": "blue green", "n-1": "~!", "empty": ""}),
}


class BodyStop(BaseException):
    """Like Ctrl-C: not an `Exception`."""


class PutLaws(Laws):
    @pytest.mark.parametrize("size_bytes", SIZES.values(), ids=SIZES)
    def test_a_put_stores_exactly_the_bytes(self, driver: Driver, rival: Driver, size_bytes: int) -> None:
        data, meta = content(size_bytes), fresh()
        info = driver.put_new(KEY, BytesBody(data), meta)
        check_written(driver, KEY, data, meta, info)
        check_written(rival, KEY, data, meta, info)

    def test_a_put_stores_exactly_the_bytes_at_the_thresholds(self, driver: Driver) -> None:
        limits = driver.limits
        around = {at + step for at in (limits.min_part_bytes, limits.max_put_bytes) for step in (-1, 0, 1)}
        for size_bytes in sorted(around):
            if 0 <= size_bytes <= min(limits.max_put_bytes, TRIED_BYTES):
                data, meta = content(size_bytes), fresh()
                key = f"put/{size_bytes}"
                check_written(driver, key, data, meta, driver.put_new(key, BytesBody(data), meta))

    def test_a_put_over_the_limit_is_refused_whole(self, driver: Driver) -> None:
        if driver.limits.max_put_bytes > TRIED_BYTES:
            pytest.skip("the limit is too far away to try")
        with pytest.raises(Refused) as refused:
            put(driver, KEY, content(driver.limits.max_put_bytes + 1))
        assert refused.value.why == "request"
        check_free(driver, KEY)

    @pytest.mark.parametrize("second", [0, 1, LARGE], ids=["empty", "one", "large"])
    @pytest.mark.parametrize("first", [0, 1, LARGE], ids=["over-empty", "over-one", "over-large"])
    def test_a_second_put_changes_nothing(self, driver: Driver, rival: Driver, first: int, second: int) -> None:
        put(driver, KEY, content(first, 1))
        before = Unchanged(driver, KEY)
        for client in (rival, driver):
            with pytest.raises(Exists):
                put(client, KEY, content(second, 2))
            before.check()
        assert keys_of(rival) == [KEY]

    def test_a_second_put_changes_no_option(self, driver: Driver, rival: Driver) -> None:
        put(driver, KEY)
        before = Unchanged(driver, KEY)
        for options in OPTIONS.values():
            with pytest.raises((Exists, Unsupported)):
                put(rival, KEY, b"", fresh(options))
            before.check()

    @pytest.mark.parametrize("name", OPTIONS)
    def test_an_option_is_kept_or_refused(self, driver: Driver, rival: Driver, name: str) -> None:
        meta = fresh(OPTIONS[name])
        try:
            info = put(driver, KEY, b"text", meta)
        except Unsupported:
            check_free(driver, KEY)
            return
        check_written(rival, KEY, b"text", meta, info)
        found = rival.head(KEY)
        assert found is not None
        assert getattr(found.options, name) == getattr(meta.options, name), f"{name} was dropped or changed"

    def test_an_attempt_reads_the_body_from_the_start(self, driver: Driver) -> None:
        body, meta = BytesBody(content(LARGE)), fresh()
        driver.put_new("put/first", body, meta)
        driver.put_new("put/second", body, meta)
        check_written(driver, "put/second", body.data, meta)


class WholeLaws(Laws):
    @pytest.mark.parametrize("at_bytes", [0, WINDOW_BYTES + 7, LARGE - 1], ids=["start", "middle", "last"])
    def test_readers_see_nothing_while_the_body_is_read(self, driver: Driver, rival: Driver, at_bytes: int) -> None:
        seen: list[object] = []

        def look() -> None:
            seen.append(elsewhere(lambda: (rival.head(KEY), keys_of(rival), keys_of(rival, "", "/"))))

        data, meta = content(LARGE), fresh()
        driver.put_new(KEY, MeddlingBody(data, at_bytes, look), meta)
        assert seen
        assert [each for each in seen if each != (None, [], [])] == []  # a body may be read more than once
        check_written(rival, KEY, data, meta)

    @pytest.mark.parametrize("at_bytes", [0, WINDOW_BYTES + 7, LARGE - 1], ids=["start", "middle", "last"])
    @pytest.mark.parametrize("theirs", [b"", b"the rival was first"], ids=["empty", "bytes"])
    def test_a_rival_that_comes_first_meanwhile_stays(
        self, driver: Driver, rival: Driver, at_bytes: int, theirs: bytes
    ) -> None:
        meta = fresh()

        def overtake() -> None:
            elsewhere(lambda: put(rival, KEY, theirs, meta))

        with pytest.raises(Exists):
            driver.put_new(KEY, MeddlingBody(content(LARGE), at_bytes, overtake), fresh())
        check_written(driver, KEY, theirs, meta)

    @pytest.mark.parametrize("good_bytes", [0, WINDOW_BYTES + 7, LARGE - 1], ids=["start", "middle", "last"])
    @pytest.mark.parametrize("kind", [ValueError, OSError, BodyStop])
    def test_a_body_that_raises_publishes_nothing(
        self, driver: Driver, rival: Driver, good_bytes: int, kind: type[BaseException]
    ) -> None:
        error = kind("the source broke")
        with pytest.raises(kind) as raised:
            driver.put_new(KEY, FailingBody(content(LARGE), good_bytes, error), fresh())
        assert raised.value is error, "what a body raises passes through as the same object"
        assert rival.head(KEY) is None
        assert keys_of(rival) == []
        assert list(driver.scan_uploads("")) == []
        check_free(rival, KEY)

    def test_a_body_that_raises_over_a_taken_key_changes_nothing(self, driver: Driver, rival: Driver) -> None:
        put(rival, KEY)
        before = Unchanged(rival, KEY)
        error = ValueError("the source broke")
        with pytest.raises((ValueError, Exists)) as raised:
            driver.put_new(KEY, FailingBody(content(LARGE), WINDOW_BYTES, error), fresh())
        assert raised.value is error or isinstance(raised.value, Exists)
        before.check()
