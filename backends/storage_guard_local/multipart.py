"""The uploads of one driver: parts into one unpublished file, which a finish gives its name."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from storage_guard.checksum import combine
from storage_guard.driver import (
    Body,
    Gone,
    Limits,
    Lost,
    ObjectInfo,
    Part,
    PartSlot,
    Refused,
    Unsynced,
    Upload,
    WriteMeta,
    check_part_list,
)
from storage_guard_local import copies
from storage_guard_local.attributes import check_options
from storage_guard_local.creating import Creator
from storage_guard_local.folders import Place
from storage_guard_local.lasting import LastingUpload, LastingUploads
from storage_guard_local.objects import Opened
from storage_guard_local.trouble import refusing
from storage_guard_local.uploads import OpenUpload, Uploads


class Multipart:
    """Thread-safe. `_adopting` is held while an upload that lasts is taken over, so that two threads do not meet."""

    def __init__(self, creator: Creator, lasting: LastingUploads, limits: Limits) -> None:
        self._creator = creator
        self._lasting = lasting
        self._limits = limits
        self._uploads = Uploads()
        self._adopting = threading.Lock()

    def begin(self, key: str, meta: WriteMeta) -> str:
        check_options(meta.options)
        began = datetime.now(UTC)
        if meta.lasting:
            upload_id, upload = self._begin_lasting(key, meta, began)
        else:
            place, staged = self._creator.open_new(key, meta)
            self._creator.folders.leave(place)
            upload_id, upload = secrets.token_hex(16), OpenUpload(key, meta, began, place, staged)
        self._uploads.add(upload_id, upload)
        return upload_id

    def _begin_lasting(self, key: str, meta: WriteMeta, began: datetime) -> tuple[str, OpenUpload]:
        place = self._creator.folders.make(key)
        try:
            self._creator.publisher.refuse_taken(place, meta)
            upload_id, upload = self._lasting.begin(place, key, meta, began)
            try:
                self._creator.publisher.prepare(place, upload.staged, meta)
            except BaseException:
                upload.staged.discard()
                raise
        finally:
            self._creator.folders.tidy(place)  # whoever finishes makes the folders again
        return upload_id, upload

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body) -> Part:
        upload = self._get(key, upload_id)
        self._check_slot(slot)
        if body.size_bytes != slot.size_bytes:
            raise Refused(f"the slot has {slot.size_bytes} bytes and the body {body.size_bytes}", why="request")
        with upload.writing(slot):
            checksum = self._creator.write(upload.staged.fd, body, slot.offset_bytes)
            return upload.record(slot, checksum, datetime.now(UTC))

    def copy_part(self, key: str, upload_id: str, slot: PartSlot, source: Opened, start: int) -> Part:
        upload = self._get(key, upload_id)
        self._check_slot(slot)
        with upload.writing(slot):
            checksum = copies.copy_windows(source, upload.staged.fd, slot, self._creator.system, start=start)
            source.check_unchanged()
            return upload.record(slot, checksum, datetime.now(UTC))

    def _check_slot(self, slot: PartSlot) -> None:
        if not 1 <= slot.number <= self._limits.max_parts or slot.offset_bytes < 0 or slot.size_bytes < 0:
            raise Refused(f"there is no such slot: {slot}", why="request")
        self._creator.check_size(slot.size_bytes, self._limits.max_part_bytes)

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta) -> ObjectInfo:
        upload = self._get(key, upload_id)
        with upload.alone():
            if not upload.is_of(key, meta):
                raise Refused("an upload is finished with what it was begun with", why="request")
            size_bytes = check_part_list(parts, self._limits)
            chosen = upload.chosen(parts)
            place = self._creator.folders.make(key)
            try:
                info = self._publish(upload, place, chosen, size_bytes, meta)
            except BaseException as exc:
                if upload.staged.spoilt or isinstance(exc, Unsynced):
                    self._end(upload_id, upload)
                self._creator.folders.tidy(place)
                raise
            self._creator.folders.leave(place)
            upload.place.keep()
            self._end(upload_id, upload)
            return info

    def _publish(
        self, upload: OpenUpload, place: Place, chosen: list[Part], size_bytes: int, meta: WriteMeta
    ) -> ObjectInfo:
        checksum = combine((part.checksum, part.slot.size_bytes) for part in chosen)
        self._creator.publisher.refuse_taken(place, meta)
        with upload.publishing(size_bytes):
            with refusing("cannot set the size of the new file"):
                self._creator.system.ftruncate(upload.staged.fd, size_bytes)
            return self._creator.publisher.commit(place, upload.staged, checksum, meta)

    def abort(self, key: str, upload_id: str) -> None:
        upload = self._held(key, upload_id) or self._abort_unheld(key, upload_id)
        if upload is None:
            return
        with upload.alone():
            if isinstance(upload, LastingUpload):
                try:
                    upload.throw_away()
                except Lost:
                    self._end(upload_id, upload)
                    raise
            self._end(upload_id, upload)

    def _abort_unheld(self, key: str, upload_id: str) -> OpenUpload | None:
        """Abort what nobody holds. What is taken over at this moment is answered, to be aborted like others."""
        with self._adopting:
            found = self._held(key, upload_id)
            if found is not None:
                return found
            self._lasting.abort(key, upload_id)
            return None

    def scan_uploads(self, prefix: str) -> Iterator[Upload]:
        found = {
            upload_id: Upload(upload.key, upload_id, upload.started)
            for upload_id, upload in self._uploads.all()
            if not _is_anothers(upload)
        }
        for upload_id, header in self._lasting.scan():
            found.setdefault(upload_id, Upload(header.key, upload_id, header.began))
        for upload in sorted(found.values(), key=lambda each: (each.key, each.started)):
            if upload.key.startswith(prefix):
                yield upload

    def parts(self, key: str, upload_id: str) -> list[Part]:
        """Raises Gone, Refused."""
        found = self._held(key, upload_id)
        if found is None:
            with self._adopting:
                found = self._held(key, upload_id)
                if found is None:
                    return self._lasting.parts(key, upload_id)
        return found.parts()

    def close(self) -> None:
        for upload_id, upload in self._uploads.all():
            if _is_anothers(upload):
                continue
            try:
                if not isinstance(upload, LastingUpload):
                    self.abort(upload.key, upload_id)
                    continue
                with upload.alone():
                    upload.end()
                    upload.kept.let_go()
                    self._uploads.forget(upload_id)
            except Gone:
                pass

    def _get(self, key: str, upload_id: str) -> OpenUpload:
        """Raises Gone, and Refused ("InUse") for an upload that another holds."""
        found = self._held(key, upload_id)
        if found is not None:
            return found
        with self._adopting:
            found = self._held(key, upload_id)
            if found is None:
                found = self._lasting.adopt(key, upload_id)
                self._uploads.add(upload_id, found)
            return found

    def _held(self, key: str, upload_id: str) -> OpenUpload | None:
        found = self._uploads.get(upload_id)
        if found is None or _is_anothers(found):
            return None
        if found.key != key:
            raise Gone(f"{upload_id!r} is no open upload of {key!r}", sole=True)
        return found

    def _end(self, upload_id: str, upload: OpenUpload) -> None:
        upload.end()
        upload.staged.discard()
        self._uploads.forget(upload_id)  # not before, or who looks meanwhile finds it on the disk, and in use
        self._creator.folders.tidy(upload.place)


def _is_anothers(upload: OpenUpload) -> bool:
    """Whether it was let go, or is the parent's of a forked process: then the disk knows more of it than we do."""
    return isinstance(upload, LastingUpload) and not upload.is_held
