"""Where a study writes to: a loopback server at the end of a link, or a real bucket; and nothing is left there."""

from __future__ import annotations

import contextlib
import ipaddress
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from benchmarks.harness.certificates import make_certificates
from benchmarks.harness.clients.base import Target
from benchmarks.harness.processes import Server, Used, serving, target_of
from storage_guard import Prefix, Store, open_store
from storage_guard.clock import SystemClock
from storage_guard.driver import Driver
from storage_guard.retry import Patience, RetryPolicy
from storage_guard.signals import Absent, Busy, Gone, Lost

T = TypeVar("T")
Service = Literal["oss", "s3"]
_PATIENCE_S = 60.0


class Place(ABC):
    """`authority`: whose certificates its clients are to believe, None for those they believe anyway."""

    def __init__(self, target: Target, authority: Path | None = None) -> None:
        self.target = target
        self.authority = authority

    @abstractmethod
    def fresh(self, *, keep: str = "") -> Used | None:
        """Nothing of an earlier run is there, but for what begins with `keep`, if that is given. What the server has
        used so far, where that can be known."""

    @abstractmethod
    def used(self) -> Used | None:
        """The same, and nothing is removed."""


@dataclass(frozen=True)
class Url:
    """A bucket that somebody named. Credentials are the environment's."""

    service: Service
    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None

    @classmethod
    def of(cls, url: str, *, endpoint: str | None, region: str | None) -> Url:
        """Raises ValueError for what is no bucket of a service."""
        parts = urlsplit(url)
        if parts.scheme not in ("oss", "s3") or not parts.netloc or "@" in parts.netloc:
            raise ValueError("the URL of a store is oss://bucket/prefix or s3://bucket/prefix")
        if parts.scheme == "oss" and endpoint is None and region is None:
            raise ValueError("of an OSS bucket the --region is wanted, or the --endpoint")
        service: Service = "oss" if parts.scheme == "oss" else "s3"
        return cls(service, parts.netloc, parts.path.strip("/"), endpoint, region)

    def target(self, run: str) -> Target:
        """Everything of the run `run` lies below one prefix of its own."""
        prefix = "/".join(part for part in (self.prefix, f"storage-guard-benchmark-{run}") if part)
        return Target(
            self.endpoint, self.bucket, self.region, None, None, self.service, _is_address(self.endpoint), f"{prefix}/"
        )


def _is_address(endpoint: str | None) -> bool:
    """No bucket's name goes before an address."""
    host = urlsplit(endpoint or "").hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


class _Loopback(Place):
    def __init__(self, server: Server, target: Target, authority: Path | None) -> None:
        super().__init__(target, authority)
        self._server = server

    def fresh(self, *, keep: str = "") -> Used | None:
        # It keeps no bytes, and what is kept for its sake has other names than what comes.
        return self._server.used() if keep else self._server.forget()

    def used(self) -> Used | None:
        return self._server.used()


class _Bucket(Place):
    def fresh(self, *, keep: str = "") -> Used | None:
        with _store(self.target) as store:
            remove_all(store.driver, self.target.prefix, keep=keep)
        return None

    def used(self) -> Used | None:
        return None


@contextlib.contextmanager
def loopback(
    service: Service,
    link: str | None,
    folder: Path,
    *,
    secure: bool,
    copy_mb_s: float | None = None,
    examined: bool = False,
) -> Generator[Place]:
    """As `serving` has it, over TLS if it is `secure`."""
    authority, certificate = make_certificates(folder) if secure else (None, None)
    with serving(certificate, service=service, link=link, copy_mb_s=copy_mb_s, examined=examined) as server:
        yield _Loopback(server, target_of(server, service), authority)


@contextlib.contextmanager
def bucket(target: Target) -> Generator[Place]:
    """Whatever lies below its prefix is removed before and after, open uploads included."""
    place = _Bucket(target)
    place.fresh()
    try:
        yield place
    finally:
        place.fresh()


def _store(target: Target) -> Store:
    url = f"{target.service}://{target.bucket}/{target.prefix}".rstrip("/")
    endpoint = {"oss": "endpoint", "s3": "endpoint_url"}[target.service]
    where: dict[str, Any] = {endpoint: target.endpoint, "region": target.region}
    return open_store(url, path_style=target.path_style or (None if target.service == "s3" else False), **where)


def remove_all(driver: Driver, prefix: str, *, keep: str = "") -> None:
    """Objects and open uploads: what peers left too, whose uploads no journal knows, and what an examination keeps; but
    for what begins with `keep` behind the prefix, if that is given."""
    for upload in _asked(lambda: list(driver.scan_uploads(prefix))) or []:
        _asked(partial(driver.abort, upload.key, upload.upload_id))
    for found in _asked(lambda: list(driver.scan(prefix, "", ""))) or []:
        kept = keep and not isinstance(found, Prefix) and found.key.startswith(prefix + keep)
        if not isinstance(found, Prefix) and not kept:
            _asked(partial(driver.remove, found.key, None))


def _asked(question: Callable[[], T]) -> T | None:
    """None if there is nothing any more. Raises signals, those that mean trouble with the way after a while only."""
    patience = Patience(SystemClock(), RetryPolicy(), _PATIENCE_S)
    while True:
        try:
            return question()
        except (Absent, Gone):
            return None
        except (Busy, Lost):
            if not patience.wait():
                raise
