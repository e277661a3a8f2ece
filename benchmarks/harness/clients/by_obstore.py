"""obstore, which is Rust's object_store. It makes a checksum only where it is told to; here it is not."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path
from typing import Any

from benchmarks.harness.clients.base import Target

obstore: Any = importlib.import_module("obstore")
stores: Any = importlib.import_module("obstore.store")


class Obstore:
    """`chunk_size` (bytes) and `max_concurrency` of a put if they are given. `promise`: on the condition that the key
    is free, which it knows for a single request only, so that a file of any size is one. `unsigned`: nothing is
    signed, which spares it the SHA-256 of all that it sends."""

    def __init__(self, target: Target, options: dict[str, Any]) -> None:
        self._prefix = target.prefix
        self._promise = bool(options.get("promise"))
        self._more = {name: value for name, value in options.items() if name in {"chunk_size", "max_concurrency"}}
        where: dict[str, Any] = {"virtual_hosted_style_request": not target.path_style}
        if target.region is not None:
            where["region"] = target.region
        if target.endpoint is not None:
            where |= {"endpoint": target.endpoint}
            where |= {"client_options": {"allow_http": target.endpoint.startswith("http:")}}
        if options.get("unsigned"):
            where["skip_signature"] = True
        elif target.login:
            where |= {"access_key_id": target.access_key_id, "secret_access_key": target.access_key_secret}
        self._store: Any = stores.S3Store(target.bucket, **where)

    @property
    def facts(self) -> dict[str, str]:
        return {"obstore": importlib.metadata.version("obstore"), "crc": "none"}

    def create(self, key: str, data: bytes) -> None:
        obstore.put(self._store, self._prefix + key, data, mode="create")

    def create_file(self, key: str, path: str) -> None:
        if self._promise:
            obstore.put(self._store, self._prefix + key, Path(path), mode="create", use_multipart=False)
        else:
            # In parts it takes no condition: the same work, without the promise.
            obstore.put(self._store, self._prefix + key, Path(path), **self._more)
