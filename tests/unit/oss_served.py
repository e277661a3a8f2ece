"""A bucket on the loopback server, and drivers of it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from storage_guard.driver import Body, Driver, ObjectInfo, ObjectOptions, Part, PartSlot, WriteMeta
from storage_guard.testing import BytesBody
from storage_guard.testing.server import Answer, Asked, Cue, Cues, Server, altered, running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.oss import OSSDialect
from storage_guard_oss import OSSDriver, open_url

KEY_ID, SECRET, REGION, BUCKET, OTHER = "LTAIserved", "sEcReT-of-the-key", "cn-hangzhou", "served", "other"


@dataclass(frozen=True)
class Served:
    server: Server
    state: Buckets
    credentials: Credentials

    @property
    def cues(self) -> Cues:
        return self.server.cues

    def driver(self, bucket: str = BUCKET, **options: Any) -> OSSDriver:
        usual: dict[str, Any] = {"endpoint": self.server.url, "region": REGION}
        if "credentials_provider" not in options:
            usual |= {"access_key_id": KEY_ID, "access_key_secret": SECRET}
        driver, prefix = open_url(f"oss://{bucket}", **{**usual, **options})
        assert isinstance(driver, OSSDriver)
        assert prefix == ""
        return driver

    def alter(self, member: str, times: int | None = 1, **changes: Any) -> None:
        """Answers to `member` come with other headers (None: without), `status` or `body`."""
        self.cues.add(Cue(altered(lambda answer: changed(answer, **changes)), member=member, times=times))

    def asked(self, member: str) -> int:
        return sum(1 for seen in self.server.requests if seen.asked.member == member)


def changed(
    answer: Answer,
    *,
    status: int | None = None,
    body: bytes | None = None,
    headers: dict[str, str | None] | None = None,
) -> Answer:
    told = dict(answer.headers)
    for name, value in (headers or {}).items():
        for known in [each for each in told if each.lower() == name.lower()]:
            del told[known]
        if value is not None:
            told[name] = value
    answer = replace(answer, headers=told, status=answer.status if status is None else status)
    return answer if body is None else replace(answer, body=body, body_bytes=None)


@contextlib.contextmanager
def served(
    *,
    may: Callable[[Asked], bool] | None = None,
    token: str | None = None,
    expires: datetime | None = None,
    versioning: str = "never",
    **options: Any,
) -> Generator[Served]:
    state = Buckets([BUCKET, OTHER])
    if versioning != "never":
        state[BUCKET].versioning = versioning  # type: ignore[assignment]
    credentials = Credentials([Credential(KEY_ID, SECRET, token, expires, may)])
    with running(OSSDialect(state, credentials=credentials, region=REGION), **options) as server:
        yield Served(server, state, credentials)


def fresh(options: ObjectOptions | None = None) -> WriteMeta:
    return WriteMeta(secrets.token_hex(16), options or ObjectOptions())


def put(driver: Driver, key: str, data: bytes = b"something", meta: WriteMeta | None = None) -> ObjectInfo:
    return driver.put_new(key, BytesBody(data), meta or fresh())


def begun(driver: Driver, key: str, meta: WriteMeta, body: Body | None = None) -> tuple[str, list[Part]]:
    """An upload of one part."""
    upload_id = driver.begin(key, meta)
    body = body or BytesBody(b"the only part")
    return upload_id, [driver.put_part(key, upload_id, PartSlot(1, 0, body.size_bytes), body)]
