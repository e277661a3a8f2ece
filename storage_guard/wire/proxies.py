"""Which proxy a request goes through. Pure."""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from storage_guard.driver import Refused
from storage_guard.wire.settings import Settings

_SCHEMES = ("http", "https")


class Proxy(NamedTuple):
    """`url` has no credentials; those are what the proxy is told, "" for none."""

    url: str
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.url!r})"

    @property
    def authorization(self) -> str:
        """The line that tells it who we are; empty without credentials. Others than Basic need a second request."""
        if not (self.user or self.password):
            return ""
        told = b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")
        return f"Proxy-Authorization: Basic {told}\r\n"


def proxy_of(origin: str, settings: Settings, environment: Mapping[str, str]) -> Proxy | None:
    """The proxy that requests to this origin (scheme, host, port) go through. Raises `Refused` for one that is none,
    and for an origin that is none."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError as exc:
        raise Refused(f"{origin!r} is no host and port: {exc}", why="request") from None
    scheme, host = parts.scheme, parts.hostname or ""
    url = _chosen(settings.proxies, scheme, host)
    if url is None and settings.trust_env:
        exempt = settings.proxies.get("no_proxy") or _variable(environment, "no_proxy")
        if _exempt(exempt, host, port or (443 if scheme == "https" else 80)):
            url = ""
        else:
            url = _variable(environment, f"{scheme}_proxy") or _variable(environment, "all_proxy") or None
    if url is None:
        url = _chosen(settings.fallback_proxies, scheme, host)
    return _parsed(url) if url else None


def _chosen(proxies: Mapping[str, str], scheme: str, host: str) -> str | None:
    return next(
        (proxies[key] for key in (f"{scheme}://{host}", scheme, f"all://{host}", "all") if key in proxies), None
    )


def _variable(environment: Mapping[str, str], name: str) -> str:
    found = environment.get(name)
    # In a CGI program HTTP_PROXY is what a client sent as its header "Proxy".
    if found is None and not (name == "http_proxy" and "REQUEST_METHOD" in environment):
        found = environment.get(name.upper())
    return found or ""


def _exempt(names: str, host: str, port: int) -> bool:
    host = host.lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    for each in names.replace(" ", "").lower().split(","):
        name = each.lstrip(".")
        if name.startswith("[") and name.endswith("]"):
            name = name[1:-1]
        if name == "*":
            return True
        if not name:
            continue
        if address is not None and _holds(name, address):
            return True
        if any(end == name or end.endswith(f".{name}") for end in (host, f"{host}:{port}")):
            return True
    return False


def _holds(network: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _parsed(text: str) -> Proxy:
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme.startswith("socks"):
        raise Refused(f"the proxy {host}:{port} speaks SOCKS, which is not supported here", why="request")
    clean = url.isascii() and url.isprintable()
    if not host or parts.scheme not in _SCHEMES or not clean:
        raise Refused("a proxy's URL is like http://host:port, and what was given is not", why="request")
    named = f"[{host}]" if ":" in host else host
    return Proxy(
        f"{parts.scheme}://{named}" + (f":{port}" if port is not None else ""),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )
