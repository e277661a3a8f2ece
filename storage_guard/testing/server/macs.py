"""What the services' signatures have in common. Written for the server alone: the clients' own are not used here."""

from __future__ import annotations

import hmac
from functools import lru_cache


def fields_of(authorization: str) -> dict[str, str]:
    """The fields behind the name of the algorithm."""
    fields: dict[str, str] = {}
    for part in authorization.split(","):
        name, _, value = part.strip().partition("=")
        fields[name] = value
    return fields


@lru_cache(maxsize=64)
def signing_key(prefix: str, secret: str, scope: str) -> bytes:
    """The key of the day, region and service that `scope` names. `prefix`: what stands before the secret there."""
    key = (prefix + secret).encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    return key


def same(ours: str, theirs: str) -> bool:
    """Says nothing, by the time it takes, of how much is the same."""
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "replace"))
