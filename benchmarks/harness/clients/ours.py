"""This library. Its checksum is always on."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from benchmarks.harness.clients.base import Target
from storage_guard import GuaranteeWarning, Receipt, Store, open_store

_ONE_PUT_BYTES = 1 << 62  # what is smaller goes in one request
_LANES = 64
_KIB = 1024


class Ours:
    """`examined`: the store is asked whether it keeps the condition, as a user's is; once, and before anything else."""

    def __init__(self, target: Target, options: dict[str, Any]) -> None:
        self._target = target
        examined = bool(options.get("examined"))
        if target.login and not examined:
            warnings.simplefilter("ignore", GuaranteeWarning)  # see `_enforcement`
        self._many: int | None = options.get("in_flight")
        self._settings: dict[str, Any] = {}
        more = {name: options[name] for name in ("part_bytes", "in_flight") if name in options}
        url = f"{target.service}://{target.bucket}/{target.prefix}".rstrip("/")
        self._first = open_store(url, **where(target, examined=examined), **more)
        self._store = self._first
        if examined:
            self._store.check()

    @property
    def facts(self) -> dict[str, str]:
        sdk, crc = ("oss2", "fastcrc") if self._target.service == "oss" else ("boto3", "awscrt")
        versions = {name: version(name) for name in ("storage-guard", sdk, crc)}
        return {**versions, "tls": ssl.OPENSSL_VERSION, "crc": crc}

    def set(self, settings: dict[str, Any]) -> None:
        """All share one driver and its connections."""
        self._settings = settings
        options: dict[str, Any] = {
            name: settings[name] for name in ("part_bytes", "in_flight", "memory_bytes") if name in settings
        }
        if settings.get("one_put"):
            options["multipart_from_bytes"] = _ONE_PUT_BYTES
        elif "part_bytes" in settings:
            options["multipart_from_bytes"] = 1
        self._store = Store(
            self._first.driver, prefix=self._target.prefix, enforcement=_enforcement(self._target), **options
        )

    def warm(self, key: str) -> None:
        self._store.check()  # what a Store asks once
        if self._settings.get("copies"):  # and before it copies
            self._store.create(f"{key}-source", b"x")
            self._store.copy(f"{key}-source", f"{key}-copy")
        least_bytes = max(100 * _KIB, self._first.driver.limits.min_part_bytes)
        lanes = min(self._settings.get("in_flight") or _LANES, _LANES if least_bytes < 1024 * _KIB else 16)
        if self._settings.get("one_put") or lanes == 1:
            self._first.create(key, b"x")
            return
        store = Store(
            self._first.driver,
            prefix=self._target.prefix,
            part_bytes=least_bytes,
            in_flight=lanes,
            multipart_from_bytes=1,
            enforcement=_enforcement(self._target),
        )
        store.create(key, bytes(lanes * least_bytes))

    def create(self, key: str, data: bytes) -> None:
        self._store.create(key, data)

    def create_file(self, key: str, path: str) -> None:
        self._store.create(key, Path(path))

    def create_stream(self, key: str, pieces: Iterable[bytes]) -> None:
        self._store.create(key, pieces)

    def copy(self, source: str, key: str) -> None:
        self._store.copy(source, key)

    def create_many(self, items: Iterable[tuple[str, bytes]]) -> Iterator[Exception | None]:
        for result in self._store.create_many(items, in_flight=self._many):
            yield None if isinstance(result, Receipt) else result


def where(target: Target, *, examined: bool) -> dict[str, Any]:
    """What `open_store` wants to know of it."""
    known: dict[str, Any] = {"region": target.region, "enforcement": "probe" if examined else _enforcement(target)}
    if target.service == "oss":
        return {**known, "endpoint": target.endpoint, "path_style": target.path_style, **target.login}
    names = {"access_key_id": "access_key_id", "access_key_secret": "secret_access_key"}
    known |= {names[name]: value for name, value in target.login.items()}
    return {**known, "endpoint_url": target.endpoint, "path_style": target.path_style or None}


def _enforcement(target: Target) -> Literal["probe", "trust"]:
    """A server of ours need not be examined: it keeps the condition, and its verdict goes with each run's objects."""
    return "trust" if target.login else "probe"
