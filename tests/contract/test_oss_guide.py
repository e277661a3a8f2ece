"""The service's own guide to not overwriting objects, operation by operation: as it does it, and as we do.

help.aliyun.com/en/oss/developer-reference/prevent-objects-from-being-overwritten-by-objects-that-have-the-same-names-2
"""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from storage_guard import ObjectExists, Store, open_store
from storage_guard.testing.server import Server, running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.oss import OSSDialect

oss2: Any = importlib.import_module("oss2")
credentials: Any = importlib.import_module("oss2.credentials")

pytestmark = [
    pytest.mark.filterwarnings(r"ignore:datetime\.datetime\.utcnow:DeprecationWarning:oss2"),
    # oss2 leaves the connections of some answers to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

KEY_ID, SECRET, REGION = "LTAIguide", "secret-of-the-guide", "cn-hangzhou"
SOURCES, BUCKET = "guide-sources", "guide"
PART_BYTES = 100 * 1024
LARGE = os.urandom(2 * PART_BYTES + 1000)
FORBID = {"x-oss-forbid-overwrite": "true"}


@dataclass(frozen=True)
class Guide:
    server: Server
    state: Buckets
    file: Path

    def plain(self, name: str = BUCKET) -> Any:
        auth = oss2.ProviderAuthV4(credentials.EnvironmentVariableCredentialsProvider())
        return oss2.Bucket(auth, self.server.url, name, region=REGION)

    def ours(self, name: str = BUCKET) -> Store:
        return open_store(f"oss://{name}", endpoint=self.server.url, region=REGION)

    def at(self, key: str) -> tuple[bytes, str]:
        """The bytes that are there, and their etag, for a server with nothing to do."""
        content = self.state[BUCKET].find(key).content
        assert content is not None
        return b"".join(bytes(window) for window in content.blob.windows()), content.etag


@pytest.fixture
def guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guide]:
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "OSS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", SECRET)
    (tmp_path / "local.bin").write_bytes(LARGE)
    state = Buckets([SOURCES, BUCKET])
    dialect = OSSDialect(state, credentials=Credentials([Credential(KEY_ID, SECRET)]), region=REGION)
    with running(dialect) as server:
        found = Guide(server, state, tmp_path / "local.bin")
        sources = found.plain(SOURCES)
        sources.put_object("small", b"a small object")
        sources.put_object("large", LARGE)
        sources.session.session.close()
        yield found
        gc.collect()  # what oss2 left open is closed here, and not in a test that minds


# As the guide does it


def simple_upload(guide: Guide, bucket: Any) -> bytes:
    del guide
    told = bucket.put_object("key", "what it holds", headers=FORBID)
    assert told.status == 200
    assert all((told.request_id, told.etag, told.headers["date"]))
    return b"what it holds"


def copy_of_a_small_object(guide: Guide, bucket: Any) -> bytes:
    del guide
    told = bucket.copy_object(SOURCES, "small", "key", headers=FORBID)
    assert told.status == 200
    return b"a small object"


def copy_of_a_large_object(guide: Guide, bucket: Any) -> bytes:
    sources = guide.plain(SOURCES)
    size = sources.head_object("large").content_length
    part_size = oss2.determine_part_size(size, preferred_size=PART_BYTES)
    upload_id = bucket.init_multipart_upload("key", headers=FORBID).upload_id
    parts: list[Any] = []
    for number, start in enumerate(range(0, size, part_size), 1):
        span = (start, min(start + part_size, size) - 1)
        told = bucket.upload_part_copy(SOURCES, "large", span, "key", upload_id, number)
        parts.append(oss2.models.PartInfo(number, told.etag))
    told = bucket.complete_multipart_upload("key", upload_id, parts, headers=FORBID)
    sources.session.session.close()
    assert told.status == 200
    return LARGE


def multipart_upload(guide: Guide, bucket: Any) -> bytes:
    size = guide.file.stat().st_size
    part_size = oss2.determine_part_size(size, preferred_size=PART_BYTES)
    upload_id = bucket.init_multipart_upload("key", headers=FORBID).upload_id
    parts: list[Any] = []
    with guide.file.open("rb") as file:
        for number, start in enumerate(range(0, size, part_size), 1):
            some = oss2.SizedFileAdapter(file, min(part_size, size - start))
            told = bucket.upload_part("key", upload_id, number, some)
            parts.append(oss2.models.PartInfo(number, told.etag))
    told = bucket.complete_multipart_upload("key", upload_id, parts, headers=FORBID)
    assert told.status == 200
    assert bucket.get_object("key").read() == guide.file.read_bytes()
    return LARGE


@pytest.mark.parametrize("operation", [simple_upload, copy_of_a_small_object, copy_of_a_large_object, multipart_upload])
def test_the_guides_way_works_once(guide: Guide, operation: Callable[[Guide, Any], bytes]) -> None:
    bucket = guide.plain()
    written = operation(guide, bucket)
    before = guide.at("key")
    assert before[0] == written
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        operation(guide, bucket)
    assert (caught.value.status, caught.value.code) == (409, "FileAlreadyExists")
    assert guide.at("key") == before
    bucket.session.session.close()


# As we do it


def create(guide: Guide, store: Store) -> bytes:
    del guide
    store.create("key", b"what it holds")
    return b"what it holds"


def copy_small(guide: Guide, store: Store) -> bytes:
    with guide.ours(SOURCES) as sources:
        store.copy((sources, "small"), "key")
    return b"a small object"


def copy_large(guide: Guide, store: Store) -> bytes:
    with guide.ours(SOURCES) as sources:
        store.copy((sources, "large"), "key")
    return LARGE


def create_from_a_file(guide: Guide, store: Store) -> bytes:
    store.create("key", guide.file)
    return LARGE


@pytest.mark.parametrize("operation", [create, copy_small, copy_large, create_from_a_file])
def test_ours_is_one_call_and_works_once(guide: Guide, operation: Callable[[Guide, Store], bytes]) -> None:
    with guide.ours() as store:
        written = operation(guide, store)
        before = guide.at("key")
        assert before[0] == store.read("key") == written
        with pytest.raises(ObjectExists):
            operation(guide, store)
        assert guide.at("key") == before


def test_ours_in_parts_is_refused_before_a_byte_goes_up(guide: Guide) -> None:
    endpoint: dict[str, Any] = {"endpoint": guide.server.url, "region": REGION}
    with open_store(f"oss://{BUCKET}", part_bytes=PART_BYTES, multipart_from_bytes=PART_BYTES, **endpoint) as store:
        assert store.create("key", guide.file).parts == 3
        before, asked = guide.at("key"), len(guide.server.requests)
        with pytest.raises(ObjectExists):
            store.create("key", guide.file)
        later = [seen.asked.member for seen in guide.server.requests[asked:]]
    assert guide.at("key") == before
    assert not {"put_new", "put_part", "finish_new"} & set(later)
