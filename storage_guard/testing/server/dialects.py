"""The dialects that the program knows, by name. One is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from storage_guard.testing.server.exchange import Dialect


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a dialect is made of. `folder`: where bytes are kept, None for memory. `discard`: they are counted and
    thrown away. `secrets`: by access key id; nobody's signature is looked at where there are none."""

    buckets: tuple[str, ...] = ()
    folder: Path | None = None
    discard: bool = False
    region: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


def dialect(name: str, options: Options) -> Dialect:
    """Raises ValueError if it is unknown, or cannot be made of these options."""
    if name not in DIALECTS:
        raise ValueError(f"no dialect {name!r}: there is {', '.join(sorted(DIALECTS))}")
    if options.discard and (options.folder is not None or options.secrets):
        raise ValueError("what is discarded is not kept in a folder, and nobody's signature is looked at")
    return DIALECTS[name](options)


def _oss(options: Options) -> Dialect:
    from storage_guard.testing.server.blobs import Blobs, DiscardedBlobs, DiskBlobs, MemoryBlobs  # noqa: PLC0415
    from storage_guard.testing.server.buckets import Buckets  # noqa: PLC0415
    from storage_guard.testing.server.credentials import Credential, Credentials  # noqa: PLC0415
    from storage_guard.testing.server.oss import OSSDialect  # noqa: PLC0415

    blobs: Blobs = MemoryBlobs()
    if options.folder is not None:
        blobs = DiskBlobs(options.folder)
    elif options.discard:
        blobs = DiscardedBlobs()
    known = [Credential(key, secret) for key, secret in options.secrets.items()]
    return OSSDialect(
        Buckets(options.buckets, blobs=blobs),
        credentials=Credentials(known) if known else None,
        region=options.region or "cn-hangzhou",
    )


DIALECTS: Mapping[str, Callable[[Options], Dialect]] = MappingProxyType({"oss": _oss})
