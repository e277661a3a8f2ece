"""OSS keeps every promise, over the loopback server that speaks its dialect and checks every signature."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import oss2
import pytest

from storage_guard.driver import Driver
from storage_guard.testing import DriverContract, SubmittingDriver
from storage_guard.testing.server import Server, running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.oss import OSSDialect
from storage_guard_oss import OSSDriver, open_url

KEY_ID, SECRET, REGION, BUCKET = "LTAIcontract", "secret-of-the-contract", "cn-hangzhou", "contract"


@pytest.fixture
def server() -> Iterator[Server]:
    dialect = OSSDialect(Buckets([BUCKET]), credentials=Credentials([Credential(KEY_ID, SECRET)]), region=REGION)
    with running(dialect) as server:
        yield server


class TestV4(DriverContract):
    """The bucket in the path, as oss2 has it for an endpoint that is an IP address."""

    @pytest.fixture
    def make_driver(self, server: Server) -> Callable[[], Driver]:
        return lambda: open_url(
            f"oss://{BUCKET}", endpoint=server.url, region=REGION, access_key_id=KEY_ID, access_key_secret=SECRET
        )[0]


class TestSubmitted(DriverContract):
    """What is put without a thread that waits is put as well."""

    @pytest.fixture
    def make_driver(self, server: Server) -> Callable[[], Driver]:
        def make() -> Driver:
            return SubmittingDriver(
                open_url(
                    f"oss://{BUCKET}",
                    endpoint=server.url,
                    region=REGION,
                    access_key_id=KEY_ID,
                    access_key_secret=SECRET,
                )[0]
            )

        return make


class TestV1(DriverContract):
    race_rounds = 20  # the signature changes nothing about who wins

    @pytest.fixture
    def make_driver(self, server: Server) -> Callable[[], Driver]:
        return lambda: open_url(
            f"oss://{BUCKET}", endpoint=server.url, signature="v1", access_key_id=KEY_ID, access_key_secret=SECRET
        )[0]


class TestVirtualHosted(DriverContract):
    """The bucket in the host's name, through a forward proxy, over a bucket object of the user's."""

    listed_keys = 1100  # more than a page

    @pytest.fixture
    def make_driver(self, server: Server) -> Callable[[], Driver]:
        def make() -> Driver:
            auth = oss2.AuthV4(KEY_ID, SECRET)
            endpoint = f"http://oss-{REGION}.aliyuncs.com"
            return OSSDriver(oss2.Bucket(auth, endpoint, BUCKET, region=REGION, proxies={"http": server.url}))

        return make
