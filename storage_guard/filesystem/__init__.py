"""Create-only objects for everything that speaks fsspec: pandas, pyarrow, dask, zarr, xarray and others.

    pandas.DataFrame(rows).to_parquet("guardoss://bucket/day.parquet", storage_options={"region": "cn-hangzhou"})
    fsspec.open("guardfile:///data/day.csv", "wt")
    GuardStore(store=store).open("day.csv", "wb")

`system` and `reading` are the filesystem, `schemes` its protocols; `places` says which Store a path belongs to,
`listing` what is there, `moving` carries many objects at a time, `modes` reads what fsspec calls a mode, `blocks` reads
through fsspec's caches, `transactions` and `rewriting` are what their names say.
"""

from __future__ import annotations

from storage_guard import extras

try:
    import fsspec as _fsspec
except ModuleNotFoundError as exc:
    raise extras.missing(exc, "storage_guard.filesystem", "fsspec") from exc

from storage_guard.filesystem.schemes import Guard, GuardFile, GuardOSS, GuardS3, GuardStore
from storage_guard.filesystem.system import GuardFileSystem

__all__ = ["Guard", "GuardFile", "GuardFileSystem", "GuardOSS", "GuardS3", "GuardStore"]

del _fsspec
