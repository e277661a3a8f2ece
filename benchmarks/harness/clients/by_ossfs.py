"""ossfs, over oss2. It has no mode that only creates: the same work, without the promise."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

from benchmarks.harness.clients.base import Target, crcmod_facts

ossfs: Any = importlib.import_module("ossfs")
crcmod: Any = importlib.import_module("crcmod.crcmod")


class Ossfs:
    """An address as the endpoint makes oss2 name the bucket in the path; nothing here could ask for it."""

    def __init__(self, target: Target, options: dict[str, Any]) -> None:
        if options:
            raise ValueError(f"no options, but {', '.join(options)}")
        self._at = f"{target.bucket}/{target.prefix}"
        self._system: Any = ossfs.OSSFileSystem(
            key=target.access_key_id,
            secret=target.access_key_secret,
            endpoint=target.endpoint or f"https://oss-{target.region}.aliyuncs.com",
            skip_instance_cache=True,
        )

    @property
    def facts(self) -> dict[str, str]:
        named = {name: importlib.metadata.version(name) for name in ("ossfs", "fsspec", "oss2", "crcmod", "urllib3")}
        return {**named, **crcmod_facts(crcmod)}

    def create(self, key: str, data: bytes) -> None:
        self._system.pipe_file(self._at + key, data)

    def create_file(self, key: str, path: str) -> None:
        self._system.put(path, self._at + key)

    def pipe(self, objects: dict[str, bytes]) -> None:
        self._system.pipe({self._at + key: data for key, data in objects.items()})
