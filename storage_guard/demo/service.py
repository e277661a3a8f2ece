"""Servers on the loopback for the demo, and Alibaba OSS: one that speaks its dialect and checks every signature."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from storage_guard import Store
from storage_guard.demo.account import Account
from storage_guard.demo.child import ENDPOINT, REGION, opened
from storage_guard.testing.server import Cue, Server, running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.oss import OSSDialect

BUCKET = "demo-bucket"
_KEY_ID = "LTAIdemo"
_KEY = "a-key-of-the-demo"  # good for nothing but this server


@dataclass(frozen=True)
class Watched:
    """A server whose requests are seen, and befallen by what is wanted."""

    server: Server

    @contextlib.contextmanager
    def struck(self, cue: Cue, account: Account) -> Generator[None]:
        """A request meets this cue before the block ends, or the account says that none did."""
        self.server.cues.add(cue)
        try:
            yield
        finally:
            self.server.cues.remove(cue)
        account.must(any(each.cue is cue for each in self.server.cues.struck), "nothing befell any request after all")

    @contextlib.contextmanager
    def watched(self, account: Account) -> Generator[list[str]]:
        """Tells what the server was asked during the block, and gives the members, in the order they came."""
        before = len(self.server.requests)
        asked: list[str] = []
        try:
            yield asked
        finally:
            seen = self.server.requests[before:]
            asked += [each.asked.member for each in seen]
            told = [f"{each.asked.member} {each.status or 'not answered'}" for each in seen]
            account.saw(f"the server was asked: {_in_short(told) or 'nothing'}")


@dataclass(frozen=True)
class Service(Watched):
    """OSS, and the buckets it has. `state` is touched only while nobody asks the server."""

    state: Buckets

    def open(self, bucket: str = BUCKET) -> Store:
        return opened(f"oss://{bucket}")


def _in_short(told: Sequence[str]) -> str:
    counted = [(each, len(list(same))) for each, same in groupby(told)]
    return ", ".join(each if count == 1 else f"{each} ({count} times)" for each, count in counted)


@contextlib.contextmanager
def loopback() -> Generator[Service]:
    """A service for the length of the block. Credentials are found in the environment, here and in child processes."""
    state = Buckets([BUCKET])
    known = Credentials([Credential(_KEY_ID, _KEY)])
    with running(OSSDialect(state, credentials=known, region=REGION)) as server:
        ours = {
            "OSS_ACCESS_KEY_ID": _KEY_ID,
            "OSS_ACCESS_KEY_SECRET": _KEY,
            "OSS_SESSION_TOKEN": None,
            "no_proxy": server.host,
            "NO_PROXY": server.host,
            ENDPOINT: server.url,
        }
        with environment(ours):
            yield Service(server, state)


@contextlib.contextmanager
def environment(changes: Mapping[str, str | None]) -> Generator[None]:
    """The environment with other values (None: without), until the block ends."""
    before = {name: os.environ.get(name) for name in changes}
    try:
        _set(changes)
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
