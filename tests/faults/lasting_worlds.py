"""What happens to an upload that outlives its process, and what whoever comes next must find, whatever went wrong."""

from __future__ import annotations

from storage_guard.checksum import as_checksum, crc64xz
from storage_guard.driver import Gone, ObjectOptions, Part, PartSlot, Refused, WriteMeta
from storage_guard.testing import BytesBody
from storage_guard_local import LocalDriver, System

KEY = "a/b/object"
META = WriteMeta("the-write", ObjectOptions(content_type="text/plain"), lasting=True)
DATA = bytes(range(250)) * 40
PART_BYTES = 4000
NUMBERS = (1, 2, 3)


def piece(number: int) -> tuple[PartSlot, BytesBody]:
    start = (number - 1) * PART_BYTES
    data = DATA[start : start + PART_BYTES]
    return PartSlot(number, start, len(data)), BytesBody(data)


def put(driver: LocalDriver, upload_id: str, *numbers: int) -> list[Part]:
    return [driver.put_part(KEY, upload_id, *piece(number)) for number in numbers]


def is_as_it_should_be(part: Part) -> bool:
    slot, body = piece(part.slot.number)
    return (part.slot, part.checksum) == (slot, as_checksum(crc64xz(body.data)))


def write(root: str, system: System) -> None:
    """One process begins and lets go, another finishes. In between a part is sent with other bytes, and again."""
    first = LocalDriver(root, system=system)
    second = LocalDriver(root, system=system)
    try:
        upload_id = first.begin(KEY, META)
        put(first, upload_id, 1)
        first.put_part(KEY, upload_id, piece(2)[0], BytesBody(b"x" * PART_BYTES))
        put(first, upload_id, 2)
        first.close()
        parts = [*second.scan_parts(KEY, upload_id), *put(second, upload_id, 3)]
        second.finish_new(KEY, upload_id, parts, META)
    finally:
        first.close()
        second.close()


def check_that_nothing_is_written_late(driver: LocalDriver, upload_ids: set[str]) -> None:
    """An object that is there is whole, and a part of a known upload does not change it."""
    before = driver.head(KEY)
    if before is not None:
        assert (before.write_id, driver.read(KEY, 0, 20_000, None)) == ("the-write", DATA)
    for upload_id in upload_ids:
        try:
            driver.put_part(KEY, upload_id, piece(1)[0], BytesBody(b"late" * 1000))
            put(driver, upload_id, 1)
            assert before is None, "a part was taken for an upload that is out"
        except Gone:
            continue
        except Refused as exc:
            if exc.code != "Finishing":
                raise
    assert driver.head(KEY) == before
    if before is not None:
        assert driver.read(KEY, 0, 20_000, None) == DATA


def go_on(driver: LocalDriver) -> str:
    """Finish what somebody left, as its parts are listed: "none" open, "finished", or "lost" if it was neither whole
    nor open to parts, and had to be aborted."""
    found = list(driver.scan_uploads(""))
    assert len(found) <= 1
    if not found:
        return "none"
    upload_id = found[0].upload_id
    assert (found[0].key, driver.head(KEY)) == (KEY, None)
    listed = {part.slot.number: part for part in driver.scan_parts(KEY, upload_id) if is_as_it_should_be(part)}
    try:
        for number in sorted(set(NUMBERS) - set(listed)):
            (listed[number],) = put(driver, upload_id, number)
    except Refused as exc:
        if exc.code != "Finishing":
            raise
        driver.abort(KEY, upload_id)
        return "lost"
    driver.finish_new(KEY, upload_id, [listed[number] for number in NUMBERS], META)
    info = driver.head(KEY)
    assert info is not None
    assert info.write_id == "the-write"
    assert driver.read(KEY, 0, 20_000, None) == DATA
    assert list(driver.scan_uploads("")) == []
    return "finished"
