"""The S3 driver against the loopback server: what every answer becomes, and that nothing is asked twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config

from storage_guard.checksum import as_checksum, combine, crc64nvme
from storage_guard.driver import (
    Absent,
    Busy,
    Changed,
    Checksum,
    Conflict,
    Corrupt,
    Damaged,
    Encryption,
    Exists,
    Gone,
    Lost,
    ObjectOptions,
    ObjectRef,
    PartSlot,
    Refused,
    Retention,
    Unguarded,
    Unsupported,
    WriteMeta,
)
from storage_guard.testing import BytesBody
from storage_guard.testing.server import Cue, Hold, cut_after_acting, cut_in_answer, held, refused
from storage_guard.testing.server.credentials import all_but
from storage_guard.testing.server.s3_switches import Switches
from storage_guard_s3 import S3Driver
from unit.oss_served import begun, fresh, put
from unit.s3_served import BUCKET, MIN_PART_BYTES, OTHER, Served, served

DATA = bytes(range(256)) * 8


@pytest.fixture
def there() -> Iterator[Served]:
    with served() as there:
        yield there


def nvme(data: bytes) -> Checksum:
    return as_checksum(crc64nvme(data), "crc64nvme")


def inside(driver: S3Driver) -> Any:
    return driver


# Create-only


def test_only_the_first_put_is_carried_out(there: Served) -> None:
    driver, meta = there.driver(), fresh()
    info = put(driver, "k", DATA, meta)
    assert (info.etag, info.write_id) == (hashlib.md5(DATA).hexdigest(), meta.write_id)
    for sole, other in ((True, driver), (False, there.on_aws())):
        with pytest.raises(Exists) as taken:
            put(other, "k", b"mine")
        assert taken.value.sole is sole, "a proxy may have sent it twice"
    assert driver.read("k", 0, len(DATA), None) == DATA
    assert there.asked("put_new") == 3


def test_a_lost_answer_is_lost_and_its_object_bears_its_id(there: Served) -> None:
    driver, meta = there.driver(), fresh()
    there.cues.add(Cue(cut_after_acting(), member="put_new"))
    with pytest.raises(Lost):
        put(driver, "k", DATA, meta)
    found = driver.head("k")
    assert found is not None
    assert found.write_id == meta.write_id
    assert there.asked("put_new") == 1


@pytest.mark.parametrize("member", ["finish_new", "copy_new"])
@pytest.mark.parametrize("cut", [0, 40])
def test_an_answer_whose_document_ends_early_is_lost(there: Served, member: str, cut: int) -> None:
    driver, meta = there.driver(), fresh()
    put(driver, "source", DATA)
    upload_id, parts = begun(driver, "k", meta)
    there.alter(member, body=b"<?xml version='1.0'?><CompleteMultipartUploadResult>"[:cut])
    commits = {
        "finish_new": lambda: driver.finish_new("k", upload_id, parts, meta),
        "copy_new": lambda: driver.copy_new(ObjectRef(driver.location, "source"), "k", meta),
    }
    with pytest.raises(Lost):
        commits[member]()
    found = driver.head("k")
    assert found is not None
    assert found.write_id == meta.write_id


def test_an_answer_that_is_cut_is_lost(there: Served) -> None:
    driver = there.driver()
    there.cues.add(Cue(cut_in_answer(), member="put_new"))
    with pytest.raises(Lost):
        put(driver, "k")


@pytest.mark.parametrize(
    ("code", "signal"),
    [
        ("PreconditionFailed", Exists),
        ("ConditionalRequestConflict", Conflict),
        ("InternalError", Lost),
        ("SlowDown", Busy),
        ("NoSuchUpload", Gone),
        ("AccessDenied", Refused),
    ],
)
def test_an_error_inside_a_200_is_an_error(there: Served, code: str, signal: type[Exception]) -> None:
    driver, meta = there.driver(), fresh()
    upload_id, parts = begun(driver, "k", meta)
    body = f"   \n<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>".encode()
    there.alter("finish_new", body=body)
    with pytest.raises(signal):
        driver.finish_new("k", upload_id, parts, meta)


def test_a_200_that_comes_before_the_work_is_done_may_still_refuse() -> None:
    with served(switches=Switches(early=True)) as there:
        driver, meta = there.driver(), fresh()
        put(driver, "source", DATA)
        upload_id, parts = begun(driver, "k", meta)
        put(driver, "k", b"a rival")
        with pytest.raises(Exists):
            driver.finish_new("k", upload_id, parts, meta)
        with pytest.raises(Exists):
            driver.copy_new(ObjectRef(driver.location, "source"), "k", fresh())
        upload_id, parts = begun(driver, "free", meta)
        assert driver.finish_new("free", upload_id, parts, meta).verified_by == "store"


def test_a_removal_meanwhile_spoils_an_upload_for_good(there: Served) -> None:
    driver, meta = there.driver(), fresh()
    put(driver, "k", b"a rival")
    upload_id, parts = begun(driver, "k", meta)
    driver.remove("k", None)
    for _ in range(2):
        with pytest.raises(Conflict) as conflict:
            driver.finish_new("k", upload_id, parts, meta)
        assert conflict.value.restart
    upload_id, parts = begun(driver, "k", meta)
    driver.finish_new("k", upload_id, parts, meta)


def test_a_finish_that_was_lost_and_comes_again() -> None:
    for replayed, signal in (("unknown", Gone), ("judged", Exists), ("done", None)):
        with served(switches=Switches.parsed({"replayed": replayed})) as there:
            driver, meta = there.driver(), fresh()
            upload_id, parts = begun(driver, "k", meta)
            there.cues.add(Cue(cut_after_acting(), member="finish_new"))
            with pytest.raises(Lost):
                driver.finish_new("k", upload_id, parts, meta)
            if signal is None:
                driver.finish_new("k", upload_id, parts, meta)
            else:
                with pytest.raises(signal):
                    driver.finish_new("k", upload_id, parts, meta)


def test_a_part_that_was_sent_again_with_other_bytes_makes_the_list_wrong(there: Served) -> None:
    driver, meta = there.driver(), fresh()
    upload_id, parts = begun(driver, "k", meta)
    slot = parts[0].slot
    driver.put_part("k", upload_id, slot, BytesBody(bytes(slot.size_bytes)))
    with pytest.raises(Refused) as wrong:
        driver.finish_new("k", upload_id, parts, meta)
    assert wrong.value.code == "InvalidPart"
    assert driver.head("k") is None


@pytest.mark.parametrize("member", ["put", "complete", "copy"])
def test_a_store_that_does_not_know_the_condition_is_unguarded(member: str) -> None:
    with served(switches=Switches.parsed({member: "unsupported"})) as there:
        driver, meta = there.driver(), fresh()
        if member == "put":
            with pytest.raises(Unguarded):
                put(driver, "k")
            return
        put(driver, "source", DATA)
        upload_id, parts = begun(driver, "k", meta)
        commits = {
            "complete": lambda: driver.finish_new("k", upload_id, parts, meta),
            "copy": lambda: driver.copy_new(ObjectRef(driver.location, "source"), "k", meta),
        }
        with pytest.raises(Unguarded):
            commits[member]()
        assert driver.head("k") is None


# Copies


def test_a_412_that_does_not_say_of_what_it_speaks_is_looked_into(there: Served) -> None:
    driver = there.driver()
    etag = put(driver, "source", DATA).etag
    source = ObjectRef(driver.location, "source", etag=etag)
    there.cues.add(Cue(refused(412, "PreconditionFailed"), member="copy_new", times=None))
    with pytest.raises(Unsupported, match="neither"):
        driver.copy_new(source, "k", fresh())
    put(driver, "k", b"a rival")
    with pytest.raises(Exists):
        driver.copy_new(source, "k", fresh())


def test_a_source_that_changed_between_look_and_copy_is_a_change(there: Served) -> None:
    driver = there.driver()
    etag = put(driver, "source", DATA).etag
    driver.remove("source", None)
    put(driver, "source", b"other bytes")
    pinned = ObjectRef(driver.location, "source", etag=etag)
    with pytest.raises(Changed):
        driver.copy_new(pinned, "k", fresh())

    def known(*_: object) -> tuple[int, str]:
        return len(DATA), etag

    inside(driver)._look._sizes.of = known
    upload_id = driver.begin("k", fresh())
    with pytest.raises(Changed):
        driver.copy_part("k", upload_id, PartSlot(1, 0, 5), pinned, 0)


def test_swift_takes_the_condition_for_one_on_the_source() -> None:
    with served(switches=Switches(copy="of_source")) as there:
        driver = there.driver()
        put(driver, "source", DATA)
        with pytest.raises(Unsupported, match="source of a copy"):
            driver.copy_new(ObjectRef(driver.location, "source"), "k", fresh())
        assert driver.head("k") is None


def test_a_copy_from_another_bucket_has_the_bytes_and_its_own_id(there: Served) -> None:
    for make in (there.driver, there.on_aws):
        driver, other = make(), make(OTHER)
        key = f"k-{make.__name__}"
        put(other, key, DATA)
        meta = fresh(ObjectOptions(metadata={"a": "b"}, tags={"t": "1"}))
        info = driver.copy_new(ObjectRef(other.location, key), key, meta)
        assert info.checksum == nvme(DATA)
        assert info.verified_by is None
        found = driver.head(key)
        assert found is not None
        assert (found.write_id, found.options.metadata, found.options.tags) == (meta.write_id, {"a": "b"}, {"t": "1"})


def test_parts_that_were_copied_are_not_said_to_be_verified(there: Served) -> None:
    driver, meta = there.driver(), fresh()
    put(driver, "source", DATA)
    upload_id = driver.begin("k", meta)
    part = driver.copy_part("k", upload_id, PartSlot(1, 0, 2000), ObjectRef(driver.location, "source"), 3)
    assert part.checksum == nvme(DATA[3:2003])
    info = driver.finish_new("k", upload_id, [part], meta)
    assert info.verified_by is None
    assert info.checksum == nvme(DATA[3:2003])


# Checksums


def test_the_store_compares_before_it_publishes(there: Served) -> None:
    driver, meta = there.driver(), fresh()
    info = put(driver, "k", DATA)
    assert (info.checksum, info.verified_by) == (nvme(DATA), "store")
    found = driver.head("k")
    assert found is not None
    assert found.checksum == nvme(DATA)
    upload_id = driver.begin("m", meta)
    slots = [PartSlot(1, 0, MIN_PART_BYTES), PartSlot(2, MIN_PART_BYTES, 10)]
    parts = [driver.put_part("m", upload_id, slot, BytesBody(DATA[: slot.size_bytes])) for slot in slots]
    assert [part.checksum for part in parts] == [nvme(DATA[: slot.size_bytes]) for slot in slots]
    assert [part.checksum for part in driver.scan_parts("m", upload_id)] == [part.checksum for part in parts]
    info = driver.finish_new("m", upload_id, parts, meta)
    whole = DATA[:MIN_PART_BYTES] + DATA[:10]
    assert (info.checksum, info.verified_by) == (nvme(whole), "store")
    assert driver.read("m", 0, 5000, info.etag) == whole


def test_a_whole_that_is_not_that_of_its_parts_is_refused_by_the_store(there: Served) -> None:
    driver, meta = there.driver(), fresh()
    upload_id, parts = begun(driver, "k", meta)
    forged = [type(parts[0])(parts[0].slot, parts[0].etag, nvme(b"others"))]
    with pytest.raises((Corrupt, Refused)):
        driver.finish_new("k", upload_id, forged, meta)
    assert driver.head("k") is None


def test_bytes_that_change_between_sum_and_sending_are_not_published(there: Served) -> None:
    class Shifting(BytesBody):
        passes = 0

        def windows(self) -> Iterator[memoryview]:
            self.passes += 1
            data = bytes([self.passes]) * self.size_bytes
            for start in range(0, len(data), 1 << 16):
                yield memoryview(data)[start : start + (1 << 16)]

    driver, size_bytes = there.driver(), (1 << 20) + 1
    with pytest.raises(Corrupt):
        driver.put_new("k", Shifting(bytes(size_bytes)), fresh())
    upload_id = driver.begin("k", fresh())
    slot = PartSlot(1, 0, size_bytes)
    part = driver.put_part("k", upload_id, slot, Shifting(bytes(size_bytes)))
    assert part.checksum == nvme(b"\x01" * size_bytes), "a part is read once"
    inside(driver)._known.trailers = False
    with pytest.raises(Corrupt):
        driver.put_part("k", upload_id, slot, Shifting(bytes(size_bytes)))
    assert driver.head("k") is None


def test_an_answer_that_names_other_bytes_is_told(there: Served) -> None:
    driver, meta = there.driver(), fresh()
    wrong = {"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}
    there.alter("put_new", headers=wrong)
    with pytest.raises(Damaged):
        put(driver, "k")
    upload_id = driver.begin("m", meta)
    there.alter("put_part", headers=wrong)
    with pytest.raises(Corrupt):
        driver.put_part("m", upload_id, PartSlot(1, 0, 4), BytesBody(b"data"))
    there.alter("put_new", headers={"x-amz-checksum-crc64nvme": "no base64"})
    with pytest.raises(Lost):
        put(driver, "other")


@pytest.mark.parametrize("checksums", ["unknown", "invalid", "unsupported"])
def test_a_store_without_this_checksum_is_given_md5_from_then_on(checksums: str) -> None:
    with served(switches=Switches.parsed({"checksums": checksums})) as there:
        for first in ("put", "multipart"):
            driver = there.driver()
            if first == "put":
                info = put(driver, "k", DATA)
                assert (info.verified_by, info.etag) == ("client", hashlib.md5(DATA).hexdigest())
            upload_id, parts = begun(driver, f"m-{first}", meta := fresh())
            assert inside(driver)._known.sums == "md5"
            assert parts[0].checksum == Checksum("md5", parts[0].etag)
            info = driver.finish_new(f"m-{first}", upload_id, parts, meta)
            assert (info.verified_by, info.checksum) == ("client", None)
            sent = [seen for seen in there.server.requests if seen.asked.member == "put_part"][-1]
            assert sent.asked.key == f"m-{first}"
            found = driver.head(f"m-{first}")
            assert found is not None
        driver = there.driver()
        put(driver, "k-first", DATA)
        before = there.asked("put_new")
        put(driver, "k-again", DATA)
        assert there.asked("put_new") == before + 1, "what was learnt is not asked again"


def test_a_store_that_wants_bodies_hashed_gets_the_hash() -> None:
    with served(switches=Switches(unsigned_payload=False)) as there:
        driver = there.driver()
        put(driver, "k", DATA)
        put(driver, "large", bytes((1 << 20) + 1))
        assert there.asked("put_new") == 3, "asked again once, and hashed from then on"
        assert inside(driver)._known.hashed
        told = there.driver(config=Config(s3={"payload_signing_enabled": True}))
        put(told, "third", DATA)
        assert there.asked("put_new") == 4


@pytest.mark.parametrize("switch", [{"checksums": "unsupported"}, {"unsigned_payload": "no"}])
def test_many_at_once_learn_what_a_store_does_not_take(switch: dict[str, str]) -> None:
    with served(switches=Switches.parsed(switch)) as there:
        driver, hold = there.driver(), Hold()
        there.cues.add(Cue(held(hold), member="put_new", times=8))
        with ThreadPoolExecutor(8) as pool:
            puts = [pool.submit(put, driver, f"k{number}", DATA) for number in range(8)]
            hold.wait_for(8)
            hold.release()
            infos = [each.result() for each in puts]
        assert {info.etag for info in infos} == {hashlib.md5(DATA).hexdigest()}
        assert there.asked("put_new") == 16


def test_what_is_sent_again_for_its_sum_is_created_once() -> None:
    with served(switches=Switches(checksums="unsupported")) as there:
        driver, meta = there.driver(), fresh()
        put(driver, "k", DATA, meta)
        with pytest.raises(Exists):
            put(there.driver(), "k", b"rival")
        assert driver.read("k", 0, 10_000, None) == DATA


# Looking


def test_a_key_that_is_not_there_and_a_bucket_that_is_not(there: Served) -> None:
    driver = there.driver()
    assert driver.head("k") is None
    assert there.asked("read") == 1, "a 404 to HEAD has no code: GET has"
    put(driver, "other")
    assert driver.head("k") is None
    assert there.asked("read") == 1, "the bucket is known to be there"
    with pytest.raises(Refused, match="no such bucket"):
        there.driver("nosuchbucket").head("k")
    with pytest.raises(Refused, match="no such bucket"):
        there.driver("nosuchbucket").capabilities()


def test_who_may_only_write_can_create_and_not_look() -> None:
    with served(may=all_but("head", "read")) as there:
        driver = there.driver()
        put(driver, "k")
        with pytest.raises(Refused) as forbidden:
            driver.head("k")
        assert forbidden.value.why == "access"
        with pytest.raises(Exists):
            put(driver, "k")


def test_ranges_are_what_was_asked_for_and_pinned(there: Served) -> None:
    driver = there.driver()
    etag = put(driver, "k", DATA).etag
    assert driver.read("k", 5, 9, etag) == DATA[5:9]
    assert driver.read("k", len(DATA) - 2, len(DATA) + 9, etag) == DATA[-2:]
    assert driver.read("k", len(DATA), len(DATA) + 9, etag) == b""
    assert driver.read("k", 3, 3, etag) == b""
    for start in (0, len(DATA) + 1):
        with pytest.raises(Changed):
            driver.read("k", start, start + 4, "0" * 32)
    with pytest.raises(Absent):
        driver.read("nothing", 0, 1, None)
    there.alter("read", headers={"content-range": "bytes 0-3/2048"})
    with pytest.raises(Lost):
        driver.read("k", 4, 8, None)


def test_a_versioned_bucket_is_guarded_and_its_versions_are_told() -> None:
    with served(versioning="enabled") as there:
        driver = there.driver()
        assert driver.capabilities().versioning == "enabled"
        info = put(driver, "k", DATA)
        assert info.version_id
        with pytest.raises(Exists):
            put(driver, "k")
        driver.remove("k", info.etag)
        assert driver.head("k") is None, "a delete marker is not an object"
        put(driver, "k", b"again")
        old = ObjectRef(driver.location, "k", version_id=info.version_id)
        driver.copy_new(old, "copy", fresh())
        assert driver.read("copy", 0, 10_000, None) == DATA


def test_who_may_not_see_the_versioning_may_write() -> None:
    with served(may=all_but("versioning")) as there:
        assert there.driver().capabilities().versioning == "unknown"


def test_a_removal_compares_the_etag_in_the_service_where_aws_documents_it(there: Served) -> None:
    driver = there.on_aws()
    etag = put(driver, "k").etag
    with pytest.raises(Changed):
        driver.remove("k", "0" * 32)

    def pinned(*_: object) -> None:
        """A rival comes between the look and the removal."""

    inside(driver)._look.pinned = pinned
    with pytest.raises(Changed):
        driver.remove("k", "0" * 32)
    assert driver.head("k") is not None
    driver.remove("k", etag)
    assert driver.head("k") is None


def test_listings_that_do_not_advance_end(there: Served) -> None:
    driver = there.driver()
    put(driver, "k")
    page = (
        b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
        b"</ListBucketResult>"
    )
    there.alter("scan", times=None, status=200, body=page)
    with pytest.raises(Lost, match="does not advance"):
        list(driver.scan("", "", ""))
    uploads = (
        b"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>"
        b"<NextUploadIdMarker>u</NextUploadIdMarker></ListMultipartUploadsResult>"
    )
    there.alter("scan_uploads", times=None, status=200, body=uploads)
    with pytest.raises(Lost, match="does not advance"):
        list(driver.scan_uploads(""))


def test_a_bucket_elsewhere_is_told_with_its_region() -> None:
    with served(switches=Switches(elsewhere={BUCKET: "eu-west-3"})) as there:
        driver = there.driver()
        with pytest.raises(Refused, match="eu-west-3"):
            put(driver, "k")
        with pytest.raises(Refused, match="eu-west-3"):
            driver.head("k")


# Options


def test_options_are_kept_or_refused(there: Served) -> None:
    until = datetime(2126, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    kept = ObjectOptions(
        tags={"a b": "c/d", "ü": "+"},
        storage_class="STANDARD_IA",
        encryption=Encryption("aws:kms", "arn:aws:kms:eu-central-1:111122223333:key/1"),
        acl="private",
    )
    driver = there.driver()
    for key, write in (("put", put), ("multipart", None)):
        meta = fresh(kept)
        if write is not None:
            write(driver, key, DATA, meta)
        else:
            upload_id, parts = begun(driver, key, meta)
            driver.finish_new(key, upload_id, parts, meta)
        found = driver.head(key)
        assert found is not None
        for name in ("tags", "storage_class", "encryption"):
            assert getattr(found.options, name) == getattr(kept, name)
    locked = fresh(ObjectOptions(retention=Retention("governance", until, legal_hold=True)))
    put(driver, "locked", DATA, locked)
    found = driver.head("locked")
    assert found is not None
    assert found.options.retention == locked.options.retention
    for refused_ in (
        ObjectOptions(encryption=Encryption("SM4")),
        ObjectOptions(encryption=Encryption("AES256", "key")),
        ObjectOptions(encryption=Encryption("AES256", customer_key=b"k" * 32)),
        ObjectOptions(request_payer="requester"),
        ObjectOptions(expected_bucket_owner="111122223333"),
        ObjectOptions(metadata={"a": "x" * 2010}),
    ):
        with pytest.raises(Unsupported):
            put(driver, "refused", DATA, fresh(refused_))
    with pytest.raises(Refused):
        put(
            driver, "refused", DATA, fresh(ObjectOptions(retention=Retention("governance", until.replace(tzinfo=None))))
        )
    assert driver.head("refused") is None


def test_a_customers_key_goes_with_everything(there: Served) -> None:
    driver, meta = there.driver(customer_key=b"k" * 32), fresh()
    put(driver, "k", DATA, meta)
    found = driver.head("k")
    assert found is not None
    assert found.write_id == meta.write_id
    assert driver.read("k", 0, 9, None) == DATA[:9]
    upload_id, parts = begun(driver, "m", meta)
    assert driver.finish_new("m", upload_id, parts, meta).verified_by == "store"
    driver.copy_new(ObjectRef(driver.location, "k"), "copy", fresh())
    assert driver.read("copy", 0, 9, None) == DATA[:9]
    with pytest.raises(Refused):
        there.driver().head("k")


def test_the_owner_and_the_payer_go_with_every_request(there: Served) -> None:
    driver = there.driver(request_payer="requester", expected_bucket_owner="111122223333")
    put(driver, "k", DATA, fresh(ObjectOptions(request_payer="requester")))
    with pytest.raises(Refused) as forbidden:
        there.driver(expected_bucket_owner="999999999999").head("k")
    assert forbidden.value.why == "access"


def test_a_presigned_url_reads(there: Served) -> None:
    driver = there.driver()
    put(driver, "a b/ü", DATA)
    from urllib.request import urlopen

    with urlopen(driver.presign("a b/ü", 60)) as answer:
        assert answer.read() == DATA
    for expires_s in (0, -1, 604_801):
        with pytest.raises(Refused):
            driver.presign("k", expires_s)


def test_a_session_that_ends_is_told() -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    with served(token="a-token", expires=past) as there:
        session = there.client(aws_access_key_id="AKIAserved", aws_secret_access_key="sEcReT-of-the-key")
        session._request_signer._credentials.token = "a-token"
        driver = S3Driver(session, BUCKET)
        with pytest.raises(Refused, match="sign in again") as expired:
            put(driver, "k")
        assert expired.value.why == "access"
        with pytest.raises(Refused, match="ExpiredToken"):
            driver.head("k")
        assert "a-token" not in str(expired.value)


def test_keys_that_cannot_be_sent_are_refused(there: Served) -> None:
    driver = there.driver()
    for key in ("..", ".", "x" * 1024, "lone \ud800"):
        with pytest.raises(Refused) as wrong:
            put(driver, key)
        assert wrong.value.why == "key"
    assert there.asked("put_new") == 0


def test_a_whole_of_parts_is_summed_without_their_bytes() -> None:
    first, second = b"a" * 3000, b"b" * 17
    pieces = [(nvme(first), len(first)), (nvme(second), len(second))]
    assert combine(pieces, "crc64nvme") == nvme(first + second)


def test_a_write_id_is_not_kept_from_another_meta(there: Served) -> None:
    driver = there.driver()
    with pytest.raises(Refused, match="library's own"):
        put(driver, "k", DATA, WriteMeta("w", ObjectOptions(metadata={"guardid": "x"})))
