"""Parts whose checksum goes behind them: read once, compared all the same, and given up where a store is not sure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

import pytest

from storage_guard.body import WINDOW_BYTES
from storage_guard.checksum import as_checksum, crc64nvme
from storage_guard.driver import Body, Corrupt, Gone, PartSlot, Refused
from storage_guard.testing import BytesBody, FailingBody
from storage_guard.wire.messages import Answer, Request
from storage_guard.wire.transport import Transport
from storage_guard_s3 import S3Driver
from storage_guard_s3.trailing import Trailing
from unit.oss_served import fresh
from unit.s3_served import Served, served

TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


@pytest.fixture
def there() -> Iterator[Served]:
    with served() as there:
        yield there


def part_of(driver: S3Driver, body: Body, upload_id: str | None = None) -> tuple[str, object]:
    upload_id = upload_id or driver.begin("k", fresh())
    return upload_id, driver.put_part("k", upload_id, PartSlot(1, 0, body.size_bytes), body)


@pytest.fixture
def framed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each part that was sent, whether its checksum went behind it."""
    seen: list[bool] = []
    exchange = Transport.exchange

    def noting(transport: Transport, request: Request) -> Answer:
        if "partNumber" in request.url:
            seen.append(request.headers["x-amz-content-sha256"] == TRAILER)
        return exchange(transport, request)

    monkeypatch.setattr(Transport, "exchange", noting)
    return seen


@pytest.mark.parametrize("size_bytes", [1, 9, WINDOW_BYTES, 2 * WINDOW_BYTES + 1])
def test_the_framing_is_one_chunk_and_a_trailer(size_bytes: int) -> None:
    data = bytes(range(256)) * (size_bytes // 256 + 1)
    data = data[:size_bytes]
    trailing = Trailing(BytesBody(data))
    for _ in range(2):  # it can be sent again
        sent = b"".join(trailing.windows())
        said = b64encode(crc64nvme(data).to_bytes(8, "big"))
        assert sent == b"%x\r\n%b\r\n0\r\nx-amz-checksum-crc64nvme:%b\r\n\r\n" % (size_bytes, data, said)
        assert len(sent) == trailing.size_bytes
        assert trailing.digest.crc == as_checksum(crc64nvme(data), "crc64nvme")
    assert trailing.headers["x-amz-decoded-content-length"] == str(size_bytes)


@pytest.mark.parametrize("found_bytes", [9, 11])
def test_a_body_of_another_size_is_not_sent_whole(there: Served, found_bytes: int) -> None:
    class Lying(BytesBody):
        @property
        def size_bytes(self) -> int:
            return 10

    driver = there.driver()
    upload_id = driver.begin("k", fresh())
    with pytest.raises(Refused):
        part_of(driver, Lying(bytes(found_bytes)), upload_id)
    assert list(driver.scan_parts("k", upload_id)) == []


def test_what_a_body_raises_passes_through_and_leaves_no_part(there: Served) -> None:
    driver = there.driver()
    upload_id = driver.begin("k", fresh())
    error = OSError(5, "broken")
    with pytest.raises(OSError, match="broken") as caught:
        part_of(driver, FailingBody(bytes(2 * WINDOW_BYTES), WINDOW_BYTES + 5, error), upload_id)
    assert caught.value is error
    assert list(driver.scan_parts("k", upload_id)) == []


def test_an_empty_part_has_its_checksum_before_it(there: Served, framed: list[bool]) -> None:
    part_of(there.driver(), BytesBody(b""))
    assert framed == [False]


@pytest.mark.parametrize(
    ("status", "code"),
    [(501, "NotImplemented"), (400, "InvalidRequest"), (400, "InvalidChunkSizeError"), (403, "SignatureDoesNotMatch")],
)
def test_a_store_that_does_not_take_the_framing_gets_parts_without(
    there: Served, framed: list[bool], status: int, code: str
) -> None:
    driver = there.driver()
    upload_id = driver.begin("k", fresh())
    there.alter("put_part", status=status, body=b"<Error><Code>%b</Code></Error>" % code.encode())
    data = bytes(range(200))
    parts = [part_of(driver, BytesBody(data), upload_id)[1] for _ in range(2)]
    assert parts[0] == parts[1]
    assert framed == [True, False, False]


def test_a_store_that_does_not_say_what_it_took_gets_parts_without(there: Served, framed: list[bool]) -> None:
    driver = there.driver()
    upload_id = driver.begin("k", fresh())
    there.alter("put_part", headers={"x-amz-checksum-crc64nvme": None})
    part_of(driver, BytesBody(b"data"), upload_id)
    assert framed == [True, False]


def test_a_store_that_takes_the_framing_for_bytes_has_no_such_part(there: Served) -> None:
    """Its checksum is that of other bytes."""
    driver = there.driver()
    upload_id = driver.begin("k", fresh())
    there.alter("put_part", headers={"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="})
    with pytest.raises(Corrupt):
        part_of(driver, BytesBody(b"data"), upload_id)


@pytest.mark.parametrize(
    ("status", "code", "signal"),
    [(400, "BadDigest", Corrupt), (404, "NoSuchUpload", Gone), (403, "AccessDenied", Refused)],
)
def test_a_refusal_of_something_else_is_not_about_the_framing(
    there: Served, framed: list[bool], status: int, code: str, signal: type[Exception]
) -> None:
    driver = there.driver()
    upload_id = driver.begin("k", fresh())
    there.alter("put_part", status=status, body=f"<Error><Code>{code}</Code></Error>".encode())
    with pytest.raises(signal):
        part_of(driver, BytesBody(b"data"), upload_id)
    part_of(driver, BytesBody(b"data"), upload_id)
    assert framed == [True, True]
