"""What the reference driver promises beyond the contract: names, processes, limits, exact words."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest

from storage_guard.checksum import as_checksum, crc64xz
from storage_guard.driver import (
    Absent,
    Changed,
    Driver,
    Encryption,
    Exists,
    Gone,
    Limits,
    Location,
    ObjectInfo,
    ObjectOptions,
    ObjectRef,
    PartSlot,
    Refused,
    Retention,
    Unsupported,
    WriteMeta,
)
from storage_guard.memory import MemoryDriver, open_url
from storage_guard.model import KiB, MiB
from storage_guard.testing import BytesBody, race, winners

META = WriteMeta("me")
LIMITS = Limits(max_put_bytes=MiB, min_part_bytes=10, max_part_bytes=MiB, max_parts=3, max_object_bytes=2 * MiB)


class Derived(MemoryDriver):
    """A driver of a test's own."""


_names = iter(range(1_000_000))


@pytest.fixture
def name() -> str:
    return f"unit {os.getpid()} {next(_names)}"


def put(driver: Driver, key: str = "key", data: bytes = b"data", meta: WriteMeta = META) -> ObjectInfo:
    return driver.put_new(key, BytesBody(data), meta)


def test_the_same_name_is_the_same_store(name: str) -> None:
    put(MemoryDriver(name))
    found = MemoryDriver(name).head("key")
    assert found is not None
    assert found.write_id == "me"


def test_a_named_store_outlives_its_clients(name: str) -> None:
    put(MemoryDriver(name))
    gc.collect()
    assert MemoryDriver(name).head("key") is not None


def test_no_name_is_a_store_of_its_own() -> None:
    one, other = MemoryDriver(), MemoryDriver()
    put(one)
    assert other.head("key") is None
    assert one.location != other.location
    assert one.client().head("key") == one.head("key")


def test_a_client_of_a_derived_driver_is_derived_too(name: str) -> None:
    assert type(Derived().client()) is Derived
    assert type(pickle.loads(pickle.dumps(Derived(name)))) is Derived


@pytest.mark.parametrize("bad", ["", "a/b", "/"])
def test_a_name_that_no_url_can_say_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="name"):
        MemoryDriver(bad)


def test_the_first_client_says_the_limits(name: str) -> None:
    first = MemoryDriver(name, limits=LIMITS)
    assert MemoryDriver(name).limits == MemoryDriver(name, limits=LIMITS).limits == first.limits == LIMITS
    with pytest.raises(ValueError, match="other limits"):
        MemoryDriver(name, limits=replace(LIMITS, max_parts=4))


@pytest.mark.parametrize(
    ("url", "store", "prefix"),
    [
        ("memory://name", "name", ""),
        ("memory://name/", "name", ""),
        ("memory://name/prefix/a", "name", "prefix/a"),
        ("memory://name/prefix/", "name", "prefix"),
        ("memory://na%20me%3F/a%25b", "na me?", "a%b"),
    ],
)
def test_a_url_names_a_store_and_a_prefix(url: str, store: str, prefix: str) -> None:
    driver, found = open_url(url)
    assert (driver.location.container, found) == (store, prefix)


@pytest.mark.parametrize(
    "url",
    [
        "memory://",
        "memory:///a",
        "memory:name",
        "memory",
        "file://name",
        "memory://a?b",
        "memory://a#b",
        "memory://a%2Fb",
    ],
)
def test_any_other_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="memory"):
        open_url(url)


def test_the_url_of_a_location_opens_it_again(name: str) -> None:
    driver = MemoryDriver(name)
    assert open_url(driver.location.url())[0].location == driver.location


def test_a_named_store_pickles_to_itself(name: str) -> None:
    driver = MemoryDriver(name, limits=LIMITS, refuse_at_begin=False)
    put(driver)
    again: MemoryDriver = pickle.loads(pickle.dumps(driver))
    assert again.head("key") == driver.head("key")
    assert again.limits == LIMITS
    again.begin("key", META)  # it does not refuse here, as the first one would not


