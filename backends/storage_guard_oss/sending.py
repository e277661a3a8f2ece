"""Sending through oss2: it makes the URL and signs, and `transport` carries. One `Sender` for all processes."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, urlencode

import oss2

from storage_guard.driver import Busy, Refused, Signal
from storage_guard_oss.message import Answer, Request, Route
from storage_guard_oss.transport import Sendable, Settings, Transport

USER_AGENT = f"storage-guard {oss2.http.USER_AGENT}"


class Sender(oss2.Bucket):
    """A bucket of its own, made from another one's settings, whose session is not used."""

    def __init__(self, bucket: oss2.Bucket, settings: Settings, headers: Mapping[str, str]) -> None:
        """`headers` go with every request, besides its own."""
        # Not the parent's: it wants parts of an endpoint that only the other bucket's URL maker still knows.
        self.__dict__.update(vars(bucket))
        self._make_url = copy.copy(self._make_url)  # it notes on itself what it last made
        self.settings = settings
        self.own_headers = headers
        # A child that was forked must not talk over its parent's sockets.
        self._transports: dict[int, Transport] = {}

    @property
    def is_cname(self) -> bool:
        return self._make_url.is_cname

    def route(self) -> Route:
        """A custom domain may be that of a CDN, and an accelerated endpoint takes requests in at the nearest edge: they
        may ask twice, as a proxy may."""
        accelerated = "//oss-accelerate" in self.endpoint
        proxy = self._transport().proxy_of(self._make_url(self.bucket_name, ""))
        return Route(sole=not (self.is_cname or accelerated or proxy))

    def send(self, request: Request, body: Sendable = None, size_bytes: int | None = None) -> Answer:
        """One exchange. Raises `Lost`, `Busy`, `Refused`, and what the body raises."""
        bucket_name = request.bucket or self.bucket_name
        signed = oss2.http.Request(
            request.method,
            self._make_url(bucket_name, request.key),
            params=dict(request.params),
            headers={**request.headers, **self.own_headers},
            region=self.region,
            product=self.product,
            cloudbox_id=self.cloudbox_id,
        )
        self._sign(signed, bucket_name, request)
        headers = {name: value for name, value in signed.headers.items() if value is not None}
        headers["User-Agent"] = f"{USER_AGENT}/{self.app_name}" if self.app_name else USER_AGENT
        if request.method in ("PUT", "POST"):
            if body is None:
                body, size_bytes = request.document, len(request.document)
            headers["Content-Length"] = str(size_bytes)
            body = body if size_bytes else None
        url = signed.url + (f"?{urlencode(signed.params, quote_via=quote, safe='')}" if signed.params else "")
        answer = self._transport().exchange(
            request.method, url, headers, body=body, most_bytes=request.answer_bytes, about=request.about
        )
        return answer if answer.ok else replace(answer, hidden=_secrets_in(headers))

    def _sign(self, signed: oss2.http.Request, bucket_name: str, request: Request) -> None:
        failure: Signal
        try:
            # There is no public call that signs; a provider is asked for its credentials each time.
            self.auth._sign_request(signed, bucket_name, request.key)  # noqa: SLF001
            return
        except oss2.exceptions.ClientError as exc:
            failure = Refused(f"{request.about}: no credentials: {_said(exc)}{self._where_from()}", why="access")
        except OSError as exc:  # a provider that asks over the network; requests' errors are of this kind
            failure = Busy(f"{request.about}: the credentials cannot be fetched ({type(exc).__name__})")
        except Exception as exc:  # noqa: BLE001 - a provider is anybody's, and nothing has been sent
            # What it says may hold what it fetched: only its kind is told, the rest is its cause.
            failure = Refused(f"{request.about}: the credentials provider raised {type(exc).__name__}", why="access")
            failure.__cause__ = exc
        raise failure

    def _where_from(self) -> str:
        provider = getattr(self.auth, "credentials_provider", None)
        if not isinstance(provider, oss2.credentials.EnvironmentVariableCredentialsProvider):
            return ""
        return " The environment has OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and OSS_SESSION_TOKEN for them."

    def presign(self, key: str, expires_s: int) -> str:
        """A URL that reads. Raises `Refused` for a key that oss2 puts into none."""
        try:
            return self.sign_url("GET", key, expires_s, slash_safe=True)
        except oss2.exceptions.ClientError as exc:
            raise Refused(f"no URL for {key!r}: {_said(exc)}", why="key") from exc

    def close(self) -> None:
        transport = self._transports.pop(os.getpid(), None)
        if transport is not None:
            transport.close()

    def _transport(self) -> Transport:
        pid = os.getpid()
        found = self._transports.get(pid)
        if found is None:
            found = self._transports.setdefault(pid, Transport(self.settings))
        return found


def _said(exc: oss2.exceptions.ClientError) -> str:
    text = exc.body if isinstance(exc.body, str) else ""
    return text.removeprefix("ClientError: ")[:200] or type(exc).__name__


def _secrets_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    """What an answer might repeat of the request."""
    wanted = ("x-oss-security-token", "authorization")
    return tuple(value for name, value in headers.items() if name.lower() in wanted and value)
