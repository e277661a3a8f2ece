"""What a failure of libcurl's means: was anything of the request sent? Pure.

The codes alone do not say it. That the request was about to be sent is told by libcurl's pre-request callback, which is
called when the connection, a proxy's tunnel and TLS stand.
"""

from __future__ import annotations

import pycurl

from storage_guard.driver import Busy, Lost, Refused, Signal

_CERTIFICATES = frozenset(
    (
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CRL_BADFILE,
        pycurl.E_SSL_INVALIDCERTSTATUS,
        pycurl.E_SSL_ISSUER_ERROR,
        pycurl.E_SSL_PINNEDPUBKEYNOTMATCH,
    )
)
_HOPELESS = frozenset(
    (
        pycurl.E_BAD_FUNCTION_ARGUMENT,
        pycurl.E_NOT_BUILT_IN,
        pycurl.E_SSL_CIPHER,
        pycurl.E_SSL_ENGINE_INITFAILED,
        pycurl.E_SSL_ENGINE_NOTFOUND,
        pycurl.E_SSL_ENGINE_SETFAILED,
        pycurl.E_UNKNOWN_OPTION,
        pycurl.E_UNSUPPORTED_PROTOCOL,
        pycurl.E_URL_MALFORMAT,
        pycurl.E_USE_SSL_FAILED,
    )
)
# What OpenSSL says of a peer that has answered, and speaks no TLS, or none of ours.
_NO_TLS = (
    *("wrong version number", "http request", "packet length too long"),
    *("unsupported protocol", "alert protocol version", "handshake failure"),
)
_TEXT_CHARACTERS = 300


def failure(code: int, text: str, about: str, *, begun: bool, tunnel_status: int = 0) -> Signal:
    """`begun`: the request was about to be sent. `tunnel_status` is what a proxy answered when it was asked for a
    tunnel, 0 if none was."""
    told = f"{about}: {text[:_TEXT_CHARACTERS] or 'no answer'} (libcurl {code})"
    if begun:
        return Lost(told)
    if code in _CERTIFICATES:
        return Refused(f"{told}: the certificate does not verify, so nothing was sent", why="access")
    if code == pycurl.E_SSL_CONNECT_ERROR and any(words in text for words in _NO_TLS):
        return Refused(f"{told}: no TLS with this host, so nothing was sent", why="request")
    if code in _HOPELESS:
        return Refused(f"{told}: nothing was sent", why="request")
    if tunnel_status in (401, 403, 407):
        return proxy_refused(about, tunnel_status)
    return Busy(f"{told}: nothing was sent")


def proxy_refused(about: str, status: int) -> Refused:
    wants = "wants credentials" if status == 407 else "opens no tunnel there"
    return Refused(f"{about}: the proxy {wants}, so nothing was sent on", why="access", status=status)
