"""What the worker asks of a client. No peer, and nothing of ours, is imported here."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

TRUE = {"x-oss-forbid-overwrite": "true"}


@dataclass(frozen=True)
class Target:
    """Where a client writes to. Without an access key it takes what the environment has, and then the server is a real
    one; with one it is ours, which looks at nobody's signature."""

    endpoint: str | None
    bucket: str
    region: str | None
    access_key_id: str | None = None
    access_key_secret: str | None = None
    service: Literal["oss", "s3"] = "oss"
    path_style: bool = True
    prefix: str = ""  # ends with a slash, or is empty

    @property
    def login(self) -> dict[str, str]:
        """Of an SDK that wants it by these names."""
        if self.access_key_id is None or self.access_key_secret is None:
            return {}
        return {"access_key_id": self.access_key_id, "access_key_secret": self.access_key_secret}


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


class Many(Client, Protocol):
    """One that has a call for very many objects."""

    @abstractmethod
    def create_many(self, items: Iterable[tuple[str, bytes]]) -> Iterable[Exception | None]:
        """In one call: an exception or None for each, as they end."""
        ...


class Settable(Client, Protocol):
    """One that can be told, from create to create, how to cut what it sends."""

    @abstractmethod
    def set(self, settings: dict[str, Any]) -> None:
        """From here on: `part_bytes`, `in_flight`, `memory_bytes`, `one_put`; what is not there is as shipped. With
        `copies`, `warm` makes a copy too."""
        ...

    @abstractmethod
    def create_stream(self, key: str, pieces: Iterable[bytes]) -> None:
        """Of an object whose length only its end tells."""
        ...

    @abstractmethod
    def copy(self, source: str, key: str) -> None:
        """Of an object of its own, by the service."""
        ...

    @abstractmethod
    def warm(self, key: str) -> None:
        """Have as many connections at rest as the settings can use."""
        ...


class FileSystem(Client, Protocol):
    """fsspec's calls. A file goes by its `put`."""

    @abstractmethod
    def pipe(self, objects: dict[str, bytes]) -> None:
        """All of them in one call."""
        ...


def crcmod_facts(crcmod: object) -> dict[str, str]:
    """`crcmod` is the inner module. crcmod and crcmod-plus are imported by the same name."""
    in_c = bool(getattr(crcmod, "_usingExtension", False))
    return {"crc": "crcmod, its C extension" if in_c else "crcmod in pure Python"}
