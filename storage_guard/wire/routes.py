"""What lies between here and a service: proxies and certificates, looked up once."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

from storage_guard.wire.proxies import Proxy, proxy_of
from storage_guard.wire.settings import Settings

# Where systems keep theirs; a libcurl from a wheel looks where its builder's system did.
_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
)


class Routes:
    """`certificates`: the file or folder to believe; None leaves libcurl's own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._proxies: dict[str, Proxy | None] = {}
        self.certificates = certificates_of(settings, os.environ)

    def proxy_of(self, origin: str) -> Proxy | None:
        """As the environment was when it was first asked for this scheme, host and port. Raises `Refused`."""
        try:
            return self._proxies[origin]
        except KeyError:
            return self._proxies.setdefault(origin, proxy_of(origin, self._settings, os.environ))


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
