"""Sending: a request is addressed, signed and carried by the wire, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from storage_guard.driver import Body, ObjectInfo, Reply
from storage_guard.wire import messages
from storage_guard.wire.services.carrying import Carrier
from storage_guard.wire.services.times import utc_now
from storage_guard.wire.settings import Settings
from storage_guard.wire.signing import Unsigned, query_string
from storage_guard_oss.addressing import Address
from storage_guard_oss.message import Answer, Request, Route
from storage_guard_oss.signing import Signing

_SECRET = ("authorization", "x-oss-security-token")


class Sender:
    """Any thread may use it, and a child of the process that made it.

    `headers` go with every request, besides its own. `now` is this machine's time.
    """

    def __init__(
        self,
        address: Address,
        signing: Signing,
        settings: Settings,
        headers: Mapping[str, str],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.address = address
        self.settings = settings
        self.own_headers = headers
        self.now = now
        self._keys, self._signer = signing
        self._wire = Carrier(settings, Answer, _SECRET)
        self._route: Route | None = None

    @property
    def bucket_name(self) -> str:
        return self.address.bucket

    def route(self) -> Route:
        """A custom domain may be that of a CDN, and an accelerated endpoint takes requests in at the nearest edge: they
        may ask twice, as a proxy may. Raises `Refused` for a proxy that is none."""
        route = self._route
        if route is None:
            accelerated = "//oss-accelerate" in self.address.endpoint
            proxy = self._wire.proxy_of(self.address.url(""))
            route = Route(sole=not (self.address.style == "domain" or accelerated or proxy))
            self._route = route
        return route

    def send(self, request: Request, body: Body | bytes | None = None) -> Answer:
        """One exchange; without `body` the request's own document goes out. Raises `Lost`, `Busy`, `Refused`, and what
        the body raises."""
        at = self.now()
        return self._wire.exchange(self._signed(request, body, at), at)

    def submit(self, request: Request, body: bytes, reply: Reply, read: Callable[[Answer], ObjectInfo]) -> None:
        """The same, sent on its way; `read` makes of the answer what `reply` is given. Raises `Refused`, and `Busy`
        where credentials cannot be fetched now."""
        at = self.now()
        self._wire.submit(self._signed(request, body, at), at, reply, read)

    def flush(self) -> None:
        """What was submitted goes out now."""
        self._wire.flush()

    def _signed(self, request: Request, body: Body | bytes | None, at: datetime) -> messages.Request:
        about = request.about
        bucket = request.bucket or self.address.bucket
        url = self.address.url(request.key, bucket)
        headers = {**request.headers, **self.own_headers}
        unsigned = Unsigned(request.method, bucket, request.key, request.params, headers)
        fields = self._keys.sign(self._signer, unsigned, about, at)
        if request.params:
            url = f"{url}?{query_string(request.params)}"
        document = request.document if body is None else body
        return messages.Request(request.method, url, fields, document, request.answer_bytes, about)

    def presign(self, key: str, expires_s: int) -> str:
        """A URL that reads. Raises `Refused`, and `Busy` where credentials cannot be fetched now."""
        unsigned = Unsigned("GET", self.address.bucket, key)
        query = self._keys.presign(self._signer, unsigned, "a URL", self.now(), expires_s)
        return f"{self.address.url(key)}?{query}"

    def close(self) -> None:
        self._wire.close()
