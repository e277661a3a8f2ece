"""From a URL's scheme to the driver of the backend that reads it: entry points, and no table to add to."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from storage_guard import extras
from storage_guard.driver import Driver

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "storage_guard.drivers"
_SCHEME = re.compile(r"([a-z][a-z0-9]*)://")
_ONE_SLASH = re.compile(r"([a-z][a-z0-9]+):/?(?!/)")


def open_driver(url: str | os.PathLike[str], **options: Any) -> tuple[Driver, str]:
    """The driver, and the store's prefix within it, that a URL or a path means.

    Raises ValueError for a URL of no installed backend, TypeError for an option that the backend does not know,
    ModuleNotFoundError for a backend whose SDK is not installed. Nothing is written or looked up yet.
    """
    url = os.fspath(url)
    match = _SCHEME.match(url)
    if match is None and "://" in url:
        raise ValueError(f"no backend reads {url!r}: a scheme is letters and digits, in lower case")
    almost = None if match else _ONE_SLASH.match(url)
    if almost and almost[1] != "file" and almost[1] in _installed():
        raise ValueError(f"{url!r} looks like {almost[1]}://...; write ./{url} for a folder of that name")
    scheme = match[1] if match else "file"
    opener = _opener(scheme)
    _check_options(scheme, opener, options)
    return cast("tuple[Driver, str]", opener(url, **options))


def _check_options(scheme: str, opener: Any, options: Mapping[str, Any]) -> None:
    """Python's own words for an option that is unknown say neither of which backend nor which there are."""
    parameters = list(inspect.signature(opener).parameters.values())[1:]  # behind the URL
    known = [each.name for each in parameters if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)]
    unknown = sorted(set(options).difference(known))
    if unknown and not any(each.kind is each.VAR_KEYWORD for each in parameters):
        has = f"it has {', '.join(known)}, and those of Store" if known else "it has those of Store"
        many = f"; options are keywords, as in open_store(url, **{unknown[0]})"
        hint = many if isinstance(options[unknown[0]], Mapping) else ""
        raise TypeError(f"{scheme}:// has no option {unknown[0]!r}: {has}{hint}")


def _installed() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - costs more than the rest of the import

    return {point.name: point for point in entry_points(group=GROUP)}


def _opener(scheme: str) -> Any:
    found = _installed()
    if scheme not in found:
        raise ValueError(f"no backend for {scheme}://; installed are {', '.join(sorted(found)) or 'none'}")
    point = found[scheme]
    try:
        return point.load()
    except ModuleNotFoundError as exc:
        # By convention the extra is called as the scheme is.
        owner = point.dist.name if point.dist else "storage-guard"
        raise extras.missing(exc, f"{scheme}://", scheme, distribution=owner) from exc
