"""`open_store(url)`: from a URL's scheme to a backend's entry point to a Store. There is no table to add to."""

from __future__ import annotations

import inspect
import re
from typing import Any

from storage_guard.store import Store

GROUP = "storage_guard.drivers"
_SCHEME = re.compile(r"([a-z][a-z0-9]*)://")
# `driver` and `prefix` come from the URL.
_STORE_OPTIONS = frozenset(inspect.signature(Store).parameters) - {"driver", "prefix"}


def open_store(url: str, **options: Any) -> Store:
    """The Store at a URL: `memory://name[/prefix]`, `file:///percent%20decoded`, or a path.

    What `Store` takes goes to the Store (`part_bytes`, `multipart_from_bytes`, `retry`, `enforcement`, `defaults`,
    `clock`), every other keyword to the driver; TypeError for one that neither knows. ValueError for a URL of no
    installed backend. Nothing is written or looked up yet.
    """
    match = _SCHEME.match(url)
    scheme = match[1] if match else "file"
    if match is None and "://" in url:
        raise ValueError(f"no backend reads {url!r}: a scheme is letters and digits, in lower case")
    for_store = {name: value for name, value in options.items() if name in _STORE_OPTIONS}
    for_driver = {name: value for name, value in options.items() if name not in _STORE_OPTIONS}
    driver, prefix = _opener(scheme)(url, **for_driver)
    return Store(driver, prefix=prefix, **for_store)


def _opener(scheme: str) -> Any:
    from importlib.metadata import entry_points  # noqa: PLC0415 - costs more than the rest of the import

    found = {point.name: point for point in entry_points(group=GROUP)}
    if scheme not in found:
        raise ValueError(f"no backend for {scheme}://; installed are {', '.join(sorted(found)) or 'none'}")
    point = found[scheme]
    try:
        return point.load()
    except ModuleNotFoundError as exc:
        # By convention the extra is called as the scheme is.
        owner = point.dist.name if point.dist else "storage-guard"
        raise ModuleNotFoundError(
            f"{scheme}:// needs {exc.name}: pip install '{owner}[{scheme}]'", name=exc.name
        ) from exc