def test_a_private_store_does_not_pickle() -> None:
    with pytest.raises(TypeError, match="give it a name"):
        pickle.dumps(MemoryDriver())


def test_a_pickle_opened_in_another_process_says_where_the_store_lives(name: str) -> None:
    code = "import pickle, sys; pickle.load(sys.stdin.buffer)"
    pickled = pickle.dumps(MemoryDriver(name))
    ran = subprocess.run([sys.executable, "-c", code], input=pickled, check=False, capture_output=True)
    assert ran.returncode == 1
    assert b"lives in the process that made it" in ran.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_write_where_nobody_reads(name: str) -> None:
    # In a process of its own: forking this one, with its threads, is what a sane program does not do.
    code = f"""
import os, pickle
from storage_guard.memory import MemoryDriver
from storage_guard.testing import BytesBody
from storage_guard.driver import WriteMeta
driver = MemoryDriver({name!r})
driver.put_new("key", BytesBody(b""), WriteMeta("me"))
if os.fork() == 0:
    said = []
    calls = [driver.head, driver.client().head, lambda _: pickle.loads(pickle.dumps(driver))]
    for call in calls:
        try:
            call("key")
        except RuntimeError as exc:
            said.append("lives in the process" in str(exc))
    os._exit(42 if said == [True] * 3 and MemoryDriver({name!r}).head("key") is None else 1)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 42
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


@pytest.mark.parametrize(
    "options",
    [
        ObjectOptions(tags={"a": "b"}),
        ObjectOptions(storage_class="cold"),
        ObjectOptions(acl="private"),
        ObjectOptions(encryption=Encryption("AES256")),
        ObjectOptions(retention=Retention("governance", datetime.now(UTC))),
        ObjectOptions(request_payer="requester"),
        ObjectOptions(expected_bucket_owner="123"),
    ],
)
def test_an_option_without_sense_in_memory_is_refused(options: ObjectOptions) -> None:
    driver = MemoryDriver()
    put(driver, "source")
    meta = WriteMeta("me", options)
    with pytest.raises(Unsupported):
        put(driver, meta=meta)
    with pytest.raises(Unsupported):
        driver.begin("key", meta)
    with pytest.raises(Unsupported):
        driver.copy_new(ObjectRef(driver.location, "source"), "key", meta)
    assert driver.head("key") is None
    assert list(driver.scan_uploads("")) == []


def test_a_mapping_that_its_owner_changes_later_changes_nothing() -> None:
    metadata = {"colour": "blue"}
    driver = MemoryDriver()
    meta = WriteMeta("me", ObjectOptions(metadata=metadata))
    put(driver, meta=meta)
    upload_id = driver.begin("other", meta)
    metadata["colour"] = "red"
    found = driver.head("key")
    assert found is not None
    assert found.options.metadata == {"colour": "blue"}
    with pytest.raises(Refused, match="meta differs"):
        driver.finish_new("other", upload_id, [], meta)


def test_every_life_of_a_key_has_its_own_etag() -> None:
    driver = MemoryDriver()
    etags: set[str] = set()
    for _ in range(5):
        etags.add(put(driver).etag)
        driver.remove("key", None)
    assert len(etags) == 5


def test_the_checksum_is_that_of_the_bytes_however_they_came() -> None:
    driver = MemoryDriver(limits=LIMITS)
    expected = as_checksum(crc64xz(b"0123456789ab"))
    info = put(driver, "put", b"0123456789ab")
    upload_id = driver.begin("finish", META)
    source = ObjectRef(driver.location, "put")
    parts = [
        driver.put_part("finish", upload_id, PartSlot(1, 0, 10), BytesBody(b"0123456789")),
        driver.copy_part("finish", upload_id, PartSlot(2, 10, 2), source, 10),
    ]
    assert parts[1].checksum == as_checksum(crc64xz(b"ab"))
    finished = driver.finish_new("finish", upload_id, parts, META)
    copied = driver.copy_new(source, "copy", META)
    assert info.checksum == finished.checksum == copied.checksum == expected
    assert info.verified_by is None


def test_refusals_say_that_the_request_was_the_only_one() -> None:
    driver = MemoryDriver()
    put(driver)
    with pytest.raises(Exists) as exists:
        put(driver)
    assert exists.value.sole
    with pytest.raises(Exists) as exists:
        driver.begin("key", META)
    assert exists.value.sole
    with pytest.raises(Gone) as gone:
        driver.abort("key", "never was")
    assert gone.value.sole


def test_an_upload_belongs_to_its_key() -> None:
    driver = MemoryDriver()
    upload_id = driver.begin("key", META)
    with pytest.raises(Gone):
        driver.put_part("other", upload_id, PartSlot(1, 0, 1), BytesBody(b"x"))


def test_a_body_of_another_size_than_it_said_is_refused() -> None:
    class Short(BytesBody):
        @property
        def size_bytes(self) -> int:
            return super().size_bytes + 1

    driver = MemoryDriver()
    with pytest.raises(Refused, match="has 4 bytes, not 5"):
        driver.put_new("key", Short(b"data"), META)
    upload_id = driver.begin("key", META)
    with pytest.raises(Refused):
        driver.put_part("key", upload_id, PartSlot(1, 0, 5), Short(b"data"))
    with pytest.raises(Refused):
        driver.put_part("key", upload_id, PartSlot(1, 0, 4), BytesBody(b"12345"))


def test_an_object_over_the_limit_is_refused_at_finish() -> None:
    driver = MemoryDriver(limits=LIMITS)
    upload_id = driver.begin("key", META)
    slots = [PartSlot(1, 0, MiB), PartSlot(2, MiB, MiB), PartSlot(3, 2 * MiB, 1)]
    parts = [driver.put_part("key", upload_id, slot, BytesBody(bytes(slot.size_bytes))) for slot in slots]
    with pytest.raises(Refused):
        driver.finish_new("key", upload_id, parts, META)
    driver.finish_new("key", upload_id, parts[:2], META)


def test_copies_go_from_store_to_store_in_one_process() -> None:
    here, there = MemoryDriver(), MemoryDriver()
    put(there, "source", b"x" * KiB)
    source = ObjectRef(there.location, "source")
    here.copy_new(source, "key", META)
    assert here.read("key", 0, KiB, None) == b"x" * KiB
    with pytest.raises(Absent):
        here.copy_new(replace(source, location=replace(source.location, container="nobody's")), "other", META)
    with pytest.raises(Unsupported):
        here.copy_new(replace(source, location=Location("memory", "another process", "x")), "other", META)
    with pytest.raises(Changed):
        here.copy_new(replace(source, version_id="v1"), "other", META)


def test_a_part_is_copied_from_bytes_that_are_there() -> None:
    driver = MemoryDriver()
    put(driver, "source", b"0123456789")
    upload_id = driver.begin("key", META)
    for start, size_bytes in ((9, 2), (-1, 2), (11, 0)):
        with pytest.raises(Refused):
            driver.copy_part("key", upload_id, PartSlot(1, 0, size_bytes), ObjectRef(driver.location, "source"), start)


def test_a_listing_tells_what_every_service_lists_and_no_more() -> None:
    driver = MemoryDriver()
    put(driver, meta=WriteMeta("me", ObjectOptions(content_type="text/plain")))
    (listed,) = driver.scan("", "", "")
    found = driver.head("key")
    assert found is not None
    assert listed == replace(found, write_id=None, checksum=None, options=ObjectOptions())


def test_nothing_presigns_memory() -> None:
    with pytest.raises(Unsupported):
        MemoryDriver().presign("key", 1.0)


def test_the_repr_shows_where_and_how_much(name: str) -> None:
    driver = MemoryDriver(name)
    put(driver)
    assert repr(driver) == f"MemoryDriver({name!r}, 1 objects)"


def test_a_name_that_racers_open_is_one_store(name: str) -> None:
    for number in range(20):
        drivers = winners(race([partial(MemoryDriver, f"{name} {number}")] * 8))
        put(drivers[0])
        assert len(drivers) == 8
        assert all(driver.head("key") for driver in drivers)
