"""A second opinion about S3: the promises on moto, and those that moto does not keep."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import boto3
import moto.s3.models
import pytest
from moto.server import ThreadedMotoServer

from storage_guard.driver import Driver
from storage_guard.testing import DriverContract
from storage_guard.testing.contract.races import RaceLaws
from storage_guard_s3 import LIMITS, S3Driver

MIN_PART_BYTES = 64 * 1024
SMALL = replace(LIMITS, min_part_bytes=MIN_PART_BYTES)
SESSION: Any = boto3.session.Session("testing", "testing", region_name="us-east-1")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moto.s3.models, "S3_UPLOAD_PART_MIN_SIZE", MIN_PART_BYTES)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


class Promises(*(each for each in DriverContract.__bases__ if each is not RaceLaws)):  # type: ignore[misc]
    """All but who wins a race: moto looks, then writes, and now and then two win."""


Promises.declare()  # pyright: ignore[reportUnknownMemberType]


class TestMoto(Promises):
    departures: ClassVar = {
        "test_a_copy_does_not_replace": "CopyObject takes no notice of If-None-Match",
        "test_a_part_is_not_copied_into_an_upload_that_is_gone": "the answer is a 500 without a word",
        "test_nothing_of_an_aborted_upload_can_land": "a complete after an abort is a 500 without a word",
    }

    @pytest.fixture
    def make_driver(self, url: str) -> Callable[[], Driver]:
        bucket = f"contract-{secrets.token_hex(8)}"
        client = SESSION.client("s3", endpoint_url=url)
        client.create_bucket(Bucket=bucket)
        client.close()
        return lambda: S3Driver(SESSION.client("s3", endpoint_url=url), bucket, limits=SMALL)
