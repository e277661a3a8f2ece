"""Paths and queries as they are signed. They are to be sent so too, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

# Most keys and nearly all names and values hold nothing else.
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")
_UNRESERVED_OR_SLASH = re.compile(r"[A-Za-z0-9_.~/-]*")


def percent_encoded(text: str) -> str:
    """`text` in UTF-8 with all but `A-Z a-z 0-9 - . _ ~` as %XX, in capitals: what OSS and S3 sign of a query.

    Raises ValueError for a lone surrogate.
    """
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


def key_path(key: str) -> str:
    """What stands in a URL behind `https://bucket.endpoint`: "/" and the key, its slashes kept.

    Nothing is normalised: `//`, `.` and `..` are part of a key, and whoever sends it has to leave them alone.

    Raises ValueError for a lone surrogate.
    """
    return f"/{key}" if _UNRESERVED_OR_SLASH.fullmatch(key) else f"/{quote(key, safe='/')}"


def canonical_path(bucket: str, key: str) -> str:
    """What stands in a URL behind `https://endpoint` if the bucket is part of the path, and what OSS signs in any case.

    Without a bucket (a request to the service) "/"; without a key (to the bucket) "/bucket/".

    Raises ValueError for a key without a bucket, and for a lone surrogate.
    """
    return plain_path(percent_encoded(bucket), key_path(key)[1:])


def plain_path(bucket: str, key: str) -> str:
    """The same without encoding. Raises ValueError for a key without a bucket."""
    if bucket:
        return f"/{bucket}/{key}"
    if key:
        raise ValueError(f"the key {key!r} is in no bucket")
    return "/"


def query_string(params: Mapping[str, str | None]) -> str:
    """Sorted by encoded name; a name alone where the value is empty or None. "" for no parameters.

    Raises ValueError for a lone surrogate.
    """
    if not params:
        return ""
    return "&".join(sorted([query_pair(name, value) for name, value in params.items()], key=_name_of))


def query_pair(name: str, value: str | None) -> str:
    return f"{percent_encoded(name)}={percent_encoded(value)}" if value else percent_encoded(name)


def _name_of(pair: str) -> str:
    # "%", "-", "." and digits sort before "=": whole pairs would not sort as their names do.
    return pair.partition("=")[0]
