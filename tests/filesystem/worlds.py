"""Where the filesystem is tried: each store by its protocol. A new one is a function and a line in WORLDS."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage_guard import Store, open_store
from storage_guard.testing.server import running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.oss import OSSDialect
from storage_guard.testing.server.s3 import S3Dialect

fsspec: Any = importlib.import_module("fsspec")
registry: Any = importlib.import_module("fsspec.registry")

KEY_ID, SECRET, REGION, BUCKET = "LTAIfilesystem", "secret-of-the-filesystem", "cn-hangzhou", "filesystem"


@dataclass(frozen=True)
class World:
    """A folder that nobody else uses: its URL and its path in the filesystem, and where it is past that: the store's
    URL and the beginning of its keys. `options` are those of the filesystem and of `open_store`."""

    base_url: str
    base: str
    store_url: str
    prefix: str = ""
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

    def create(self, name: str, data: bytes) -> None:
        """As a rival."""
        self._store().create(self.prefix + name, data)

    def remove(self, name: str) -> None:
        self._store().remove(self.prefix + name)

    def read(self, name: str) -> bytes:
        """What is really there."""
        return self._store().read(self.prefix + name)

    def names(self) -> list[str]:
        return [each.key.removeprefix(self.prefix) for each in self._store().scan(self.prefix)]

    def _store(self) -> Store:
        if self.store_url not in _stores:
            _stores[self.store_url] = _open.enter_context(open_store(self.store_url, **self.options))
        return _stores[self.store_url]


def memory(_: Path) -> World:
    name = f"world-{uuid.uuid4().hex}"
    return World(f"guard::memory://{name}", f"/{name}", f"memory://{name}")


def file(folder: Path) -> World:
    return World(f"guardfile://{folder}/data", f"guardfile:{folder}/data", f"{folder}/data")


def oss(_: Path) -> World:
    options = {"endpoint": served("oss"), "region": REGION, "access_key_id": KEY_ID, "access_key_secret": SECRET}
    return in_bucket("oss", options)


def s3(_: Path) -> World:
    options = {"endpoint_url": served("s3"), "region": REGION, "access_key_id": KEY_ID, "secret_access_key": SECRET}
    return in_bucket("s3", options)


WORLDS: dict[str, Callable[[Path], World]] = {"memory": memory, "file": file, "oss": oss, "s3": s3}

# One server for all of a process: what an unknown S3 does is examined at the first write, and remembered in the bucket.
_open = ExitStack()
_addresses: dict[str, str] = {}
_stores: dict[str, Store] = {}


def served(scheme: str) -> str:
    """The address of the loopback service."""
    if scheme not in _addresses:
        dialect = {"oss": OSSDialect, "s3": S3Dialect}[scheme]
        known = Credentials([Credential(KEY_ID, SECRET)])
        server = _open.enter_context(running(dialect(Buckets([BUCKET]), credentials=known, region=REGION)))
        _addresses[scheme] = server.url
    return _addresses[scheme]


def close_all() -> None:
    _open.close()
    _addresses.clear()
    _stores.clear()


def in_bucket(scheme: str, options: dict[str, Any]) -> World:
    name = f"{BUCKET}/{uuid.uuid4().hex}"
    return World(f"guard{scheme}://{name}", name, f"{scheme}://{BUCKET}", f"{name.partition('/')[2]}/", options)
