"""python -m storage_guard.doctor URL [--rounds N] [--writers N] [--option NAME=VALUE]... [--keep] [--json]

Asks the store at URL whether create-only holds there, and cleans up. Exit code 0 if every law holds, 1 if one does not
or is not known, 2 if it is used wrongly.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from storage_guard.arguments import OPTION, Hiding, option
from storage_guard.doctor import ROUNDS, examine
from storage_guard.errors import StorageGuardError
from storage_guard.registry import open_store


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m storage_guard.doctor",
        description="Asks a store whether create-only holds there, and cleans up.",
        epilog="Exit code 0 if every law holds, 1 if one does not or is not known, 2 if it is used wrongly.",
    )
    parser.add_argument("url", metavar="URL", help="as for open_store")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each race ({ROUNDS})")
    parser.add_argument("--writers", type=int, default=16, help="in each race (16)")
    parser.add_argument("--option", **OPTION)
    parser.add_argument("--keep", action="store_true", help="leave the verdict in the store, for other processes")
    parser.add_argument("--json", action="store_true", help="for programs")
    asked = parser.parse_args(arguments)
    hide = Hiding()
    try:
        options = dict(option(each, hide) for each in asked.option)
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
