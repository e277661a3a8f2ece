"""The protocols: what may stand before `://`. Entry points of the group `fsspec.specs` name these classes."""

from __future__ import annotations

import re
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


class Marked(GuardFileSystem):
    """Paths begin with the protocol and one slash, so that none is a path of this machine.

    Who is given a path and a filesystem may take the path for a local one all the same: `pyarrow.parquet.write_table`
    gives it to `os.remove` when it fails, and a refused write would remove the object that was there.
    """

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if is_list(path):
            return [cls._strip_protocol(each) for each in path]
        return f"{cls.protocol}:{cls._absolute(cls._unmarked(stringify_path(path)))}"

    @classmethod
    def _unmarked(cls, path: str) -> str:
        rest = re.sub(rf"^(/*{cls.protocol}:+)+", "", path)
        return rest if rest == path else rest.removeprefix("//")

    @classmethod
    def _absolute(cls, path: str) -> str:
        return "/" + path.strip("/")

    @classmethod
    def _parent(cls, path: str) -> str:
        above = str(cls._strip_protocol(path)).rpartition("/")[0]
        return above if "/" in above else cls.root_marker

    def unstrip_protocol(self, name: str) -> str:
        return f"{self.protocol}://{self._unmarked(self._strip_protocol(name))}"


class GuardFile(Marked):
    """`guardfile:///folder/file`: files of this machine. Paths are taken literally, and not percent-decoded."""

    protocol = "guardfile"
    root_marker = "guardfile:/"

    @classmethod
    def _absolute(cls, path: str) -> str:
        return make_path_posix(path or "/").rstrip("/") or "/"

    def _make_places(self) -> Places:
        return Folders(self._unmarked, self._open_store)


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
    be installed; `guardoss://` and `guards3://` do not. `target_options` are those of `open_store`. `guard::file://` is
    refused: its paths would be those of this machine (see `Marked`), and fsspec gives us no say in them.
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
            raise ValueError("guard:: stands before another URL, as in guard::memory://name/key")
        self._target = _TARGETS.get(target_protocol, target_protocol)
        if self._target == "file":
            raise ValueError(
                "guard::file:// is not safe beside those who take its paths for local ones: guardfile:// is"
            )
        super().__init__(**options, **(target_options or {}))

    def _make_places(self) -> Places:
        return Buckets(self._target, self._open_store, f"guard::{self._target}://bucket/key")

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        path = super()._strip_protocol(path)
        if isinstance(path, str) and "://" in path:
            return get_filesystem_class(path.partition("://")[0])._strip_protocol(path)  # noqa: SLF001 - fsspec's own way
        return path

    def unstrip_protocol(self, name: str) -> str:
        return f"guard::{self._target}://{str(self._strip_protocol(name)).lstrip('/')}"


class GuardStore(Marked):
    """A Store as a filesystem, and its keys as paths: `GuardStore(store=store)`. It pickles if the Store does."""

    protocol = "guardstore"
    root_marker = "guardstore:/"
    cachable = False  # two Stores with one URL need not be equal

    def __init__(self, *, store: Store, **options: Any) -> None:
        self._store = store
        super().__init__(**options)

    def _make_places(self) -> Places:
        return OneStore(self._unmarked, self._store)
