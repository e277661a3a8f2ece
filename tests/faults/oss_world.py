"""A bucket of OSS over real sockets, whose requests meet with what plots say."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Literal

import oss2

from faults.served_world import BUCKET, HASTY_S, LIMITS, RIVAL_ID, Ledger, World
from storage_guard.names import WRITE_ID
from storage_guard.testing.server import Server, running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.oss import OSSDialect
from storage_guard.testing.server.oss_service import Limits as ServedLimits
from storage_guard.testing.server.versions import Attributes
from storage_guard_oss import OSSDriver

KEY_ID, SECRET, REGION = "LTAIfaults", "secret-of-the-faults", "cn-hangzhou"
CheckedFirst = Literal["upload", "condition"]
CHECKED_FIRST: tuple[CheckedFirst, CheckedFirst] = ("upload", "condition")


class OSSWorld(World):
    rivals_own = Attributes(meta={WRITE_ID: RIVAL_ID}, storage_class="Standard", acl="default")

    def __init__(self, server: Server, ledger: Ledger) -> None:
        super().__init__(server, ledger)
        self.patient, self.hasty = self.driver(), self.driver(read_timeout_s=HASTY_S)

    def driver(self, *, read_timeout_s: float = 30.0) -> OSSDriver:
        bucket = oss2.Bucket(oss2.AuthV4(KEY_ID, SECRET), self.server.url, BUCKET, region=REGION)
        return OSSDriver(bucket, read_timeout_s=read_timeout_s, limits=LIMITS)

    def told_etag(self, etag: str) -> str:
        return etag.upper()


@contextlib.contextmanager
def world(*, checked_first: CheckedFirst = "upload") -> Generator[OSSWorld]:
    state = Buckets([BUCKET])
    dialect = OSSDialect(
        state,
        credentials=Credentials([Credential(KEY_ID, SECRET)]),
        region=REGION,
        limits=ServedLimits(min_part_bytes=LIMITS.min_part_bytes),
        checked_first=checked_first,
    )
    ledger = Ledger(dialect, state)
    with running(ledger) as server:
        found = OSSWorld(server, ledger)
        yield found
        found.close()
