"""A bucket on the loopback server, and drivers of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config

from storage_guard.testing.server import Asked, Cue, Cues, Server, altered, running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.s3 import S3Dialect
from storage_guard.testing.server.s3_service import Limits
from storage_guard.testing.server.s3_switches import Switches, windows
from storage_guard_s3 import LIMITS, S3Driver
from unit.oss_served import changed

KEY_ID, SECRET, REGION, BUCKET, OTHER = "AKIAserved", "sEcReT-of-the-key", "eu-central-1", "served", "other"
MIN_PART_BYTES = 1024
SMALL = replace(LIMITS, min_part_bytes=MIN_PART_BYTES)
# A session reads a megabyte of AWS's models for its first client.
SESSION: Any = boto3.session.Session(KEY_ID, SECRET, region_name=REGION)


@dataclass(frozen=True)
class Served:
    server: Server
    state: Buckets

    @property
    def cues(self) -> Cues:
        return self.server.cues

    def client(self, config: Config | None = None, **options: Any) -> Any:
        return SESSION.client("s3", endpoint_url=self.server.url, config=config, **options)

    def driver(self, bucket: str = BUCKET, config: Config | None = None, **options: Any) -> S3Driver:
        given: dict[str, Any] = {"limits": SMALL, **options}
        return S3Driver(self.client(config), bucket, **given)

    def on_aws(self, bucket: str = BUCKET, **options: Any) -> S3Driver:
        """The same server under AWS's own name, as a proxy."""
        client = SESSION.client("s3", use_ssl=False, config=Config(proxies={"http": self.server.url}))
        given: dict[str, Any] = {"limits": SMALL, **options}
        return S3Driver(client, bucket, **given)

    def alter(self, member: str, times: int | None = 1, **changes: Any) -> None:
        """Answers to `member` come with other headers (None: without), `status` or `body`."""
        self.cues.add(Cue(altered(lambda answer: changed(answer, **changes)), member=member, times=times))

    def asked(self, member: str) -> int:
        return sum(1 for seen in self.server.requests if seen.asked.member == member)


@contextlib.contextmanager
def served(
    *,
    may: Callable[[Asked], bool] | None = None,
    token: str | None = None,
    expires: datetime | None = None,
    versioning: str = "never",
    switches: Switches | None = None,
    **options: Any,
) -> Generator[Served]:
    state = Buckets([BUCKET, OTHER])
    if versioning != "never":
        state[BUCKET].versioning = versioning  # type: ignore[assignment]
    dialect = S3Dialect(
        state,
        credentials=Credentials([Credential(KEY_ID, SECRET, token, expires, may)]),
        region=REGION,
        limits=Limits(min_part_bytes=MIN_PART_BYTES),
        switches=switches,
    )
    with running(dialect, cues=windows(dialect.switches), **options) as server:
        yield Served(server, state)
