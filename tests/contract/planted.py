"""Drivers with one planted fault each, and the law that must catch it. Run by test_calibration.py, not on its own.

Each is the reference driver but for the fault, so that the law which fails is the one that speaks of it.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from storage_guard.driver import (
    Body,
    Driver,
    Exists,
    ObjectInfo,
    ObjectRef,
    Part,
    PartSlot,
    Prefix,
    WriteMeta,
)
from storage_guard.memory import MemoryDriver
from storage_guard.model import KiB, Limits, MiB
from storage_guard.testing import BytesBody, DriverContract

LIMITS = Limits(max_put_bytes=MiB, min_part_bytes=64 * KiB, max_part_bytes=MiB, max_parts=12, max_object_bytes=8 * MiB)


class Planted(MemoryDriver):
    """A second client of a planted driver is planted too."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name, limits=LIMITS, refuse_at_begin=False)

    def second(self) -> Planted:
        return type(self)(self.location.container)

    def replace(self, key: str, body: Body, meta: WriteMeta) -> ObjectInfo:
        """Write without the condition, in one step as far as anybody can see."""
        with _REPLACING:
            with contextlib.suppress(Exception):
                super().remove(key, None)
            return super().put_new(key, body, meta)


_REPLACING = threading.Lock()


def _held(body: Body) -> BytesBody:
    return BytesBody(b"".join(bytes(window) for window in body.windows()))


class ChecksThenWrites(Planted):
    """Looks, reads the body, writes: the oldest mistake."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        if self.head(key) is not None:
            raise Exists(key, sole=True)
        return self.replace(key, _held(body), meta)


class LooksAtTheLastMoment(Planted):
    """Reads the body, looks, writes at once: only a race can tell."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        held = _held(body)
        if self.head(key) is not None:
            raise Exists(key, sole=True)
        return self.replace(key, held, meta)


class FinishLooksAtTheLastMoment(Planted):
    """The same in the commit of an upload."""

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        if self.head(key) is not None:
            raise Exists(key, sole=True)
        with _REPLACING:
            with contextlib.suppress(Exception):
                super().remove(key, None)
            return super().finish_new(key, upload_id, parts, meta)


class CopyLooksAtTheLastMoment(Planted):
    """The same in a copy."""

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        if self.head(key) is not None:
            raise Exists(key, sole=True)
        with _REPLACING:
            if source.key != key:
                with contextlib.suppress(Exception):
                    super().remove(key, None)
            return super().copy_new(source, key, meta)


class TouchesEmptyObjects(Planted):
    """s3fs: what has nothing to write goes another way, without the condition."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        return super().put_new(key, body, meta) if body.size_bytes else self.replace(key, body, meta)


class PublishesWhatItGot(Planted):
    """A `with` block that commits on the way out, whatever the way."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        got: list[bytes] = []
        try:
            got.extend(bytes(window) for window in body.windows())
        except BaseException:
            super().put_new(key, BytesBody(b"".join(got)), meta)
            raise
        return super().put_new(key, BytesBody(b"".join(got)), meta)


class WrapsWhatABodyRaises(Planted):
    """An SDK that makes every exception its own."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        try:
            return super().put_new(key, body, meta)
        except (ValueError, OSError) as exc:
            raise RuntimeError("request failed") from exc


class FinishReplaces(Planted):
    """oss2.resumable_upload: the condition is sent at begin and dropped at the end."""

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        with contextlib.suppress(Exception):
            super().remove(key, None)
        return super().finish_new(key, upload_id, parts, meta)


class FinishSpendsTheUpload(Planted):
    """A refused finish that throws the parts away."""

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        try:
            return super().finish_new(key, upload_id, parts, meta)
        except Exists:
            self.abort(key, upload_id)
            raise


class CopyReplaces(Planted):
    """moto: the condition is not looked at on a copy."""

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        if source.key != key and self.head(source.key) is not None:
            with contextlib.suppress(Exception):
                super().remove(key, None)
        return super().copy_new(source, key, meta)


class CopyInheritsTheWriteId(Planted):
    """MetadataDirective COPY: the copy says that it is the source's write."""

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        found = self.head(source.key)
        inherited = meta if found is None or found.write_id is None else replace(meta, write_id=found.write_id)
        return super().copy_new(source, key, inherited)


class HeadRemembers(Planted):
    """A head that answers from a cache."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._seen: dict[str, ObjectInfo | None] = {}

    def head(self, key: str, /) -> ObjectInfo | None:
        return self._seen.setdefault(key, super().head(key))


class ResendAppends(Planted):
    """A part that is sent again is put behind its first attempt."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._sent: dict[tuple[str, int], bytes] = {}

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        data = self._sent.pop((upload_id, slot.number), b"") + _held(body).data
        part = super().put_part(key, upload_id, slot, BytesBody(data[: slot.size_bytes]))
        self._sent[upload_id, slot.number] = data
        return part


class AbortDoesNothing(Planted):
    """An abort that only forgets."""

    def abort(self, key: str, upload_id: str, /) -> None:
        list(self.scan_parts(key, upload_id))


class PartListUnread(Planted):
    """A finish that takes what the upload has, not what it is told."""

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        if not parts:
            return super().finish_new(key, upload_id, parts, meta)
        return super().finish_new(key, upload_id, list(self.scan_parts(key, upload_id)), meta)


