"""From a URL's scheme to the driver of the backend that reads it: entry points, and no table to add to."""

from __future__ import annotations

import re
from typing import Any, cast

from storage_guard.driver import Driver

GROUP = "storage_guard.drivers"
_SCHEME = re.compile(r"([a-z][a-z0-9]*)://")


def open_driver(url: str, **options: Any) -> tuple[Driver, str]:
    """The driver, and the store's prefix within it, that a URL or a path means.

    Raises ValueError for a URL of no installed backend, TypeError for an option that the backend does not know,
    ModuleNotFoundError for a backend whose SDK is not installed. Nothing is written or looked up yet.
    """
    match = _SCHEME.match(url)
    if match is None and "://" in url:
        raise ValueError(f"no backend reads {url!r}: a scheme is letters and digits, in lower case")
    return cast("tuple[Driver, str]", _opener(match[1] if match else "file")(url, **options))


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
