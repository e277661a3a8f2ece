"""An object read through one of fsspec's caches, for who asks for one: `block_size`, `cache_type`, `blockcache::`."""

from __future__ import annotations

from typing import Any, NoReturn

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from storage_guard import ObjectChanged, ObjectInfo, Store


class BlockReader(AbstractBufferedFile):
    """Pinned to the object that was there when it was opened; if that is replaced, a read is ObjectChanged."""

    def __init__(  # noqa: PLR0917 - as fsspec has it
        self,
        fs: AbstractFileSystem,
        path: str,
        store: Store,
        key: str,
        info: ObjectInfo,
        block_size: int | None,
        cache_type: str | None,
        cache_options: dict[str, Any] | None,
        size: int | None,
    ) -> None:
        if size is not None and size != info.size_bytes:
            raise ObjectChanged(f"{path!r} has {info.size_bytes} bytes, and not {size}: it was replaced", key=path)
        self._store, self._key, self._info = store, key, info
        super().__init__(
            fs,
            path,
            mode="rb",
            block_size="default" if block_size is None else block_size,
            cache_type=cache_type or "readahead",
            cache_options=cache_options,
            size=info.size_bytes,
        )

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self._store.read(self._key, start, min(end, self._info.size_bytes), etag=self._info.etag)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a reader of {self.path!r} cannot be pickled: send the filesystem and the path instead")
