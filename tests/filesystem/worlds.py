"""Where the filesystem is tried: each store by its protocol. A new one is a function and a line in WORLDS."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage_guard import Store, open_store
from storage_guard.testing.server import running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.oss import OSSDialect

fsspec: Any = importlib.import_module("fsspec")
registry: Any = importlib.import_module("fsspec.registry")

KEY_ID, SECRET, REGION, BUCKET = "LTAIfilesystem", "secret-of-the-filesystem", "cn-hangzhou", "filesystem"


@dataclass(frozen=True)
class World:
    """A folder that nobody else uses: its URL, its path in the filesystem, and the URL of a store with just that.
    `options` are those of the filesystem and of `open_store`."""

    base_url: str
    base: str
    store_url: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    def url(self, name: str = "") -> str:
        """For who takes URLs."""
        return f"{self.base_url}/{name}" if name else self.base_url

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

    def names(self) -> list[str]:
        with self.store() as store:
            return [each.key for each in store.scan()]

    def read(self, name: str) -> bytes:
        with self.store() as store:
            return store.read(name)


@contextmanager
def memory(_: Path) -> Generator[World]:
    name = f"world-{uuid.uuid4().hex}"
    yield World(f"guard::memory://{name}", f"/{name}", f"memory://{name}")


@contextmanager
def file(folder: Path) -> Generator[World]:
    yield World(f"guardfile://{folder}/data", f"guardfile:{folder}/data", f"{folder}/data")


@contextmanager
def oss(_: Path) -> Generator[World]:
    known = Credentials([Credential(KEY_ID, SECRET)])
    with running(OSSDialect(Buckets([BUCKET]), credentials=known, region=REGION)) as server:
        options = {"endpoint": server.url, "region": REGION, "access_key_id": KEY_ID, "access_key_secret": SECRET}
        yield World(f"guardoss://{BUCKET}/data", f"{BUCKET}/data", f"oss://{BUCKET}/data", options)


WORLDS: dict[str, Callable[[Path], AbstractContextManager[World]]] = {"memory": memory, "file": file, "oss": oss}
