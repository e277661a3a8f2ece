"""Generated requests, signed by us and by botocore.

Where botocore is asked for something else than we are: it finds the host in the URL, and has the bytes of a body, of
which we are given the hash.
"""

from __future__ import annotations

import hashlib
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import pytest

from storage_guard.wire.signing import Credentials, SigV4Signer, Unsigned, s3_v4
from storage_guard.wire.signing.encoding import query_pair
from storage_guard.wire.signing.s3_v4 import object_path
from wire.signing_beside import START, Beside, odd_text, text_of

# What stands before the path, and the host that it means.
ORIGINS = (
    ("https://bucket.s3.eu-central-1.amazonaws.com", "bucket.s3.eu-central-1.amazonaws.com"),
    ("https://S3.Example.com:443", "s3.example.com"),
    ("http://127.0.0.1:9000", "127.0.0.1:9000"),
    ("http://[::1]:80", "[::1]"),
    ("http://[::1]:443", "[::1]:443"),
)
SCOPES = (("eu-central-1", "s3"), ("us-gov-west-1", "s3"), ("us-east-1", "s3-outposts"), ("auto", "s3"))
BASES = ("", "", "", "/storage/v1/s3", "/a%20b")
SUBRESOURCES = (
    *("uploads", "uploadId", "partNumber", "versionId", "list-type", "prefix", "delimiter", "start-after", "tagging"),
    *("continuation-token", "encoding-type", "max-keys", "versioning", "response-content-type", "x-id", "acl"),
)
HEADER_NAMES = (
    *("content-type", "content-md5", "content-length", "range", "if-none-match", "if-match", "cache-control", "x-amz"),
    *("x-amz-meta-a", "x-amz-meta-guardid", "x-amz-checksum-crc64nvme", "x-amz-copy-source", "x-amz-tagging", "abc"),
    *("x-amz-security-token", "x-amz-date", "expect", "user-agent", "transfer-encoding", "x-amzn-trace-id", "trailer"),
    *("te", "connection", "traceparent", "baggage", "amz-sdk-invocation-id", "x-amz-", "keep-alive", "upgrade"),
)


@dataclass(frozen=True)
class Asked:
    request: Unsigned
    credentials: Credentials
    at: datetime
    origin: str
    base_path: str
    scope: tuple[str, str]
    body: bytes | None
    """What is hashed and signed; None: the body is not."""
    expires_s: int

    @property
    def url(self) -> str:
        params = "&".join(query_pair(name, value) for name, value in self.request.params.items())
        path = f"{self.base_path}{object_path(self.request.bucket, self.request.key)}"
        return f"{self.origin}{path}{'?' if params else ''}{params}"


def generated(seed: int) -> Iterator[Asked]:
    rng = random.Random(seed)
    keys = [Credentials(f"AKIA{n}", text_of(rng, string.printable[:94], 40)) for n in range(2)]
    keys += [Credentials(f"ASIA{n}", f"secret{n}", text_of(rng, string.printable[:94], 90)) for n in range(2)]
    keys.append(Credentials("AKIA0", "the same key, another secret"))
    keys.append(Credentials("ASIA0", "secret0", "the-same-key,another-token"))
    credentials, at = keys[0], START
    while True:
        at += timedelta(seconds=rng.expovariate(1) * (40_000 if rng.random() < 0.02 else 2))
        credentials = rng.choice(keys) if rng.random() < 0.1 else credentials
        origin, host = rng.choice(ORIGINS)
        yield Asked(
            request_of(rng, host),
            credentials,
            at.astimezone(timezone(timedelta(hours=rng.choice((0, 0, 8, -11))))),
            origin,
            rng.choice(BASES),
            rng.choice(SCOPES),
            rng.choice((None, None, b"", b"some bytes", rng.randbytes(100))),
            rng.choice((1, 599, 604_800)),
        )


