"""From results to a page: which part size for which link, why, and how far the defaults are from the best.

    python -m benchmarks.report RESULTS.jsonl... [--html PAGE.html] [--markdown PAGE.md]

Reads what the studies write (part_sizing, parallel_parts, streams, peers). The page needs nothing beside itself.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.reporting.page import page
from benchmarks.reporting.rows import parsed
from benchmarks.reporting.summary import summary


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.report")
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULTS.jsonl")
    parser.add_argument("--html", type=Path)
    parser.add_argument("--markdown", type=Path, help="to standard output, if neither is given")
    asked = parser.parse_args()
    try:
        results = parsed(path.read_text(encoding="utf-8") for path in asked.results)
    except (OSError, ValueError) as exc:
        print(f"benchmarks.report: {exc}", file=sys.stderr)
        return 2
    if asked.html is not None:
        asked.html.write_text(page(results), encoding="utf-8")
    if asked.markdown is not None:
        asked.markdown.write_text(summary(results), encoding="utf-8")
    if asked.html is None and asked.markdown is None:
        print(summary(results), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
