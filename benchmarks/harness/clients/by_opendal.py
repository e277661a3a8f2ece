"""Apache OpenDAL's OSS service. It makes and compares no checksum."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterable
from typing import Any

from benchmarks.harness.clients.base import Target

opendal: Any = importlib.import_module("opendal")


class Opendal:
    """`chunk` (bytes) and `concurrent` of a write if they are given; without a chunk all is one put."""

    def __init__(self, target: Target, options: dict[str, Any]) -> None:
        self._more = {name: value for name, value in options.items() if name in {"chunk", "concurrent"}}
        self._operator: Any = opendal.Operator(
            "oss",
            bucket=target.bucket,
            endpoint=target.endpoint,
            region=target.region,
            access_key_id=target.access_key_id,
            access_key_secret=target.access_key_secret,
            addressing_style="path",
        )

    @property
    def facts(self) -> dict[str, str]:
        return {"opendal": importlib.metadata.version("opendal"), "crc": "none"}

    def create(self, key: str, data: bytes) -> None:
        self._operator.write(key, data, if_not_exists=True, **self._more)

    def create_file(self, key: str, path: str) -> None:
        raise NotImplementedError("OpenDAL's Python has no call that sends a file")

    def create_many(self, items: Iterable[tuple[str, bytes]]) -> Iterable[Exception | None]:
        raise NotImplementedError("OpenDAL's Python has no such call")