def request_of(rng: random.Random, host: str) -> Unsigned:
    bucket = rng.choice(("", "bucket", "a.bucket-1", "arn:aws:s3:::x"))
    key = odd_text(rng, rng.choice((1, 4, 12))) if rng.random() < 0.9 else ""
    params: dict[str, str | None] = {}
    for _ in range(rng.choice((0, 0, 1, 2, 5))):
        name = rng.choice(SUBRESOURCES) if rng.random() < 0.6 else odd_text(rng, 2)
        params[name] = rng.choice((None, "", "1", odd_text(rng, 3)))
        if rng.random() < 0.3:
            params[f"{name}{rng.choice('-.1A')}"] = "beside it"
    headers = {rng.choice(("host", "Host")): rng.choice(("", " ")) + host}
    for name in rng.sample(HEADER_NAMES, rng.randrange(9)):
        spelled = "".join(rng.choice((letter, letter.upper())) for letter in name)
        value = rng.choice(
            ("", "v", "a  b", "a\tb", "a \t  b   c", "text/plain; charset=utf-8", "Grüße", "日本", "v,w")
        )
        headers[spelled] = rng.choice(("", " ", "\t ", "  ")) + value + rng.choice(("", "", " ", " \t"))
    return Unsigned(rng.choice(("PUT", "GET", "POST", "HEAD", "DELETE")), bucket, key, params, headers)


class Comparison(Beside):
    """Has both sign, and notes what each of them signs."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__("botocore")
        self.signers: dict[tuple[str, ...], SigV4Signer] = {}
        self.record(patch, s3_v4, "canonical_request", "ours")
        self.record(patch, botocore.auth.SigV4Auth, "canonical_request", "theirs")
        patch.setattr("botocore.auth.get_current_datetime", lambda: self.now.astimezone(UTC).replace(tzinfo=None))

    def run(self, count: int, *, seed: int) -> None:
        for asked in islice(generated(seed), count):
            self.now = asked.at
            self.check(asked, "headers", self.our_headers(asked), self.their_headers(asked))
            self.check(asked, "URL", self.our_url(asked), self.their_url(asked))

    def signer(self, asked: Asked) -> SigV4Signer:
        at = (*asked.scope, asked.base_path)
        if at not in self.signers:
            self.signers[at] = SigV4Signer(*asked.scope, base_path=asked.base_path)
        return self.signers[at]

    def our_headers(self, asked: Asked) -> dict[str, str]:
        request = asked.request
        if asked.body is not None:
            digest = {"X-Amz-Content-SHA256": hashlib.sha256(asked.body).hexdigest()}
            request = request._replace(headers={**request.headers, **digest})
        return self.signer(asked).sign(request, asked.credentials, asked.at)

    def our_url(self, asked: Asked) -> str:
        query = self.signer(asked).presign(asked.request, asked.credentials, asked.at, asked.expires_s)
        return f"{asked.url.partition('?')[0]}?{query}"

    def their_headers(self, asked: Asked) -> dict[str, str]:
        request = self.their_request(asked, asked.body)
        request.context["client_config"] = botocore.config.Config(
            s3={"payload_signing_enabled": asked.body is not None}
        )
        botocore.auth.S3SigV4Auth(self.their_key(asked), asked.scope[1], asked.scope[0]).add_auth(request)
        sent = {name.lower(): value.strip(" \t") for name, value in request.headers.items()}
        # It is added when the request is sent; ours was given it.
        return {**sent, "host": asked.request.headers.get("host", asked.request.headers.get("Host", "")).strip()}

    def their_url(self, asked: Asked) -> str:
        request = self.their_request(asked)
        auth = botocore.auth.S3SigV4QueryAuth(self.their_key(asked), asked.scope[1], asked.scope[0], asked.expires_s)
        auth.add_auth(request)
        return str(request.url)

    def their_request(self, asked: Asked, body: bytes | None = None) -> Any:
        headers = {name: value for name, value in asked.request.headers.items() if name.lower() != "host"}
        return botocore.awsrequest.AWSRequest(asked.request.method, asked.url, headers, body)

    def their_key(self, asked: Asked) -> Any:
        key = asked.credentials
        return botocore.credentials.Credentials(key.access_key_id, key.access_key_secret, key.security_token)
