from typing import Any

from fsspec import core as core
from fsspec import registry as registry
from fsspec.core import OpenFile, open, open_files, url_to_fs
from fsspec.spec import AbstractFileSystem

__all__ = ["AbstractFileSystem", "OpenFile", "filesystem", "open", "open_files", "register_implementation", "url_to_fs"]
__version__: str

def filesystem(protocol: str, **storage_options: Any) -> Any: ...
def register_implementation(name: str, cls: type | str, clobber: bool = ..., errtxt: str | None = ...) -> None: ...
