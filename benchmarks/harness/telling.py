"""What benchmarks say and are told: lines of results, lines for people, words of options."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

MIB = 1 << 20


def words(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Of an option that is some of these, with commas between."""

    def parse(text: str) -> list[str]:
        found = [word for word in text.split(",") if word]
        for word in found:
            if word not in known:
                raise argparse.ArgumentTypeError(f"no {word!r}: there is {', '.join(known)}")
        return found

    return parse


def growth(answer: Mapping[str, Any]) -> dict[str, float]:
    """Nothing where the system does not tell."""
    size_bytes = answer["growth_bytes"]
    return {} if size_bytes is None else {"growth_mib": size_bytes / MIB}


def rounded(figures: Mapping[str, float]) -> dict[str, float]:
    """Five digits: more are noise."""
    return {name: float(f"{value:.5g}") for name, value in figures.items()}


def write(out: IO[str], kind: str, **said: object) -> None:
    out.write(json.dumps({"kind": kind, **said}) + "\n")
    out.flush()


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
