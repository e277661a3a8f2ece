"""Amazon S3 for the demo: a server on the loopback, under AWS's own name, and others that only claim to speak S3."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from dataclasses import dataclass

from storage_guard import Store, open_store
from storage_guard.demo.child import S3_ENDPOINT, S3_REGION, opened
from storage_guard.demo.service import BUCKET, Watched, environment
from storage_guard.testing.server import running
from storage_guard.testing.server.dialects import Options, dialect

_KEY_ID = "AKIAdemo"
_KEY = "a-key-of-the-demo"  # good for nothing but these servers


@dataclass(frozen=True)
class S3Service(Watched):
    """The server, and how to reach it: as AWS, through it as a proxy, so that it is trusted."""

    def open(self) -> Store:
        return opened(f"s3://{BUCKET}")


@contextlib.contextmanager
def loopback_s3() -> Generator[S3Service]:
    """A service for the length of the block. Credentials are found in the environment, here and in child processes.

    Raises ModuleNotFoundError without the extra `s3`.
    """
    made = dialect("s3", _options())
    with running(made.dialect, cues=made.cues) as server:
        ours: dict[str, str | None] = {name: None for name in os.environ if name.startswith("AWS_")}
        ours |= {
            "AWS_ACCESS_KEY_ID": _KEY_ID,
            "AWS_SECRET_ACCESS_KEY": _KEY,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "HTTP_PROXY": None,
            "http_proxy": server.url,
            "no_proxy": server.host,
            "NO_PROXY": server.host,
            S3_ENDPOINT: f"http://s3.{S3_REGION}.amazonaws.com",
        }
        with environment(ours):
            yield S3Service(server)


@contextlib.contextmanager
def claiming(**switches: str) -> Generator[tuple[Watched, Store]]:
    """Within the block of a service: another server, that does otherwise than AWS, and a store of it."""
    made = dialect("s3", _options(**switches))
    with running(made.dialect, cues=made.cues) as server:
        with open_store(f"s3://{BUCKET}", endpoint_url=server.url, region=S3_REGION) as store:
            yield Watched(server), store


def _options(**switches: str) -> Options:
    return Options(buckets=(BUCKET,), region=S3_REGION, secrets={_KEY_ID: _KEY}, switches=switches)
