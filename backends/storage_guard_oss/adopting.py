"""What is taken over from a bucket object of the user's, and what is refused because it could not be honoured.

The object itself and its session are only read. CRC of oss2 is not used, being slow: every answer's is compared here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import oss2
import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from storage_guard.driver import Refused
from storage_guard.wire import messages
from storage_guard.wire.settings import Settings
from storage_guard_oss.addressing import address_of
from storage_guard_oss.endpoints import endpoint_of
from storage_guard_oss.options import PAYER
from storage_guard_oss.sending import Sender
from storage_guard_oss.signing import signing_of

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
CONNECTIONS = 128
"""Kept for use again: one for each of 64 threads that send parts, and as many for what goes on beside them."""

USER_AGENT = f"storage-guard {oss2.http.USER_AGENT}"

_USUAL_HEADERS = frozenset({"user-agent", "accept-encoding", "accept", "connection"})
_OF_EACH_REQUEST = frozenset({"authorization", "date", "content-md5", "content-type", "host", "range", "if-match"})


def adopted(
    bucket: oss2.Bucket,
    *,
    connect_timeout_s: float | None,
    read_timeout_s: float | None,
    request_payer: str | None,
) -> Sender:
    """A sender with this bucket's settings. Raises TypeError, and ValueError that names what cannot be honoured."""
    if type(bucket) is not oss2.Bucket:
        if isinstance(bucket, oss2.CryptoBucket):
            raise TypeError(
                "a CryptoBucket changes the bytes on their way, and nothing could be compared: want a Bucket"
            )
        raise TypeError(f"want an oss2.Bucket itself, not a {type(bucket).__name__}")
    session = _session_of(bucket)
    headers = _headers_of(session)
    if request_payer is not None:
        headers[PAYER] = request_payer
    connect_s, read_s = _timeouts(bucket, connect_timeout_s, read_timeout_s)
    certificate, key = _cert(session)
    settings = Settings(
        connect_timeout_s=connect_s,
        idle_timeout_s=read_s,
        proxies=_proxies(bucket.proxies or {}),
        fallback_proxies=_proxies(session.proxies),
        trust_env=session.trust_env,
        ca=_ca(session),
        client_cert=certificate,
        client_key=key,
        user_agent=f"{USER_AGENT}/{bucket.app_name}" if bucket.app_name else USER_AGENT,
        pool_size=CONNECTIONS,
    )
    return Sender(address_of(bucket), signing_of(bucket), settings, headers)


def location_of(sender: Sender) -> str:
    """What two drivers must have in common for the one to copy from the other; a custom domain is one bucket's."""
    return endpoint_of(sender.address.endpoint).service


def _session_of(bucket: oss2.Bucket) -> requests.Session:
    session = getattr(bucket.session, "session", None)
    if type(bucket.session) is not oss2.Session or not isinstance(session, requests.Session):
        raise TypeError(f"the bucket's session is a {type(bucket.session).__name__}: want an oss2.Session")
    refused = {
        "auth": session.auth is not None,
        "params": bool(session.params),
        "cookies": len(session.cookies) > 0,
        "hooks": any(session.hooks.values()),
    }
    named = [name for name, is_set in refused.items() if is_set]
    if named:
        raise ValueError(f"the bucket's session has {', '.join(named)}, which cannot be honoured: take them off")
    for prefix, adapter in session.adapters.items():
        if type(adapter) is not HTTPAdapter:
            raise ValueError(
                f"the bucket's session sends {prefix} through a {type(adapter).__name__}: it is not used here"
            )
        if adapter.max_retries.total:
            raise ValueError("the bucket's session retries (max_retries), and a retry turns success into a conflict")
    return session


def _headers_of(session: requests.Session) -> dict[str, str]:
    headers = {name: _text(value) for name, value in session.headers.items() if name.lower() not in _USUAL_HEADERS}
    for name in headers:
        if name.lower().startswith("x-oss-") or name.lower() in _OF_EACH_REQUEST:
            raise ValueError(f"the bucket's session has the header {name}, which each request says for itself")
    try:
        messages.head_of(messages.Request("GET", "", headers), "/", "", 0, agent="")
    except Refused as exc:
        raise ValueError(f"the headers of the bucket's session cannot be sent: {exc}") from exc
    return headers


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _proxies(proxies: Mapping[str, str | None]) -> dict[str, str]:
    for scheme, url in proxies.items():
        if url and url.lower().startswith("socks"):
            raise ValueError(f"the proxy for {scheme} speaks SOCKS, which is not supported here")
    return {scheme: url or "" for scheme, url in proxies.items()}


def _ca(session: requests.Session) -> str:
    """Where requests would look, so that whoever could be reached stays in reach, and nobody else."""
    verify = session.verify
    if verify is False:
        raise ValueError("the bucket's session has verify=False: its answers could be anybody's")
    if isinstance(verify, str):
        return verify
    named = session.trust_env and (os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE"))
    return named or DEFAULT_CA_BUNDLE_PATH


def _cert(session: requests.Session) -> tuple[str | None, str | None]:
    """The files of a client's certificate and of its key, which may be in the same."""
    cert = session.cert
    if cert is None or isinstance(cert, str):
        return cert, None
    certificate, key = cert
    return str(certificate), str(key)


def _timeouts(bucket: oss2.Bucket, connect_s: float | None, read_s: float | None) -> tuple[float, float]:
    """Those that were given; then those the user gave the bucket; then ours."""
    of_bucket = bucket.timeout
    if isinstance(of_bucket, tuple):
        usual_connect_s, usual_read_s = of_bucket
    elif of_bucket == oss2.defaults.connect_timeout:
        usual_connect_s, usual_read_s = CONNECT_TIMEOUT_S, READ_TIMEOUT_S
    else:
        usual_connect_s = usual_read_s = of_bucket
    found = (usual_connect_s if connect_s is None else connect_s, usual_read_s if read_s is None else read_s)
    for each in found:
        if not isinstance(each, int | float) or not 0 < each < float("inf"):
            raise ValueError(f"a timeout is a positive number of seconds, got {each!r}")
    return float(found[0]), float(found[1])
