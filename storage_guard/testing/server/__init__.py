"""A loopback server that speaks a service's dialect, fails on cue, and can be as slow as a real one.

    with running(OSSDialect(Buckets(["b"])), cues=Cues(Cue(cut_after_acting(), member="put_new"))) as server:
        ...  # a client of `server.url`: its first put takes place, and its answer is lost
        assert [seen.status for seen in server.requests] == [None, 409]

`python -m storage_guard.testing.server` is the same as a program, and `subprocess_running` that program as a child. A
dialect of yours implements `Dialect`. A request may name its host by an absolute URL (RFC 9112, 3.2.2), so a client
that takes the server for its proxy reaches every bucket's own name without a resolver.
"""

from __future__ import annotations

from storage_guard.testing.server.children import Child, subprocess_running
from storage_guard.testing.server.cues import (
    HALF,
    Action,
    Cue,
    Cues,
    Hold,
    Refusal,
    Strike,
    altered,
    cut_after_acting,
    cut_before_acting,
    cut_in_answer,
    cut_in_request,
    delayed,
    held,
    refused,
    refused_after_acting,
)
from storage_guard.testing.server.exchange import Answer, Asked, Dialect, Receiving, Request
from storage_guard.testing.server.links import Link
from storage_guard.testing.server.running import Server, running
from storage_guard.testing.server.shared import Seen

__all__ = [
    "HALF",
    "Action",
    "Answer",
    "Asked",
    "Child",
    "Cue",
    "Cues",
    "Dialect",
    "Hold",
    "Link",
    "Receiving",
    "Refusal",
    "Request",
    "Seen",
    "Server",
    "Strike",
    "altered",
    "cut_after_acting",
    "cut_before_acting",
    "cut_in_answer",
    "cut_in_request",
    "delayed",
    "held",
    "refused",
    "refused_after_acting",
    "running",
    "subprocess_running",
]
