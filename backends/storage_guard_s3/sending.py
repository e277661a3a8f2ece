"""Sending: a request is addressed, signed and carried by the wire, once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime

from storage_guard.driver import Body, ObjectInfo, Refused, Reply
from storage_guard.wire import messages
from storage_guard.wire.services.carrying import Carrier
from storage_guard.wire.services.times import utc_now
from storage_guard.wire.settings import Settings
from storage_guard.wire.signing import Unsigned, query_string
from storage_guard.wire.signing.s3_v4 import EMPTY_SHA256
from storage_guard_s3.addressing import Address, Addresses
from storage_guard_s3.message import Answer, Request, Route
from storage_guard_s3.signing import Signing
from storage_guard_s3.sums import SHA256_HEADER

_SECRET = (
    "authorization",
    "x-amz-security-token",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
)


class Sender:
    """Any thread may use it, and a child of the process that made it.

    `headers` go with every request, besides its own. `now` is this machine's time.
    """

    def __init__(
        self,
        bucket: str,
        addresses: Addresses,
        signing: Signing,
        settings: Settings,
        *,
        headers: Mapping[str, str],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.bucket = bucket
        self.address = addresses.find(bucket)
        self.settings = settings
        self.own_headers = headers
        self.now = now
        self._addresses = addresses
        self._signing = signing
        self._wire = Carrier(settings, Answer, _SECRET)
        self._route: Route | None = None

    def route(self) -> Route:
        """An accelerated endpoint takes requests in at the nearest edge, which may ask twice, as a proxy may. Raises
        `Refused` for a proxy that is none."""
        route = self._route
        if route is None:
            proxy = self._wire.proxy_of(self.address.url(""))
            route = Route(sole=not (self.address.of.kind == "accelerate" or proxy))
            self._route = route
        return route

    def address_of(self, bucket: str | None) -> Address:
        """Raises `Refused` for a bucket that has none."""
        if bucket is None or bucket == self.bucket:
            return self.address
        try:
            return self._addresses.find(bucket)
        except ValueError as exc:
            raise Refused(str(exc), why="request") from exc

    def send(self, request: Request, body: Body | bytes | None = None) -> Answer:
        """One exchange; without `body` the request's own document goes out, and its hash is signed. Raises `Lost`,
        `Busy`, `Refused`, `Unsupported`, and what the body raises."""
        at = self.now()
        return self._wire.exchange(self._signed(request, body, at), at)

    def submit(self, request: Request, body: bytes, reply: Reply, read: Callable[[Answer], ObjectInfo]) -> None:
        """The same, sent on its way; `read` makes of the answer what `reply` is given. Raises `Refused`, `Unsupported`,
        and `Busy` where credentials cannot be fetched now."""
        at = self.now()
        self._wire.submit(self._signed(request, body, at), at, reply, read)

    def flush(self) -> None:
        """What was submitted goes out now."""
        self._wire.flush()

    def _signed(self, request: Request, body: Body | bytes | None, at: datetime) -> messages.Request:
        about = request.about
        address = self.address_of(request.bucket)
        headers = {**request.headers, **address.headers, **self.own_headers, "host": address.host}
        if body is None:
            headers[SHA256_HEADER] = hashlib.sha256(request.document).hexdigest() if request.document else EMPTY_SHA256
        fields = self._signing.sign(
            Unsigned(request.method, "", request.key, request.params, headers), address, about, at
        )
        url = address.url(request.key)
        if request.params:
            url = f"{url}?{query_string(request.params)}"
        document = request.document if body is None else body
        return messages.Request(request.method, url, fields, document, request.answer_bytes, about)

    def presign(self, key: str, expires_s: int) -> str:
        """A URL that reads. Raises `Refused`, `Unsupported`, and `Busy` where credentials cannot be fetched now."""
        request = Unsigned("GET", "", key, headers={"host": self.address.host})
        query = self._signing.presign(request, self.address, "a URL", self.now(), expires_s)
        return f"{self.address.url(key)}?{query}"

    def close(self) -> None:
        self._wire.close()
