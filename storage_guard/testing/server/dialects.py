"""The dialects that the program knows, by name. One is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from storage_guard.testing.server.blobs import Blobs, DiscardedBlobs, DiskBlobs, MemoryBlobs
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.cues import Cues
from storage_guard.testing.server.exchange import Dialect
from storage_guard.testing.server.versions import Versioning


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a dialect is made of. `folder`: where bytes are kept, None for memory. `discard`: they are counted and
    thrown away. `secrets`: by access key id; nobody's signature is looked at where there are none. `token`: of all of
    them, which makes them temporary; they are refused from `expires` on. `switches`: what the dialect does otherwise
    than its service, in words that it knows."""

    buckets: tuple[str, ...] = ()
    folder: Path | None = None
    discard: bool = False
    region: str | None = None
    versioning: Versioning = "never"
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    token: str | None = field(default=None, repr=False)
    expires: datetime | None = None
    switches: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Made:
    """A dialect, and the cues that a server of it needs."""

    dialect: Dialect
    cues: Cues


def dialect(name: str, options: Options) -> Made:
    """Raises ValueError if it is unknown, or cannot be made of these options."""
    if name not in DIALECTS:
        raise ValueError(f"no dialect {name!r}: there is {', '.join(sorted(DIALECTS))}")
    if options.discard and (options.folder is not None or options.secrets):
        raise ValueError("what is discarded is not kept in a folder, and nobody's signature is looked at")
    if not options.secrets and (options.token is not None or options.expires is not None):
        raise ValueError("a token, and the time when it expires, are those of an access key")
    return DIALECTS[name](options)


def _buckets(options: Options) -> Buckets:
    blobs: Blobs = MemoryBlobs()
    if options.folder is not None:
        blobs = DiskBlobs(options.folder)
    elif options.discard:
        blobs = DiscardedBlobs()
    buckets = Buckets(blobs=blobs)
    for name in options.buckets:
        buckets.add_bucket(name, versioning=options.versioning)
    return buckets


def _credentials(options: Options) -> Credentials | None:
    known = [Credential(key, secret, options.token, options.expires) for key, secret in options.secrets.items()]
    return Credentials(known) if known else None


def _oss(options: Options) -> Made:
    from storage_guard.testing.server.oss import OSSDialect  # noqa: PLC0415

    if options.switches:
        raise ValueError("this dialect has no switches")
    region = options.region or "cn-hangzhou"
    return Made(OSSDialect(_buckets(options), credentials=_credentials(options), region=region), Cues())


def _s3(options: Options) -> Made:
    from storage_guard.testing.server.s3 import S3Dialect  # noqa: PLC0415
    from storage_guard.testing.server.s3_switches import Switches, windows  # noqa: PLC0415

    switches = Switches.parsed(options.switches)
    made = S3Dialect(
        _buckets(options), credentials=_credentials(options), region=options.region or "us-east-1", switches=switches
    )
    return Made(made, windows(switches))


DIALECTS: Mapping[str, Callable[[Options], Made]] = MappingProxyType({"oss": _oss, "s3": _s3})
