"""The results that are committed, and the page that was made of them."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.reporting.page import page
from benchmarks.reporting.rows import parsed
from benchmarks.reporting.summary import summary

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def test_the_committed_page_is_made_of_the_committed_results() -> None:
    texts = [path.read_text() for path in sorted(RESULTS.glob("*.jsonl"))]
    found = parsed(texts)
    assert (RESULTS / "report.html").read_text() == page(found)
    assert (RESULTS / "report.md").read_text() == summary(found)
    assert all(line["command"].startswith("python -m benchmarks.") for line in found.environments)
    for told in texts:
        assert not re.search(r"/(?:home|root|work|tmp|usr)/|localhost|127\.0\.0\.1|://(?!BUCKET)", told)


def test_the_figures_of_the_documentation_are_those_of_the_results() -> None:
    page_of_docs = (RESULTS.parents[1] / "docs" / "part-sizing.md").read_text()
    reported = set((RESULTS / "report.md").read_text().splitlines())
    tables = re.findall(r"<!-- of report\.md -->\n\n((?:\|.*\n)+)", page_of_docs)
    assert len(tables) == page_of_docs.count("<!-- of report.md -->") == 4
    for table in tables:
        assert [line for line in table.splitlines() if line not in reported] == []
