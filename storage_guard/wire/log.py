"""What the logger "storage_guard.wire" is told at DEBUG: no header, no body, and of a URL no query, where signatures
are. Nothing is formatted unless somebody listens."""

from __future__ import annotations

import logging
from time import perf_counter

from storage_guard.wire.messages import Answer, Request, bare

_logger = logging.getLogger("storage_guard.wire")


def start() -> float:
    """When an exchange began, for the functions below; 0.0 if nobody listens."""
    return perf_counter() if _logger.isEnabledFor(logging.DEBUG) else 0.0


def answered(request: Request, answer: Answer, started_s: float) -> None:
    if started_s:
        _logger.debug(
            "%s %s: %d, %s bytes sent, %d received, %.1f ms",
            request.method,
            bare(request.url),
            answer.status,
            _size(request),
            len(answer.body),
            _ms(started_s),
        )


def failed(request: Request, exc: BaseException, started_s: float) -> None:
    if started_s:
        # Of what a body raised only the kind: its words are the caller's.
        _logger.debug(
            "%s %s: %s, %s bytes to send, %.1f ms",
            request.method,
            bare(request.url),
            type(exc).__name__,
            _size(request),
            _ms(started_s),
        )


def _size(request: Request) -> int:
    body = request.body
    if body is None:
        return 0
    return len(body) if isinstance(body, bytes) else body.size_bytes


def _ms(started_s: float) -> float:
    return (perf_counter() - started_s) * 1000
