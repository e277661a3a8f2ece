"""A bucket of S3 over real sockets, whose requests meet with what plots say; of AWS, and of stores that differ."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import boto3
from botocore.config import Config

from faults.served_world import BUCKET, HASTY_S, KINDS, LIMITS, PUBLISHING, RIVAL, RIVAL_ID, Kind, Ledger, World
from storage_guard.driver import Capabilities
from storage_guard.names import WRITE_ID
from storage_guard.testing.server import Server, refused, refused_after_acting, running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.s3 import S3Dialect
from storage_guard.testing.server.s3_checksums import of_content
from storage_guard.testing.server.s3_service import Limits as ServedLimits
from storage_guard.testing.server.s3_switches import Switches
from storage_guard.testing.server.versions import Attributes, Versioning
from storage_guard_s3 import S3Driver

KEY_ID, SECRET, REGION = "AKIAfaults", "secret-of-the-faults", "eu-central-1"

# A session reads a megabyte of AWS's models for its first client.
SESSION: Any = boto3.session.Session(KEY_ID, SECRET, region_name=REGION)


@dataclass(frozen=True)
class Setting:
    """Which store it is, and the way there. `by_host`: the bucket in the host's name, one of AWS's, and through a
    proxy; else in the path."""

    switches: Switches
    by_host: bool = False
    versioning: Versioning = "never"


# A complete comes again: told as before, judged by the condition first, or by its upload.
SETTINGS: Mapping[str, Setting] = {
    "aws": Setting(Switches(replayed="done", late_abort="accepted"), by_host=True),
    "judged": Setting(Switches(replayed="judged", early=True), versioning="enabled"),
    "unknown": Setting(Switches(replayed="unknown", checksums="unsupported", conflicts=False)),
}

_LATE = ("finish_new", "copy_new")  # are answered before they are through
S3_KINDS = (
    *KINDS,
    Kind("acted, and said an error in a 200", lambda _: refused_after_acting(200, "InternalError"), members=_LATE),
    Kind("did not act, and said an error in a 200", lambda _: refused(200, "InternalError"), members=_LATE),
    Kind("did not act: a conflict", lambda _: refused(409, "ConditionalRequestConflict"), members=PUBLISHING),
)


class Vouched(S3Driver):
    """For a store of which it is known that it keeps the condition, so that nobody examines it."""

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), put="documented", finish="documented", copy="documented")


class S3World(World):
    kinds = S3_KINDS
    rivals_own = Attributes(meta={WRITE_ID: RIVAL_ID}, storage_class="STANDARD", acl="private")

    def __init__(self, server: Server, ledger: Ledger, setting: Setting) -> None:
        super().__init__(server, ledger)
        if setting.by_host:
            self.client = SESSION.client("s3", use_ssl=False, config=Config(proxies={"http": server.url}))
        else:
            self.client = SESSION.client("s3", endpoint_url=server.url)
        self.bucket.versioning = setting.versioning
        self.patient, self.hasty = self.driver(), self.driver(read_timeout_s=HASTY_S)

    def driver(self, *, read_timeout_s: float = 30.0) -> S3Driver:
        return Vouched(self.client, BUCKET, read_timeout_s=read_timeout_s, limits=LIMITS)

    def come(self, key: str, data: bytes = RIVAL) -> None:
        """With its checksum, as AWS keeps one with every object."""
        before = self.bucket.histories.current(key)
        super().come(key, data)
        version = self.bucket.histories.current(key)
        if version is not None and version is not before and version.content is not None:
            summed = replace(version.content, digests=(of_content(version.content, "CRC64NVME"),))
            self.bucket.histories.replace(replace(version, content=summed))


@contextlib.contextmanager
def world(setting: str | Setting = "aws") -> Generator[S3World]:
    there = SETTINGS[setting] if isinstance(setting, str) else setting
    state = Buckets([BUCKET])
    dialect = S3Dialect(
        state,
        credentials=Credentials([Credential(KEY_ID, SECRET)]),
        region=REGION,
        limits=ServedLimits(min_part_bytes=LIMITS.min_part_bytes),
        switches=there.switches,
    )
    ledger = Ledger(dialect, state)
    with running(ledger) as server:
        found = S3World(server, ledger, there)
        yield found
        found.close()
