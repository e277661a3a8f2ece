"""The reference driver: what a store must do, in one process, under one lock.

Read it as the specification: bytes are read first, outside the lock, and every change is one step under it.
"""

from __future__ import annotations

import itertools
import os
import secrets
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import unquote

from storage_guard.checksum import as_checksum, crc64xz
from storage_guard.driver import Body, Driver, check_part_list
from storage_guard.model import (
    Capabilities,
    Checksum,
    GiB,
    KiB,
    Limits,
    Location,
    ObjectInfo,
    ObjectOptions,
    ObjectRef,
    Part,
    PartSlot,
    Prefix,
    TiB,
    Upload,
    WriteMeta,
)
from storage_guard.signals import Absent, Changed, Exists, Gone, Refused, Unsupported

SCHEME = "memory"

# Those of OSS, but for the object size, which is what 10,000 of the largest parts make.
LIMITS = Limits(
    max_put_bytes=5 * GiB, min_part_bytes=100 * KiB, max_part_bytes=5 * GiB, max_parts=10_000, max_object_bytes=48 * TiB
)

# What nobody in this process would act upon. Refused, because an option that is dropped is a promise that is broken.
_SENSELESS = ("tags", "storage_class", "acl", "encryption", "retention", "request_payer", "expected_bucket_owner")

_BIRTH = secrets.token_hex(8)
_LIVES = itertools.count(1)  # every object and part of this process gets an etag of its own


