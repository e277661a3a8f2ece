"""Asking again about a write whose outcome was unknown: `Store.settle`."""

from __future__ import annotations

from storage_guard import ticket
from storage_guard.engine.policy import Policy, Wanted
from storage_guard.engine.resolve import Settling
from storage_guard.errors import NotWritten, OutcomeUnknown
from storage_guard.model import NO_OPTIONS, Receipt


def settle(policy: Policy, text: str, *, deadline_s: float) -> Receipt:
    """Raises what `Store.settle` raises."""
    asked = ticket.parse(text)
    access = policy.access
    if asked.store_url != policy.url:
        raise ValueError(f"this ticket is about {asked.store_url}, and this store is {policy.url}")
    if asked.service not in (None, here := access.driver.location.endpoint):
        raise ValueError(f"this ticket is about {policy.url} at {asked.service}, and this store is at {here}")
    wanted = Wanted(asked.key, access.full(asked.key), "error", asked.write_id, asked.named, NO_OPTIONS)
    try:
        can = policy.known(access.patience(deadline_s))
    except NotWritten as exc:
        # That the store cannot be examined says nothing about a write that was sent before.
        raise OutcomeUnknown(
            f"{asked.key!r} in {policy.url}: our object may be there, or may yet appear: {exc}",
            key=asked.key,
            ticket=text,
            write_id=asked.write_id,
        ) from exc
    target = policy.target(wanted, can, policy.believed("finish" if asked.upload_id else "put", can))
    return Settling(target, access.patience(deadline_s), asked).settle()