class ScansByPath(Planted):
    """A walk through folders: "/" sorts before everything, and capitals do not count."""

    def scan(self, prefix: str, delimiter: str, start_after: str, /) -> Iterator[ObjectInfo | Prefix]:
        entries = super().scan(prefix, delimiter, start_after)
        yield from sorted(entries, key=lambda entry: entry.key.casefold().split("/"))


class ScanForgetsTheRollUp(Planted):
    """A listing in pages that rolls up each page on its own."""

    def scan(self, prefix: str, delimiter: str, start_after: str, /) -> Iterator[ObjectInfo | Prefix]:
        for entry in super().scan(prefix, delimiter, start_after):
            yield entry
            if isinstance(entry, Prefix) and len(list(super().scan(entry.key, "", ""))) > 2:
                yield entry


class ExistsAfterReplacing(Planted):
    """go-cloud's fileblob before June 2026: the refused write has already replaced the metadata."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        try:
            return super().put_new(key, body, meta)
        except Exists:
            info = self.head(key)
            assert info is not None
            data = self.read(key, 0, info.size_bytes, None)
            self.replace(key, BytesBody(data), meta)
            raise


class DropsOptions(Planted):
    """An option that is accepted and not kept."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        return super().put_new(key, body, replace(meta, options=replace(meta.options, cache_control=None)))


class RemovesWithoutLooking(Planted):
    """A removal that ignores its pin."""

    def remove(self, key: str, etag: str | None, /) -> None:
        super().remove(key, None if self.head(key) else etag)


class ShowsOpenUploads(Planted):
    """A disk that writes parts to the final name."""

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        upload_id = super().begin(key, meta)
        with contextlib.suppress(Exists):
            super().put_new(key, BytesBody(b""), meta)
        return upload_id

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        found = self.head(key)
        if found is not None and found.write_id == meta.write_id:
            super().remove(key, found.etag)
        return super().finish_new(key, upload_id, parts, meta)


class LosesTheSecondPage(Planted):
    """A listing that ends where its first page does."""

    def scan(self, prefix: str, delimiter: str, start_after: str, /) -> Iterator[ObjectInfo | Prefix]:
        yield from itertools.islice(super().scan(prefix, delimiter, start_after), 30)


PLANTED: dict[type[Planted], tuple[str, ...]] = {
    ChecksThenWrites: ("test_a_rival_that_comes_first_meanwhile_stays", "test_of_racing_puts_one_wins"),
    LooksAtTheLastMoment: ("test_of_racing_puts_one_wins",),
    FinishLooksAtTheLastMoment: ("test_of_racing_finishes_one_wins",),
    CopyLooksAtTheLastMoment: ("test_of_racing_copies_one_wins",),
    TouchesEmptyObjects: ("test_a_second_put_changes_nothing", "test_a_put_does_not_replace_a_finished_upload"),
    PublishesWhatItGot: ("test_a_body_that_raises_publishes_nothing",),
    WrapsWhatABodyRaises: ("test_a_body_that_raises_publishes_nothing",),
    FinishReplaces: ("test_finish_does_not_replace_a_rival", "test_of_two_finishes_the_second_changes_nothing"),
    FinishSpendsTheUpload: ("test_an_upload_that_was_refused_stays_open",),
    CopyReplaces: ("test_a_copy_does_not_replace",),
    CopyInheritsTheWriteId: ("test_a_copy_has_the_bytes_and_a_write_id_of_its_own",),
    HeadRemembers: ("test_head_is_never_stale", "test_what_is_removed_is_not_there"),
    ResendAppends: ("test_a_part_sent_again_replaces_it",),
    AbortDoesNothing: ("test_nothing_of_an_aborted_upload_can_land",),
    PartListUnread: ("test_a_part_list_that_is_wrong_publishes_nothing",),
    ScansByPath: ("test_a_scan_is_in_the_order_of_bytes",),
    ScanForgetsTheRollUp: ("test_a_delimiter_rolls_up_what_lies_behind_it",),
    ExistsAfterReplacing: ("test_a_second_put_changes_nothing", "test_a_second_put_changes_no_option"),
    DropsOptions: ("test_an_option_is_kept_or_refused",),
    RemovesWithoutLooking: ("test_a_removal_is_pinned_by_its_etag",),
    ShowsOpenUploads: ("test_an_open_upload_is_invisible",),
    LosesTheSecondPage: ("test_a_long_listing_is_complete",),
}
"""Each planted driver, and the laws that must catch it."""

ONLY_A_RACE_TELLS = (LooksAtTheLastMoment, FinishLooksAtTheLastMoment, CopyLooksAtTheLastMoment)


def _contract(driver: type[Planted]) -> type[DriverContract]:
    def make_driver(_: object) -> Callable[[], Driver]:
        return driver().second

    rounds = 100 if driver in (ChecksThenWrites, *ONLY_A_RACE_TELLS) else 2
    members = {"make_driver": pytest.fixture(make_driver), "race_rounds": rounds}
    return type(f"Test{driver.__name__}", (DriverContract,), members)


def contracts() -> dict[str, type[DriverContract]]:
    """A test class for the sound driver and for each planted one, under the names that pytest looks for."""
    drivers: tuple[type[Planted], ...] = (Planted, *PLANTED)
    return {f"Test{driver.__name__}": _contract(driver) for driver in drivers}


globals().update(contracts())
