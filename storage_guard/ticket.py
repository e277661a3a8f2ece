"""A ticket: what `settle` needs to ask about a write again, later, from another process. It holds no secrets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

from storage_guard.checksum import ALGORITHMS, Crc64

_VERSION = 1


@dataclass(frozen=True)
class Ticket:
    """`digest` is (size in bytes, checksum) where known, in `algorithm`. `service` is the `Location.endpoint` of the
    store: a bucket of its name may be elsewhere, too."""

    store_url: str
    key: str
    write_id: str
    upload_id: str | None = None
    named: bool = False
    digest: tuple[int, int] | None = None
    algorithm: Crc64 = "crc64xz"
    service: str | None = None

    def __str__(self) -> str:
        import base64  # noqa: PLC0415 - only what went wrong needs a ticket
        import json  # noqa: PLC0415

        text = json.dumps({"v": _VERSION, **asdict(self)}, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse(text: str) -> Ticket:
    """The ticket in `text`. Raises ValueError if it is not one, or one of another version."""
    import base64  # noqa: PLC0415
    import json  # noqa: PLC0415

    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        fields = cast("dict[str, Any]", json.loads(raw))
        if fields.pop("v") != _VERSION:
            raise ValueError("another version")
        digest = fields.pop("digest")
        ticket = Ticket(**fields, digest=None if digest is None else (int(digest[0]), int(digest[1])))
        names = (ticket.store_url, ticket.key, ticket.write_id, ticket.service or "")
        if not all(isinstance(each, str) for each in names):
            raise ValueError("a name is not a string")
        if ticket.algorithm not in ALGORITHMS:
            raise ValueError("an unknown algorithm")
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as exc:
        raise ValueError(f"this is not a ticket of version {_VERSION}: {text[:40]!r}") from exc
    return ticket
