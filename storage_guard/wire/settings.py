"""How to reach a service. Plain values; none that is secret shows in a `repr`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

DEFAULT_USER_AGENT = "storage-guard"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Raises ValueError for numbers that are no bound, and for text that would not stay within its header."""

    connect_timeout_s: float = 10.0
    """For the name, the connection, a proxy's tunnel and TLS together. Nothing has been sent until then."""

    idle_timeout_s: float = 60.0
    """An exchange is given up when no byte of its bodies has moved, either way, for so long, and in a `Loop` up to a
    quarter of a second more. What a body takes to be read does not count."""

    total_timeout_s: float | None = None
    """For an exchange from its beginning to its end, the reading of its body included. None: no bound."""

    proxies: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """URLs of proxies by "https://host", "https", "all://host" or "all", the first that is there; "" is
    none. They come before those of the environment. "no_proxy" names hosts to go to directly, instead of the
    environment's."""

    fallback_proxies: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """The same, behind those of the environment."""

    trust_env: bool = True
    """Whether the environment may name proxies (http_proxy, https_proxy, all_proxy, no_proxy) and certificates
    (REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR)."""

    ca: str | None = None
    """A file or a folder of certificates to believe. None: those of the environment, else the system's."""

    client_cert: str | None = None
    client_key: str | None = None
    """Files in PEM form; a key of None is in the certificate's file."""

    user_agent: str = DEFAULT_USER_AGENT

    pool_size: int = 128
    """Connections that are kept for use again. While they are in use there may be more, one for each calling thread.
    Each takes one descriptor."""

    keep_idle_s: float = 50.0
    """A connection that nobody used for so long is not used again: services close theirs after about 60 s. That is seen
    before it is used, unless the word of it was lost on the way."""

    def __post_init__(self) -> None:
        for name in ("connect_timeout_s", "idle_timeout_s", "keep_idle_s", "total_timeout_s"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and 0 < value < inf):
                raise ValueError(f"{name}={value} is no time")
        if self.pool_size < 0:
            raise ValueError(f"pool_size={self.pool_size} is negative")
        if not (self.user_agent.isascii() and self.user_agent.isprintable() and self.user_agent):
            raise ValueError(f"user_agent must be printable ASCII, got {self.user_agent!r}")
        if self.client_key is not None and self.client_cert is None:
            raise ValueError("client_key goes with client_cert")
