"""What the worker asks of a client. No peer, and nothing of ours, is imported here."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

TRUE = {"x-oss-forbid-overwrite": "true"}


@dataclass(frozen=True)
class Target:
    """Where a client writes to: a bucket on a server that looks at nobody's signature."""

    endpoint: str
    bucket: str
    region: str
    access_key_id: str
    access_key_secret: str


class Client(Protocol):
    """Every create is of a new key, under the condition that it is new."""

    @property
    @abstractmethod
    def facts(self) -> dict[str, str]:
        """Versions, and whatever else a reader has to know about the checksums in use."""
        ...

    @abstractmethod
    def create(self, key: str, data: bytes) -> None: ...

    @abstractmethod
    def create_file(self, key: str, path: str) -> None: ...

    @abstractmethod
    def create_many(self, items: Iterable[tuple[str, bytes]]) -> Iterable[Exception | None]:
        """In one call: an exception or None for each, as they end."""
        ...


def crcmod_facts(crcmod: object) -> dict[str, str]:
    """`crcmod` is the inner module. crcmod and crcmod-plus are imported by the same name."""
    in_c = bool(getattr(crcmod, "_usingExtension", False))
    return {"crc": "crcmod, its C extension" if in_c else "crcmod in pure Python"}
