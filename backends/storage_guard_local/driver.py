"""`LocalDriver`: the members of `Driver`, each a few steps of the modules beside this one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from storage_guard.driver import (
    Absent,
    Body,
    Capabilities,
    Changed,
    Limits,
    Location,
    ObjectInfo,
    ObjectRef,
    Part,
    PartSlot,
    Prefix,
    Refused,
    Unguarded,
    Unsupported,
    Upload,
    Vouch,
    WriteMeta,
)
from storage_guard_local import copies, listing
from storage_guard_local.attributes import check_options
from storage_guard_local.creating import Creator
from storage_guard_local.folders import Folders
from storage_guard_local.lasting import LastingUploads
from storage_guard_local.multipart import Multipart
from storage_guard_local.objects import etag_of, look, open_at, open_object
from storage_guard_local.publish import Publisher
from storage_guard_local.staging import Staged, Staging
from storage_guard_local.syscalls import System
from storage_guard_local.systems import system_of
from storage_guard_local.trouble import CANNOT_SYNC, lost, refused, refusing

_MOST_BYTES = 2**63 - 1
LIMITS = Limits(
    max_put_bytes=_MOST_BYTES,
    min_part_bytes=1,
    max_part_bytes=_MOST_BYTES,
    max_parts=10_000,
    max_object_bytes=_MOST_BYTES,
)


class LocalDriver:
    """A folder of this machine as a store. Thread-safe.

    Holds one window of a body (up to 1 MiB) for each call that runs, and one to three descriptors for each open upload.
    Uploads are known to this very object only, and are gone with it, unless they were begun as lasting: then another
    goes on with them once this one is closed or dead. `durable=False` skips every sync. Pickles, without its uploads.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        durable: bool = True,
        system: System | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._root: str = os.path.abspath(os.fspath(root))
        self._durable = durable
        self._system = system or system_of()
        self._limits = limits or LIMITS
        self._location = Location("file", "", self._root)
        self._folders = Folders(self._root, self._system)
        self._staging = Staging(self._folders, self._system)
        self._publisher = Publisher(self._folders, self._staging, self._system, durable=durable)
        self._creator = Creator(self._folders, self._staging, self._publisher, self._system, durable=durable)
        lasting = LastingUploads(self._folders, self._staging, self._system, durable=durable)
        self._multipart = Multipart(self._creator, lasting, self._limits)
        self._known: Capabilities | None = None

    def __repr__(self) -> str:
        return f"LocalDriver({self._root!r}, durable={self._durable})"

    def __getstate__(self) -> dict[str, object]:
        return {"root": self._root, "durable": self._durable, "system": self._system, "limits": self._limits}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # the state is the arguments

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def location(self) -> Location:
        return self._location

    # What the disk can do

    def capabilities(self) -> Capabilities:
        """Tried once with an empty file without a name, in the root or the nearest folder above it that exists. Only
        where there are no such files the root is made, and named ones are tried in its `.storage-guard/`."""
        if self._known is None:
            try:
                self._known = self._examine()
            except Unguarded as exc:
                return _capabilities("missing", exc.message, write_ids=False)
            except (OSError, Refused) as exc:
                # No space, no access: that is not about the guarantee, and the write itself will say it.
                return _capabilities("documented", f"could not be tried here ({exc})", write_ids=True)
        return self._known

    def _examine(self) -> Capabilities:
        staged = self._try_anonymous()
        if staged is None:
            place = self._folders.make("examined")
            try:
                staged = self._staging.open_named(place)
            finally:
                self._folders.leave(place)
        try:
            write_ids = self._publisher.stores_attributes(staged)
            how = staged.way.value
        finally:
            staged.discard()
        lack = "" if write_ids else "; without extended attributes, so no write ids, options and metadata"
        return _capabilities("documented", how + lack, write_ids=write_ids)

    def _try_anonymous(self) -> Staged | None:
        path = self._root
        while True:
            try:
                fd = self._system.open(path, os.O_RDONLY)
            except FileNotFoundError:
                path, below = os.path.dirname(path), path
                if path == below:
                    raise  # a drive that is not there
                continue
            try:
                return self._staging.try_anonymous(fd)
            finally:
                self._folders.close(fd)

    # Creating

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        self._creator.check_size(body.size_bytes, self._limits.max_put_bytes)
        check_options(meta.options)
        with self._creator.new(key, meta) as (place, staged):
            checksum = self._creator.write(staged.fd, body, 0)
            return self._publisher.commit(place, staged, checksum, meta)

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        check_options(meta.options)
        with copies.pinned(source, self._location, self._system) as opened:
            self._creator.check_size(opened.found.st_size, self._limits.max_put_bytes)
            with self._creator.new(key, meta) as (place, staged):
                checksum = copies.copy_whole(opened, staged.fd, self._system)
                opened.check_unchanged()  # before the name: a copy of two states must not appear
                return self._publisher.commit(place, staged, checksum, meta)

    # Uploads

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        """Where `meta` asks for an upload that lasts and there are no file locks it is `Unsupported`."""
        return self._multipart.begin(key, meta)

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        return self._multipart.put_part(key, upload_id, slot, body)

    def copy_part(self, key: str, upload_id: str, slot: PartSlot, source: ObjectRef, start: int, /) -> Part:
        with copies.pinned(source, self._location, self._system) as opened:
            return self._multipart.copy_part(key, upload_id, slot, opened, start)

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        return self._multipart.finish_new(key, upload_id, parts, meta)

    def abort(self, key: str, upload_id: str, /) -> None:
        self._multipart.abort(key, upload_id)

    def scan_uploads(self, prefix: str, /) -> Iterator[Upload]:
        """Those of this driver, and those of this root that last, whoever writes them."""
        return self._multipart.scan_uploads(prefix)

    def scan_parts(self, key: str, upload_id: str, /) -> Iterator[Part]:
        """Those of an upload that lasts are read first, to see that they are there."""
        return iter(self._multipart.parts(key, upload_id))

    # Objects that are there

    def head(self, key: str, /) -> ObjectInfo | None:
        opened = open_object(key, self._folders, self._system)
        if opened is None:
            return None
        with opened:
            info = opened.info()
            if not self._durable or info.write_id is None or opened.is_synced():
                return info
        return self._head_synced(key, info)

    def _head_synced(self, key: str, found: ObjectInfo) -> ObjectInfo | None:
        """Outcomes are judged by `head`: what a writer published and did not live to sync is synced before it counts.

        Where that is impossible, no create is ever reported as durable, and the object is shown as it is.
        """
        try:
            place = self._folders.find_synced(key)
        except Refused:
            return found  # a folder that may not be opened, in which we could not create either
        if place is None:
            return None
        try:
            opened = open_at(place, self._system)
            if opened is None:
                return None
            with opened:
                try:
                    self._publisher.make_durable(place, opened)
                except OSError as exc:
                    if exc.errno not in CANNOT_SYNC:
                        raise refused(exc, f"{key!r} is there, but cannot be synced") from exc
                return opened.info()
        finally:
            self._folders.leave(place)

    def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
        if not 0 <= start <= stop:
            raise Refused(f"no object has bytes {start} to {stop}", why="request")
        opened = open_object(key, self._folders, self._system)
        if opened is None:
            raise Absent(f"{key!r} is not there")
        with opened:
            _check_etag(key, opened.etag, etag)
            data = self._read(opened.fd, start, min(stop, opened.found.st_size))
            if etag is not None:
                opened.check_unchanged()
            return data

    def _read(self, fd: int, start: int, stop: int) -> bytes:
        pieces: list[bytes] = []
        with refusing("cannot read"):
            while start < stop:
                piece = self._system.pread(fd, stop - start, start)
                if not piece:
                    break
                pieces.append(piece)
                start += len(piece)
        return b"".join(pieces)

    def remove(self, key: str, etag: str | None, /) -> None:
        """With an etag there is a moment between the comparison and the removal in which another object, made after a
        removal of this one, would be removed. Folders that are empty then are removed too."""
        place = self._folders.find_synced(key)
        if place is None:
            raise Absent(f"{key!r} is not there")
        try:
            found = look(place, self._system)
            if found is None:
                raise Absent(f"{key!r} is not there")
            _check_etag(key, etag_of(found), etag)
            try:
                self._system.unlink(place.name, dir_fd=place.fd)
            except FileNotFoundError:
                raise Absent(f"{key!r} is not there") from None
            except OSError as exc:
                raise refused(exc, f"cannot remove {key!r}") from exc
            if self._durable:
                try:
                    self._system.fsync(place.fd)
                except OSError as exc:
                    raise lost(exc, f"{key!r} is removed, but its folder could not be synced") from exc
        finally:
            self._folders.leave(place)
        self._folders.prune(place.folders)

    def scan(self, prefix: str, delimiter: str, start_after: str, /) -> Iterator[ObjectInfo | Prefix]:
        return listing.scan(self._folders, self._system, listing.Wanted(prefix, delimiter, start_after))

    def presign(self, key: str, expires_s: float, /) -> str:
        raise Unsupported(f"a local disk has no presigned URLs ({key!r}, {expires_s} s)")

    def close(self) -> None:
        """Abort the open uploads and let go of those that last; nothing else is held."""
        self._multipart.close()


def _capabilities(vouch: Vouch, reason: str, *, write_ids: bool) -> Capabilities:
    """All three creations end in the same call, so they are judged alike."""
    return Capabilities(
        uploads_stay=False,
        put=vouch,
        finish=vouch,
        copy=vouch,
        write_ids=write_ids,
        conditional_remove=False,
        reason=f"{reason}; a removal with an etag compares first and then removes",
    )


def _check_etag(key: str, found: str, wanted: str | None) -> None:
    if wanted is not None and wanted != found:
        raise Changed(f"{key!r} is not the object that was asked for")
