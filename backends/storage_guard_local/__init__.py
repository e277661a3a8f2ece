"""A folder of this machine as a store: create-only by link(2), whole by O_TMPFILE, durable by fsync."""

from __future__ import annotations

import os
import re
import sys
from urllib.parse import unquote_to_bytes, urlsplit

from storage_guard.driver import Driver
from storage_guard_local.driver import LocalDriver
from storage_guard_local.syscalls import System

__all__ = ["LocalDriver", "System", "open_url"]

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:")
_DRIVE = re.compile(r"/[a-zA-Z]:(/|$)")


def open_url(url: str, /, *, durable: bool = True) -> tuple[Driver, str]:
    """The driver for `file:///percent%20decoded` or a plain path, and the store's prefix within it, which is "".

    Raises ValueError for a URL that is not a file's, names another host, or has a query or a fragment.
    """
    return LocalDriver(_path_of(url), durable=durable), ""


def _path_of(url: str) -> str:
    if not url.lower().startswith("file:"):
        if not url or (_SCHEME.match(url) and "://" in url):
            raise ValueError(f"neither a path nor a file URL: {url!r}")
        return url
    found = urlsplit(url)
    if found.netloc.lower() not in ("", "localhost"):
        raise ValueError(f"{url!r} names the host {found.netloc!r}: want file:///path")
    if "?" in url or "#" in url:
        raise ValueError(f"{url!r} has a query or a fragment: write ? as %3F and # as %23")
    path = os.fsdecode(unquote_to_bytes(found.path))
    if not path.startswith("/") or "\0" in path:
        raise ValueError(f"{url!r} is not of the form file:///path")
    return path_here(path)


def path_here(path: str, platform: str = sys.platform) -> str:
    """The path of a URL as the system writes it: /C:/data is C:/data on Windows."""
    return path[1:] if platform == "win32" and _DRIVE.match(path) else path
