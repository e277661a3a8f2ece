"""Generated requests, signed by us and by oss2.

Where oss2 is asked for something else than we are, its own answer would be refused, or has no order:

- It signs the spaces around a header's value, which no server sees: it is given the value without.
- It fails at None in a query (version 4): it is given "".
- It orders additional headers by their first letters, and lists those that are not sent: it is given the others, in
  order.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import formatdate
from itertools import islice
from types import SimpleNamespace
from typing import Any, cast

import oss2
import oss2.credentials
import oss2.http
import pytest

from storage_guard.wire.signing import (
    Credentials,
    OSSV1Signer,
    OSSV4Signer,
    Signer,
    Unsigned,
    canonical_path,
    key_path,
    oss_v1,
    oss_v4,
)
from wire.signing_beside import START, Beside, odd_text, text_of

HOST = "oss-cn-hangzhou.aliyuncs.com"
CLOUD_BOX = "cb-f8z7yvzgwfkl9q0h"
REGIONS = ("cn-hangzhou", "ap-southeast-1", CLOUD_BOX)
MORE = ((), ("range",), ("Host", "abc", "Content-Type", "zabc"), ("ZAbc", "ABC", "x-oss-meta-a", "If-None-Match"))
SUBRESOURCES = sorted(cast("Any", oss2.ProviderAuth)._subresource_key_set)
HEADER_NAMES = (
    *("content-type", "content-md5", "content-length", "range", "host", "abc", "zabc", "user-agent", "expect"),
    *("cache-control", "x-oss-forbid-overwrite", "x-oss-storage-class", "x-oss-acl", "x-oss-meta-a", "x-oss-meta-b-1"),
    *("x-oss-meta", "x-oss-", "x-ossify", "x-oss-object-acl", "x-oss-callback", "x-oss-tagging", "x-amz-date"),
)
# What the signer sets itself; a caller's value is replaced, or signed like any other.
OWN_NAMES = ("authorization", "date", "x-oss-date", "x-oss-content-sha256", "x-oss-security-token")


@dataclass(frozen=True)
class Asked:
    request: Unsigned
    credentials: Credentials
    at: datetime
    region: str
    more: tuple[str, ...]
    expires_s: int
    path_style: bool


def generated(seed: int) -> Iterator[Asked]:
    rng = random.Random(seed)
    keys = [Credentials(f"LTAI{n}", text_of(rng, string.printable[:94], 30), None) for n in range(2)]
    keys += [Credentials(f"STS.{n}", f"secret{n}", text_of(rng, string.printable[:94], 90)) for n in range(2)]
    keys.append(Credentials("LTAI0", "the same key, another secret"))
    credentials, at = keys[0], START
    while True:
        at += timedelta(seconds=rng.expovariate(1) * (40_000 if rng.random() < 0.02 else 2))
        credentials = rng.choice(keys) if rng.random() < 0.1 else credentials
        yield Asked(
            request_of(rng),
            credentials,
            at.astimezone(timezone(timedelta(hours=rng.choice((0, 0, 8, -11))))),
            rng.choice(REGIONS),
            rng.choice(MORE),
            rng.choice((1, 599, 604_800)),
            rng.random() < 0.5,
        )


def request_of(rng: random.Random) -> Unsigned:
    bucket, key = "", ""
    if rng.random() < 0.95:
        bucket = rng.choice(("bucket", "a-bucket-1", "0bc"))
        if rng.random() < 0.9:
            key = odd_text(rng, rng.choice((1, 4, 12)))
    params: dict[str, str | None] = {}
    for _ in range(rng.choice((0, 0, 1, 2, 5))):
        name = rng.choice(SUBRESOURCES) if rng.random() < 0.6 else odd_text(rng, 2)
        params[name] = rng.choice((None, "", "1", odd_text(rng, 3)))
        if rng.random() < 0.3:
            params[f"{name}{rng.choice('-.1A')}"] = "beside it"
    headers: dict[str, str] = {}
    for name in rng.sample(HEADER_NAMES, rng.randrange(9)) + rng.choices(OWN_NAMES, k=rng.random() < 0.2):
        spelled = "".join(rng.choice((letter, letter.upper())) for letter in name)
        value = rng.choice(("", "v", "a  b", "a\tb", "text/plain; charset=utf-8", "Grüße", "日本", ":", "v,w"))
        headers[spelled] = rng.choice(("", " ", "\t ", "  ")) + value + rng.choice(("", "", " ", " \t"))
    return Unsigned(rng.choice(("PUT", "GET", "POST", "HEAD", "DELETE")), bucket, key, params, headers)


class Comparison(Beside):
    """Has both sign, and notes what each of them signs."""

    def __init__(self, patch: pytest.MonkeyPatch, version: int) -> None:
        super().__init__("oss2")
        self.version = version
        self.signers: dict[tuple[str, tuple[str, ...]], Signer] = {}
        module, name, theirs = (
            (oss_v4, "canonical_request", "_ProviderAuthV4__get_canonical_request_bytes")
            if version == 4
            else (oss_v1, "string_to_sign", "_ProviderAuth__get_bytes_to_sign")
        )
        self.record(patch, module, name, "ours")
        self.record(patch, oss2.ProviderAuthV4 if version == 4 else oss2.ProviderAuth, theirs, "theirs")
        clock = SimpleNamespace(utcnow=lambda: self.now.astimezone(UTC).replace(tzinfo=None))
        patch.setattr("oss2.auth.datetime", clock)
        patch.setattr("oss2.auth.time", SimpleNamespace(time=self.second))
        patch.setattr("oss2.utils.formatdate", self.http_date)

    def second(self) -> float:
        return self.now.timestamp()

    def http_date(self, _: None, *, usegmt: bool) -> str:
        return formatdate(self.now.timestamp(), usegmt=usegmt)

    def run(self, count: int, *, seed: int) -> None:
        for asked in islice(generated(seed), count):
            self.now = asked.at
            self.check(asked, "headers", self.our_headers(asked), self.their_headers(asked))
            if self.version == 4 or not has(asked.request, "x-oss-date"):
                self.check(asked, "URL", self.our_url(asked), self.their_url(asked))

    def signer(self, asked: Asked) -> Signer:
        at = (asked.region, asked.more)
        if at not in self.signers:
            product = "oss-cloudbox" if asked.region == CLOUD_BOX else "oss"
            v4 = OSSV4Signer(asked.region, product, additional_headers=asked.more)
            self.signers[at] = v4 if self.version == 4 else OSSV1Signer()
        return self.signers[at]

    def our_headers(self, asked: Asked) -> dict[str, str]:
        return self.signer(asked).sign(asked.request, asked.credentials, asked.at)

    def our_url(self, asked: Asked) -> str:
        query = self.signer(asked).presign(asked.request, asked.credentials, asked.at, asked.expires_s)
        return f"{base_url(asked)}?{query}"

    def their_headers(self, asked: Asked) -> dict[str, str]:
        request = self.their_request(asked)
        their_arguments = [request, asked.request.bucket, asked.request.key]
        self.auth(asked)._sign_request(*their_arguments, *self.their_more(asked))
        sent = {name.lower(): value for name, value in request.headers.items() if value is not None}
        if not has(asked.request, "user-agent"):
            del sent["user-agent"]
        return sent

    def their_url(self, asked: Asked) -> str:
        method, bucket_name, key, *_ = asked.request
        auth, more = self.auth(asked), self.their_more(asked)
        if not key.strip():  # sign_url refuses those
            return str(auth._sign_url(self.their_request(asked), bucket_name, key, asked.expires_s, *more))
        box = CLOUD_BOX if asked.region == CLOUD_BOX else None
        style = {"is_path_style": asked.path_style, "is_verify_object_strict": False}
        bucket = cast("Any", oss2.Bucket)(auth, f"https://{HOST}", bucket_name, region="cn", cloudbox_id=box, **style)
        bucket.region = asked.region
        headers, params = self.their_request_parts(asked)
        slash_safe = True
        return str(bucket.sign_url(method, key, asked.expires_s, headers, params, slash_safe, *more))

    def their_request(self, asked: Asked) -> Any:
        headers, params = self.their_request_parts(asked)
        box, product = (CLOUD_BOX, "oss-cloudbox") if asked.region == CLOUD_BOX else (None, "oss")
        make = cast("Any", oss2.http.Request)
        return make(asked.request.method, base_url(asked), None, params, headers, "", None, asked.region, product, box)

    def their_request_parts(self, asked: Asked) -> tuple[dict[str, str], dict[str, str | None]]:
        headers = {name: value.strip(" \t") for name, value in asked.request.headers.items()}
        params = dict(asked.request.params)
        return headers, {name: value or "" for name, value in params.items()} if self.version == 4 else params

    def their_more(self, asked: Asked) -> list[list[str]]:
        if self.version == 1:
            return []
        return [sorted(name.lower() for name in asked.more if has(asked.request, name.lower()))]

    def auth(self, asked: Asked) -> Any:
        key = asked.credentials
        given = oss2.credentials.StaticCredentialsProvider(
            key.access_key_id, key.access_key_secret, key.security_token or ""
        )
        return (oss2.ProviderAuthV4 if self.version == 4 else oss2.ProviderAuth)(given)


def has(request: Unsigned, lower_name: str) -> bool:
    return lower_name in {name.lower() for name in request.headers}


def base_url(asked: Asked) -> str:
    bucket, key = asked.request.bucket, asked.request.key
    if bucket and not asked.path_style:
        return f"https://{bucket}.{HOST}{key_path(key)}"
    return f"https://{HOST}{canonical_path(bucket, key)}"
