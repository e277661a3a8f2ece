"""Apache OpenDAL's services for OSS and S3. They make and compare no checksum."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path
from typing import Any

from benchmarks.harness.clients.base import Target

opendal: Any = importlib.import_module("opendal")


class Opendal:
    """`chunk` (bytes) and `concurrent` of a write if they are given; without a chunk all is one put."""

    def __init__(self, target: Target, options: dict[str, Any]) -> None:
        self._more = {name: value for name, value in options.items() if name in {"chunk", "concurrent"}}
        root = f"/{target.prefix}"
        self._operator: Any = opendal.Operator(target.service, bucket=target.bucket, root=root, **_where(target))

    @property
    def facts(self) -> dict[str, str]:
        return {"opendal": importlib.metadata.version("opendal"), "crc": "none"}

    def create(self, key: str, data: bytes) -> None:
        self._operator.write(key, data, if_not_exists=True, **self._more)

    def create_file(self, key: str, path: str) -> None:
        # OpenDAL's Python has no call that sends a file: it is read whole.
        self.create(key, Path(path).read_bytes())


def _where(target: Target) -> dict[str, Any]:
    """Without a key it takes one from the environment, by itself. `region` it only knows where it was given."""
    region = {} if target.region is None else {"region": target.region}
    if target.service == "oss":
        endpoint = target.endpoint or f"https://oss-{target.region}.aliyuncs.com"
        style = "path" if target.path_style else "virtual"
        return {"endpoint": endpoint, "addressing_style": style, **target.login, **region}
    names = {"access_key_id": "access_key_id", "access_key_secret": "secret_access_key"}
    login = {names[name]: value for name, value in target.login.items()}
    endpoint_url = {} if target.endpoint is None else {"endpoint": target.endpoint}
    # It reads "true" and "false", and no booleans.
    return {"enable_virtual_host_style": str(not target.path_style).lower(), **endpoint_url, **login, **region}
