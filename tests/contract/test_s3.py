"""S3 keeps every promise, over the loopback server that speaks its dialect and checks every signature."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config

from storage_guard.driver import Driver
from storage_guard.testing import DriverContract, SubmittingDriver
from storage_guard.testing.server import Server, running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.s3 import S3Dialect
from storage_guard.testing.server.s3_service import Limits
from storage_guard.testing.server.s3_switches import Switches
from storage_guard_s3 import LIMITS, S3Driver

KEY_ID, SECRET, REGION, BUCKET = "AKIAcontract", "secret-of-the-contract", "eu-central-1", "contract"

# Parts of 5 MiB would cost more than they show.
MIN_PART_BYTES = 64 * 1024
SMALL = replace(LIMITS, min_part_bytes=MIN_PART_BYTES)

_REMOVED = (
    "a removal of the key while an upload is open spoils the upload: 409 ConditionalRequestConflict, and all parts "
    "again (CompleteMultipartUpload, If-None-Match)"
)
SPOILT = {
    "test_a_removal_does_not_touch_open_uploads": _REMOVED,
    "test_an_upload_that_was_refused_stays_open": _REMOVED,
}


def serving(switches: Switches | None = None) -> S3Dialect:
    return S3Dialect(
        Buckets([BUCKET]),
        credentials=Credentials([Credential(KEY_ID, SECRET)]),
        region=REGION,
        limits=Limits(min_part_bytes=MIN_PART_BYTES),
        switches=switches,
    )


# A session reads a megabyte of AWS's models for its first client.
SESSION: Any = boto3.session.Session(KEY_ID, SECRET, region_name=REGION)


def opened(server: Server) -> Driver:
    return S3Driver(SESSION.client("s3", endpoint_url=server.url), BUCKET, limits=SMALL)


@pytest.fixture
def server() -> Iterator[Server]:
    with running(serving()) as server:
        yield server


class TestSubmitted(DriverContract):
    """What is put without a thread that waits is put as well."""

    departures = SPOILT

    @pytest.fixture
    def make_driver(self, server: Server) -> Callable[[], Driver]:
        return lambda: SubmittingDriver(opened(server))


class TestPathStyle(DriverContract):
    """The bucket in the path, as boto3 has it for an endpoint that is an IP address."""

    departures = SPOILT

    @pytest.fixture
    def make_driver(self, server: Server) -> Callable[[], Driver]:
        return lambda: opened(server)


class TestVirtualHosted(DriverContract):
    """The bucket in the host's name, through a forward proxy."""

    departures = SPOILT
    listed_keys = 1100  # more than a page

    @pytest.fixture
    def make_driver(self, server: Server) -> Callable[[], Driver]:
        def make() -> Driver:
            config = Config(proxies={"http": server.url})
            return S3Driver(SESSION.client("s3", use_ssl=False, config=config), BUCKET, limits=SMALL)

        return make


class TestWithoutChecksums(DriverContract):
    """A store that refuses CRC-64/NVME, and wants the hash of every body."""

    departures = SPOILT
    race_rounds = 5  # who wins is decided as elsewhere

    @pytest.fixture
    def make_driver(self) -> Iterator[Callable[[], Driver]]:
        with running(serving(Switches(checksums="unsupported", unsigned_payload=False))) as server:
            yield lambda: opened(server)
