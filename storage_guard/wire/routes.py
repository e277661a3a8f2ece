"""What lies between here and a service: proxies and certificates, looked up once."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import NamedTuple

from storage_guard.wire.messages import Request, head_of, split
from storage_guard.wire.proxies import Proxy, proxy_of
from storage_guard.wire.settings import Settings

# Where systems keep theirs; the OpenSSL of an interpreter looks where the system did that it was built on.
_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
)


class Way(NamedTuple):
    """To one scheme, host and port. `authorization`: the line that tells the proxy of a plain request who we are."""

    origin: str
    host: str
    proxy: Proxy | None
    authorization: str

    @property
    def forwarded(self) -> bool:
        """Whether a proxy reads the request itself, and is to be told the whole URL."""
        return self.proxy is not None and self.origin.startswith("http:")


class Routes:
    """`certificates`: the file or folder to believe; None leaves OpenSSL's own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ways: dict[str, Way] = {}
        self.certificates = certificates_of(settings, os.environ)

    def of(self, url: str) -> tuple[Way, str]:
        """How to reach it, and what to ask for there. By the environment as it was when this scheme, host and port were
        first asked for. Raises `Refused` for what is no URL, and for a proxy that is none."""
        origin, target = split(url)
        way = self._ways.get(origin)
        if way is None:
            way = self._ways.setdefault(origin, self._way(origin))
        return way, f"{origin}{target}" if way.forwarded else target

    def begun(self, request: Request, size_bytes: int) -> tuple[Way, bytes]:
        """How a request with so large a body goes out: its way, and its head. Raises `Refused` for what cannot be sent
        as it is."""
        way, target = self.of(request.url)
        agent = self._settings.user_agent
        return way, head_of(request, target, way.host, size_bytes, agent=agent, more=way.authorization)

    def _way(self, origin: str) -> Way:
        proxy = proxy_of(origin, self._settings, os.environ)
        plain = proxy is not None and origin.startswith("http:")
        return Way(origin, origin.partition("://")[2], proxy, proxy.authorization if proxy and plain else "")


def certificates_of(settings: Settings, environment: Mapping[str, str]) -> str | None:
    """The file or folder of certificates to believe; None if the system has none where systems have them."""
    if settings.ca is not None:
        return settings.ca
    if settings.trust_env:
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
            if environment.get(name):
                return environment[name]
    paths = ssl.get_default_verify_paths()
    for path in (paths.openssl_cafile, *_CERTIFICATES, paths.openssl_capath):
        if os.path.exists(path):
            return path
    return None