class MemoryDriver:
    """A client of a store in this process.

    `MemoryDriver("x")` twice is two clients of one store; without a name it is a new store, and `client()` gives
    it a second one. The limits belong to the store: the first client says them. With `refuse_at_begin=False` this
    client hears of a taken key only when it finishes, as with S3; otherwise already when it begins, as with OSS.
    """

    def __init__(self, name: str | None = None, *, limits: Limits | None = None, refuse_at_begin: bool = True) -> None:
        if name is not None and (not name or "/" in name):
            raise ValueError(f"a memory store's name is not empty and holds no slash, got {name!r}")
        self._named = name is not None
        self._store = _open(name, limits)
        self._refuse_at_begin = refuse_at_begin

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store.name!r}, {len(self._store.objects)} objects)"

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._named:
            raise TypeError("a private memory store cannot be pickled: give it a name")
        return _reopen, (type(self), self._store.process, self._store.name, self.limits, self._refuse_at_begin)

    def client(self) -> Self:
        """Another client of the same store."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    @property
    def limits(self) -> Limits:
        return self._store.limits

    @property
    def location(self) -> Location:
        # The process is part of the address: no other one could copy from here.
        return Location(SCHEME, self._store.process, self._store.name)

    def capabilities(self) -> Capabilities:
        return Capabilities(
            put="documented",
            finish="documented",
            copy="documented",
            uploads_stay=False,
            reason="one lock in one process",
        )

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        self._check_new(key, meta)
        _check_size(body.size_bytes, self.limits.max_put_bytes, "a single put")
        data, checksum = _read_all(body)
        with self._at_home() as store:
            return store.publish(key, data, checksum, meta)

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        self._check_new(key, meta)
        with self._at_home() as store:
            if self._refuse_at_begin:
                store.check_free(key)
            upload_id = secrets.token_hex(16)
            store.uploads[upload_id] = _Upload(Upload(key, upload_id, datetime.now(UTC)), _frozen(meta))
            return upload_id

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        with self._at_home() as store:
            store.upload(key, upload_id)
        self._check_slot(slot)
        if body.size_bytes != slot.size_bytes:
            raise Refused(f"part {slot.number} has {body.size_bytes} bytes, not {slot.size_bytes}", why="request")
        data, checksum = _read_all(body)
        with self._at_home() as store:
            return store.upload(key, upload_id).take(_new_part(slot, checksum), data)

    def copy_part(self, key: str, upload_id: str, slot: PartSlot, source: ObjectRef, start: int, /) -> Part:
        with self._at_home() as store:
            store.upload(key, upload_id)
        self._check_slot(slot)
        data = self._source(source).data
        if not 0 <= start <= start + slot.size_bytes <= len(data):
            raise Refused(f"{source.key!r} has no {slot.size_bytes} bytes from {start} on", why="request")
        data = data[start : start + slot.size_bytes]
        with self._at_home() as store:
            return store.upload(key, upload_id).take(_new_part(slot, as_checksum(crc64xz(data))), data)

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        with self._at_home() as store:
            upload = store.upload(key, upload_id)
            if upload.meta != meta:
                raise Refused("what is finished is not what was begun: the meta differs", why="request")
            data = upload.assemble(parts, self.limits)
            info = store.publish(key, data, as_checksum(crc64xz(data)), meta)  # taken: the upload stays open
            del store.uploads[upload_id]
            return info

    def abort(self, key: str, upload_id: str, /) -> None:
        with self._at_home() as store:
            store.upload(key, upload_id)
            del store.uploads[upload_id]

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        self._check_new(key, meta)
        found = self._source(source)
        _check_size(found.info.size_bytes, self.limits.max_put_bytes, "a single copy")
        with self._at_home() as store:
            return store.publish(key, found.data, found.info.checksum, meta)

    def remove(self, key: str, etag: str | None, /) -> None:
        with self._at_home() as store:
            store.object(key, etag)
            del store.objects[key]

    def head(self, key: str, /) -> ObjectInfo | None:
        with self._at_home() as store:
            found = store.objects.get(key)
            return found.info if found else None

    def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
        with self._at_home() as store:
            return store.object(key, etag).data[start:stop]

    def scan(self, prefix: str, delimiter: str, start_after: str, /) -> Iterator[ObjectInfo | Prefix]:
        with self._at_home() as store:
            infos = [each.info for key, each in store.objects.items() if key.startswith(prefix)]
        last = None
        for info in sorted(infos, key=lambda info: info.key.encode()):
            inner, found, _ = info.key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            entry = Prefix(prefix + inner + delimiter) if found else _listed(info)
            if entry != last and entry.key.encode() > start_after.encode():
                yield entry
            last = entry

    def scan_uploads(self, prefix: str, /) -> Iterator[Upload]:
        with self._at_home() as store:
            uploads = [each.about for each in store.uploads.values()]
        uploads.sort(key=lambda upload: (upload.key.encode(), upload.started))
        yield from (upload for upload in uploads if upload.key.startswith(prefix))

    def scan_parts(self, key: str, upload_id: str, /) -> Iterator[Part]:
        with self._at_home() as store:
            parts = [part for part, _ in store.upload(key, upload_id).parts.values()]
        yield from sorted(parts, key=lambda part: part.slot.number)

    def presign(self, key: str, expires_s: float, /) -> str:
        raise Unsupported(f"no URL reaches into the memory of a process: {key!r} for {expires_s} s")

    def close(self) -> None:
        """Nothing is held: the store lives on for its other clients."""

    def _at_home(self) -> _Store:
        # A forked child has a copy of the store, and would write where nobody reads.
        if self._store.process != _process():
            raise _elsewhere(self._store.name)
        return self._store

    def _check_new(self, key: str, meta: WriteMeta) -> None:
        if not 0 < len(key.encode()) <= self.limits.max_key_bytes:
            raise Refused(f"{key!r} is empty or has over {self.limits.max_key_bytes} bytes", why="key")
        asked = [name for name in _SENSELESS if getattr(meta.options, name)]
        if asked:
            raise Unsupported(f"{key!r}: the memory of a process knows no {', '.join(asked)}")

    def _check_slot(self, slot: PartSlot) -> None:
        if not 1 <= slot.number <= self.limits.max_parts:
            raise Refused(f"part number {slot.number} is not in 1 to {self.limits.max_parts}", why="request")
        _check_size(slot.size_bytes, self.limits.max_part_bytes, "a part")

    def _source(self, source: ObjectRef) -> _Object:
        if not self.location.same_service(source.location):
            raise Unsupported(f"cannot copy from {source.location.url(source.key)} into the memory of this process")
        with _table_lock:
            store = _stores.get(source.location.container)
        if store is None:
            raise Absent(f"there is no memory store {source.location.container!r}")
        with store:
            if source.version_id is not None:
                raise Changed(f"{source.key!r} has no version {source.version_id!r}: memory keeps none")
            return store.object(source.key, source.etag)


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    info: ObjectInfo


@dataclass(slots=True)
class _Upload:
    about: Upload
    meta: WriteMeta
    parts: dict[int, tuple[Part, bytes]] = field(default_factory=dict[int, tuple[Part, bytes]])

    def take(self, part: Part, data: bytes) -> Part:
        self.parts[part.slot.number] = (part, data)
        return part

    def assemble(self, parts: Sequence[Part], limits: Limits) -> bytes:
        """The bytes of `parts`, if they make one object: numbers ascend, no gap, and they are the ones we have."""
        check_part_list(parts, limits)
        pieces: list[bytes] = []
        for part in parts:
            held, data = self.parts.get(part.slot.number, (None, b""))
            if held is None or (held.slot, held.etag) != (part.slot, part.etag):
                raise Refused(f"part {part.slot.number} is not the one that was sent", why="request")
            pieces.append(data)
        return b"".join(pieces)


class _Store:
    """What all clients share. Everything in it is touched with its lock held: `with store:`."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self.process = _process()
        self.objects: dict[str, _Object] = {}
        self.uploads: dict[str, _Upload] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._lock.release()

    def check_free(self, key: str) -> None:
        if key in self.objects:
            raise Exists(f"{key!r} is taken", sole=True)

    def publish(self, key: str, data: bytes, checksum: Checksum | None, meta: WriteMeta) -> ObjectInfo:
        self.check_free(key)
        meta = _frozen(meta)
        info = ObjectInfo(
            key=key,
            size_bytes=len(data),
            etag=_new_etag(),
            modified=datetime.now(UTC),
            write_id=meta.write_id,
            checksum=checksum,
            options=meta.options,
        )
        self.objects[key] = _Object(data, info)
        return info

    def object(self, key: str, etag: str | None) -> _Object:
        found = self.objects.get(key)
        if found is None:
            raise Absent(f"nothing is at {key!r}")
        if etag is not None and etag != found.info.etag:
            raise Changed(f"{key!r} is {found.info.etag}, not {etag}")
        return found

    def upload(self, key: str, upload_id: str) -> _Upload:
        found = self.uploads.get(upload_id)
        if found is None or found.about.key != key:
            raise Gone(f"there is no upload {upload_id} of {key!r}", sole=True)
        return found


