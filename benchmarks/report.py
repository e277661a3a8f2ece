"""From results to a page: which part size for which link, why, and how far the defaults are from the best.

    python -m benchmarks.report RESULTS.jsonl... [--html PAGE.html] [--markdown PAGE.md] [--quoting DOC.md]

Reads what the studies write: see README.md. The page needs nothing beside itself. `--quoting` is a page of the
documentation that has tables of the report, each behind `<!-- of report.md: HEADING -->`; they are written anew.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.reporting.page import page
from benchmarks.reporting.rows import parsed
from benchmarks.reporting.summary import quoted, summary


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.report")
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULTS.jsonl")
    parser.add_argument("--html", type=Path)
    parser.add_argument("--markdown", type=Path, help="to standard output, if neither is given")
    parser.add_argument("--quoting", type=Path, action="append", default=[], metavar="DOC.md")
    asked = parser.parse_args()
    try:
        results = parsed(path.read_text(encoding="utf-8") for path in sorted(asked.results))
        told = summary(results)
        quoting = {path: quoted(path.read_text(encoding="utf-8"), told) for path in asked.quoting}
    except (OSError, ValueError) as exc:
        print(f"benchmarks.report: {exc}", file=sys.stderr)
        return 2
    if asked.html is not None:
        asked.html.write_text(page(results), encoding="utf-8")
    if asked.markdown is not None:
        asked.markdown.write_text(told, encoding="utf-8")
    for path, text in quoting.items():
        path.write_text(text, encoding="utf-8")
    if asked.html is None and asked.markdown is None:
        print(told, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
