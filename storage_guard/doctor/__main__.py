"""python -m storage_guard.doctor URL [--rounds N] [--writers N] [--option NAME=VALUE]... [--keep] [--json]

Asks the store at URL whether create-only holds there, and cleans up. Exit code 0 if every law holds, 1 if one does not
or is not known, 2 if it is used wrongly.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from typing import Any

from storage_guard.doctor import ROUNDS, examine
from storage_guard.errors import StorageGuardError
from storage_guard.registry import open_store

_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")
_TEXT = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?')  # in JSON; with a colon it is a name
_SHORT = 4  # what has fewer characters is no secret, and would be found in every word
_OPEN = {"region", "endpoint", "endpoint_url", "profile", "enforcement", "journal"}  # options that are no secrets


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m storage_guard.doctor",
        description="Asks a store whether create-only holds there, and cleans up.",
        epilog="Exit code 0 if every law holds, 1 if one does not or is not known, 2 if it is used wrongly.",
    )
    parser.add_argument("url", metavar="URL", help="as for open_store")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each race ({ROUNDS})")
    parser.add_argument("--writers", type=int, default=16, help="in each race (16)")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of open_store; NAME=VALUE is a text, NAME:=VALUE is JSON",
    )
    parser.add_argument("--keep", action="store_true", help="leave the verdict in the store, for other processes")
    parser.add_argument("--json", action="store_true", help="for programs")
    asked = parser.parse_args(arguments)
    hide = _Hiding()
    try:
        options = dict(_option(each, hide) for each in asked.option)
        if asked.rounds < 1 or asked.writers < 2:
            raise ValueError("want at least one round, and two writers")
        store = open_store(asked.url, **options)
    except (ValueError, TypeError, ModuleNotFoundError) as exc:
        print(f"storage_guard.doctor: {hide.all_of(str(exc))}", file=sys.stderr)
        return 2
    with store:
        try:
            report = examine(store, rounds=asked.rounds, writers=asked.writers, keep=asked.keep)
        except StorageGuardError as exc:
            words = hide.all_of(f"{type(exc).__name__}: {exc}")
            if asked.json:
                print(json.dumps({"holds": None, "url": hide.all_of(store.url), "error": words}, indent=2))
            print(f"storage_guard.doctor: {words}", file=sys.stderr)
            return 1
    print(hide.within(report.as_json()) if asked.json else hide.all_of(str(report)))
    return 0 if report.holds else 1


class _Hiding:
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


def _option(given: str, hide: _Hiding) -> tuple[str, Any]:
    """Raises ValueError for what is none."""
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
