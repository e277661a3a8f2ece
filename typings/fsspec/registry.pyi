from fsspec.spec import AbstractFileSystem

def get_filesystem_class(protocol: str) -> type[AbstractFileSystem]: ...

_registry: dict[str, type[AbstractFileSystem]]
known_implementations: dict[str, dict[str, str]]