def _check_size(size_bytes: int, most_bytes: int, what: str) -> None:
    if size_bytes > most_bytes:
        raise Refused(f"{size_bytes} bytes in {what}, and {most_bytes} are the most", why="request")


def _new_etag() -> str:
    return f"{next(_LIVES):016x}"


def _new_part(slot: PartSlot, checksum: Checksum | None) -> Part:
    return Part(slot, _new_etag(), checksum, datetime.now(UTC))


def _read_all(body: Body) -> tuple[bytes, Checksum]:
    data = b"".join(bytes(window) for window in body.windows())
    if len(data) != body.size_bytes:
        raise Refused(f"the body has {len(data)} bytes, not {body.size_bytes}", why="request")
    return data, as_checksum(crc64xz(data))


def _frozen(meta: WriteMeta) -> WriteMeta:
    """`meta` with a mapping of its own, which the caller cannot change any more."""
    return replace(meta, options=replace(meta.options, metadata=dict(meta.options.metadata)))


def _listed(info: ObjectInfo) -> ObjectInfo:
    """What every service lists, and no more, so that nobody comes to rely on the rest."""
    return replace(info, write_id=None, checksum=None, options=ObjectOptions())


# Stores by name. Named ones stay for the life of the process, private ones as long as they have a client.
_table_lock = threading.Lock()
_stores: weakref.WeakValueDictionary[str, _Store] = weakref.WeakValueDictionary()
_named: list[_Store] = []


def _process() -> str:
    return f"{os.getpid()}-{_BIRTH}"


def _open(name: str | None, limits: Limits | None) -> _Store:
    with _table_lock:
        found = _stores.get(name) if name is not None else None
        if found is None:
            found = _Store(f"private-{secrets.token_hex(8)}" if name is None else name, limits or LIMITS)
            _stores[found.name] = found
            if name is not None:
                _named.append(found)
        elif limits not in (None, found.limits):
            raise ValueError(f"the memory store {name!r} has other limits already: {found.limits}")
        return found


def _reopen(cls: type[MemoryDriver], process: str, name: str, limits: Limits, refuse_at_begin: bool, /) -> MemoryDriver:
    if process != _process():
        raise _elsewhere(name)
    return cls(name, limits=limits, refuse_at_begin=refuse_at_begin)


def _elsewhere(name: str) -> RuntimeError:
    return RuntimeError(f"the memory store {name!r} lives in the process that made it, and this is another one")


def _forget() -> None:
    """In a forked child: what a name means is decided anew, and the lock may have been held by a thread left behind."""
    global _table_lock  # noqa: PLW0603
    _table_lock = threading.Lock()
    _stores.clear()
    _named.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def open_url(url: str, /, *, limits: Limits | None = None) -> tuple[Driver, str]:
    """The driver and the prefix that `memory://name/prefix` means. Raises ValueError for any other form."""
    scheme, found, rest = url.partition("://")
    if not found or scheme != SCHEME or "?" in rest or "#" in rest:
        raise ValueError(f"want memory://name or memory://name/prefix (? and # as %3F and %23), got {url!r}")
    name, _, prefix = rest.partition("/")
    return MemoryDriver(unquote(name, errors="strict"), limits=limits), unquote(prefix, errors="strict").strip("/")
