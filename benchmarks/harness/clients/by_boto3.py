"""boto3, the SDK of S3. Its checksums are those it ships with."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

from benchmarks.harness.clients.base import Target

boto3: Any = importlib.import_module("boto3")
transfer: Any = importlib.import_module("boto3.s3.transfer")
config: Any = importlib.import_module("botocore.config")


class Boto3:
    """`part_bytes` and `threads` of `upload_file`, if they are given; with `threads`, as many connections."""

    def __init__(self, target: Target, options: dict[str, Any]) -> None:
        self._bucket, self._prefix = target.bucket, target.prefix
        names = {"threads": "max_concurrency", "part_bytes": "multipart_chunksize"}
        more = {names[name]: value for name, value in options.items() if name in names}
        self._config: Any = transfer.TransferConfig(**more)
        style: dict[str, Any] = {"s3": {"addressing_style": "path"}} if target.path_style else {}
        if "threads" in options:
            style["max_pool_connections"] = options["threads"]
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=target.endpoint,
            region_name=target.region,
            aws_access_key_id=target.access_key_id,
            aws_secret_access_key=target.access_key_secret,
            config=config.Config(**style),
        )

    @property
    def facts(self) -> dict[str, str]:
        named = {name: importlib.metadata.version(name) for name in ("boto3", "botocore", "s3transfer", "urllib3")}
        return {**named, "crc": "CRC-32, as shipped"}

    def create(self, key: str, data: bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data, IfNoneMatch="*")

    def create_file(self, key: str, path: str) -> None:
        # It takes no condition: the same work, without the promise.
        self._client.upload_file(path, self._bucket, self._prefix + key, Config=self._config)
