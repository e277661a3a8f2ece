"""What it means that no connection came about: nothing was sent, and will it be better tomorrow? Pure."""

from __future__ import annotations

import ssl

from storage_guard.driver import Busy, Refused, Signal

# What OpenSSL says of a peer that has answered, and speaks no TLS, or none of ours.
_NO_TLS = (
    *("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"),
    *("UNSUPPORTED_PROTOCOL", "ALERT_PROTOCOL_VERSION", "HANDSHAKE_FAILURE"),
)
_TEXT_CHARACTERS = 300


def unconnected(exc: OSError, about: str) -> Signal:
    """`exc`: what connecting raised, before anything of the request was sent."""
    told = f"{about}: {str(exc)[:_TEXT_CHARACTERS] or type(exc).__name__}"
    if isinstance(exc, ssl.SSLCertVerificationError):
        return Refused(f"{told}: the certificate does not verify, so nothing was sent", why="access")
    if isinstance(exc, ssl.SSLError) and any(words in (exc.reason or "") for words in _NO_TLS):
        return Refused(f"{told}: no TLS with this host, so nothing was sent", why="request")
    return Busy(f"{told}: nothing was sent")


def tunnel_refused(status: int, about: str) -> Signal:
    """`status`: what a proxy answered that was asked for a tunnel."""
    if status in (401, 403, 407):
        return proxy_refused(about, status)
    return Busy(f"{about}: the proxy opened no tunnel: nothing was sent", status=status)


def proxy_refused(about: str, status: int) -> Refused:
    wants = "wants credentials" if status in (401, 407) else "opens no tunnel there"
    return Refused(f"{about}: the proxy {wants}, so nothing was sent on", why="access", status=status)
