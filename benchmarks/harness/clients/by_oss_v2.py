"""alibabacloud-oss-v2, the second SDK of the service. Its CRC-64 is on, as it ships."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

from benchmarks.harness.clients.base import Target, crcmod_facts

oss: Any = importlib.import_module("alibabacloud_oss_v2")
crcmod: Any = importlib.import_module("crcmod.crcmod")


class OssV2:
    """`parallel` and `part_bytes` of the Uploader if they are given."""

    def __init__(self, target: Target, options: dict[str, Any]) -> None:
        config: Any = oss.config.load_default()
        if target.login:
            config.credentials_provider = oss.credentials.StaticCredentialsProvider(
                target.access_key_id, target.access_key_secret
            )
        else:
            config.credentials_provider = oss.credentials.EnvironmentVariableCredentialsProvider()
        config.region = target.region
        config.endpoint = target.endpoint
        config.use_path_style = target.path_style
        names = {"parallel": "parallel_num", "part_bytes": "part_size"}
        more = {names[name]: value for name, value in options.items() if name in names}
        self._bucket, self._prefix = target.bucket, target.prefix
        self._client: Any = oss.Client(config)
        self._uploader: Any = self._client.uploader(**more)

    @property
    def facts(self) -> dict[str, str]:
        packages = ("alibabacloud-oss-v2", "crcmod-plus", "requests", "urllib3")
        return {**{name: importlib.metadata.version(name) for name in packages}, **crcmod_facts(crcmod)}

    def create(self, key: str, data: bytes) -> None:
        self._client.put_object(self._request(key, data))

    def create_file(self, key: str, path: str) -> None:
        self._uploader.upload_file(self._request(key), path)

    def _request(self, key: str, data: bytes | None = None) -> Any:
        whole = self._prefix + key
        return oss.PutObjectRequest(bucket=self._bucket, key=whole, body=data, forbid_overwrite=True)
