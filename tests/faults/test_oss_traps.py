"""What plain oss2 lets happen with the condition set, as its users set it; and the same beside it, by a Store."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from faults.oss_world import KEY_ID, REGION, SECRET, world
from faults.served_world import BUCKET, RIVAL, World
from storage_guard import GuaranteeMissing, ObjectDamaged, ObjectExists, OutcomeUnknown, Store
from storage_guard.testing import FakeClock
from storage_guard.testing.server import (
    Action,
    Answer,
    Asked,
    Cue,
    altered,
    cut_after_acting,
    cut_before_acting,
)

oss2: Any = importlib.import_module("oss2")
oss: Any = importlib.import_module("alibabacloud_oss_v2")

pytestmark = [
    pytest.mark.filterwarnings(r"ignore:datetime\.datetime\.utcnow:DeprecationWarning:oss2"),
    # Both SDKs leave the connections of some answers to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

FORBID = {"x-oss-forbid-overwrite": "true"}
OURS = bytes(range(250))


@pytest.fixture
def there() -> Iterator[World]:
    with world() as found:
        yield found
        gc.collect()  # what the SDKs left open is closed here, and not in a test that minds


@pytest.fixture
def plain(there: World) -> Iterator[Any]:
    bucket = oss2.Bucket(oss2.AuthV4(KEY_ID, SECRET), there.server.url, BUCKET, region=REGION)
    yield bucket
    bucket.session.session.close()


@pytest.fixture
def store(there: World) -> Store:
    return Store(there.patient, part_bytes=100, multipart_from_bytes=200, clock=FakeClock())


def data_at(there: World, key: str) -> bytes | None:
    found = there.at(key)
    return None if found is None else found.data


def a_rival_at(there: World, member: str) -> None:
    """Another creates the object just before such a request is carried out."""

    def come(asked: Asked) -> Action | None:
        if asked.member == member:
            there.come(asked.key)
        return None

    there.server.cues.on_request = come


# A condition that is lost on the way


def test_resumable_upload_overwrites_a_rival_that_came_after_its_beginning(
    there: World, plain: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(OURS)
    a_rival_at(there, "finish_new")
    told = oss2.resumable_upload(
        plain,
        "k",
        str(tmp_path / "file"),
        store=oss2.ResumableStore(root=str(tmp_path)),
        headers=FORBID,
        multipart_threshold=200,
        part_size=100,
        num_threads=1,
    )
    assert told.status == 200
    assert data_at(there, "k") == OURS
    assert [each.replaced for each in there.ledger.landings] == [True]


@pytest.mark.parametrize("member", ["begin", "put_part", "finish_new"])
def test_ours_leaves_the_rival_alone_whenever_it_comes(there: World, store: Store, tmp_path: Path, member: str) -> None:
    (tmp_path / "file").write_bytes(OURS)
    a_rival_at(there, member)
    with pytest.raises(ObjectExists):
        store.create("k", tmp_path / "file")
    assert data_at(there, "k") == RIVAL
    assert not there.ledger.landings
    assert not there.bucket.uploads


# An answer that is lost


def by_hand(there: World, plain: Any) -> None:
    """Sent again by whoever heard nothing."""
    del there
    with pytest.raises(oss2.exceptions.RequestError):
        plain.put_object("k", OURS, headers=FORBID)
    plain.put_object("k", OURS, headers=FORBID)


def by_itself(there: World, plain: Any) -> None:
    """The newer SDK sends again without being asked."""
    del plain
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(KEY_ID, SECRET)
    config.region, config.endpoint, config.use_path_style = REGION, there.server.url, True
    client = oss.Client(config)
    client.put_object(oss.PutObjectRequest(bucket=BUCKET, key="k", body=OURS, forbid_overwrite=True))


def code_of(error: Any) -> str:
    found = error.unwrap().code if isinstance(error, oss.exceptions.OperationError) else error.code
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize("send", [by_hand, by_itself])
def test_the_winner_is_told_that_it_lost(there: World, plain: Any, send: Callable[[World, Any], None]) -> None:
    there.server.cues.add(Cue(cut_after_acting(), member="put_new"))
    with pytest.raises((oss2.exceptions.ServerError, oss.exceptions.OperationError)) as caught:
        send(there, plain)
    assert code_of(caught.value) == "FileAlreadyExists"
    assert data_at(there, "k") == OURS


def test_ours_is_told_that_it_won(there: World, store: Store) -> None:
    there.server.cues.add(Cue(cut_after_acting(), member="put_new"))
    receipt = store.create("k", OURS[:100])
    assert (receipt.outcome, receipt.resolved, receipt.attempts) == ("created", True, 1)
    assert data_at(there, "k") == OURS[:100]


def test_a_refusal_has_no_class_of_its_own(there: World, plain: Any) -> None:
    there.come("k")
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        plain.put_object("k", OURS, headers=FORBID)
    assert caught.value.status == 409
    assert not isinstance(caught.value, oss2.exceptions.Conflict | oss2.exceptions.ObjectAlreadyExists)


def test_ours_is_a_file_exists_error(there: World, store: Store) -> None:
    there.come("k")
    with pytest.raises(FileExistsError):
        store.create("k", OURS)


# A condition that does not count


@pytest.mark.parametrize("state", ["enabled", "suspended"])
def test_a_bucket_that_had_versioning_is_overwritten_in_silence(
    there: World, plain: Any, state: Literal["enabled", "suspended"]
) -> None:
    there.come("k")
    there.bucket.versioning = state
    assert plain.put_object("k", OURS, headers=FORBID).status == 200
    assert data_at(there, "k") == OURS


@pytest.mark.parametrize("state", ["enabled", "suspended"])
@pytest.mark.parametrize("data", [b"", OURS[:100], OURS], ids=["empty", "small", "parts"])
def test_ours_refuses_such_a_bucket_before_the_first_byte(
    there: World, store: Store, state: Literal["enabled", "suspended"], data: bytes
) -> None:
    there.come("k")
    there.bucket.versioning = state
    with pytest.raises(GuaranteeMissing, match=state):
        store.create("k", data)
    assert data_at(there, "k") == RIVAL
    assert {seen.asked.member for seen in there.server.requests} == {"versioning"}


# Other bytes than were sent


def of_other_bytes(answer: Answer) -> Answer:
    return replace(answer, headers={**answer.headers, "x-oss-hash-crc64ecma": "17"})


def test_a_checksum_that_differs_is_told_as_a_failure_and_the_object_is_there(there: World, plain: Any) -> None:
    there.server.cues.add(Cue(altered(of_other_bytes), member="put_new"))
    with pytest.raises(oss2.exceptions.InconsistentError):
        plain.put_object("k", OURS, headers=FORBID)
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        plain.put_object("k", OURS, headers=FORBID)
    assert caught.value.code == "FileAlreadyExists"


def test_ours_says_that_it_is_there_and_damaged(there: World, store: Store) -> None:
    there.server.cues.add(Cue(altered(of_other_bytes), member="put_new"))
    with pytest.raises(ObjectDamaged, match="our object is there"):
        store.create("k", OURS[:100])
    assert data_at(there, "k") == OURS[:100]


# A refusal within an answer that says 200


def said_late(answer: Answer) -> Answer:
    """The head went out while the service was still at work."""
    return replace(answer, status=200)


def test_an_error_within_a_200_is_told_as_success(there: World, plain: Any) -> None:
    upload_id = plain.init_multipart_upload("k", headers=FORBID).upload_id
    part = oss2.models.PartInfo(1, plain.upload_part("k", upload_id, 1, OURS).etag)
    there.come("k")
    there.server.cues.add(Cue(altered(said_late), member="finish_new"))
    told = plain.complete_multipart_upload("k", upload_id, [part], headers=FORBID)
    assert told.status == 200
    assert b"FileAlreadyExists" in told.resp.read()
    assert data_at(there, "k") == RIVAL


def test_ours_reads_the_answer_to_its_end(there: World, store: Store) -> None:
    def late(asked: Asked) -> Action | None:
        if asked.member != "finish_new":
            return None
        there.come(asked.key)
        return altered(said_late)

    there.server.cues.on_request = late
    with pytest.raises(ObjectExists):
        store.create("k", OURS)
    assert [seen.status for seen in there.server.requests if seen.asked.member == "finish_new"] == [200]
    assert data_at(there, "k") == RIVAL


# Nobody knows


def test_ours_says_so_where_nobody_can_know_and_settles_it_later(there: World, store: Store) -> None:
    there.server.cues.add(Cue(cut_after_acting(), member="put_new", times=None))
    looking = there.server.cues.add(Cue(cut_before_acting(), member="head", times=None))
    with pytest.raises(OutcomeUnknown) as caught:
        store.create("k", OURS[:100], deadline_s=5)
    there.server.cues.remove(looking)
    assert caught.value.ticket is not None
    assert store.settle(caught.value.ticket).outcome == "created"
    assert data_at(there, "k") == OURS[:100]
