"""Who may call a server: keys, their secrets, and what they may do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from storage_guard.testing.server.exchange import Asked


@dataclass(frozen=True, slots=True)
class Credential:
    """An access key. With a `token` it is a temporary one, which is refused from `expires` on.

    `may` says what it is allowed; everything without it. See `all_but`.
    """

    access_key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires: datetime | None = None
    may: Callable[[Asked], bool] | None = None


class Credentials:
    """Keys by their ids."""

    def __init__(self, known: Iterable[Credential] = ()) -> None:
        self._known: dict[str, Credential] = {}
        for credential in known:
            self.add(credential)

    def add(self, credential: Credential) -> None:
        """Makes it known, in place of one of the same id."""
        self._known[credential.access_key_id] = credential

    def get(self, access_key_id: str) -> Credential | None:
        return self._known.get(access_key_id)


def all_but(*members: str) -> Callable[[Asked], bool]:
    """Allows everything except these members of `Asked`."""
    denied = frozenset(members)
    return lambda asked: asked.member not in denied
