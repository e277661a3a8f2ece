"""oss2, the first SDK of the service. Its CRC-64 is on, as it ships."""

from __future__ import annotations

import importlib
import importlib.metadata
import tempfile
from typing import Any

from benchmarks.harness.clients.base import TRUE, Target, crcmod_facts

oss2: Any = importlib.import_module("oss2")
crcmod: Any = importlib.import_module("crcmod.crcmod")


class Oss2:
    """`upload`: "put_object_from_file" or "resumable_upload", with `threads` and `part_bytes` if they are given."""

    def __init__(self, target: Target, options: dict[str, Any]) -> None:
        self._upload: str = options.get("upload", "put_object_from_file")
        names = {"threads": "num_threads", "part_bytes": "part_size"}
        self._more: dict[str, Any] = {names[name]: value for name, value in options.items() if name in names}
        self._prefix = target.prefix
        self._records = tempfile.TemporaryDirectory(prefix="oss2-records-")
        self._bucket: Any = oss2.Bucket(
            _auth(target),
            target.endpoint or f"https://oss-{target.region}.aliyuncs.com",
            target.bucket,
            region=target.region,
            is_path_style=target.path_style,
            session=oss2.Session(pool_size=options.get("connections")),
        )

    @property
    def facts(self) -> dict[str, str]:
        named = {name: importlib.metadata.version(name) for name in ("oss2", "crcmod", "requests", "urllib3")}
        return {**named, **crcmod_facts(crcmod)}

    def create(self, key: str, data: bytes) -> None:
        self._bucket.put_object(self._prefix + key, data, headers=dict(TRUE))

    def create_file(self, key: str, path: str) -> None:
        if self._upload == "put_object_from_file":
            self._bucket.put_object_from_file(self._prefix + key, path, headers=dict(TRUE))
        else:
            # It forgets the condition above its threshold: the same work, without the promise.
            store = oss2.ResumableStore(root=self._records.name)
            oss2.resumable_upload(self._bucket, self._prefix + key, path, store=store, headers=dict(TRUE), **self._more)


def _auth(target: Target) -> Any:
    if target.login:
        return oss2.AuthV4(target.access_key_id, target.access_key_secret)
    return oss2.ProviderAuthV4(oss2.credentials.EnvironmentVariableCredentialsProvider())
