"""What it means that no connection came about: nothing was sent, and will it be better tomorrow? Pure."""

from __future__ import annotations

import ssl

from storage_guard.driver import Busy, Refused, Signal

# What OpenSSL says of a peer that has answered, and speaks no TLS, or none of ours.
_NO_TLS = (
    *("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"),
    *("UNSUPPORTED_PROTOCOL", "ALERT_PROTOCOL_VERSION", "HANDSHAKE_FAILURE"),
)
# And of one that wants another certificate of the client, or one at all (RFC 8446, 6.2).
_NO_CERTIFICATE = (
    *("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_REVOKED"),
    *("CERTIFICATE_EXPIRED", "CERTIFICATE_UNKNOWN", "UNKNOWN_CA", "ACCESS_DENIED"),
)
_TEXT_CHARACTERS = 300


def unconnected(exc: OSError, about: str) -> Signal:
    """`exc`: what connecting raised, before anything of the request was sent."""
    told = f"{about}: {str(exc)[:_TEXT_CHARACTERS] or type(exc).__name__}"
    if isinstance(exc, ssl.SSLCertVerificationError):
        return Refused(f"{told}: the certificate does not verify, so nothing was sent", why="access")
    refused = certificate_refused(exc, about)
    if refused is not None:
        return refused
    if isinstance(exc, ssl.SSLError) and any(words in (exc.reason or "") for words in _NO_TLS):
        return Refused(f"{told}: no TLS with this host, so nothing was sent", why="request")
    return Busy(f"{told}: nothing was sent")


def certificate_refused(exc: Exception, about: str) -> Refused | None:
    """None unless the other side told us that the client's certificate is why it ends the handshake.

    Under TLS 1.3 that comes when for the client the handshake is over, and its request perhaps sent (RFC 8446,
    4.4.2.4); the other side has read none of it.
    """
    reason = (exc.reason or "") if isinstance(exc, ssl.SSLError) else ""
    if "ALERT" not in reason or not any(words in reason for words in _NO_CERTIFICATE):
        return None
    told = f"{about}: {str(exc)[:_TEXT_CHARACTERS]}"
    return Refused(f"{told}: the server refuses the client's certificate, so it took no request", why="access")


def tunnel_refused(status: int, about: str) -> Signal:
    """`status`: what a proxy answered that was asked for a tunnel."""
    if status in (401, 403, 407):
        return proxy_refused(about, status)
    return Busy(f"{about}: the proxy opened no tunnel: nothing was sent", status=status)


def proxy_refused(about: str, status: int) -> Refused:
    wants = "wants credentials" if status in (401, 407) else "opens no tunnel there"
    return Refused(f"{about}: the proxy {wants}, so nothing was sent on", why="access", status=status)
