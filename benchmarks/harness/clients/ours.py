"""This library. CRC-64 is always on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pycurl

from benchmarks.harness.clients.base import Target
from storage_guard import Receipt, open_store


class Ours:
    def __init__(self, target: Target, options: dict[str, Any]) -> None:
        self._in_flight: int | None = options.get("in_flight")
        self._store = open_store(
            f"oss://{target.bucket}",
            endpoint=target.endpoint,
            region=target.region,
            access_key_id=target.access_key_id,
            access_key_secret=target.access_key_secret,
            path_style=True,
            **{name: value for name, value in options.items() if name in {"part_bytes", "in_flight"}},
        )

    @property
    def facts(self) -> dict[str, str]:
        named = {name: version(name) for name in ("storage-guard", "fastcrc", "oss2")}
        return {**named, "pycurl": pycurl.version, "crc": "fastcrc"}

    def create(self, key: str, data: bytes) -> None:
        self._store.create(key, data)

    def create_file(self, key: str, path: str) -> None:
        self._store.create(key, Path(path))

    def create_many(self, items: Iterable[tuple[str, bytes]]) -> Iterator[Exception | None]:
        for result in self._store.create_many(items, in_flight=self._in_flight):
            yield None if isinstance(result, Receipt) else result
