"""Where the filesystem is tried: each store by its protocol. A new one is a function and a line in WORLDS."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec

from storage_guard import Store, open_store
from storage_guard.testing.server import running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.oss import OSSDialect

KEY_ID, SECRET, REGION, BUCKET = "LTAIfilesystem", "secret-of-the-filesystem", "cn-hangzhou", "filesystem"


@dataclass(frozen=True)
class World:
    """`base` is a path of the filesystem that nobody else uses. `options` are its storage options, `store_options`
    those of `open_store`, for a look past the filesystem."""

    protocol: str
    base: str
    store_url: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    def url(self, name: str = "") -> str:
        """For who takes URLs."""
        return f"{self.protocol}{self.path(name)}"

    def path(self, name: str = "") -> str:
        """For who has the filesystem."""
        return f"{self.base}/{name}" if name else self.base

    def fs(self, **options: Any) -> Any:
        """A filesystem. Options of ours beside those of the world."""
        return fsspec.core.url_to_fs(self.url("x"), **self.with_options(**options))[0]

    def with_options(self, **options: Any) -> dict[str, Any]:
        return {**self.options, **options}

    @contextmanager
    def store(self) -> Generator[Store]:
        """What is really there."""
        with open_store(self.store_url, **self.options) as store:
            yield store

    def keys(self) -> list[str]:
        with self.store() as store:
            return [each.key for each in store.scan()]

    def read(self, name: str) -> bytes:
        with self.store() as store:
            return store.read(name)


@contextmanager
def memory(_: Path) -> Generator[World]:
    name = f"world-{uuid.uuid4().hex}"
    yield World("guard::memory:/", f"/{name}", f"memory://{name}")


@contextmanager
def file(folder: Path) -> Generator[World]:
    yield World("guardfile://", f"{folder}/data", f"{folder}/data")


@contextmanager
def oss(_: Path) -> Generator[World]:
    known = Credentials([Credential(KEY_ID, SECRET)])
    with running(OSSDialect(Buckets([BUCKET]), credentials=known, region=REGION)) as server:
        options = {"endpoint": server.url, "region": REGION, "access_key_id": KEY_ID, "access_key_secret": SECRET}
        yield World("guardoss://", f"{BUCKET}/data", f"oss://{BUCKET}/data", options)


WORLDS: dict[str, Callable[[Path], AbstractContextManager[World]]] = {"memory": memory, "file": file, "oss": oss}
