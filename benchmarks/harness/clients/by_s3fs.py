"""s3fs, over aiobotocore. The condition goes with put and with complete, where it is asked for."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

from benchmarks.harness.clients.base import Target

s3fs: Any = importlib.import_module("s3fs")


class S3fs:
    """`part_bytes` and `threads` (how many at a time) of `put`, if they are given. `promise=False`: it writes over what
    is there, as it does when nobody asks for anything else."""

    def __init__(self, target: Target, options: dict[str, Any]) -> None:
        self._at = f"{target.bucket}/{target.prefix}"
        names = {"part_bytes": "chunksize", "threads": "max_concurrency"}
        self._more: dict[str, Any] = {names[name]: value for name, value in options.items() if name in names}
        self._mode = {"mode": "create"} if options.get("promise", True) else {}
        config: dict[str, Any] = {"s3": {"addressing_style": "path"}} if target.path_style else {}
        if "threads" in options:
            config["max_pool_connections"] = options["threads"]
        self._system: Any = s3fs.S3FileSystem(
            key=target.access_key_id,
            secret=target.access_key_secret,
            endpoint_url=target.endpoint,
            client_kwargs={"region_name": target.region} if target.region else {},
            config_kwargs=config,
            skip_instance_cache=True,
        )

    @property
    def facts(self) -> dict[str, str]:
        named = {name: importlib.metadata.version(name) for name in ("s3fs", "aiobotocore", "botocore", "aiohttp")}
        return {**named, "crc": "CRC-32, as shipped"}

    def create(self, key: str, data: bytes) -> None:
        self._system.pipe_file(self._at + key, data, **self._mode)

    def create_file(self, key: str, path: str) -> None:
        self._system.put_file(path, self._at + key, **self._mode, **self._more)

    def pipe(self, objects: dict[str, bytes]) -> None:
        self._system.pipe({self._at + key: data for key, data in objects.items()}, **self._mode)
