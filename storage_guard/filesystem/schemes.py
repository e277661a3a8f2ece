"""The protocols: what may stand before `://`. Entry points of the group `fsspec.specs` name these classes."""

from __future__ import annotations

from typing import Any, ClassVar

from fsspec.implementations.chained import ChainedFileSystem
from fsspec.implementations.local import make_path_posix
from fsspec.registry import get_filesystem_class
from fsspec.utils import stringify_path

from storage_guard import Store
from storage_guard.filesystem.modes import is_list
from storage_guard.filesystem.places import Buckets, Folders, OneStore, Places
from storage_guard.filesystem.system import GuardFileSystem

# What chained URLs call a store, where it is not what `open_store` calls it.
_TARGETS = {"local": "file", "guardfile": "file", "guardoss": "oss", "guards3": "s3", "s3a": "s3"}


class GuardFile(GuardFileSystem):
    """`guardfile:///folder/file`: files of this machine. Paths are taken literally, and not percent-decoded."""

    protocol = "guardfile"
    scheme = "file"
    root_marker = "/"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if is_list(path):
            return [cls._strip_protocol(each) for each in path]
        path = stringify_path(path)
        for start in ("guardfile://", "guardfile::"):
            path = path.removeprefix(start)
        return make_path_posix(path).rstrip("/") or cls.root_marker


class GuardOSS(GuardFileSystem):
    """`guardoss://bucket/key`: Alibaba OSS."""

    protocol = "guardoss"
    scheme = "oss"


class GuardS3(GuardFileSystem):
    """`guards3://bucket/key`: Amazon S3, and what speaks its language."""

    protocol = "guards3"
    scheme = "s3"


class Guard(GuardFileSystem, ChainedFileSystem):
    """`guard::scheme://...`: any store that `open_store` opens, by the URL that fsspec has for it.

    fsspec loads its own class for the inner scheme first, so `guard::oss://` needs ossfs, and `guard::s3://` s3fs, to
    be installed; `guardoss://` and `guards3://` do not. `target_options` are those of `open_store`.
    """

    protocol: ClassVar[str] = "guard"  # type: ignore[misc]
    _strip_tokenize_options = ("fo",)

    def __init__(
        self,
        *,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        fo: str | None = None,  # noqa: ARG002 - the path, which every call names itself
        **options: Any,
    ) -> None:
        if not target_protocol:
            raise ValueError("guard:: stands before another URL, as in guard::file:///folder/file")
        self._target = _TARGETS.get(target_protocol, target_protocol)
        super().__init__(**options, **(target_options or {}))

    def _make_places(self) -> Places:
        return Folders(self._open_store) if self._target == "file" else Buckets(self._target, self._open_store)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        path = super()._strip_protocol(path)
        if isinstance(path, str) and "://" in path:
            return get_filesystem_class(path.partition("://")[0])._strip_protocol(path)  # noqa: SLF001 - fsspec's own way
        return path

    def unstrip_protocol(self, name: str) -> str:
        return f"guard::{self._target}://{name}"


class GuardStore(GuardFileSystem):
    """A Store as a filesystem, and its keys as paths: `GuardStore(store=store)`. It pickles if the Store does."""

    protocol = "guardstore"
    cachable = False  # two Stores with one URL need not be equal

    def __init__(self, *, store: Store, **options: Any) -> None:
        self._store = store
        super().__init__(**options)

    def _make_places(self) -> Places:
        return OneStore(self._store)
