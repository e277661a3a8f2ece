"""Who may call a server: keys, their secrets, and what they may do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from storage_guard.testing.server.calls import Call, copy_source
from storage_guard.testing.server.exchange import Asked
from storage_guard.testing.server.refusals import Refusal


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


def require_allowed(call: Call, credential: Credential, source: str) -> None:
    """`source`: the header that names what a copy copies. Raises: Refusal, if this key may not do that."""
    may = credential.may
    if may is None:
        return
    if not may(call.asked):
        raise Refusal("AccessDenied")
    if call.action in {"copy", "copy_part"}:
        named = copy_source(call.request.headers[source])
        if named is not None and not may(Asked("read", named[0], named[1])):
            raise Refusal("AccessDenied", "This key may not read the source.")
