"""What the pages of the documents show and say, run as it stands and held against what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from storage_guard import OutcomeUnknown, StorageGuardError, Store, errors
from storage_guard.testing.server import Cue, Cues, cut_after_acting, refused

ROOT = Path(__file__).resolve().parents[2]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def table_below(page: str, heading: str) -> list[list[str]]:
    (section,) = re.findall(rf"^## {heading}\n(.*?)^## ", page, re.DOTALL | re.MULTILINE)
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def to_the_loopback(*domains: str) -> str:
    """A program's beginning, with which all hosts of these domains are the server at the port LOOPBACK_PORT."""
    return f"""
import os, socket
resolved = socket.getaddrinfo
def getaddrinfo(host, port, *more, **options):
    if str(host).endswith({domains!r}):
        host, port = "127.0.0.1", int(os.environ["LOOPBACK_PORT"])
    return resolved(host, port, *more, **options)
socket.getaddrinfo = getaddrinfo
"""


def run_program(program: str, folder: Path, port: int, variables: Mapping[str, str], *arguments: str) -> str:
    """What it prints, run in `folder`, in which it finds a large.bin. Its environment is ours and `variables`, without
    proxies, and without what would tell AWS's libraries of somebody else's keys. Raises AssertionError if it fails."""
    (folder / "large.bin").write_bytes(os.urandom(20 * 1024 * 1024))
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith("AWS_")
    }
    environment |= {
        "STORAGE_GUARD_JOURNAL": str(folder / "journal"),
        "LOOPBACK_PORT": str(port),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def actions_of(policy: Any) -> set[str]:
    actions: set[str] = set()
    for statement in policy["Statement"]:
        said = statement["Action"]
        actions |= {said} if isinstance(said, str) else set(said)
    return actions


def codes_of(page: str) -> list[tuple[str, str]]:
    """Status and code, and the error that a page says they end in."""
    return [(told, row[1]) for row in table_below(page, "What goes wrong") for told in row[0].split(", ")]


def check_how_a_code_ends(store: Store, cues: Cues, told: str, error: str) -> None:
    """A create that is always answered `told`, a status and a code, raises the error of that name."""
    status, code = told.split()
    if error == "ObjectExists":
        store.create("key", b"somebody's")
    cues.add(Cue(refused(int(status), code), member="put_new", times=None))
    with pytest.raises(StorageGuardError) as raised:
        store.create("key", b"ours", deadline_s=0.2)
    assert type(raised.value) is getattr(errors, error)


def check_that_it_may_create_look_resume_and_settle(store: Store, cues: Cues, large: Path) -> None:
    """`large`: a file that goes in parts. The Store has a journal."""
    assert store.create("small", b"data").outcome == "created"
    cues.add(Cue(cut_after_acting(), member="finish_new"))
    assert store.create("large", large, resume=True).resolved
    cues.add(Cue(refused(500, "InternalError"), member="finish_new"))
    assert store.create("again", large).outcome == "created"  # after the first upload was called back
    assert store.copy("large", "copy").outcome == "created"
    assert store.read("small") == b"data"
    cues.add(Cue(cut_after_acting(), member="put_new"))
    cues.add(Cue(refused(500, "InternalError"), member="head", times=None))
    with pytest.raises(OutcomeUnknown) as unknown:
        store.create("lost", b"data", deadline_s=0.2)
    cues.clear()
    assert store.settle(unknown.value.ticket or "").outcome == "created"
