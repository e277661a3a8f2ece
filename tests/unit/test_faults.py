"""Every fault does to the store exactly what it says, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from storage_guard.driver import (
    Broken,
    Busy,
    Conflict,
    Driver,
    Exists,
    Gone,
    Lost,
    ObjectInfo,
    ObjectOptions,
    ObjectRef,
    Part,
    PartSlot,
    Refused,
    Signal,
    Unguarded,
    Unsynced,
    WriteMeta,
)
from storage_guard.memory import MemoryDriver
from storage_guard.testing import (
    BUSY,
    CONFLICT,
    CONFLICT_RESTART,
    CUT,
    GONE,
    LATE,
    LOST_AFTER,
    LOST_BEFORE,
    REFUSED,
    TWICE,
    BytesBody,
    FailingBody,
    Fault,
    FaultyDriver,
    answers,
    faulty,
    race,
)

META = WriteMeta("me")
DATA = bytes(range(256)) * 4096

TURNED_AWAY: list[tuple[Fault, type[Signal]]] = [
    (LOST_BEFORE, Lost),
    (CUT, Lost),
    (BUSY, Busy),
    (CONFLICT, Conflict),
    (CONFLICT_RESTART, Conflict),
    (GONE, Gone),
    (REFUSED, Refused),
    (answers(lambda: Unguarded("versioned")), Unguarded),
]


def put(driver: Driver, key: str = "key", data: bytes = DATA, meta: WriteMeta = META) -> ObjectInfo:
    return driver.put_new(key, BytesBody(data), meta)


def begun(driver: Driver, key: str = "key") -> tuple[str, list[Part]]:
    upload_id = driver.begin(key, META)
    return upload_id, [driver.put_part(key, upload_id, PartSlot(1, 0, len(DATA)), BytesBody(DATA))]


@pytest.mark.parametrize(("fault", "signal"), TURNED_AWAY, ids=[repr(fault) for fault, _ in TURNED_AWAY])
def test_who_is_turned_away_has_not_acted(fault: Fault, signal: type[Signal]) -> None:
    driver = faulty(MemoryDriver(), "put_new", [fault])
    with pytest.raises(signal):
        put(driver)
    assert driver.head("key") is None
    assert put(driver).size_bytes == len(DATA), "the fault strikes once"


def test_lost_after_has_acted() -> None:
    driver = faulty(MemoryDriver(), "put_new", [LOST_AFTER])
    with pytest.raises(Lost):
        put(driver)
    found = driver.head("key")
    assert found is not None
    assert found.write_id == "me"


def test_lost_after_loses_a_refusal_too() -> None:
    driver = faulty(MemoryDriver(), "put_new", [None, LOST_AFTER])
    put(driver, meta=WriteMeta("first"))
    with pytest.raises(Lost):
        put(driver)
    found = driver.head("key")
    assert found is not None
    assert found.write_id == "first"


def test_what_a_body_raises_is_no_fault() -> None:
    for fault in (LOST_AFTER, LATE, CUT, TWICE, None):
        error = ValueError("the source broke")
        with pytest.raises(ValueError, match="broke") as raised:
            faulty(MemoryDriver(), "put_new", [fault]).put_new("key", FailingBody(DATA, 1, error), META)
        assert raised.value is error


def test_a_late_request_arrives_when_it_is_delivered() -> None:
    driver = faulty(MemoryDriver(), "put_new", [LATE, LATE])
    data = bytearray(b"first")
    with pytest.raises(Lost):
        driver.put_new("key", BytesBody(bytes(data)), META)
    with pytest.raises(Lost):
        put(driver, data=b"second", meta=WriteMeta("late"))
    assert driver.head("key") is None
    first, second = driver.deliver()
    assert isinstance(first, ObjectInfo)
    assert isinstance(second, Exists)
    assert driver.read("key", 0, 9, None) == b"first"
    assert driver.deliver() == []


def test_a_late_body_is_kept_as_it_was_when_it_was_sent() -> None:
    buffer = bytearray(b"as it was")

    class Reused:
        size_bytes = len(buffer)

        def windows(self) -> Iterator[memoryview]:
            yield memoryview(buffer)

    driver = faulty(MemoryDriver(), "put_new", [LATE])
    with pytest.raises(Lost):
        driver.put_new("key", Reused(), META)
    buffer[:] = b"later on!"
    driver.deliver()
    assert driver.read("key", 0, 9, None) == b"as it was"


def test_a_late_finish_cannot_land_after_an_abort() -> None:
    driver = faulty(MemoryDriver(), "finish_new", [LATE])
    upload_id, parts = begun(driver)
    with pytest.raises(Lost):
        driver.finish_new("key", upload_id, parts, META)
    driver.abort("key", upload_id)
    (answer,) = driver.deliver()
    assert isinstance(answer, Gone)
    assert driver.head("key") is None


def test_a_put_that_is_sent_twice_meets_itself() -> None:
    driver = faulty(MemoryDriver(), "put_new", [TWICE])
    with pytest.raises(Exists) as exists:
        put(driver)
    assert not exists.value.sole
    found = driver.head("key")
    assert found is not None
    assert found.write_id == "me"


def test_a_finish_that_is_sent_twice_finds_its_upload_gone() -> None:
    driver = faulty(MemoryDriver(), "finish_new", [TWICE])
    upload_id, parts = begun(driver)
    with pytest.raises(Gone) as gone:
        driver.finish_new("key", upload_id, parts, META)
    assert not gone.value.sole
    assert driver.head("key") is not None


def test_what_may_be_sent_twice_is_answered_as_ever() -> None:
    driver = faulty(MemoryDriver(), {"head": [TWICE], "put_part": [TWICE]})
    assert driver.head("key") is None
    upload_id, parts = begun(driver)
    assert list(driver.scan_parts("key", upload_id)) == parts


def test_a_cut_reads_half_of_the_body() -> None:
    read: list[int] = []

    class Counted(BytesBody):
        def windows(self) -> Iterator[memoryview]:
            for window in super().windows():
                read.append(window.nbytes)
                yield window

    driver = faulty(MemoryDriver(), "put_new", [CUT])
    with pytest.raises(Lost):
        driver.put_new("key", Counted(DATA), META)
    assert sum(read) == len(DATA) / 2


def test_an_upload_that_is_gone_stays_gone() -> None:
    driver = faulty(MemoryDriver(), "put_part", [GONE])
    upload_id = driver.begin("key", META)
    for _ in range(2):
        with pytest.raises(Gone):
            driver.put_part("key", upload_id, PartSlot(1, 0, 1), BytesBody(b"x"))
    assert list(driver.scan_uploads("")) == []


def test_an_upload_that_is_spoilt_stays_spoilt() -> None:
    driver = faulty(MemoryDriver(), "finish_new", [CONFLICT_RESTART])
    upload_id, parts = begun(driver)
    for _ in range(3):
        with pytest.raises(Conflict) as conflict:
            driver.finish_new("key", upload_id, parts, META)
        assert conflict.value.restart
    assert driver.head("key") is None
    driver.abort("key", upload_id)
    again, parts = begun(driver)
    driver.finish_new("key", again, parts, META)


def test_a_conflict_without_restart_lets_the_same_request_through() -> None:
    driver = faulty(MemoryDriver(), "finish_new", [CONFLICT])
    upload_id, parts = begun(driver)
    with pytest.raises(Conflict) as conflict:
        driver.finish_new("key", upload_id, parts, META)
    assert not conflict.value.restart
    driver.finish_new("key", upload_id, parts, META)


def test_unsynced_has_acted() -> None:
    driver = faulty(MemoryDriver(), "put_new", [answers(Unsynced)] * 2)
    with pytest.raises(Unsynced):
        put(driver)
    assert driver.head("key") is not None
    with pytest.raises(Exists):
        put(driver)


def test_broken_has_replaced_what_was_there() -> None:
    driver = faulty(MemoryDriver(), "put_new", [None, answers(lambda: Broken(version_id="v2"))])
    put(driver, data=b"theirs", meta=WriteMeta("them"))
    with pytest.raises(Broken):
        put(driver, data=b"ours")
    assert driver.read("key", 0, 9, None) == b"ours"


def test_faults_are_used_up_call_by_call_and_member_by_member() -> None:
    driver = faulty(MemoryDriver(), {"head": [BUSY, None, BUSY], "read": [BUSY]})
    assert faulty(driver, "remove", [REFUSED]) is driver
    assert driver.left == {"head": (BUSY, None, BUSY), "read": (BUSY,), "remove": (REFUSED,)}
    put(driver)
    outcomes: list[object] = []
    for _ in range(4):
        try:
            outcomes.append(driver.head("key") is not None)
        except Busy:
            outcomes.append("busy")
    assert outcomes == ["busy", True, "busy", True]
    assert driver.calls["head"] == 4
    assert driver.calls["put_new"] == 1
    assert driver.calls["abort"] == 0
    assert driver.left == {"read": (BUSY,), "remove": (REFUSED,)}


def test_a_member_that_does_not_exist_cannot_fail() -> None:
    with pytest.raises(ValueError, match="'putt_new' is not a member"):
        faulty(MemoryDriver(), "putt_new", [BUSY])  # type: ignore[call-overload]


MEMBERS: dict[str, Callable[[Driver], object]] = {
    "capabilities": lambda driver: driver.capabilities(),
    "put_new": put,
    "begin": lambda driver: driver.begin("key", META),
    "put_part": lambda driver: driver.put_part("key", "id", PartSlot(1, 0, 1), BytesBody(b"x")),
    "copy_part": lambda driver: driver.copy_part("key", "id", PartSlot(1, 0, 1), ObjectRef(driver.location, "x"), 0),
    "finish_new": lambda driver: driver.finish_new("key", "id", [], META),
    "abort": lambda driver: driver.abort("key", "id"),
    "copy_new": lambda driver: driver.copy_new(ObjectRef(driver.location, "x"), "key", META),
    "head": lambda driver: driver.head("key"),
    "read": lambda driver: driver.read("key", 0, 1, None),
    "scan": lambda driver: list(driver.scan("", "", "")),
    "remove": lambda driver: driver.remove("key", None),
    "scan_uploads": lambda driver: list(driver.scan_uploads("")),
    "scan_parts": lambda driver: list(driver.scan_parts("key", "id")),
    "presign": lambda driver: driver.presign("key", 1.0),
}


def test_every_member_of_a_driver_can_fail() -> None:
    members = {name for name in vars(Driver) if not name.startswith("_")}
    assert set(MEMBERS) == members - {"limits", "location", "close"}


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize(
    ("fault", "signal"),
    [(BUSY, Busy), (LOST_BEFORE, Lost), (LOST_AFTER, Lost), (CUT, Lost), (LATE, Lost), (GONE, Gone)],
)
def test_any_member_can_meet_any_fault(member: str, fault: Fault, signal: type[Signal]) -> None:
    driver = FaultyDriver(MemoryDriver())
    driver.plan(member, [fault])  # type: ignore[arg-type]
    with pytest.raises(signal):
        MEMBERS[member](driver)
    assert driver.calls == {member: 1}
    assert driver.left == {}


def test_without_faults_it_is_the_driver_inside() -> None:
    inner = MemoryDriver()
    driver: Driver = FaultyDriver(inner)
    assert (driver.limits, driver.location, driver.capabilities()) == (
        inner.limits,
        inner.location,
        inner.capabilities(),
    )
    info = put(driver, meta=WriteMeta("me", ObjectOptions(content_type="text/plain")))
    assert inner.head("key") == driver.head("key") == info
    assert driver.read("key", 3, 7, info.etag) == DATA[3:7]
    driver.copy_new(ObjectRef(driver.location, "key"), "copy", META)
    upload_id, parts = begun(driver, "upload")
    assert [upload.upload_id for upload in driver.scan_uploads("")] == [upload_id]
    driver.finish_new("upload", upload_id, parts, META)
    assert [entry.key for entry in driver.scan("", "", "")] == ["copy", "key", "upload"]
    driver.remove("key", None)
    driver.close()


def test_a_fault_strikes_one_of_many_threads() -> None:
    driver = faulty(MemoryDriver(), "head", [BUSY] * 5)
    results = race([lambda: driver.head("key")] * 8)
    assert sum(isinstance(result, Busy) for result in results) == 5
    assert driver.calls["head"] == 8


def test_faults_show_their_names() -> None:
    assert repr(LOST_AFTER) == "LostAfter"
