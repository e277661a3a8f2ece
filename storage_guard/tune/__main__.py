"""python -m storage_guard.tune URL [--mib N] [--rounds N] [--seconds N] [--option NAME=VALUE]... [--json]

Measures which part size, and how many parts at a time, suit the store at URL, with objects of its own that it removes.
Exit code 0 if the default is within a tenth of the best that was found, 3 if another setting is recommended, 1 if it
could not be measured or something was left behind, 2 if it is used wrongly.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from storage_guard.arguments import OPTION, Hiding, option
from storage_guard.errors import StorageGuardError
from storage_guard.model import MiB
from storage_guard.registry import open_store
from storage_guard.tune import BUDGET_S, ROUNDS, SIZE_BYTES, measure


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m storage_guard.tune",
        description="Measures which part size, and how many parts at a time, suit a store. Nothing stays there.",
        epilog="Exit code 0 if the default is within a tenth of the best that was found, 3 if another setting is "
        "recommended, 1 if it could not be measured or something was left behind, 2 if it is used wrongly.",
    )
    parser.add_argument("url", metavar="URL", help="as for open_store")
    parser.add_argument("--mib", type=float, default=SIZE_BYTES / MiB, help=f"of an object ({SIZE_BYTES // MiB})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of the default and the best ({ROUNDS})")
    parser.add_argument("--seconds", type=float, default=BUDGET_S, help=f"after which no run begins ({BUDGET_S:g})")
    parser.add_argument("--option", **OPTION)
    parser.add_argument("--json", action="store_true", help="for programs")
    asked = parser.parse_args(arguments)
    hide = Hiding()

    def told(line: str) -> None:
        print(hide.all_of(line), file=sys.stderr, flush=True)

    try:
        options = dict(option(each, hide) for each in asked.option)
        store = open_store(asked.url, **options)
    except (ValueError, TypeError, ModuleNotFoundError) as exc:
        told(f"storage_guard.tune: {exc}")
        return 2
    with store:
        try:
            found = measure(
                store, size_bytes=int(asked.mib * MiB), rounds=asked.rounds, budget_s=asked.seconds, told=told
            )
        except ValueError as exc:
            told(f"storage_guard.tune: {exc}")
            return 2
        except StorageGuardError as exc:
            words = hide.all_of(f"{type(exc).__name__}: {exc}")
            if asked.json:
                print(json.dumps({"default_is_good": None, "url": hide.all_of(store.url), "error": words}, indent=2))
            told(f"storage_guard.tune: {words}")
            for note in getattr(exc, "__notes__", ()):
                told(f"! {note}")
            return 1
    print(hide.within(found.as_json()) if asked.json else hide.all_of(str(found)))
    if found.left:
        return 1
    return 0 if found.default_is_good else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
