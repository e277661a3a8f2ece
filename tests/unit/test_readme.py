"""What the documents show is what the library does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from storage_guard import errors
from storage_guard.outcome import MAX_ABORTS, Answer, Doing, Verdict, Why, Write, step

ROOT = Path(__file__).resolve().parents[2]
OURS = ("README.md", "CHANGELOG.md", "docs/design.md", "docs/outcome.md", "docs/testing.md")


def python_blocks(document: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / document).read_text(), re.DOTALL | re.MULTILINE)


def run_readme(folder: Path) -> subprocess.CompletedProcess[str]:
    blocks = python_blocks("README.md")
    assert len(blocks) >= 3
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_examples_run_one_after_the_other(tmp_path: Path) -> None:
    done = run_readme(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("'models/v1.bin' exists in file:///")
    assert (tmp_path / "archive" / "models" / "v1.bin").read_bytes() == b"weights"


def test_the_examples_end_where_the_page_says_when_they_run_once_more_in_the_same_folder(tmp_path: Path) -> None:
    assert (
        "Run once more in the same folder it ends with `ObjectExists` at the first `create`"
        in (ROOT / "README.md").read_text()
    )
    run_readme(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = run_readme(tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("storage_guard.errors.ObjectExists: 'models/v1.bin' exists in file:")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("document", OURS)
def test_a_link_leads_somewhere(document: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / document).read_text()):
        assert ((ROOT / document).parent / target).exists(), target


def test_every_error_stands_in_the_table_of_what_can_happen() -> None:
    (table,) = re.findall(r"## What can happen\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.DOTALL)
    raised_by_create = {
        name
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, errors.StorageGuardError)
    } - {"ObjectNotFound", "ObjectChanged", "RenameIncomplete"}  # of reading, removing, renaming
    assert [name for name in sorted(raised_by_create) if f"`{name}`" not in table] == []


COLUMNS = {
    "BEGIN": Write(Doing.BEGIN, multipart=True),
    "PARTS": Write(Doing.PARTS, multipart=True, begun=True),
    "COMMIT, put": Write(Doing.COMMIT, multipart=False),
    "COMMIT, finish": Write(Doing.COMMIT, multipart=True, begun=True),
    "ABORT": Write(Doing.ABORT, multipart=True, begun=True, suspect=True),
    "LIST": Write(Doing.LIST, multipart=True, begun=True, suspect=True),
    "HEAD": Write(Doing.HEAD, multipart=False, suspect=True),
    "COMPARE": Write(Doing.COMPARE, multipart=False, suspect=True),
}
VARIANTS: list[dict[str, Any]] = [
    {},
    {"named": True},
    {"if_exists": "skip"},
    {"if_exists": "same"},
    {"ours": True},
    {"aborts": MAX_ABORTS},
    {"why": Why.EXISTS, "sole": True},
    {"suspect": True},
]


def test_the_table_of_who_won_is_what_the_code_does() -> None:
    lines = [line for line in (ROOT / "docs/outcome.md").read_text().splitlines() if line.count("|") == 10]
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert header[1:] == list(COLUMNS)
    seen: set[str] = set()
    for names, *cells in rows:
        for name in names.split(", "):
            seen.add(name)
            for cell, (column, write) in zip(cells, COLUMNS.items(), strict=True):
                check_cell(cell, write, Answer[name], f"{name} in {column}")
    assert seen == {each.name for each in Answer}


def check_cell(cell: str, write: Write, answer: Answer, where: str) -> None:
    """Each word of the cell is what the code does in some variant, and the code does nothing that it does not say."""
    if not cell:
        with pytest.raises(AssertionError):
            step(write, answer)
        return
    if cell == "see below":
        return
    done: set[str] = set()
    # Nothing is suspect before its first commit, and a new upload begins unsuspected.
    for variant in VARIANTS[: -1 if write.doing is Doing.BEGIN else None]:
        after = step(write._replace(**variant), answer)
        done.add(after.doing.name if after.verdict is None else f"**{after.verdict.name.lower().replace('_', ' ')}**")
        if after.pause:
            done.add("wait")
    said = set(re.findall(r"wait|\*\*[a-z ]+\*\*|\b(?:BEGIN|PARTS|COMMIT|ABORT|LIST|HEAD|COMPARE)\b", cell))
    assert said == done, where


def test_every_state_answer_and_verdict_stands_in_the_table_of_who_won() -> None:
    text = (ROOT / "docs/outcome.md").read_text()
    names = [each.name for each in (*Doing, *Answer) if each is not Doing.NOTHING]
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []
    verdicts = [each.name.lower().replace("_", " ") for each in Verdict]
    assert [name for name in verdicts if f"**{name}**" not in text] == []
