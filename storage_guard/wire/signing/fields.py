"""Headers as a server reads them: names without case, values without the spaces around them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

# RFC 9110, 5.1 and 5.6.2 (names), 5.5 (values: a tab is a space; everything else below one has no place in it).
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NEVER_IN_VALUES = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


def header_fields(headers: Mapping[str, str]) -> dict[str, str]:
    """The same headers, their names in lower case, their values without spaces and tabs around them.

    A server that reads a header drops those, so they are neither signed nor to be sent. Values are signed in UTF-8 and
    are to be sent in it.

    Raises ValueError for a name that is no token, a name given twice, and CR, LF, NUL and other control characters.
    """
    fields: dict[str, str] = {}
    for name, value in headers.items():
        fields[_lower(name)] = trimmed = value.strip(" \t")
        if not trimmed.isprintable() and _NEVER_IN_VALUES.search(trimmed):
            raise ValueError(f"the value of the header {name} holds a control character or a lone surrogate")
    if len(fields) != len(headers):
        raise ValueError(f"a header is given twice, in different case: {', '.join(sorted(headers))}")
    return fields


@lru_cache(maxsize=1024)
def _lower(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a header")
    return name.lower()


def check_method(method: str) -> None:
    """Raise ValueError unless `method` is a word in capitals."""
    if not (method.isascii() and method.isalpha() and method.isupper()):
        raise ValueError(f"{method!r} is not a method")
