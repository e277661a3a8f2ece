"""What is set once for all requests of an easy handle, and what a proxy changes."""

from __future__ import annotations

import math
import os

import pycurl

from storage_guard.wire.proxies import Proxy
from storage_guard.wire.settings import Settings

_BUFFER_BYTES = 256 * 1024  # a window of a body at once


def set_up(curl: pycurl.Curl, settings: Settings, certificates: str | None) -> None:
    """`certificates`: a file or a folder; None leaves libcurl's own."""
    curl.setopt(pycurl.NOSIGNAL, 1)  # its alarms are the process's, and there are threads
    curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(pycurl.FOLLOWLOCATION, 0)
    curl.setopt(pycurl.PATH_AS_IS, 1)  # "/bucket/%2E%2E/key" is the object's name
    curl.setopt(pycurl.NETRC, pycurl.NETRC_IGNORED)
    curl.setopt(pycurl.HTTP_CONTENT_DECODING, 0)
    curl.setopt(pycurl.USERAGENT, settings.user_agent)
    curl.setopt(pycurl.TCP_NODELAY, 1)
    curl.setopt(pycurl.TCP_KEEPALIVE, 1)
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(settings.connect_timeout_s))
    if settings.total_timeout_s is not None:
        curl.setopt(pycurl.TIMEOUT_MS, _milliseconds(settings.total_timeout_s))
    curl.setopt(pycurl.MAXAGE_CONN, math.ceil(settings.keep_idle_s))
    curl.setopt(pycurl.UPLOAD_BUFFERSIZE, _BUFFER_BYTES)
    curl.setopt(pycurl.BUFFERSIZE, _BUFFER_BYTES)
    # Headers of ours are not for a proxy that is asked for a tunnel.
    curl.setopt(pycurl.HEADEROPT, pycurl.HEADER_SEPARATE)
    curl.setopt(pycurl.PROXYAUTH, pycurl.HTTPAUTH_BASIC)  # with others a request is sent twice
    # Set and empty, they keep libcurl from looking into the environment.
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.NOPROXY, "")
    curl.setopt(pycurl.SSL_VERIFYPEER, 1)
    curl.setopt(pycurl.SSL_VERIFYHOST, 2)
    if certificates is not None:
        folder = os.path.isdir(certificates)
        curl.setopt(pycurl.CAPATH if folder else pycurl.CAINFO, certificates)
        curl.setopt(pycurl.PROXY_CAPATH if folder else pycurl.PROXY_CAINFO, certificates)
    if settings.client_cert is not None:
        curl.setopt(pycurl.SSLCERT, settings.client_cert)
        curl.setopt(pycurl.SSLKEY, settings.client_key or settings.client_cert)


def set_proxy(curl: pycurl.Curl, proxy: Proxy | None) -> None:
    curl.setopt(pycurl.PROXY, "" if proxy is None else proxy.url)
    for option, value in (
        (pycurl.PROXYUSERNAME, proxy.user if proxy else ""),
        (pycurl.PROXYPASSWORD, proxy.password if proxy else ""),
    ):
        if value:
            curl.setopt(option, value)
        else:
            curl.unsetopt(option)


def _milliseconds(seconds: float) -> int:
    return max(1, min(math.ceil(seconds * 1000), 2**31 - 1))
