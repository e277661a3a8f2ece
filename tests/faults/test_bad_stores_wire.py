"""The examination over HTTP: buckets of OSS whose state may not be asked."""

from __future__ import annotations

import pytest

from storage_guard import GuaranteeMissing, ObjectExists, Store
from storage_guard.doctor import examine
from storage_guard.driver import Driver
from storage_guard.testing.server import Asked
from unit.oss_served import served

LARGE_BYTES = 300_000


def may_not_ask(asked: Asked) -> bool:
    return asked.member not in ("versioning", "bucket")


def store_of(driver: Driver) -> Store:
    return Store(driver, part_bytes=128 * 1024, multipart_from_bytes=LARGE_BYTES)


def nothing_left(driver: Driver, *kept: str) -> bool:
    keys = {each.key for each in driver.scan("", "", "")} - {".storage-guard/guarantee.json"}
    return keys == set(kept) and not list(driver.scan_uploads(""))


def test_a_bucket_of_oss_that_never_had_versions_passes_without_being_asked() -> None:
    with served(may=may_not_ask) as world:
        driver = world.driver()
        store = store_of(driver)
        receipt = store.create("k", bytes(LARGE_BYTES))
        assert (receipt.guarantee, receipt.parts) == ("raced", 3)
        assert store.copy("k", "copy").guarantee == "raced"
        with pytest.raises(ObjectExists):
            store.create("k", b"x")
        assert nothing_left(driver, "k", "copy")


@pytest.mark.parametrize("state", ["enabled", "suspended"])
def test_a_bucket_of_oss_with_versions_is_found_out_and_refused(state: str) -> None:
    with served(may=may_not_ask, versioning=state) as world:
        driver = world.driver()
        with pytest.raises(GuaranteeMissing, match=r"without the condition|accepted") as caught:
            store_of(driver).create("k", b"x")
        assert "oss:GetBucketVersioning" in str(caught.value), "how to mend it"
        assert not examine(store_of(driver), rounds=2).holds
        assert nothing_left(driver)


def test_another_process_reads_one_object() -> None:
    with served(may=may_not_ask) as world:
        store_of(world.driver()).create("k", b"x")
        before = world.asked("put_new")
        store_of(world.driver()).create("other", b"x")
        assert world.asked("put_new") == before + 1
