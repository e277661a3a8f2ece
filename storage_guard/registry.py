"""`open_store(url)`: the Store at a URL."""

from __future__ import annotations

import inspect
import os
from typing import Any

from storage_guard.schemes import open_driver
from storage_guard.store import Store

# `driver` and `prefix` come from the URL.
_STORE_OPTIONS = frozenset(inspect.signature(Store).parameters) - {"driver", "prefix"}


def open_store(url: str | os.PathLike[str], **options: Any) -> Store:
    """The Store at a URL: `memory://name[/prefix]`, `file:///percent%20decoded`, or a path.

    What `Store` takes goes to the Store (`part_bytes`, `in_flight`, `retry` and so on), every other keyword to the
    driver; TypeError for one that neither knows. ValueError for a URL of no installed backend. Nothing is written or
    looked up yet.
    """
    for_store = {name: value for name, value in options.items() if name in _STORE_OPTIONS}
    for_driver = {name: value for name, value in options.items() if name not in _STORE_OPTIONS}
    driver, prefix = open_driver(url, **for_driver)
    return Store(driver, prefix=prefix, **for_store)
