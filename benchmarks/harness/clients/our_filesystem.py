"""This library's fsspec filesystem: `guardoss` and `guards3`. The store is examined before anything else."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import fsspec

from benchmarks.harness.clients.base import Target
from benchmarks.harness.clients.ours import where


class OurFileSystem:
    def __init__(self, target: Target, options: dict[str, Any]) -> None:
        if options:
            raise ValueError(f"no options, but {', '.join(options)}")
        self._at = f"{target.bucket}/{target.prefix}"
        self._sdk = {"oss": "oss2", "s3": "boto3"}[target.service]
        self._system: Any = fsspec.filesystem(
            f"guard{target.service}", skip_instance_cache=True, **where(target, examined=True)
        )
        self._system.places.folder_at(self._at)[0].check()

    @property
    def facts(self) -> dict[str, str]:
        return {name: version(name) for name in ("storage-guard", "fsspec", self._sdk)}

    def create(self, key: str, data: bytes) -> None:
        self._system.pipe_file(self._at + key, data)

    def create_file(self, key: str, path: str) -> None:
        self._system.put(path, self._at + key)

    def pipe(self, objects: dict[str, bytes]) -> None:
        self._system.pipe({self._at + key: data for key, data in objects.items()})
