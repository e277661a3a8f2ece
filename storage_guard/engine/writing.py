"""One `create`, put together: what is asked, what it is made of, and the write that carries it out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING

from storage_guard import outcome
from storage_guard.engine.creation import Creation
from storage_guard.engine.policy import Policy, Wanted
from storage_guard.engine.sending import Progress
from storage_guard.engine.source import Source, open_source
from storage_guard.model import Capabilities, Guarantee, Receipt
from storage_guard.outcome import Write
from storage_guard.retry import Patience

if TYPE_CHECKING:
    from typing_extensions import Buffer


def create(
    policy: Policy,
    wanted: Wanted,
    data: Buffer | os.PathLike[str] | IO[bytes] | Iterable[Buffer],
    *,
    patience: Patience,
    resume: bool = False,
    progress: Progress | None = None,
    throttled: Callable[[float], None] | None = None,
) -> Receipt:
    """Raises what `Store.create` raises. `throttled` is told when a request was sent to which the store said Busy."""
    can = policy.known(patience)
    key = wanted.key
    guarantee = policy.vouch("put", can, wanted)
    source = open_source(data, key)
    done = False
    try:
        if resume:
            from storage_guard.engine import resuming  # noqa: PLC0415 - few writes are gone on with

            resumable = resuming.resumable(policy, wanted, source, can, patience=patience, progress=progress)
            if resumable is not None:
                receipt = resumable.create()
                done = True
                return receipt
        creation, write = prepared(
            policy, wanted, source, can, guarantee, patience=patience, progress=progress, throttled=throttled
        )
        receipt = creation.create(write)
        done = True
    finally:
        source.close(done=done)
    return receipt


def prepared(
    policy: Policy,
    wanted: Wanted,
    source: Source,
    can: Capabilities,
    guarantee: Guarantee,
    *,
    patience: Patience,
    progress: Progress | None = None,
    throttled: Callable[[float], None] | None = None,
) -> tuple[Creation, Write]:
    """What carries out a create, and its first state: nothing was sent. `guarantee`: who vouches for a put. Raises what
    `Store.create` raises before it sends."""
    payload, multipart = policy.payload(source, wanted, can)
    if multipart:
        guarantee = policy.vouch("finish", can, wanted)
    creation = Creation(
        policy.target(wanted, can, guarantee),
        patience,
        payload,
        wanted.meta,
        multipart=multipart,
        bounds=policy.bounds,
        diary=policy.diary(wanted, can) if multipart else None,
        progress=progress,
        throttled=throttled,
    )
    write = outcome.start(
        multipart=multipart,
        if_exists=wanted.if_exists,
        named=wanted.named,
        rewindable=payload.rewindable or not multipart,
    )
    return creation, write
