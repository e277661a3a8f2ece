"""The results that are committed, and the page that was made of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.reporting.page import page
from benchmarks.reporting.rows import parsed
from benchmarks.reporting.summary import quoted, summary

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
    assert quoted(page_of_docs, (RESULTS / "report.md").read_text()) == page_of_docs
    assert len(re.findall(r"<!-- of report\.md: .+ -->\n\n\|", page_of_docs)) == page_of_docs.count("<!--") >= 4


def test_quoted_tables_are_written_anew_and_a_heading_that_is_not_there_is_told() -> None:
    report = "## A\n\n| a |\n| 1 |\n\n## B: c (d)\n\n- some\n\n| b |\n| 2 |\n"
    was = "words\n\n<!-- of report.md: B: c (d) -->\n\n| b |\n| old |\n| old |\n\nmore | words\n"
    assert quoted(was, report) == "words\n\n<!-- of report.md: B: c (d) -->\n\n| b |\n| 2 |\n\nmore | words\n"
    with pytest.raises(ValueError, match="no table 'C'"):
        quoted("<!-- of report.md: C -->\n\n| x |\n", report)
