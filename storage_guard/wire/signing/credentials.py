"""What proves who asks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# They end up in headers, and between the commas, colons and slashes of an Authorization.
_ID = re.compile(r"[!-+\--.0-9;-~]+")
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key. `security_token` goes with a temporary one; None or empty: a lasting key.

    Raises ValueError, without showing a secret, for an empty key and for what cannot stand in a header.
    """

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.access_key_id):
            raise ValueError("an access key id is printable ASCII without spaces, commas, colons and slashes")
        if not self.access_key_secret or self.access_key_secret != self.access_key_secret.strip():
            raise ValueError("an access key secret is not empty and has no spaces around it")
        if self.security_token and not _TOKEN.fullmatch(self.security_token):
            raise ValueError("a security token is printable ASCII without spaces")
