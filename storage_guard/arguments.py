"""What the programs have in common: options of `open_store` in words, and no secret of theirs in what is said."""

from __future__ import annotations

import json
import re
from typing import Any

OPTION: dict[str, Any] = {
    "action": "append",
    "default": [],
    "metavar": "NAME=VALUE",
    "help": "of open_store; NAME=VALUE is a text, NAME:=VALUE is JSON",
}
"""What a parser is told of --option, each value of which is for `option`."""

_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")
_TEXT = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?')  # in JSON; with a colon it is a name
_SHORT = 4  # what has fewer characters is no secret, and would be found in every word
_OPEN = {"region", "endpoint", "endpoint_url", "profile", "enforcement", "journal"}  # options that are no secrets


class Hiding:
    """Keeps what may be a secret out of what is printed: values of options, and logins in URLs."""

    def __init__(self) -> None:
        self._secrets: list[str] = []

    def keep(self, value: str) -> None:
        if len(value) >= _SHORT:
            self._secrets.append(value)

    def all_of(self, words: str) -> str:
        for each in sorted(self._secrets, key=len, reverse=True):
            words = words.replace(each, "***")
        return _LOGIN.sub("***@", words)

    def within(self, document: str) -> str:
        """The same of each text in JSON that is a value."""
        return _TEXT.sub(
            lambda match: match[0] if match[2] else json.dumps(self.all_of(json.loads(match[1]))), document
        )


def option(given: str, hide: Hiding) -> tuple[str, Any]:
    """NAME=VALUE, or NAME:=JSON. Raises ValueError for what is neither, and does not repeat it."""
    match = re.fullmatch(r"(?P<name>[A-Za-z_]\w*)(?P<json>:?)=(?P<value>.*)", given, re.DOTALL)
    if match is None:
        hide.keep(given)
        raise ValueError("an --option is NAME=VALUE, or NAME:=JSON")
    name, value = match["name"], match["value"]
    if name not in _OPEN:
        hide.keep(value)
    if not match["json"]:
        return name, value
    try:
        found = json.loads(value)
    except ValueError:
        raise ValueError(f"the value of --option {name}:= is no JSON") from None
    if isinstance(found, str) and name not in _OPEN:
        hide.keep(found)
    return name, found
