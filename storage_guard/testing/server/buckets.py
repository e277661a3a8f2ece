"""Buckets: what an object store knows, and each of its operations as one step. No service, no HTTP.

One thread calls it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count, pairwise
from typing import Literal

from storage_guard.testing.server.blobs import Blobs, Content, Digest, MemoryBlobs, joined
from storage_guard.testing.server.versions import NULL, Attributes, Histories, Version, Versioning

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


class Refused(Exception):
    """The store does not do it. Nothing was changed."""


class NoSuchBucket(Refused): ...


class NoSuchKey(Refused):
    """`marker`: the delete marker that is there instead."""

    def __init__(self, marker: Version | None = None) -> None:
        super().__init__(marker)
        self.marker = marker


class NoSuchVersion(Refused): ...


class AlreadyExists(Refused): ...


class NoSuchUpload(Refused): ...


class NoParts(Refused): ...


class PartsOutOfOrder(Refused): ...


class BadPart(Refused):
    """A part that was named at the end is not there, is not that one, or (`size_bytes`) is too small."""

    def __init__(self, number: int, etag: str, size_bytes: int | None = None) -> None:
        super().__init__(number, etag, size_bytes)
        self.number = number
        self.etag = etag
        self.size_bytes = size_bytes


@dataclass(frozen=True, slots=True)
class Part:
    number: int
    content: Content
    modified: datetime


@dataclass(slots=True)
class Upload:
    """A multipart upload under way. `removals`: those of its key when it began. `notes`: what the dialect keeps."""

    key: str
    upload_id: str
    initiated: datetime
    attributes: Attributes
    removals: int = 0
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    parts: dict[int, Part] = field(default_factory=dict[int, Part])


class Bucket:
    """`versioning` may go from "never" to the others, and between them, never back."""

    def __init__(
        self, name: str, *, now: Callable[[], datetime], ids: Callable[[], int], versioning: Versioning = "never"
    ) -> None:
        self.name = name
        self.created = now()
        self.histories = Histories()
        self.uploads: dict[str, Upload] = {}
        self._removals: dict[str, int] = {}
        self._now = now
        self._ids = ids
        self._versioning: Versioning = versioning

    @property
    def versioning(self) -> Versioning:
        return self._versioning

    @versioning.setter
    def versioning(self, state: Versioning) -> None:
        if state == "never" and self._versioning != "never":
            raise ValueError("versioning can be suspended, not undone")
        self._versioning = state

    def find(self, key: str, version_id: str | None = None) -> Version:
        """The current version, which is no delete marker, or the one of this id, which may be one.

        Raises: NoSuchKey, NoSuchVersion.
        """
        if version_id is not None:
            version = self.histories.version(key, version_id)
            if version is None:
                raise NoSuchVersion(version_id)
            return version
        version = self.histories.current(key)
        if version is None or version.content is None:
            raise NoSuchKey(version)
        return version

    def require_free(self, key: str) -> None:
        """Raises: AlreadyExists, if the key has an object."""
        version = self.histories.current(key)
        if version is not None and version.content is not None:
            raise AlreadyExists(key)

    def put(self, key: str, content: Content, attributes: Attributes, *, in_parts: bool = False) -> Version:
        """Makes `content` the current version."""
        version = Version(key, self._version_id(), self._now(), content, attributes, in_parts)
        self.histories.add(version)
        return version

    def remove(self, key: str, version_id: str | None = None) -> Version | None:
        """Removes for good what has this id; without one the object, which leaves a delete marker where versioning was
        ever enabled. The marker that was made or removed, the version that was removed, or None."""
        before = self.histories.current(key)
        if version_id is not None or self._versioning == "never":
            gone = self.histories.remove(key, version_id or NULL)
        else:
            gone = Version(key, self._version_id(), self._now(), None)
            self.histories.add(gone)
        if before is not None and before.content is not None and before is not self.histories.current(key):
            self._removals[key] = self.removals(key) + 1
        return gone

    def removals(self, key: str) -> int:
        """How often the current object of this key was removed."""
        return self._removals.get(key, 0)

    def begin(self, key: str, attributes: Attributes, notes: Mapping[str, str] | None = None) -> Upload:
        upload = Upload(key, f"{self._ids():032X}", self._now(), attributes, self.removals(key), notes or {})
        self.uploads[upload.upload_id] = upload
        return upload

    def upload(self, key: str, upload_id: str) -> Upload:
        """Raises: NoSuchUpload."""
        upload = self.uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise NoSuchUpload(upload_id)
        return upload

    def put_part(self, key: str, upload_id: str, number: int, content: Content) -> Part:
        """In place of an earlier part of this number. Raises: NoSuchUpload."""
        upload = self.upload(key, upload_id)
        part = upload.parts[number] = Part(number, content, self._now())
        return part

    def chosen(
        self, key: str, upload_id: str, named: Sequence[tuple[int, str]] | None, *, min_part_bytes: int
    ) -> list[Part]:
        """The parts that `named` names by number and ETag (lower case, no quotes), or all; all but the last must have
        `min_part_bytes`. Raises: NoSuchUpload, NoParts, PartsOutOfOrder, BadPart."""
        upload = self.upload(key, upload_id)
        if named is None:
            parts: list[Part] = [upload.parts[number] for number in sorted(upload.parts)]
        else:
            if any(first[0] >= second[0] for first, second in pairwise(named)):
                raise PartsOutOfOrder
            parts = []
            for number, etag in named:
                part = upload.parts.get(number)
                if part is None or part.content.etag != etag:
                    raise BadPart(number, etag)
                parts.append(part)
        if not parts:
            raise NoParts
        for part in parts[:-1]:
            if part.content.size_bytes < min_part_bytes:
                raise BadPart(part.number, part.content.etag, part.content.size_bytes)
        return parts

    def finish(self, key: str, upload_id: str, parts: Sequence[Part], digests: tuple[Digest, ...] = ()) -> Version:
        """Makes the object of `parts`, which has these digests; the upload is over. Raises: NoSuchUpload."""
        upload = self.upload(key, upload_id)
        content = replace(joined([part.content for part in parts]), digests=digests)
        version = self.put(key, content, upload.attributes, in_parts=True)
        del self.uploads[upload_id]
        return version

    def abort(self, key: str, upload_id: str) -> None:
        """Raises: NoSuchUpload."""
        del self.uploads[self.upload(key, upload_id).upload_id]

    def _version_id(self) -> str:
        return f"CAEQ{self._ids():028X}" if self._versioning == "enabled" else NULL


def utc_now() -> datetime:
    return datetime.now(UTC)


class Buckets:
    """The buckets of one store. `now` gives aware datetimes in UTC."""

    def __init__(
        self, names: Iterable[str] = (), *, blobs: Blobs | None = None, now: Callable[[], datetime] = utc_now
    ) -> None:
        self.blobs = MemoryBlobs() if blobs is None else blobs
        self.now = now
        self._buckets: dict[str, Bucket] = {}
        self._ids = count(1)
        for name in names:
            self.add_bucket(name)

    def add_bucket(self, name: str, *, versioning: Versioning = "never") -> Bucket:
        """A new bucket; its name has 3 to 63 characters of a-z, 0-9, "-" and ".", which are neither first nor last."""
        if not is_bucket_name(name, dots=True):
            raise ValueError(f"not a bucket name: {name!r}")
        if name in self._buckets:
            raise ValueError(f"bucket {name} is there already")
        bucket = Bucket(name, now=self.now, ids=self._ids.__next__, versioning=versioning)
        self._buckets[name] = bucket
        return bucket

    def remove_bucket(self, name: str) -> None:
        """With all that is in it. Raises: NoSuchBucket."""
        del self._buckets[self[name].name]

    def __iter__(self) -> Iterator[Bucket]:
        return iter(list(self._buckets.values()))

    def __getitem__(self, name: str) -> Bucket:
        """Raises: NoSuchBucket."""
        bucket = self._buckets.get(name)
        if bucket is None:
            raise NoSuchBucket(name)
        return bucket

    def __contains__(self, name: object) -> bool:
        return name in self._buckets


def is_bucket_name(name: str, *, dots: bool = False) -> bool:
    """`dots`: whether labels may be joined by single dots, as S3 allows and OSS does not."""
    return _NAME.fullmatch(name.replace(".", "-") if dots and ".." not in name else name) is not None


Which = Literal["matches", "differs", "newer", "not newer"]


def fails(version: Version, conditions: Iterable[tuple[Which, str | datetime]]) -> Which | None:
    """The first of `conditions` that does not hold: the ETag `matches` one of several (commas, quotes or not, "*") or
    `differs` from all; the object is `newer` than a time, in whole seconds, or `not newer`."""
    for which, value in conditions:
        if isinstance(value, datetime):
            holds = (version.modified.replace(microsecond=0) > value) == (which == "newer")
        else:
            wanted = [tag.strip().strip('"').lower() for tag in value.split(",")]
            etag = "" if version.content is None else version.content.etag
            holds = (etag in wanted or "*" in wanted) == (which == "matches")
        if not holds:
            return which
    return None
